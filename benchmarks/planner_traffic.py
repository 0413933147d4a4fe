"""When the calls of a year start, and how long they last: numbers only, the same on every run.

A kind of traffic is a list of spans, each with a weight: its share of the calls. Within a span calls start anywhere. That is all
a planner can feel of traffic: how many records lie where.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from math import exp, fsum, log
from random import Random
from typing import Final, NamedTuple, TypeAlias

from unlimcall_async.cdrs.times import MILLISECOND, Range

# All times here are whole milliseconds, as the API writes them.
SECOND: Final = 1000
_MINUTE: Final = 60 * SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

# 2025, in UTC. It began on a Wednesday, the third day of a week.
_START, _END = 1_735_689_600_000, 1_767_225_600_000
_LENGTH: Final = _END - _START
_DAYS: Final = _LENGTH // _DAY
_FIRST_WEEKDAY: Final = 2
# The same year, as the planner takes it.
YEAR: Final = Range(_START * MILLISECOND, _END * MILLISECOND)

# Calls that start in one second, on average over a span: more than any dialer places. A second that fills a page is another
# test's subject, and one that nearly does would measure the margins of the windows instead of the planner.
_MOST_PER_SECOND: Final = 50


class Span(NamedTuple):
    """Some time in which calls are spread evenly."""

    start: int
    length: int
    weight: float


Kind: TypeAlias = Callable[[Random], Iterator[Span]]


def _uniform(_: Random) -> Iterator[Span]:
    yield Span(_START, _LENGTH, 1.0)


def _growth(_: Random) -> Iterator[Span]:
    """Fifty times as dense at the end as at the beginning."""
    for start in range(_START, _END, _HOUR):
        yield Span(start, _HOUR, exp(log(50) * (start - _START) / _LENGTH))


# Calls by half hours of the local day, from 07:00 to 20:30, with lunch between 12:00 and 13:30.
_LOAD: Final = (1, 2, 5, 8, 10, 11, 12, 12, 11, 10, 7, 5, 6, 9, 11, 12, 11, 11, 10, 8, 5, 4, 4, 3, 3, 2, 1)
_NIGHT: Final = 0.05
_WEEKEND: Final = 0.02
# Hours from UTC, and share of the calls: London, New York, Manila. Summer time would change nothing here.
_ZONES: Final = ((0, 0.5), (-5, 0.35), (8, 0.15))


def _call_centre(chance: Random) -> Iterator[Span]:
    """People at work in three time zones: a lunch break, quiet weekends, good days and bad ones, and noise by the minute."""
    days = [[chance.lognormvariate(0, 0.15) for _ in range(_DAYS + 2)] for _ in _ZONES]
    for start in range(_START, _END, _HOUR // 2):
        load = sum(share * _at_work(start + hours * _HOUR, days[zone]) for zone, (hours, share) in enumerate(_ZONES))
        for minute in range(start, start + _HOUR // 2, _MINUTE):
            yield Span(minute, _MINUTE, load * chance.lognormvariate(0, 0.35))


def _at_work(local: int, days: list[float]) -> float:
    day, time = divmod(local - _START, _DAY)
    place = time // (_HOUR // 2) - 14
    load = _LOAD[place] if 0 <= place < len(_LOAD) else _NIGHT
    return load * days[day] * (_WEEKEND if _is_weekend(day) else 1)


def _is_weekend(day: int) -> bool:
    return (day + _FIRST_WEEKDAY) % 7 >= 5


def _bursts(chance: Random) -> Iterator[Span]:
    """300 bursts of five minutes to six hours, a few of them far larger than the rest, that fade; nearly nothing between."""
    for _ in range(300):
        length = int(_MINUTE * exp(chance.uniform(log(5), log(360))))
        start = chance.randrange(_START, _END - length)
        weight = chance.lognormvariate(0, 1.3)
        for step in range(10):
            # Full for the first half, then fading; each tenth with its own noise.
            fading = min(1.0, (10 - step) / 5)
            yield Span(start + length * step // 10, length // 10, weight / 7.5 * fading * chance.lognormvariate(0, 0.4))
    yield Span(_START, _LENGTH, 3.0)


def _campaigns(chance: Random) -> Iterator[Span]:
    """A low, constant background, and in business hours of 40 campaigns of one to five days 10 to 30 times as much."""
    density = [1.0] * (_LENGTH // (10 * _MINUTE))
    for _ in range(40):
        first, more = chance.randrange(_DAYS - 5), chance.uniform(10, 30)
        for day in range(first, first + chance.randint(1, 5)):
            for step in range(day * 144 + 9 * 6, day * 144 + 18 * 6):
                density[step] += more * chance.lognormvariate(0, 0.25)
    for step, weight in enumerate(density):
        yield Span(_START + step * 10 * _MINUTE, 10 * _MINUTE, weight)


def _sparse(chance: Random) -> Iterator[Span]:
    """Everything on six days of three weeks, the rest of the year empty."""
    first = chance.randrange(_DAYS - 21)
    for day in sorted(chance.sample(range(first, first + 21), 6)):
        size = chance.lognormvariate(0, 1)
        for step in range(9 * 12, 17 * 12):
            start = _START + day * _DAY + step * 5 * _MINUTE
            yield Span(start, 5 * _MINUTE, size * chance.lognormvariate(0, 0.5))


KINDS: Final[Mapping[str, Kind]] = {
    "uniform": _uniform,
    "call_centre": _call_centre,
    "bursts": _bursts,
    "campaigns": _campaigns,
    "growth": _growth,
    "sparse": _sparse,
}


def spans_of(kind: str, records: int, seed: int) -> list[Span]:
    """Return the spans of a kind of traffic, of a year with that many calls."""
    return _spans_of(kind, records, Random(f"{kind} {seed}"))  # noqa: S311 # made-up traffic guards no secret


def _spans_of(kind: str, records: int, chance: Random) -> list[Span]:
    return _capped(list(KINDS[kind](chance)), records)


def start_times(kind: str, records: int, seed: int) -> list[int]:
    """Return that many start times of a kind of traffic, in milliseconds, sorted."""
    chance = Random(f"{kind} {seed}")  # noqa: S311 # as above
    spans = _spans_of(kind, records, chance)
    reached = list(accumulate(span.weight for span in spans))
    # Points on a line where each span has the length of its weight: the span that a point falls into, and how far, is a time.
    points = deque(sorted(chance.random() * reached[-1] for _ in range(records)))
    starts: list[int] = []
    for span, end in zip(spans, reached, strict=True):
        while points and points[0] <= end:
            share = (end - points.popleft()) / span.weight
            starts.append(span.start + min(int(span.length * share), span.length - 1))
    return sorted(starts)


def _capped(spans: list[Span], records: int) -> list[Span]:
    """Take from the spans that are too dense what is too much, and give it to all in proportion."""
    each = fsum(span.weight for span in spans) / records
    return [span._replace(weight=min(span.weight, each * _MOST_PER_SECOND * span.length / SECOND)) for span in spans]


def durations(records: int, seed: int) -> Iterator[int]:
    """Yield how long so many calls last, in milliseconds: a third is not answered, most take minutes, none over an hour."""
    chance = Random(f"durations {seed}")  # noqa: S311 # as above
    for _ in range(records):
        if chance.random() < 0.35:
            yield chance.randrange(30 * SECOND)
        else:
            yield min(_HOUR, int(chance.expovariate(1 / (5 * _MINUTE))))
