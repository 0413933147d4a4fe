"""When the calls of made-up traffic start: one rhythm for each kind.  No I/O.

A rhythm is drawn once for a range and then gives the start of one call after the other, in no order, as milliseconds
since 1970 UTC inside the range.  Randomness comes from `Random.random` alone, the one method whose sequence Python
promises to keep, and arithmetic is limited to what IEEE 754 rounds the same everywhere (so `sqrt`, but no `log`).
"""

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from math import ceil, floor, inf, sqrt
from random import Random
from typing import Literal, TypeAlias

from attrs import frozen

from unlimcall_async.sandbox.markets import MARKETS, Market, load, utc_offset

__all__ = ["RHYTHMS", "Range", "Rhythm", "TrafficKind", "picker"]

TrafficKind = Literal["call_centre", "uniform", "bursts", "ties", "legs", "sparse", "growth", "campaigns"]
Rhythm: TypeAlias = Callable[[Market], int]

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HALF_HOUR = 30 * _MINUTE
_DAY = 24 * 60 * _MINUTE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Range:
    """The start times that are wanted: `first <= time < end`, in milliseconds since 1970 UTC."""

    first: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds."""
        return self.end - self.first

    def at(self, share: float) -> int:
        """Return the moment that lies `share` (0 <= share < 1) into the range."""
        return self.first + int(self.length * share)

    def within(self, ms: float, otherwise: float) -> int:
        """Return the moment, or one that lies `otherwise` into the range if it is outside."""
        return floor(ms) if self.first <= ms < self.end else self.at(otherwise)


def picker(weights: Sequence[float], random: Random) -> Callable[[], int]:
    """Return a function that draws positions in `weights`, each as often as its weight says."""
    sums = list(accumulate(weights))
    total, sums[-1] = sums[-1], inf  # so that no rounding leads past the last
    draw = random.random
    return lambda: bisect(sums, draw() * total)


def _heavy(random: Random) -> float:
    """Return a weight between 1 and 50, most of them small: bursts and campaigns are of very unequal size."""
    return 1 / (0.02 + 0.98 * random.random())


def _uniform(random: Random, wanted: Range, _: int) -> Rhythm:
    return lambda _: wanted.at(random.random())


def _growth(random: Random, wanted: Range, _: int) -> Rhythm:
    # The fourth root of a uniform number: the rate grows with the cube of the time.
    return lambda _: wanted.at(sqrt(sqrt(random.random())))


def _clusters(
    random: Random, wanted: Range, *, count: int, shortest: float, longest: float, background: float
) -> Rhythm:
    """Return a rhythm of spans between the two lengths, with a share of calls that lie anywhere."""
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


def _bursts(random: Random, wanted: Range, _: int) -> Rhythm:
    longest = min(20 * _MINUTE, wanted.length / 1000)
    return _clusters(random, wanted, count=300, shortest=longest / 10, longest=longest, background=0.005)


def _sparse(random: Random, wanted: Range, _: int) -> Rhythm:
    # A dozen islands that cover at most a hundredth of the range: silences of weeks in a year.
    longest = wanted.length / 1200
    return _clusters(random, wanted, count=12, shortest=longest / 10, longest=longest, background=0.0)


def _campaigns(random: Random, wanted: Range, _: int) -> Rhythm:
    """Return a rhythm of one campaign a day, which starts at once and at its steepest and has faded after an hour."""
    days = range(wanted.first // _DAY, (wanted.end - 1) // _DAY + 1)
    begins = [day * _DAY + (9 + 6 * random.random()) * 60 * _MINUTE for day in days]
    pick = picker([_heavy(random) for _ in begins], random)

    def start(_: Market) -> int:
        if random.random() < 0.1:
            return wanted.at(random.random())
        fading = random.random()
        return wanted.within(begins[pick()] + fading * fading * 60 * _MINUTE, random.random())

    return start


# A second with more rows than a page holds cannot be read by any client; a group ends well before that.
_LARGEST_GROUP = 850


def _ties(random: Random, wanted: Range, calls: int) -> Rhythm:
    seconds = range(-(-wanted.first // _SECOND), wanted.end // _SECOND)
    smallest = ceil(calls / max(1, len(seconds)))
    if not seconds or smallest > _LARGEST_GROUP:
        raise ValueError(f"the range is too short: a second takes at most {_LARGEST_GROUP} calls of the kind 'ties'")
    moments = _tied(random, seconds, _group_sizes(random, calls, smallest))
    return lambda _: next(moments)


def _group_sizes(random: Random, calls: int, smallest: int) -> list[int]:
    """Return the sizes of groups for this many calls, most of them small and a few of hundreds."""
    sizes: list[int] = []
    left = calls
    while left:
        sizes.append(min(left, _LARGEST_GROUP, max(smallest, int(2 / (1 - random.random())))))
        left -= sizes[-1]
    return sizes


def _tied(random: Random, seconds: range, sizes: list[int]) -> Iterator[int]:
    """Yield the calls of each group, half the groups on one millisecond and half on one second."""
    for number, size in enumerate(sizes):
        # Each group has a stretch of seconds to itself, so that no two fall on the same second.
        here, after = (len(seconds) * place // len(sizes) for place in (number, number + 1))
        second = seconds[here + int((after - here) * random.random())] * _SECOND
        moment, together = second + int(_SECOND * random.random()), random.random() < 0.5
        for _ in range(size):
            yield moment if together else second + int(_SECOND * random.random())


def _call_centre(random: Random, wanted: Range, _: int) -> Rhythm:
    """Return the rhythm of people at work in several markets, and of dialers that run campaigns between them."""
    by_hand = {market: _working_hours(random, wanted, market) for market in MARKETS}
    dialled = {market: _dialled(random, wanted, by_hand[market]) for market in MARKETS}
    latest = by_hand[MARKETS[0]]()

    def start(market: Market) -> int:
        nonlocal latest
        kind = random.random()
        if kind >= 0.04:  # below, at the very millisecond of the call before
            latest = dialled[market]() if kind < 0.2 else by_hand[market]()
        return latest

    return start


def _working_hours(random: Random, wanted: Range, market: Market) -> Callable[[], int]:
    begins = range(wanted.first - wanted.first % _HALF_HOUR, wanted.end, _HALF_HOUR)
    pick = picker(list(_loads(begins, market)), random)

    def start() -> int:
        return wanted.within(begins[pick()] + _HALF_HOUR * random.random(), random.random())

    return start


def _loads(begins: range, market: Market) -> Iterator[float]:
    for begin in begins:
        local = begin + _offset_ms(market, begin // _DAY)
        yield load((local // _DAY + 3) % 7, local % _DAY // _HALF_HOUR)  # 1970 began on a Thursday


@cache
def _offset_ms(market: Market, day: int) -> int:
    return utc_offset(market, (_EPOCH + timedelta(days=day)).date()) // timedelta(milliseconds=1)


def _dialled(random: Random, wanted: Range, by_hand: Callable[[], int]) -> Callable[[], int]:
    """Return the starts of campaigns, one every other day; they begin in working hours, and dialers act on the second."""
    count = max(1, wanted.length // (2 * _DAY))
    campaigns = [(by_hand(), (5 + 40 * random.random()) * _MINUTE, _heavy(random)) for _ in range(count)]
    pick = picker([weight for _, _, weight in campaigns], random)

    def start() -> int:
        begin, length, _ = campaigns[pick()]
        moment = int(begin + length * random.random())
        return wanted.within(moment - moment % _SECOND, random.random())

    return start


# Of each kind, given the range and how many calls will be drawn.
RHYTHMS: Mapping[TrafficKind, Callable[[Random, Range, int], Rhythm]] = {
    "call_centre": _call_centre,
    "uniform": _uniform,
    "bursts": _bursts,
    "ties": _ties,
    "legs": _uniform,
    "sparse": _sparse,
    "growth": _growth,
    "campaigns": _campaigns,
}
