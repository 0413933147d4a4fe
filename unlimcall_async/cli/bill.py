"""`unlimcall bill check`: whether an invoice bills what the records say."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import click

from unlimcall_async._spans import span
from unlimcall_async.cli import options
from unlimcall_async.cli.record_source import RecordSource, with_records
from unlimcall_async.cli.running import FOUND, Commands, as_json, quiet

# As `BillReconciler` has. Here again, because `--help` must be quick.
_PARTS: Final = ("day", "country", "line")


def _by(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if names == ("record",):
        return names
    for name in names:
        if name not in _PARTS or names.count(name) > 1:
            raise ValueError(f"{text!r} is neither record nor some of {', '.join(_PARTS)}")
    return names


def _cents(text: str) -> Decimal:
    try:
        cents = Decimal(text)
    except InvalidOperation:
        cents = Decimal("NaN")
    if not cents.is_finite() or cents < 0:
        raise ValueError(f"{text!r} is not a number of cents; write 0.5 or 2")
    return cents


def _slack(text: str) -> timedelta:
    slack = span(text)
    if slack > timedelta(minutes=10):
        raise ValueError(f"{text!r} is more than 10m")
    return slack


def _currency(text: str) -> str:
    if len(text) != 3 or not (text.isascii() and text.isalpha()):
        raise ValueError(f"{text!r} is not a currency's code of three letters, for example USD")
    return text.upper()


def _columns(text: str) -> dict[str, str]:
    from unlimcall_async.operations import columns_named  # noqa: PLC0415 # `--help` must be quick

    return columns_named(text)


@click.group(cls=Commands)
def bill() -> None:
    """Check an invoice."""


@bill.command("check")
@click.argument("invoice", metavar="INVOICE", type=click.Path(path_type=Path))
@with_records(
    click.option(
        "--records",
        "what",
        metavar="FILE|URL",
        help="Compare with the records of a file of `unlimcall cdrs pull`, or of a table of `cdrs sync`; else of the API.",
    )
)
@click.option(
    "--columns",
    metavar="NAMES",
    callback=options.read_by(_columns),
    help='The headers of the invoice, like "id=Call ID,start=Date,amount=Charge"; else those that are plain. The names are id, '
    "start, time, destination, duration, minutes, amount, cents, currency, country, line and calls.",
)
@click.option(
    "--by",
    metavar="NAMES",
    callback=options.read_by(_by),
    help="Compare by record, or the sums by some of day, country and line, as in day,country; else as the invoice has lines.",
)
@click.option(
    "--tolerance",
    metavar="CENTS",
    default="0",
    show_default=True,
    callback=options.read_by(_cents),
    help="How far the amounts of a line and its records may differ, for example 0.5.",
)
@click.option(
    "--start-tolerance",
    metavar="SPAN",
    default="0s",
    show_default=True,
    callback=options.read_by(_slack),
    help="How far the start of a line may be from its record's, beside rounding, for example 30s.",
)
@click.option(
    "--currency", metavar="CODE", callback=options.read_by(_currency), help="The currency of amounts without one."
)
@click.option(
    "--decimal", type=click.Choice([".", ","]), help="The mark of a fraction; else the one that amounts show."
)
@click.option(
    "--dates",
    type=click.Choice(["dmy", "mdy"]),
    help="Whether dates in numbers begin with the day or the month; else as they show.",
)
@click.option(
    "--balances",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show the fall of the balance that CreditWatch kept.",
)
@click.option("--all", "show_all", is_flag=True, help="Show all lines that differ, and not the first ten of each kind.")
@click.option("--numbers", is_flag=True, help="Show the numbers that were called.")
@click.option("--out", type=options.FILE_NAME, metavar="FILE", help="Write the lines that differ to this CSV file.")
@click.option("--force", is_flag=True, help="Replace a file of --out that exists.")
@quiet
@as_json
def check(*, source: RecordSource, out: Path | None, force: bool, **given: Any) -> None:
    """Compare an invoice with the call records.

    INVOICE is CSV as a spreadsheet saves it: with any separator, lines above its table, and totals below. Each of its lines is a
    call, or a sum of calls by day, country or SIP line. The range is that of the invoice's days, in --tz, unless --from and --till
    are given.

    What differs is shown by kind, to the cent and by currency: another amount, another currency, another time, billed twice, only
    billed, only recorded. A cell that cannot be read is named, and costs its line alone.

    The exit status is 1 if anything differs, or a line or a record could not be read.
    """
    from unlimcall_async.cli.bill_check import Asked, check_invoice  # noqa: PLC0415 # `--help` must be quick

    if force and out is None:
        raise click.UsageError("--force needs --out")
    if not check_invoice(Asked(source=source, out=out, force=force, **given)):
        raise SystemExit(FOUND)
