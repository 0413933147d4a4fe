"""The manifest of a table says at any moment what the table holds, and why that is complete."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from tests.cdrs.raw_server import RawRow, RawServer, served
from tests.sync.places import ParquetDays, Place, Sqlite
from tests.sync.support import ACCOUNT, BEGIN, DAY, Mortal, call, checked_manifest, held_by, repriced
from tests.sync.test_sync import END, LONG, counts, databases, synced
from unlimcall_async import CheckpointError
from unlimcall_async.proof import DayDigest
from unlimcall_async.sync import (
    Address,
    Change,
    ManifestDestination,
    Row,
    SyncDestinationError,
    pieces,
    read_manifest,
    read_records,
    repair_cdrs,
    run,
    sync_cdrs,
)
from unlimcall_async.sync.url import destination_at

HOUR = timedelta(hours=1)


def calls(count: int = 60) -> list[RawRow]:
    """Some calls, evenly over six days, some of which are equal in all fields."""
    return [call(BEGIN + number * (END - BEGIN) / count, f"{number % 7}", number % 3) for number in range(count)]


# --- what is proven ---------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_a_table_has_a_manifest_that_the_api_confirms(place: Place) -> None:
    server = RawServer([*calls(), call(BEGIN + DAY, "new", rate='{"x": 1.10}')], cap=10)
    async with served(server) as client:
        await synced(client, place)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end, manifest.total.records) == (BEGIN, END, 61)
        # What was asked is in the log of the server.
        assert {(window.asked_from, window.asked_till) for window in manifest.windows} <= set(server.asked)
        assert all(window.reason == "sought" or window.rows < window.limit for window in manifest.windows)
        assert (await client.cdrs.verify(manifest)).ok
        server.rows[30] = repriced(server.rows[30], 99)
        (difference,) = (await client.cdrs.verify(manifest)).differences
        assert difference.day == server.rows[30].start.date()


@pytest.mark.rest_slow
async def test_windows_that_were_cut_at_midnight_are_one_again(place: Place) -> None:
    async with served(RawServer([])) as client:
        await synced(client, place)
    (window,) = (await checked_manifest(place)).windows
    assert (window.start, window.end, window.rows) == (BEGIN, END, 0)


@pytest.mark.rest_slow
async def test_rows_that_come_late_change_and_go_are_proven(place: Place) -> None:
    server = RawServer(calls(), cap=10)
    async with served(server) as client:
        await synced(client, place, end=BEGIN + 4 * DAY)
        server.rows = [
            repriced(server.rows[31], 7),
            *server.rows[33:],
            *server.rows[:31],
            call(BEGIN + DAY * 3.3, "late"),
        ]
        result = await synced(client, place, lookback=DAY * 1.3)
        assert counts(result)[:3] == (21, 1, 1)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (BEGIN, END)
        assert (await client.cdrs.verify(manifest)).ok


@pytest.mark.slow
async def test_time_before_the_table_is_proven_downwards(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 1)
    server = RawServer(calls(), cap=10)
    async with served(server) as client:
        await synced(client, place, END - DAY)
        before = await checked_manifest(place)
        # Cut off on the way down.
        with pytest.raises(RuntimeError):
            await synced(client, place, on_progress=_stop_after(4))
        meanwhile = await checked_manifest(place)
        assert BEGIN < meanwhile.start < before.start
        await synced(client, place)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (BEGIN, END)
        assert (await client.cdrs.verify(manifest)).ok


def _stop_after(number: int) -> Callable[[object], None]:
    left = iter(range(number))

    def stop(_: object) -> None:
        if next(left, None) is None:
            raise RuntimeError("stopped")

    return stop


@pytest.mark.rest_slow
async def test_each_account_has_its_own(place: Place) -> None:
    async with served(RawServer(calls())) as client:
        await synced(client, place, account="other", end=END - DAY)
    async with served(RawServer(calls(30))) as client:
        await synced(client, place)
        assert (await checked_manifest(place)).total.records == 30
        assert (await checked_manifest(place, "other")).end == END - DAY
        with pytest.raises(ValueError, match=f"several were synced there: '{ACCOUNT}', 'other'"):
            await read_manifest(place.url, table=place.table)
        with pytest.raises(ValueError, match="account 'third'"):
            await read_manifest(place.url, "third", place.table)


# --- what a run writes ------------------------------------------------------------------------------------------------------


class Watched(Mortal):
    """A destination whose changes are kept."""

    def __init__(self, inner: ManifestDestination) -> None:
        super().__init__(inner)
        self.changes: list[Change[Address]] = []

    async def write(self, change: Change[Address], state: str | None) -> None:
        self.changes.append(change)
        await super().write(change, state)


@pytest.mark.slow
@pytest.mark.parametrize("cap", [7, 1000])
async def test_a_run_that_changes_nothing_writes_no_entry(place: Place, cap: int) -> None:
    server = RawServer([*calls(), call(BEGIN + DAY * 5, "bad", duration='"7"')], cap=10)
    async with served(server) as client:
        await synced(client, place)
        before = await checked_manifest(place)
        # Other windows, which begin and end inside those that are stored.
        server.cap = cap
        watched = Watched(destination_at(place.url, place.table))
        for lookback in (LONG, DAY * 1.77):
            await sync_cdrs(client, watched, BEGIN, end=END, lookback=lookback, account=ACCOUNT)
        assert all(change == Change() for change in watched.changes)
        assert await checked_manifest(place) == before
        # One that changes a row writes the entries of its piece alone.
        server.rows[-9] = repriced(server.rows[-9], 99)
        await sync_cdrs(client, watched, BEGIN, end=END, lookback=LONG, account=ACCOUNT)
        await checked_manifest(place)


@pytest.mark.rest_slow
@databases
async def test_a_row_that_somebody_edits_shows_and_once_it_is_mended_is_right(place: Place) -> None:
    server = RawServer(calls(), cap=10)
    async with served(server) as client:
        await synced(client, place)
        before = await checked_manifest(place)
        edit = "UPDATE {{table}} SET duration = 99 WHERE start_time {} AND sell_price_cents = 1"
        place.execute(edit.format(f"< '{BEGIN + DAY:%Y-%m-%dT%H:%M:%S.%fZ}'"))
        place.execute(edit.format(f">= '{END - DAY:%Y-%m-%dT%H:%M:%S.%fZ}'"))
        assert await read_manifest(place.url, ACCOUNT, place.table) == before
        with pytest.raises(AssertionError):
            await checked_manifest(place)
        await synced(client, place, lookback=DAY)
        result = await repair_cdrs(client, place.url, [BEGIN.date()], account=ACCOUNT, table=place.table)
        assert counts(result)[1] > 0
        assert (await checked_manifest(place)).days == before.days


@pytest.mark.rest_slow
@databases
async def test_what_a_piece_leaves_of_an_entry_is_what_the_table_holds_there(place: Place) -> None:
    server = RawServer(calls())
    async with served(server) as client:
        await synced(client, place)
        middle = BEGIN + DAY / 2
        place.execute("UPDATE {table} SET duration = 99 WHERE start_time < '2026-05-01T12:00:00.000000Z'")
        server.rows[6] = repriced(server.rows[6], 99)
        await repair_cdrs(client, place.url, [(middle, END)], account=ACCOUNT, table=place.table)
        # So both agree, and the API says what is wrong.
        (difference,) = (await client.cdrs.verify(await checked_manifest(place))).differences
        assert difference.day == BEGIN.date()


@pytest.mark.rest_slow
async def test_rows_that_cannot_be_read_are_listed_until_they_can(place: Place) -> None:
    good = [*calls(12), call(BEGIN + DAY, "a"), call(BEGIN + DAY, "soon")]
    server = RawServer(list(good), cap=10)
    async with served(server) as client:
        await synced(client, place)
        server.rows[-2:] = [call(BEGIN + DAY, "a", duration='"7"'), call(BEGIN + DAY, "soon", startTime='"soon"')]
        result = await synced(client, place, lookback=LONG)
        manifest = await checked_manifest(place)
        # Their rows stay, and so they are in the digests.
        assert manifest.total.records == len(good)
        assert {row.where.split(".")[1] for row in manifest.unreadable} == {"duration", "startTime"}
        assert len(manifest.unreadable) == len(result.unreadable) == 2
        server.rows = good
        await synced(client, place, lookback=LONG)
        assert (await checked_manifest(place)).unreadable == ()


@pytest.mark.slow
async def test_a_piece_with_many_stored_rows_is_proven_part_by_part(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_MOST_STORED", 4)
    server = RawServer([*calls(), *[call(BEGIN + DAY, "same")] * 9], cap=20)
    async with served(server) as client:
        await synced(client, place)
        server.rows = server.rows[40:]
        await synced(client, place, lookback=LONG)
        assert (await checked_manifest(place)).start == BEGIN
        await synced(client, place, lookback=DAY * 2.2)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (BEGIN, END)
        assert (await client.cdrs.verify(manifest)).ok


# --- tables without one -----------------------------------------------------------------------------------------------------


def forget_manifest(place: Sqlite) -> None:
    """Make a file one of the release before manifests."""
    with closing(sqlite3.connect(place.path)) as connection, connection:
        connection.execute("DROP TABLE unlimcall_sync_manifest")


async def test_a_table_of_a_release_before_is_proven_from_the_first_piece_on(tmp_path: Path) -> None:
    place, server = Sqlite(tmp_path), RawServer(calls())
    async with served(server) as client:
        await synced(client, place, end=END - DAY)
        forget_manifest(place)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end, manifest.days) == (END - DAY, END - DAY, {})
        await synced(client, place, lookback=DAY / 2)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (END - 1.5 * DAY, END)
        assert (await client.cdrs.verify(manifest)).ok
        # Nothing is known of the time before, until it is asked.
        await repair_cdrs(client, place.url, [(BEGIN, manifest.start)], account=ACCOUNT)
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (BEGIN, END)


async def test_a_destination_without_entries_is_synced_as_before(tmp_path: Path) -> None:
    place, server = Sqlite(tmp_path), RawServer(calls())

    class Plain:
        """A destination as of the release before."""

        def __init__(self) -> None:
            inner = destination_at(place.url, place.table)
            self.name, self.open, self.close, self.unfit = inner.name, inner.open, inner.close, inner.unfit
            self.rows, self._write = inner.rows, inner.write

        async def write(self, change: Change[Address], state: str | None) -> None:
            assert not change.entries
            await self._write(change, state)

    assert not isinstance(Plain(), ManifestDestination)
    async with served(server) as client:
        result = await sync_cdrs(client, Plain(), BEGIN, end=END, account=ACCOUNT)
    assert result.inserted == 60
    assert (await read_manifest(place.url)).total == DayDigest()


@pytest.mark.rest_slow
async def test_the_manifest_of_a_table_that_was_removed_is_gone(place: Place) -> None:
    server = RawServer(calls())
    async with served(server) as client:
        await synced(client, place)
        if isinstance(place, ParquetDays):
            rmtree(place.path)
        else:
            place.execute("DROP TABLE {table}")
        with pytest.raises(ValueError, match="no sync has written"):
            await read_manifest(place.url, table=place.table)
        # The same days again, with other rows.
        server.rows = server.rows[::2]
        await synced(client, place, END - 2 * DAY)
        assert (await checked_manifest(place)).start == END - 2 * DAY


# --- reading ----------------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_records_are_read_in_order_and_are_those_of_the_api(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlimcall_async.sync.reading._MOST_ROWS", 4)
    odd = [call(BEGIN + DAY, "x", rate="1.10"), *[call(BEGIN + DAY, "same")] * 9]
    server = RawServer([*calls(), *odd])
    async with served(server) as client:
        await synced(client, place)
        batches = [batch async for batch in read_records(place.url, ACCOUNT, place.table)]
        records = [record for batch in batches for record in batch]
        assert [record.start_time for record in records] == sorted(record.start_time for record in records)
        assert len(batches) > 10
        assert (await client.cdrs.verify(records, BEGIN, END)).ok
        some = [
            record
            async for batch in read_records(place.url, None, place.table, BEGIN + DAY, BEGIN + 2 * DAY)
            for record in batch
        ]
        assert some == [record for record in records if BEGIN + DAY <= record.start_time < BEGIN + 2 * DAY]
        assert DayDigest.of(records) == (await checked_manifest(place)).total


@pytest.mark.rest_slow
async def test_a_table_is_read_while_a_sync_writes_to_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 1)
    server = RawServer(calls(), cap=10)
    seen = list[datetime]()

    async with served(server) as client:
        await synced(client, place, end=BEGIN + DAY)

        async def answer(_first: datetime, _last: datetime) -> None:
            seen.append((await checked_manifest(place)).end)

        server.answer = answer
        await synced(client, place)
    assert seen[0] == BEGIN + DAY < seen[-1]


async def test_what_is_not_there_or_damaged_is_an_error(tmp_path: Path) -> None:
    place = Sqlite(tmp_path)
    with pytest.raises(SyncDestinationError, match="no file is there"):
        await read_manifest(place.url)
    assert not place.path.exists()
    async with served(RawServer(calls())) as client:
        await synced(client, place)
        place.execute("UPDATE unlimcall_sync_manifest SET entry = replace(entry, '\"version\":1', '\"version\":9')")
        with pytest.raises(CheckpointError, match="version 9"):
            await read_manifest(place.url)
        place.execute("UPDATE unlimcall_sync_manifest SET entry = '{{}}'")
        with pytest.raises(CheckpointError, match="damaged"):
            await read_manifest(place.url)
        with pytest.raises(CheckpointError, match="damaged"):
            await synced(client, place, lookback=LONG)
        place.execute("UPDATE {table} SET extra = '[]'")
        with pytest.raises(SyncDestinationError, match="not a JSON object"):
            [batch async for batch in read_records(place.url)]


# --- repair -----------------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
async def test_a_repair_mends_what_was_asked_and_nothing_else(place: Place) -> None:
    server = RawServer(calls(), cap=10)
    async with served(server) as client:
        await synced(client, place, BEGIN + DAY, end=END - DAY)
        server.rows = [repriced(row, 50 + number) for number, row in enumerate(server.rows)]
        del server.rows[30]
        before = held_by(RawServer(calls()), BEGIN + DAY, END - DAY)
        day = (BEGIN + 3 * DAY).date()
        ranges: list[Any] = [day, (BEGIN - DAY, BEGIN + DAY + HOUR), (END - DAY - HOUR, END), (END, END + DAY)]
        server.asked.clear()
        result = await repair_cdrs(client, place.url, ranges, account=ACCOUNT, table=place.table)
        assert (result.start, result.watermark, result.removed) == (BEGIN + DAY, END - DAY, 1)
        mended = [(BEGIN + 3 * DAY, BEGIN + 4 * DAY), (BEGIN + DAY, BEGIN + DAY + HOUR), (END - DAY - HOUR, END - DAY)]
        expected = held_by(server, *mended[0]) + held_by(server, *mended[1]) + held_by(server, *mended[2])
        expected += _without(before, mended)
        assert place.rows(ACCOUNT) == expected
        manifest = await checked_manifest(place)
        assert (manifest.start, manifest.end) == (BEGIN + DAY, END - DAY)
        again = await repair_cdrs(client, place.url, ranges, account=ACCOUNT, table=place.table)
        assert counts(again)[:3] == (0, 0, 0)
        nothing = await repair_cdrs(client, place.url, [(END, END + DAY)], account=ACCOUNT, table=place.table)
        assert (nothing.requests, nothing.watermark) == (0, END - DAY)


def _without(rows: Counter[Row], ranges: Sequence[tuple[datetime, datetime]]) -> Counter[Row]:
    inside = {row for row in rows for start, end in ranges if start <= row[1] < end}
    return Counter({row: count for row, count in rows.items() if row not in inside})


async def test_a_repair_needs_a_table_and_valid_ranges(tmp_path: Path) -> None:
    place = Sqlite(tmp_path)
    async with served(RawServer([])) as client:
        with pytest.raises(ValueError, match="no sync has written"):
            await repair_cdrs(client, place.url, [BEGIN.date()], account=ACCOUNT)
        with pytest.raises(ValueError, match=r"ranges\[0\] ends before"):
            await repair_cdrs(client, place.url, [(END, BEGIN)], account=ACCOUNT)
        with pytest.raises(TypeError, match=r"ranges\[1\] must be"):
            await repair_cdrs(client, place.url, [BEGIN.date(), "2026-05-01"], account=ACCOUNT)  # type: ignore[list-item] # as a user
        with pytest.raises(ValueError, match=r"ranges\[0\] must be timezone-aware"):
            await repair_cdrs(client, place.url, [(datetime(2026, 5, 1), END)], account=ACCOUNT)  # noqa: DTZ001 # as a user
