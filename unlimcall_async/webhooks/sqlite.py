"""The store of event ids in an SQLite file, with the effects of handlers in the same transaction.

All SQL runs in one thread of the store's own, because a commit waits for the disk, and for other processes that write. The thread
runs its jobs in order, so the release of a claim that was cancelled while it was being made comes after the claim.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from os import PathLike
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

from unlimcall_async.webhooks.database import Database
from unlimcall_async.webhooks.database_path import absolute
from unlimcall_async.webhooks.stores import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    Claim,
    ClaimLostError,
    Standing,
    current_claim,
)

P = ParamSpec("P")
T = TypeVar("T")

# A claim runs out by the clock, an event that was handled only when its time has really passed.
_FORGET: Final = "DELETE FROM unlimcall_seen WHERE until < ? AND (token IS NOT NULL OR until < ?)"
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
    The journal mode is left as it is. Run `PRAGMA journal_mode = WAL` once, and commits are several times faster.

    A connection that fails is closed, and the file is opened anew, as after a restart. The same holds for a file that was deleted,
    replaced or emptied, or whose table is gone; the ids in it are lost, and events that come again are handled again. A commit to a
    file that is no longer in its place is a failure: the sender repeats the event. A store may be used before and after a `fork`,
    in the parent and in the child.

    Args:
        path: The path of the database, on a local disk. SQLite makes the file if it does not exist, and other files beside it.
            `":memory:"` is a database in memory.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` is empty, or on a network file system.
        OSError: The directory does not exist, or the file or the directory cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._name = path
        self._database = Database(absolute(path))
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

        def work(connection: sqlite3.Connection) -> Standing:
            connection.execute(_FORGET, (now, claim.steady))
            with closing(connection.execute("SELECT token FROM unlimcall_seen WHERE key = ?", (claim.key,))) as rows:
                row = rows.fetchone()
            if row is not None and row[0] not in {None, claim.token}:
                return "busy"
            seen = row is not None and row[0] is None
            token, until = (None, now + KEEP_SECONDS) if seen else (claim.token, now + LEASE_SECONDS)
            connection.execute(
                "REPLACE INTO unlimcall_seen (key, token, until) VALUES (?, ?, ?)", (claim.key, token, until)
            )
            return "seen" if seen else "claimed"

        return await self._call(self._database.run, work)

    async def confirm(self, claim: Claim, now: float) -> None:
        """Record that a claimed event was handled, with the effects of its handlers; see `SeenStore`."""

        def work(connection: sqlite3.Connection) -> None:
            values = {"key": claim.key, "token": claim.token, "until": now + KEEP_SECONDS}
            if connection.execute(_CONFIRM, values).rowcount != 1:
                raise ClaimLostError
            if claim.effects:
                _carry_out(claim.effects, connection)

        await self._call(self._database.run_apart if claim.effects else self._database.run, work)

    async def release(self, claim: Claim) -> None:
        """Release a claim; see `SeenStore`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM unlimcall_seen WHERE key = ? AND token = ?", (claim.key, claim.token))

        await self._call(self._database.run, work)

    async def aclose(self) -> None:
        """Finish the jobs that were given to the store, and close the file. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._database.thread.submit(self._database.close)
            await asyncio.to_thread(self._database.thread.shutdown)

    async def __aenter__(self) -> Self:
        await self._call(self._database.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {'closed' if self._closed else 'open'}>"

    async def _call(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        if self._closed:
            raise RuntimeError("this SQLiteStore is closed")
        job = functools.partial(work, *args, **options)
        return await asyncio.get_running_loop().run_in_executor(self._database.thread, job)


def _carry_out(effects: Iterable[Callable[[sqlite3.Connection], object]], connection: sqlite3.Connection) -> None:
    """Call the effects. None may end the transaction: the event would be recorded without the effects that follow."""
    connection.set_authorizer(_refuse)
    try:
        for effect in effects:
            result = effect(connection)
            # Nothing of a generator has run.
            if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
                raise TypeError("an effect given to at_commit must be a plain function")
            # SQLite itself ends the transaction on INSERT OR ROLLBACK, and the effect may have caught the error.
            if not connection.in_transaction:
                raise RuntimeError("an effect given to at_commit ended the transaction")
    except (StopIteration, GeneratorExit) as error:
        # A future cannot hold the first, for example from `next` of an empty result, and its waiter would wait for ever. The second
        # would end the waiter as if it were closed.
        raise RuntimeError(f"an effect given to at_commit raised {type(error).__name__}") from error
    finally:
        connection.set_authorizer(None)


def _refuse(action: int, name: str | None, value: str | None, *_where: str | None) -> int:
    """Refuse what would end the transaction, and a change of the journal, without which a crash may leave half of it."""
    refused = action == sqlite3.SQLITE_TRANSACTION or (
        action == sqlite3.SQLITE_PRAGMA and (name or "").lower() == "journal_mode" and value is not None
    )
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK
