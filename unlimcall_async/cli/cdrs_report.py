"""`unlimcall cdrs report`: a page of charts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import UnusableError, note, write_json
from unlimcall_async.cli.record_source import RecordSource, with_records
from unlimcall_async.cli.running import FOUND, as_json, quiet, run
from unlimcall_async.cli.wording import many


@click.command()
@with_records(click.argument("what", metavar="[FILE|URL]", required=False))
@click.option("--out", type=options.FILE_NAME, metavar="FILE", required=True, help="The file, for example report.html.")
@click.option("--title", metavar="TEXT", default="Calls", show_default=True, help="The title of the page.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option(
    "--no-manifest",
    "manifest",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Leave out why no record is missing, which takes about as much CPU time as the records.",
)
@quiet
@as_json
def report(*, source: RecordSource, out: Path, title: str, force: bool, manifest: bool, as_json: bool) -> None:
    """Write a page of charts, a single file of HTML.

    The page shows spend and calls by day, the hours and weekdays of calls, the answer rate of countries, dispositions, failures
    against 1 %, and the lines with the most calls. Its filters by country and by line work together. The page works offline, on a
    phone and on paper. The page holds sums and no record; a line whose name looks like a phone number has another name there.

    The records come from the API, of the last 30 days without --from. Or FILE is NDJSON, CSV or Parquet from `unlimcall cdrs pull`,
    or URL names the table of a sync, as --to of `unlimcall cdrs sync` does. --tz is the zone of days and hours, too.

    The exit status is 1 if rows of the API could not be read.
    """
    from unlimcall_async.cli.files import check_name, exists, store  # noqa: PLC0415 # `--help` must be quick

    check_name(out)
    source.check_output("--out", out)
    if exists(out) and not force:
        raise click.UsageError(f"{out} exists; --force replaces it, and --out names another file")
    try:
        from unlimcall_async.report import CallReport, load_engine  # noqa: PLC0415 # of an extra

        with options.in_option_names({"title": "--title"}):
            counted = CallReport(title, zone=source.zone)
        start, end = source.range("30d", "now") if source.what is None else source.range()

        async def count() -> tuple[str, bool]:
            # Two seconds of work without Python, beside the first requests.
            loading = asyncio.ensure_future(asyncio.to_thread(load_engine))
            try:
                async with source.opened(start, end, manifest=manifest) as records:
                    async for batch in records:
                        for record in batch:
                            counted.add(record)
            finally:
                await asyncio.wait([loading])
            loading.result()
            proof = records.manifest if manifest else None
            page = counted.html(start=records.start, end=records.end, manifest=proof)
            return page, records.some_left_out()

        page, left_out = run(count)
    except ImportError as error:
        raise UnusableError(str(error)) from None
    store(out, page, replace=force)
    calls = counted.total.attempts
    if as_json:
        write_json({"file": str(out), "calls": calls})
    else:
        note(f"{out} is written: {many(calls, 'call', 'calls')}.")
    if left_out:
        raise SystemExit(FOUND)
