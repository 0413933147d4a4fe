"""`unlimcall cdrs sync`: keeps a table of call records up to date, once or as a service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from unlimcall_async import UnlimCallError
from unlimcall_async._spans import span
from unlimcall_async.cli import options
from unlimcall_async.cli.access import AccessToAll
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.outage import may_pass
from unlimcall_async.cli.output import UnusableError, is_quiet, note, to_stderr, write_json
from unlimcall_async.cli.running import (
    FOUND,
    Clients,
    TerminatedError,
    accounts_option,
    as_json,
    at_once_option,
    quiet,
    rate_option,
    run,
    with_client,
)
from unlimcall_async.cli.wording import many, plain

if TYPE_CHECKING:
    from unlimcall_async.sync import SyncResult

# What the user calls the arguments of `sync_cdrs`.
SYNC_NAMES: Final = {
    "destination": "--to",
    "start": "--from",
    "end": "--till",
    "settle": "--settle",
    "lookback": "--lookback",
    "account": "--account",
    "table": "--table",
}
# Lines for rows that cannot be read. The summary counts all of them.
_MOST_LINES: Final = 10


@click.command()
@click.option(
    "--to",
    "destination",
    metavar="URL",
    required=True,
    help="The destination: sqlite:///FILE, duckdb:///FILE, postgresql://USER@HOST/DATABASE or parquet:///FOLDER.",
)
@options.range_options(start=None, end=None)
@click.option(
    "--settle",
    metavar="SPAN",
    default="0s",
    show_default=True,
    callback=options.read_by(span),
    help="End the range this long ago, if there is no --till.",
)
@click.option(
    "--lookback",
    metavar="SPAN",
    default="2d",
    show_default=True,
    callback=options.read_by(span),
    help="Ask this long before the place that was reached again, for records that come late or change.",
)
@click.option("--account", metavar="NAME", help="The account's name in the table; without it, its customer id.")
@click.option("--table", metavar="NAME", default="cdrs", show_default=True, help="The table of a database.")
@click.option("--every", metavar="SPAN", callback=options.read_by(span), help="Sync again and again, at this interval.")
@accounts_option
@at_once_option
@rate_option
@quiet
@as_json
@with_client
def sync(
    *,
    client: Clients | AccessToAll,
    at_once: int,
    destination: str,
    start: str | None,
    end: str | None,
    zone: tzinfo,
    settle: timedelta,
    lookback: timedelta,
    account: str | None,
    table: str,
    every: timedelta | None,
    as_json: bool,
) -> None:
    """Bring a table up to date: each call record once.

    The first run makes the table, and needs --from. A later run goes on where the last one ended, and asks the time of --lookback
    before it again. Records that came late are inserted, those that changed are revised, and those that are gone are removed. A
    run may be stopped by anything; the next one leaves the same table. With --json, the summary goes to standard output.

    With --every, the command goes on until Ctrl-C or SIGTERM, which is its ordinary end. A failure that may pass, of the API or
    of the destination, costs one turn.

    With --accounts, the table holds each account under its name in the file. The failure of one account stops no other. The exit
    status is that of the first account that failed.

    A row that cannot be read is not in the table. If there are any, the exit status is 1.
    """
    if every is not None and end is not None:
        raise click.UsageError("--every and --till exclude each other: a table that is kept up to date has no end")
    if every is not None and not every:
        raise click.UsageError("--every must be above zero")
    at = options.now()
    first = None if start is None else options.moment("--from", start, zone, at)
    last = None if end is None else options.moment("--till", end, zone, at)
    if start is not None and first is not None:
        options.require_past(start, first, at)
        if last is None and first > options.ago(at, settle):
            raise click.UsageError(f"--from {start} is after the time that --settle leaves: {first.isoformat()}")
    if isinstance(client, AccessToAll):
        if every is not None or account is not None:
            raise click.UsageError("--accounts excludes --every and --account: run it by a timer")
        from unlimcall_async.cli.accounts_sync import AccountsSync  # noqa: PLC0415 # `--help` must be quick

        syncs = AccountsSync(destination, first, last, settle, lookback, table, as_json)
        raise SystemExit(syncs.run(client, at_once))
    job = _Job(client, destination, first, last, settle, lookback, account, table, as_json)
    try:
        run(job.once if every is None else lambda: job.again_and_again(every))
    except TerminatedError:
        if every is None:
            raise
    if job.unreadable:
        raise SystemExit(FOUND)


@attrs.define
class _Job:
    """A sync as its user wrote it.

    Attributes:
        unreadable: How many rows could not be read in all runs.
    """

    client: Clients
    destination: str
    start: datetime | None
    end: datetime | None
    settle: timedelta
    lookback: timedelta
    account: str | None
    table: str
    as_json: bool
    unreadable: int = 0

    async def once(self) -> None:
        """Sync, and write the summary."""
        from unlimcall_async.cli.progress import shown_sync  # noqa: PLC0415 # loads rich
        from unlimcall_async.sync import sync_cdrs  # noqa: PLC0415 # `--help` must be quick

        with options.in_option_names(SYNC_NAMES), own_errors():
            async with self.client() as open_client:
                with nullcontext(None) if is_quiet() else shown_sync() as show:
                    result = await sync_cdrs(
                        open_client,
                        self.destination,
                        self.start,
                        end=self.end,
                        settle=self.settle,
                        lookback=self.lookback,
                        account=self.account,
                        table=self.table,
                        on_progress=show,
                    )
        self.unreadable += len(result.unreadable)
        self._write(result)

    def _write(self, result: SyncResult) -> None:
        for row in result.unreadable[:_MOST_LINES]:
            window = " till ".join(map(text_of, row.window))
            to_stderr(f"A row from {window} cannot be read, at {row.where}: {plain(row.reason)}.")
        if self.as_json:
            write_json(facts_of(result))
        rows = len(result.unreadable)
        lost = f" {many(rows, 'row', 'rows')} could not be read." if rows else ""
        write_line = to_stderr if lost else note
        write_line(
            f"{result.inserted:,} inserted, {result.revised:,} revised, {result.removed:,} removed, "
            f"{result.unchanged:,} unchanged, {many(result.requests, 'request', 'requests')}. "
            f"The table holds {text_of(result.start)} till {text_of(result.watermark)}.{lost}"
        )

    async def again_and_again(self, every: timedelta) -> None:
        """Sync at an interval. A failure that may pass costs one turn."""
        while True:
            began = time.monotonic()
            try:
                await self.once()
            except _PassingError as error:
                to_stderr(f"{plain(error.message)}. The next attempt is within {every.total_seconds():.0f} s.")
            except UnlimCallError as error:
                if not may_pass(error):
                    raise
                to_stderr(f"{plain(str(error))}. The next attempt is within {every.total_seconds():.0f} s.")
            await asyncio.sleep(max(0.0, began + every.total_seconds() - time.monotonic()))


class _PassingError(UnusableError):
    """The destination is busy or has failed, and may be well at the next turn."""


@contextmanager
def own_errors() -> Iterator[None]:
    """End the command as for a file that cannot be used, if the destination is to blame, and not the API."""
    from unlimcall_async.sync import (  # noqa: PLC0415 # `--help` must be quick
        SyncBusyError,
        SyncDestinationError,
        SyncSchemaError,
    )

    try:
        yield
    except (SyncBusyError, SyncDestinationError) as error:
        raise _PassingError(str(error)) from None
    except (SyncSchemaError, ImportError) as error:
        raise UnusableError(str(error)) from None


def facts_of(result: SyncResult) -> dict[str, Any]:
    """Return the summary for programs. A row that cannot be read shows its place alone, because its text may hold phone numbers."""
    facts = attrs.asdict(result, recurse=False)
    unreadable = [
        {"from": row.window[0], "till": row.window[1], "where": row.where, "reason": row.reason}
        for row in result.unreadable
    ]
    return {**facts, "unreadable": unreadable}
