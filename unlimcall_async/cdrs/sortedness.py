"""How the instants of an answer follow each other, found out in one pass: there are a thousand to a page.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import gt, lt
from typing import Any

from attrs import frozen


@frozen
class Sortedness:
    """How instants follow each other.

    Attributes:
        ascending: Whether they came the oldest first.
        descending: Whether they came the newest first.
        times: All of them, with the oldest first.
        apart: A byte for each of these but the last: 1 if the next is another, else 0. In bytes a 0 is found at once.
    """

    ascending: bool
    descending: bool
    times: list[Any]
    apart: bytes


def sortedness_of(times: list[Any]) -> Sortedness:
    """Tell how instants follow each other; they may be of any kind that can be compared."""
    rising = not times or times[0] <= times[-1]
    apart = apart_of(times, lt if rising else gt)
    # Few rows of a sorted page share an instant, so hardly any two are compared twice.
    if any(times[same.start] != times[same.stop - 1] for same in ties_in(apart)):
        ordered = sorted(times)
        return Sortedness(ascending=False, descending=False, times=ordered, apart=apart_of(ordered))
    if rising:
        return Sortedness(ascending=True, descending=1 not in apart, times=times, apart=apart)
    return Sortedness(ascending=False, descending=True, times=times[::-1], apart=apart[::-1])


def apart_of(times: Sequence[Any], before: Callable[[Any, Any], bool] = lt) -> bytes:
    """Tell of each instant but the last whether it comes before the next: if they are sorted, as `Sortedness.apart` does."""
    return bytes(map(before, times, islice(times, 1, None)))


def ties_in(apart: bytes) -> Iterator[slice]:
    """Yield where two or more stand side by side that are not apart."""
    start = apart.find(0)
    while start >= 0:
        end = apart.find(1, start)
        end = len(apart) + 1 if end < 0 else end + 1
        yield slice(start, end)
        start = apart.find(0, end)
