"""The countries of generated traffic: their numbers, prices and working hours, and how calls end.

Pure: no I/O. Time zones are tables here, not `zoneinfo`. `zoneinfo` needs the tz database, which Windows and slim containers
lack, and an update of the database would change rows that must stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache, cached_property
from math import sqrt
from typing import Final, Literal, TypeAlias

from attrs import frozen

Summer: TypeAlias = Literal["north_america", "europe", "australia"]

# When summer time begins and ends: month, and which Sunday of the month (-1 is the last). The hour of the change is
# left out, because it makes no difference to the working hours of a day.
_SUMMER: Final[Mapping[Summer, tuple[tuple[int, int], tuple[int, int]]]] = {
    "north_america": ((3, 2), (11, 1)),
    "europe": ((3, -1), (10, -1)),
    "australia": ((10, 1), (4, 1)),  # over the turn of the year
}


@frozen(eq=False)  # compared by identity, which makes a cheap key
class Market:
    """A country, or the part of a country that lies in one time zone.

    Attributes:
        country: Name of the country, as call records write it.
        share: Share of all calls, relative to the other markets.
        hours_from_utc: Hours ahead of UTC in winter.
        summer: The rule of its summer time.
        cents_per_minute: Price of a minute.
        patterns: Numbers in E.164 form, from ranges that the national regulator keeps for fiction; `#` is any digit.
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


MARKETS: Final = (
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

# The numbers from which the customer calls and on which the customer is called, and the seats of the customer's people.
OWN_NUMBERS: Final = _numbers(("+164655501##", "+4420794608##"))
SEATS: Final = tuple(f"unl_{seat:03d}" for seat in range(1, 61))


@frozen
class Outcome:
    """One way in which calls end.

    Attributes:
        disposition: Its name, one of Asterisk's.
        share: Share of all calls.
        shortest: The fewest seconds until the call is answered or given up.
        longest: The most seconds until then.
        rated: Whether such calls get a price. The price of a call that nobody answered is 0.
    """

    disposition: str
    share: float
    shortest: int
    longest: int
    rated: bool = True

    def seconds(self, waiting: float, talking: float) -> tuple[int, int]:
        """Return duration and billed seconds, given two numbers from 0 to below 1."""
        billsec = 0
        if self.disposition == "ANSWERED":
            # Talk times are log-logistic with shape 2: half of the calls are over after 70 seconds, and one in 2600 takes more than
            # an hour. After five hours the switch cuts the line.
            billsec = min(5 * 60 * 60, 1 + int(70 * sqrt(talking / (1 - talking))))
        return self.shortest + int((self.longest - self.shortest) * waiting) + billsec, billsec


OUTCOMES: Final = (
    Outcome("ANSWERED", 0.46, 2, 26),
    Outcome("NO ANSWER", 0.33, 12, 61),
    Outcome("BUSY", 0.11, 1, 8),
    Outcome("FAILED", 0.08, 0, 4, rated=False),
    Outcome("CONGESTION", 0.02, 0, 3, rated=False),
)


def one_of(choices: Sequence[str], share: float) -> str:
    """Return the choice at this share (0 to below 1) of their number."""
    return choices[int(len(choices) * share)]


@cache
def utc_offset(market: Market, day: date) -> timedelta:
    """Return how far the market's clocks are ahead of UTC on this day."""
    changes = []
    for month, which in _SUMMER[market.summer]:
        first = date(day.year, month, 1)
        sundays = [first + timedelta(days=6 - first.weekday() + 7 * week) for week in range(5)]
        in_month = [sunday for sunday in sundays if sunday.month == month]
        changes.append(in_month[which - 1 if which > 0 else which])
    begin, end = changes
    summer = begin <= day < end if begin < end else not end <= day < begin
    return timedelta(hours=market.hours_from_utc + (1 if summer else 0))


# How busy a call centre is in each half hour of a working day from 8 to 20 o'clock: the morning's peak, lunch, the afternoon, a
# thin evening. The numbers are chosen by hand for this shape.
_WORKING_DAY: Final = (3, 6, 9, 10, 10, 10, 9, 8, 5, 4, 6, 8, 9, 9, 8, 8, 7, 6, 4, 3, 2, 1.5, 1, 0.5)
_NIGHT: Final = 0.03
_WEEKEND: Final = {5: 0.06, 6: 0.02}  # shares of a working day


def load(weekday: int, half_hour: int) -> float:
    """Return how busy a half hour (0 to 47) of a day is, by local time.

    The load is never quite zero, so that any range of time has calls.
    """
    day = _WORKING_DAY[half_hour - 16] if 16 <= half_hour < 40 else _NIGHT
    return day * _WEEKEND.get(weekday, 1.0)
