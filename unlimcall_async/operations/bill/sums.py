"""Sums of an invoice against sums of call records: by day, country and SIP line. Pure: no I/O.

Memory depends on the groups alone. A group in two currencies is two groups, so no amounts of two currencies are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias, get_args

from attrs import define, field

from unlimcall_async import CallRecord
from unlimcall_async.operations.bill.keys import Key, apart_of, cents_of, date_of, day_of, units_of
from unlimcall_async.operations.bill.lines import BillFinding, BillKind, InvoiceLine
from unlimcall_async.operations.spending import MONEY

BillGroup: TypeAlias = Literal["day", "country", "line"]
GROUPS: Final[tuple[BillGroup, ...]] = get_args(BillGroup)

_MINUTE: Final = 60


@define
class _Billed:
    """What the lines of a group bill."""

    name: tuple[str, ...]
    cents: Decimal = Decimal(0)
    calls: int | None = None
    seconds: Decimal | None = None
    lines: list[int] = field(factory=list)


@define
class _Recorded:
    """What the records of a group say."""

    name: tuple[str, ...]
    cents: int = 0
    calls: int = 0
    # Those that cost something, and those that were billed for some time.
    priced: int = 0
    connected: int = 0
    seconds: int = 0
    # Each call rounded up to whole minutes, as many carriers bill.
    rounded: int = 0
    # The lengths of the calls, with the time before they were answered.
    whole: int = 0


class Sums:
    """Adds up lines and records by group.

    Args:
        by: The parts of a group.
        wall: Returns the time of a clock on the wall.
        tolerance: How far the sums of a group may differ, in hundredths.
    """

    def __init__(self, by: tuple[BillGroup, ...], wall: Callable[[datetime], int], tolerance: Decimal) -> None:
        self._by, self._wall, self._tolerance = by, wall, tolerance
        self._lines: list[InvoiceLine] = []
        self._recorded: dict[tuple[Key, str], _Recorded] = {}

    def add_lines(self, lines: Iterable[InvoiceLine]) -> None:
        """Add lines of the invoice.

        Raises:
            ValueError: A line does not say to which group it belongs.
        """
        self._lines += lines
        for line in self._lines:
            self._name(line)

    def add(self, record: CallRecord) -> None:
        """Add a record."""
        parts = {"country": record.country, "line": record.sip_username}
        name = tuple(
            date_of(day_of(self._wall(record.start_time))).isoformat() if part == "day" else parts[part] or ""
            for part in self._by
        )
        cents = record.sell_price_cents or 0
        key = _folded(name), (record.currency or "").upper() if cents else ""
        some = self._recorded.get(key)
        if some is None:
            some = self._recorded[key] = _Recorded(name)
        some.cents += cents
        some.calls += 1
        some.priced += cents != 0
        some.connected += record.billsec > 0
        some.seconds += record.billsec
        some.rounded += -(-record.billsec // _MINUTE) * _MINUTE
        some.whole += record.duration

    def _name(self, line: InvoiceLine) -> tuple[str, ...]:
        day = line.day
        if line.start is not None:
            day = date_of(day_of(self._wall(line.start)))
        parts = {"day": None if day is None else day.isoformat(), "country": line.country, "line": line.line}
        for part in self._by:
            if parts[part] is None and part == "day":
                raise ValueError(f"line {line.number} has no day")
        return tuple(parts[part] or "" for part in self._by)

    def findings(self, currency: str | None) -> list[BillFinding]:
        """Return what is found of each group, also of those that agree.

        Args:
            currency: The currency of lines without one.
        """
        billed: dict[tuple[Key, str], _Billed] = {}
        for line in self._lines:
            name = self._name(line)
            some = billed.setdefault((_folded(name), line.currency or currency or ""), _Billed(name))
            some.cents = MONEY.add(some.cents, cents_of(line.amount))
            some.lines.append(line.number)
            if line.calls is not None:
                some.calls = (some.calls or 0) + line.calls
            if line.duration is not None:
                some.seconds = MONEY.add(some.seconds or Decimal(0), Decimal(line.duration))
        recorded = self._with_free_calls(billed)
        # An invoice may have a line for a day without calls.
        recorded |= {
            key: _Recorded(some.name) for key, some in billed.items() if key not in recorded and not some.cents
        }
        return [
            self._finding(key[1], billed.get(key), recorded.get(key))
            for key in sorted({*billed, *recorded}, key=lambda key: (list(map(str, key[0])), key[1]))
        ]

    def _with_free_calls(self, billed: Mapping[tuple[Key, str], _Billed]) -> dict[tuple[Key, str], _Recorded]:
        """Return the records' groups, in which calls that cost nothing belong to the currency of their group."""
        recorded = {key: some for key, some in self._recorded.items() if some.priced}
        currencies: dict[Key, str] = {}
        for name, currency in (*recorded, *billed):
            currencies[name] = min(currency, currencies.get(name, currency))
        for (name, currency), free in self._recorded.items():
            if free.priced:
                continue
            # In which of several currencies a call was free, nobody knows: the first counts it.
            key = name, currencies.get(name, currency)
            if key not in recorded:
                recorded[key] = free
                continue
            some = recorded[key]
            recorded[key] = _Recorded(
                some.name,
                some.cents,
                some.calls + free.calls,
                some.priced,
                some.connected + free.connected,
                some.seconds + free.seconds,
                some.rounded + free.rounded,
                some.whole + free.whole,
            )
        return recorded

    def _finding(self, currency: str, billed: _Billed | None, recorded: _Recorded | None) -> BillFinding:
        counts = {} if billed is None or recorded is None else _counts(billed, recorded)
        return BillFinding(
            kind=self._kind(billed, recorded, counts),
            billed=None if billed is None else units_of(billed.cents),
            recorded=None if recorded is None else units_of(recorded.cents),
            currency=currency,
            recorded_currency="" if recorded is None else currency,
            group=billed.name if billed is not None else recorded.name if recorded is not None else (),
            lines=() if billed is None else tuple(billed.lines),
            counts=counts,
        )

    def _kind(
        self, billed: _Billed | None, recorded: _Recorded | None, counts: Mapping[str, tuple[Decimal, Decimal]]
    ) -> BillKind:
        if recorded is None:
            return "only billed"
        if billed is None:
            return "only recorded" if recorded.cents else "free of charge"
        apart = apart_of(billed.cents, recorded.cents)
        if apart > self._tolerance:
            return "other amount"
        if counts and not _agree(billed, recorded):
            return "other count"
        if not recorded.calls:
            return "free of charge"
        return "within tolerance" if apart else "matched"


