"""The pieces in which the command writes a range."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tests.cdrs.raw_server import RawServer, evenly, served
from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.cli import pieces
from unlimcall_async.sandbox import Sandbox

from .support import START, made

pytestmark = pytest.mark.own_rules


@pytest.mark.parametrize(
    ("seconds", "fewest", "most"), [(0.0, 1, 1000), (60.0, 4000, 4999)], ids=["one by one", "at once"]
)
async def test_batches_that_come_at_once_are_written_together(
    monkeypatch: pytest.MonkeyPatch, seconds: float, fewest: int, most: int
) -> None:
    monkeypatch.setattr(pieces, "_TOGETHER", seconds)
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(10_000, apart=timedelta(seconds=30)))
        async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
            end, cost = START + timedelta(days=4), pieces.Cost()
            whole = pieces.pieces(
                client, START, end, with_rejects=False, skip_saturated=False, cost=cost, manifest=True
            )
            came = [piece async for piece in whole]
    assert [record.id for piece in came for record in piece.records] == [f"17.{number}" for number in range(10_000)]
    sizes = [len(piece.records) for piece in came]
    assert fewest <= min(sizes[:-1]) <= max(sizes) <= most
    manifests = [piece.manifest for piece in came if piece.manifest is not None]
    assert [each.total.records for each in manifests] == sizes
    assert all(one.end == other.start for one, other in pairwise(manifests))


@pytest.mark.parametrize("manifest", [False, True])
async def test_what_has_come_is_not_held_back_while_the_server_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, manifest: bool
) -> None:
    """Whoever stops the pull then, or kills it, has all but the page that did not come."""
    monkeypatch.setattr(pieces, "time", SimpleNamespace(monotonic=lambda: 0.0))
    written = asyncio.Event()

    async def stands_still(_first: datetime, _last: datetime) -> None:
        if len(server.asked) > 4:
            await written.wait()

    rows = evenly(8000, START, timedelta(days=4))
    server = RawServer(rows, "oldest_first", answer=stands_still)
    async with served(server) as client, asyncio.timeout(20):
        whole = pieces.pieces(
            client,
            START,
            START + timedelta(days=4),
            with_rejects=True,
            skip_saturated=False,
            cost=pieces.Cost(),
            concurrency=1,
            manifest=manifest,
        )
        came = list[pieces.Piece]()
        async with aclosing(whole):
            async for piece in whole:
                came.append(piece)
                written.set()
    assert 1000 <= len(came[0].records) < 4000
    assert [record.id for piece in came for record in piece.records] == [f"{number}" for number in range(8000)]
    if manifest:
        manifests = [piece.manifest for piece in came if piece.manifest is not None]
        assert [each.total.records for each in manifests] == [len(piece.records) for piece in came]
        assert all(one.end == other.start for one, other in pairwise(manifests))
