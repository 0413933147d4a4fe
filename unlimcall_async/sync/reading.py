"""What a table holds, for those that check it: its manifest, and its records in order of time.

A thin shell around a destination that is opened for reading. No lock is taken, so a sync may go on meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Final

from unlimcall_async import _arguments
from unlimcall_async.models import CallRecord
from unlimcall_async.proof.manifest import Manifest
from unlimcall_async.sync.entries import manifest_of
from unlimcall_async.sync.errors import SyncDestinationError
from unlimcall_async.sync.rows import record_of, start_of
from unlimcall_async.sync.state import SyncState
from unlimcall_async.sync.url import destination_at

# Rows that are read at once, which take some 15 MB.
_MOST_ROWS: Final = 20_000
_MICROSECOND: Final = timedelta(microseconds=1)


async def read_manifest(destination: str, account: str | None = None, table: str = "cdrs") -> Manifest:
    """Return the manifest of what a table holds: which time, why each window of that time is complete, and the digest of each day.

    The manifest covers the time that the table holds, up to the watermark, as the last transaction has left both. Time that a
    release before manifests has written is not covered: the manifest begins behind it. `repair_cdrs` asks such time again, and so
    extends the manifest.

    The manifest says what the sync has written. Rows that somebody edits later do not change the manifest: the digests of such days
    differ from those of the table.

    Args:
        destination: The URL of the destination, as for `sync_cdrs`.
        account: The name of the account in the table; `None` for the only one.
        table: The name of the table, for a URL of a database.

    Raises:
        ValueError, TypeError: An argument is not valid, or no sync has written the account to the table.
        ImportError: The extra of the destination is not installed.
        SyncBusyError: Another process has the DuckDB file open.
        SyncDestinationError: The destination is not there, or it failed.
        CheckpointError: What is stored beside the table is damaged, or of a later release.
    """
    opened = destination_at(destination, table)
    try:
        stored = await opened.look(account)
        return manifest_of(SyncState.from_json(stored.state), stored.entries)
    finally:
        await opened.close()


async def read_interval(destination: str, account: str | None = None, table: str = "cdrs") -> tuple[datetime, datetime]:
    """Return the start and the end of the time that a table holds: its end is the watermark.

    Args:
        destination: The URL of the destination, as for `sync_cdrs`.
        account: The name of the account in the table; `None` for the only one.
        table: The name of the table, for a URL of a database.

    Raises:
        ValueError, TypeError, ImportError, SyncBusyError, SyncDestinationError, CheckpointError: As for `read_manifest`.
    """
    opened = destination_at(destination, table)
    try:
        state = SyncState.from_json((await opened.look(account)).state)
        return state.first, state.watermark
    finally:
        await opened.close()


async def read_records(
    destination: str,
    account: str | None = None,
    table: str = "cdrs",
    start: datetime | None = None,
    end: datetime | None = None,
) -> AsyncGenerator[list[CallRecord], None]:
    """Iterate over the records of a table in lists, in order of their starts.

    Each list is read at once. If a sync writes to the table meanwhile, later lists hold what it has written.

    Args:
        destination: The URL of the destination, as for `sync_cdrs`.
        account: The name of the account in the table; `None` for the only one.
        table: The name of the table, for a URL of a database.
        start: The start of the time, timezone-aware; `None` for the start of the time that the table holds.
        end: Its end, which is not part of it, timezone-aware; `None` for the watermark.

    Raises:
        ValueError, TypeError, ImportError, SyncBusyError, CheckpointError: As for `read_manifest`.
        SyncDestinationError: As for `read_manifest`, or a row of the table is not a call record.
    """
    start, end = _arguments.window(start, end)
    opened = destination_at(destination, table)
    try:
        state = SyncState.from_json((await opened.look(account)).state)
        start, end = start or state.first, end or state.watermark
        while start < end:
            rows = [row for _, row in await opened.rows(start, end, _MOST_ROWS)]
            reached = end
            if len(rows) >= _MOST_ROWS:
                reached = start_of(rows[-1])
                if reached > start:
                    rows = [row for row in rows if start_of(row) < reached]
                else:
                    # One instant holds so many.
                    reached = start + _MICROSECOND
                    rows = [row for _, row in await opened.rows(start, reached, None)]
            if rows:
                try:
                    records = list(map(record_of, rows))
                except ValueError:
                    raise SyncDestinationError(opened.name, "a row has an extra that is not a JSON object") from None
                yield records
            start = reached
    finally:
        await opened.close()
