"""The `call.ended` events that a receiver has handled, in the database of its store, for a later comparison with the records.

A store keeps only the keys of events, so that it holds no phone number. The log keeps what `SeenEvent` has, for some days. An event
is written in the transaction that records it as handled: either both are there, or neither is.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from os import PathLike
from typing import Final

from attrs import define

from unlimcall_async import UnlimCallError, _clock, _json
from unlimcall_async._argument_kinds import file_path
from unlimcall_async.operations import _checks, event_state
from unlimcall_async.operations.event_sides import SeenEvent, seconds
from unlimcall_async.webhooks import CallEnded, SQLiteStore

_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS unlimcall_ended (key TEXT PRIMARY KEY, event TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS unlimcall_ended_at ON unlimcall_ended (at)",
)
# The version of the JSON in `event`. The first rows have none, and are of version 1.
VERSION: Final = 1
_READ: Final = "SELECT event FROM unlimcall_ended ORDER BY at, key"
# Seconds to wait for another process that is writing.
_PATIENCE: Final = 10.0


@define(eq=False, slots=False)
class EventLogError(UnlimCallError, ValueError):
    """A file holds no log of events that can be read.

    Attributes:
        path: The file.
        reason: Why not. The contents are never quoted, because they may be phone numbers.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} holds no log of events: {self.reason}"


class EventLog:
    """Keeps the `call.ended` events that a receiver has handled, in the database of its store.

        log = EventLog(store)
        receiver.on(CallEnded)(log.note)

    The log adds a table `unlimcall_ended` to the database. The table holds phone numbers. `read_log` reads it, also from another
    process, and so does `unlimcall webhooks reconcile`.

    Args:
        store: The store of the receiver.
        keep: How long an event is kept after it came. Keep events for longer than the `horizon` of an `EventReconciler`.

    Raises:
        TypeError: `store` is not an `SQLiteStore`, or `keep` is not a timedelta.
        ValueError: `keep` is not above zero.
    """

    def __init__(self, store: SQLiteStore, *, keep: timedelta = timedelta(days=7)) -> None:
        if not isinstance(store, SQLiteStore):
            raise TypeError(f"store must be an SQLiteStore, not {type(store).__name__}")
        self._store = store
        self._keep = _checks.span("keep", keep).total_seconds()

    def note(self, event: CallEnded) -> None:
        """Keep an event, and forget events that are too old. Register this method as a handler of `CallEnded`.

        Raises:
            RuntimeError: No handler of an event in the store is running here.
        """
        arrived = _clock.utc_now()
        seen = SeenEvent.of(event, arrived)
        row = (seen.key, json.dumps({"version": VERSION, **event_state.plain_event(seen)}), seconds(arrived))

        def write(connection: sqlite3.Connection) -> None:
            for statement in _CREATE:
                connection.execute(statement)
            connection.execute("DELETE FROM unlimcall_ended WHERE at < ?", (seconds(arrived) - self._keep,))
            # Another hook may have told of the same call.
            connection.execute("INSERT OR IGNORE INTO unlimcall_ended (key, event, at) VALUES (?, ?, ?)", row)

        self._store.at_commit(write)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._store!r}>"


def read_log(path: str | PathLike[str]) -> list[SeenEvent]:
    """Return the events that an `EventLog` keeps in a database, in the order in which they came. The file is only read.

    The database of a store that has handled no event yet holds none.

    Raises:
        EventLogError: The file is not such a database, or cannot be read; or its store has handled events, and the log kept none.
        FileNotFoundError: There is no such file.
    """
    name = file_path("path", path)
    if not name.exists():
        raise FileNotFoundError(2, "there is no such file", str(name))
    try:
        with closing(sqlite3.connect(f"{name.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            rows = connection.execute(_READ).fetchall() if _has_log(connection) else []
        return [_event_of(text) for (text,) in rows]
    except sqlite3.Error as error:
        # SQLite's own text, which holds nothing of an event.
        raise EventLogError(str(name), str(error)) from None
    except (ValueError, TypeError) as error:
        raise EventLogError(str(name), str(error)) from None


def _event_of(text: str) -> SeenEvent:
    """Return the event of a row.

    Raises:
        ValueError: The text is not an event, or is of a later release.
        TypeError: A value is of the wrong type.
    """
    row = _json.read(text, fractions=float)
    version = row.pop("version", VERSION) if isinstance(row, dict) else VERSION
    # By type, because `True` and `1.0` are equal to 1.
    if type(version) is not int or version != VERSION:
        raise ValueError(f"an event is of a version that this release does not know: it knows {VERSION} only")
    return event_state.read_event(row)


def _has_log(connection: sqlite3.Connection) -> bool:
    """Return whether a database has the table of a log, and `False` for that of a store that has handled nothing yet.

    Raises:
        ValueError: The database is that of a store whose events no log has kept. All calls would count as missed.
        sqlite3.Error: The database is that of no store.
    """
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'unlimcall_ended'"
    ).fetchone()
    # A row with a token is an event that is being handled.
    if found is None and connection.execute("SELECT 1 FROM unlimcall_seen WHERE token IS NULL").fetchone() is not None:
        raise ValueError("the store has handled events, but no EventLog has kept a call.ended")
    return found is not None
