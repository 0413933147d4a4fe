"""How few requests a pull takes, and what it does where the server's order cannot be relied on: over real HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil

import pytest

from tests.cdrs.matrix import as_record
from tests.selection import covering
from unlimcall_async import AsyncClient, CallRecord, RateLimit, RateLimits
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic
from unlimcall_async.sandbox.settings import Order

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
PAGE = 1000


@cache
def traffic() -> list[SandboxCall]:
    """Return the calls of the range, which are made up once."""
    return generate_traffic(20_000, start=START, end=END, kind="call_centre", seed=5)


def expected(sandbox: Sandbox, *, newest_first: bool = False) -> list[CallRecord]:
    within = [as_record(call) for call in sandbox.calls if START <= call.start_time < END]
    return in_output_order(within, newest_first=newest_first)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "newest_first", "concurrency"),
    covering(["newest_first", "oldest_first"], [False, True], [1, 4], together=1),
)
async def test_a_server_that_sorts_is_asked_little_more_than_it_must(
    sandbox: Sandbox, client: AsyncClient, order: Order, newest_first: bool, concurrency: int
) -> None:
    sandbox.settings.order = order
    sandbox.settings.resolution = "s"
    sandbox.settings.from_inclusive = False
    sandbox.add_calls(traffic())
    stream = client.cdrs.stream(START, END, newest_first=newest_first, concurrency=concurrency)
    assert [record async for record in stream] == expected(sandbox, newest_first=newest_first)
    assert stream.stats.strategy == "seek"
    assert stream.stats.requests == len(sandbox.requests)
    assert stream.stats.min_requests == len(traffic()) / PAGE
    assert stream.stats.requests <= 1.25 * stream.stats.min_requests


@pytest.mark.slow
@pytest.mark.parametrize("order", ["insertion", "arbitrary"])
async def test_a_server_that_does_not_sort_is_asked_by_dividing(
    sandbox: Sandbox, client: AsyncClient, order: Order
) -> None:
    sandbox.settings.order = order
    sandbox.add_calls(traffic())
    stream = client.cdrs.stream(START, END)
    assert [record async for record in stream] == expected(sandbox)
    assert stream.stats.strategy == "divide"
    assert stream.stats.requests <= 2.5 * stream.stats.min_requests


@pytest.mark.slow
async def test_dividing_assumes_no_order(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(traffic())
    stream = client.cdrs.stream(START, END, strategy="divide")
    got = []
    async for batch in stream.batches():
        got += batch
        sandbox.settings.order = "arbitrary" if len(got) > len(traffic()) / 2 else "oldest_first"
        assert stream.stats.strategy == "divide"
    assert got == expected(sandbox)


@pytest.mark.slow
async def test_an_order_that_changes_half_way_is_noticed(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unlimcall_async")
    sandbox.settings.order = "oldest_first"
    sandbox.add_calls(traffic())
    stream = client.cdrs.stream(START, END, concurrency=1)
    got, strategies = [], set()
    async for batch in stream.batches():
        got += batch
        strategies.add(stream.stats.strategy)
        if len(got) > len(traffic()) / 2:
            sandbox.settings.order = "arbitrary"
    assert got == expected(sandbox)
    assert stream.stats.strategy == "divide"
    assert strategies == {"seek", "divide"}
    assert [record.getMessage().split()[-1] for record in caplog.records] == ["seek", "divide"]


@pytest.mark.slow
async def test_records_written_late_do_not_end_seeking(sandbox: Sandbox, client: AsyncClient) -> None:
    """With each batch a call is written into what was not handed out yet: each comes, once, and the server is still sought in."""
    sandbox.settings.order = "oldest_first"
    sandbox.add_calls(traffic())
    stream = client.cdrs.stream(START, END, concurrency=1)
    got: list[CallRecord] = []
    written = 0
    async for batch in stream.batches():
        got += batch
        later = stream.progress.position + timedelta(days=12)
        if later < END:
            written += 1
            sandbox.add_calls([SandboxCall(id=f"late-{written}", start_time=later)])
    assert written > 10
    assert got == expected(sandbox)
    assert stream.stats.strategy == "seek"
    assert stream.stats.requests <= 1.5 * stream.stats.min_requests


@pytest.mark.slow
async def test_a_resumed_pull_presumes_the_order_and_checks_it(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(traffic())
    first = client.cdrs.stream(START, END, concurrency=2)
    got = []
    async with first:
        async for record in first:
            got.append(record)
            if len(got) == 4_321:
                break
    second = client.cdrs.stream(START, END, resume=first.checkpoint, page_size=700)
    assert second.stats.strategy == "divide"
    got += [record async for record in second]
    assert got == expected(sandbox)
    assert second.stats.strategy == "seek"


@pytest.mark.rest_slow
@pytest.mark.parametrize("count", ["rows", "matches"])
async def test_a_cap_that_shows_is_heeded(sandbox: Sandbox, client: AsyncClient, count: str) -> None:
    sandbox.settings.cap = 250
    sandbox.settings.count = "matches" if count == "matches" else "rows"
    sandbox.add_calls(traffic()[:5000])
    stream = client.cdrs.stream(START, END)
    assert [record async for record in stream] == expected(sandbox)
    assert stream.stats.requests <= 1.5 * ceil(5000 / 250)


async def test_a_page_that_is_only_the_largest_costs_one_more_request(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(traffic()[:500])
    stream = client.cdrs.stream(START, START + timedelta(days=20))
    got = [record async for record in stream]
    assert got == [record for record in expected(sandbox) if record.start_time < stream.end]
    assert stream.stats.requests == 2


@pytest.fixture
async def limited(sandbox: Sandbox) -> AsyncIterator[Callable[[RateLimit], AsyncClient]]:
    """Make clients with a limit for `/cdrs`."""
    clients: list[AsyncClient] = []

    def make(limit: RateLimit) -> AsyncClient:
        clients.append(AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits(cdrs=limit)))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.mark.slow
@pytest.mark.looptime
async def test_where_the_rate_limit_is_the_bottleneck_one_long_chain_is_followed(
    sandbox: Sandbox, limited: Callable[[RateLimit], AsyncClient]
) -> None:
    sandbox.settings.order = "oldest_first"
    sandbox.add_calls(traffic())
    stream = limited(RateLimit(per_minute=30, burst=1)).cdrs.stream(START, END, concurrency=8)
    assert [record async for record in stream] == expected(sandbox)
    assert stream.stats.requests <= stream.stats.min_requests + 2
