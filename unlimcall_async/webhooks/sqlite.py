"""The store of event ids in an SQLite file, with the effects of handlers in the same transaction.

All SQL runs in one thread of the store's own, because a commit waits for the disk, and for other processes that write. The thread
runs its jobs in order, so the release of a claim that was cancelled while it was being made comes after the claim.
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

from unlimcall_async.webhooks.stores import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    Claim,
    ClaimLostError,
    Standing,
    current_claim,
)

T = TypeVar("T")

# Seconds to wait for another process that is writing. After that the response is a 5xx, and the sender repeats the event.
_PATIENCE: Final = 10.0

# `until` is when a row ends, for both kinds of rows: a claim, which has a token, and an event that was handled, which has none. A
# claim that ran out is deleted like any old row, and so is free for the next delivery.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS unlimcall_seen (key TEXT PRIMARY KEY, token TEXT, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unlimcall_seen_until ON unlimcall_seen (until);
"""
# Also inserts: a claim that ran out, and was deleted, may be confirmed if no other delivery has claimed the event since.
_CONFIRM: Final = """
INSERT INTO unlimcall_seen (key, token, until) VALUES (:key, NULL, :until)
ON CONFLICT (key) DO UPDATE SET token = NULL, until = :until WHERE token = :token
"""


class SQLiteStore:
    """A store of the events of the last 26 hours in an SQLite file. It survives restarts, and several processes may share it.

        async with SQLiteStore("crm.db") as store:
            receiver = WebhookReceiver(secret, store=store)

    The store adds a table `unlimcall_seen` to the database, which may be one that you use for other things. The effects that a
    handler gives to `at_commit` are committed together with the id of the event. If the process dies, either both are in the file,
    or neither is and the event is handled again.

    `async with` opens the file at once and closes it at the end; otherwise the first event opens the file, and you call `aclose()`.
    The journal mode is left as it is. Run `PRAGMA journal_mode = WAL` once, and commits are several times faster. A file that is
    deleted or replaced is opened anew, as after a restart; the ids in the old file are lost.

    Args:
        path: The path of the database. SQLite makes the file if it does not exist.

    Raises:
        TypeError: `path` is not a path.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, (str, PathLike)):
            raise TypeError(f"path must be a path, not {type(path).__name__}")
        self._path: str = fspath(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-seen")
        self._connection: sqlite3.Connection | None = None
        # The absolute path of the file as SQLite found it, and the file's identity. Empty for a database in memory.
        self._file: str = ""
        self._identity: tuple[int, int] | None = None
        self._closed = False

    def at_commit(self, effect: Callable[[sqlite3.Connection], object]) -> None:
        """Run `effect(connection)` in the transaction that records the event as handled.

        Call `at_commit` from a handler:

            @receiver.on(CallEnded)
            async def update(event: CallEnded) -> None:
                store.at_commit(lambda db: db.execute("INSERT INTO ended VALUES (?)", (event.call_id,)))

        The effect runs in the store's thread after all handlers of the event have succeeded. Keep it short. It must not commit, and
        SQLite refuses a commit; `with connection:` and `executescript` commit, too. If the effect or any handler raises, nothing is
        written, the response is 500, and the sender repeats the event.

        Raises:
            RuntimeError: No handler of an event in this store is running here.
            TypeError: `effect` is not callable, or is a coroutine function.
        """
        if inspect.iscoroutinefunction(effect) or not callable(effect):
            raise TypeError("effect must be a plain function of the connection")
        claim = current_claim.get()
        if claim is None or claim.store is not self or claim.closed:
            raise RuntimeError("call at_commit from a running handler of a receiver that has this store")
        claim.effects.append(effect)

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event, and delete rows that have ended; see `SeenStore`."""

        def work() -> Standing:
            with self._transaction() as connection:
                connection.execute("DELETE FROM unlimcall_seen WHERE until < ?", (now,))
                with closing(
                    connection.execute("SELECT token FROM unlimcall_seen WHERE key = ?", (claim.key,))
                ) as rows:
                    row = rows.fetchone()
                if row is not None and row[0] not in {None, claim.token}:
                    return "busy"
                seen = row is not None and row[0] is None
                token, until = (None, now + KEEP_SECONDS) if seen else (claim.token, now + LEASE_SECONDS)
                connection.execute("REPLACE INTO unlimcall_seen VALUES (?, ?, ?)", (claim.key, token, until))
                return "seen" if seen else "claimed"

        return await self._run(work)

    async def confirm(self, claim: Claim, now: float) -> None:
        """Record that a claimed event was handled, with the effects of its handlers; see `SeenStore`."""

        def work() -> None:
            with self._transaction() as connection:
                values = {"key": claim.key, "token": claim.token, "until": now + KEEP_SECONDS}
                if connection.execute(_CONFIRM, values).rowcount != 1:
                    raise ClaimLostError
                if claim.effects:
                    _carry_out(claim.effects, connection)

        await self._run(work)

    async def release(self, claim: Claim) -> None:
        """Release a claim; see `SeenStore`."""

        def work() -> None:
            with self._transaction() as connection:
                connection.execute("DELETE FROM unlimcall_seen WHERE key = ? AND token = ?", (claim.key, claim.token))

        await self._run(work)

    async def aclose(self) -> None:
        """Finish the jobs that were given to the store, and close the file. A second call does nothing."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()

        if not self._closed:
            self._closed = True
            self._thread.submit(work)
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
        """Return the connection to the file, opened anew if there is none, or if another file has taken the path."""
        if self._connection is not None and _identity(self._file) != self._identity:
            # Rows that are written to a deleted file are lost with it; with a WAL, SQLite reports nothing.
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._connection is None:
            # isolation_level: transactions begin and end only where this module says so.
            connection = sqlite3.connect(self._file or self._path, timeout=_PATIENCE, isolation_level=None)
            try:
                # The sender never repeats an event after a 200, so the event must be on the disk by then, also if the power fails.
                # With FULL and no WAL, the end of the journal may not be durable yet, and a journal that comes back undoes the
                # commit.
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.executescript(_SCHEMA)
                # SQLite's own path of the file stays right if the current directory changes. A name need not be UTF-8.
                connection.text_factory = os.fsdecode
                with closing(connection.execute("PRAGMA database_list")) as rows:
                    self._file = str(rows.fetchone()[2] or "")
                connection.text_factory = str
            except BaseException:
                connection.close()
                raise
            self._connection, self._identity = connection, _identity(self._file)
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        # Immediate, because a transaction that begins by reading may fail at its first write.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            try:
                connection.rollback()
            except sqlite3.Error:
                # For example, an effect has closed the connection. The next transaction opens the file anew.
                self._connection = None
                connection.close()
            raise


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another file of the same name; `None` if there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116 # SQLite's own path, which must not be normalised
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _carry_out(effects: Iterable[Callable[[sqlite3.Connection], object]], connection: sqlite3.Connection) -> None:
    """Call the effects. None may end the transaction: the event would be recorded without the effects that follow."""

    def refuse_to_end(action: int, *_what: str | None) -> int:
        return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK

    connection.set_authorizer(refuse_to_end)
    try:
        for effect in effects:
            if inspect.isawaitable(effect(connection)):
                raise TypeError("an effect given to at_commit must be a plain function")
            # SQLite itself ends the transaction on INSERT OR ROLLBACK, and the effect may have caught the error.
            if not connection.in_transaction:
                raise RuntimeError("an effect given to at_commit ended the transaction")
    finally:
        connection.set_authorizer(None)
        # An effect may have set these, and the store reads by this connection too.
        connection.row_factory, connection.text_factory = None, str
