"""A connection or a file that goes bad costs the deliveries of that moment alone, and no event that was answered 200."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

from tests.selection import covering
from tests.webhooks.kill import Killing
from tests.webhooks.oracle import NOW, SECRET, event_body, headers
from unlimcall_async.webhooks import Event, SQLiteStore, WebhookReceiver, database

Effect: TypeAlias = Callable[[sqlite3.Connection], object]
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["DELETE", "WAL"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database with a table of the user, in a folder of its own."""
    path = tmp_path / f"{request.param}" / "seen.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.execute("CREATE TABLE effects (call TEXT UNIQUE)")
    return path


class Endpoint:
    """A receiver that counts how often it handled each event."""

    def __init__(self, store: SQLiteStore, *effects: Effect) -> None:
        self.effects = effects
        self.handled: list[str | int | None] = []
        self._receiver = WebhookReceiver(SECRET, store=store, clock=lambda: NOW)

        @self._receiver.on(Event)
        def give(event: Event) -> None:
            self.handled.append(event.id)
            for effect in self.effects:
                store.at_commit(effect)

    async def deliver(self, event_id: str) -> int:
        body = event_body(event_id)
        status, _ = await self._receiver.handle(body, headers(body))
        return status


async def known_after_a_crash(path: Path, event_ids: list[str]) -> list[str]:
    """Take the files as a process that is killed now would leave them; return those of the events that they hold."""
    crashed = path.parent.with_name("crashed")
    shutil.copytree(path.parent, crashed)
    try:
        async with SQLiteStore(crashed / path.name) as store:
            endpoint = Endpoint(store)
            assert [await endpoint.deliver(event_id) for event_id in event_ids] == [200] * len(event_ids)
            return [event_id for event_id in event_ids if event_id not in endpoint.handled]
    finally:
        shutil.rmtree(crashed)


def statement(text: str) -> Effect:
    return lambda db: db.execute(text).fetchall()


def attributes(**values: Any) -> Effect:
    def change(db: sqlite3.Connection) -> None:
        for name, value in values.items():
            setattr(db, name, value)

    return change


def refuse_all(db: sqlite3.Connection) -> None:
    db.set_progress_handler(lambda: 1, 1)
    db.set_authorizer(lambda *_what: sqlite3.SQLITE_DENY)


KEPT: list[Any] = []


def keep_reading(db: sqlite3.Connection) -> None:
    cursor = db.execute("SELECT name FROM sqlite_master")
    cursor.fetchone()
    KEPT.append(cursor)


def insert_and_keep(db: sqlite3.Connection) -> None:
    KEPT.append(db.execute("INSERT INTO effects VALUES ('kept') RETURNING call"))


SPOILING = {
    "query_only": statement("PRAGMA query_only = ON"),
    "savepoint": statement("SAVEPOINT mine"),
    "rows": attributes(row_factory=lambda _cursor, _row: None),
    "text": attributes(text_factory=bytes),
    "isolation": attributes(isolation_level="EXCLUSIVE"),
    "attached": statement("ATTACH ':memory:' AS main2"),
    "shadow": statement("CREATE TEMP TABLE unlimcall_seen (other)"),
    "full": statement("PRAGMA max_page_count = 1"),
    "exclusive": statement("PRAGMA locking_mode = EXCLUSIVE"),
    "checks": statement("PRAGMA foreign_keys = ON"),
    "refusing": refuse_all,
    "reading": keep_reading,
    "returning": insert_and_keep,
    "closed": lambda db: db.close(),
}


@pytest.mark.parametrize("effect", SPOILING.values(), ids=SPOILING)
async def test_what_an_effect_leaves_on_its_connection_ends_with_its_event(path: Path, effect: Effect) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, effect)
        assert await endpoint.deliver("spoiling") in {200, 500}
        endpoint.effects = (lambda db: db.execute("INSERT INTO effects VALUES ('after')"),)
        assert await endpoint.deliver("after") == 200
        endpoint.effects = ()
        assert [await endpoint.deliver(event_id) for event_id in ("plain", "plain", "after")] == [200, 200, 200]
        assert endpoint.handled == ["spoiling", "after", "plain"]
        # And other programs can write.
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("INSERT INTO effects VALUES ('other')")
    KEPT.clear()


