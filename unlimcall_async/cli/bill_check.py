"""How `bill check` reads the invoice and the records, and shows what it has found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import attrs
import click

from unlimcall_async.cli import bill_report, options
from unlimcall_async.cli.files import exists, is_same, writing
from unlimcall_async.cli.formats import encoded, text_of
from unlimcall_async.cli.output import (
    UnusableError,
    note,
    output_width,
    to_stderr,
    unwritable,
    write,
    write_json,
    write_table,
)
from unlimcall_async.cli.record_source import Records, RecordSource
from unlimcall_async.cli.running import run
from unlimcall_async.cli.wording import many, plain
from unlimcall_async.operations import (
    BILL_MARGIN,
    BalanceFall,
    BillCheck,
    BillReconciler,
    Invoice,
    balance_falls,
    bill_range,
    read_balances,
    read_invoice,
)

# How messages of the package name an argument for which the command has an option.
_ARGUMENT = re.compile(r"\b(columns|decimal|dates|by)=|(?<=pass )currency\b")


@attrs.frozen(kw_only=True)
class Asked:
    """What the user asks for.

    Attributes:
        source: Where the records come from.
        invoice: The file of the invoice.
        columns: The headers that the user has named.
        by: What is compared.
        tolerance: How far amounts may differ, in hundredths.
        start_tolerance: How far starts may differ, beside rounding.
        currency: The currency of amounts without one.
        decimal: The mark of a fraction.
        dates: The order of day and month.
        balances: The file of balances.
        show_all: Whether all findings are shown.
        numbers: Whether numbers that were called are shown.
        out: The file for the findings.
        force: Whether that file is replaced.
        as_json: Whether the result is JSON.
    """

    source: RecordSource
    invoice: Path
    columns: Mapping[str, str] | None
    by: tuple[str, ...] | None
    tolerance: Decimal
    start_tolerance: timedelta
    currency: str | None
    decimal: Literal[".", ","] | None
    dates: Literal["dmy", "mdy"] | None
    balances: Path | None
    show_all: bool
    numbers: bool
    out: Path | None
    force: bool
    as_json: bool


def check_invoice(asked: Asked) -> bool:
    """Compare an invoice with the records, show what is found, and return whether the two agree."""
    if asked.out is not None:
        asked.source.check_output("--out", asked.out)
        for read in (asked.invoice, asked.balances):
            if read is not None and is_same(asked.out, read):
                raise click.UsageError(f"--out would replace {read}, which is to be compared: name another file")
    if asked.out is not None and exists(asked.out) and not asked.force:
        raise click.UsageError(f"{asked.out} exists: replace it with --force")
    invoice = _invoice(asked)
    _note_invoice(asked, invoice)
    start, end = _range(asked, invoice)
    try:
        reconciler = BillReconciler(
            invoice.lines,
            by=asked.by,
            zone=asked.source.zone,
            start=start,
            end=end,
            tolerance_cents=asked.tolerance,
            start_tolerance=asked.start_tolerance,
        )
        name, left_out = run(lambda: _compared(asked, reconciler, start, end))
        check = reconciler.result()
    except ValueError as error:
        raise UnusableError(f"{asked.invoice}: {_in_options(error)}") from None
    falls = _falls(asked, start, end)
    if asked.out is not None:
        _write_findings(asked, asked.out, check)
    if asked.as_json:
        facts = bill_report.facts(invoice, check, falls, (start, end), left_out=left_out, numbers=asked.numbers)
        write_json(facts)
    else:
        _show(asked, check, falls)
        span = "" if start is None or end is None else f", {text_of(start)} till {text_of(end)}"
        lines, records = many(check.lines, "line", "lines"), many(check.records, "record", "records")
        note(f"{'No difference' if check.ok else 'The two differ'}: {lines}, {records} of {name}{span}.")
    return check.ok and invoice.complete and not left_out


def _in_options(error: ValueError) -> str:
    """Return a message of the package in the words of the command."""
    return plain(_ARGUMENT.sub(lambda match: f"--{match[0].replace('=', ' ')}", str(error)))


def _invoice(asked: Asked) -> Invoice:
    try:
        content = asked.invoice.read_bytes()
    except OSError as error:
        raise UnusableError(f"cannot read {asked.invoice}: {error.strerror}") from None
    try:
        return read_invoice(
            content,
            columns=asked.columns,
            zone=asked.source.zone,
            currency=asked.currency,
            decimal=asked.decimal,
            dates=asked.dates,
        )
    except ValueError as error:
        raise UnusableError(f"{asked.invoice}: {_in_options(error)}") from None


def _range(asked: Asked, invoice: Invoice) -> tuple[datetime | None, datetime | None]:
    """Return the range of the comparison: that of the options, and otherwise that of the invoice's days."""
    first, last = asked.source.range()
    days = bill_range(invoice.lines, asked.source.zone)
    start, end = (first, last) if days is None else (first or days[0], last or days[1])
    if start is not None and end is not None and start > end:
        raise click.UsageError(
            f"the range of the invoice ends before it begins: {start.isoformat()} is after {end.isoformat()}"
        )
    return start, end


