"""Iterating over a stream: by records and by batches, one iteration at a time, closed and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.cdrs.calls import every_second, expected, requests_under_way, rest_of
from tests.cdrs.matrix import END, START
from unlimcall_async import AsyncClient, CallRecord
from unlimcall_async.sandbox import Sandbox, Stall


async def test_records_and_batches_are_two_views_on_one_position(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(3000))
    stream = client.cdrs.stream(START, END, page_size=100)
    got: list[CallRecord] = []
    async for record in stream:
        got.append(record)
        if len(got) == 130:
            break
    async for batch in stream.batches():
        assert batch
        got += batch
        if len(got) > 1000:
            break
    assert got + await rest_of(stream) == expected(sandbox.calls)
    assert await rest_of(stream) == []


async def test_two_iterations_at_once_are_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    first = aiter(stream)
    got = [await anext(first)]
    with pytest.raises(RuntimeError, match="iterated already"):
        await rest_of(stream)
    got += [record async for record in first]
    assert got == expected(sandbox.calls)


async def test_of_two_iterations_that_begin_at_once_one_is_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100, newest_first=True)
    got = []
    async for record in stream:
        got.append(record)
        break
    outcomes = await asyncio.gather(rest_of(stream), rest_of(stream), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["RuntimeError", "list"]
    (rest,) = [outcome for outcome in outcomes if isinstance(outcome, list)]
    assert got + rest == expected(sandbox.calls)[::-1]


@pytest.mark.rest_slow
@pytest.mark.parametrize("turns", range(4))
async def test_a_second_cancellation_during_the_first_leaves_a_stream_that_goes_on(
    sandbox: Sandbox, client: AsyncClient, turns: int
) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100, newest_first=True)
    iterator = aiter(stream)
    got = [await anext(iterator)]

    async def read() -> None:
        async for record in iterator:
            got.append(record)  # noqa: PERF401 # what came before the cancellation counts

    sandbox.inject(Stall(), times=None)
    reader = asyncio.create_task(read())
    while len(got) < 2 or not requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    reader.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    while requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    sandbox.clear_faults()
    assert got + await rest_of(stream) == expected(sandbox.calls)[::-1]


@pytest.mark.rest_slow
@pytest.mark.parametrize("turns", range(8))
async def test_an_iteration_may_begin_while_the_loop_closes_the_one_before(
    sandbox: Sandbox, client: AsyncClient, turns: int
) -> None:
    sandbox.add_calls(every_second(600))
    stream = client.cdrs.stream(START, END, page_size=30)
    got: list[CallRecord] = []
    for _ in range(5):
        async for batch in stream.batches():
            got += batch
            break
        for _ in range(turns):
            await asyncio.sleep(0)
    assert got + await rest_of(stream) == expected(sandbox.calls)


async def test_a_request_that_somebody_else_cancels_is_made_again(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100)
    sandbox.inject(Stall(), times=1)
    reader = asyncio.create_task(rest_of(stream))
    while not sandbox.requests:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    assert stream._iteration is not None
    for task in list(stream._iteration.tasks):
        task.cancel()
    assert await reader == expected(sandbox.calls)


async def test_closing_does_not_wait_for_answers(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    stream = client.cdrs.stream(START, END)
    reader = asyncio.create_task(rest_of(stream))
    while not requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    async with asyncio.timeout(
        5
    ):  # long before the client's own time limit, so that a stream that waits fails and does not hang
        await stream.aclose()
    assert requests_under_way(client) == 0
    assert await reader == []
    assert stream.progress.fraction == 0


async def test_closing_ends_the_iteration_and_a_new_one_goes_on(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    async with stream:
        first = aiter(stream)
        got = [await anext(first) for _ in range(10)]
    assert got + await rest_of(stream) == expected(sandbox.calls)
    assert [record async for record in first] == []


@pytest.mark.parametrize("view", ["records", "batches"])
async def test_an_iteration_that_was_closed_takes_nothing_from_the_next(
    sandbox: Sandbox, client: AsyncClient, view: str
) -> None:
    calls = every_second(100)
    sandbox.add_calls(calls)
    stream = client.cdrs.stream(START, END)
    first = aiter(stream)
    came = [await anext(first)]
    await stream.aclose()
    if view == "batches":
        second: AsyncGenerator[Any, None] = stream.batches()
        came += await anext(second)
    else:
        second = aiter(stream)
        came.append(await anext(second))
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    await second.aclose()
    assert came + await rest_of(stream) == expected(calls)


@pytest.mark.rest_slow
@pytest.mark.parametrize("step", ["anext", "kept method"])
async def test_an_iterator_goes_on_behind_a_step_that_was_cancelled(
    sandbox: Sandbox, client: AsyncClient, step: str
) -> None:
    sandbox.add_calls(every_second(100))
    iterator = aiter(client.cdrs.stream(START, END, page_size=10))
    take = iterator.__anext__ if step == "kept method" else partial(anext, iterator)
    got = [await take() for _ in range(5)]
    for _ in range(3):
        sandbox.inject(Stall(), times=None)
        task = asyncio.ensure_future(_until_stalled(take, got))
        while not requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sandbox.clear_faults()
        got.append(await take())
    assert got + [record async for record in iterator] == expected(sandbox.calls)


async def test_an_iterator_goes_on_behind_a_first_step_that_was_cancelled_before_it_began(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.add_calls(every_second(20))
    iterator = aiter(client.cdrs.stream(START, END, page_size=10))
    for _ in range(3):
        step = iterator.__anext__()
        with pytest.raises(asyncio.CancelledError):
            step.throw(asyncio.CancelledError())  # as a task does that is cancelled before its first step
    assert [record async for record in iterator] == expected(sandbox.calls)


async def _until_stalled(take: Callable[[], Awaitable[CallRecord]], got: list[CallRecord]) -> None:
    while True:
        got.append(await take())


async def test_an_iterator_goes_on_behind_an_error_that_was_thrown_into_it(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.add_calls(every_second(20))
    iterator = aiter(client.cdrs.stream(START, END))
    with pytest.raises(ValueError, match="thrown"):
        await iterator.athrow(ValueError("thrown"))
    assert [record async for record in iterator] == expected(sandbox.calls)
