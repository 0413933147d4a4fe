"""`unlimcall cdrs summary`: how many calls, how many of them answered and failed, how long, and for how much."""

from __future__ import annotations

from typing import Any, Final

import click

from unlimcall_async.cli.options import read_by
from unlimcall_async.cli.output import note, output_width, write, write_json, write_styled
from unlimcall_async.cli.record_source import RecordSource, with_records
from unlimcall_async.cli.running import FOUND, as_json, quiet, run

# As `CallSummary` has. Here again, because `--help` must be quick.
_NAMES: Final = ("day", "weekday", "hour", "country", "agent", "disposition", "currency")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in _NAMES:
            raise ValueError(f"{name!r} is not one of {', '.join(_NAMES)}")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
    return names


@click.command()
@with_records(click.argument("what", metavar="[FILE|URL]", required=False))
@click.option(
    "--by",
    metavar="NAMES",
    callback=read_by(_names),
    help=f"A row for each of these, or for each combination, as in day,country: {', '.join(_NAMES)}.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")
@quiet
@as_json
def summary(*, source: RecordSource, by: tuple[str, ...] | None, as_csv: bool, as_json: bool) -> None:
    """Sum up the calls of a range.

    For each group: the calls, how many of them were answered (ASR), how long an answered one is on average (ACD), the billed
    minutes, how many the carrier failed, and the spend in each currency. A share of failures above 1 %, of 200 calls or more, is
    red.

    The records come from the API, of the last 24 hours without --from. Or FILE is NDJSON, CSV or Parquet from `unlimcall cdrs
    pull`, or URL names the table of a sync, as --to of `unlimcall cdrs sync` does. --tz is the zone of days and hours, too.

    With --json, each row is an object in a line. The exit status is 1 if rows of the API could not be read.
    """
    from unlimcall_async.cli import summary_table, tables  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.operations import CallSummary  # noqa: PLC0415 # as above

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    names: Any = by or ()
    counted = CallSummary(names, zone=source.zone)
    start, end = source.range("24h", "now") if source.what is None else source.range()

    async def count() -> bool:
        async with source.opened(start, end) as records:
            async for batch in records:
                for record in batch:
                    counted.add(record)
        return records.some_left_out()

    left_out = run(count)
    rows = summary_table.in_order(names, counted.rows())
    if as_json:
        for row in rows:
            write_json(summary_table.facts(row))
    elif as_csv:
        write(summary_table.csv_lines(names, rows))
    elif not len(counted):
        note("No calls.")
    else:
        width = output_width()
        head, shown, sides = summary_table.table(names, rows, counted.total, width)
        write_styled(tables.table(head, shown, width=width, sides=sides))
    if left_out:
        raise SystemExit(FOUND)
