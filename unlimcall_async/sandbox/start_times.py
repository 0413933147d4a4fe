"""The start times of generated calls: one function for each kind of traffic.

No I/O. Such a function is given a range, and the number of calls that will be drawn. It returns another function, which draws the
start of one call after the other, in no order, in milliseconds since 1970 UTC inside the range. Randomness comes from
`Random.random` alone, the one method whose sequence Python promises to keep. Arithmetic is limited to operations that IEEE 754
rounds the same everywhere (so `sqrt`, but not `log`).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from math import ceil, floor, inf, sqrt
from random import Random
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async.sandbox.markets import MARKETS, Market, load, utc_offset

TrafficKind = Literal["call_centre", "uniform", "bursts", "ties", "legs", "sparse", "growth", "campaigns"]
Starts: TypeAlias = Callable[[Market], int]

_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_HALF_HOUR: Final = 30 * _MINUTE
_DAY: Final = 24 * 60 * _MINUTE
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A second with more rows than a page holds cannot be read by any client; a group ends well before that.
_LARGEST_GROUP: Final = 850


@frozen
class Range:
    """The start times that are wanted: `first <= time < end`, in milliseconds since 1970 UTC."""

    first: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds from `first` to `end`."""
        return self.end - self.first

    def at(self, share: float) -> int:
        """Return the moment that lies `share` (0 <= share < 1) into the range."""
        return self.first + int(self.length * share)

    def within(self, ms: float, otherwise: float) -> int:
        """Return the moment, or one that lies `otherwise` into the range if the moment is outside."""
        return floor(ms) if self.first <= ms < self.end else self.at(otherwise)


def picker(weights: Sequence[float], random: Random) -> Callable[[], int]:
    """Return a function that draws positions in `weights`, each as often as its weight says."""
    sums = list(accumulate(weights))
    total, sums[-1] = sums[-1], inf  # so that no rounding leads past the last position
    draw = random.random
    return lambda: bisect(sums, draw() * total)


def _heavy(random: Random) -> float:
    """Return a weight between 1 and 50, mostly a small one: bursts and campaigns are of very unequal size."""
    return 1 / (0.02 + 0.98 * random.random())


def uniform(random: Random, wanted: Range, _: int) -> Starts:
    """Spread the calls evenly."""
    return lambda _: wanted.at(random.random())


def growth(random: Random, wanted: Range, _: int) -> Starts:
    """Spread the calls with a rate that rises with the cube of the time."""
    # The fourth root of a uniform number is distributed so.
    return lambda _: wanted.at(sqrt(sqrt(random.random())))


def bursts(random: Random, wanted: Range, _: int) -> Starts:
    """Put the calls into some 300 short spans, with next to nothing between them."""
    longest = min(20 * _MINUTE, wanted.length / 1000)
    return _clusters(random, wanted, count=300, longest=longest, background=0.005)


def sparse(random: Random, wanted: Range, _: int) -> Starts:
    """Put the calls into a dozen spans that cover at most a hundredth of the range: silences of weeks in a year."""
    return _clusters(random, wanted, count=12, longest=wanted.length / 1200, background=0.0)


def _clusters(random: Random, wanted: Range, *, count: int, longest: float, background: float) -> Starts:
    """Put the calls into spans of up to `longest` milliseconds, and a share of them, `background`, anywhere."""
    shortest = longest / 10
    clusters = [
        (wanted.at(random.random()), shortest + (longest - shortest) * random.random(), _heavy(random))
        for _ in range(count)
    ]
    pick = picker([weight for _, _, weight in clusters], random)

    def start(_: Market) -> int:
        if random.random() < background:
            return wanted.at(random.random())
        begin, length, _weight = clusters[pick()]
        return wanted.within(begin + length * random.random(), random.random())

    return start


