"""What a client has proven of its server serves its next streams and its checkpoints, and is checked as it goes: over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest

from tests.cdrs.matrix import as_record
from unlimcall_async import AsyncClient, CallRecord, Checkpoint, CheckpointError, RateLimits
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic
from unlimcall_async.sandbox.settings import Order

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)
CALLS = sorted(generate_traffic(2_000, start=START, end=END, kind="uniform", seed=5), key=lambda call: call.start_time)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PAGE = 200


def expected(sandbox: Sandbox, start: datetime, end: datetime, *, newest_first: bool) -> list[CallRecord]:
    within = [as_record(call) for call in sandbox.calls if start <= call.start_time < end]
    return in_output_order(within, newest_first=newest_first)


async def pull(
    sandbox: Sandbox,
    client: AsyncClient,
    start: datetime,
    end: datetime,
    *,
    newest_first: bool = False,
    page_size: int = PAGE,
) -> int:
    """Pull a range, compare, and return the number of requests."""
    stream = client.cdrs.stream(start, end, newest_first=newest_first, page_size=page_size)
    got = [record async for record in stream]
    assert got == expected(sandbox, start, end, newest_first=newest_first)
    return stream.stats.requests


@pytest.mark.rest_slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
async def test_the_second_pull_of_a_day_takes_no_proof(
    sandbox: Sandbox, client: AsyncClient, order: Order, newest_first: bool
) -> None:
    """Some 660 records in pages of 200, each hour: four pages, and five requests for the first pull alone."""
    sandbox.settings.order = order
    sandbox.add_calls(CALLS)
    requests = [
        await pull(sandbox, client, START + hour * HOUR, START + DAY + hour * HOUR, newest_first=newest_first)
        for hour in range(6)
    ]
    assert requests[0] == 5
    assert sum(requests[1:]) <= 4.4 * 5


@pytest.mark.slow
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
async def test_a_later_pull_of_a_day_takes_one_proof_at_most(
    sandbox: Sandbox, client: AsyncClient, order: Order
) -> None:
    """Five pages a day, and so too many claims to wait for the end of the chain. Before: up to ten requests."""
    sandbox.settings.order = order
    sandbox.add_calls(CALLS)
    requests = [
        await pull(sandbox, client, START + hour * HOUR, START + DAY + hour * HOUR, page_size=150) for hour in range(8)
    ]
    assert requests[0] == 6
    assert sum(requests[1:]) <= 6.3 * 7


async def test_a_view_shares_it_and_another_client_does_not(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(CALLS)
    assert await pull(sandbox, client, START, START + DAY) == 5
    assert await pull(sandbox, client.with_options(timeout=9), START, START + DAY) == 4
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as other:
        assert await pull(sandbox, other, START, START + DAY) == 5


async def test_a_checkpoint_takes_it_to_another_process(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(CALLS)
    stream = client.cdrs.stream(START, START + 2 * DAY, newest_first=True, page_size=PAGE)
    got = []
    async with stream:
        async for batch in stream.batches():
            got += batch
            if len(got) > 600:
                break
    text = stream.checkpoint.to_json()
    assert json.loads(text)["order"][0] == "newest_first"
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as other:
        resumed = other.cdrs.stream(
            START, START + 2 * DAY, newest_first=True, page_size=PAGE, resume=Checkpoint.from_json(text)
        )
        before = len(got)
        got += [record async for record in resumed]
    assert got == expected(sandbox, START, START + 2 * DAY, newest_first=True)
    assert resumed.stats.requests == -(-(len(got) - before) // PAGE)


@pytest.mark.parametrize("damage", [1, [], ["up", 1], ["newest_first"], ["newest_first", -1], ["newest_first", True]])
def test_a_damaged_order_is_an_error(damage: object) -> None:
    client = AsyncClient("token")
    stored = json.loads(client.cdrs.stream(START, END).checkpoint.to_json())
    assert "order" not in stored
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.from_json(json.dumps(stored | {"order": damage}))


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
@pytest.mark.parametrize("after", ["other way", "ends", "shuffled", "nodes", "prefix"])
async def test_a_server_that_was_replaced_loses_nothing(
    sandbox: Sandbox, client: AsyncClient, after: str, newest_first: bool
) -> None:
    """The first stream proves that the newest come first; then another server stands behind the address."""
    sandbox.settings.order = "newest_first"
    sandbox.add_calls(CALLS)
    await pull(sandbox, client, START, START + DAY, newest_first=newest_first)
    later = CALLS[len(CALLS) // 3 :]
    falling = later[::-1]
    cut = len(later) // 2
    ordered: dict[str, list[SandboxCall]] = {
        "other way": later,
        "ends": sorted(later, key=lambda call: call.start_time + timedelta(seconds=call.duration), reverse=True),
        "shuffled": sorted(later, key=lambda call: crc32(call.id.encode())),
        # Ids that begin with the node that took the call.
        "nodes": [call for node in range(3) for call in falling[node::3]],
        "prefix": [*falling[cut:], *falling[:cut]],
    }
    async with Sandbox() as replaced:
        replaced.settings.order = "insertion"
        replaced.add_calls(ordered[after])
        # The same client, and what it knows, with another server behind it.
        async with AsyncClient(replaced.token, base_url=replaced.url, rate_limits=RateLimits.unlimited()) as other:
            other.cdrs._learned = client.cdrs._learned
            await pull(replaced, other, START + DAY, END, newest_first=newest_first)


async def test_a_refuted_order_is_withdrawn_from_streams_that_run(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.settings.order = "newest_first"
    sandbox.add_calls(CALLS)
    running = client.cdrs.stream(START, END, newest_first=True, page_size=PAGE, concurrency=1)
    got = []
    async with running:
        batches = running.batches()
        for _ in range(3):
            got += await anext(batches)
        assert running.stats.strategy == "seek"
        sandbox.settings.order = "arbitrary"
        await pull(sandbox, client, START, START + DAY)
        assert client.cdrs._learned.server.order is None
        sandbox.settings.order = "newest_first"
        got += await anext(batches)
        assert running.stats.strategy == "divide"
        async for batch in batches:
            got += batch
    assert got == expected(sandbox, START, END, newest_first=True)


def test_a_checkpoint_does_not_overrule_what_this_process_has_refuted() -> None:
    known, stored = KnownServer(), KnownServer()
    stored.order = True
    known.withdraw()
    known.begin_with(stored.proven)
    assert known.order is None
