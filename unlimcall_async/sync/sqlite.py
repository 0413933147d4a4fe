"""A table in a SQLite file. The journal mode of the file, its indexes and all other tables stay as they are."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from unlimcall_async.cdrs.times import FIRST, LAST, to_datetime, to_micros
from unlimcall_async.sync.database import DatabaseDestination
from unlimcall_async.sync.destination import Address, Stored, one_account
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.errors import SyncDestinationError, SyncSchemaError
from unlimcall_async.sync.file_lock import locked, locked_by_itself
from unlimcall_async.sync.rows import START, Row
from unlimcall_async.sync.table import (
    ALL_COLUMNS,
    MANIFEST_TABLE,
    STATE_TABLE,
    Dialect,
    Found,
    create_manifest_table,
    create_state_table,
    create_table,
    differences,
    names,
    quoted,
)

# SQLite converts a value by the words in the declared type. These types convert nothing that a row holds.
_DIALECT: Final = Dialect(
    {"text": "TEXT", "integer": "INTEGER", "time": "TEXT"}, {"integer": frozenset({"int", "bigint"})}
)
# Seconds to wait for another program that writes to the file.
_PATIENCE: Final = 20.0
# Seconds of one wait: a cancelled sync ends after such a time.
_LOOK: Final = 0.1
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# The names of a row's address. A column of the user may have one of them.
_ADDRESSES: Final = ("rowid", "_rowid_", "oid")


class SqliteDestination(DatabaseDestination[sqlite3.Connection]):
    """A table in a SQLite file.

    Args:
        name: The name in messages.
        path: The file, which is made if it is not there.
        table: The table.
    """

    def __init__(self, name: str, path: Path, table: str) -> None:
        super().__init__(name)
        self._path = path
        self._table = table
        self._quoted = quoted("main", table)
        self._state_table, self._manifest_table = quoted("main", STATE_TABLE), quoted("main", MANIFEST_TABLE)
        self._address = _ADDRESSES[0]
        self._reading = self._interrupted = False

    # --- begin and end ------------------------------------------------------------------------------------------------

    def _open(self, account: str) -> str | None:
        self._account, self._reading, self._interrupted = account, False, False
        path = self._path.resolve()
        run = (_DIALECT.folded(self._table), account)
        self._locks.append(locked(self.name, path.parent, path.name, run))
        with self._failures():
            self._connection = connection = sqlite3.connect(
                path, timeout=_LOOK, isolation_level=None, check_same_thread=False
            )
            self._locks += locked_by_itself(self.name, path, run)
            self._wait_for_others(connection, "BEGIN IMMEDIATE")
            connection.execute(create_state_table(self._state_table, _DIALECT))
            connection.execute(create_manifest_table(self._manifest_table, _DIALECT))
            self._check_table(connection)
            found = connection.execute(
                f"SELECT state FROM {self._state_table} WHERE table_name = ? AND account = ?",  # noqa: S608 # a quoted name
                (_DIALECT.folded(self._table), account),
            ).fetchone()
            self._wait_for_others(connection, "COMMIT")
            return None if found is None else str(found[0])

    def _check_table(self, connection: sqlite3.Connection) -> None:
        """Make the table if it is not there.

        Raises:
            SyncSchemaError: It is there, and cannot be written to.
        """
        kinds = connection.execute(
            "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND lower(name) = lower(?)", (self._table,)
        ).fetchall()
        if not kinds:
            connection.execute(create_table(self._quoted, _DIALECT))
            index = quoted("main", f"{self._table}_account_start_time")
            connection.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {quoted(self._table)} (account, start_time)")
            # Of a table that was dropped or renamed.
            for beside in (self._state_table, self._manifest_table):
                stale = f"DELETE FROM {beside} WHERE table_name = ?"  # noqa: S608 # a quoted name
                connection.execute(stale, (_DIALECT.folded(self._table),))
            return
        ((kind, without_rowid),) = kinds
        if kind != "table" or without_rowid:
            what = "was made WITHOUT ROWID" if kind == "table" else f"is a {kind}"
            raise SyncSchemaError(self.name, self._table, [f"it {what}, and must be an ordinary table"])
        columns = connection.execute(f"PRAGMA main.table_xinfo({quoted(self._table)})").fetchall()
        found = [
            Found(name, kind, bool(not_null), default is not None, generated=hidden > 1)
            for _, name, kind, not_null, default, _, hidden in columns
        ]
        if lines := differences(found, _DIALECT):
            raise SyncSchemaError(self.name, self._table, lines)
        taken = {column.name.lower() for column in found}
        free = [name for name in _ADDRESSES if name not in taken]
        if not free:
            raise SyncSchemaError(self.name, self._table, [f"its columns hide all of {', '.join(_ADDRESSES)}"])
        self._address = free[0]

    def _look(self, account: str | None) -> Stored:
        self._reading, self._interrupted = True, False
        if not self._path.is_file():
            raise SyncDestinationError(self.name, "no file is there")
        with self._failures():
            self._connection = connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE, check_same_thread=False
            )
            connection.execute("BEGIN")
            there = {_DIALECT.folded(name) for (name,) in connection.execute("SELECT name FROM main.sqlite_master")}
            mine = _DIALECT.folded(self._table)
            states = dict[str, str]()
            if {mine, STATE_TABLE} <= there:
                found = f"SELECT account, state FROM {self._state_table} WHERE table_name = ?"  # noqa: S608 # a quoted name
                states = dict(connection.execute(found, (mine,)))
            self._account = one_account(list(states), account, self._table)
            entries = self._entries(to_datetime(FIRST), to_datetime(LAST)) if MANIFEST_TABLE in there else ()
            connection.execute("COMMIT")
        return Stored(self._account, states[self._account], entries)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._connection is not None:
            self._connection.interrupt()

    # --- a piece of time ----------------------------------------------------------------------------------------------

    def _entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        with self._transaction() as connection:
            found = self._wait_for_others(
                connection,
                f"SELECT begins, entry FROM {self._manifest_table} WHERE table_name = ? AND account = ? "  # noqa: S608 # a quoted name
                "AND begins >= ? AND begins < ? ORDER BY begins",
                (_DIALECT.folded(self._table), self._account, to_micros(start), to_micros(end)),
            )
            return [ManifestEntry(to_datetime(begins), entry) for begins, entry in found]

    def _rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        with self._transaction() as connection:
            if not connection.in_transaction and not self._reading:
                self._wait_for_others(connection, "BEGIN IMMEDIATE")
            found = self._wait_for_others(
                connection,
                f"SELECT {self._address}, {names()} FROM {self._quoted} "  # noqa: S608 # quoted names
                "WHERE account COLLATE BINARY = ? AND start_time >= ? AND start_time < ? ORDER BY start_time LIMIT ?",
                (self._account, _text_of(start), _text_of(end), -1 if most is None else most),
            )
            return [(address, self._read(values)) for address, _, *values in found]

    def _read(self, values: list[Any]) -> Row:
        try:
            values[START] = datetime.fromisoformat(values[START])
        except ValueError:
            raise SyncDestinationError(self.name, f"{self._table} has a start_time that is not a time") from None
        return tuple(values)

    def _write(self, change: Change[Address], state: str | None) -> None:
        with self._transaction() as connection:
            where = f"{self._quoted} WHERE {self._address} = ?"
            removed = connection.executemany(f"DELETE FROM {where}", [(address,) for address in change.removed])  # noqa: S608 # as above
            revised = connection.executemany(
                f"UPDATE {self._quoted} SET {names(after=' = ?')} WHERE {self._address} = ?",  # noqa: S608 # as above
                [(*self._values(row), address) for address, row in change.revised],
            )
            inserted = connection.executemany(
                f"INSERT INTO {self._quoted} ({names()}) VALUES ({', '.join('?' * len(ALL_COLUMNS))})",  # noqa: S608 # as above
                map(self._values, change.inserted),
            )
            wanted = (change.removed, change.revised, change.inserted)
            done = (removed.rowcount, revised.rowcount, inserted.rowcount)
            if any(len(rows) > count for rows, count in zip(wanted, done, strict=True)):
                raise SyncDestinationError(self.name, "a trigger kept rows from being changed")
            mine = (_DIALECT.folded(self._table), self._account)
            connection.executemany(
                f"DELETE FROM {self._manifest_table} WHERE table_name = ? AND account = ? AND begins = ?",  # noqa: S608 # as above
                [(*mine, to_micros(begins)) for begins in change.outdated],
            )
            connection.executemany(
                f"INSERT INTO {self._manifest_table} VALUES (?, ?, ?, ?)",  # noqa: S608 # as above
                [(*mine, to_micros(entry.start), entry.text) for entry in change.entries],
            )
            if state is not None:
                connection.execute(
                    f"INSERT INTO {self._state_table} VALUES (?, ?, ?) "  # noqa: S608 # as above
                    "ON CONFLICT (table_name, account) DO UPDATE SET state = excluded.state",
                    (*mine, state),
                )
            self._wait_for_others(connection, "COMMIT")

    def _values(self, row: Row) -> tuple[Any, ...]:
        return (self._account, *row[:START], _text_of(row[START]), *row[START + 1 :])

    # --- failures -----------------------------------------------------------------------------------------------------

    def _wait_for_others(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Any] = ()
    ) -> sqlite3.Cursor:
        """Execute a statement once no other connection stands in its way, and return its rows."""
        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                return connection.execute(statement, values)
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or self._interrupted or time.monotonic() >= ends:
                    raise

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            connection.rollback()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            reason = f"another program has been using it for {_PATIENCE:.0f} s" if _is_busy(error) else str(error)
            raise SyncDestinationError(self.name, reason) from error


def _text_of(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
