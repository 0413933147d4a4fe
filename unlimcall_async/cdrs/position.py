"""How far the output of a stream was handed out.

Pure: no I/O. The rows of one part are handed out at a time. A place in the output's order is all that has to be kept of what
came before, so memory does not grow with the records. Nearly every part is one run of records. A part with rows that cannot be read
is several runs, with such a row behind each.

A row without a start comes behind all other rows of its part. Windows behind the part's beginning need not show the row again. So
as long as such a row is ahead, a place also tells where the part begins, and a stream that goes on from there asks the whole part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import length_hint
from typing import TypeVar

from attrs import evolve

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.output_order import bad_rows_last, handed_out_first, place_behind, place_behind_bad_row
from unlimcall_async.cdrs.rows import BadRow, Row, UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, Range, ceil, floor, to_micros
from unlimcall_async.models import CallRecord

T = TypeVar("T", bound=Row)


class Position:
    """The place in the output of a range, and the records of the part that is being handed out.

    Args:
        start: The start of the range.
        end: The end of the range, which is not part of it.
        newest_first: The direction of the output.
        place: The place that a checkpoint holds, or `None` for the beginning.
        handed_out: How many records were handed out before.
    """

    def __init__(
        self, start: datetime, end: datetime, *, newest_first: bool, place: Place | None, handed_out: int = 0
    ) -> None:
        self._start, self._end = to_micros(start), to_micros(end)
        self._newest_first = newest_first
        self._resumed_at = place
        # The places before and behind the run, and behind the part.
        first = Place(self._end if newest_first else self._start) if place is None else evolve(place, since=None)
        self._before = self._behind = self._behind_part = first
        self._part = self.range_left
        # Up to here, in the order of the output, rows without a start were handed out, too.
        self._settled = self._part.end if newest_first else self._part.start
        # The records of the run in the order of the output; how many of them had been handed out before the stream was
        # resumed; and an iterator over those that are left. The iterator's length is all that counts how far it is.
        self._run: list[CallRecord] = []
        self._skipped = 0
        self._rest: Iterator[CallRecord] = iter(self._run)
        self._handed_out_before = handed_out
        # What is left of the part behind the run.
        self._ahead: deque[Row | UnplacedRow] = deque()

    # --- the range ----------------------------------------------------------------------------------------------------

    @property
    def range_left(self) -> Range:
        """The range that was left to ask when the stream was made, in whole milliseconds."""
        start, end, place = floor(self._start, MILLISECOND), ceil(self._end, MILLISECOND), self._resumed_at
        if place is None:
            return Range(start, end)
        if not self._newest_first:
            # An edge at the end leaves nothing, also of a millisecond that the end cuts in two.
            at = end if place.is_edge and place.at >= self._end else floor(place.at, MILLISECOND)
            at = at if place.since is None else place.since
            return Range(min(max(start, at), end), end)
        if place.is_edge and place.at <= self._start:
            return Range(start, start)
        # A record's own millisecond may hold more records. At an edge all that is left lies before it.
        last = ceil(place.at, MILLISECOND) if place.is_edge else floor(place.at, MILLISECOND) + MILLISECOND
        last = last if place.since is None else place.since
        return Range(start, max(min(end, last), start))

    def within(self, part: Range, rows: Sequence[T]) -> Sequence[T]:
        """Return the rows of a part, the oldest first, that lie in the range, in the order of the output."""
        if part.start < self._start or self._end < part.end:
            # The ends of the range may cut a millisecond in two.
            rows = [row for row in rows if self._start <= to_micros(row.start_time) < self._end]
        return rows[::-1] if self._newest_first else rows

    def ahead(self, part: Range, rows: Sequence[T]) -> Sequence[T]:
        """Return what `within` returns without the rows that were handed out before: a part may lie before the place."""
        ordered, done = handed_out_first(self.within(part, rows), self._behind, newest_first=self._newest_first)
        return ordered[done:]

    def behind(self, part: Range) -> Place:
        """Return the place behind a part, all rows of which were handed out."""
        return self._with_since(self._edge_behind(part), self._far_end(part))

    def _edge_behind(self, part: Range) -> Place:
        at = min(max(self._far_end(part), self._start), self._end)
        resumed = self._resumed_at
        if resumed is None or (at <= resumed.at if self._newest_first else at > resumed.at):
            return Place(at)
        # Of such a part only rows without a start were left.
        return evolve(resumed, since=None)

    def _near_end(self, part: Range) -> int:
        return part.end if self._newest_first else part.start

    def _far_end(self, part: Range) -> int:
        return part.start if self._newest_first else part.end

    def _with_since(self, place: Place, settled: int) -> Place:
        """Return a place that tells up to where rows without a start were handed out, if that is not up to the place."""
        at = floor(place.at, MILLISECOND)
        if place.is_edge or (settled <= at + MILLISECOND if self._newest_first else at <= settled):
            return place
        return evolve(place, since=settled)

    # --- handing out --------------------------------------------------------------------------------------------------

    @property
    def run(self) -> list[CallRecord]:
        """The records of the run that this stream hands out, or has handed out: none that were before it was resumed."""
        return self._run[self._skipped :]

    @property
    def left(self) -> int:
        """How many records of the run were not handed out yet."""
        return length_hint(self._rest)

    def enter(self, part: Range, records: Sequence[CallRecord]) -> None:
        """Go on to the next part with these records, the oldest first."""
        self._enter_part(part)
        self._settled = self._far_end(part)
        run = self.within(part, records)
        self._enter_run(run, self._behind_part)

    def enter_unreadable(self, part: Range, rows: Sequence[Row], unplaced: Sequence[UnplacedRow]) -> None:
        """Go on to the next part, some rows of which cannot be read: its rows, the oldest first, and those without a start."""
        self._enter_part(part)
        within = bad_rows_last(self.within(part, rows))
        ordered, done = handed_out_first(within, self._behind, newest_first=self._newest_first)
        # If the place is behind a record, the records of its instant tell how often that record was handed out.
        instant = ordered[:done] if self._behind.id is not None else []
        again = [row for row in instant if to_micros(row.start_time) == self._behind.at]
        self._ahead = deque([*again, *ordered[done:], *unplaced])
        self._settled = self._settled_behind(0)
        self._enter_next_run()

    def _enter_part(self, part: Range) -> None:
        self._part, self._behind_part = part, self._edge_behind(part)

    def _settled_behind(self, rows: int) -> int:
        """Return up to where rows without a start are handed out once so many of the rows ahead are."""
        # They come last.
        last = self._ahead[-1] if len(self._ahead) > rows else None
        owed = isinstance(last, UnplacedRow) and not isinstance(last, BadRow)
        return self._near_end(self._part) if owed else self._far_end(self._part)

    def _enter_next_run(self) -> None:
        run = list[CallRecord]()
        while self._ahead and isinstance(row := self._ahead[0], CallRecord):
            run.append(row)
            self._ahead.popleft()
        if not self._ahead:
            self._enter_run(run, self._behind_part)
        else:
            self._enter_run(run, place_behind(run, len(run)) if run else self._behind)

    def _enter_run(self, run: Sequence[CallRecord], behind: Place) -> None:
        self._handed_out_before = self.handed_out
        self._before, self._behind = self._behind, behind
        # Only the first part of a stream that was resumed has records before the place.
        run, self._skipped = handed_out_first(run, self._before, newest_first=self._newest_first)
        self._run = run if isinstance(run, list) else list(run)
        self._rest = iter(self._run)
        for _ in range(self._skipped):
            next(self._rest)

    @property
    def unreadable(self) -> UnplacedRow | None:
        """The row that cannot be read and comes next, or `None` if a record, or another part, comes next."""
        row = self._ahead[0] if self._ahead and not self.left else None
        return None if isinstance(row, CallRecord) else row

    @property
    def place_behind_unreadable(self) -> Place:
        """The place behind the row that `unreadable` returns."""
        return self._with_since(self._behind_unreadable, self._settled_behind(1))

    @property
    def _behind_unreadable(self) -> Place:
        if len(self._ahead) == 1:
            return self._behind_part
        row = self._ahead[0]
        return place_behind_bad_row(row, self._behind) if isinstance(row, BadRow) else self._behind

    def pass_unreadable(self) -> None:
        """Go on behind the row that `unreadable` returns."""
        self._before = self._behind = self._behind_unreadable
        self._ahead.popleft()
        self._settled = self._settled_behind(0)
        self._enter_next_run()

    def records(self) -> Iterator[CallRecord]:
        """Return the iterator over the rest of the run: each record that is taken from it is handed out."""
        return self._rest

    def batch(self) -> list[CallRecord]:
        """Return the rest of the run, all of which is handed out. The list is the reader's, to change or to let go of."""
        rest = list(self._rest) if self._index else self._run
        self._handed_out_before += len(self._run) - self._skipped
        self._run, self._skipped = [], 0
        self._rest = iter(self._run)
        return rest

    def take(self, most: int) -> list[CallRecord]:
        """Return the first records of the rest of the run, at most so many, all of which are handed out."""
        return self.batch() if most >= self.left else list(islice(self._rest, most))

    def detach_iterator(self) -> None:
        """Replace the iterator over the rest, so that the one that an ended iteration still holds yields nothing."""
        self._rest = iter(list(self._rest))

    # --- how far it is ------------------------------------------------------------------------------------------------

    @property
    def _index(self) -> int:
        return len(self._run) - self.left

    @property
    def handed_out(self) -> int:
        """How many records were handed out."""
        return self._handed_out_before + self._index - self._skipped

    @property
    def place(self) -> Place:
        """The place behind the last record that was handed out."""
        if self._index >= len(self._run):
            place = self._behind
        else:
            place = place_behind(self._run, self._index) if self._index > self._skipped else self._before
        return self._with_since(place, self._settled)

    @property
    def fraction(self) -> float:
        """The share of the whole range that lies before the place, from 0 to 1."""
        whole = self._end - self._start
        done = self._end - self.place.at if self._newest_first else self.place.at - self._start
        return min(1.0, max(0.0, done / whole)) if whole else 1.0
