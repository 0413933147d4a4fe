"""How many records a range may hold: guesses, by which ranges are cut. A wrong one costs requests, never a record.

Pure: no I/O. There are two sources. What was covered lately gives a density. The rows of a full page lie as the records of its
window do: where the server gives any of them, they are a sample, and each stands for several; where it gives the first by some
order, they are all there is between the first and the last of them, and say nothing of the rest.
"""

from __future__ import annotations

from bisect import bisect_left
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


@define(eq=False)
class Density:
    """Records per millisecond, lately.

    A local one is of what is near by: it is half forgotten with each range, so that pieces grow fast where a burst has ended.
    """

    _rows: float = 0.0
    _millis: float = 0.0
    _local: bool = field(default=False, alias="local")

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

    def forget(self) -> None:
        """Say that it is no longer so."""
        self._rows = self._millis = 0.0

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
        peeled: Whether they are nearly all that there is between them.
    """

    instants: list[int]
    scale: float
    beyond: float
    peeled: bool = False
    _weight: float = _FIRST_GUESS
    _sum: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._sum = self.scale * self._weight

    @property
    def span(self) -> int:
        """The time from the first to the last of them."""
        return self.instants[-1] - self.instants[0] if self.instants else 0

    @property
    def learned(self) -> bool:
        """Whether a range has shown how many records a row stands for."""
        return self._weight > _FIRST_GUESS

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

    def learn(self, wanted: Range, rows: int) -> None:
        """Say how many records a range held."""
        sampled = self.count(wanted)
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
