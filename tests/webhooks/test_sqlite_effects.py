"""Effects that misbehave in the transaction of the confirmation: all or nothing all the same, and the store lives on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.webhooks.oracle import NOW, SECRET, event_body, headers
from unlimcall_async.webhooks import Claim, Event, SQLiteStore, WebhookReceiver

Effect: TypeAlias = Callable[[sqlite3.Connection], object]


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute("SELECT call FROM effects")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "seen.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE effects (call TEXT UNIQUE)")
    return path


class Endpoint:
    """A receiver whose handler gives the store these effects."""

    def __init__(self, store: SQLiteStore, *effects: Effect) -> None:
        self.effects = effects
        self._receiver = WebhookReceiver(SECRET, store=store, clock=lambda: NOW)

        @self._receiver.on(Event)
        def give(_event: Event) -> None:
            for effect in self.effects:
                store.at_commit(effect)

    async def deliver(self, event_id: str = "evt_1") -> int:
        body = event_body(event_id)
        status, _ = await self._receiver.handle(body, headers(body))
        return status


def write(value: str) -> Effect:
    return lambda db: db.execute("INSERT INTO effects VALUES (?)", (value,))


def with_block(db: sqlite3.Connection) -> None:
    with db:
        db.execute("INSERT INTO effects VALUES ('own')")


def script(db: sqlite3.Connection) -> None:
    db.executescript("INSERT INTO effects VALUES ('own');")


def commit(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO effects VALUES ('own')")
    db.commit()


def roll_back(db: sqlite3.Connection) -> None:
    db.rollback()


def begin_another(db: sqlite3.Connection) -> None:
    db.execute("COMMIT")
    db.execute("BEGIN")


def roll_back_by_conflict(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO effects VALUES ('own')")
    with suppress(sqlite3.IntegrityError):
        db.execute("INSERT OR ROLLBACK INTO effects VALUES ('own')")


def fail(_db: sqlite3.Connection) -> None:
    raise OSError


@pytest.mark.parametrize("ending", [with_block, script, commit, roll_back, begin_another, roll_back_by_conflict])
async def test_an_effect_that_ends_the_transaction_takes_no_other_effect_with_it(path: Path, ending: Effect) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, write("first"), ending, write("after"), fail)
        assert [await endpoint.deliver(), await endpoint.deliver()] == [500, 500]
        assert rows(path) == []
        endpoint.effects = (write("first"), write("second"))
        assert [await endpoint.deliver(), await endpoint.deliver()] == [200, 200]
    assert rows(path) == ["first", "second"]


async def test_an_effect_may_use_savepoints(path: Path) -> None:
    def nested(db: sqlite3.Connection) -> None:
        db.execute("SAVEPOINT one")
        db.execute("INSERT INTO effects VALUES ('undone')")
        db.execute("ROLLBACK TO one")
        db.execute("RELEASE one")

    async with SQLiteStore(path) as store:
        assert await Endpoint(store, nested, write("kept")).deliver() == 200
    assert rows(path) == ["kept"]


class Awaitable:
    """What a coroutine function gives, but without a warning that nobody awaited it."""

    def __await__(self) -> Any:
        raise AssertionError


@pytest.mark.parametrize("effect", [lambda _db: Awaitable(), asyncio.sleep, None, "INSERT"])
async def test_an_effect_that_would_not_happen_is_a_failure(path: Path, effect: Any) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, write("first"), effect)
        assert await endpoint.deliver() == 500
        endpoint.effects = (write("second"),)
        assert await endpoint.deliver() == 200
    assert rows(path) == ["second"]


async def test_a_wrong_effect_is_named(path: Path) -> None:
    async with SQLiteStore(path) as store:
        receiver = WebhookReceiver(SECRET, store=store, clock=lambda: NOW)
        said: list[str] = []

        @receiver.on(Event)
        def give(_event: Event) -> None:
            with pytest.raises(TypeError) as caught:
                store.at_commit(asyncio.sleep)  # type: ignore[arg-type]  # that is the test
            said.append(str(caught.value))

        body = event_body()
        assert (await receiver.handle(body, headers(body)))[0] == 200
    assert said == ["effect must be a plain function of the connection"]


async def test_an_effect_that_closes_the_connection_does_not_close_the_store(path: Path) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, write("first"), lambda db: db.close())
        assert await endpoint.deliver() == 500
        endpoint.effects = (write("second"),)
        assert [await endpoint.deliver(), await endpoint.deliver("evt_2")] == [200, 500]  # UNIQUE
    assert rows(path) == ["second"]


async def test_an_effect_that_fails_amid_reading_leaves_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async.webhooks.database._PATIENCE", 0)
    kept: list[sqlite3.Cursor] = []

    def read_and_fail(db: sqlite3.Connection) -> None:
        kept.append(db.execute("SELECT name FROM sqlite_master"))
        raise OSError

    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, write("first"), read_and_fail)
        assert await endpoint.deliver() == 500
        endpoint.effects = (write("second"),)
        assert await endpoint.deliver() == 200
    assert rows(path) == ["second"]
    assert len(kept) == 1


async def test_an_effect_may_change_how_it_reads(path: Path) -> None:
    def in_its_own_way(db: sqlite3.Connection) -> None:
        db.row_factory = lambda _cursor, row: {"value": row[0]}
        db.text_factory = bytes

    async with SQLiteStore(path) as store:
        assert [await Endpoint(store, in_its_own_way).deliver() for _ in range(3)] == [200] * 3
        claim = Claim("a", store)
        assert [await store.claim(claim, NOW), await store.claim(claim, NOW)] == ["claimed", "claimed"]


async def test_what_is_answered_200_is_on_the_disk(path: Path) -> None:
    """A commit with the journal deleted but its folder not synced may be undone when the power fails: that needs EXTRA."""
    levels: list[Any] = []
    async with SQLiteStore(path) as store:
        read = Endpoint(store, lambda db: levels.append(db.execute("PRAGMA synchronous").fetchone()))
        assert await read.deliver() == 200
    assert levels == [(3,)]
