"""How late records come: the time from their start until they show.

Pure: no I/O. A record that shows in time that was asked before came after that poll, so it was late by the time from its start
until that poll, at least. The first poll over some time says nothing: its records may have been there long.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, log2
from typing import Final

from unlimcall_async.cdrs.times import SECOND

# Steps of the histogram to a doubling of the time: a quantile is right to some 9 %.
_STEPS: Final = 8


class Lateness:
    """How late the records of a follow came, in memory that does not grow with them.

    Attributes:
        count: How many records came late.
        latest: By how many microseconds the latest of them was late, at least.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self.latest: int = 0
        # How many records were late by at most 2 ** (key / _STEPS) seconds.
        self._histogram = Counter[int]()

    def add(self, late: int) -> None:
        """Count a record that was late by so many microseconds, if it was."""
        if late <= 0:
            return
        self.count += 1
        self.latest = max(self.latest, late)
        self._histogram[ceil(log2(late / SECOND) * _STEPS)] += 1

    def within(self, share: float) -> float | None:
        """Return within how many seconds a share of the late records came, or `None` if none was late."""
        wanted, found = share * self.count, 0
        for step, count in sorted(self._histogram.items()):
            found += count
            if found >= wanted:
                return float(min(2 ** (step / _STEPS), self.latest / SECOND))
        return None
