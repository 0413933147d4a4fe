"""Faults put into the code on purpose. A simulation that finds none of them would find nothing else either."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from attrs import evolve, frozen

from tests.simulation.plan import Program
from unlimcall_async import CheckpointFile
from unlimcall_async.cdrs import tail
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal
from unlimcall_async.cdrs.planner import claims, margins, page_cap, seek
from unlimcall_async.cdrs.planner.seek import SeamCheck
from unlimcall_async.http import exchange, limiter, outcome
from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.shared import limiter as shared_limiter
from unlimcall_async.shared import server as shared_server
from unlimcall_async.shared.limiter import SharedLimiter
from unlimcall_async.sync.sqlite import SqliteDestination
from unlimcall_async.webhooks import handling
from unlimcall_async.webhooks.sqlite import SQLiteStore


@frozen
class Broken:
    """A fault in the code.

    Attributes:
        name: What is wrong, in words.
        program: The program that shows it.
        applied: Puts the fault into the code for the length of a block.
    """

    name: str
    program: Program
    applied: Callable[[], AbstractContextManager[Any]]


def _patched(owner: Any, name: str, replacement: Any) -> Callable[[], Any]:
    return partial(patch.object, owner, name, replacement)


# --- the planner ------------------------------------------------------------------------------------------------------------


def _seam_of_one_row_less(*args: Any, **options: Any) -> tuple[SeamCheck, int]:
    """Take a page that lacks a row which it must hold for one that agrees."""
    found, repeated = _check_seam(*args, **options)
    return SeamCheck.AGREES if found is SeamCheck.REFUTES else found, repeated


_check_seam = seek.check_seam


def _believes_short_pages(_cap: Any, page: Any) -> bool:
    """Take a page for its whole window, though `count` is above its rows."""
    return bool(page.size < 1000 and page.size == len(page.rows))


@contextmanager
def _narrow_windows() -> Iterator[None]:
    """Ask for a window without the margin behind it that the server's bounds need."""
    around = margins.Margins.around
    with patch.object(margins.Margins, "around", lambda self, wanted: around(evolve(self, before=0, behind=0), wanted)):
        yield


# --- the limits and the attempts --------------------------------------------------------------------------------------------


async def _token_before_slot(self: Any, slots: asyncio.Semaphore, party: Hashable) -> float:
    """Take the token first, and wait for the slot then."""
    del party
    await self._until_ready()
    taken_at = limiter._now()
    self._bucket.take(taken_at)
    await slots.acquire()
    return float(taken_at)


def _post_again(endpoint: Any, sent: Any, what: Any, **options: Any) -> Any:
    """Send a POST again whose connection broke."""
    verdict = _judge(endpoint, sent, what, **options)
    if what.name == "NO_RESPONSE":
        return evolve(verdict, outcome_unknown=False, may_send_again=True)
    return verdict


_judge = outcome.judge


async def _no_pause(_self: Any, _seconds: float) -> None:
    """Go on after a 429 as if nothing had been said."""


@contextmanager
def _forgets_the_minute() -> Iterator[None]:
    """Refill at the full rate, and forget how many requests the last minute had."""

    def ready_at(self: Any) -> float:
        ready = max(self.paused_until, self._at)
        return float(max(ready, self._at + (1 - self._tokens) * self._interval) if self._tokens < 1 else ready)

    with patch.object(TokenBucket, "ready_at", ready_at), patch.object(TokenBucket, "_spread", lambda *_: 0.0):
        yield


# --- what is stored ---------------------------------------------------------------------------------------------------------


@contextmanager
def _torn_line_stays() -> Iterator[None]:
    """Append behind a torn last line."""

    def from_lines(kind: Any, content: bytes) -> Any:
        *lines, _ = content.split(b"\n")
        return kind(lines), len(content)

    with patch.object(CheckpointJournal, "from_lines", classmethod(from_lines)):
        yield


@contextmanager
def _state_before_rows() -> Iterator[None]:
    """Commit the state of a sync in a transaction of its own, before the rows."""
    write = SqliteDestination._write

    def written(self: Any, change: Any, state: str | None) -> None:
        if state is not None and self._connection is not None:
            self._roll_back(self._connection)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                f"INSERT INTO {self._state_table} VALUES (?, ?, ?) "  # noqa: S608 # as the method itself
                "ON CONFLICT (table_name, account) DO UPDATE SET state = excluded.state",
                (self._table, self._account, state),
            )
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")
        write(self, change, state)

    with patch.object(SqliteDestination, "_write", written):
        yield


@contextmanager
def _checkpoint_ahead() -> Iterator[None]:
    """Store a checkpoint of a follow that lacks the marks of what was handed out."""
    place = tail.Tail.place

    def without_marks(self: Any) -> Any:
        found = place(self)
        return evolve(found, cells=found.cells[:-1])

    with patch.object(tail.Tail, "place", without_marks):
        yield


