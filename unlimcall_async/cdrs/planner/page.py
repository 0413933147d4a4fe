"""The page: the response to one CDR request, and what its rows show of the server's order.

Pure: no I/O. A page has up to a thousand rows, so whatever takes a pass over them is found out once, when it is first needed.
Starts are compared as the datetimes that were decoded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from attrs import frozen

from unlimcall_async.cdrs.output_order import Sortedness, sort_ties, sortedness_of
from unlimcall_async.cdrs.planner.holes import holes_in
from unlimcall_async.cdrs.rows import Row, UnplacedRow
from unlimcall_async.cdrs.times import LAST, SECOND, Range, Window, to_datetime, to_micros

# The start and the id of a row. Rows may share both: the legs of one call do.
Key: TypeAlias = tuple[datetime, str]


@frozen
class Basis:
    """The answer that the records of a part rest on.

    Attributes:
        window: The window that was asked.
        rows: How many rows came.
        count: The number of rows that the response states.
        repeated: How many rows the next page repeats, for records that rest on the order of a full page; `None` for a page that is
            complete.
    """

    window: Window
    rows: int
    count: int
    repeated: int | None = None


class RowOutsideError(Exception):
    """A row of a page lies outside the window by more than a second; `index` is the row's place in the page."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index: int = index


# Without slots, because `cached_property` of a class with slots makes each look at an attribute a call.
@frozen(slots=False)
class Page:
    """The response to one CDR request.

    Attributes:
        rows: The rows with a start, in the server's order.
        starts: When each of them starts, in UTC.
        count: The number of rows that the response states.
        complete: Whether the page has fewer rows than were asked for, and `count` is not above them. Whether the page is then taken
            for its whole window, `PageCap.holds_window` decides: the server may give fewer rows than are asked for.
        finer_than_millis: Whether a row starts within a millisecond, not at one.
        any_bad: Whether one of `rows` is a bad row.
        unplaced: The rows whose start cannot be read.
        new_unplaced: Those of them that were not handed out.
        again: Those of these that earlier parts have shown, and so hand out.
    """

    rows: Sequence[Row]
    starts: list[datetime]
    count: int
    complete: bool
    finer_than_millis: bool = False
    any_bad: bool = False
    unplaced: Sequence[UnplacedRow] = ()
    new_unplaced: Sequence[UnplacedRow] = ()
    again: Sequence[UnplacedRow] = ()

    @property
    def own_unplaced(self) -> list[UnplacedRow]:
        """The rows without a start, apart from those that earlier parts hand out."""
        again = set(map(id, self.again))
        return [row for row in self.unplaced if id(row) not in again]

    @property
    def size(self) -> int:
        """How many rows came."""
        return len(self.rows) + len(self.unplaced)

    @property
    def total(self) -> int | None:
        """The number of rows that the window holds, or `None` if the page does not tell."""
        if self.complete:
            return self.size  # `count` may have been read before the rows
        return self.count if self.count > self.size else None

    # --- the server's order -------------------------------------------------------------------------------------------

    @cached_property
    def _sortedness(self) -> Sortedness:
        return sortedness_of(self.starts)

    @property
    def ascending(self) -> bool:
        """Whether the rows came with the oldest first."""
        return self._sortedness.ascending

    @property
    def descending(self) -> bool:
        """Whether the rows came with the newest first."""
        return self._sortedness.descending

    @property
    def seconds_fall(self) -> bool:
        """Whether the rows came with the newest first, by whole seconds: a server may compare no finer."""
        return self._by_seconds[1]

    @property
    def seconds_rise(self) -> bool:
        """Whether the rows came with the oldest first, by whole seconds."""
        return self._by_seconds[0]

    @cached_property
    def _by_seconds(self) -> tuple[bool, bool]:
        """Whether the rows came with the oldest first, and whether they came with the newest first, by whole seconds."""
        if self.span is None or self.span[0] // SECOND == self.span[1] // SECOND:
            return True, True
        if self.ascending or self.descending:
            return self.ascending, self.descending
        seconds = [to_micros(start) // SECOND for start in self.starts]
        rising = sorted(seconds)
        return seconds == rising, seconds[::-1] == rising

    @property
    def sorted_starts(self) -> list[datetime]:
        """When the rows start, the oldest first."""
        return self._sortedness.starts

    @cached_property
    def span(self) -> tuple[int, int] | None:
        """The first and the last start, in microseconds, or `None` for a page without rows."""
        ordered = self._sortedness.starts
        return (to_micros(ordered[0]), to_micros(ordered[-1])) if ordered else None

    @cached_property
    def micros(self) -> list[int]:
        """When the rows start, in microseconds, in the server's order."""
        return [*map(to_micros, self.starts)]

    @cached_property
    def holes(self) -> list[Range]:
        """The stretches between two rows that are too long to be chance, by all rows."""
        return holes_in(self._sortedness.starts)

    @cached_property
    def keys(self) -> Counter[Key]:
        """The keys of all rows, and how many rows have each of them."""
        return Counter(zip(self.starts, [row.id for row in self.rows], strict=True))

    # --- rows of a range ----------------------------------------------------------------------------------------------

    @cached_property
    def _ordered(self) -> list[Row]:
        """The rows in the order of the output, the oldest first."""
        rows = list(self.rows)
        if self.descending:
            rows.reverse()
        elif not self.ascending:
            rows = [rows[place] for place in sorted(range(len(rows)), key=self.starts.__getitem__)]
        sort_ties(rows, self._sortedness.changes)
        return rows

    def number_of(self, wanted: Range) -> int:
        """Return how many rows start in a range."""
        return len(range(len(self.rows))[self._slice_of(wanted)])

    def starts_of(self, wanted: Range) -> list[datetime]:
        """Return when the rows start that start in a range, the oldest first."""
        return self._sortedness.starts[self._slice_of(wanted)]

    def rows_of(self, wanted: Range) -> list[Row]:
        """Return the rows that start in a range, in the order of the output, the oldest first."""
        return self._ordered[self._slice_of(wanted)]

    def keys_of(self, wanted: Range) -> list[Key]:
        """Return the keys of the rows that start in a range, in the order of the output, the oldest first."""
        places = self._slice_of(wanted)
        return [*zip(self._sortedness.starts[places], [row.id for row in self._ordered[places]], strict=True)]

    def is_within(self, other: Page) -> bool:
        """Return whether another page has all rows of this one, by their keys."""
        if self.span is None:
            return True
        # Mostly the other page has the same rows as this one from its first row to its last, which lists compare fast.
        whole = Range(self.span[0], self.span[1] + 1)
        return other.keys_of(whole) == self.keys_of(whole) or not self.keys - other.keys

    def _slice_of(self, wanted: Range) -> slice:
        first = self._number_before(wanted.start)
        return slice(first, max(first, self._number_before(wanted.end)))

    def _number_before(self, micros: int) -> int:
        # Beyond what a datetime holds there is no datetime to compare with.
        return len(self.rows) if micros > LAST else bisect_left(self._sortedness.starts, to_datetime(micros))


def check_inside(window: Window, page: Page) -> None:
    """Raise `RowOutsideError` if a row lies outside the window by more than a second (`docs/promises.md`, assumptions)."""
    first, last = window.start - SECOND, window.till + SECOND
    span = page.span
    if span is not None and not (first <= span[0] and span[1] <= last):
        raise RowOutsideError(
            next(index for index, start in enumerate(page.starts) if not first <= to_micros(start) <= last)
        )
