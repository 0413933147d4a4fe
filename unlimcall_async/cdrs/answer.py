"""What comes for a window.

Pure: no I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeAlias, overload

from attrs import frozen

from unlimcall_async.cdrs.instants import LAST, SECOND, Range, Window, micros_of, moment_of_micros
from unlimcall_async.cdrs.order import put_ties_in_order
from unlimcall_async.cdrs.sortedness import Sortedness, sortedness_of
from unlimcall_async.models import CallRecord

_SECOND: Final = SECOND * 1000


# The instant of a row, in microseconds or as a datetime, which is the same for all answers of a server; and its id.
Key: TypeAlias = tuple[Any, str]


class RowOutsideError(Exception):
    """A row lies outside its window by more than a second; `index` is its place in the answer."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index: int = index


class Instants(Sequence[int]):
    """When rows start, in microseconds, worked out for those that are looked at: with a sorted page those are few.

    Attributes:
        moments: The same as datetimes, which compare as well as numbers.
        finer: Whether one of them is no whole millisecond.
    """

    def __init__(self, moments: list[datetime], *, finer: bool) -> None:
        self.moments: list[datetime] = moments
        self.finer: bool = finer

    def __len__(self) -> int:
        return len(self.moments)

    def __iter__(self) -> Iterator[int]:
        return map(micros_of, self.moments)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: int | slice) -> int | list[int]:
        if isinstance(place, slice):
            return [micros_of(moment) for moment in self.moments[place]]
        return micros_of(self.moments[place])


@frozen
class Answer:
    """What came for a question.

    Attributes:
        rows: The rows, as they came.
        instants: When each of them starts, in microseconds.
        count: What the answer says of their number.
        complete: Whether there are fewer rows than were asked for, and `count` is no more than they are.
    """

    rows: Sequence[CallRecord]
    instants: Sequence[int]
    count: int
    complete: bool

    @property
    def ascending(self) -> bool:
        """Whether the rows came the oldest first."""
        return self._sortedness.ascending

    @property
    def descending(self) -> bool:
        """Whether the rows came the newest first."""
        return self._sortedness.descending

    @cached_property
    def seconds_fall(self) -> bool:
        """Whether the rows came the newest first, by whole seconds."""
        if self.ascending or self.descending:
            return self.descending or self._within_a_second
        return _never_falls([-(at // _SECOND) for at in self._all])

    @cached_property
    def seconds_rise(self) -> bool:
        """Whether the rows came the oldest first, by whole seconds."""
        if self.ascending or self.descending:
            return self.ascending or self._within_a_second
        return _never_falls([at // _SECOND for at in self._all])

    @property
    def _within_a_second(self) -> bool:
        return len({at // _SECOND for at in self.ends}) <= 1

    @cached_property
    def ends(self) -> tuple[int, int] | tuple[()]:
        """The first and the last of the instants; none if there are no rows."""
        if not self.instants:
            return ()
        if self.ascending:
            return self.instants[0], self.instants[-1]
        if self.descending:
            return self.instants[-1], self.instants[0]
        return min(self._all), max(self._all)

    @property
    def finer_than_millis(self) -> bool:
        """Whether an instant is no whole millisecond."""
        if isinstance(self.instants, Instants):
            return self.instants.finer
        return any(at % 1000 for at in self.instants)

    @property
    def _times(self) -> list[Any]:
        """What compares as the instants do, and is there already: either them, or datetimes."""
        return self.instants.moments if isinstance(self.instants, Instants) else self._all

    @cached_property
    def _sortedness(self) -> Sortedness:
        return sortedness_of(self._times)

    @cached_property
    def _all(self) -> list[int]:
        return list(self.instants)

    @property
    def total(self) -> int | None:
        """How many rows the window holds, if the answer tells."""
        return self.count if self.complete or self.count > len(self.rows) else None

    @cached_property
    def _ordered(self) -> list[CallRecord]:
        """The rows in the order of the output, with the oldest first: whoever needs some of them needs them like that."""
        rows = list(self.rows)
        if self.descending:
            rows.reverse()
        elif not self.ascending:
            rows = [rows[place] for place in sorted(range(len(rows)), key=self._times.__getitem__)]
        put_ties_in_order(rows, self._sortedness.apart)
        return rows

    def number_of(self, wanted: Range) -> int:
        """How many rows start within a range."""
        return len(range(len(self.rows))[self._places(wanted)])

    def rows_of(self, wanted: Range) -> list[CallRecord]:
        """The rows that start within a range, in the order of the output, with the oldest first."""
        return self._ordered[self._places(wanted)]

    def keys_of(self, wanted: Range) -> list[Key]:
        """The instants and ids of the rows that start within a range, in the order of the output, with the oldest first."""
        places = self._places(wanted)
        return [*zip(self._sortedness.times[places], [row.id for row in self._ordered[places]], strict=True)]

    def _places(self, wanted: Range) -> slice:
        first = self._number_before(wanted.start * 1000)
        return slice(first, max(first, self._number_before(wanted.end * 1000)))

    def _number_before(self, at: int) -> int:
        if not isinstance(self.instants, Instants):
            return bisect_left(self._sortedness.times, at)
        return bisect_left(self._sortedness.times, moment_of_micros(at)) if at <= LAST else len(self.rows)


def _never_falls(values: list[int]) -> bool:
    return values == sorted(values)


def check_inside(window: Window, answer: Answer) -> None:
    """Raise `RowOutsideError` if a row lies outside the window by more than a second."""
    first, last = (window.start - SECOND) * 1000, (window.till + SECOND) * 1000
    if not all(first <= at <= last for at in answer.ends):
        raise RowOutsideError(next(place for place, at in enumerate(answer.instants) if not first <= at <= last))
