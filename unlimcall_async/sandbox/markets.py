"""The world of made-up traffic: countries, their numbers, prices and working hours, and how calls end.  No I/O.

Time zones are tables here, not `zoneinfo`: that needs the tz database, which Windows and slim containers lack, and
whose updates would change rows that must stay the same.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache, cached_property
from math import sqrt
from typing import Literal, TypeAlias

from attrs import frozen

__all__ = ["MARKETS", "OUTCOMES", "OWN_NUMBERS", "SEATS", "Market", "Outcome", "load", "one_of", "utc_offset"]

Summer: TypeAlias = Literal["north_america", "europe", "australia"]

# When summer time begins and ends: month, and which Sunday of it (-1 is the last).  By day; to the rhythm of a day, the
# hour of the change makes no difference.
_SUMMER: Mapping[Summer, tuple[tuple[int, int], tuple[int, int]]] = {
    "north_america": ((3, 2), (11, 1)),
    "europe": ((3, -1), (10, -1)),
    "australia": ((10, 1), (4, 1)),  # over the turn of the year
}


@frozen(eq=False)  # each of them is itself, which makes a cheap key
class Market:
    """A country, or the part of one that lies in a time zone.

    Attributes:
        country: Its name, as CDRs write it.
        share: Its part of all calls, relative to the other markets.
        hours_from_utc: In winter.
        summer: The rule of its summer time.
        cents_per_minute: Price of a minute.
        patterns: Numbers in E.164, of ranges that the national regulator keeps for fiction; `#` is any digit.
    """

    country: str
    share: float
    hours_from_utc: int
    summer: Summer
    cents_per_minute: int
    patterns: tuple[str, ...]

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Every number that the patterns stand for."""
        return _numbers(self.patterns)


def _numbers(patterns: tuple[str, ...]) -> tuple[str, ...]:
    numbers = []
    for pattern in patterns:
        prefix = pattern.rstrip("#")
        digits = len(pattern) - len(prefix)
        numbers += [f"{prefix}{number:0{digits}d}" for number in range(10**digits)]
    return tuple(numbers)


def _north_american(*area_codes: int) -> tuple[str, ...]:
    return tuple(f"+1{code}55501##" for code in area_codes)


MARKETS = (
    Market("United States", 0.22, -5, "north_america", 2, _north_american(212, 305, 404, 617, 718, 917)),
    Market("United States", 0.14, -8, "north_america", 2, _north_american(206, 213, 415, 503, 619)),
    Market("Canada", 0.06, -5, "north_america", 3, _north_american(416, 514, 613)),
    Market(
        "United Kingdom", 0.22, 0, "europe", 17, ("+4420794600##", "+4420794609##", "+441614960###", "+447700900###")
    ),
    Market("Germany", 0.16, 1, "europe", 12, ("+493023125###", "+498999998###", "+494066969###")),
    Market("France", 0.12, 1, "europe", 9, ("+33199001###", "+33465710###", "+33639980###")),
    Market("Australia", 0.08, 10, "australia", 21, ("+61255501###", "+61370102###")),
)

# What the customer calls from and is called on, and who sits there.
OWN_NUMBERS = _numbers(("+164655501##", "+4420794608##"))
SEATS = tuple(f"unl_{seat:03d}" for seat in range(1, 61))


@frozen
class Outcome:
    """One way in which calls end.

    Attributes:
        disposition: Its name, one of Asterisk's.
        share: Its part of all calls.
        shortest: The fewest seconds until the call is taken or given up.
        longest: The most.
        rated: Whether such calls get a price; it is 0 where nobody answered.
    """

    disposition: str
    share: float
    shortest: int
    longest: int
    rated: bool = True

    def seconds(self, waiting: float, talking: float) -> tuple[int, int]:
        """Return duration and billed seconds, given two numbers from 0 to 1."""
        billsec = _talk(talking) if self.disposition == "ANSWERED" else 0
        return self.shortest + int((self.longest - self.shortest) * waiting) + billsec, billsec


OUTCOMES = (
    Outcome("ANSWERED", 0.46, 2, 26),
    Outcome("NO ANSWER", 0.33, 12, 61),
    Outcome("BUSY", 0.11, 1, 8),
    Outcome("FAILED", 0.08, 0, 4, rated=False),
    Outcome("CONGESTION", 0.02, 0, 3, rated=False),
)


def _talk(share: float) -> int:
    """Return the seconds that a call lasts which is longer than this share of all calls.

    The distribution is log-logistic with shape 2: half of the calls are over after 70 seconds, one in 2600 takes more
    than an hour.  Five hours is where the switch cuts the line.
    """
    return min(5 * 60 * 60, 1 + int(70 * sqrt(share / (1 - share))))


def one_of(choices: Sequence[str], share: float) -> str:
    """Return the choice at this share (0 to below 1) of their number."""
    return choices[int(len(choices) * share)]


@cache
def utc_offset(market: Market, day: date) -> timedelta:
    """Return how far the market's clocks are ahead of UTC on this day."""
    begin, end = (_sunday(day.year, month, which) for month, which in _SUMMER[market.summer])
    summer = begin <= day < end if begin < end else not end <= day < begin
    return timedelta(hours=market.hours_from_utc + summer)


def _sunday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    sunday = first + timedelta(days=6 - first.weekday())
    if which > 0:
        return sunday + timedelta(weeks=which - 1)
    while (later := sunday + timedelta(weeks=1)).month == month:
        sunday = later
    return sunday


# How busy a call centre is in each half hour of a working day from 8 to 20 o'clock: the morning's peak, lunch, the
# afternoon, a thin evening.
_WORKING_DAY = (3, 6, 9, 10, 10, 10, 9, 8, 5, 4, 6, 8, 9, 9, 8, 8, 7, 6, 4, 3, 2, 1.5, 1, 0.5)
_NIGHT = 0.03
_WEEKEND = {5: 0.06, 6: 0.02}  # shares of a working day


def load(weekday: int, half_hour: int) -> float:
    """Return how busy a half hour of the day (0 to 47) is by local time; never quite zero, so that any range has calls."""
    day = _WORKING_DAY[half_hour - 16] if 16 <= half_hour < 40 else _NIGHT
    return day * _WEEKEND.get(weekday, 1.0)
