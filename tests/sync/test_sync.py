"""A table is exact after any runs: over real HTTP, in each destination."""

from __future__ import annotations

import asyncio
import pickle
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cdrs.raw_server import RawServer, served
from tests.sync.places import Place, Sqlite
from tests.sync.support import ACCOUNT, BEGIN, DAY, Killed, Mortal, call, checked_manifest, held_by, repriced
from unlimcall_async import AsyncClient, CheckpointError, ConflictError, UnlimCallError
from unlimcall_async.sandbox import Sandbox, SandboxCall
from unlimcall_async.sync import (
    SyncBusyError,
    SyncDestinationError,
    SyncProgress,
    SyncResult,
    SyncSchemaError,
    pieces,
    run,
    sync_cdrs,
)
from unlimcall_async.sync.url import destination_at

DAYS = 6
END = BEGIN + DAYS * DAY
LONG = timedelta(days=100)
# These take longer to open and to close.
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("duckdb", "postgres", "parquet")]
databases = pytest.mark.parametrize("place", ["sqlite", "duckdb", "postgres"], indirect=True)

moments = st.integers(0, DAYS * 8 - 1).map(lambda number: BEGIN + number * DAY / 8)
calls = st.builds(call, moments, st.sampled_from("abc"), st.sampled_from([None, 1, 2]))
days = st.integers(0, DAYS).map(lambda number: BEGIN + number * DAY)


async def synced(client: AsyncClient, place: Place, start: datetime = BEGIN, **options: Any) -> SyncResult:
    own: dict[str, Any] = {"end": END, "account": ACCOUNT, "table": place.table}
    return await sync_cdrs(client, place.url, start, **(own | options))


