"""How far the output of a stream was handed out.

Pure: no I/O. The records of one part are handed out at a time. A place in the output's order is all that has to be kept of what
came before, so memory does not grow with the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from operator import length_hint

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.output_order import count_before, place_behind
from unlimcall_async.cdrs.times import MILLISECOND, Range, ceil, floor, to_micros
from unlimcall_async.models import CallRecord


class Position:
    """The place in the output of a range, and the records of the part that is being handed out.

    Args:
        start: The start of the range.
        end: The end of the range, which is not part of it.
        newest_first: The direction of the output.
        place: The place that a checkpoint holds, or `None` for the beginning.
    """

    def __init__(self, start: datetime, end: datetime, *, newest_first: bool, place: Place | None) -> None:
        self._start, self._end = to_micros(start), to_micros(end)
        self._newest_first = newest_first
        # The places before and behind the part.
        self._before = self._behind = place or Place(self._end if newest_first else self._start)
        self._resumed_at = place
        # The records of the part in the order of the output; how many of them had been handed out before the stream was
        # resumed; and an iterator over those that are left. The iterator's length is all that counts how far it is.
        self._part: list[CallRecord] = []
        self._skipped = 0
        self._rest: Iterator[CallRecord] = iter(self._part)
        self._handed_out_before = 0

    # --- the range ----------------------------------------------------------------------------------------------------

    @property
    def range_left(self) -> Range:
        """The range that was left to ask when the stream was made, in whole milliseconds."""
        start, end, place = floor(self._start, MILLISECOND), ceil(self._end, MILLISECOND), self._resumed_at
        if place is None:
            return Range(start, end)
        at_edge = place.id is None
        if not self._newest_first:
            # An edge at the end leaves nothing, also of a millisecond that the end cuts in two.
            at = end if at_edge and place.at >= self._end else floor(place.at, MILLISECOND)
            return Range(min(max(start, at), end), end)
        if at_edge and place.at <= self._start:
            return Range(start, start)
        # A record's own millisecond may hold more records. At an edge all that is left lies before it.
        last = ceil(place.at, MILLISECOND) if at_edge else floor(place.at, MILLISECOND) + MILLISECOND
        return Range(start, max(min(end, last), start))

    def within(self, part: Range, records: list[CallRecord]) -> list[CallRecord]:
        """Return the records of a part, the oldest first, that lie in the range, in the order of the output."""
        if part.start < self._start or self._end < part.end:
            # The ends of the range may cut a millisecond in two.
            records = [record for record in records if self._start <= to_micros(record.start_time) < self._end]
        return records[::-1] if self._newest_first else records

    def behind(self, part: Range) -> Place:
        """Return the place behind a part."""
        edge = part.start if self._newest_first else part.end
        return Place(min(max(edge, self._start), self._end))

    # --- handing out --------------------------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """How many records of the part were not handed out yet."""
        return length_hint(self._rest)

    def enter(self, part: Range, records: list[CallRecord]) -> int:
        """Go on to the next part with these records, the oldest first; return how many of them there are to hand out."""
        self._handed_out_before = self.handed_out
        self._part = self.within(part, records)
        self._before, self._behind = self._behind, self.behind(part)
        # Only the first part of a stream that was resumed has records before the place.
        self._skipped = count_before(self._part, self._before, newest_first=self._newest_first)
        self._rest = iter(self._part)
        for _ in range(self._skipped):
            next(self._rest)
        return self.left

    def records(self) -> Iterator[CallRecord]:
        """Return the iterator over the rest of the part: each record that is taken from it is handed out."""
        return self._rest

    def batch(self) -> list[CallRecord]:
        """Return the rest of the part, all of which is handed out. The list is the reader's, to change or to let go of."""
        rest = list(self._rest) if self._index else self._part
        self._handed_out_before += len(self._part) - self._skipped
        self._part, self._skipped = [], 0
        self._rest = iter(self._part)
        return rest

    def detach_iterator(self) -> None:
        """Replace the iterator over the rest, so that the one that an ended iteration still holds yields nothing."""
        self._rest = iter(list(self._rest))

    # --- how far it is ------------------------------------------------------------------------------------------------

    @property
    def _index(self) -> int:
        return len(self._part) - self.left

    @property
    def handed_out(self) -> int:
        """How many records were handed out."""
        return self._handed_out_before + self._index - self._skipped

    @property
    def place(self) -> Place:
        """The place behind the last record that was handed out."""
        if self._index >= len(self._part):
            return self._behind
        return place_behind(self._part, self._index) if self._index > self._skipped else self._before

    @property
    def fraction(self) -> float:
        """The share of the whole range that lies before the place, from 0 to 1."""
        whole = self._end - self._start
        done = self._end - self.place.at if self._newest_first else self.place.at - self._start
        return min(1.0, max(0.0, done / whole)) if whole else 1.0
