"""A table in a DuckDB file.

DuckDB lets one process at a time open a file. Within a process, several accounts may be synced into one file at once.

The table has no key: DuckDB checks keys eagerly, within a transaction, and call records have none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from unlimcall_async.cdrs.times import FIRST, LAST, to_datetime, to_micros
from unlimcall_async.sync.database import DatabaseDestination
from unlimcall_async.sync.destination import Address, Stored, one_account
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.errors import SyncBusyError, SyncConflictError, SyncDestinationError, SyncSchemaError
from unlimcall_async.sync.file_lock import locked, locked_by_itself
from unlimcall_async.sync.rows import COLUMNS, START, Kind, Row
from unlimcall_async.sync.table import (
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

T = TypeVar("T")

_DIALECT: Final = Dialect({"text": "VARCHAR", "integer": "BIGINT", "time": "TIMESTAMP WITH TIME ZONE"})
# How a column's values come out of a list that is one value of a statement. A list for each column is forty times as fast as a
# statement for each row. Times go in and out as microseconds: as times, the driver would ask for another package.
_FROM_LIST: Final[dict[Kind, str]] = {
    "text": "unnest(?::VARCHAR[])",
    "integer": "unnest(?::BIGINT[])",
    "time": "make_timestamptz(unnest(?::BIGINT[]))",
}
# Rows of one such statement. The driver holds each of their values a second time.
_AT_ONCE: Final = 2048
# Seconds to wait for another thread of this process: one that makes the same tables, or that is closing the file.
_PATIENCE: Final = 5.0
_LOOK: Final = 0.01

_SQLITE: Final = b"SQLite format 3\0"

# The name under which this process has opened each file.
_names: Final = dict[tuple[int, int], Path]()


class DuckDbDestination(DatabaseDestination[duckdb.DuckDBPyConnection]):
    """A table in a DuckDB file.

    Args:
        name: The name in messages.
        path: The file, which is made if it is not there.
        table: The table, with its schema and a dot before it if that is not the default one.

    Raises:
        ValueError: The name of the table is not valid.
    """

    def __init__(self, name: str, path: Path, table: str) -> None:
        super().__init__(name)
        schema, _, own = table.rpartition(".")
        if "." in schema or not own:
            raise ValueError("table must be a name, or a schema and a name with a dot between")
        self._path = path
        self._schema, self._table = schema or "main", own
        self._quoted = quoted(self._schema, own)
        self._state_table, self._manifest_table = (
            quoted(self._schema, STATE_TABLE),
            quoted(self._schema, MANIFEST_TABLE),
        )

    # --- begin and end ------------------------------------------------------------------------------------------------

    def _open(self, account: str) -> str | None:
        self._account = account
        key = (_DIALECT.folded(self._schema), _DIALECT.folded(self._table), account)
        path = self._path.resolve()
        self._locks.append(locked(self.name, path.parent, path.name, key))
        with self._failures():
            connection = self._connected(path, read_only=False)
            _first_name(path)  # of a file that is new
            self._locks += locked_by_itself(self.name, path, key)
            _patiently(lambda: self._check_tables(connection))
            found = connection.execute(
                f"SELECT state FROM {self._state_table} WHERE table_name = ? AND account = ?",  # noqa: S608 # a quoted name
                (_DIALECT.folded(self._table), account),
            ).fetchone()
            return None if found is None else str(found[0])

    def _connected(self, path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        if _is_sqlite(path):
            # DuckDB would fetch an extension from the network, and open the file by it.
            raise SyncDestinationError(
                self.name, "the file is a SQLite database: write sqlite:/// in place of duckdb:///"
            )
        self._connection = connection = _patiently(lambda: duckdb.connect(_first_name(path), read_only=read_only))
        # A schema may have the name of the file.
        ((database,),) = connection.execute("SELECT current_database()").fetchall()
        self._quoted = quoted(database, self._schema, self._table)
        self._state_table = quoted(database, self._schema, STATE_TABLE)
        self._manifest_table = quoted(database, self._schema, MANIFEST_TABLE)
        return connection

    def _look(self, account: str | None) -> Stored:
        if not self._path.is_file():
            raise SyncDestinationError(self.name, "no file is there")
        with self._failures():
            # A connection that reads alone would keep the syncs of this process from opening the file.
            connection = self._connected(self._path.resolve(), read_only=not os.access(self._path, os.W_OK))
            connection.execute("BEGIN")
            found = connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
            ).fetchall()
            schema, mine = _DIALECT.folded(self._schema), _DIALECT.folded(self._table)
            there = {_DIALECT.folded(name) for of, name in found if _DIALECT.folded(of) == schema}
            states = dict[str, str]()
            if {mine, STATE_TABLE} <= there:
                statement = f"SELECT account, state FROM {self._state_table} WHERE table_name = ?"  # noqa: S608 # a quoted name
                states = dict(connection.execute(statement, (mine,)).fetchall())
            self._account = one_account(list(states), account, self._table)
            entries = self._entries(to_datetime(FIRST), to_datetime(LAST)) if MANIFEST_TABLE in there else ()
            connection.execute("COMMIT")
        return Stored(self._account, states[self._account], entries)

    def _check_tables(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the tables that are not there.

        Raises:
            SyncSchemaError: The table is there, and cannot be written to.
        """
        here = "WHERE database_name = current_database()"
        # Its function `lower` folds letters beyond ASCII, which its names do not.
        mine = (_DIALECT.folded(self._schema), _DIALECT.folded(self._table))

        def named(schema: str, name: str) -> bool:
            return (_DIALECT.folded(schema), _DIALECT.folded(name)) == mine

        views = connection.execute(f"SELECT schema_name, view_name FROM duckdb_views() {here}").fetchall()  # noqa: S608 # a constant
        if any(named(*each) for each in views):
            raise SyncSchemaError(self.name, self._table, ["it is a view, and must be an ordinary table"])
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name, data_type, NOT is_nullable, column_default IS NOT NULL "  # noqa: S608 # as above
            f"FROM duckdb_columns() {here} ORDER BY column_index"
        ).fetchall()
        columns = [tuple(values) for schema, name, *values in columns if named(schema, name)]
        connection.execute(create_state_table(self._state_table, _DIALECT, key=False))
        connection.execute(create_manifest_table(self._manifest_table, _DIALECT, key=False))
        if not columns:
            connection.execute(create_table(self._quoted, _DIALECT))
            # Of a table that was dropped or renamed.
            for beside in (self._state_table, self._manifest_table):
                connection.execute(f"DELETE FROM {beside} WHERE table_name = ?", (mine[1],))  # noqa: S608 # a quoted name
        elif lines := differences([Found(*values) for values in columns], _DIALECT):
            raise SyncSchemaError(self.name, self._table, lines)

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._connection.interrupt()

    # --- a piece of time ----------------------------------------------------------------------------------------------

    def _entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        with self._transaction() as connection:
            found = connection.execute(
                f"SELECT begins, entry FROM {self._manifest_table} WHERE table_name = ? AND account = ? "  # noqa: S608 # a quoted name
                "AND begins >= ? AND begins < ? ORDER BY begins",
                (_DIALECT.folded(self._table), self._account, to_micros(start), to_micros(end)),
            ).fetchall()
        return [ManifestEntry(to_datetime(begins), entry) for begins, entry in found]

    def _rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        with self._transaction() as connection:
            with suppress(duckdb.TransactionException):
                connection.execute("ROLLBACK")  # of a transaction that was begun and not written
            connection.execute("BEGIN")
            columns = (
                f"epoch_us({quoted(each.name)})" if each.kind == "time" else quoted(each.name) for each in COLUMNS
            )
            limit = "" if most is None else f"LIMIT {most}"
            found = connection.execute(
                f"SELECT rowid, {', '.join(columns)} FROM {self._quoted} WHERE account = ? "  # noqa: S608 # quoted names
                # The user's column may have a collation to which other accounts are equal.
                "AND encode(account) = encode(?) AND start_time >= make_timestamptz(?) AND start_time < make_timestamptz(?) "
                f"ORDER BY start_time {limit}",
                (self._account, self._account, to_micros(start), to_micros(end)),
            ).fetchall()
        return [(address, (call, to_datetime(at), *values)) for address, call, at, *values in found]

    def _write(self, change: Change[Address], state: str | None) -> None:
        with self._transaction() as connection:
            if change.removed:
                connection.execute(
                    f"DELETE FROM {self._quoted} WHERE rowid IN (SELECT unnest(?::BIGINT[]))",  # noqa: S608 # as above
                    (list(change.removed),),
                )
            if change.revised:
                lists = (f"{_FROM_LIST[each.kind]} AS {quoted(each.name)}" for each in COLUMNS)
                values = ", ".join(f"{quoted(each.name)} = fresh.{quoted(each.name)}" for each in COLUMNS)
                connection.execute(
                    f"UPDATE {self._quoted} AS stored SET {values} FROM "  # noqa: S608 # as above
                    f"(SELECT unnest(?::BIGINT[]) AS address, {', '.join(lists)}) AS fresh WHERE stored.rowid = fresh.address",
                    ([address for address, _ in change.revised], *_lists([row for _, row in change.revised])),
                )
            values = ", ".join(_FROM_LIST[each.kind] for each in COLUMNS)
            for begin in range(0, len(change.inserted), _AT_ONCE):
                connection.execute(
                    f"INSERT INTO {self._quoted} ({names()}) SELECT ?, {values}",  # as above
                    (self._account, *_lists(change.inserted[begin : begin + _AT_ONCE])),
                )
            mine = (_DIALECT.folded(self._table), self._account)
            if change.outdated:
                connection.execute(
                    f"DELETE FROM {self._manifest_table} WHERE table_name = ? AND account = ? "  # noqa: S608 # as above
                    "AND begins IN (SELECT unnest(?::BIGINT[]))",
                    (*mine, [to_micros(begins) for begins in change.outdated]),
                )
            if change.entries:
                entries = [to_micros(each.start) for each in change.entries], [each.text for each in change.entries]
                connection.execute(
                    f"INSERT INTO {self._manifest_table} SELECT ?, ?, unnest(?::BIGINT[]), unnest(?::VARCHAR[])",  # as above
                    (*mine, *entries),
                )
            if state is not None:
                connection.execute(
                    f"DELETE FROM {self._state_table} WHERE table_name = ? AND account = ?",  # noqa: S608 # as above
                    mine,
                )
                connection.execute(f"INSERT INTO {self._state_table} VALUES (?, ?, ?)", (*mine, state))  # noqa: S608 # as above
            connection.execute("COMMIT")

    # --- failures -----------------------------------------------------------------------------------------------------

    def _roll_back(self, connection: duckdb.DuckDBPyConnection) -> None:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        # The driver's own errors are not chained: they may quote rows, and so phone numbers.
        try:
            yield
        except duckdb.TransactionException as error:
            raise SyncConflictError(self.name, _reason(error)) from None
        except duckdb.Error as error:
            reason = _reason(error)
            if "Could not set lock" in reason:
                raise SyncBusyError(
                    self.name, "another process has the file open, and DuckDB lets one at a time open a file"
                ) from None
            raise SyncDestinationError(self.name, reason) from None