@contextmanager
def _base_without_sync() -> Iterator[None]:
    """Rename a new base before its content is on the disk."""
    replace = CheckpointFile._replace

    def replaced(self: Any, line: bytes) -> None:
        with patch("unlimcall_async.cdrs.checkpoint_file.os.fsync", lambda _descriptor: None):
            replace(self, line)

    with patch.object(CheckpointFile, "_replace", replaced):
        yield


# --- webhooks ---------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _never_renewed(_self: Any, _claim: Any) -> AsyncIterator[None]:
    """Renew no claim, so that a claim ends while its handler still works."""
    yield


async def _forgets_the_event(self: Any, claim: Any, now: float) -> None:
    """Carry the effects out, and keep no record that the event was handled."""
    await _confirm(self, claim, now)

    def forget(connection: Any) -> None:
        connection.execute("DELETE FROM unlimcall_seen WHERE key = ?", (claim.key,))

    await self._call(self._database.run, forget)


_confirm = SQLiteStore.confirm


@contextmanager
def _effects_apart() -> Iterator[None]:
    """Commit the effects of handlers before the id of their event."""
    confirm = SQLiteStore.confirm

    async def confirmed(self: Any, claim: Any, now: float) -> None:
        effects, claim.effects = claim.effects, []

        def carry_out(connection: Any) -> None:
            for effect in effects:
                effect(connection)

        await self._call(self._database.run, carry_out)
        await confirm(self, claim, now)

    with patch.object(SQLiteStore, "confirm", confirmed):
        yield


# --- the limits that processes share ----------------------------------------------------------------------------------------


def _script(*changes: tuple[str, str]) -> Callable[[], Any]:
    """Return what changes pieces of the script that decides on the server."""
    text = shared_server._SCRIPT
    for old, new in changes:
        assert text.count(old) == 1, f"the script has this once: {old}"
        text = text.replace(old, new)
    return _patched(shared_server, "_SCRIPT", text)


async def _pause_alone(self: Any, seconds: float) -> None:
    """Pause this process after a 429, and tell the others nothing."""
    self._shared.pause(limiter._now() + seconds)


BROKEN: Final = (
    Broken("a refuted seam counts as one that agrees", "pull", _patched(claims, "check_seam", _seam_of_one_row_less)),
    Broken(
        "a page is believed though count is above its rows",
        "pull",
        _patched(page_cap.PageCap, "holds_window", _believes_short_pages),
    ),
    Broken("a window has too narrow a margin", "pull", _narrow_windows),
    Broken("a token is taken before the slot", "dial", _patched(limiter.LocalLimiter, "_take", _token_before_slot)),
    Broken("a bucket forgets the last minute", "pull", _forgets_the_minute),
    Broken("a 429 pauses nothing", "pull", _patched(limiter.LocalLimiter, "pause", _no_pause)),
    Broken("a POST is sent again after a reset", "dial", _patched(exchange, "judge", _post_again)),
    Broken("a torn last line is kept", "follow", _torn_line_stays),
    Broken("a new base has its name before it is on the disk", "pull", _base_without_sync),
    Broken("a checkpoint lacks the last marks", "follow", _checkpoint_ahead),
    Broken("the state of a sync is committed before its rows", "sync", _state_before_rows),
    Broken("a claim is not renewed", "receive", _patched(handling.Handling, "_renewed", _never_renewed)),
    Broken("a handled event is forgotten", "receive", _patched(SQLiteStore, "confirm", _forgets_the_event)),
    Broken("effects are committed before the id of their event", "receive", _effects_apart),
    Broken("a 429 pauses no other process", "share", _patched(SharedLimiter, "pause", _pause_alone)),
    Broken(
        "the shared limit of a minute is not guarded",
        "share",
        _script(("guarded(per_minute, MINUTE, rank)", "0"), ("if some == 0 then", "if true then")),
    ),
    Broken("a grant that comes too late is used", "share", _patched(shared_limiter, "_LATE", math.inf)),
    Broken(
        "a server of the limits that was started again is taken for one that has saved all",
        "share",
        _script(("if held[2] ~= run then", "if false then")),
    ),
    Broken(
        "a server of the limits that has forgotten is taken for a new one",
        "share",
        _script(
            ("if seen_mark ~= '' or had_outage then", "if false then"),
            ("if seen_mark ~= '' and seen_mark ~= mark then", "if false then"),
            ("local dropped = seen_bucket and not is_stored", "local dropped = false"),
        ),
    ),
    Broken("grants that lie ahead of the server's clock stay there", "share", _script(("\nset_back()\n", "\n"))),
)
