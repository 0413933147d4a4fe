"""A stream that is left leaves nothing behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.cdrs.calls import every_second, requests_under_way, rest_of
from tests.cdrs.matrix import END, START
from unlimcall_async import AsyncClient, RetryPolicy, UnlimCallError
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.sandbox import Sandbox, Status


async def test_a_reader_that_stops_stops_the_fetching(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(4000))
    sandbox.settings.count = "matches"
    stream = client.cdrs.stream(START, START + timedelta(seconds=4000), concurrency=2, page_size=50)
    async with stream:
        async for _ in stream:
            break
        asked = -1
        while asked != len(sandbox.requests) or requests_under_way(client):
            asked = len(sandbox.requests)
            await asyncio.sleep(0.01)
        held = stream._planner.held
    assert held <= BUFFER * 2 * 50
    assert asked < 4000 / 50


@pytest.mark.parametrize("turns", range(0, 90, 9))
@pytest.mark.parametrize("way", ["aclose", "cancel", "raise", "break"])
async def test_leaving_at_any_point_leaves_nothing_behind(
    sandbox: Sandbox, client: AsyncClient, turns: int, way: str
) -> None:
    """That no task is left is checked after every test, by the fixture that watches the loop."""
    sandbox.add_calls(every_second(600))
    stream = client.cdrs.stream(START, END, page_size=30)

    async def read() -> None:
        async with stream:
            async for record in stream:
                if way == "raise" and int(record.id) >= turns:
                    raise LookupError
                if way == "break" and int(record.id) >= turns:
                    break

    reader = asyncio.create_task(read())
    for _ in range(turns):
        await asyncio.sleep(0)
    if way == "aclose":
        await stream.aclose()
    if way == "cancel":
        reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled() or reader.exception() is None or type(reader.exception()) is LookupError
    assert requests_under_way(client) == 0
    assert (await client.me()).customer_id == "1042"


async def test_after_a_bare_break_the_requests_end_with_the_iterator(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100)
    async for _ in stream:
        break
    for _ in range(5):
        await asyncio.sleep(0)
    assert requests_under_way(client) == 0


async def test_closing_the_client_ends_the_stream(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    sandbox.settings.latency = 0.01
    reader = asyncio.create_task(rest_of(client.cdrs.stream(START, END, page_size=100)))
    while not sandbox.requests:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await reader


class Interrupted(BaseException):
    """As what a test runner raises: no error of a call."""


async def test_what_interrupts_a_request_ends_the_iteration(sandbox: Sandbox) -> None:
    def interrupt(_error: UnlimCallError) -> None:
        raise Interrupted

    sandbox.add_calls(every_second(30))
    sandbox.inject(Status(503))
    retry = RetryPolicy(delays=(), on_give_up=interrupt)
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=retry) as client:
        stream = client.cdrs.stream(START, END)
        with pytest.raises(Interrupted):
            await asyncio.wait_for(rest_of(stream), 30)
        assert len(await rest_of(stream)) == 30