def _is_sqlite(path: Path) -> bool:
    """Return whether a file is there and begins as each SQLite database does."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
    return False


def _first_name(path: Path) -> str:
    """Return the name under which this process has opened a file. Under a second name, DuckDB would take it for another database.

    Two databases over one file lose what the other one writes.
    """
    with suppress(OSError):
        found = path.stat()
        first = _names.setdefault((found.st_dev, found.st_ino), path)
        with suppress(OSError):
            if os.path.samestat(found, first.stat()):
                return str(first)
        _names[found.st_dev, found.st_ino] = path
    return str(path)


def _lists(rows: Sequence[Row]) -> list[list[Any]]:
    """Return the values of each column."""
    columns = [list(values) for values in zip(*rows, strict=True)]
    columns[START] = [to_micros(at) for at in columns[START]]
    return columns


def _patiently(work: Callable[[], T]) -> T:
    """Do work that fails as long as another thread of this process makes the same tables, or is closing the same file."""
    ends = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except (duckdb.TransactionException, duckdb.CatalogException, duckdb.BinderException) as error:
            # DuckDB 1.5 refuses to open a file whose last connection is being closed. Other errors of this class do not pass.
            passes = not isinstance(error, duckdb.BinderException) or "file handle conflict" in str(error)
            if not passes or time.monotonic() >= ends:
                raise
            time.sleep(_LOOK)


def _reason(error: duckdb.Error) -> str:
    if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException)):
        return "a constraint of the table, or the type of a column, refuses a row"  # its own words quote the row
    return str(error).partition("\n")[0] or type(error).__name__
