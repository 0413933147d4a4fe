"""A table of call records that is kept up to date with the API, exactly.

engine         `sync_cdrs` and `repair_cdrs`
run            one run of either
state          how far a table is, and what a run asks (pure)
pieces         the pieces of time of a stream
rows, diff     records as rows; what a piece changes in a table (pure)
entries        what a piece changes in the manifest of a table, which `reading` returns (pure)
portions       what one transaction writes: rows and entries (pure)
reading        the manifest and the records of a table
destination    the protocol of what a run writes to, and `url`, which finds the destination of a URL
sqlite         one module for each destination, with what they share: `table` (SQL, pure), `threaded`, `database` and `file_lock`
"""

from __future__ import annotations

from unlimcall_async.sync.destination import Address, Destination, ManifestDestination
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.engine import repair_cdrs, sync_cdrs
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.errors import SyncBusyError, SyncConflictError, SyncDestinationError, SyncSchemaError
from unlimcall_async.sync.reading import read_interval, read_manifest, read_records
from unlimcall_async.sync.rows import COLUMNS, Column, Row
from unlimcall_async.sync.run import SyncProgress, SyncResult

__all__ = [
    "COLUMNS",
    "Address",
    "Change",
    "Column",
    "Destination",
    "ManifestDestination",
    "ManifestEntry",
    "Row",
    "SyncBusyError",
    "SyncConflictError",
    "SyncDestinationError",
    "SyncProgress",
    "SyncResult",
    "SyncSchemaError",
    "read_interval",
    "read_manifest",
    "read_records",
    "repair_cdrs",
    "sync_cdrs",
]
