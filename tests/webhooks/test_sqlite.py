"""The SQLite store: restarts, several processes, claims of the dead, and effects in the transaction of the confirmation."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.oracle import NOW, event_body, headers
from unlimcall_async.webhooks import CallEnded, Claim, ClaimLostError, Event, SQLiteStore, WebhookReceiver
from unlimcall_async.webhooks.stores import LEASE_SECONDS


def rows(path: Path, table: str = "effects") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 # the tests' own names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "seen.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE effects (call TEXT UNIQUE)")
    return path


async def test_what_was_seen_survives_a_restart(path: Path) -> None:
    async with SQLiteStore(path) as store:
        claim = Claim("a", store)
        await store.claim(claim, NOW)
        await store.confirm(claim, NOW)
    async with SQLiteStore(str(path)) as store:
        assert await store.claim(Claim("a", store), NOW) == "seen"


async def test_two_stores_on_one_file_exclude_each_other(path: Path) -> None:
    async with SQLiteStore(path) as one, SQLiteStore(path) as two:
        claims = [Claim("a", one), Claim("a", two)] * 10
        standings = await asyncio.gather(*(claim.store.claim(claim, NOW) for claim in claims))
        assert standings.count("claimed") == 10  # the winner's own, ten times the same token
        (winner,) = {claim.token for claim, standing in zip(claims, standings, strict=True) if standing == "claimed"}
        loser = next(claim for claim in claims if claim.token != winner)
        assert await loser.store.claim(loser, NOW) == "busy"


async def test_a_claim_that_is_not_renewed_is_taken_over_and_then_worth_nothing(path: Path) -> None:
    async with SQLiteStore(path) as dead, SQLiteStore(path) as alive:
        late, taker = Claim("a", dead), Claim("a", alive)
        late.effects.append(lambda db: db.execute("INSERT INTO effects VALUES ('late')"))
        taker.effects.append(lambda db: db.execute("INSERT INTO effects VALUES ('taker')"))
        await dead.claim(late, NOW)
        assert await alive.claim(taker, NOW + LEASE_SECONDS) == "busy"
        assert await alive.claim(taker, NOW + LEASE_SECONDS + 1) == "claimed"
        with pytest.raises(ClaimLostError):
            await dead.confirm(late, NOW + LEASE_SECONDS + 1)
        await dead.release(late)
        await alive.confirm(taker, NOW + LEASE_SECONDS + 1)
        with pytest.raises(ClaimLostError):
            await dead.confirm(late, NOW + LEASE_SECONDS + 1)
    assert rows(path) == [("taker",)]


async def test_a_claim_that_ran_out_and_that_nobody_took_can_be_confirmed(path: Path) -> None:
    async with SQLiteStore(path) as store:
        claim = Claim("a", store)
        await store.claim(claim, NOW)
        await store.claim(Claim("b", store), NOW + LEASE_SECONDS + 1)
        await store.confirm(claim, NOW + LEASE_SECONDS + 1)
        assert await store.claim(Claim("a", store), NOW + LEASE_SECONDS + 1) == "seen"


async def test_the_file_does_not_grow_with_time(path: Path) -> None:
    async with SQLiteStore(path) as store:
        for day in range(10):
            claim = Claim(f"{day}", store)
            await store.claim(claim, NOW + day * 86400)
            await store.claim(Claim(f"left behind {day}", store), NOW + day * 86400)
            await store.confirm(claim, NOW + day * 86400)
    assert len(rows(path, "unlimcall_seen")) == 3  # yesterday's and today's, and today's claim


def receiver_with(store: SQLiteStore) -> WebhookReceiver:
    return WebhookReceiver("whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01", store=store, clock=lambda: NOW)


async def deliver(receiver: WebhookReceiver, call: str, event_id: str | None = None) -> int:
    body = event_body(event_id or f"evt_{call}", callId=call)
    status, _ = await receiver.handle(body, headers(body))
    return status


async def test_effects_are_written_with_the_confirmation(path: Path) -> None:
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)

        @receiver.on(CallEnded)
        async def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.call_id,)))
            assert rows(path) == []

        assert [await deliver(receiver, "1"), await deliver(receiver, "1")] == [200, 200]
    assert rows(path) == [("1",)]


async def test_if_any_handler_fails_no_effect_is_written_and_the_event_comes_again(path: Path) -> None:
    async with SQLiteStore(path) as store:
        receiver, fails = receiver_with(store), [True]

        @receiver.on(CallEnded)
        def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.call_id,)))

        @receiver.on(Event)
        async def fail_once(_event: Event) -> None:
            if fails.pop() if fails else False:
                raise KeyError("+14155551234")

        assert await deliver(receiver, "1") == 500
        assert rows(path) == []
        assert await deliver(receiver, "1") == 200
    assert rows(path) == [("1",)]


async def test_an_effect_that_fails_takes_the_others_and_the_confirmation_with_it(path: Path) -> None:
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)

        @receiver.on(CallEnded)
        def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (f"{event.id}",)))
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.call_id,)))

        assert await deliver(receiver, "1", "a") == 200
        assert await deliver(receiver, "1", "b") == 500  # UNIQUE
        assert await deliver(receiver, "2", "b") == 200
    assert sorted(rows(path)) == [("1",), ("2",), ("a",), ("b",)]


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
async def test_an_effect_that_ends_the_transaction_is_a_failure(path: Path, statement: str) -> None:
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)

        @receiver.on(CallEnded)
        def meddle(_event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute(statement))

        assert await deliver(receiver, "1") == 500


async def test_at_commit_belongs_in_a_running_handler_of_this_store(path: Path, tmp_path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(tmp_path / "other.db") as other:
        receiver, late = receiver_with(store), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        def write(_db: sqlite3.Connection) -> None:
            raise AssertionError

        async def write_late() -> None:
            await late.wait()
            store.at_commit(write)

        @receiver.on(CallEnded)
        def handler(_event: CallEnded) -> None:
            with pytest.raises(RuntimeError, match="call at_commit from a running handler"):
                other.at_commit(write)
            tasks.append(asyncio.create_task(write_late()))

        assert await deliver(receiver, "1") == 200
        late.set()
        with pytest.raises(RuntimeError, match="call at_commit from a running handler"):
            await tasks[0]
        with pytest.raises(RuntimeError, match="call at_commit from a running handler"):
            store.at_commit(write)


@pytest.mark.slow
async def test_a_cancelled_confirmation_is_whole_or_did_not_happen(path: Path) -> None:
    with_effects(path, "WAL")  # 200 commits: a WAL waits less for the disk
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)

        @receiver.on(CallEnded)
        def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.call_id,)))

        for steps in range(60):
            delivery = asyncio.create_task(deliver(receiver, f"{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            delivery.cancel()
            await asyncio.wait([delivery])
            assert await deliver(receiver, f"{steps}") == 200
    # UNIQUE would have refused a second one.
    assert len(rows(path)) == 60


async def test_a_locked_file_is_a_failure_of_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async.webhooks.database._PATIENCE", 0)
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await deliver(receiver, "1") == 503
        assert await deliver(receiver, "1") == 200


def with_effects(path: Path, journal: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE IF NOT EXISTS effects (call TEXT UNIQUE)")


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.rename(path.with_name("old.db"))
    path.touch()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_nothing_is_written_to_a_file_that_was_deleted(path: Path, journal: str) -> None:
    with_effects(path, journal)
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)

        @receiver.on(CallEnded)
        def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.call_id,)))

        assert await deliver(receiver, "1") == 200
        remove(path)
        assert await deliver(receiver, "2") == 500  # there is no table for it
        with_effects(path, journal)
        assert await deliver(receiver, "2") == 200
    assert rows(path) == [("2",)]


async def test_a_file_that_was_replaced_is_opened_anew(path: Path) -> None:
    async with SQLiteStore(path) as store:
        receiver = receiver_with(store)
        assert await deliver(receiver, "1") == 200
        replace(path)
        assert await deliver(receiver, "2") == 200
    assert len(rows(path, "unlimcall_seen")) == 1


async def test_the_file_stays_the_same_when_the_directory_changes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with SQLiteStore(path.name) as store:
        receiver = receiver_with(store)
        assert await deliver(receiver, "1") == 200
        monkeypatch.chdir("elsewhere")
        assert await deliver(receiver, "2") == 200
    assert len(rows(path, "unlimcall_seen")) == 2


async def test_a_store_in_memory_needs_no_file() -> None:
    async with SQLiteStore(":memory:") as store:
        receiver = receiver_with(store)
        assert [await deliver(receiver, "1"), await deliver(receiver, "1")] == [200, 200]
        assert await store.claim(Claim("a", store), NOW) == "claimed"


async def test_a_file_that_is_not_a_database_shows_at_the_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "text.db").write_text("this is no database, and long enough to be told from one" * 20)
    store = SQLiteStore(tmp_path / "text.db")
    with pytest.raises(sqlite3.DatabaseError):
        await store.__aenter__()
    assert await deliver(receiver_with(store), "1") == 503
    assert "the database of seen webhooks cannot be opened: file is not a database" in caplog.text
    await store.aclose()


async def test_closing_twice_is_fine_and_a_closed_store_says_so(path: Path) -> None:
    store = SQLiteStore(path)
    assert repr(store) == f"<SQLiteStore {path} open>"
    await store.claim(Claim("a", store), NOW)
    await store.aclose()
    await store.aclose()
    assert repr(store) == f"<SQLiteStore {path} closed>"
    with pytest.raises(RuntimeError, match="closed"):
        await store.claim(Claim("a", store), NOW)


async def test_the_journal_mode_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    async with SQLiteStore(path) as store:
        assert await deliver(receiver_with(store), "1") == 200
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
