"""Where to cut a range: the sizes of pieces, and the times between them.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, floor


def multiple_inside(wanted: Range, at: float, step: int) -> int | None:
    """Return the multiple of a step nearest to a time, strictly inside a range, or `None` if the range has none."""
    first, last = wanted.start // step + 1, -(-wanted.end // step) - 1
    return min(max(round(at / step), first), last) * step if first <= last else None


def cut_for(
    wanted: Range, target: float, expect: Callable[[Range], float], *, from_end: bool, step: int = SECOND
) -> int | None:
    """Return where to cut a range so that its near end is expected to hold so many records; `None` if it cannot be cut.

    Args:
        wanted: The range.
        target: How many records.
        expect: Returns how many records a range may hold.
        from_end: Whether the near end is the later one.
        step: Where cuts may lie, in microseconds: at its multiples.
    """
    low, high = 0, len(wanted)
    while high - low > step:
        middle = floor((low + high) // 2, MILLISECOND)
        near = Range(wanted.end - middle, wanted.end) if from_end else Range(wanted.start, wanted.start + middle)
        if expect(near) < target:
            low = middle
        else:
            high = middle
    return multiple_inside(wanted, wanted.end - low if from_end else wanted.start + low, step)


def even_size(expected: float, target: float) -> float:
    """Return the size of pieces that are all alike, and none above the target."""
    return expected / ceil(expected / target) if expected > target else expected
