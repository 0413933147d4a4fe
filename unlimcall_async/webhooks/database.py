"""The connections to the SQLite file of a store, and the thread that uses them.

A connection or a file that has gone bad costs the deliveries of that moment alone:

- A connection that failed is closed, and the next transaction opens another one. Nothing is repaired on an open connection.
- Effects are functions of the user. Each confirmation with effects has a connection of its own, which is closed afterwards, with
  whatever an effect has set on that connection or left open.
- SQLite goes on writing to a file that was deleted, and reports nothing. So the identity of the files is checked before each
  transaction and after each commit. A commit to a file that is no longer in its place is an error.
- A child process must not use a connection that its parent opened: SQLite would believe in locks that the child does not hold. So
  a fork waits for the transaction under way, and closes the connection before the process is copied.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=sqlite3.Connection)

# For each of the database's files that exists: device, inode and size.
_Files: TypeAlias = tuple[tuple[int, int, int] | None, ...]

_logger = logging.getLogger("unlimcall_async")

# Seconds to wait for another process that is writing. After that the response is a 5xx, and the sender repeats the event.
_PATIENCE: Final = 10.0
# Seconds that a fork waits for the transaction under way: longer than a transaction waits for other processes.
_FORK_PATIENCE: Final = 15.0

# `until` is when a row ends, for both kinds of rows: a claim, which has a token, and an event that was handled, which has none. A
# claim that ran out is deleted like any old row, and so is free for the next delivery.
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS unlimcall_seen (key TEXT PRIMARY KEY, token TEXT, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS unlimcall_seen_until ON unlimcall_seen (until)",
)
# These errors say that another connection writes, and not that this one has gone bad.
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class FileMovedError(sqlite3.OperationalError):
    """A file of the database was deleted, replaced or emptied while it was open, so the commit may not last."""


class EffectConnection(sqlite3.Connection):
    """A connection for effects. `close` also ends the reads that effects have left open, which would go on holding a lock."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors = weakref.WeakSet[sqlite3.Cursor]()

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Return a cursor."""
        cursor = super().cursor(*args, **options)
        self._cursors.add(cursor)
        return cursor

    # The three shortcuts of the base class do not call `cursor`.

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement."""
        return self.cursor().execute(*args)  # type: ignore[no-any-return]  # a cursor may be of the caller's own class

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement for each of several sets of values."""
        return self.cursor().executemany(*args)  # type: ignore[no-any-return]  # as above

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        """Execute several statements."""
        return self.cursor().executescript(*args)  # type: ignore[no-any-return]  # as above

    def end_reads(self) -> None:
        """Close all cursors."""
        for cursor in list(self._cursors):
            cursor.close()

    def close(self) -> None:
        """Close all cursors, and the connection."""
        self.end_reads()
        super().close()


class Database:
    """An SQLite database with the table of seen events, and the one thread in which all SQL runs.

    `path` is absolute; `None` stands for a database in memory, which lives as long as this object is open.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        # A name for the connections of this object to share one database in memory.
        self._target = path or f"file:unlimcall-{uuid.uuid4().hex}?mode=memory&cache=shared"
        # In memory, the database is gone with its last connection. This one does nothing, and so never fails.
        self._anchor: sqlite3.Connection | None = None
        self._connection: sqlite3.Connection | None = None
        self._files: _Files = ()
        self._real_path = path
        self._waited = False
        self._start()
        _databases.add(self)

    def _start(self) -> None:
        self.thread: ThreadPoolExecutor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-seen")
        # Held during a transaction. An effect may fork, and then holds the lock already.
        self._lock = threading.RLock()

    # --- in the thread --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the database, unless it is open and its files are in place."""
        with self._lock:
            if self._kept() is None:
                self._opened()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, called in a transaction on the connection that is kept.

        If that connection fails, `work` is called once more, on a new one. So `work` must have no effect but its statements.
        """
        with self._lock:
            kept = self._kept()
            if kept is not None:
                try:
                    return self._attempt(kept, work)
                except sqlite3.Error as error:
                    # Another connection writes, and this one is as good as any. To wait twice would hold up all deliveries.
                    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                        raise
            return self._attempt(self._kept() or self._opened(), work)

    def run_apart(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, called once, in a transaction on a connection that is then closed."""
        with self._lock:
            # The kept connection stays open meanwhile: with a WAL, the last one to close would copy the WAL each time.
            if self._kept() is None:
                self._opened()
            with closing(self._connect(EffectConnection)) as connection:
                with _transaction(connection):
                    result = work(connection)
                    connection.end_reads()
                self._confirm_files()
            return result

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            self._drop()
            if self._anchor is not None:
                self._anchor.close()

    def _attempt(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with _transaction(connection):
                result = work(connection)
        except BaseException:
            self._drop()
            raise
        self._confirm_files()
        return result

    def _kept(self) -> sqlite3.Connection | None:
        """Return the connection that is kept, unless a file of it has left its place or lost its end."""
        if self._connection is not None and _changed(self._files, self._found_files()):
            self._rescue(self._connection)
            self._drop()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        """Open the connection that is kept, and return it."""
        if self._path is None and self._anchor is None:
            self._anchor = self._connect(sqlite3.Connection)
        try:
            connection = self._connect(sqlite3.Connection)
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            # The receiver logs no text of any error. This one is SQLite's own, and holds nothing of an event.
            _logger.error("the database of seen webhooks cannot be opened: %s", error)  # noqa: TRY400 # as just said
            raise
        if self._path is not None:
            self._real_path = os.path.realpath(self._path)
        self._connection, self._files = connection, self._found_files()
        return connection

    def _connect(self, kind: type[C]) -> C:
        connection = sqlite3.connect(
            self._target,
            timeout=_PATIENCE,
            isolation_level=None,  # transactions begin and end only where this module says so
            uri=self._path is None,
            factory=kind,
            check_same_thread=kind is EffectConnection,  # a fork closes the kept connection from its own thread
        )
        # The sender never repeats an event after a 200, so the event must be on the disk by then, also if the power fails. With
        # FULL and no WAL, the end of the journal may not be durable yet, and a journal that comes back undoes the commit.
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
        except BaseException:
            # The traceback keeps the connection alive, and with it the connection's locks.
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()

    # --- the files ------------------------------------------------------------------------------------------------

    def _found_files(self) -> _Files:
        if self._path is None:
            return ()
        # SQLite follows a symbolic link, and names the other two files after its target.
        return (_status(self._path), _status(f"{self._real_path}-wal"), _status(f"{self._real_path}-shm"))

    def _confirm_files(self) -> None:
        """Raise `FileMovedError` if the transaction that was just committed may be in a file that has left its place."""
        found = self._found_files()
        # A commit itself may shorten a WAL (`PRAGMA journal_size_limit`).
        if _changed(self._files, found, shorter=False):
            raise FileMovedError("a file of the database was deleted or replaced while it was open")
        if self._path is not None and found[1] is not None and _has_lost_its_head(f"{self._real_path}-wal"):
            # What was emptied now reads as zeros, which SQLite would copy into the database as it closes.
            os.truncate(f"{self._real_path}-wal", 0)
            self._drop()
            raise FileMovedError("the write-ahead log of the database was emptied while it was open")
        self._files = found

    def _rescue(self, connection: sqlite3.Connection) -> None:
        """Save what the connection alone can still read, before it is closed."""
        (before, wal_before, shm_before), (file, wal, shm) = self._files, self._found_files()
        if before is None or file is None or file[:2] != before[:2]:
            return  # the database itself is gone
        if file[2] == 0:
            # A WAL holds changed pages alone. Copied into an empty file, they would make a damaged database. SQLite, too, deletes
            # the WAL of an empty file.
            with suppress(OSError):
                os.truncate(f"{self._real_path}-wal", 0)
        elif wal_before is not None and (wal is None or (wal[2] == 0 and shm == shm_before)):
            # The WAL that was deleted is still open here. If something stands in another WAL, or in other shared memory, another
            # process has gone on without this one, and what is here no longer fits.
            busy = 0
            with suppress(sqlite3.Error), closing(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as rows:
                (busy, _, _) = rows.fetchone()
            if busy:
                raise FileMovedError("the write-ahead log was deleted, and another process still uses it")

    # --- around a fork --------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Wait for the transaction under way, and close the connection, so that the child does not get it."""
        self._waited = self._lock.acquire(timeout=_FORK_PATIENCE)
        if self._waited and self._path is not None:
            self._drop()

    def after_fork(self) -> None:
        """Go on, in the parent."""
        if self._waited:
            self._waited = False
            self._lock.release()

    def start_in_child(self) -> None:
        """Start anew: the thread does not exist in the child, and a thread of the parent may have held the lock."""
        if self._connection is not None and self._path is not None:
            # The fork did not wait long enough. To close the connection here would disturb the parent's.
            _inherited.append(self._connection)
            self._connection = None
        self._start()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # Immediate, because a transaction that begins by reading may fail at its first write.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # for example, an effect has closed the connection
            connection.rollback()
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table if the database lacks it. A table of that name with other columns is renamed, and stays in the database."""
    if _is_ours(connection):
        return
    with _transaction(connection):
        # Another process may have made the table since.
        with closing(connection.execute("SELECT name FROM main.sqlite_master")) as rows:
            names = {name for (name,) in rows}
        if "unlimcall_seen" in names and not _is_ours(connection):
            name = next(name for name in map("unlimcall_seen_{}".format, itertools.count(1)) if name not in names)
            _logger.warning("the table unlimcall_seen has other columns than expected: it is now %s", name)
            connection.execute(f"ALTER TABLE unlimcall_seen RENAME TO {name}")
            connection.execute("DROP INDEX IF EXISTS unlimcall_seen_until")
        for statement in _CREATE:
            connection.execute(statement)


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Return whether the table exists and the store can use it. More columns do no harm if they may be left out."""
    with closing(connection.execute("PRAGMA main.table_info(unlimcall_seen)")) as rows:
        columns = {name: (primary, bool(notnull) and default is None) for _, name, _, notnull, default, primary in rows}
    keys = {name for name, (primary, _) in columns.items() if primary}
    required = {name for name, (_, required) in columns.items() if required}
    return keys == {"key"} and {"token", "until"} <= columns.keys() and required <= {"key", "until"}


def _status(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 # a path that must not be normalised
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size


def _changed(before: _Files, now: _Files, *, shorter: bool = True) -> bool:
    """Return whether a file that existed before is gone, is another one, or is `shorter`.

    Another process may shorten a file for good reasons. A new connection does no harm then.
    """
    return any(
        old is not None and (new is None or new[:2] != old[:2] or (shorter and new[2] < old[2]))
        for old, new in zip(before, now, strict=True)
    )


def _has_lost_its_head(wal: str) -> bool:
    """Return whether a WAL was emptied and then written on: without its first bytes, SQLite ignores all of it after a crash."""
    try:
        with open(wal, "rb") as file:  # noqa: PTH123 # as above
            return file.read(4) == bytes(4)
    except OSError:
        return False


# All databases of this process, for the functions that run around a fork.
_databases: Final = weakref.WeakSet[Database]()
# What a child got of its parent, and must neither use nor close.
_inherited: Final[list[sqlite3.Connection]] = []


def _for_all(step: Callable[[Database], None]) -> Callable[[], None]:
    def run() -> None:
        for database in list(_databases):
            step(database)

    return run


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_for_all(Database.before_fork),
        after_in_parent=_for_all(Database.after_fork),
        after_in_child=_for_all(Database.start_in_child),
    )