def campaigns(random: Random, wanted: Range, _: int) -> Starts:
    """Put the calls into one campaign a day, which starts at once and at its steepest and has faded after an hour."""
    days = range(wanted.first // _DAY, (wanted.end - 1) // _DAY + 1)
    begins = [day * _DAY + (9 + 6 * random.random()) * 60 * _MINUTE for day in days]
    pick = picker([_heavy(random) for _ in begins], random)

    def start(_: Market) -> int:
        if random.random() < 0.1:
            return wanted.at(random.random())
        fading = random.random()
        return wanted.within(begins[pick()] + fading * fading * 60 * _MINUTE, random.random())

    return start


def ties(random: Random, wanted: Range, calls: int) -> Starts:
    """Put the calls into groups of up to 850, half of the groups on one millisecond and half on one second."""
    seconds = range(-(-wanted.first // _SECOND), wanted.end // _SECOND)
    smallest = ceil(calls / max(1, len(seconds)))
    if not seconds or smallest > _LARGEST_GROUP:
        raise ValueError(f"the range is too short: a second takes at most {_LARGEST_GROUP} calls of the kind 'ties'")
    # Most groups are small, and a few have hundreds of calls.
    sizes: list[int] = []
    left = calls
    while left:
        sizes.append(min(left, _LARGEST_GROUP, max(smallest, int(2 / (1 - random.random())))))
        left -= sizes[-1]

    def moments() -> Iterator[int]:
        for number, size in enumerate(sizes):
            # Each group has a stretch of seconds to itself, so that no two fall on the same second.
            here, after = (len(seconds) * place // len(sizes) for place in (number, number + 1))
            second = seconds[here + int((after - here) * random.random())] * _SECOND
            moment, together = second + int(_SECOND * random.random()), random.random() < 0.5
            for _ in range(size):
                yield moment if together else second + int(_SECOND * random.random())

    coming = moments()
    return lambda _: next(coming)


def call_centre(random: Random, wanted: Range, _: int) -> Starts:
    """Follow people at work in several markets, and dialers that run campaigns between their calls."""
    by_hand = {market: _working_hours(random, wanted, market) for market in MARKETS}
    dialled = {market: _dialer(random, wanted, by_hand[market]) for market in MARKETS}
    latest = by_hand[MARKETS[0]]()

    def start(market: Market) -> int:
        nonlocal latest
        kind = random.random()
        # Below 0.04, the call starts at the very millisecond of the call before.
        if kind >= 0.04:
            latest = dialled[market]() if kind < 0.2 else by_hand[market]()
        return latest

    return start


def _working_hours(random: Random, wanted: Range, market: Market) -> Callable[[], int]:
    begins = range(wanted.first - wanted.first % _HALF_HOUR, wanted.end, _HALF_HOUR)
    loads = []
    for begin in begins:
        local = begin + _offset_ms(market, begin // _DAY)
        loads.append(load((local // _DAY + 3) % 7, local % _DAY // _HALF_HOUR))  # 1970 began on a Thursday
    pick = picker(loads, random)

    def start() -> int:
        return wanted.within(begins[pick()] + _HALF_HOUR * random.random(), random.random())

    return start


@cache
def _offset_ms(market: Market, day: int) -> int:
    return utc_offset(market, (_EPOCH + timedelta(days=day)).date()) // timedelta(milliseconds=1)


def _dialer(random: Random, wanted: Range, by_hand: Callable[[], int]) -> Callable[[], int]:
    """Return a function that draws the starts of dialled calls.

    There is one campaign every other day. Campaigns begin in working hours, and their calls start on whole seconds.
    """
    count = max(1, wanted.length // (2 * _DAY))
    drawn = [(by_hand(), (5 + 40 * random.random()) * _MINUTE, _heavy(random)) for _ in range(count)]
    pick = picker([weight for _, _, weight in drawn], random)

    def start() -> int:
        begin, length, _ = drawn[pick()]
        moment = int(begin + length * random.random())
        return wanted.within(moment - moment % _SECOND, random.random())

    return start


START_TIMES: Final[Mapping[TrafficKind, Callable[[Random, Range, int], Starts]]] = {
    "call_centre": call_centre,
    "uniform": uniform,
    "bursts": bursts,
    "ties": ties,
    "legs": uniform,
    "sparse": sparse,
    "growth": growth,
    "campaigns": campaigns,
}