async def _compared(
    asked: Asked, reconciler: BillReconciler, start: datetime | None, end: datetime | None
) -> tuple[str, bool]:
    """Compare all records. Return where they come from, and whether some could not be read."""
    source, at = asked.source, options.now()
    # A table does not reach beyond what was synced. Its edge is compared by the records of the range alone.
    # A time in the future needs no margin, and the last of all times has none.
    margin = reconciler.by == ("record",) and not (source.what is not None and "://" in source.what)
    first = start - BILL_MARGIN if margin and start is not None else start
    last = end + BILL_MARGIN if margin and end is not None and end < at else end
    if source.what is None:
        if first is not None and first > at:
            raise click.UsageError(f"the range of the invoice is in the future: {first.isoformat()}")
        last = None if last is None else min(last, at)
    async with source.opened(first, last) as records:
        async for batch in records:
            for record in batch:
                reconciler.add(record)
    _note_missing(records, start, end)
    return records.name, records.some_left_out()


def _note_missing(records: Records, start: datetime | None, end: datetime | None) -> None:
    """Note a range that the records do not cover, as far as anything says so."""
    held = records.manifest
    first, last = (records.start, records.end) if held is None else (held.start, held.end)
    if end is not None and last is not None and last < min(end, options.now()):
        to_stderr(f"The records of {records.name} end at {text_of(last)}, before the range of the invoice ends.")
    if start is not None and first is not None and first > start:
        to_stderr(f"The records of {records.name} begin at {text_of(first)}, after the range of the invoice begins.")


def _falls(asked: Asked, start: datetime | None, end: datetime | None) -> list[BalanceFall]:
    if asked.balances is None:
        return []
    if start is None or end is None:
        raise click.UsageError("--balances needs a range: give --from and --till")
    try:
        with asked.balances.open("rb") as file:
            falls = balance_falls(read_balances(file), start, end)
    except OSError as error:
        raise UnusableError(f"cannot read {asked.balances}: {error.strerror}") from None
    except ValueError as error:
        raise UnusableError(f"{asked.balances}: {error}") from None
    if not falls:
        to_stderr(f"{asked.balances} has no two balances of the range.")
    return falls


# --- what is shown ----------------------------------------------------------------------------------------------------


def _note_invoice(asked: Asked, invoice: Invoice) -> None:
    note(f"{asked.invoice}: {many(len(invoice.lines), 'line', 'lines')}; {plain(bill_report.columns_line(invoice))}.")
    if invoice.encoding == "cp1252":
        note("The file is not UTF-8: it was read as Windows-1252.")
    for line in bill_report.remarks(invoice):
        note(plain(line))
    for bad in invoice.unreadable[: None if asked.show_all else bill_report.MOST]:
        to_stderr(plain(str(bad)))
    if not asked.show_all and len(invoice.unreadable) > bill_report.MOST:
        to_stderr(
            f"and {len(invoice.unreadable) - bill_report.MOST:,} more lines that cannot be read: --all names them"
        )
    for total in invoice.totals:
        if not total.ok:
            to_stderr(plain(bill_report.wrong_total(total)))


def _show(asked: Asked, check: BillCheck, falls: list[BalanceFall]) -> None:
    totals, kinds = bill_report.total_rows(check), bill_report.kind_rows(check)
    if totals:
        write_table(bill_report.TOTAL_HEAD, totals, sides=bill_report.TOTAL_SIDES)
        write("\n")
    if kinds:
        write_table(bill_report.KIND_HEAD, kinds, sides=bill_report.KIND_SIDES)
    if falls:
        write("\n")
        write_table(bill_report.FALL_HEAD, bill_report.fall_rows(falls, check), sides=bill_report.FALL_SIDES)
    most = None if asked.show_all else bill_report.MOST
    shown = bill_report.Shown(asked.source.zone, most, asked.numbers, output_width())
    if rows := bill_report.finding_rows(check, shown):
        write("\n")
        write_table(shown.names, rows, sides=shown.sides)
    for line in bill_report.hints(check, show_all=asked.show_all):
        note(line)


def _write_findings(asked: Asked, out: Path, check: BillCheck) -> None:
    content = encoded(bill_report.csv_lines(check, numbers=asked.numbers))
    with writing(out, replace=asked.force) as file, unwritable(out):
        file.write(content)
