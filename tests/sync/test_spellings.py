"""One file under several names is one destination: two runs at once are told apart by the file, not by its name."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import pytest

from tests.cdrs.raw_server import RawServer, served
from tests.sync.places import DuckDb, ParquetDays, Sqlite
from tests.sync.support import ACCOUNT, BEGIN, DAY, call, held_by
from tests.sync.test_sync import END, LONG, counts, synced
from unlimcall_async.sync import SyncBusyError, sync_cdrs

LINKS = ["a relative path", "a path with dots", "a link to the file", "a link to its folder", "a hard link"]
SAME = [
    (kind, spelling)
    for kind in (Sqlite, DuckDb, ParquetDays)
    for spelling in LINKS
    if (kind, spelling) != (ParquetDays, LINKS[-1])
]


def spelled(path: Path, spelling: str) -> Path:
    """Return another name of a file."""
    match spelling:
        case "a relative path":
            return Path(os.path.relpath(path))
        case "a path with dots":
            return path.parent / "there" / ".." / path.name
        case "a link to the file":
            other = path.with_name("link")
            other.symlink_to(path)
        case "a link to its folder":
            folder = path.parent.parent / "folder"
            folder.symlink_to(path.parent)
            other = folder / path.name
        case _:
            other = path.with_name("hard")
            other.hardlink_to(path)
    return other


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "spelling"), SAME)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "new"])
async def test_a_run_under_another_name_of_the_file_is_busy_and_another_account_is_not(
    tmp_path: Path, kind: type[Sqlite | DuckDb | ParquetDays], spelling: str, begun: bool
) -> None:
    (tmp_path / "here" / "there").mkdir(parents=True)
    place = kind(tmp_path / "here")
    server = RawServer([call(BEGIN + number * DAY / 2, f"{number}") for number in range(12)])
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_first: datetime, _last: datetime) -> None:
        if not asked.is_set():
            asked.set()
            await go_on.wait()

    async with served(server) as client:
        if begun:
            await synced(client, place, end=BEGIN + DAY)
        server.answer = answer
        run = asyncio.create_task(synced(client, place))
        await asked.wait()
        url = f"{place.url.partition(':')[0]}:///{spelled(place.path, spelling)}"
        with pytest.raises(SyncBusyError, match="another run syncs this table and account"):
            await sync_cdrs(client, url, BEGIN, end=END, account=ACCOUNT)
        other = asyncio.create_task(sync_cdrs(client, url, BEGIN, end=END, account="other"))
        go_on.set()
        await asyncio.gather(run, other)
        # Once the first run has ended, the other name serves as well.
        again = await sync_cdrs(client, url, BEGIN, end=END, account=ACCOUNT, lookback=LONG)
        assert counts(again) == (0, 0, 0, 12)
    assert place.rows(ACCOUNT) == place.rows("other") == held_by(server, BEGIN, END)


@pytest.mark.slow
async def test_a_file_that_was_replaced_by_another_one_is_another_one(tmp_path: Path) -> None:
    place, server = DuckDb(tmp_path), RawServer([call(BEGIN, "a")])
    async with served(server) as client:
        await synced(client, place)
        other = place.path.with_name("other")
        other.hardlink_to(place.path)
        place.path.unlink()
        assert (await synced(client, place)).inserted == 1
        url = f"duckdb:///{other}"
        assert (await sync_cdrs(client, url, BEGIN, end=END, account=ACCOUNT, lookback=LONG)).unchanged == 1
