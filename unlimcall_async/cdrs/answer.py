"""What comes for a window.

Pure: no I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from operator import neg
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.instants import SECOND, Range, Window
from unlimcall_async.models import CallRecord

_SECOND: Final = SECOND * 1000


class RowOutsideError(Exception):
    """A row lies outside its window by more than a second; `index` is its place in the answer."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index: int = index


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

    @cached_property
    def ascending(self) -> bool:
        """Whether the rows came the oldest first."""
        return self._instants == self._ordered

    @cached_property
    def descending(self) -> bool:
        """Whether the rows came the newest first."""
        return self._instants == self._ordered[::-1]

    @cached_property
    def seconds_fall(self) -> bool:
        """Whether the rows came the newest first, by whole seconds."""
        return self.descending or _never_falls([-(at // _SECOND) for at in self.instants])

    @cached_property
    def seconds_rise(self) -> bool:
        """Whether the rows came the oldest first, by whole seconds."""
        return self.ascending or _never_falls([at // _SECOND for at in self.instants])

    @cached_property
    def _instants(self) -> list[int]:
        return list(self.instants)

    @cached_property
    def _ordered(self) -> list[int]:
        return sorted(self.instants)

    @property
    def total(self) -> int | None:
        """How many rows the window holds, if the answer tells."""
        return self.count if self.complete or self.count > len(self.rows) else None

    def rows_of(self, wanted: Range) -> list[CallRecord]:
        """The rows that start within a range."""
        places = self._places(wanted)
        if isinstance(places, slice):
            return list(self.rows[places])
        return [self.rows[place] for place in places]

    def keys_of(self, wanted: Range) -> Counter[tuple[int, str]]:
        """The instants and ids of the rows that start within a range, and how often each of them comes."""
        places = self._places(wanted)
        each = range(*places.indices(len(self.rows))) if isinstance(places, slice) else places
        return Counter((self.instants[place], self.rows[place].id) for place in each)

    def _places(self, wanted: Range) -> slice | list[int]:
        first, last = wanted.start * 1000, wanted.end * 1000
        if self.ascending:
            return slice(bisect_left(self._instants, first), bisect_left(self._instants, last))
        if self.descending:
            return slice(*(bisect_left(self._instants, 1 - end, key=neg) for end in (last, first)))
        return [place for place, at in enumerate(self.instants) if first <= at < last]


def _never_falls(values: list[int]) -> bool:
    return values == sorted(values)


def check_inside(window: Window, answer: Answer) -> None:
    """Raise `RowOutsideError` if a row lies outside the window by more than a second."""
    first, last = (window.start - SECOND) * 1000, (window.till + SECOND) * 1000
    if answer.instants and not (first <= min(answer.instants) and max(answer.instants) <= last):
        raise RowOutsideError(next(place for place, at in enumerate(answer.instants) if not first <= at <= last))
