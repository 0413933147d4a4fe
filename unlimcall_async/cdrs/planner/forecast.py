"""Forecasts: how many records a range of a server that does not sort may hold, by what has predicted best lately.

Pure: no I/O. A wrong forecast costs requests, never a record.

Theory. A page of a server that does not sort is worth most if its window nearly fills it, and is lost if the window holds more. So
what counts is how far off an estimate mostly is. Four are compared: the hours of the week, as they were so far; the same with the
growth of the last weeks, which matters if many windows are under way at once; the rows of a page that was not complete, which are a
sample; and the mean of the sample and the better of the first two. Each part that was read tells how far off each of them was when
the part was asked, and so what size of window would have paid best. Even traffic, and traffic that comes alike each week, need no
samples at all. Bursts do.

The constants were tuned by `benchmarks/requests.py --orders arbitrary`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import ceil, exp, log
from typing import Final, TypeAlias

from unlimcall_async.cdrs.planner.density import Prediction, Sample
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range

_HOUR: Final = 3600 * SECOND
_HOURS: Final = 7 * 24
_WEEK: Final = _HOURS * _HOUR
# What is known of an hour counts as much as so many rows that lie as the whole week does: enough to even chance out.
_ROWS_OF_PRIOR: Final = 20
# The rate is half forgotten after so many rows, or so much time, busy as it usually is.
_ROWS_OF_MEMORY: Final = 6_000
_TIME_OF_MEMORY: Final = WIDEST
# How many times as long the memory is with which the growth is found, and that by which windows to be sampled are cut.
_LONGER: Final = 4
# A trend is followed up to so many times as many records, as a logarithm.
_MOST_GROWTH: Final = 1.1
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
# A window that is sampled holds so many pages. Beside the request for its sample, it costs half a page that is left over.
GROUP: Final = 12
_COST_OF_GROUP: Final = 1.5
# An estimate that pays so much of a page for each request also tells how wide a window to sample.
_GOOD_FOR_GROUPS: Final = 0.55
# If a row of a sample stands for fewer records than this, the sample says more than anything else.
_FINE: Final = 3


Estimate: TypeAlias = Callable[[Range], float]


class _Mean:
    """How frequent records are, and around what time, of what was learned and not forgotten.

    Attributes:
        rows: The records.
        weight: The time that held them, busy as it usually is, in microseconds.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._moment = 0.0
        self.rows: float = 0.0
        self.weight: float = 0.0

    @property
    def rate(self) -> float:
        """Records per microsecond; 0 if nothing is known."""
        return self.rows / self.weight if self.weight else 0.0

    @property
    def middle(self) -> float:
        """The time around which the rate was learned."""
        return self._moment / self.weight

    def learn(self, rows: int, weight: float, wanted: Range) -> None:
        """Record how many records a range held, which has a weight."""
        kept: float = 0.5 ** ((rows / _ROWS_OF_MEMORY + weight / _TIME_OF_MEMORY) / self._memory)
        self.rows = self.rows * kept + rows
        self.weight = self.weight * kept + weight
        self._moment = self._moment * kept + weight * _middle_of(wanted)


