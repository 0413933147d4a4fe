"""A table in a PostgreSQL database.

A piece of time is one transaction that sees the table as it was at its first statement (REPEATABLE READ). So the addresses of the
rows that were read, their `ctid`, stay theirs until the rows are written. If another program has changed one of these rows
meanwhile, the server refuses the transaction, and the piece is compared again.

The lock of a run is an advisory lock of the session. It is gone with the connection, however the process ends.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from unlimcall_async.cdrs.times import FIRST, LAST, to_datetime, to_micros
from unlimcall_async.sync.database import DatabaseDestination
from unlimcall_async.sync.destination import Address, Stored, one_account
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.errors import SyncBusyError, SyncConflictError, SyncDestinationError, SyncSchemaError
from unlimcall_async.sync.forks import forks_so_far, owned
from unlimcall_async.sync.postgres_words import beside_values, check_url, lock_key, sql
from unlimcall_async.sync.rows import COLUMNS, Row
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

_DIALECT: Final = Dialect(
    {"text": "text", "integer": "bigint", "time": "timestamp with time zone"},
    {"text": frozenset({"character varying"})},
    ignores_case=False,
)
# The types of the columns in COPY. In binary, COPY takes a third of the CPU of text: `benchmarks/sync.py`.
# The server reads numbers of the column's own width alone, and the driver would choose the narrowest one for each number.
_COPIED: Final = [_DIALECT.types[column.kind] for column in ALL_COLUMNS]
_PARTITIONED: Final = "p"
# What a table may be: an ordinary or a partitioned one.
_TABLES: Final = frozenset({"r", _PARTITIONED})
# PostgreSQL cuts a longer name off, and would take two names for one. Bytes.
_LONGEST_NAME: Final = 63
# A server that is gone is noticed after some such time, unless the URL says otherwise. Seconds, and milliseconds for the last.
_DEFAULTS: Final = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 60_000}
# Seconds to wait for the server to take note of a cancellation.
_PATIENCE: Final = 5.0
# Seconds to wait for another session that has locked the table or a row.
_LOCK_TIMEOUT: Final = 20
# Seconds in which a server notices that a process is dead, and frees its lock; and those between two looks.
_DEAD_FOR: Final = 1.0
_LOOK: Final = 0.05
# Exact, byte for byte. The user's column may have a collation to which other accounts are equal.
_IS: Final = 'COLLATE "C" OPERATOR(pg_catalog.=)'
_KEPT: Final = "a trigger or a policy kept rows from being changed"
_NUL: Final = "a text with the character NUL, which PostgreSQL cannot hold"


class PostgresDestination(DatabaseDestination[psycopg.Connection[tuple[Any, ...]]]):
    """A table in a PostgreSQL database.

    Args:
        url: The URL, as libpq reads it.
        table: The table, with its schema and a dot before it if it is not on the search path.

    Raises:
        ValueError: The URL or the name is not valid.
    """

    def __init__(self, url: str, table: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            given = None
        if given is None:  # the error would quote the URL, which may hold a password
            raise ValueError("destination is not a URL that PostgreSQL can read")
        check_url(given)
        at = given.get("host") or ""
        port = f":{given['port']}" if given.get("port") else ""
        user = f"{given['user']}@" if given.get("user") else ""
        super().__init__(f"postgresql://{user}{at}{port}/{given.get('dbname') or ''}")
        parameters: dict[str, Any] = {**_DEFAULTS, "fallback_application_name": "unlimcall_async", **given}
        parameters["client_encoding"] = "UTF8"
        self._url = make_conninfo(**parameters)
        self._given = tuple(table.split("."))
        if len(self._given) > 2 or not all(0 < len(name.encode()) <= _LONGEST_NAME for name in self._given):
            raise ValueError(
                f"table must be a name, or a schema and a name with a dot between, of at most {_LONGEST_NAME} bytes each"
            )
        self._table = ("", "")
        # Before the name of a table whose children are other tables. Those of a partitioned one are its parts.
        self._only = ""
        self._interrupted = False

    # --- begin and end ------------------------------------------------------------------------------------------------

    def _open(self, account: str) -> str | None:
        self._account, self._interrupted = account, False
        if "\0" in account:
            raise ValueError("account must not hold the character NUL")
        with self._failures():
            connection = self._connected()
            self._lock_run(connection, lock_key("run", *self._table, account))
            with connection.transaction():
                # Two accounts may begin with one table at once.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("tables", self._table[0]),))
                self._check_table(connection)
            found = connection.execute(
                sql(
                    f"SELECT state FROM {beside_values(self._state_table)} "  # noqa: S608 # a quoted name
                    f"WHERE table_name {_IS} %s AND account {_IS} %s"
                ),
                (self._table[1], account),
            ).fetchone()
            return None if found is None else str(found[0])

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection that no other process has. A child that is forked meanwhile has it, and so another one is made."""
        while True:
            before = forks_so_far()
            connection = psycopg.connect(self._url, autocommit=True)
            if owned(connection.fileno(), before):
                break
            connection.close()
        self._connection = connection
        connection.execute(sql(f"SET TIME ZONE 'UTC'; SET datestyle = ISO; SET lock_timeout = '{_LOCK_TIMEOUT}s'"))
        self._table = self._resolved(connection)
        return connection

    def _look(self, account: str | None) -> Stored:
        self._interrupted = False
        with self._failures():
            connection = self._connected()
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            states = dict[str, str]()
            if (kind := self._kind(connection)) is not None and self._is_there(connection, self._state_table):
                self._only = "" if kind[1] == _PARTITIONED else "ONLY "
                found = f"SELECT account, state FROM {beside_values(self._state_table)} WHERE table_name {_IS} %s"  # noqa: S608 # quoted
                states = dict(connection.execute(sql(found), (self._table[1],)).fetchall())
            self._account = one_account(list(states), account, ".".join(self._table))
            is_proven = self._is_there(connection, self._manifest_table)
            entries = self._entries(to_datetime(FIRST), to_datetime(LAST)) if is_proven else ()
            connection.execute("COMMIT")
        return Stored(self._account, states[self._account], entries)

    def _is_there(self, connection: psycopg.Connection[tuple[Any, ...]], table: str) -> bool:
        return connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,)

    def _kind(self, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[Any, ...] | None:
        """Return the number and the kind of the table, or `None` if it is not there."""
        return connection.execute(
            "SELECT oid, relkind::text FROM pg_class WHERE oid = to_regclass(%s)", (self._quoted,)
        ).fetchone()

    def _lock_run(self, connection: psycopg.Connection[tuple[Any, ...]], key: int) -> None:
        """Take the lock of the run, which is gone with the connection.

        Raises:
            SyncBusyError: Another run has it.
        """
        ends = time.monotonic() + _DEAD_FOR
        while connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone() != (True,):
            if time.monotonic() >= ends or self._interrupted:
                raise SyncBusyError(self.name, "another run syncs this table and account")
            time.sleep(_LOOK)

    def _resolved(self, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[str, str]:
        """Return the schema and the name of the table, which need not be there yet."""
        if len(self._given) == 2:
            return self._given[0], self._given[1]
        found = connection.execute(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s) "
            "UNION ALL SELECT current_schema() LIMIT 1",
            (quoted(*self._given),),
        ).fetchone()
        if found is None or found[0] is None:
            raise SyncDestinationError(self.name, "no schema of its search path is there to make the table in")
        return str(found[0]), self._given[0]

    @property
    def _quoted(self) -> str:
        return quoted(*self._table)

    @property
    def _state_table(self) -> str:
        return quoted(self._table[0], STATE_TABLE)

    @property
    def _manifest_table(self) -> str:
        return quoted(self._table[0], MANIFEST_TABLE)

    def _check_table(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Make the tables that are not there.

        Raises:
            SyncSchemaError: The table is there, and cannot be written to.
        """
        # A role without the right to make tables may use those that are there.
        if not self._is_there(connection, self._state_table):
            connection.execute(sql(create_state_table(self._state_table, _DIALECT)))
        if not self._is_there(connection, self._manifest_table):
            connection.execute(sql(create_manifest_table(self._manifest_table, _DIALECT)))
        found = self._kind(connection)
        self._only = "" if found is not None and found[1] == _PARTITIONED else "ONLY "
        if found is None:
            connection.execute(sql(create_table(self._quoted, _DIALECT)))
            connection.execute(sql(f"CREATE INDEX ON {self._quoted} (account, start_time)"))
            # Of a table that was dropped or renamed.
            for beside in (self._state_table, self._manifest_table):
                stale = f"DELETE FROM {beside_values(beside)} WHERE table_name = %s"  # noqa: S608 # a quoted name
                connection.execute(sql(stale), (self._table[1],))
            return
        table, kind = found
        shown = ".".join(self._table)
        if kind not in _TABLES:
            raise SyncSchemaError(self.name, shown, ["it is a view or a foreign table, and must be an ordinary table"])
        columns = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> '', attgenerated <> '' "
            "FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        ).fetchall()
        if lines := differences([Found(*values) for values in columns], _DIALECT):
            raise SyncSchemaError(self.name, shown, lines)

    def _close(self) -> None:
        if self._connection is not None and not self._interrupted:
            # With the connection the lock is gone, too, but only once the server has noticed: a next run may be quicker.
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")
                self._connection.execute("SELECT pg_advisory_unlock_all()")
        super()._close()

    def _interrupt(self) -> None:
        self._interrupted = True
        connection = self._connection
        if connection is not None:
            threading.Thread(target=_cancel, args=(connection,), daemon=True).start()

    # --- a piece of time ----------------------------------------------------------------------------------------------

    def unfit(self, rows: Sequence[Row]) -> Sequence[tuple[int, str, str]]:
        """Return the rows with a NUL in a text."""
        if "\0" not in "".join([value for row in rows for value in row if type(value) is str]):
            return ()
        found = list[tuple[int, str, str]]()
        for place, row in enumerate(rows):
            at = next((at for at, value in enumerate(row) if type(value) is str and "\0" in value), None)
            if at is not None:
                found.append((place, COLUMNS[at].name, _NUL))
        return found

    def _entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        with self._transaction() as connection:
            found = connection.execute(
                sql(
                    f"SELECT begins, entry FROM {beside_values(self._manifest_table)} "  # noqa: S608 # a quoted name
                    f"WHERE table_name {_IS} %s AND account {_IS} %s AND begins >= %s AND begins < %s ORDER BY begins"
                ),
                (self._table[1], self._account, to_micros(start), to_micros(end)),
            )
            return [ManifestEntry(to_datetime(begins), entry) for begins, entry in found]

    def _rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        with self._transaction() as connection:
            connection.execute("ROLLBACK")  # of a transaction that was begun and not written
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            found = connection.execute(
                sql(
                    f"SELECT tableoid, ctid::text, {names()} FROM {self._only}{beside_values(self._quoted)} "  # noqa: S608 # quoted names
                    # The first condition is the one that an index serves.
                    f"WHERE account = %s AND account {_IS} %s AND start_time >= %s AND start_time < %s "
                    "ORDER BY start_time LIMIT %s"
                ),
                (self._account, self._account, start, end, most),
            )
            return [((partition, place), tuple(values)) for partition, place, _, *values in found]

    def _write(self, change: Change[Address], state: str | None) -> None:
        with self._transaction() as connection:
            removed, revised = defaultdict[int, list[str]](list), defaultdict[int, list[tuple[Any, ...]]](list)
            for partition, place in change.removed:
                removed[partition].append(place)
            for (partition, place), row in change.revised:
                revised[partition].append((*row, place))
            for partition in {*removed, *revised}:
                self._change(connection, partition, removed[partition], revised[partition])
            if change.inserted:
                cursor = connection.cursor()
                with cursor.copy(sql(f"COPY {self._quoted} ({names()}) FROM STDIN (FORMAT BINARY)")) as copy:
                    copy.set_types(_COPIED)
                    for row in change.inserted:
                        copy.write_row((self._account, *row))
                if cursor.rowcount != len(change.inserted):
                    raise SyncDestinationError(self.name, _KEPT)
            self._write_entries(connection, change)
            if state is not None:
                connection.execute(
                    sql(
                        f"INSERT INTO {beside_values(self._state_table)} VALUES (%s, %s, %s) "  # noqa: S608 # a quoted name
                        "ON CONFLICT (table_name, account) DO UPDATE SET state = excluded.state"
                    ),
                    (self._table[1], self._account, state),
                )
            connection.execute("COMMIT")

    def _write_entries(self, connection: psycopg.Connection[tuple[Any, ...]], change: Change[Address]) -> None:
        table, mine = beside_values(self._manifest_table), (self._table[1], self._account)
        if change.outdated:
            connection.execute(
                sql(f"DELETE FROM {table} WHERE table_name {_IS} %s AND account {_IS} %s AND begins = ANY(%s)"),  # noqa: S608 # quoted
                (*mine, [to_micros(begins) for begins in change.outdated]),
            )
        if change.entries:
            with connection.cursor() as cursor:
                cursor.executemany(
                    sql(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)"),  # noqa: S608 # as above
                    [(*mine, to_micros(entry.start), entry.text) for entry in change.entries],
                )

    def _change(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        partition: int,
        removed: Sequence[str],
        revised: Sequence[tuple[Any, ...]],
    ) -> None:
        """Remove and revise rows of a partition, which is the table itself if that has none."""
        named = connection.execute("SELECT %s::oid::regclass::text", (partition,)).fetchone()
        table = "" if named is None else beside_values(str(named[0]))
        done = 0
        if removed:
            delete = f"DELETE FROM ONLY {table} WHERE ctid = ANY(%s::tid[])"  # noqa: S608 # a name as the server quotes it
            done += connection.execute(sql(delete), (removed,)).rowcount
        if revised:
            columns = ", ".join(f"{quoted(column.name)} = %s" for column in COLUMNS)
            with connection.cursor() as cursor:
                cursor.executemany(sql(f"UPDATE ONLY {table} SET {columns} WHERE ctid = %s::tid"), revised)  # noqa: S608 # as above
                done += cursor.rowcount
        if done != len(removed) + len(revised):
            raise SyncDestinationError(self.name, _KEPT)

    # --- failures -----------------------------------------------------------------------------------------------------

    def _roll_back(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        # The drivers' own errors are not chained: their details quote rows, and so phone numbers.
        try:
            yield
        except (errors.SerializationFailure, errors.DeadlockDetected):
            raise SyncConflictError(self.name, "another program changed the same rows") from None
        except psycopg.Error as error:
            reason = error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__
            raise SyncDestinationError(self.name, reason) from None


def _cancel(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=_PATIENCE)
