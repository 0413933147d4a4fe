"""`unlimcall cdrs verify`: whether the API still holds just what a file, a manifest or a table holds."""

from __future__ import annotations

from datetime import datetime, tzinfo

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.running import FOUND, Clients, as_json, concurrency_option, quiet, rate_option, with_client


@click.command()
@click.argument("what", metavar="FILE|URL")
@options.range_options(start=None, end=None)
@click.option(
    "--counts-only",
    is_flag=True,
    help="Ask how many records there are, in a request for each 31 days; this misses records that have changed.",
)
@click.option("--records", is_flag=True, help="Show the records that differ in full, with their phone numbers.")
@click.option("--repair", is_flag=True, help="Mend the table of a sync; a file is mended by pulling it again.")
@click.option("--account", metavar="NAME", help="The account's name in the table; without it, its customer id.")
@click.option("--table", metavar="NAME", default="cdrs", show_default=True, help="The table of a database.")
@rate_option
@concurrency_option
@quiet
@as_json
@with_client
def verify(
    *,
    client: Clients,
    what: str,
    start: str | None,
    end: str | None,
    zone: tzinfo,
    counts_only: bool,
    records: bool,
    repair: bool,
    account: str | None,
    table: str,
    as_json: bool,
) -> None:
    """Ask the API again, and name the days and the records that differ.

    FILE is NDJSON, CSV or Parquet from `unlimcall cdrs pull`, or its FILE.manifest.json. The range is that of the manifest beside
    the file. Without a manifest, --from and --till are needed. A file that was edited is found by its manifest first, without the
    API. URL names the table of a sync, as --to of `unlimcall cdrs sync` does.

    The exit status is 1 if anything differs. A row of the file that cannot be read is named by its line, and ends the command.
    """
    from unlimcall_async.cli.verifying import Asked, verify_file, verify_table  # noqa: PLC0415 # `--help` must be quick

    asked = Asked(client, what, _moments(start, end, zone), counts_only, records, repair, account, table, as_json)
    same = verify_table(asked) if "://" in what else verify_file(asked)
    if not same:
        raise SystemExit(FOUND)


def _moments(start: str | None, end: str | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    at = options.now()
    first = None if start is None else options.moment("--from", start, zone, at)
    last = None if end is None else options.moment("--till", end, zone, at)
    if first is not None and last is not None and first > last:
        raise click.UsageError(f"--from is after --till: {first.isoformat()} is after {last.isoformat()}")
    return first, last
