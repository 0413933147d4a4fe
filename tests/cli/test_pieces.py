"""The pieces in which the command writes a range."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

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
