"""`unlimcall cdrs prove`: what an auditor wants to read of a file that was pulled."""

from __future__ import annotations

from pathlib import Path

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.running import FOUND, as_json


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--html", type=options.FILE_NAME, metavar="FILE", help="Write one page of HTML to this file, to print or to send."
)
@click.option("--windows", is_flag=True, help="Show each window, and not only how many there are on each day.")
@click.option("--force", is_flag=True, help="Replace a file of --html that exists.")
@as_json
def prove(*, file: str, html: Path | None, windows: bool, force: bool, as_json: bool) -> None:
    """Print what a file holds, and why nothing is missing in it. Nothing is asked of the API.

    FILE is NDJSON, CSV or Parquet from `unlimcall cdrs pull`, with FILE.manifest.json beside it. Such a manifest may also stand
    alone, and then has no sums. The file is compared with its manifest first. If they differ, that is the first thing that is said,
    and the exit status is 1.
    """
    from unlimcall_async.cli.proving import prove_file  # noqa: PLC0415 # `--help` must be quick

    if force and html is None:
        raise click.UsageError("--force needs --html")
    if "://" in file:
        raise click.UsageError("FILE must be a file that was pulled: `unlimcall cdrs verify` reads the table of a sync")
    if not prove_file(Path(file), html, windows=windows, force=force, as_json=as_json):
        raise SystemExit(FOUND)
