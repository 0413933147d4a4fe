"""How many records a range may hold: guesses, by which ranges are cut. A wrong one costs requests, never a record.

Pure: no I/O. There are two sources. What was covered lately gives a density. The rows of a full page lie as the records of its
window do where the server gives any of them: they are a sample, and each stands for several. (Where it gives the first by some
order, see `durations`.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from attrs import define, field

from unlimcall_async.cdrs.instants import WIDEST, Range

# What is known of the density is half forgotten after so many rows, or so much time: long enough for bursts, days and weeks to even
# out, short enough to follow growth.
_ROWS_OF_MEMORY: Final = 100_000
_TIME_OF_MEMORY: Final = WIDEST
# A local density keeps only so much where nothing was found: a burst is over.
_AFTER_NONE: Final = 0.05
# The weight of a first guess, in rows of a sample: about as many as make a quantile worth something.
_FIRST_GUESS: Final = 20
# Guesses that are remembered, and those to begin with, which are far off to either side.
_GUESSES, _FIRST_GUESSES = 40, (0.3, 0.6, 1.0, 1.0, 1.6)
# The sizes that are weighed against each other, in pages; and what a page that is full yields once it is cut.
_TRIED: Final = tuple(0.6 * 1.1**step for step in range(28))
_YIELD: Final = 0.97


@define(eq=False)
class Density:
    """Records per millisecond, lately.

    A local one is of what is near by: it is half forgotten with each range, so that pieces grow fast where a burst has ended.

    Attributes:
        told: How many ranges it was told of, since it was known.
    """

    _rows: float = 0.0
    _millis: float = 0.0
    _local: bool = field(default=False, alias="local")
    told: int = 0

    @classmethod
    def near(cls, rows: int, millis: int) -> Self:
        """Give the local density of a range that held so many rows."""
        return cls(rows, millis, local=True)

    def add(self, rows: int, millis: int) -> None:
        """Say that a range held so many rows."""
        kept: float = 0.5 ** (rows / _ROWS_OF_MEMORY + millis / _TIME_OF_MEMORY)
        if self._local:
            kept = 0.5 if rows else _AFTER_NONE
        if self._local and not self.known:
            return
        self._rows = self._rows * kept + rows
        self._millis = self._millis * kept + millis
        self.told += 1

    def forget(self) -> None:
        """Say that it is no longer so."""
        self._rows = self._millis = 0.0
        self.told = 0

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self._millis > 0

    def expect(self, wanted: Range) -> float:
        """How many records a range may hold; none where nothing is known."""
        return self._rows / self._millis * len(wanted) if self._millis else 0.0


@define(eq=False)
class Sample:
    """Rows of a window that held more of them.

    Attributes:
        instants: When they start, in milliseconds, in order.
        scale: How many records each of them stands for.
        beyond: Records per millisecond before the first and after the last of them.
        outer: The sample by which their window was cut, if any.
    """

    instants: list[int]
    scale: float
    beyond: float
    outer: Sample | None = None
    _weight: float = _FIRST_GUESS
    _sum: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._sum = self.scale * self._weight

    @property
    def learned(self) -> bool:
        """Whether a range has shown how many records a row stands for."""
        return self._weight > _FIRST_GUESS

    def tells(self, other: Sample | None) -> bool:
        """Whether what comes of a part with another sample is told to this one too."""
        while other is not None and other is not self:
            other = other.outer
        return other is self

    def count(self, wanted: Range) -> int:
        """How many of its rows lie within a range."""
        return bisect_left(self.instants, wanted.end) - bisect_left(self.instants, wanted.start)

    def expect(self, wanted: Range) -> float:
        """How many records a range may hold."""
        if not self.instants:
            return self.beyond * len(wanted)
        first, last = self.instants[0], self.instants[-1]
        inside = max(0, min(wanted.end, last) - max(wanted.start, first))
        return self.scale * self.count(wanted) + self.beyond * (len(wanted) - inside)

    def at_least(self, wanted: Range, rows: float) -> None:
        """Say that a range holds so many records, or more."""
        if sampled := self.count(wanted):
            self._sum = max(self._sum, rows / sampled * self._weight)
            self.scale = self._sum / self._weight

    def learn(self, wanted: Range, rows: int) -> None:
        """Say how many records a range held."""
        sampled = self.count(wanted)
        if self.outer is not None:
            self.outer.learn(wanted, rows)
        if sampled:
            self._weight += sampled
            self._sum += rows
            self.scale = max(1.0, self._sum / self._weight)
        else:
            # Halved at least where nothing is, so that pieces grow until something is.
            self.beyond = (self.beyond + rows / len(wanted)) / 2


def sample_of(instants: Sequence[int], wanted: Range, expected: float) -> Sample:
    """Take the rows of a page, in milliseconds, for a sample of a range that may hold so many records."""
    ordered = sorted(at for at in instants if wanted.start <= at < wanted.end)
    if not ordered:
        return Sample([], 1.0, expected / max(1, len(wanted)))
    span = (ordered[-1] - ordered[0] + 1) / max(1, len(wanted))
    within = max(len(ordered), expected * span)
    return Sample(ordered, within / len(ordered), expected / max(1, len(wanted)))


class Guesses:
    """How far off local densities were lately, and so how much to ask for at once by the next."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(_FIRST_GUESSES, maxlen=_GUESSES)
        self._best: float | None = None

    def learn(self, expected: float, came: float) -> None:
        """Say how many records were expected, and how many there were."""
        self._ratios.append(came / max(1.0, expected))
        self._best = None

    @property
    def best(self) -> float:
        """How many pages to ask for: as many as would have paid best."""
        if self._best is None:
            self._best = max(_TRIED, key=self._pays)
        return self._best

    def _pays(self, pages: float) -> float:
        """How much of a page would have come for each request, if a page that is full costs another one."""
        held = [ratio * pages for ratio in self._ratios]
        full = sum(each > 1 for each in held)
        return (sum(each for each in held if each <= 1) + _YIELD * full) / (len(held) + full)