def counts(result: SyncResult) -> tuple[int, int, int, int]:
    return result.inserted, result.revised, result.removed, result.unchanged


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a piece of each page."""
    monkeypatch.setattr(pieces, "MOST_ROWS", 1)


# --- exact ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example has an account of its own
async def test_any_runs_and_kills_leave_what_the_server_holds(place: Place, data: st.DataObject) -> None:
    await any_runs_and_kills(place, data)


# An example takes these destinations up to a second.
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("place", SLOW, indirect=True)
@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=max(5, settings.default.max_examples // 12 if settings.default else 5),
)
async def test_they_leave_it_in_a_slow_destination_too(place: Place, data: st.DataObject) -> None:
    await any_runs_and_kills(place, data)


async def any_runs_and_kills(place: Place, data: st.DataObject) -> None:
    server = RawServer(data.draw(st.lists(calls, max_size=20)), cap=data.draw(st.sampled_from([8, 1000])))
    account, other = place.new_account(), place.new_account()
    async with served(server) as client:
        await synced(client, place, account=other)
        before = place.rows(other)
        for _ in range(data.draw(st.integers(1, 4))):
            start, end = sorted((data.draw(days), data.draw(days)))
            steps = data.draw(st.one_of(st.none(), st.integers(0, 8)))
            mortal = Mortal(destination_at(place.url, place.table), steps, data.draw(st.booleans()))
            try:
                result = await sync_cdrs(client, mortal, start, end=end, lookback=LONG, account=account)
            except Killed:
                # A run that was killed before its first transaction has left nothing.
                with suppress(ValueError):
                    await checked_manifest(place, account)
            else:
                if result.start < result.watermark:
                    manifest = await checked_manifest(place, account)
                    assert (manifest.start, manifest.end) == (result.start, result.watermark)
                expected = held_by(server, result.start, result.watermark)
                assert place.rows(account) == expected
                assert result.inserted + result.revised + result.unchanged == expected.total()
                assert result.start <= start
                assert result.watermark >= end
            changed(server, data)
        await synced(client, place, account=account, lookback=LONG)
        assert place.rows(account) == held_by(server, BEGIN, END)
        assert place.rows(other) == before
        again = await synced(client, place, account=account, lookback=LONG)
        assert counts(again) == (0, 0, 0, held_by(server, BEGIN, END).total())


def changed(server: RawServer, data: st.DataObject) -> None:
    """Have rows of the server come late, change and go."""
    rows = data.draw(st.permutations(server.rows))
    gone, priced = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    server.rows = [
        *rows[gone + priced :],
        *(repriced(row, 7) for row in rows[gone : gone + priced]),
        *data.draw(st.lists(calls, max_size=5)),
    ]


@pytest.mark.rest_slow
async def test_late_revised_and_removed_rows_within_the_lookback(place: Place) -> None:
    at = [BEGIN + day * DAY for day in range(DAYS)]
    leg = call(at[5], "leg", duration="7")
    server = RawServer([call(moment, "a") for moment in at] + [call(at[5], "leg"), leg, leg])
    async with served(server) as client:
        assert counts(await synced(client, place)) == (9, 0, 0, 0)
        # Out of the lookback one row goes, and one comes; within it one comes, one changes, and one of two equal rows goes.
        server.rows[0:1] = [call(at[1], "late")]
        server.rows.remove(leg)
        server.rows[4] = repriced(server.rows[4], 99)
        server.rows.append(call(at[5], "late"))
        result = await synced(client, place)
        assert counts(result) == (1, 1, 1, 3)
        expected = held_by(RawServer([call(at[0], "a"), *server.rows]), BEGIN, END)
        del expected[next(row for row in expected if row[:2] == ("late", at[1]))]
        assert place.rows(ACCOUNT) == expected
        result = await synced(client, place, lookback=LONG)
        assert counts(result) == (1, 0, 1, 8)
        assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)
    assert (result.start, result.end, result.watermark, result.unreadable) == (BEGIN, END, END, [])
    assert result.requests > 0


@pytest.mark.rest_slow
async def test_the_table_holds_one_interval_whatever_starts_are_given(place: Place) -> None:
    server = RawServer([call(BEGIN + number * DAY / 4, "a") for number in range(DAYS * 4)])
    async with served(server) as client:
        await synced(client, place, BEGIN + 3 * DAY, end=BEGIN + 4 * DAY)
        ahead = await synced(client, place, BEGIN + 5 * DAY)  # leaves no gap
        assert (ahead.start, ahead.watermark) == (BEGIN + 3 * DAY, END)
        back = await synced(client, place, BEGIN + DAY, end=BEGIN + 2 * DAY, lookback=timedelta(0))
        assert (back.start, back.watermark, back.inserted) == (BEGIN + DAY, END, 8)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN + DAY, END)


@pytest.mark.rest_slow
async def test_rows_outside_the_interval_and_of_others_are_never_touched(place: Place) -> None:
    server = RawServer([call(BEGIN + DAY, "a")])
    async with served(server) as client:
        await synced(client, place, account="other")
        await synced(client, place)
        server.rows = []
        await synced(client, place, BEGIN + 2 * DAY, lookback=3 * DAY)
        assert place.rows(ACCOUNT).total() == 1
        await synced(client, place, BEGIN + 2 * DAY, lookback=LONG)
    assert (place.rows(ACCOUNT).total(), place.rows("other").total()) == (0, 1)


@pytest.mark.rest_slow
async def test_what_no_json_number_or_plain_text_holds_comes_back_exactly(place: Place) -> None:
    odd = call(
        BEGIN + timedelta(microseconds=1),
        "a\\t\\\\N\\n\\\"'é",
        -5,
        src='"\\r\\n\\\\."',
        b='{"y": 1.10, "x": "\\u0000"}',
    )
    server = RawServer([odd, call(BEGIN + timedelta(microseconds=1), "b", 2**63 - 1, currency='""')])
    async with served(server) as client:
        await synced(client, place)
        result = await synced(client, place, lookback=LONG)
    assert counts(result) == (0, 0, 0, 2)
    (first, second) = sorted(place.rows(ACCOUNT))
    assert first[:2] == ("a\t\\N\n\"'é", BEGIN + timedelta(microseconds=1))
    assert (first[4], first[8], first[12]) == ("\r\n\\.", -5, '{"b":{"x":"\\u0000","y":1.10}}')
    assert (second[8], second[9]) == (2**63 - 1, "")


@pytest.mark.rest_slow
async def test_many_stored_rows_are_compared_some_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_MOST_STORED", 3)
    rows = [call(BEGIN + number // 5 * DAY, f"{number}") for number in range(20)]
    server = RawServer(rows)
    async with served(server) as client:
        await synced(client, place)
        server.rows = [*rows[:2], *rows[7:9], call(END - DAY, "z")]
        assert counts(await synced(client, place, lookback=LONG)) == (1, 0, 16, 4)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_many_stored_rows_before_what_is_asked_again_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, rows = Sqlite(tmp_path), [call(BEGIN + number * DAY / 48, f"{number}") for number in range(5)]
    server = RawServer([*rows, call(BEGIN + DAY, "last")])
    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)
        # The lookback begins inside the window that all the rows rest on.
        monkeypatch.setattr(run, "_MOST_STORED", 3)
        assert counts(await synced(client, place, lookback=DAY / 2)) == (1, 0, 0, 0)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


# --- rows that cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_from_a_piece_with_an_unreadable_row_nothing_is_removed(place: Place) -> None:
    first, second = BEGIN + DAY, BEGIN + DAY + timedelta(hours=1)
    server = RawServer([call(first, "a"), call(first, "leg"), call(first, "leg", duration="7"), call(second, "b")])
    good = list(server.rows)
    async with served(server) as client:
        await synced(client, place)
        # One leg cannot be read, and the other one is rated: the revision must not take the place of the first.
        server.rows = [call(first, "leg", duration='"7"'), call(first, "leg", 5), call(second, "late")]
        result = await synced(client, place, lookback=LONG)
        assert counts(result) == (1, 1, 0, 0)
        (row,) = result.unreadable
        assert row.where.endswith(".duration")
        assert b'"7"' in row.body
        kept = [good[0], call(first, "leg", 5), good[2], good[3], call(second, "late")]
        assert place.rows(ACCOUNT) == held_by(RawServer(kept), BEGIN, END)
        server.rows = kept[1:]
        assert counts(await synced(client, place, lookback=LONG)) == (0, 0, 1, 4)


@pytest.mark.slow
async def test_a_row_whose_start_cannot_be_read_may_be_any_row_near_it(place: Place) -> None:
    server = RawServer([call(BEGIN + DAY * 3 + timedelta(seconds=number), f"{number}") for number in range(60)], cap=20)
    async with served(server) as client:
        await synced(client, place)
        for row in range(0, 60, 7):
            # One row after the other loses its start: it must not be removed, wherever the pieces are cut.
            good = server.rows[row]
            server.rows[row] = call(good.start, f"{row}", startTime='"soon"')
            result = await synced(client, place, lookback=LONG)
            assert (result.removed, len(result.unreadable)) == (0, 1)
            server.rows[row] = good
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


@pytest.mark.rest_slow
async def test_an_error_comes_behind_what_was_written_before_it(place: Place) -> None:
    server = RawServer([call(BEGIN + number * DAY / 60, f"{number}") for number in range(300)], cap=20)

    async def answer(_first: datetime, _last: datetime) -> web.Response | None:
        return None if len(server.asked) < 20 else web.Response(status=409)

    server.answer = answer
    async with served(server) as client:
        with pytest.raises(ConflictError):
            await synced(client, place)
        there = place.rows(ACCOUNT)
        assert there
        server.answer = RawServer([]).answer
        result = await synced(client, place)
        assert result.inserted == 300 - there.total()
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


async def test_much_new_time_is_asked_behind_the_lookback(tmp_path: Path) -> None:
    server, place = RawServer([]), Sqlite(tmp_path)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + 2 * DAY, lookback=DAY)
        server.asked.clear()
        await synced(client, place, end=BEGIN + 3 * DAY, lookback=DAY)
        (together,) = server.asked
        server.asked.clear()
        await synced(client, place, end=BEGIN + 5 * DAY, lookback=DAY)
        first, last = server.asked
    # Windows reach a little over the edges of what is asked.
    assert [round((end - start) / DAY) for start, end in (together, first, last)] == [2, 1, 2]


# Of the two stretches that a run asks, both show a row half a second before the watermark, and the later one alone a row behind it.
@pytest.mark.parametrize("seconds", [[-0.5], [-0.5, -0.5], [-0.5, 1.4]])
async def test_a_row_without_a_start_beside_the_watermark_is_listed_once(tmp_path: Path, seconds: list[float]) -> None:
    near = [call(BEGIN + 2 * DAY + timedelta(seconds=each), "near", startTime='"soon"') for each in seconds]
    far = call(BEGIN + 4 * DAY, "near", startTime='"soon"')
    server, place = RawServer([]), Sqlite(tmp_path)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + 2 * DAY, lookback=DAY)
        server.rows = [*near, far]
        result = await synced(client, place, end=BEGIN + 5 * DAY, lookback=DAY)
    assert len(result.unreadable) == len(seconds) + 1


@pytest.mark.slow
async def test_runs_that_are_cut_off_again_and_again_get_ahead(tmp_path: Path) -> None:
    """The lookback takes a quarter of the requests that a run may send."""
    left = 0

    async def refuse(_first: datetime, _last: datetime) -> web.Response | None:
        nonlocal left
        left -= 1
        return None if left >= 0 else web.Response(status=409)

    calls = [call(BEGIN + number * DAY / 100, str(number)) for number in range(2000)]
    server, place, there = RawServer(calls, cap=20, answer=refuse), Sqlite(tmp_path), list[int]()
    for _ in range(4):
        left = 40
        async with served(server) as client:
            with pytest.raises(ConflictError):
                await synced(client, place, end=BEGIN + 20 * DAY, lookback=2 * DAY)
        there.append(place.rows(ACCOUNT).total())
    assert there == sorted(set(there)), "each run has brought rows that no run before has"


async def test_what_was_gathered_is_written_while_the_stream_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PATIENCE", 0.02)
    monkeypatch.setattr(pieces, "LOOK", 0.01)
    place = Sqlite(tmp_path)
    bad = call(BEGIN + timedelta(hours=1), "bad", duration='"7"')
    server = RawServer([bad, *(call(BEGIN + number * DAY / 60, f"{number}") for number in range(300))], cap=20)
    go_on = asyncio.Event()

    async def answer(_first: datetime, _last: datetime) -> None:
        if len(server.asked) > 20:
            await go_on.wait()

    server.answer = answer
    seen = list[SyncProgress]()
    async with served(server) as client:
        run = asyncio.create_task(synced(client, place, on_progress=seen.append))
        while not (seen and seen[-1].inserted) or seen[-1].waiting_for != "server":  # noqa: ASYNC110 # no event tells
            await asyncio.sleep(0)
        there = place.rows(ACCOUNT)
        assert 0 < there.total() < 300
        assert there <= held_by(server, BEGIN, END)
        go_on.set()
        assert len((await run).unreadable) == 1
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


# --- one run at a time ------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_a_second_run_is_busy_at_once_and_another_account_is_not(place: Place) -> None:
    server = RawServer([call(BEGIN, "a")])
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_first: datetime, _last: datetime) -> None:
        asked.set()
        await go_on.wait()

    async with served(server) as client:
        server.answer = answer
        first = asyncio.create_task(synced(client, place))
        await asked.wait()
        with pytest.raises(SyncBusyError, match="another run syncs this table and account"):
            await synced(client, place)
        other = asyncio.create_task(synced(client, place, account="other"))
        go_on.set()
        assert (await first).inserted == (await other).inserted == 1
        assert (await synced(client, place)).unchanged == 0


@pytest.mark.slow
async def test_a_cancelled_run_leaves_nothing_behind(place: Place) -> None:
    server = RawServer([call(BEGIN + number * DAY / 60, f"{number}") for number in range(300)], cap=20)
    threads = threading.active_count()
    async with served(server) as client:
        for step in range(12):
            seen = list[SyncProgress]()
            run = asyncio.create_task(synced(client, place, on_progress=seen.append))
            while len(server.asked) < 4 * (step + 1) and not run.done():  # noqa: ASYNC110 # a request sets no event
                await asyncio.sleep(0)
            run.cancel()
            await asyncio.wait([run])
            assert run.cancelled() or run.result().watermark == END
        assert (await synced(client, place)).watermark == END
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)
    assert threading.active_count() == threads


# --- the table of a user ------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@databases
async def test_other_columns_and_indexes_are_left_alone(place: Place) -> None:
    server = RawServer([call(BEGIN, "a"), call(BEGIN, "a", duration="7"), call(BEGIN, "b")])
    async with served(server) as client:
        await synced(client, place)
        place.execute("ALTER TABLE {table} ADD COLUMN note TEXT DEFAULT 'new'")
        place.execute("CREATE INDEX mine_{number} ON {table} (dst)")
        place.execute("UPDATE {table} SET note = 'seen' WHERE duration = 7")
        server.rows = [repriced(row, 5) for row in server.rows] + [call(BEGIN, "c")]
        assert counts(await synced(client, place, lookback=LONG)) == (1, 3, 0, 0)
    notes = place.execute("SELECT id, duration, note FROM {table} ORDER BY id, duration")
    assert notes == [("a", 7, "seen"), ("a", 34, "new"), ("b", 34, "new"), ("c", 34, "new")]


@pytest.mark.rest_slow
@databases
async def test_a_table_with_other_columns_is_refused_with_the_differences(place: Place) -> None:
    async with served(RawServer([call(BEGIN, "a")])) as client:
        await synced(client, place)
        place.execute("ALTER TABLE {table} DROP COLUMN did")
        place.execute("ALTER TABLE {table} RENAME COLUMN src TO source")
        place.execute("ALTER TABLE {table} ADD COLUMN src BIGINT")
        with pytest.raises(SyncSchemaError) as refused:
            await synced(client, place)
        assert isinstance(refused.value, ValueError)
        assert len(refused.value.differences) == 2
        assert refused.value.differences[0].startswith("src is ")
        assert refused.value.differences[1].startswith("did is missing")
        place.execute("DROP TABLE {table}")
        place.execute("CREATE VIEW {table} AS SELECT 1 AS account")
        with pytest.raises(SyncSchemaError, match="view"):
            await synced(client, place)
    place.execute("DROP VIEW {table}")


@pytest.mark.rest_slow
@databases
async def test_a_table_that_lost_its_rows_is_filled_again(place: Place) -> None:
    server = RawServer([call(BEGIN + DAY, "a"), call(END - DAY, "b")])
    async with served(server) as client:
        await synced(client, place)
        place.execute("DELETE FROM {table}")
        assert counts(await synced(client, place)) == (1, 0, 0, 0)
        place.execute("UPDATE unlimcall_sync SET state = 'x'")
        with pytest.raises(CheckpointError, match="damaged"):
            await synced(client, place)
        # Without a state the table is one that no run has seen.
        place.execute("DELETE FROM unlimcall_sync")
        assert counts(await synced(client, place)) == (1, 0, 0, 1)


# --- arguments, progress, end ---------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_the_account_is_that_of_the_token_and_the_end_is_settled(place: Place) -> None:
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.add_calls([SandboxCall(id="1", start_time=BEGIN)])
        seen = list[SyncProgress]()
        settle = timedelta(hours=3)
        result = await sync_cdrs(client, place.url, BEGIN, settle=settle, table=place.table, on_progress=seen.append)
        assert place.rows((await client.me()).customer_id).total() == 1
    assert result.end == result.watermark
    assert timedelta(0) < datetime.now(BEGIN.tzinfo) - result.end - settle < timedelta(minutes=1)
    assert (seen[-1].fraction, seen[-1].inserted, seen[-1].records) == (1.0, 1, 1)
    assert [each.fraction for each in seen] == sorted(each.fraction for each in seen)


async def test_an_end_in_the_future_does_not_move_the_watermark_there(tmp_path: Path) -> None:
    place = Sqlite(tmp_path)
    now = datetime.now(UTC)
    server = RawServer([call(now - timedelta(hours=1), "a")])
    async with served(server) as client:
        result = await synced(client, place, now - DAY, end=now + 30 * DAY)
        assert result.end == result.watermark
        assert now <= result.watermark < now + timedelta(minutes=1)
        with pytest.raises(ValueError, match="start must not be after end"):
            await synced(client, place, now + DAY, end=None)


@pytest.mark.parametrize("newer", [timedelta(0), 2 * DAY])
async def test_a_clock_that_is_ahead_does_not_move_the_watermark_ahead_of_the_server(
    tmp_path: Path, newer: timedelta
) -> None:
    # The account is given, so the first answer comes to a request for records, once the end of the range is fixed.
    place, ahead = Sqlite(tmp_path), timedelta(hours=3)
    begin = datetime.now(UTC) - ahead - 5 * DAY
    server = RawServer([call(begin + number * DAY, f"{number}") for number in range(5)])
    server.date = lambda: datetime.now(UTC) - ahead
    async with served(server) as client:
        # Time before what the table holds is asked behind the newest.
        for start in (begin + newer, begin):
            result = await synced(client, place, start, end=None, lookback=timedelta(0))
            assert abs(datetime.now(UTC) - ahead - result.watermark) < timedelta(seconds=30)
            manifest = await checked_manifest(place)
            assert (manifest.start, manifest.end) == (result.start, result.watermark)
    now = datetime.now(UTC) - ahead + timedelta(minutes=2)
    server.rows.append(call(now - timedelta(minutes=1), "just now"))
    server.date = lambda: now
    async with served(server) as client:
        assert (await synced(client, place, begin, end=None, lookback=timedelta(0))).inserted == 1
    assert place.rows(ACCOUNT) == held_by(server, begin, datetime.now(UTC))


@pytest.mark.looptime
@pytest.mark.parametrize(("ahead", "settle"), [(20, 0), (7200, 0), (7200, 1800)])
async def test_a_clock_that_is_ahead_takes_nothing_for_known_that_came_while_the_api_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, settle: int
) -> None:
    second, place, late = timedelta(seconds=1), Sqlite(tmp_path), min(settle, 60)

    def now() -> datetime:
        return BEGIN + DAY + asyncio.get_running_loop().time() * second

    monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda: now() + ahead * second)
    rows = [call(BEGIN + DAY + number * 10 * second, f"{number}") for number in range(100)]
    server = RawServer([], date=now)

    async def answer(_first: datetime, _last: datetime) -> web.Response | None:
        # What the response holds is what is there when the request comes, and the response takes its time.
        server.rows = [row for row in rows if row.start + late * second <= now()]
        await asyncio.sleep(15)
        return None

    server.answer = answer
    watermarks = list[datetime]()
    for _ in range(4):
        async with served(server) as client:
            result = await synced(
                client, place, BEGIN, end=None, lookback=timedelta(0), settle=settle * second, account=ACCOUNT
            )
        watermarks.append(result.watermark)
        await asyncio.sleep(1)
    assert watermarks[-1] <= now() - settle * second
    await asyncio.sleep(4000)
    async with served(server) as client:
        result = await synced(client, place, BEGIN, end=None, lookback=timedelta(0), settle=settle * second)
    assert result.watermark > rows[-1].start
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, result.watermark)


@pytest.mark.parametrize(
    "error",
    [
        SyncBusyError("sqlite:///x", "busy"),
        SyncSchemaError("sqlite:///x", "cdrs", ["id is missing"]),
        SyncDestinationError("sqlite:///x", "full"),
    ],
)
def test_the_errors_survive_pickle(error: UnlimCallError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 # ours
    assert (type(again), str(again), again.category) == (type(error), str(error), "application")
    assert again.destination == "sqlite:///x"
