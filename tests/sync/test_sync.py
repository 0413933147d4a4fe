"""A table is exact after any runs: over real HTTP, into SQLite."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.raw_server import RawServer, served
from tests.sync.support import ACCOUNT, BEGIN, DAY, Killed, Mortal, call, held_by, in_sqlite, repriced
from unlimcall_async import AsyncClient
from unlimcall_async.sync import SyncResult, pieces, sync_cdrs
from unlimcall_async.sync.url import destination_at

DAYS = 6
LONG = timedelta(days=100)

moments = st.integers(0, DAYS * 8 - 1).map(lambda number: BEGIN + number * DAY / 8)
calls = st.builds(call, moments, st.sampled_from("abc"), st.sampled_from([None, 1, 2]))
days = st.integers(0, DAYS).map(lambda number: BEGIN + number * DAY)


async def synced(client: AsyncClient, path: Path, start: datetime, end: datetime, **options: Any) -> SyncResult:
    return await sync_cdrs(client, f"sqlite:///{path}", start, end=end, account=ACCOUNT, **options)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a piece of each page."""
    monkeypatch.setattr(pieces, "MOST_ROWS", 1)


@pytest.mark.usefixtures("small_pieces")
@given(data=st.data())
async def test_any_runs_and_kills_leave_what_the_server_holds(data: st.DataObject) -> None:
    server = RawServer(data.draw(st.lists(calls, max_size=30)), cap=data.draw(st.sampled_from([8, 1000])))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.db"
        async with served(server) as client:
            await sync_cdrs(client, f"sqlite:///{path}", BEGIN, end=BEGIN + DAYS * DAY, account="other")
            other = in_sqlite(path, "other")
            for _ in range(data.draw(st.integers(1, 4))):
                start, end = sorted((data.draw(days), data.draw(days)))
                mortal = Mortal(
                    destination_at(f"sqlite:///{path}", "cdrs"),
                    data.draw(st.one_of(st.none(), st.integers(0, 8))),
                    data.draw(st.booleans()),
                )
                try:
                    result = await sync_cdrs(client, mortal, start, end=end, lookback=LONG, account=ACCOUNT)
                except Killed:
                    pass
                else:
                    expected = held_by(server, result.start, result.watermark)
                    assert in_sqlite(path) == expected
                    assert result.inserted + result.revised + result.unchanged == expected.total()
                    assert result.start <= start
                    assert result.watermark >= end
                changed(server, data)
            await synced(client, path, BEGIN, BEGIN + DAYS * DAY, lookback=LONG)
            assert in_sqlite(path) == held_by(server, BEGIN, BEGIN + DAYS * DAY)
            assert in_sqlite(path, "other") == other
            again = await synced(client, path, BEGIN, BEGIN + DAYS * DAY, lookback=LONG)
            assert (again.inserted, again.revised, again.removed) == (0, 0, 0)


def changed(server: RawServer, data: st.DataObject) -> None:
    """Have rows of the server come late, change and go."""
    rows = data.draw(st.permutations(server.rows))
    gone, priced = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    server.rows = [
        *rows[gone + priced :],
        *(repriced(row, 7) for row in rows[gone : gone + priced]),
        *data.draw(st.lists(calls, max_size=5)),
    ]
