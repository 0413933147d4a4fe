"""Where to cut a range: the sizes of pieces, and the times between them.

Pure: no I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import ceil, inf

from unlimcall_async.cdrs.times import SECOND, Range


def multiple_inside(wanted: Range, at: float, step: int) -> int | None:
    """Return the multiple of a step nearest to a time, strictly inside a range, or `None` if the range has none."""
    first, last = wanted.start // step + 1, -(-wanted.end // step) - 1
    return min(max(round(at / step), first), last) * step if first <= last else None


def cut_for(
    wanted: Range,
    target: float,
    expect: Callable[[Range], float],
    *,
    from_end: bool,
    step: int = SECOND,
    most: float = inf,
) -> int | None:
    """Return where to cut a range so that its near end is expected to hold about so many records; `None` if it cannot be cut.

    Args:
        wanted: The range.
        target: How many records.
        expect: Returns how many records a range may hold.
        from_end: Whether the near end is the later one.
        step: Where cuts may lie, in microseconds: at its multiples.
        most: How many records the near end may be expected to hold at most, unless no cut leaves so few. Not below the target.
    """
    first, last = wanted.start // step + 1, -(-wanted.end // step) - 1
    if first > last:
        return None

    def expected(cut: int) -> float:
        at = cut * step
        return expect(Range(at, wanted.end) if from_end else Range(wanted.start, at))

    # From the near end on.
    cuts = range(last, first - 1, -1) if from_end else range(first, last + 1)
    place = bisect_left(cuts, target, key=expected)
    beside = cuts[max(0, place - 1) : place + 1]
    return step * min(beside, key=lambda cut: (expected(cut) > most, abs(expected(cut) - target)))


def even_size(expected: float, target: float) -> float:
    """Return the size of pieces that are all alike, and none above the target."""
    return expected / ceil(expected / target) if expected > target else expected