class Rhythm:
    """Records by the hour of the week, and how frequent they are lately."""

    def __init__(self) -> None:
        self._rows, self._micros = [0.0] * _HOURS, [0.0] * _HOURS
        # How busy an hour is, and how busy all hours before it are together; the whole week has the weight of its length.
        self._busy, self._before = [1.0] * _HOURS, [float(hour * _HOUR) for hour in range(_HOURS + 1)]
        self._lately, self._longer = _Mean(1), _Mean(_LONGER)

    @property
    def known(self) -> bool:
        """Whether anything was learned."""
        return self._lately.weight > 0

    def weight(self, wanted: Range) -> float:
        """Return the length of a range in microseconds, each of them as much as it is busier than others."""
        return self._weight_to(wanted.end) - self._weight_to(wanted.start)

    def _weight_to(self, at: int) -> float:
        weeks, left = divmod(at, _WEEK)
        hour, rest = divmod(left, _HOUR)
        return weeks * self._before[-1] + self._before[hour] + rest * self._busy[hour]

    def expect(self, wanted: Range) -> float:
        """Return how many records a range may hold; 0 if nothing is known."""
        return self._lately.rate * self.weight(wanted)

    def expect_long(self, wanted: Range) -> float:
        """Return the same by a longer memory, which bursts and pauses mislead less."""
        return self._longer.rate * self.weight(wanted)

    def expect_growth(self, wanted: Range) -> float:
        """Return the same if records go on to become more frequent, or less, as they lately did."""
        expected, lately, longer = self.expect(wanted), self._lately, self._longer
        if not expected or abs(between := lately.middle - longer.middle) < _HOUR:
            return expected
        growth = log(lately.rate / longer.rate) / between * (_middle_of(wanted) - lately.middle)
        return expected * exp(max(-_MOST_GROWTH, min(_MOST_GROWTH, growth)))

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
        for mean in (self._lately, self._longer):
            mean.learn(len(starts), weight, wanted)

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
        self._by_rhythm, self._by_trend = TrackRecord(_OF_A_WEEK), TrackRecord(_OF_A_WEEK)
        self._by_sample, self._by_both = TrackRecord(_OF_A_SAMPLE), TrackRecord(_OF_A_SAMPLE)

    @property
    def is_good(self) -> bool:
        """Whether the hours of the week predict so well that samples cost more than they save."""
        paid = max(self._by_sample.paid, self._by_both.paid)
        # Each page by a sample costs its share of what the sample costs, too. No estimate may pay anything.
        return self._base[0].paid * (GROUP + _COST_OF_GROUP * paid) > GROUP * paid

    @property
    def _base(self) -> tuple[TrackRecord, Estimate]:
        """The better of the estimates that need no sample."""
        if self._by_trend.paid > self._by_rhythm.paid:
            return self._by_trend, self._rhythm.expect_growth
        return self._by_rhythm, self._rhythm.expect

    def predict(self, wanted: Range, sample: Sample | None) -> Prediction | None:
        """Return what each estimate expects of a range that is asked now, or `None` if nothing is known."""
        if not self._rhythm.known:
            return None
        by_sample = sample.expect(wanted) if sample is not None and sample.scale > _FINE else None
        rhythm, trend = self._rhythm.expect(wanted), self._rhythm.expect_growth(wanted)
        return Prediction(wanted, rhythm, trend, self._base[1](wanted), by_sample)

    def learn(self, prediction: Prediction, rows: float) -> None:
        """Record how many records the range of a prediction held, or how many it holds at least."""
        sample = prediction.sample
        if max(prediction.rhythm, sample or 0, rows) < _LEAST_TO_LEARN * self._page:
            return
        self._by_rhythm.learn(prediction.rhythm, rows)
        self._by_trend.learn(prediction.trend, rows)
        if sample is not None:
            self._by_sample.learn(sample, rows)
            self._by_both.learn((prediction.base + sample) / 2, rows)

    def note(self, wanted: Range, starts: Sequence[int]) -> None:
        """Record when the records of a range start, in microseconds."""
        self._rhythm.learn(wanted, starts)

    def best(self, sample: Sample | None) -> tuple[Estimate, float] | None:
        """Return the estimate to cut by, and how many records to ask for at once by it: a page, or a group to be sampled.

        Returns `None` if nothing is known yet, or if nothing says more than the sample.
        """
        if not self._rhythm.known or (sample is not None and sample.scale <= _FINE):
            return None
        record, base = self._base
        if sample is not None:

            def both(wanted: Range) -> float:
                return (sample.expect(wanted) + base(wanted)) / 2

            way, estimate = max(((self._by_both, both), (record, base)), key=lambda each: each[0].paid)
            return (estimate, way.best * self._page) if way.paid > self._by_sample.paid else None
        if self.is_good:
            return base, record.best * self._page
        return base if record.paid > _GOOD_FOR_GROUPS else self._rhythm.expect_long, GROUP * self._page


def _middle_of(wanted: Range) -> float:
    return (wanted.start + wanted.end) / 2
