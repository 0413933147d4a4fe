"""Iterating over a stream: by records and by batches, one iteration at a time, closed, cancelled and resumed."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from tests.cdrs.calls import every_second, expected, requests_under_way, rest_of
from tests.cdrs.matrix import END, START
from unlimcall_async import AsyncClient, CallRecord, Checkpoint, CheckpointError
from unlimcall_async.sandbox import Sandbox, Stall, generate_traffic
from unlimcall_async.sandbox.traffic import TrafficKind


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
    while not requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
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


async def test_a_request_that_somebody_else_cancels_is_made_again(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100)
    sandbox.inject(Stall(), times=3)
    reader = asyncio.create_task(rest_of(stream))
    while len(sandbox.requests) < 3:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    assert stream._iteration is not None
    for task in list(stream._iteration.tasks):
        task.cancel()
    assert await reader == expected(sandbox.calls)


async def test_closing_does_not_wait_for_answers(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    stream = client.cdrs.stream(START, END)
    reader = asyncio.create_task(rest_of(stream))
    while requests_under_way(client) < 3:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    await stream.aclose()
    assert requests_under_way(client) == 0
    with pytest.raises(RuntimeError, match="closed while"):
        await reader


async def test_closing_ends_the_iteration_and_a_new_one_goes_on(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    async with stream:
        first = aiter(stream)
        got = [await anext(first) for _ in range(10)]
    assert got + await rest_of(stream) == expected(sandbox.calls)
    with pytest.raises(RuntimeError, match="closed while it was iterated"):
        [record async for record in first]


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("kind", ["ties", "legs", "call_centre"])
async def test_a_checkpoint_between_any_two_records_gives_exactly_the_rest(
    sandbox: Sandbox, client: AsyncClient, kind: TrafficKind, newest: bool
) -> None:
    sandbox.settings.order = "arbitrary"
    sandbox.add_calls(generate_traffic(2000, start=START, end=END, kind=kind))
    whole = expected(sandbox.calls, newest_first=newest)
    chance = random.Random(5)
    got: list[CallRecord] = []
    stored = client.cdrs.stream(START, END, newest_first=newest).checkpoint.to_json()
    while len(got) < len(whole):
        resume = Checkpoint.from_json(stored)
        size = chance.choice([500, 800, 1000])
        stream = client.cdrs.stream(
            START, newest_first=newest, resume=resume, page_size=size, concurrency=chance.choice([1, 3])
        )
        assert stream.end == END
        stop = chance.randrange(1, 400)
        async with stream:
            async for record in stream:
                got.append(record)
                stop -= 1
                if not stop:
                    break
        stored = stream.checkpoint.to_json()
        assert got == whole[: len(got)]
    assert await rest_of(client.cdrs.stream(START, newest_first=newest, resume=Checkpoint.from_json(stored))) == []


@pytest.mark.parametrize(
    "changes",
    [{"start": START + timedelta(days=1)}, {"end": END + timedelta(days=1)}, {"newest_first": True}],
    ids=str,
)
async def test_a_checkpoint_of_something_else_is_refused(client: AsyncClient, changes: dict[str, object]) -> None:
    resume = client.cdrs.stream(START, END).checkpoint
    arguments = {"start": START, "end": END, **changes}
    with pytest.raises(CheckpointError, match="another range or direction"):
        client.cdrs.stream(**arguments, resume=resume)  # type: ignore[arg-type] # of mixed types


async def test_progress_never_falls_and_ends_at_one(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(generate_traffic(3000, start=START, end=END))
    for newest in (False, True):
        stream = client.cdrs.stream(START, END, newest_first=newest, page_size=300)
        fractions = [stream.progress.fraction]
        async for record in stream:
            progress = stream.progress
            fractions.append(progress.fraction)
            assert progress.position == record.start_time or progress.fraction in {fractions[-2], progress.fraction}
        assert fractions == sorted(fractions)
        assert (fractions[0], stream.progress.fraction, stream.progress.records) == (0, 1, 3000)


@pytest.mark.parametrize("newest", [False, True])
async def test_what_is_resumed_in_batches_counts_the_rest_alone(
    sandbox: Sandbox, client: AsyncClient, newest: bool
) -> None:
    calls = every_second(100)
    sandbox.add_calls(calls)
    stream = client.cdrs.stream(START, END, newest_first=newest)
    async with stream:
        async for _ in stream:
            if stream.stats.records == 30:
                break
    rest = client.cdrs.stream(START, END, newest_first=newest, resume=stream.checkpoint)
    came = [record async for batch in rest.batches() for record in batch]
    assert came == expected(calls, newest_first=newest)[30:]
    assert (rest.stats.records, rest.progress.records) == (70, 70)
