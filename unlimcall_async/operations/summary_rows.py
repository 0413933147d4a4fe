"""The groups of a summary: by what records are grouped, and the sums of each group. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal
from operator import attrgetter
from sys import float_info
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from unlimcall_async import CallRecord
from unlimcall_async._zones import in_zone
from unlimcall_async.operations.shares import Share
from unlimcall_async.operations.spending import MONEY

By: TypeAlias = Literal["day", "weekday", "hour", "country", "agent", "disposition", "currency"]
"""What the calls of a group share."""

Key: TypeAlias = date | int | str | None

# The weekdays for people, from 1.
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# ISO 4217 has this code for "no currency".
NO_CURRENCY: Final = "XXX"

_OF_TIME: Final[Mapping[str, Callable[[datetime], date | int]]] = {
    "day": datetime.date,
    "weekday": datetime.isoweekday,
    "hour": attrgetter("hour"),
}
# The other groups, and the fields of a record that they are of.
_OF_RECORD: Final = {
    "country": "country",
    "agent": "sip_username",
    "disposition": "disposition",
    "currency": "currency",
}


@frozen
class SummaryRow:
    """The sums of the calls of one group.

    Attributes:
        group: What the calls share, by the names of `by`: a date for `day`, 1 (Monday) to 7 for `weekday`, 0 to 23 for `hour`, and
            a text of the record, or `None`, for the others.
        attempts: The number of records. Each leg of a call is a record.
        answered: The number of those that were answered.
        failed: The number of those that the carrier failed.
        talk_s: The billed seconds of the answered ones.
        billed_s: The billed seconds of all (reference: `GET /cdrs`, `billsec`).
        spend: The sum of the prices by currency, exact, in units of the currency, for example dollars. Prices without a currency
            are under `XXX`.
        unpriced: The number of records without a price.
    """

    group: Mapping[str, Key] = field(hash=False)
    attempts: int
    answered: int
    failed: int
    talk_s: int
    billed_s: int
    spend: Mapping[str, Decimal] = field(hash=False)
    unpriced: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The group for people: `2026-05-01`, `Mon`, `(none)` if the records name nothing, or the text of the records."""
        return tuple(
            WEEKDAYS[value - 1]
            if name == "weekday" and isinstance(value, int)
            else "(none)"
            if value in {None, ""}
            else str(value)
            for name, value in self.group.items()
        )

    @property
    def answers(self) -> Share:
        """The answered attempts out of all, with the confidence interval of their rate."""
        return Share(self.answered, self.attempts)

    @property
    def failures(self) -> Share:
        """The failed attempts out of all, with the confidence interval of their rate."""
        return Share(self.failed, self.attempts)

    @property
    def answer_rate(self) -> float | None:
        """The answer-seizure ratio (ASR): the answered attempts out of all, from 0 to 1; `None` without an attempt."""
        return self.answers.rate

    @property
    def failure_rate(self) -> float | None:
        """The failed attempts out of all, from 0 to 1; `None` without an attempt. The guide's bound is 0.01."""
        return self.failures.rate

    @property
    def mean_length_s(self) -> float | None:
        """The average call duration (ACD): the billed seconds of an answered attempt on average; `None` without one."""
        return _quotient(self.talk_s, self.answered) if self.answered else None

    @property
    def billed_minutes(self) -> float:
        """The billed seconds as minutes. No call is rounded up: neither the reference nor the guide has a tariff."""
        return _quotient(self.billed_s, 60)


class Sums:
    """The sums of one group, as they grow."""

    __slots__ = ("answered", "attempts", "billed_s", "cents", "failed", "talk_s", "unpriced")

    def __init__(self) -> None:
        self.attempts: int = 0
        self.answered: int = 0
        self.failed: int = 0
        self.talk_s: int = 0
        self.billed_s: int = 0
        self.unpriced: int = 0
        self.cents: dict[str, int] = {}

    def add(self, record: CallRecord, answered: bool, failed: bool) -> None:
        """Count a record."""
        self.attempts += 1
        self.billed_s += record.billsec
        if answered:
            self.answered += 1
            self.talk_s += record.billsec
        elif failed:
            self.failed += 1
        if (price := record.sell_price_cents) is None:
            self.unpriced += 1
        else:
            currency = record.currency or NO_CURRENCY
            self.cents[currency] = self.cents.get(currency, 0) + price

    def merge(self, other: Sums) -> None:
        """Add the sums of the same group of another summary."""
        self.attempts += other.attempts
        self.answered += other.answered
        self.failed += other.failed
        self.talk_s += other.talk_s
        self.billed_s += other.billed_s
        self.unpriced += other.unpriced
        for currency, cents in other.cents.items():
            self.cents[currency] = self.cents.get(currency, 0) + cents

    def row(self, names: Sequence[str], key: tuple[Key, ...]) -> SummaryRow:
        """Return the sums as they are now."""
        spend = {currency: MONEY.scaleb(cents, -2) for currency, cents in sorted(self.cents.items())}
        return SummaryRow(
            MappingProxyType(dict(zip(names, key, strict=True))),
            *(self.attempts, self.answered, self.failed, self.talk_s, self.billed_s),
            MappingProxyType(spend),
            self.unpriced,
        )


def checked_names(by: object) -> tuple[By, ...]:
    """Return the names of a grouping.

    Raises:
        TypeError: `by` is not a sequence of names.
        ValueError: A name is unknown, or occurs twice.
    """
    if isinstance(by, str) or not isinstance(by, Sequence):
        raise TypeError(f"by must be a sequence of names, for example ('day',), not {type(by).__name__}")
    known = get_args(By)
    names = [next((each for each in known if each == name), None) for name in by]
    for given, name in zip(by, names, strict=True):
        if name is None:
            raise ValueError(f"by must have names of {', '.join(known)}; {given!r} is not one of them")
        if names.count(name) > 1:
            raise ValueError(f"by has {name!r} twice")
    return tuple(each for each in names if each is not None)


def _quotient(count: int, by: int) -> float:
    """Return a quotient. One that a float cannot hold is the largest float."""
    try:
        return count / by
    except OverflowError:
        return float_info.max if count > 0 else -float_info.max


class KeyOf:
    """Finds the group of a record.

    Args:
        names: By what records are grouped.
        zone: The time zone of days, weekdays and hours.
    """

    def __init__(self, names: Sequence[By], zone: tzinfo) -> None:
        self._zone = zone
        self._times = [_OF_TIME[name] for name in names if name in _OF_TIME]
        texts = [_OF_RECORD[name] for name in names if name in _OF_RECORD]
        # With one name, an `attrgetter` returns no tuple.
        self._texts: Callable[[CallRecord], tuple[Key, ...]] = (
            attrgetter(*texts) if len(texts) > 1 else lambda record: tuple(getattr(record, text) for text in texts)
        )
        found = [*(name for name in names if name in _OF_TIME), *(name for name in names if name in _OF_RECORD)]
        # Times are found first, together. `None` if that is the order of the names, too.
        self._order = None if found == list(names) else [found.index(name) for name in names]

    def __call__(self, record: CallRecord, start: datetime) -> tuple[Key, ...]:
        """Return the group of a record that starts at this time, in any zone."""
        found = self._texts(record)
        if self._times:
            local = in_zone(start, self._zone)
            found = (*[time(local) for time in self._times], *found)
        return found if self._order is None else tuple([found[place] for place in self._order])


def in_order(key: tuple[Key, ...]) -> tuple[tuple[bool, Key], ...]:
    """Return by what groups are sorted: those without a text come last."""
    return tuple((each is None, "" if each is None else each) for each in key)
