"""A call that is cancelled, wherever it stands, leaves nothing behind, and the next call works.

That no task is left is checked after every test, by the fixture that watches the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from unlimcall_async import AsyncClient, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Fault, Sandbox, Stall, Status


def connections_in_use(client: AsyncClient) -> int:
    transport = client._caller.pool._transport
    if transport is None:
        return 0
    connector = transport.session.connector
    assert connector is not None
    return len(connector._acquired)


async def cancel(call: asyncio.Task[Any]) -> None:
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)


async def assert_works(sandbox: Sandbox, client: AsyncClient) -> None:
    assert connections_in_use(client) == 0
    assert not client._caller.pool._connections.calls
    sandbox.clear_faults()
    assert (await client.me()).customer_id == "1042"


@pytest.mark.parametrize("fault", [Stall(), Stall(after_headers=True)], ids=["headers", "body"])
async def test_while_the_answer_is_awaited(sandbox: Sandbox, client: AsyncClient, fault: Fault) -> None:
    sandbox.inject(fault)
    call = asyncio.create_task(client.agents())
    await until(lambda: sandbox.requests)
    for _ in range(20):  # let the head, where there is one, come through
        await asyncio.sleep(0)
    await cancel(call)
    await assert_works(sandbox, client)


@pytest.mark.parametrize("status", [500, 429])
async def test_during_the_back_off(sandbox: Sandbox, client: AsyncClient, status: int) -> None:
    sandbox.inject(Status(status))
    slow = client.with_options(retry=RetryPolicy(delays=(3600,)), rate_limits=RateLimits.unlimited())
    call = asyncio.create_task(slow.me())
    await until(lambda: sandbox.requests and sandbox.requests[0].status)
    for _ in range(20):
        await asyncio.sleep(0)
    await cancel(call)
    await assert_works(sandbox, client)
    assert len(sandbox.requests) == 2


@pytest.mark.looptime
async def test_while_waiting_for_a_token(sandbox: Sandbox) -> None:
    limits = RateLimits(me=RateLimit(1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        await client.me()
        call = asyncio.create_task(client.me())
        await asyncio.sleep(30)
        await cancel(call)
        await assert_works(sandbox, client)


async def test_while_waiting_for_a_connection(sandbox: Sandbox) -> None:
    limits = RateLimits.unlimited()
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits, max_connections=1) as client:
        sandbox.inject(Stall())
        first, second = asyncio.create_task(client.me()), asyncio.create_task(client.me())
        await until(lambda: sandbox.requests)
        await cancel(second)
        await cancel(first)
        await assert_works(sandbox, client)


async def test_while_connecting(silent_port: tuple[int, asyncio.Event]) -> None:
    port, connected = silent_port
    async with AsyncClient("unl_test_token", base_url=f"https://127.0.0.1:{port}") as client:
        call = asyncio.create_task(client.me())
        await connected.wait()
        await cancel(call)
        assert connections_in_use(client) == 0
        assert not client._caller.pool._connections.calls


async def test_while_a_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(*_args: object, **_options: object) -> list[object]:
        asked.set()
        await answered.wait()
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    async with AsyncClient("unl_test_token", base_url="https://localhost:9") as client:
        call = asyncio.create_task(client.me())
        await asked.wait()
        await cancel(call)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_after_any_number_of_turns_of_the_loop(sandbox: Sandbox, client: AsyncClient, steps: int) -> None:
    """Each turn is a place where the call may stand; that all of them were met shows in the last, which are done."""
    calls = [asyncio.create_task(client.me()) for _ in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await assert_works(sandbox, client)


async def test_a_time_limit_of_the_caller_stays_the_callers(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.me()
    await assert_works(sandbox, client)


async def test_a_call_in_a_group_that_fails_is_ended_with_it(sandbox: Sandbox, client: AsyncClient) -> None:
    async def fail() -> None:
        await until(lambda: sandbox.requests)
        raise LookupError

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.me())
            group.create_task(fail())

    sandbox.inject(Stall())
    with pytest.raises(ExceptionGroup) as caught:
        await both()
    assert caught.group_contains(LookupError)
    await assert_works(sandbox, client)
