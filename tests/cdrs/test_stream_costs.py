"""How many requests a stream has under way, and how large its batches are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.selection import covering
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, generate_traffic

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def most_at_once(sandbox: Sandbox, seconds: float) -> int:
    """The most requests under way at one time, where each took so long."""
    times = [request.received_at for request in sandbox.requests]
    return max(sum(at <= other < at + seconds for other in times) for at in times)


@pytest.mark.slow
@pytest.mark.looptime
@pytest.mark.parametrize(("concurrency", "order"), covering([1, 7], ["newest_first", "arbitrary"], together=1))
async def test_as_many_requests_are_under_way_as_was_said(
    sandbox: Sandbox, client: AsyncClient, concurrency: int, order: str
) -> None:
    setattr(sandbox.settings, "order", order)  # noqa: B010 # its type is a list of words
    sandbox.settings.latency = 1.0
    sandbox.add_calls(generate_traffic(10_000, start=START, end=END, kind="uniform"))
    stream = client.cdrs.stream(START, END, concurrency=concurrency, strategy="divide", page_size=200)
    assert len([record async for record in stream]) == 10_000
    assert most_at_once(sandbox, 0.999) == concurrency


@pytest.mark.slow
async def test_requests_go_on_while_the_reader_is_busy(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.settings.order = "oldest_first"
    sandbox.add_calls(generate_traffic(20_000, start=START, end=END, kind="uniform"))
    async with client.cdrs.stream(START, END, concurrency=1) as stream:
        records = aiter(stream)
        await anext(records)
        before = len(sandbox.requests)
        async with asyncio.timeout(10):
            while len(sandbox.requests) == before:  # noqa: ASYNC110 # a request sets no event
                await asyncio.sleep(0)


@pytest.mark.slow
async def test_no_batch_is_empty_or_large_or_cuts_an_instant(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(generate_traffic(20_000, start=START, end=START + timedelta(days=2), kind="ties"))
    batches = [batch async for batch in client.cdrs.stream(START, END).batches()]
    assert sum(map(len, batches)) == 20_000
    assert all(batches)
    assert max(map(len, batches)) < 2000
    for before, after in pairwise(batches):
        assert before[-1].start_time < after[0].start_time
    ties = sum(one.start_time == other.start_time for batch in batches for one, other in pairwise(batch))
    assert ties > 1000  # else there is nothing to cut
