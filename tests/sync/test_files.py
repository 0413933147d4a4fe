"""What files can do to a sync: other programs that use them, disks that are full, locks of dead processes."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.cdrs.raw_server import RawServer, served
from tests.sync.places import DuckDb, ParquetDays, Place, Sqlite
from tests.sync.support import ACCOUNT, BEGIN, DAY, call, checked_manifest, held_by, repriced
from tests.sync.test_sync import END, LONG, counts, synced
from unlimcall_async import columns
from unlimcall_async.sync import SyncBusyError, SyncDestinationError, SyncSchemaError, sqlite, sync_cdrs
from unlimcall_async.sync import duckdb as of_duckdb
from unlimcall_async.sync.file_lock import FileLock

files = pytest.mark.parametrize("place", ["sqlite", "duckdb", "parquet"], indirect=True)


def server_of(count: int) -> RawServer:
    return RawServer([call(BEGIN + number * 6 * DAY / count, f"{number}") for number in range(count)])


# --- all files --------------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@files
async def test_two_accounts_may_begin_with_one_file_at_once(place: Place) -> None:
    server = server_of(50)
    async with served(server) as client:
        await asyncio.gather(*(synced(client, place, account=f"{number}/é.") for number in range(5)))
        await asyncio.gather(*(synced(client, place, account=f"{number}/é.", lookback=LONG) for number in range(5)))
    assert all(place.rows(f"{number}/é.") == held_by(server, BEGIN, END) for number in range(5))


@pytest.mark.slow
@files
async def test_on_a_full_disk_the_error_is_clear_and_nothing_is_lost(place: Place) -> None:
    server = server_of(30)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)
        before = place.rows(ACCOUNT)
        server.rows += [call(BEGIN + 2 * DAY + timedelta(seconds=number), f"{number}" * 100) for number in range(3000)]
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            with pytest.raises(SyncDestinationError) as failed:
                await synced(client, place)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        assert str(failed.value).startswith(place.url)
        # Of a folder, some days may be replaced already.
        assert before <= place.rows(ACCOUNT) < held_by(server, BEGIN, END)
        await synced(client, place)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


@pytest.mark.rest_slow
@files
async def test_the_lock_of_a_dead_process_locks_nothing(place: Place, tmp_path: Path) -> None:
    server = server_of(3)

    def locks() -> list[Path]:
        return list(tmp_path.rglob("*.lock"))

    async with served(server) as client:
        await synced(client, place)
        held = asyncio.Event()

        async def answer(_first: Any, _last: Any) -> None:
            held.set()
            await asyncio.Event().wait()

        server.answer = answer
        run = asyncio.create_task(synced(client, place))
        await held.wait()
        (lock,) = locks()
        run.cancel()
        await asyncio.wait([run])
        assert locks() == []
        lock.touch()  # as a process that was killed leaves it
        server.answer = RawServer([]).answer
        assert (await synced(client, place)).watermark == END


def test_a_run_lets_go_of_a_lock_whose_folder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lock, moved = FileLock(folder / "run.lock"), tmp_path / "moved"
    folder.rename(moved)
    folder.touch()
    lock.release()
    FileLock(moved / "run.lock").release()


# --- SQLite -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Sqlite:
    return Sqlite(tmp_path)


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_the_journal_mode_is_that_of_the_user(database: Sqlite, mode: str) -> None:
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE mine (a)")
    async with served(server_of(5)) as client:
        await synced(client, database)
    assert database.execute("PRAGMA journal_mode") == [(mode,)]


async def test_another_writer_is_waited_for_and_then_an_error(
    database: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of(5)
    async with served(server) as client:
        await synced(client, database, end=BEGIN + DAY)
        with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            run = asyncio.create_task(synced(client, database))
            while not list(database.path.parent.glob("*.lock")):  # noqa: ASYNC110 # a file sets no event
                await asyncio.sleep(0)
            assert not run.done()
            other.execute("COMMIT")
            assert (await run).watermark == END
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(sqlite, "_PATIENCE", 0.05)
            with pytest.raises(SyncDestinationError, match="another program has been using it"):
                await synced(client, database)


async def test_a_run_that_is_about_to_read_waits_for_another_writer(
    database: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, is_busy = server_of(10), sqlite._is_busy
    monkeypatch.setattr(sqlite, "_LOOK", 0.0)
    async with served(server) as client:
        await synced(client, database, end=BEGIN + DAY)
        with closing(sqlite3.connect(database.path, check_same_thread=False, isolation_level=None)) as other:

            async def begin(_first: datetime, _last: datetime) -> None:
                if not met and not other.in_transaction:
                    other.execute("BEGIN EXCLUSIVE")

            def end(error: sqlite3.Error) -> bool:
                met.append(error)
                if other.in_transaction:
                    other.execute("COMMIT")
                return is_busy(error)

            met = list[sqlite3.Error]()
            monkeypatch.setattr(sqlite, "_is_busy", end)
            server.answer = begin
            await synced(client, database)
    assert len(met) == 1
    assert database.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_sqlite_database_is_not_opened_as_one_of_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (a)")
    held = file.read_bytes()
    async with served(server_of(1)) as client:
        with pytest.raises(SyncDestinationError, match="the file is a SQLite database: write sqlite:///"):
            await sync_cdrs(client, f"duckdb:///{file}", BEGIN, end=END, account=ACCOUNT)
    assert file.read_bytes() == held


async def test_a_file_that_is_not_a_database_is_left_as_it_is(database: Sqlite) -> None:
    database.path.write_text("notes " * 1000)
    async with served(server_of(1)) as client:
        with pytest.raises(SyncDestinationError, match="not a database"):
            await synced(client, database)
    assert database.path.read_text() == "notes " * 1000


@pytest.mark.parametrize(
    ("made", "difference"),
    [
        ("account TEXT, id INTEGER, start_time TEXT", "id is INTEGER, and must be TEXT"),
        ("account TEXT, id TEXT, start_time TIMESTAMP", "start_time is TIMESTAMP, and must be TEXT"),
        ("account TEXT PRIMARY KEY) WITHOUT ROWID --", "it was made WITHOUT ROWID, and must be an ordinary table"),
    ],
)
async def test_a_table_that_would_change_values_is_refused(database: Sqlite, made: str, difference: str) -> None:
    database.execute(f"CREATE TABLE {{table}} ({made}\n)" if "--" not in made else f"CREATE TABLE {{table}} ({made}")
    async with served(server_of(1)) as client:
        with pytest.raises(SyncSchemaError) as refused:
            await synced(client, database)
    assert difference in refused.value.differences


async def test_rows_that_are_as_they_should_be_are_not_written(database: Sqlite) -> None:
    server = server_of(100)
    async with served(server) as client:
        await synced(client, database)
        before = database.path.read_bytes()
        result = await synced(client, database, lookback=LONG)
        assert counts(result) == (0, 0, 0, 100)
        assert database.path.read_bytes() == before


# --- DuckDB -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_duckdb_file_that_another_process_has_open_is_busy(tmp_path: Path) -> None:
    place = DuckDb(tmp_path)
    program = f"import duckdb; c = duckdb.connect({str(place.path)!r}); print('open', flush=True); input()"
    async with served(server_of(1)) as client:
        with subprocess.Popen(  # noqa: ASYNC220, S603 # ours
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            with pytest.raises(SyncBusyError, match="another process has the file open"):
                await synced(client, place)
            other.kill()
        assert (await synced(client, place)).inserted == 1


def _conflict(number: int) -> Callable[..., duckdb.DuckDBPyConnection]:
    """Return `duckdb.connect` as it is so many times while the file is being closed in another thread."""
    left, connect = iter(range(number)), duckdb.connect

    def connect_later(*args: Any, **more: Any) -> duckdb.DuckDBPyConnection:
        if next(left, None) is not None:
            raise duckdb.BinderException('Binder Error: Unique file handle conflict: Cannot attach "calls"')
        return connect(*args, **more)

    return connect_later


async def test_a_duckdb_file_that_another_thread_is_closing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(server_of(1)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(duckdb, "connect", _conflict(2))
            assert (await synced(client, DuckDb(tmp_path))).inserted == 1


async def test_a_duckdb_file_that_stays_attached_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_duckdb, "_PATIENCE", 0.05)
    async with served(server_of(1)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(duckdb, "connect", _conflict(1_000_000))
            with pytest.raises(SyncDestinationError, match="Unique file handle conflict"):
                await synced(client, DuckDb(tmp_path))


# --- Parquet ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> ParquetDays:
    return ParquetDays(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", range(19))
async def test_a_kill_between_two_days_leaves_nothing_twice(
    folder: ParquetDays, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    server = server_of(30)
    async with served(server) as client:
        await synced(client, folder)
        server.rows = [repriced(row, 5) for row in server.rows[1:]] + [call(END - DAY / 2, "late")]
        left, replaced = kill_at, Path.replace

        def replace(path: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return replaced(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(KeyboardInterrupt) if kill_at < 18 else pytest.raises(TypeError):
                await synced(client, folder, lookback=LONG)
                raise TypeError("each of six days has three steps")
        await checked_manifest(folder)
        await synced(client, folder, lookback=LONG)
    assert folder.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_the_folder_is_one_that_hive_readers_expect(folder: ParquetDays) -> None:
    import pyarrow.dataset as ds  # type: ignore[import-untyped] # noqa: PLC0415 # it has no types

    server = server_of(12)
    async with served(server) as client:
        await synced(client, folder, account="a/b=c é%")
    path = folder.path
    assert sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()) == [
        f"account=a%2Fb%3Dc%20%C3%A9%25/date=2026-05-0{day}/calls.parquet" for day in range(1, 7)
    ]
    assert folder.rows("a/b=c é%") == held_by(server, BEGIN, END)
    with closing(duckdb.connect()) as connection:
        query = f"SELECT DISTINCT account, min(date), count(*) FROM '{path}/**/*.parquet' GROUP BY account"  # noqa: S608 # ours
        assert connection.execute(query).fetchall() == [("a/b=c é%", BEGIN.date(), 12)]
    table = ds.dataset(path, partitioning="hive").to_table()
    assert set(table["account"].to_pylist()) == {"a/b=c é%"}
    assert table.schema.names[:13] == columns.SCHEMA.names


async def test_a_folder_that_was_removed_is_begun_anew(folder: ParquetDays) -> None:
    server = server_of(12)
    async with served(server) as client:
        await synced(client, folder)
        for path in sorted(folder.path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.path.rmdir()
        assert (await synced(client, folder, lookback=timedelta(0))).inserted == 12


async def test_columns_of_a_user_stay_in_the_files(folder: ParquetDays) -> None:
    import polars as pl  # noqa: PLC0415 # of the tests alone

    server = RawServer([call(BEGIN, name) for name in "abc"])
    async with served(server) as client:
        await synced(client, folder)
        (path,) = folder.path.rglob("*.parquet")
        pl.read_parquet(path, hive_partitioning=False).with_columns(note="mine " + pl.col("id")).write_parquet(path)
        server.rows = [call(BEGIN, "a"), call(BEGIN, "b", 5), call(BEGIN, "d")]
        assert counts(await synced(client, folder, lookback=LONG)) == (1, 1, 1, 1)
        found = pl.read_parquet(path, hive_partitioning=False).select("id", "sell_price_cents", "note").sort("id")
        assert found.rows() == [("a", None, "mine a"), ("b", 5, "mine b"), ("d", None, None)]
        pl.read_parquet(path, hive_partitioning=False).drop("did").cast({"duration": pl.Int32}).write_parquet(path)
        with pytest.raises(SyncSchemaError, match="duration is int32, and must be int64; did is missing"):
            await synced(client, folder, lookback=LONG)
