"""What users and other programs do to a destination between two runs, and during one."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from tests.cdrs.raw_server import served
from tests.sync.places import DuckDb, ParquetDays, Place, Sqlite
from tests.sync.support import ACCOUNT, BEGIN, DAY, Killed, Mortal, held_by
from tests.sync.test_files import server_of
from tests.sync.test_sync import END, synced
from unlimcall_async.sync import SyncDestinationError, postgres, sync_cdrs
from unlimcall_async.sync.url import destination_at

databases = pytest.mark.parametrize("place", ["sqlite", "duckdb", "postgres"], indirect=True)
SHORT = timedelta(days=1)


@pytest.mark.rest_slow
@databases
@pytest.mark.parametrize("statement", ["DROP TABLE {table}", 'ALTER TABLE {table} RENAME TO "old {number}"'])
async def test_a_table_that_was_dropped_is_begun_anew(place: Place, statement: str) -> None:
    server = server_of(30)
    async with served(server) as client:
        await synced(client, place)
        place.execute(statement)
        await synced(client, place, lookback=SHORT)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_folder_that_was_removed_is_begun_anew_even_after_a_run_that_failed(tmp_path: Path) -> None:
    place, server = ParquetDays(tmp_path), server_of(30)
    async with served(server) as client:
        await synced(client, place)
        shutil.rmtree(place.path)
        with pytest.raises(Killed):
            await sync_cdrs(client, Mortal(destination_at(place.url, "cdrs"), 0), BEGIN, end=END, account=ACCOUNT)
        await synced(client, place, lookback=SHORT)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


@pytest.mark.rest_slow
@pytest.mark.parametrize("kind", [Sqlite, DuckDb])
@pytest.mark.parametrize("tables", [("straße", "strasse"), ("Ä", "ä")])
async def test_two_tables_have_two_states(kind: type[Sqlite | DuckDb], tables: tuple[str, str], tmp_path: Path) -> None:
    place, server = kind(tmp_path), server_of(30)
    async with served(server) as client:
        for place.table in tables:
            await synced(client, place, lookback=SHORT)
    for place.table in tables:
        assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


@pytest.mark.rest_slow
@pytest.mark.parametrize("kind", [Sqlite, DuckDb])
async def test_an_account_that_is_equal_to_another_one_by_a_collation_is_another_one(
    kind: type[Sqlite | DuckDb], tmp_path: Path
) -> None:
    place, server = kind(tmp_path), server_of(30)
    async with served(server) as client:
        await synced(client, place, account="ACME")
        place.execute("ALTER TABLE {table} RENAME TO plain")
        made = "CREATE TABLE {table} AS SELECT * FROM plain"
        if kind is Sqlite:
            (text,) = (row[0] for row in place.execute("SELECT sql FROM sqlite_master WHERE name = 'plain'"))
            made = text.replace('"plain"', "{table}").replace('"account" TEXT', '"account" TEXT COLLATE NOCASE')
            place.execute(made)
            place.execute("INSERT INTO {table} SELECT * FROM plain")
        else:
            place.execute(made)
            place.execute("ALTER TABLE {table} ALTER account TYPE VARCHAR COLLATE NOCASE")
        await synced(client, place, account="acme", end=BEGIN + DAY)
    for account, count in (("ACME", 30), ("acme", 5)):
        exactly = f"SELECT count(*) FROM {{table}} WHERE hex(account) = '{account.encode().hex().upper()}'"  # noqa: S608 # ours
        assert place.execute(exactly) == [(count,)]


async def test_rows_of_a_day_that_another_program_has_written_meanwhile_are_compared_again(tmp_path: Path) -> None:
    place, server = ParquetDays(tmp_path), server_of(30)
    inner: Any = destination_at(place.url, "cdrs")
    read = inner.rows
    sorts = [True]

    async def rows(*arguments: Any) -> Any:
        found = await read(*arguments)
        if sorts.pop() if sorts else False:
            for file in place.path.rglob("*.parquet"):
                pl.read_parquet(file, hive_partitioning=False).sort("start_time", descending=True).write_parquet(file)
        return found

    async with served(server) as client:
        await synced(client, place)
        del server.rows[6]
        inner.rows = rows
        await sync_cdrs(client, inner, BEGIN, end=END, account=ACCOUNT, lookback=END - BEGIN)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


@pytest.mark.slow
async def test_a_folder_may_hold_other_things_and_columns_that_must_not_be_null(tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415 # this test alone writes by it

    place, server = ParquetDays(tmp_path), server_of(30)
    async with served(server) as client:
        await synced(client, place)
        for file in [*place.path.rglob("*.parquet")]:
            with closing(duckdb.connect()) as connection:
                other = file.with_name("other")
                source = f"SELECT *, 'a' AS mine FROM read_parquet('{file}', hive_partitioning = false)"  # noqa: S608 # ours
                connection.execute(f"COPY ({source}) TO '{other}' (FORMAT parquet)")
            other.replace(file)
        shutil.copytree(place.path / f"account={ACCOUNT}" / f"date={date(2026, 5, 2)}", tmp_path / "copy")
        (tmp_path / "copy").replace(place.path / f"account={ACCOUNT}" / "date=2026-05-02.bak")
        server.rows.append(server.rows[3])
        await synced(client, place, lookback=END - BEGIN)
        shutil.rmtree(place.path / f"account={ACCOUNT}" / "date=2026-05-02.bak")
    files = [pl.read_parquet(file, hive_partitioning=False) for file in place.path.rglob("*.parquet")]
    rows = pl.concat(files, how="diagonal_relaxed")
    assert (rows.height, rows["mine"].null_count()) == (31, 1)


@pytest.mark.rest_slow
@pytest.mark.parametrize("place", ["sqlite", "postgres"], indirect=True)
async def test_a_trigger_that_keeps_rows_out_is_an_error(place: Place) -> None:
    server = server_of(30)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)
        if isinstance(place, Sqlite):
            place.execute("CREATE TRIGGER quiet BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END")
        else:
            place.execute(
                "CREATE FUNCTION quiet{number}() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql"
            )
            name = place.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'quiet%' ORDER BY oid DESC LIMIT 1")[
                0
            ][0]
            place.execute(f"CREATE TRIGGER quiet BEFORE INSERT ON {{table}} FOR EACH ROW EXECUTE FUNCTION {name}()")
        with pytest.raises(SyncDestinationError, match="a trigger"):
            await synced(client, place)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, BEGIN + DAY)


@pytest.mark.slow
async def test_no_value_of_a_row_is_in_an_error_of_duckdb(tmp_path: Path) -> None:
    place, server = DuckDb(tmp_path), server_of(30)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)
        place.execute("CREATE UNIQUE INDEX own ON {table} (id)")
        server.rows.append(server.rows[20])
        with pytest.raises(SyncDestinationError, match="a constraint of the table") as caught:
            await synced(client, place)
    assert "20" not in str(caught.value).removeprefix(place.url)


@pytest.mark.parametrize(
    "url", ["bob:se/cret@host/db", "bob:sec@ret@host/db", "host/?dbname=postgresql://bob:secret@host"]
)
def test_a_url_whose_password_would_stand_in_messages_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write %2F for /") as caught:
        destination_at(f"postgresql://{url}", "cdrs")
    assert "ret" not in str(caught.value)


@pytest.mark.slow
async def test_a_table_that_another_session_has_locked_is_waited_for_and_then_an_error(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_LOCK_TIMEOUT", 0.2)
    server = server_of(30)
    async with served(server) as client:
        sync = {"end": END, "account": ACCOUNT, "table": "locked"}
        await sync_cdrs(client, postgres_url, BEGIN, **{**sync, "end": BEGIN + DAY})  # type: ignore[arg-type] # of mixed types
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE locked")
            with pytest.raises(SyncDestinationError, match="lock timeout"):
                await sync_cdrs(client, postgres_url, BEGIN, **sync)  # type: ignore[arg-type] # as above


def test_a_loop_that_is_closed_under_a_sync_leaves_no_lock(tmp_path: Path) -> None:
    place, server = Sqlite(tmp_path), server_of(30)
    loop = asyncio.new_event_loop()
    destination = destination_at(place.url, "cdrs")
    loop.run_until_complete(destination.open(ACCOUNT))
    loop.close()
    # As the interpreter ends a coroutine that is left: without a running loop.
    with pytest.raises(StopIteration):
        destination.close().send(None)

    async def again() -> None:
        async with served(server) as client:
            await synced(client, place)

    asyncio.run(again())
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_sync_that_is_cancelled_twice_ends_in_a_cancellation(tmp_path: Path) -> None:
    place, server = Sqlite(tmp_path), server_of(30)
    async with served(server) as client:
        for steps in range(0, 60, 3):
            task = asyncio.ensure_future(synced(client, place, account=f"{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():  # on a busy machine a turn of the loop takes long enough for a whole sync
                break
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await synced(client, place)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)
