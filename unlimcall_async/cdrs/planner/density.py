"""How many records a range may hold: estimates, by which parts are cut. A wrong one costs requests, never a record.

Pure: no I/O. There are two sources. What was covered lately gives a density. And if a server gives any rows of a window, the
rows of a full page lie as the records of the window do: they are a sample, and each of them stands for several records. (For a
server that gives first what ended first, or last, see `durations`.)

The constants were tuned by `benchmarks/requests.py`, which counts requests for six kinds of traffic and four server orders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from attrs import define, field, frozen

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.times import MILLISECOND, WIDEST, Range

# The density is half forgotten after so many rows, or so much time: long enough for bursts, days and weeks to even out, short
# enough to follow growth.
_ROWS_OF_MEMORY: Final = 100_000
_TIME_OF_MEMORY: Final = WIDEST
# What a local density keeps after a range without a record: a burst is over.
_KEPT_AFTER_NOTHING: Final = 0.05
# The weight of the first estimate of a sample's scale, in rows: little, because this estimate is off by a factor of two or three.
_FIRST_WEIGHT: Final = 5
# Guesses that are remembered, and those to begin with, which are far off to either side.
_GUESSES, _FIRST_GUESSES = 40, (0.3, 0.6, 1.0, 1.0, 1.6)
# The sizes that are weighed against each other, in pages; and the share of a page that a full page still yields once it is cut.
_SIZES: Final = tuple(0.6 * 1.1**step for step in range(28))
_YIELD: Final = 0.97


@define(eq=False)
class Density:
    """Records per microsecond, lately.

    A local density is that of a neighbourhood. It is half forgotten with each range, so that parts grow fast after a burst.

    Attributes:
        ranges: How many ranges it has learned since it was known.
    """

    _rows: float = 0.0
    _micros: float = 0.0
    _local: bool = field(default=False, alias="local")
    ranges: int = 0

    @classmethod
    def near(cls, rows: int, micros: int) -> Self:
        """Return the local density of a range that held so many rows."""
        return cls(rows, micros, local=True)

    def learn(self, rows: int, micros: int) -> None:
        """Record how many rows a range of so many microseconds held."""
        kept: float = 0.5 ** (rows / _ROWS_OF_MEMORY + micros / _TIME_OF_MEMORY)
        if self._local:
            if not self.known:
                return
            kept = 0.5 if rows else _KEPT_AFTER_NOTHING
        self._rows = self._rows * kept + rows
        self._micros = self._micros * kept + micros
        self.ranges += 1

    def forget(self) -> None:
        """Drop everything: what comes next is unlike what came before."""
        self._rows = self._micros = 0.0
        self.ranges = 0

    @property
    def known(self) -> bool:
        """Whether anything was learned."""
        return self._micros > 0

    def expect(self, wanted: Range) -> float:
        """Return how many records a range may hold; 0 if nothing is known."""
        return self._rows / self._micros * len(wanted) if self._micros else 0.0


@define(eq=False)
class Sample:
    """Rows of a window that held more of them.

    Attributes:
        starts: When they start, in microseconds, sorted.
        scale: How many records each of them stands for.
        beyond: Records per microsecond before the first and after the last of them.
        outer: The sample by which their window was cut, if any.
        ranges: How many ranges have shown how many records a row stands for.
    """

    starts: list[int]
    scale: float
    beyond: float
    outer: Sample | None = None
    ranges: int = field(init=False, default=0)
    _weight: float = _FIRST_WEIGHT
    _sum: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._sum = self.scale * self._weight

    @classmethod
    def of(cls, starts: Sequence[int], wanted: Range, expected: float) -> Self:
        """Return the sample that the rows of a page are of a range that may hold so many records.

        Args:
            starts: When the rows start, in microseconds.
            wanted: The range.
            expected: How many records it may hold.
        """
        ordered = sorted(filter(wanted.holds, starts))
        if not ordered:
            return cls([], 1.0, expected / max(1, len(wanted)))
        span = (ordered[-1] - ordered[0] + MILLISECOND) / max(1, len(wanted))
        within = max(len(ordered), expected * span)
        return cls(ordered, within / len(ordered), expected / max(1, len(wanted)))

    @property
    def learned(self) -> bool:
        """Whether a range has shown how many records a row stands for."""
        return self.ranges > 0

    def learns_from(self, other: Sample | None) -> bool:
        """Return whether this sample learns what comes of a part that was cut by another sample."""
        while other is not None and other is not self:
            other = other.outer
        return other is self

    def count(self, wanted: Range) -> int:
        """Return how many of the rows lie in a range."""
        return bisect_left(self.starts, wanted.end) - bisect_left(self.starts, wanted.start)

    def expect(self, wanted: Range) -> float:
        """Return how many records a range may hold."""
        if not self.starts:
            return self.beyond * len(wanted)
        first, last = self.starts[0], self.starts[-1]
        inside = max(0, min(wanted.end, last) - max(wanted.start, first))
        return self.scale * self.count(wanted) + self.beyond * (len(wanted) - inside)

    def learn_least(self, wanted: Range, rows: float) -> None:
        """Record that a range holds so many records, or more.

        Once the sample has learned, that is ignored: of many pieces just those are full that hold more than others, and the ranges
        that they are cut into will tell how many.
        """
        if not self.learned and (sampled := self.count(wanted)):
            self._sum = max(self._sum, rows / sampled * self._weight)
            self.scale = self._sum / self._weight

    def learn(self, wanted: Range, rows: int) -> None:
        """Record how many records a range held."""
        sampled = self.count(wanted)
        if self.outer is not None:
            self.outer.learn(wanted, rows)
        if sampled:
            self.ranges += 1
            self._weight += sampled
            self._sum += rows
            self.scale = max(1.0, self._sum / self._weight)
        else:
            # Halved at least after a range without records, so that parts grow until a record comes.
            self.beyond = (self.beyond + rows / len(wanted)) / 2


@frozen
class Prediction:
    """What the estimates of `forecast` expected of a range when it was asked, in records.

    Attributes:
        range: The range.
        rhythm: By the hours of the week.
        trend: By the hours of the week, and the growth.
        base: By the better of these two.
        sample: By a sample, if there is one.
    """

    range: Range
    rhythm: float
    trend: float
    base: float
    sample: float | None


@frozen
class Hints:
    """What is known of how the records of a part lie. By hints a part is cut; a wrong one costs requests, never a record.

    Attributes:
        sample: Rows of a page that was not complete.
        density: What the neighbours of the part held, if they say more than what was covered lately.
        expected: How many records the part should hold, if it was cut to fill a page; else 0.
        depth: How many pages are held behind the part, in the chain of pages that goes on with it.
        searched: Whether the part was cut to find a row without a start.
        hole: The server order by which a page says that the part holds no records; `None` if no page says so.
        dense: Whether the part comes from a dense page, or is expected to be dense, so that finer margins pay (`gauge`).
        doubts: How many pages with finer margins were not believed, of the part and of those that the part was cut from.
        doubted: The page of the part, or of one that the part was cut from, that had finer margins and was not believed.
        prediction: What was expected of the part when it was asked.
    """

    sample: Sample | None = None
    density: Density | None = None
    expected: float = 0.0
    depth: int = 0
    searched: bool = False
    hole: bool | None = None
    dense: bool = False
    doubts: int = 0
    doubted: Page | None = None
    prediction: Prediction | None = None


class PastGuesses:
    """How far off local densities were lately, and so how much to ask for at once by the next one."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(_FIRST_GUESSES, maxlen=_GUESSES)
        self._best: float | None = None

    def learn(self, expected: float, came: float) -> None:
        """Record how many records were expected of a part, and how many came."""
        self._ratios.append(came / max(1.0, expected))
        self._best = None

    @property
    def best(self) -> float:
        """How many pages to ask for at once: the size that would have paid best with the past guesses."""
        if self._best is None:
            self._best = max(_SIZES, key=self._yield_of)
        return self._best

    def _yield_of(self, pages: float) -> float:
        """Return how much of a page each request would have brought, if a page that is full costs another request."""
        held = [ratio * pages for ratio in self._ratios]
        full = sum(each > 1 for each in held)
        return (sum(each for each in held if each <= 1) + _YIELD * full) / (len(held) + full)
