"""`sync_cdrs` brings a table up to date with the API, and `repair_cdrs` asks some of its time again.

Thin shells. `state` decides what to ask, and a `run` does so.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from unlimcall_async import _arguments
from unlimcall_async._argument_kinds import many, require_methods
from unlimcall_async.cdrs.times import FIRST, LAST, to_datetime
from unlimcall_async.client import AsyncClient
from unlimcall_async.sync.destination import Destination
from unlimcall_async.sync.run import OnProgress, Run, SyncResult, now_of
from unlimcall_async.sync.state import SyncState, again, stretches_of
from unlimcall_async.sync.url import destination_at

_DAY: Final = timedelta(days=1)


async def sync_cdrs(
    client: AsyncClient,
    destination: str | Destination,
    start: datetime | None,
    *,
    end: datetime | None = None,
    settle: timedelta = timedelta(0),
    lookback: timedelta = timedelta(days=2),
    account: str | None = None,
    table: str = "cdrs",
    on_progress: OnProgress | None = None,
) -> SyncResult:
    """Bring a table up to date with the API: each record once, whatever has ended the runs before.

    A run goes on where the last one ended, the watermark, and asks the `lookback` before it again. Rows that came late are
    inserted, rows that changed are revised, and rows that are gone are removed. Rows that are as they should be are not written.
    Each piece of time is written in one transaction with the place that was reached. So a run may be cancelled or killed at any
    moment.

    The table holds one interval of time. A `start` before it is asked too, the newest first, down from where the table begins. A
    `start` behind the watermark leaves no gap: the run goes on at the watermark.

    Args:
        client: The client of the account.
        destination: A URL, for example `sqlite:///calls.db`; or an object that has the methods of `Destination`.
        start: The start of the time that the table shall hold, timezone-aware; `None` for a table that an earlier run has begun.
        end: Its end, timezone-aware; `None` for now less `settle`. An `end` in the future stands for now, and one before
            the watermark does not move it back.
        settle: How far to stay behind now, if `end` is `None`.
        lookback: How far before the watermark to ask again: as long as records appear late, or change.
        account: The name of the account in the table; `None` for the `customer_id` of `me()`.
        table: The name of the table, for a URL of a database.
        on_progress: Called with a `SyncProgress` in the event loop, after each transaction, and some times a second during a wait.

    Raises:
        ValueError, TypeError: An argument is not valid. Nothing was asked.
        ImportError: The extra of the destination is not installed.
        SyncBusyError: Another run syncs this table and account.
        SyncSchemaError: The table differs from the documented one.
        SyncDestinationError: The destination failed. The next run goes on.
        CheckpointError: The stored state is damaged, or of a later release.
        UnlimCallError: As for a stream. What came before the error is in the table.
    """
    _check_doors(client, on_progress)
    lookback = check_sync(client, start, end, settle, lookback)
    opened = _at(destination, table, account)
    account = await _name_of(account, client)
    try:
        text = await opened.open(account)
        state = None if text is None else SyncState.from_json(text)
        if state is None and start is None:
            raise ValueError("start is missing, and no earlier run has given one")
        # The first answer may have shown that this machine's clock is ahead.
        first, last = range_of(client, start, end, settle)
        if state is not None and start is None:
            first = state.first
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-compare") as thread:
            run = Run(client, opened, state, on_progress, thread, settle if end is None else timedelta(0))
            await run.ask(stretches_of(state, first, last, lookback))
            return run.result(first, last)
    finally:
        await opened.close()


def check_sync(
    client: AsyncClient, start: datetime | None, end: datetime | None, settle: timedelta, lookback: timedelta
) -> timedelta:
    """Check arguments of a sync, and return the lookback.

    Raises:
        ValueError, TypeError: One is not valid.
    """
    lookback = _arguments.span("lookback", lookback)
    if lookback < timedelta(0):
        raise ValueError("lookback must not be negative")
    range_of(client, start, end, settle)
    return lookback


async def repair_cdrs(
    client: AsyncClient,
    destination: str | Destination,
    ranges: Iterable[date | tuple[datetime, datetime]],
    *,
    account: str | None = None,
    table: str = "cdrs",
    on_progress: OnProgress | None = None,
) -> SyncResult:
    """Ask days or ranges of a table again, and write what differs from what the API holds: rows, and the manifest of the table.

    The interval that the table holds stays as it is, and time outside of it is not asked. Rows that are as they should be are not
    written. As in a sync, each piece of time is one transaction, and a run may be cancelled or killed at any moment.

    Args:
        client: The client of the account.
        destination: As for `sync_cdrs`.
        ranges: UTC days, and ranges as pairs of start and end, timezone-aware, in any order.
        account: The name of the account in the table; `None` for the `customer_id` of `me()`.
        table: The name of the table, for a URL of a database.
        on_progress: As for `sync_cdrs`.

    Raises:
        ValueError, TypeError: An argument is not valid, or no sync has written the account to the table. Nothing was asked.
        ImportError, SyncBusyError, SyncSchemaError, SyncDestinationError, CheckpointError, UnlimCallError: As for `sync_cdrs`.
    """
    _check_doors(client, on_progress)
    wanted = [_range_in(each, place) for place, each in enumerate(many("ranges", ranges, date))]
    opened = _at(destination, table, account)
    account = await _name_of(account, client)
    try:
        text = await opened.open(account)
        if text is None:
            raise ValueError(f"no sync has written account {account!r} there")
        state = SyncState.from_json(text)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-compare") as thread:
            run = Run(client, opened, state, on_progress, thread)
            stretches = again(state, wanted)
            await run.ask(stretches)
            return run.result(state.first, stretches[-1].end if stretches else state.first)
    finally:
        await opened.close()


def _range_in(value: object, place: int) -> tuple[datetime, datetime]:
    """Return a range, given a day or a range."""
    if isinstance(value, date) and not isinstance(value, datetime):
        start = datetime.combine(value, time(), UTC)
        # The last day has no end that a datetime holds.
        return start, min(start, to_datetime(LAST) - _DAY) + _DAY
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"ranges[{place}] must be a date, or a pair of datetimes")
    start, end = (_arguments.utc(f"ranges[{place}]", moment) for moment in value)
    if start > end:
        raise ValueError(f"ranges[{place}] ends before it begins")
    return start, end


def _check_doors(client: object, on_progress: object) -> None:
    """Require a client, and a function for the progress, or `None`."""
    if not isinstance(client, AsyncClient):
        raise TypeError(f"client must be an AsyncClient, not {type(client).__name__}")
    if on_progress is not None and not _arguments.is_plain_function(on_progress):
        raise TypeError("on_progress must be a plain function of one argument, or None")


def _at(destination: str | Destination, table: str, account: str | None) -> Destination:
    """Return the destination, once the arguments are checked."""
    if account is not None and not _arguments.text("account", account):
        raise ValueError("account must not be empty")
    if isinstance(destination, str):
        return destination_at(destination, table)
    kind = "a URL, or an object with the methods of Destination"
    require_methods("destination", destination, kind, "open", "unfit", "rows", "write", "close")
    return destination


async def _name_of(account: str | None, client: AsyncClient) -> str:
    """Return the name of the account in the table."""
    if account is None:
        account = (await client.me()).customer_id
        if not account:
            raise ValueError("account is missing, and the customer_id of me() is empty")
    return account


def range_of(
    client: AsyncClient, start: datetime | None, end: datetime | None, settle: timedelta
) -> tuple[datetime, datetime]:
    """Return the start and the end that a stream would use: it checks both, and reads the clock by its own rule.

    The end is not in the future: records that come later would lie before the watermark, and no run would ask them again.
    """
    if start is None:
        start = to_datetime(FIRST)
    stream = client.cdrs.stream(start, end, settle=settle)
    return stream.start, max(stream.start, min(stream.end, now_of(client)))
