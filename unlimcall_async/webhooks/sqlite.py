"""Seen events in an SQLite file, and the effects of handlers in the same transaction.

All SQL runs in one thread of the store's own: a commit waits for the disk, and for other processes that write. As jobs run in the
order in which they were given, the release of a claim whose making was cancelled comes after it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from os import PathLike, fspath
from types import TracebackType
from typing import Final, Self, TypeVar

from unlimcall_async.webhooks.claims import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    Claim,
    ClaimLostError,
    Standing,
    current_claim,
)

T = TypeVar("T")

# Seconds to wait for another process that is writing.
_PATIENCE: Final = 10.0

# One column tells when a row ends, of both kinds: a claim, which has a token, and an event that was seen, which has none. A claim
# that ran out is taken over by being gone.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS unlimcall_seen (key TEXT PRIMARY KEY, token TEXT, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unlimcall_seen_until ON unlimcall_seen (until);
"""
_CONFIRM: Final = """
INSERT INTO unlimcall_seen (key, token, until) VALUES (:key, NULL, :until)
ON CONFLICT (key) DO UPDATE SET token = NULL, until = :until WHERE token = :token
"""


class SQLiteStore:
    """Remembers the events of the last 26 hours in a file that survives restarts, and that several processes may share.

    It adds a table `unlimcall_seen` to the database, which may be one that you use for other things. Effects given to `at_commit`
    are committed together with the event's id: whenever the process dies, either both are there or neither is, and the event is
    handled again. The journal mode is left as it is; `PRAGMA journal_mode = WAL`, given once by you, makes commits several times
    faster. A file that is deleted or replaced meanwhile is opened anew, as after a restart: what it remembered is gone with it.

    Use it as `async with SQLiteStore(path) as store`, which opens the file at once, or call `aclose()` at the end.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, (str, PathLike)):
            raise TypeError(f"path must be a path, not {type(path).__name__}")
        self._path: str = fspath(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-seen")
        self._connection: sqlite3.Connection | None = None
        # Where SQLite has found the file, and which one it was; empty where there is none, as in memory.
        self._file: str = ""
        self._identity: tuple[int, int] | None = None
        self._closed = False

    def at_commit(self, effect: Callable[[sqlite3.Connection], object]) -> None:
        """Have an effect of the event that is being handled written in the transaction that remembers the event.

        To be called in a handler. When all handlers of the event have succeeded, `effect(connection)` is called in the store's
        thread; it should be short, a plain function, and must not commit, as `with connection:` and `executescript` do too: SQLite
        refuses that. If it raises, or any handler does, nothing is written and the event comes again.

        Raises:
            RuntimeError: No handler of an event that this store remembers is running here.
            TypeError: `effect` is not callable, or a coroutine function.
        """
        _check_effect(effect)
        claim = current_claim.get()
        if claim is None or claim.store is not self or claim.closed:
            raise RuntimeError("at_commit belongs into a handler, while it runs, of a receiver that has this store")
        claim.effects.append(effect)

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event; see `SeenStore`."""
        return await self._run(lambda: self._claim(claim, now))

    async def confirm(self, claim: Claim, now: float) -> None:
        """Remember a claimed event, with the effects of its handlers; see `SeenStore`."""
        await self._run(lambda: self._confirm(claim, now))

    async def release(self, claim: Claim) -> None:
        """Give up a claim; see `SeenStore`."""
        await self._run(lambda: self._release(claim))

    async def aclose(self) -> None:
        """Close the file, after what is under way. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._close)
            await asyncio.to_thread(self._thread.shutdown)

    async def __aenter__(self) -> Self:
        await self._run(self._opened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path} {'closed' if self._closed else 'open'}>"

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise RuntimeError("this SQLiteStore is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread --------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and _identity(self._file) != self._identity:
            # What is written to a file that has lost its name is lost with it; with a WAL, SQLite says nothing of that.
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._connection is None:
            # isolation_level: transactions begin and end where this module says so.
            connection = sqlite3.connect(self._file or self._path, timeout=_PATIENCE, isolation_level=None)
            try:
                # What was answered 200 never comes again: it must be on the disk by then, also if the power fails. FULL, without a
                # WAL, may not have made the end of the journal last by then, and a journal that comes back undoes the commit.
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.executescript(_SCHEMA)
                self._file = _file_of(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._identity = connection, _identity(self._file)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        # Immediate, because a transaction that begins by reading may fail when it comes to write.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.rollback()
        except sqlite3.Error:
            # As if an effect has closed it. The next transaction opens the file anew.
            self._connection = None
            connection.close()

    def _claim(self, claim: Claim, now: float) -> Standing:
        with self._transaction() as connection:
            connection.execute("DELETE FROM unlimcall_seen WHERE until < ?", (now,))
            with closing(connection.execute("SELECT token FROM unlimcall_seen WHERE key = ?", (claim.key,))) as rows:
                row = rows.fetchone()
            if row is not None and row[0] not in {None, claim.token}:
                return "busy"
            seen = row is not None and row[0] is None
            token, until = (None, now + KEEP_SECONDS) if seen else (claim.token, now + LEASE_SECONDS)
            connection.execute("REPLACE INTO unlimcall_seen VALUES (?, ?, ?)", (claim.key, token, until))
            return "seen" if seen else "claimed"

    def _confirm(self, claim: Claim, now: float) -> None:
        with self._transaction() as connection:
            values = {"key": claim.key, "token": claim.token, "until": now + KEEP_SECONDS}
            if connection.execute(_CONFIRM, values).rowcount != 1:
                raise ClaimLostError
            if claim.effects:
                _carry_out(claim.effects, connection)

    def _release(self, claim: Claim) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM unlimcall_seen WHERE key = ? AND token = ?", (claim.key, claim.token))


def _file_of(connection: sqlite3.Connection) -> str:
    """Give the path of the file, whatever directory is the current one later; empty where there is no file."""
    connection.text_factory = os.fsdecode  # a name need not be UTF-8
    with closing(connection.execute("PRAGMA database_list")) as rows:
        name = str(rows.fetchone()[2] or "")
    connection.text_factory = str
    return name


def _identity(path: str) -> tuple[int, int] | None:
    """Tell one file from another of the same name; `None` where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 # a path of SQLite's, not to be taken apart
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_effect(value: object) -> None:
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise TypeError("effect must be a plain function of the connection")


def _carry_out(effects: Iterable[Callable[[sqlite3.Connection], object]], connection: sqlite3.Connection) -> None:
    """Carry out effects, none of which may end the transaction: the confirmation would be there without those that follow."""
    connection.set_authorizer(_refuse_to_end)
    try:
        for effect in effects:
            if inspect.isawaitable(effect(connection)):
                raise TypeError("an effect given to at_commit must be a plain function")
            # SQLite itself ends it on INSERT OR ROLLBACK, whose error an effect may have caught.
            if not connection.in_transaction:
                raise RuntimeError("an effect given to at_commit ended the transaction")
    finally:
        connection.set_authorizer(None)
        # The store reads by this connection too.
        connection.row_factory, connection.text_factory = None, str


def _refuse_to_end(action: int, *_what: str | None) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK
