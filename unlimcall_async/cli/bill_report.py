"""What `bill check` shows: tables, JSON and CSV. No I/O.

A call is shown by its id and its start. The number that was called is for those who ask for numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from unlimcall_async.cli.excel_csv import local
from unlimcall_async.cli.formats import csv_text, text_of
from unlimcall_async.cli.formulas import guarded
from unlimcall_async.cli.wording import many, plain
from unlimcall_async.operations import (
    BILL_KINDS,
    QUIET_KINDS,
    BalanceFall,
    BillCheck,
    BillFinding,
    BillSum,
    Invoice,
    InvoiceTotal,
)

if TYPE_CHECKING:
    from unlimcall_async.cli.tables import Cell

# Findings of a kind, and rows that cannot be read, that are shown without --all.
MOST: Final = 10
# Columns of a terminal from which on a row of a finding fits.
_WIDE: Final = 100
# Line numbers that a row of a sum shows.
_LINES: Final = 3

TOTAL_HEAD: Final = ("currency", "billed", "recorded", "difference")
TOTAL_SIDES: Final = "<>>>"
KIND_HEAD: Final = ("kind", "currency", "count", "billed", "recorded", "difference")
KIND_SIDES: Final = "<<>>>>"
FALL_HEAD: Final = ("balance", "from", "till", "fell", "rose", "billed", "recorded")
FALL_SIDES: Final = "<<<>>>>"


def money(amount: Decimal | None) -> str:
    """Return an amount with two digits behind the point, or as many as it has."""
    if amount is None:
        return "-"
    whole, _, fraction = f"{amount:,f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _signed(amount: Decimal | None) -> str:
    return "-" if amount is None else f"+{money(amount)}" if amount > 0 else money(amount)


# --- the invoice ------------------------------------------------------------------------------------------------------


def columns_line(invoice: Invoice) -> str:
    """Return which column was taken for what."""
    return ", ".join(
        f"{name} is {header!r}{' (guessed)' if name in invoice.guessed else ''}"
        for name, header in invoice.headers.items()
    )


def remarks(invoice: Invoice) -> Iterator[str]:
    """Yield what was made of rows that are not ordinary lines."""
    if invoice.without_amount:
        yield f"{many(invoice.without_amount, 'line has', 'lines have')} no amount, which counts as 0."
    if invoice.remarks:
        numbers = ", ".join(map(str, invoice.remarks[:MOST])) + (", ..." if len(invoice.remarks) > MOST else "")
        yield f"{many(len(invoice.remarks), 'row is', 'rows are')} no line of the table, and left out: {numbers}."
    for number in invoice.passed_over:
        yield f"line {number} begins another table, which was not read."
    for total in invoice.totals:
        if total.ok:
            agrees = "as its lines" if total.added is not None else "not compared"
            yield f"line {total.number}: {total.label} {money(total.stated)}, {agrees}."


def wrong_total(total: InvoiceTotal) -> str:
    """Return the line for a row of the invoice that sums others, and not rightly."""
    return f"line {total.number}: {total.label} {money(total.stated)} is not the sum of its lines, which is {money(total.added)}"


# --- tables -----------------------------------------------------------------------------------------------------------


def total_rows(check: BillCheck) -> list[list[Cell]]:
    """Return the total of each currency."""
    return [
        [plain(currency) or "-", money(total.billed), money(total.recorded), _alert(total)]
        for currency, total in check.totals().items()
        if total.billed or total.recorded
    ]


def _alert(some: BillSum) -> Cell:
    return (_signed(some.difference), "red" if some.difference else "")


def kind_rows(check: BillCheck) -> list[list[Cell]]:
    """Return how much there is of each kind."""
    rows: list[list[Cell]] = []
    for (kind, currency), some in check.sums.items():
        style = "" if kind in QUIET_KINDS or not some.count else "red"
        cells = [kind, plain(currency) or "-", f"{some.count:,}", money(some.billed), money(some.recorded)]
        if kind in {"free of charge", "outside"}:
            cells[-1] = "-"
        cells.append("-" if kind in {"free of charge", "outside"} else _signed(some.difference))
        rows.append([(cell, style) for cell in cells])
    return rows


@frozen
class Shown:
    """How findings are shown.

    Attributes:
        zone: The time zone of their starts, which is that of the invoice.
        most: How many there are of each kind; `None` for all.
        numbers: Whether the numbers that were called are shown.
        width: The columns of the terminal; `None` for a pipe or a file.
    """

    zone: tzinfo
    most: int | None
    numbers: bool
    width: int | None

    @property
    def names(self) -> list[str]:
        """The names of the columns. A narrow terminal shows the start of a call without an id alone."""
        narrow = self.width is not None and self.width < _WIDE
        names = ["line", "kind", "call or group", *([] if narrow else ["start"]), "billed", "recorded"]
        return [*names, *([] if narrow else ["difference"]), *(["number"] if self.numbers else [])]

    @property
    def sides(self) -> str:
        """The sides of the columns."""
        return "".join(">" if name in {"line", "billed", "recorded", "difference"} else "<" for name in self.names)


def finding_rows(check: BillCheck, shown: Shown) -> list[list[Cell]]:
    """Return a row for each finding, or for the first of each kind."""
    rows: list[list[Cell]] = []
    for _, some in groupby(check.findings, key=lambda finding: finding.kind):
        for number, finding in enumerate(some):
            if shown.most is None or number < shown.most:
                cells = _finding(finding, shown.zone)
                rows.append([cells[name] for name in shown.names])
    return rows


def _finding(finding: BillFinding, zone: tzinfo) -> dict[str, str]:
    lines = ", ".join(map(str, finding.lines[:_LINES])) + (", ..." if len(finding.lines) > _LINES else "")
    kind = finding.kind if finding.shift is None else f"{finding.kind} ({_shift(finding.shift)})"
    for name, (billed, recorded) in finding.counts.items():
        if finding.kind == "other count":
            kind += f", {name} {_count(billed)}/{_count(recorded)}"
    start = _start(finding, zone)
    return {
        "line": lines or "-",
        "kind": kind,
        "call or group": plain(_call(finding) or start),
        "start": start,
        "billed": _amount(finding.billed, finding.currency),
        "recorded": _amount(finding.recorded, finding.recorded_currency),
        "difference": _signed(finding.difference),
        "number": _number(finding),
    }


def _call(finding: BillFinding) -> str:
    if finding.group:
        return ", ".join(part or "-" for part in finding.group)
    return next((each.id for each in (finding.line, finding.record) if each is not None and each.id is not None), "")


def _start(finding: BillFinding, zone: tzinfo) -> str:
    line, record = finding.line, finding.record
    moment = None if record is None else record.start_time
    if line is not None:
        if line.start is None and line.day is not None:
            return line.day.isoformat()
        moment = line.start or moment
    return "-" if moment is None else local(moment.replace(microsecond=0), zone)


def _number(finding: BillFinding) -> str:
    for each in (finding.line and finding.line.destination, finding.record and finding.record.dst):
        if each:
            return plain(each)
    return "-"


def _amount(amount: Decimal | None, currency: str) -> str:
    return "-" if amount is None else f"{money(amount)} {plain(currency)}".rstrip()


def _count(count: Decimal) -> str:
    return money(count).removesuffix(".00")


def _shift(shift: timedelta) -> str:
    seconds = round(shift.total_seconds())
    minutes, rest = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")


def fall_rows(falls: Iterable[BalanceFall], check: BillCheck) -> list[list[Cell]]:
    """Return the fall of the balance beside what was billed and recorded."""
    totals = check.totals()
    rows: list[list[Cell]] = []
    for fall in falls:
        total = totals.get(fall.currency, BillSum())
        ends = [text_of(each.at) for each in (fall.first, fall.last)]
        amounts = [money(each) for each in (fall.fell, fall.rose, total.billed, total.recorded)]
        rows.append([plain(fall.currency), *ends, *amounts])
    return rows


def hints(check: BillCheck, *, show_all: bool) -> Iterator[str]:
    """Yield what a user may want to know of the findings."""
    if not show_all:
        counts = Counter(finding.kind for finding in check.findings)
        left = {kind: counts[kind] - MOST for kind in BILL_KINDS if counts[kind] > MOST}
        if left:
            yield f"Not shown: {', '.join(f'{count:,} {kind}' for kind, count in left.items())}; --all shows them."
    if check.ids_unknown:
        yield "No id of the invoice is that of a record, so lines were compared by their start and number."
    shifts = Counter(finding.shift for finding in check.of_kind("other time"))
    # Some lines of another time are wrong. If most are, the zone is.
    if len(shifts) == 1 and shifts.total() > check.matched:
        (shift,) = shifts
        yield f"All lines of another time are {_shift(shift or timedelta())} from their records: is --tz that of the invoice?"
    if len(shifts) > 1 and shifts.total() > check.matched:
        yield "The starts of the invoice are not those of the records: are they those of answers? See --start-tolerance."
    if check.by == ("record",) and check.lines and check.records and len(check.only_billed) == check.lines:
        yield "No line of the invoice is of a record: are the columns, --tz and the spelling of numbers right?"
    if check.by != ("record",) and check.lines and not check.matched and not check.other_amount:
        yield f"No {', '.join(check.by)} of the invoice is one of the records: are they spelled alike?"


# --- for programs -----------------------------------------------------------------------------------------------------


def facts(
    invoice: Invoice,
    check: BillCheck,
    falls: Sequence[BalanceFall],
    span: tuple[datetime | None, datetime | None],
    *,
    left_out: bool,
    numbers: bool,
) -> dict[str, Any]:
    """Return the result for a program. If records were left out, because they could not be read, nothing agrees."""
    return {
        "ok": check.ok and invoice.complete and not left_out,
        "start": span[0],
        "end": span[1],
        "by": list(check.by),
        "lines": check.lines,
        "records": check.records,
        "ids_unknown": check.ids_unknown,
        "columns": dict(invoice.headers),
        "totals": {currency: _sum_facts(total) for currency, total in check.totals().items()},
        "kinds": [
            {"kind": kind, "currency": currency, **_sum_facts(some)} for (kind, currency), some in check.sums.items()
        ],
        "findings": _rows(check, numbers=numbers),
        "unreadable": [{"line": bad.number, "column": bad.column, "reason": bad.reason} for bad in invoice.unreadable],
        "passed_over": list(invoice.passed_over),
        "invoice_totals": [
            {"line": total.number, "label": total.label, "stated": total.stated, "added": total.added, "ok": total.ok}
            for total in invoice.totals
        ],
        "balances": [
            {
                "currency": fall.currency,
                "from": fall.first.at,
                "till": fall.last.at,
                "first": fall.first.balance,
                "last": fall.last.balance,
                "fell": fall.fell,
                "rose": fall.rose,
                "rises": [{"at": at, "amount": amount} for at, amount in fall.rises],
                "longest_gap_s": fall.longest_gap.total_seconds(),
            }
            for fall in falls
        ],
    }


def _sum_facts(some: BillSum) -> dict[str, Any]:
    return {
        "count": some.count,
        "billed": some.billed,
        "recorded": some.recorded,
        "difference": some.difference,
    }


def _rows(check: BillCheck, *, numbers: bool) -> list[dict[str, Any]]:
    rows = check.rows()
    if numbers:
        for row, finding in zip(rows, check.findings, strict=True):
            row["number"] = _number(finding)
    return rows


def csv_lines(check: BillCheck, *, numbers: bool) -> str:
    """Return the findings as CSV, in which no cell is a formula."""
    rows = _rows(check, numbers=numbers)
    names = [*_CSV, "number"] if numbers else _CSV
    return csv_text([names, *([_csv_cell(row[name]) for name in names] for row in rows)])


_CSV: Final = [
    *("kind", "lines", "group", "id", "billed_start", "recorded_start", "currency", "billed", "recorded_currency"),
    *("recorded", "difference", "shift_s", "counts"),
]


def _csv_cell(value: Any) -> object:
    if isinstance(value, dict):
        value = [f"{name} {billed}/{recorded}" for name, (billed, recorded) in value.items()]
    if isinstance(value, list):
        return guarded(", ".join(map(str, value)))
    if value is None or isinstance(value, (int, Decimal)):
        return value
    return guarded(value if isinstance(value, str) else text_of(value))
