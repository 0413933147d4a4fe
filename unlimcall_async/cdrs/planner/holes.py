"""Holes: stretches between two rows of a page that are too long to be chance.

Pure: no I/O. `traffic` decides whether rows may be missing in a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice, pairwise
from operator import sub
from typing import Final

from unlimcall_async.cdrs.times import Range, to_micros

# A hole in which fewer records are expected is chance: of a million records, some ten lie at such a distance from the next.
CHANCE: Final = 16
# Rows from one that is looked at to the next. If calls come evenly, the span of so many rows is hardly ever as long as a hole.
_STRIDE: Final = CHANCE // 2


def holes_in(starts: Sequence[datetime]) -> list[Range]:
    """Return the stretches between two rows of a page that are too long to be chance, by all rows of the page.

    Args:
        starts: When the rows start, the oldest first.
    """
    if not starts:
        return []
    least = (starts[-1] - starts[0]) * (CHANCE / (len(starts) + CHANCE))
    # A hole makes the whole stride long that it lies in. So most rows are not looked at, and few strides can be that long.
    ends = [*starts[::_STRIDE], starts[-1]]
    long = [number for number, length in enumerate(lengths(ends)) if length > least]
    return [
        Range(to_micros(before), to_micros(behind))
        for number in long
        for before, behind in pairwise(starts[number * _STRIDE : (number + 1) * _STRIDE + 1])
        if behind - before > least
    ]


def lengths(starts: Sequence[datetime]) -> list[timedelta]:
    """Return the time from each start to the next one. A page has a thousand, so no loop of Python goes over them."""
    return [*map(sub, islice(starts, 1, None), starts)]
