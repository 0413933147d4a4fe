"""What a line of an invoice and a call record have in common, as keys of a table. Pure: no I/O.

Starts are compared as the clock on the wall shows them in the invoice's time zone. So an hour that comes twice, when clocks are set
back, is not a doubt: the line shows the same time for both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, TypeAlias

from attrs import frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations.bill.lines import InvoiceLine
from unlimcall_async.operations.spending import MONEY

Key: TypeAlias = tuple[Hashable, ...]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 # the clock on the wall has no timezone
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000
_NO_DIGIT: Final = re.compile("[^0-9]+")


def cents_of(amount: Decimal) -> Decimal:
    """Return an amount in hundredths, digit for digit."""
    return amount.scaleb(2, MONEY)


def apart_of(one: Decimal, other: int) -> Decimal:
    """Return how far two amounts differ, whatever the arithmetic of the program rounds."""
    return MONEY.subtract(one, other).copy_abs()


def units_of(cents: int | Decimal) -> Decimal:
    """Return an amount in hundredths as units."""
    return Decimal(cents).scaleb(-2, MONEY)


def number_of(text: str) -> str:
    """Return the digits of a phone number, without the 00 of an international call; a text without digits as it is.

    The (0) of a national call and the host of a SIP address are no part of the number.
    """
    number = text.partition("@")[0].replace("(0)", "")
    return _NO_DIGIT.sub("", number).removeprefix("00") or text.strip().casefold()


def wall_clock(zone: tzinfo) -> Callable[[datetime], int]:
    """Return a function that maps a time in UTC to the microseconds that a clock on the wall has counted since 1970."""

    def utc(moment: datetime) -> int:
        return (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND

    def local(moment: datetime) -> int:
        try:
            return utc(moment.astimezone(zone))
        except OverflowError:  # the zone's calendar ends with the year 9999
            return utc(moment)

    return utc if zone is UTC else local


def day_of(wall: int) -> int:
    """Return the number of the day of a time on the wall, since 1970."""
    return wall // _DAY


def is_midnight(wall: int) -> bool:
    """Return whether a time on the wall is the first instant of a day."""
    return wall % _DAY == 0


def number_of_day(day: date) -> int:
    """Return the number of a day, since 1970."""
    return (day - _EPOCH.date()).days


def date_of(day: int) -> date:
    """Return the day of a number."""
    return _EPOCH.date() + timedelta(days=day)


@frozen(eq=False)
class Call:
    """A record, with what is compared.

    Attributes:
        record: The record.
        wall: Its start on the wall.
        cents: Its price in hundredths; 0 without a price.
        currency: The code of its currency; an empty text without one.
        number: The digits of its destination.
    """

    record: CallRecord
    wall: int
    cents: int
    currency: str
    number: str

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that an invoice may show: that of the call, and that which is billed."""
        record = self.record
        return (record.duration,) if record.duration == record.billsec else (record.duration, record.billsec)


@frozen
class Shape:
    """What a line says of its call. Lines of one shape have keys of one form.

    Attributes:
        id: Whether the line has an id. The id decides alone.
        start: Whether it has a start.
        day: Whether it has a day without a time.
        destination: Whether it has the number that was called.
        duration: Whether it has the length of the call.
        currency: Whether it has a currency.
    """

    id: bool
    start: bool
    day: bool
    destination: bool
    duration: bool
    currency: bool

    def key_of_line(self, line: InvoiceLine, day: int | None) -> Key:
        """Return what identifies the call of a line, but for its start and its duration."""
        if self.id:
            return (line.id,)
        return (day if self.day else None, number_of(line.destination or "") if self.destination else None)

    def key_of_call(self, call: Call) -> Key:
        """Return the key of a record, which is that of its line."""
        if self.id:
            return (call.record.id,)
        return (day_of(call.wall) if self.day else None, call.number if self.destination else None)


def shape_of(line: InvoiceLine, *, ids: bool) -> Shape:
    """Return the shape of a line.

    Args:
        line: The line.
        ids: Whether ids count.

    Raises:
        ValueError: The line has neither an id nor a start nor a day.
    """
    shape = Shape(
        id=ids and line.id is not None,
        start=line.start is not None,
        day=line.start is None and line.day is not None,
        destination=line.destination is not None,
        duration=line.duration is not None,
        currency=line.currency is not None,
    )
    if not (shape.id or shape.start or shape.day):
        raise ValueError(f"line {line.number} has no id, no start and no day: compare sums, with by=")
    return shape


def window_of(walls: Iterable[int]) -> int:
    """Return how far a line's start may be from its record's, in microseconds: less than the unit in which the lines show starts.

    A start may be rounded or cut off.
    """
    unit = 1_000_000
    minutes = [wall % 60_000_000 == 0 for wall in walls]
    # Of starts to the second, one in sixty is a whole minute.
    if minutes and all(minutes):
        unit = 60_000_000
    return unit
