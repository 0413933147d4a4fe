"""What a stream takes, and what it says of that."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.sandbox import Sandbox, Status, generate_traffic

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def most_at_once(sandbox: Sandbox, seconds: float) -> int:
    """The most requests under way at one time, where each took so long."""
    times = [request.received_at for request in sandbox.requests]
    return max(sum(at <= other < at + seconds for other in times) for at in times)


@pytest.mark.looptime
@pytest.mark.parametrize("order", ["newest_first", "arbitrary"])
@pytest.mark.parametrize("concurrency", [1, 7])
async def test_as_many_requests_are_under_way_as_was_said(
    sandbox: Sandbox, client: AsyncClient, concurrency: int, order: str
) -> None:
    setattr(sandbox.settings, "order", order)  # noqa: B010 # its type is a list of words
    sandbox.settings.latency = 1.0
    sandbox.add_calls(generate_traffic(12_000, start=START, end=END, kind="uniform"))
    stream = client.cdrs.stream(START, END, concurrency=concurrency, strategy="divide")
    assert len([record async for record in stream]) == 12_000
    assert most_at_once(sandbox, 0.999) == concurrency


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


async def test_rows_that_are_held_for_their_turn_are_no_duplicates(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(generate_traffic(7000, start=START, end=START + timedelta(days=30), kind="uniform"))
    async with client.cdrs.stream(START, END) as stream:
        records = aiter(stream)
        await anext(records)
        assert stream.stats.requests >= 8  # the newest come first: the whole month is here
        assert stream.stats.duplicates < 2000


@pytest.mark.looptime
async def test_the_statistics_are_those_of_the_server(sandbox: Sandbox) -> None:
    sandbox.settings.latency = 0.1
    sandbox.add_calls(generate_traffic(7000, start=START, end=END, kind="uniform"))
    sandbox.inject(Status(503), endpoint="cdrs", times=2, skip=3)
    rows = []

    limits = RateLimits(cdrs=RateLimit(60, burst=1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        stream = client.cdrs.stream(START, END)
        records = [record async for record in stream]
        # What the server gave, window by window, asked again without the stream.
        for request in sandbox.requests:
            if request.status == 200:
                first, last = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
                within = [call for call in sandbox.calls if first <= call.start_time < last]
                rows.append(min(1000, len(within)))
    stats, answered = stream.stats, len(rows)
    assert (stats.records, stats.requests, stats.retries) == (len(records), answered, 2)
    assert stats.full_pages == sum(count == 1000 for count in rows) > 0
    assert stats.duplicates == sum(rows) - 7000 > 0
    assert stats.min_requests == 7
    # One request a second and, in all but the first, a wait for it, at most four of them at a time.
    assert answered - 2 <= stats.waited_s <= 4 * (answered + 2)
    assert stats.strategy == "seek"


@pytest.mark.parametrize(("days", "least"), [(1, 1), (31, 1), (32, 2), (62, 2), (365, 12)])
async def test_an_empty_range_takes_a_request_for_31_days(
    sandbox: Sandbox, client: AsyncClient, days: int, least: int
) -> None:
    stream = client.cdrs.stream(START, START + timedelta(days=days))
    assert [record async for record in stream] == []
    assert stream.stats.min_requests == least
    assert least <= stream.stats.requests == len(sandbox.requests) <= least + 1


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