async def test_the_next_event_may_be_one_with_effects(path: Path) -> None:
    """Those are written on a connection of their own."""
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, statement("DROP TABLE unlimcall_seen"))
        assert await endpoint.deliver("dropping") == 200
        endpoint.effects = (lambda db: db.execute("INSERT INTO effects VALUES ('after')"),)
        assert [await endpoint.deliver("after"), await endpoint.deliver("after")] == [200, 200]


async def test_a_connection_that_an_effect_kept_is_closed(path: Path) -> None:
    async with SQLiteStore(path) as store:
        kept: list[sqlite3.Connection] = []
        assert await Endpoint(store, kept.append).deliver("1") == 200
        with pytest.raises(sqlite3.ProgrammingError):
            kept[0].execute("SELECT 1")


@pytest.mark.parametrize("error", [StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, BaseExceptionGroup])
async def test_whatever_an_effect_raises_is_a_failure_of_its_event_alone(
    path: Path, error: type[BaseException]
) -> None:
    def fail(_db: sqlite3.Connection) -> None:
        raise error("", [KeyError()]) if error is BaseExceptionGroup else error

    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, lambda db: db.execute("INSERT INTO effects VALUES ('undone')"), fail)
        assert await endpoint.deliver("1") == 500
        endpoint.effects = ()
        assert await endpoint.deliver("1") == 200
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM effects").fetchall() == []


@pytest.mark.parametrize("mode", ["OFF", "memory", "DELETE"])
async def test_an_effect_cannot_do_without_the_journal(path: Path, mode: str) -> None:
    async with SQLiteStore(path) as store:
        assert await Endpoint(store, statement(f"PRAGMA Journal_Mode = {mode}")).deliver("1") == 500
        assert await Endpoint(store, statement("PRAGMA journal_mode")).deliver("1") == 200


def in_sqlite(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for text in statements:
                connection.execute(text)

    return change


def replace_by_another(path: Path) -> None:
    in_sqlite("CREATE TABLE other (value)")(path.with_name("new.db"))
    path.with_name("new.db").replace(path)


def replace_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("old"))
    path.parent.mkdir()


def delete_all(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def shorten_the_wal(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.truncate(f"{path}-wal", 0)


FAULTS: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": lambda path: path.unlink(),
    "deleted with all": delete_all,
    "replaced": replace_by_another,
    "folder replaced": replace_the_folder,
    "wal deleted": lambda path: Path(f"{path}-wal").unlink(missing_ok=True),
    "wal emptied": shorten_the_wal,
    "shm deleted": lambda path: Path(f"{path}-shm").unlink(missing_ok=True),
    "table dropped": in_sqlite("DROP TABLE unlimcall_seen"),
    "index dropped": in_sqlite("DROP INDEX unlimcall_seen_until"),
    "other columns": in_sqlite("DROP TABLE unlimcall_seen", "CREATE TABLE unlimcall_seen (id INTEGER PRIMARY KEY)"),
    "no key": in_sqlite("DROP TABLE unlimcall_seen", "CREATE TABLE unlimcall_seen (key TEXT, token TEXT, until REAL)"),
    "one column more": in_sqlite("ALTER TABLE unlimcall_seen ADD COLUMN note TEXT"),
    "one column more, required": in_sqlite("ALTER TABLE unlimcall_seen ADD COLUMN note TEXT NOT NULL DEFAULT ''"),
    "other journal": in_sqlite("PRAGMA journal_mode = WAL"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "checkpoint"), covering(FAULTS, [False, True], together=1))
async def test_what_befalls_the_file_costs_no_delivery_and_what_is_answered_200_is_kept(
    path: Path, fault: str, *, checkpoint: bool
) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store)
        assert [await endpoint.deliver(f"before {n}") for n in range(5)] == [200] * 5
        if checkpoint:
            in_sqlite("PRAGMA wal_checkpoint(TRUNCATE)")(path)
            assert await endpoint.deliver("before, too") == 200
        FAULTS[fault](path)
        after = [f"after {n}" for n in range(10)]
        assert [await endpoint.deliver(event_id) for event_id in after] == [200] * 10
        assert await known_after_a_crash(path, after) == after
        assert [await endpoint.deliver(event_id) for event_id in after] == [200] * 10
        assert len(endpoint.handled) == 15 + checkpoint


