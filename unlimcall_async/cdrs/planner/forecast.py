"""Forecasts: how many records a range of a server that does not sort may hold, by what has predicted best lately.

Pure: no I/O. A wrong forecast costs requests, never a record.

Theory. A page of a server that does not sort is worth most if its window nearly fills it, and is lost if the window holds more. So
what counts is how far off an estimate mostly is. Three are compared: the hours of the week, as they were so far; the rows of a page
that was not complete, which are a sample; and the mean of both. Each part that was read tells what each of them had expected, and
so what size of window would have paid best. Even traffic, and traffic that comes week after week alike, need no samples at all.
Bursts need them.

The constants were tuned by `benchmarks/requests.py --orders arbitrary`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

from unlimcall_async.cdrs.planner.density import Sample
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range

_HOUR: Final = 3600 * SECOND
_HOURS: Final = 7 * 24
_WEEK: Final = _HOURS * _HOUR
# What is known of an hour counts as much as so many rows that lie as the whole week does: enough to even chance out.
_ROWS_OF_PRIOR: Final = 20
# The rate is half forgotten after so many rows, or so much time, busy as it usually is.
_ROWS_OF_MEMORY: Final = 6_000
_TIME_OF_MEMORY: Final = WIDEST
# How far off estimates are taken to be before any was compared: a sample of eight pages, and the hours of the week.
_OF_A_SAMPLE: Final = (0.84, 0.9, 0.95, 1.0, 1.0, 1.05, 1.1, 1.16)
_OF_A_WEEK: Final = (0.3, 0.6, 1.0, 1.0, 1.6)
# Forecasts that are remembered, and the sizes that are weighed against each other, in pages.
_REMEMBERED: Final = 40
_SIZES: Final = tuple(0.5 + 0.03 * step for step in range(18))
# An estimate by which this many times as many records come, or by which as many times less, is of no use.
_FAR_OFF: Final = 3
# Parts that hold less than this share of a page tell too little.
_LEAST_TO_LEARN: Final = 0.25
# What is left of a window that was full is cut into pieces that fill so much of a page.
_AFTER_FULL: Final = 0.75
# A window that is sampled holds so many pages.
GROUP: Final = 8
# If a row of a sample stands for fewer records than this, the sample says more than anything else.
_FINE: Final = 3


class Rhythm:
    """Records by the hour of the week, and how frequent they are lately."""

    def __init__(self) -> None:
        self._rows, self._micros = [0.0] * _HOURS, [0.0] * _HOURS
        # How busy an hour is, and how busy all hours before it are together; the whole week has the weight of its length.
        self._busy, self._before = [1.0] * _HOURS, [float(hour * _HOUR) for hour in range(_HOURS + 1)]
        self._lately_rows = self._lately_weight = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was learned."""
        return self._lately_weight > 0

    def weight(self, wanted: Range) -> float:
        """Return the length of a range in microseconds, each of them as much as it is busier than others."""
        return self._weight_to(wanted.end) - self._weight_to(wanted.start)

    def _weight_to(self, at: int) -> float:
        weeks, left = divmod(at, _WEEK)
        hour, rest = divmod(left, _HOUR)
        return weeks * self._before[-1] + self._before[hour] + rest * self._busy[hour]

    def expect(self, wanted: Range) -> float:
        """Return how many records a range may hold; 0 if nothing is known."""
        return self._lately_rows / self._lately_weight * self.weight(wanted) if self.known else 0.0

    def learn(self, wanted: Range, starts: Sequence[int]) -> None:
        """Record when the records of a range start, in microseconds."""
        for at in starts:
            self._rows[at % _WEEK // _HOUR] += 1
        at = wanted.start
        while at < wanted.end:
            hour_end = min(wanted.end, at - at % _HOUR + _HOUR)
            self._micros[at % _WEEK // _HOUR] += hour_end - at
            at = hour_end
        self._weigh()
        weight = self.weight(wanted)
        kept: float = 0.5 ** (len(starts) / _ROWS_OF_MEMORY + weight / _TIME_OF_MEMORY)
        self._lately_rows = self._lately_rows * kept + len(starts)
        self._lately_weight = self._lately_weight * kept + weight

    def _weigh(self) -> None:
        rate = max(sum(self._rows), 1.0) / sum(self._micros)
        busy = [
            (rows + _ROWS_OF_PRIOR) / (micros * rate + _ROWS_OF_PRIOR)
            for rows, micros in zip(self._rows, self._micros, strict=True)
        ]
        even = _HOURS / sum(busy)
        self._busy = [each * even for each in busy]
        for hour, each in enumerate(self._busy):
            self._before[hour + 1] = self._before[hour] + each * _HOUR


class TrackRecord:
    """How far off an estimate was lately, and so how much to ask for at once by it.

    Attributes:
        best: How many pages to ask for at once: the size that would have paid best.
        paid: How much of a page each request would have brought then.
    """

    best: float
    paid: float

    def __init__(self, first: Sequence[float]) -> None:
        self._ratios = deque(first, maxlen=_REMEMBERED)
        self._weigh()

    def learn(self, expected: float, came: float) -> None:
        """Record how many records were expected of a part, and how many came."""
        ratio = came / max(1.0, expected)
        # An estimate that is far off pays nothing, to either side: a window in a burst would only be another sample.
        self._ratios.append(ratio if 1 / _FAR_OFF < ratio < _FAR_OFF else 0.0)
        self._weigh()

    def _weigh(self) -> None:
        self.paid, self.best = max((self._paid_by(size), size) for size in _SIZES)

    def _paid_by(self, pages: float) -> float:
        held = [ratio * pages for ratio in self._ratios]
        # A window that is full is lost, and its pieces are asked.
        requests = sum(1 if each <= 1 else 1 + max(2, ceil(each / _AFTER_FULL)) for each in held)
        return sum(held) / requests


class Forecast:
    """The estimates, and how far off each of them was lately."""

    def __init__(self, page: int) -> None:
        self._page = page
        self._rhythm = Rhythm()
        self._by_rhythm = TrackRecord(_OF_A_WEEK)
        self._by_sample, self._by_both = TrackRecord(_OF_A_SAMPLE), TrackRecord(_OF_A_SAMPLE)

    @property
    def is_good(self) -> bool:
        """Whether the hours of the week predict so well that samples cost more than they save."""
        paid = max(self._by_sample.paid, self._by_both.paid)
        # Each page by a sample costs its share of the request for the sample, too. No estimate may pay anything.
        return self._by_rhythm.paid * (GROUP + paid) > GROUP * paid

    def learn(self, wanted: Range, rows: float, sample: Sample | None) -> None:
        """Record how many records a range held, or how many it holds at least."""
        if not self._rhythm.known:
            return
        least = _LEAST_TO_LEARN * self._page
        by_rhythm = self._rhythm.expect(wanted)
        by_sample = by_rhythm if sample is None else sample.expect(wanted)
        if max(by_rhythm, by_sample, rows) < least:
            return
        self._by_rhythm.learn(by_rhythm, rows)
        if sample is not None and sample.scale > _FINE:
            self._by_sample.learn(by_sample, rows)
            self._by_both.learn((by_rhythm + by_sample) / 2, rows)

    def note(self, wanted: Range, starts: Sequence[int]) -> None:
        """Record when the records of a range start, in microseconds."""
        self._rhythm.learn(wanted, starts)

    def best(self, sample: Sample | None) -> tuple[Callable[[Range], float], float] | None:
        """Return the estimate to cut by, and how many records to ask for at once by it: a page, or a group to be sampled.

        Returns `None` if nothing is known yet, or if nothing says more than the sample.
        """
        if not self._rhythm.known or (sample is not None and sample.scale <= _FINE):
            return None
        rhythm = self._rhythm.expect
        if sample is not None:

            def both(wanted: Range) -> float:
                return (sample.expect(wanted) + rhythm(wanted)) / 2

            way, estimate = max(((self._by_both, both), (self._by_rhythm, rhythm)), key=lambda each: each[0].paid)
            return (estimate, way.best * self._page) if way.paid > self._by_sample.paid else None
        return rhythm, (self._by_rhythm.best if self.is_good else GROUP) * self._page
