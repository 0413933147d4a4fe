"""The lines of an invoice, and what a comparison with call records finds. Pure: no I/O. Money is exact, and never a float."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from unlimcall_async import CallRecord, _arguments
from unlimcall_async.operations import _checks
from unlimcall_async.operations.spending import MONEY

BillKind: TypeAlias = Literal[
    "matched",
    "within tolerance",
    "other amount",
    "other currency",
    "other time",
    "other id",
    "other count",
    "only billed",
    "billed twice",
    "only recorded",
    "free of charge",
    "outside",
]
BILL_KINDS: Final[tuple[BillKind, ...]] = get_args(BillKind)
# Kinds that need no attention.
QUIET_KINDS: Final[frozenset[BillKind]] = frozenset({"matched", "within tolerance", "free of charge", "outside"})


def _amount(value: Decimal | int) -> Decimal:
    return _checks.money("amount", value)


def _currency(value: str | None) -> str | None:
    return None if value is None else _checks.currency("currency", value)


def _start(value: datetime | None) -> datetime | None:
    return None if value is None else _arguments.utc("start", value)


@frozen(kw_only=True)
class InvoiceLine:
    """A line of an invoice: a call, or a sum of calls.

    Attributes:
        number: The number of the line in its file, from 1 on.
        amount: The amount that is billed, in units of the currency, a `Decimal` or an int.
        currency: The currency's code, or `None` if the invoice does not say.
        id: The id of the call record, or `None`.
        start: When the call started, in UTC, or `None`.
        day: The day in the invoice's time zone, of a line without a time; or `None`.
        destination: The number that was called, in any spelling, or `None`.
        duration: The length of the call, or of all calls of a sum, in seconds; or `None`.
        country: The destination's country, or `None`.
        line: The SIP line that made the call, or `None`.
        calls: The number of calls of a sum, or `None`.

    Raises:
        ValueError: `currency` is not a currency's code, `amount` is not finite, or `start` has no timezone.
        TypeError: An argument is of the wrong type.
    """

    number: int
    amount: Decimal = field(converter=_amount)
    currency: str | None = field(default=None, converter=_currency)
    id: str | None = None
    start: datetime | None = field(default=None, converter=_start)
    day: date | None = None
    destination: str | None = None
    duration: Decimal | int | None = None
    country: str | None = None
    line: str | None = None
    calls: int | None = None


@frozen(kw_only=True)
class BillFinding:
    """Something that an invoice and the records do not say alike.

    Attributes:
        kind: What is found; the kinds are those of `BILL_KINDS`.
        billed: What the invoice bills, in units of `currency`; `None` if it bills nothing.
        recorded: What the records say, in units of `recorded_currency`; `None` without a record.
        currency: The currency of `billed`; without a line, that of `recorded`.
        recorded_currency: The currency of `recorded`.
        line: The line of a comparison by record, or `None` without one.
        record: The record of a comparison by record, or `None` without one.
        group: The day, the country or the SIP line of a comparison by sums, in the order of `by`.
        lines: The numbers of the invoice's lines.
        shift: How far the line's start is behind the record's, if that is another time.
        counts: Of a comparison by sums: what is counted, as the invoice says and as the records say.
    """

    kind: BillKind
    billed: Decimal | None = None
    recorded: Decimal | None = None
    currency: str = ""
    recorded_currency: str = ""
    line: InvoiceLine | None = None
    record: CallRecord | None = None
    group: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    shift: timedelta | None = None
    counts: Mapping[str, tuple[Decimal, Decimal]] = field(factory=dict, hash=False)

    @property
    def difference(self) -> Decimal | None:
        """What the invoice bills beyond the records; `None` if the two are in different currencies."""
        if self.billed is not None and self.recorded is not None and self.currency != self.recorded_currency:
            return None
        return MONEY.subtract(self.billed or Decimal(0), self.recorded or Decimal(0))


@frozen(kw_only=True)
class BillSum:
    """How much there is of a kind in one currency, or of all kinds.

    Attributes:
        count: The number of pairs, lines, records or groups.
        billed: What the invoice bills of them.
        recorded: What the records say of them.
    """

    count: int = 0
    billed: Decimal = Decimal(0)
    recorded: Decimal = Decimal(0)

    @property
    def difference(self) -> Decimal:
        """What the invoice bills beyond the records."""
        return MONEY.subtract(self.billed, self.recorded)

    def __add__(self, other: BillSum) -> BillSum:
        if not isinstance(other, BillSum):
            return NotImplemented
        return BillSum(
            count=self.count + other.count,
            billed=MONEY.add(self.billed, other.billed),
            recorded=MONEY.add(self.recorded, other.recorded),
        )


class BillCheck:
    """What a comparison of an invoice with the records has found.

    Attributes:
        by: What was compared: `("record",)`, or the parts of a group, for example `("day", "country")`.
        findings: All that needs attention, and the lines outside of the range, in the order of the kinds.
        sums: How much there is of each kind in each currency, by the kind and the currency's code.
        records: The number of records in the range.
        lines: The number of lines.
        ids_unknown: Whether the lines have ids of which no record has one, so that they were compared without.
    """

    def __init__(
        self,
        by: tuple[str, ...],
        findings: tuple[BillFinding, ...],
        sums: Mapping[tuple[BillKind, str], BillSum],
        *,
        records: int,
        lines: int,
        ids_unknown: bool = False,
    ) -> None:
        self.by: tuple[str, ...] = by
        self.findings: tuple[BillFinding, ...] = findings
        self.sums: Mapping[tuple[BillKind, str], BillSum] = sums
        self.records: int = records
        self.lines: int = lines
        self.ids_unknown: bool = ids_unknown

    def of_kind(self, *kinds: BillKind) -> tuple[BillFinding, ...]:
        """Return the findings of some kinds."""
        return tuple(finding for finding in self.findings if finding.kind in kinds)

    @property
    def matched(self) -> int:
        """The number of pairs or groups that agree, by the cent or within the tolerance."""
        return sum(self.count(kind) for kind in ("matched", "within tolerance"))

    @property
    def only_billed(self) -> tuple[BillFinding, ...]:
        """What the invoice has and the records do not have; lines that were billed twice are among them."""
        return self.of_kind("only billed", "billed twice")

    @property
    def only_recorded(self) -> tuple[BillFinding, ...]:
        """What the records have, at a price, and the invoice does not have."""
        return self.of_kind("only recorded")

    @property
    def other_amount(self) -> tuple[BillFinding, ...]:
        """What both have, with amounts that differ by more than the tolerance, or in another currency."""
        return self.of_kind("other amount", "other currency")

    @property
    def ok(self) -> bool:
        """Whether the invoice agrees with the records."""
        return all(kind in QUIET_KINDS for (kind, _), some in self.sums.items() if some.count)

    def count(self, kind: BillKind) -> int:
        """Return the number of pairs, lines, records or groups of a kind. One in two currencies counts once."""
        if kind == "other currency":
            return len(self.of_kind(kind))
        return sum(some.count for (each, _), some in self.sums.items() if each == kind)

    def totals(self) -> dict[str, BillSum]:
        """Return the sum of all kinds by currency, without what lies outside of the range.

        The difference of a total is that of its kinds, to the last digit.
        """
        totals: dict[str, BillSum] = {}
        for (kind, currency), some in self.sums.items():
            if kind != "outside":
                totals[currency] = totals.get(currency, BillSum()) + some
        return dict(sorted(totals.items()))

    def rows(self) -> list[dict[str, Any]]:
        """Return the findings as rows of plain values, without phone numbers."""
        return [_row(finding) for finding in self.findings]

    def __repr__(self) -> str:
        kinds = ", ".join(f"{self.count(kind)} {kind}" for kind in BILL_KINDS if self.count(kind)) or "nothing"
        return f"<{type(self).__name__} by {', '.join(self.by)}: {kinds}>"


def _row(finding: BillFinding) -> dict[str, Any]:
    line, record = finding.line, finding.record
    return {
        "kind": finding.kind,
        "lines": list(finding.lines),
        "group": list(finding.group),
        "id": record.id if record is not None else line.id if line is not None else None,
        "billed_start": None if line is None else line.start or line.day,
        "recorded_start": None if record is None else record.start_time,
        "currency": finding.currency,
        "billed": finding.billed,
        "recorded_currency": finding.recorded_currency,
        "recorded": finding.recorded,
        "difference": finding.difference,
        "shift_s": None if finding.shift is None else int(finding.shift.total_seconds()),
        "counts": {name: list(pair) for name, pair in finding.counts.items()},
    }