@pytest.mark.parametrize("fault", ["deleted", "replaced", "wal deleted", "wal emptied", "shm deleted"])
async def test_a_commit_to_a_file_that_is_no_longer_in_its_place_is_not_answered_200(path: Path, fault: str) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store, lambda _db: FAULTS[fault](path))
        in_place = fault.startswith(("wal", "shm")) and "DELETE" in str(path)
        assert await endpoint.deliver("1") == (200 if in_place else 500)
        endpoint.effects = ()
        assert await endpoint.deliver("1") == 200
        assert await known_after_a_crash(path, ["1"]) == ["1"]


async def test_what_was_answered_200_before_the_wal_was_deleted_is_saved_at_the_next_use(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other:
        before = [f"before {n}" for n in range(10)]
        endpoint = Endpoint(store)
        assert [await endpoint.deliver(event_id) for event_id in before] == [200] * 10
        assert await Endpoint(other).deliver("other") == 200
        FAULTS["wal deleted"](path)
        assert await endpoint.deliver("after") == 200
        assert await known_after_a_crash(path, [*before, "other", "after"]) == [*before, "other", "after"]
        assert await Endpoint(other).deliver("other, after") == 200
        assert await known_after_a_crash(path, ["after", "other, after"]) == ["after", "other, after"]


@pytest.mark.slow
async def test_two_processes_of_which_one_notices_late_lose_nothing_that_was_answered_200(tmp_path: Path) -> None:
    """The WAL is deleted again before the second process has noticed that the one before was."""
    path = tmp_path / "data" / "seen.db"
    path.parent.mkdir()
    in_sqlite("PRAGMA journal_mode = WAL", "CREATE TABLE effects (event TEXT)")(path)
    killing = Killing(path, events=1, kills=1, seed=0)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        urls = []
        for _ in range(2):
            process, url = await killing.start()
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
            urls.append(url)
        answered: list[str] = []

        async def deliver(place: int) -> None:
            body = event_body(event_id := f"evt_{place}_{len(answered)}")
            async with session.post(urls[place], data=body, headers=headers(body, at=int(time.time()))) as answer:
                answered.extend([event_id] * (answer.status == 200))

        for place in (0, 1):
            await deliver(place)
        for places in ((0, 0, 0), (1, 0, 1, 0, 1, 0), (1, 1, 1)):
            FAULTS["wal deleted"](path)
            for place in places:
                await deliver(place)
        assert len(answered) >= 10
    with closing(sqlite3.connect(path)) as connection:
        assert sorted(event for (event,) in connection.execute("SELECT event FROM effects")) == sorted(answered)


async def test_a_table_of_another_kind_is_kept_under_another_name(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_sqlite("CREATE TABLE unlimcall_seen (mine TEXT)", "INSERT INTO unlimcall_seen VALUES ('kept')")(path)
    in_sqlite("CREATE TABLE unlimcall_seen_1 (mine TEXT)")(path)
    async with SQLiteStore(path) as store:
        assert await Endpoint(store).deliver("1") == 200
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM unlimcall_seen_2").fetchall() == [("kept",)]
    assert "the table unlimcall_seen has other columns than expected: it is now unlimcall_seen_2" in caplog.text


async def test_a_folder_that_is_gone_for_a_moment_costs_the_deliveries_of_that_moment(path: Path) -> None:
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store)
        assert await endpoint.deliver("1") == 200
        away = path.parent.rename(path.parent.with_name("away"))
        assert await endpoint.deliver("2") == 503
        away.rename(path.parent)
        assert [await endpoint.deliver("1"), await endpoint.deliver("2")] == [200, 200]
    assert endpoint.handled == ["1", "2"]


@pytest.mark.parametrize(
    ("target", "limit", "status"),
    [
        # SQLite opens a file that it may not write, and reports nothing before the first write.
        ("file:{}?mode=ro", "PRAGMA user_version", 503),
        # A disk that is full.
        ("file:{}", "PRAGMA max_page_count = 1", 500),
    ],
)
async def test_a_disk_that_takes_nothing_for_a_moment_costs_the_deliveries_of_that_moment(
    path: Path, monkeypatch: pytest.MonkeyPatch, target: str, limit: str, status: int
) -> None:
    async with SQLiteStore(path) as store:
        assert await Endpoint(store).deliver("1") == 200
    genuine = sqlite3.connect

    def connect(*_path: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = genuine(target.format(path), **{**options, "uri": True})
        connection.execute(limit)
        return connection

    store = SQLiteStore(path)
    endpoint = Endpoint(store, lambda db: db.execute("INSERT INTO effects VALUES (zeroblob(100000))"))
    with monkeypatch.context() as moment:
        moment.setattr(sqlite3, "connect", connect)
        assert [await endpoint.deliver("2"), await endpoint.deliver("2")] == [status, status]
    assert [await endpoint.deliver("2"), await endpoint.deliver("2")] == [200, 200]
    await store.aclose()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM effects").fetchone() == (1,)


def connections_from_now_on(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    opened: list[sqlite3.Connection] = []
    genuine = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(genuine(*args, **{**options, "check_same_thread": False}))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    return opened


def damage(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 1000)


async def test_a_connection_that_cannot_be_used_is_closed_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would live on in the traceback of its error, with locks that keep the file from being put right."""
    damage(path)
    store = SQLiteStore(path)
    opened = connections_from_now_on(monkeypatch)
    with pytest.raises(sqlite3.DatabaseError) as kept:
        await store.__aenter__()
    assert await Endpoint(store).deliver("1") == 503
    await store.aclose()
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert len(opened) == 3
    assert kept.type is sqlite3.DatabaseError


async def test_a_busy_database_is_waited_for_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0)
    async with SQLiteStore(path) as store:
        endpoint = Endpoint(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            opened = connections_from_now_on(monkeypatch)
            assert await endpoint.deliver("1") == 503
        assert len(opened) == 1  # to release the claim
        assert await endpoint.deliver("1") == 200


FORKING = """
import asyncio, os, sys
from tests.webhooks.test_sqlite_faults import Endpoint
from unlimcall_async.webhooks import MemoryStore, SQLiteStore

async def deliver(store, *event_ids):
    return [await Endpoint(store).deliver(event_id) for event_id in event_ids]

async def main(path, where):
    store = SQLiteStore(path)
    if where != "unused":
        assert await deliver(store, "before") == [200]
    if where == "effect":
        pids = []
        endpoint = Endpoint(store, lambda db: pids.append(os.fork()) or (pids[0] or os._exit(0)))
        assert await endpoint.deliver("forking") == 200
        os.waitpid(pids[0], 0)
    busy = [asyncio.create_task(deliver(store, f"busy {n}")) for n in range(where == "busy" and 20)]
    await asyncio.sleep(0)
    child = os.fork()
    if child == 0:
        try:
            assert asyncio.run(deliver(store, "before", "child", "child")) == [200, 200, 200]
            asyncio.run(store.aclose())
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    assert await deliver(store, "parent", "parent") == [200, 200]
    assert await asyncio.gather(*busy) == [[200]] * len(busy)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert await deliver(store, "before", "child", "parent") == [200, 200, 200]
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["unused", "idle", "busy", "effect"])
def test_a_store_answers_before_and_after_a_fork(path: Path, where: str) -> None:
    done = subprocess.run(  # noqa: S603 # ours
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORKING, str(path), where],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with closing(sqlite3.connect(path)) as connection:
        expected = {"unused": 3, "idle": 3, "busy": 23, "effect": 4}
        assert connection.execute("SELECT count(*) FROM unlimcall_seen").fetchone() == (expected[where],)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
