"""What only PostgreSQL can do to a sync."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import psycopg
import pytest

from tests.cdrs.raw_server import RawServer, served
from tests.sync.places import Postgres
from tests.sync.support import ACCOUNT, BEGIN, DAY, call, held_by, repriced
from tests.sync.test_sync import END, LONG, counts, synced
from unlimcall_async.sync import SyncDestinationError, SyncSchemaError, postgres, sync_cdrs
from unlimcall_async.sync.url import destination_at


@pytest.fixture
def place(postgres_url: str) -> Postgres:
    return Postgres(postgres_url)


async def test_a_text_with_nul_is_reported_and_costs_that_row_alone(place: Postgres) -> None:
    bad = call(BEGIN + DAY, "x", src='"1\\u00002"')
    server = RawServer([call(BEGIN, "a"), bad, call(END - DAY, "b"), call(BEGIN, "c", more='"\\u0000"')])
    async with served(server) as client:
        for expected in ((3, 0, 0, 0), (0, 0, 0, 3)):
            result = await synced(client, place, lookback=LONG)
            assert counts(result) == expected
            (row,) = result.unreadable
            assert (row.where, row.reason) == ("src", "a text with the character NUL, which PostgreSQL cannot hold")
            assert row.window[0] <= bad.start < row.window[1]
            assert b'"src":"1\\u00002"' in row.body
    server.rows.remove(bad)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_server_that_goes_away_in_the_middle_of_copy_loses_nothing(place: Postgres) -> None:
    server = RawServer([call(BEGIN + number * DAY / 100, f"{number}") for number in range(500)])
    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)
        before = place.rows(ACCOUNT)
        place.execute("""CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = '300' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$""")
        place.execute("CREATE TRIGGER die BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION die()")
        with pytest.raises(SyncDestinationError, match="terminating connection"):
            await synced(client, place)
        assert place.rows(ACCOUNT) == before
        place.execute("DROP TRIGGER die ON {table}")
        place.execute("DROP FUNCTION die")
        await synced(client, place)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_rows_that_another_program_changes_meanwhile_are_compared_again(
    place: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RawServer([call(BEGIN, "a"), call(BEGIN, "b")])
    async with served(server) as client:
        await synced(client, place)
        place.execute("ALTER TABLE {table} ADD COLUMN note TEXT")
        server.rows = [repriced(server.rows[0], 5)]
        notes = iter(["first", "second"])
        written = postgres.PostgresDestination._write

        def write(destination: Any, *arguments: Any) -> None:
            if (note := next(notes, None)) is not None:
                place.execute(f"UPDATE {{table}} SET note = '{note}'")  # noqa: S608 # ours
            written(destination, *arguments)

        monkeypatch.setattr(postgres.PostgresDestination, "_write", write)
        assert counts(await synced(client, place, lookback=LONG)) == (0, 1, 1, 0)
    assert place.execute("SELECT id, sell_price_cents, note FROM {table}") == [("a", 5, "second")]


async def test_a_partitioned_table_is_kept_up_to_date(place: Postgres) -> None:
    server = RawServer([call(BEGIN + day * DAY, name) for day in range(6) for name in "ab"])
    async with served(server) as client:
        await synced(client, place)
        place.execute("ALTER TABLE {table} RENAME TO template")
        place.execute("CREATE TABLE {table} (LIKE template) PARTITION BY RANGE (start_time)")
        for number in range(2):
            first, last = BEGIN + 3 * number * DAY, BEGIN + 3 * (number + 1) * DAY
            part = f"CREATE TABLE \"p'%{number}\" PARTITION OF {{table}} FOR VALUES FROM ('{first}') TO ('{last}')"
            place.execute(part)
        place.execute("INSERT INTO {table} SELECT * FROM template")
        place.execute("DROP TABLE template")
        # Rows of two partitions have the same places in their files.
        server.rows = [repriced(row, 5) if b'"b"' in row.text else row for row in server.rows if row.start != END - DAY]
        assert counts(await synced(client, place, lookback=LONG)) == (0, 5, 2, 5)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_an_account_that_another_one_is_equal_to_is_another_one(place: Postgres) -> None:
    # The server of the tests has no collation to which texts that differ are equal. So an operator stands for one.
    place.execute("CREATE SCHEMA IF NOT EXISTS loose")
    place.execute(
        "CREATE OR REPLACE FUNCTION loose.same(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS "
        "$$ SELECT lower($1) OPERATOR(pg_catalog.=) lower($2) $$"
    )
    place.execute("DROP OPERATOR IF EXISTS loose.= (text, text)")
    place.execute("CREATE OPERATOR loose.= (FUNCTION = loose.same, LEFTARG = text, RIGHTARG = text)")
    mark = "&" if "?" in place.url else "?"
    options = f"{mark}options=-csearch_path%3Dloose,pg_catalog,public"
    server = RawServer([call(BEGIN + day * DAY, "a") for day in range(6)])
    async with served(server) as client:
        for account, end in (("ACME", END), ("acme", BEGIN + 3 * DAY)):
            for _ in range(2):
                await sync_cdrs(
                    client, place.url + options, BEGIN, end=end, account=account, table=f"public.{place.table}"
                )
    assert place.rows("ACME") == held_by(server, BEGIN, END)
    assert place.rows("acme") == held_by(server, BEGIN, BEGIN + 3 * DAY)


async def test_rows_of_tables_that_inherit_are_not_those_of_the_table(place: Postgres) -> None:
    server = RawServer([call(BEGIN + day * DAY, name) for day in range(6) for name in "ab"])
    children = '"child {}"'.format(place.table.replace('"', '""'))
    async with served(server) as client:
        await synced(client, place)
        place.execute(f"CREATE TABLE {children} (note TEXT) INHERITS ({{table}})")
        # Rows with the places, and with the contents, of rows of the table.
        place.execute(f"INSERT INTO {children} SELECT *, 'mine' FROM ONLY {{table}}")  # noqa: S608 # ours
        before = place.execute(f"SELECT ctid::text, * FROM {children}")  # noqa: S608 # ours
        assert counts(await synced(client, place, lookback=LONG)) == (0, 0, 0, 12)
        server.rows = [*(repriced(row, 5) for row in server.rows[:5]), *server.rows[8:], call(BEGIN, "late")]
        assert counts(await synced(client, place, lookback=LONG)) == (1, 5, 3, 4)
        assert place.execute(f"SELECT ctid::text, * FROM {children}") == before  # noqa: S608 # ours
        place.execute(f"DROP TABLE {children}")
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_table_that_inherits_is_kept_up_to_date(place: Postgres) -> None:
    server = RawServer([call(BEGIN + day * DAY, "a") for day in range(6)])
    parent = '"parent {}"'.format(place.table.replace('"', '""'))
    async with served(server) as client:
        await synced(client, place, end=BEGIN)
        place.execute(f"CREATE TABLE {parent} (LIKE {{table}})")
        place.execute(f"INSERT INTO {parent} SELECT * FROM {{table}}")  # noqa: S608 # ours
        place.execute(f"ALTER TABLE {{table}} INHERIT {parent}")
        assert counts(await synced(client, place, lookback=LONG)) == (6, 0, 0, 0)
        assert counts(await synced(client, place, lookback=LONG)) == (0, 0, 0, 6)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_a_table_in_a_schema(place: Postgres) -> None:
    place.execute('CREATE SCHEMA IF NOT EXISTS "My Calls"')
    async with served(RawServer([call(BEGIN, "a")])) as client:
        assert counts(await synced(client, place, table="My Calls.Cdrs")) == (1, 0, 0, 0)
        assert place.execute('SELECT id FROM "My Calls"."Cdrs"') == [("a",)]
        assert place.execute('SELECT table_name, account FROM "My Calls".unlimcall_sync') == [("Cdrs", ACCOUNT)]
        with pytest.raises(SyncDestinationError, match='schema "nowhere" does not exist'):
            await synced(client, place, table="nowhere.cdrs")


async def test_a_column_that_would_refuse_call_records_is_named(place: Postgres) -> None:
    async with served(RawServer([call(BEGIN, "a")])) as client:
        await synced(client, place)
        place.execute("ALTER TABLE {table} ADD COLUMN mine INTEGER NOT NULL DEFAULT 1")
        await synced(client, place)
        place.execute("ALTER TABLE {table} ALTER COLUMN mine DROP DEFAULT, ALTER COLUMN src TYPE varchar(3)")
        place.execute("UPDATE {table} SET dst = ''")
        place.execute("ALTER TABLE {table} ALTER COLUMN dst SET NOT NULL")
        with pytest.raises(SyncSchemaError) as refused:
            await synced(client, place)
    assert refused.value.differences == (
        "src is character varying(3), and must be text",
        "dst is NOT NULL, and may be empty in a call record",
        "mine is not a documented column, is NOT NULL, and has no default",
    )


@pytest.mark.parametrize("query", ["password=hunter%202", "application_name=mine"])
async def test_no_password_and_no_row_shows_in_an_error(place: Postgres, query: str) -> None:
    url = f"postgresql://me:hunter%202@127.0.0.1:9/calls?{query}"
    async with served(RawServer([call(BEGIN, "a", src='"+14155550100"')])) as client:
        with pytest.raises(
            SyncDestinationError, match=r"postgresql://me@127\.0\.0\.1:9/calls: connection failed"
        ) as failed:
            await sync_cdrs(client, url, BEGIN, end=END, account=ACCOUNT)
        assert "hunter" not in "".join(traceback.format_exception(failed.value))
        assert "hunter" not in repr(destination_at(url, "cdrs"))
        with pytest.raises(ValueError, match="PostgreSQL can read") as refused:
            destination_at(url.replace("127.0.0.1", "["), "cdrs")
        assert "hunter" not in "".join(traceback.format_exception(refused.value))
        await synced(client, place)
        place.execute("TRUNCATE {table}")
        place.execute("ALTER TABLE {table} ADD CHECK (src < '+1')")
        with pytest.raises(SyncDestinationError, match="violates check constraint") as failed:
            await synced(client, place, lookback=LONG)
        assert "+1415555" not in "".join(traceback.format_exception(failed.value))


async def test_a_run_that_waits_for_a_lock_of_another_program_can_be_cancelled(place: Postgres) -> None:
    server = RawServer([call(BEGIN, "a")])
    async with served(server) as client:
        await synced(client, place)
        named = place.table.replace('"', '""')
        with psycopg.connect(place.url) as other:
            other.execute(f'LOCK TABLE "{named}" IN ACCESS EXCLUSIVE MODE'.encode())
            run = asyncio.create_task(synced(client, place, lookback=LONG))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while place.execute(waiting) == [(0,)]:  # noqa: ASYNC110 # the server sets no event
                await asyncio.sleep(0)
            run.cancel()
            await asyncio.wait([run])
            assert run.cancelled()
        assert counts(await synced(client, place, lookback=LONG)) == (0, 0, 0, 1)