def _folded(name: tuple[str, ...]) -> Key:
    return tuple(" ".join(part.casefold().split()) for part in name)


def _counts(billed: _Billed, recorded: _Recorded) -> dict[str, tuple[Decimal, Decimal]]:
    counts: dict[str, tuple[Decimal, Decimal]] = {}
    if billed.calls is not None:
        counts["calls"] = Decimal(billed.calls), Decimal(recorded.calls)
    if billed.seconds is not None:
        counts["seconds"] = billed.seconds, Decimal(recorded.seconds)
    return counts


def _agree(billed: _Billed, recorded: _Recorded) -> bool:
    """Return whether an invoice may count calls and time like that.

    Invoices count all calls, those that cost something, or those that were connected. They count billed time by the second, or each
    call rounded up to a minute, or they show the lengths of the calls; and what they show is rounded.
    """
    if billed.calls is not None and billed.calls not in {recorded.calls, recorded.priced, recorded.connected}:
        return False
    if billed.seconds is None:
        return True
    exponent = MONEY.divide(billed.seconds, _MINUTE).as_tuple().exponent
    step = Decimal(_MINUTE) if isinstance(exponent, int) and exponent >= 0 else Decimal(1)
    is_billed = recorded.seconds - step < billed.seconds < recorded.rounded + step
    return is_billed or recorded.whole - step < billed.seconds < recorded.whole + step
