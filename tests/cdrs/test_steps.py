"""Single steps of an iterator: an error or a cancellation ends the step, and the next one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cdrs.raw_server import RawServer, evenly, good, ids, served
from unlimcall_async import AsyncClient, CallRecord, RetryPolicy, ServerError
from unlimcall_async.sandbox import Sandbox, Status

pytestmark = pytest.mark.looptime

START = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    return START + DAY + asyncio.get_running_loop().time() * SECOND


@pytest.fixture(autouse=True)
def _wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)


@pytest.mark.rest_slow
@pytest.mark.parametrize("patience", [0.3, 7, 45])
async def test_a_follow_goes_on_after_steps_that_timed_out(patience: float) -> None:
    server = RawServer(evenly(5, START, DAY))
    async with served(server) as client:
        follow = client.cdrs.follow(START, interval=30 * SECOND)
        steps, got = aiter(follow), list[str]()
        for turn in range(40):
            try:
                got.append((await asyncio.wait_for(anext(steps), patience)).id)
            except TimeoutError:
                assert len(got) >= 5
                if turn % 4 == 0:
                    server.rows.append(good(now(), 100 + turn))
        assert got == ids(server.rows)[: len(got)]
        assert len(got) > 5 or patience < 1
        # The interval holds, however impatient the caller is.
        polls = follow.stats.polls
        assert polls <= asyncio.get_running_loop().time() / 30 + 2
        await follow.aclose()


async def test_a_poll_goes_on_with_the_pages_that_have_come() -> None:
    server = RawServer(evenly(3000, START, DAY))

    async def slowly(_first: datetime, _last: datetime) -> None:
        await asyncio.sleep(0.4)

    server.answer = slowly
    async with served(server) as client:
        batches = client.cdrs.follow(START).batches()
        got = list[str]()
        while len(got) < 3000:
            try:
                got += [record.id for record in await asyncio.wait_for(anext(batches), 0.5)]
            except TimeoutError:
                assert len(server.asked) < 60
        assert got == ids(server.rows)
        await batches.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(batches)


@pytest.mark.rest_slow
@pytest.mark.parametrize("view", ["records", "batches"])
async def test_a_stream_does_not_look_complete_after_a_step_that_timed_out(view: str) -> None:
    server = RawServer(evenly(2500, START, 60 * DAY))
    waits = iter([0, 5, 0, 5, 0, 0])

    async def sometimes_slowly(_first: datetime, _last: datetime) -> None:
        await asyncio.sleep(next(waits, 0))

    server.answer = sometimes_slowly
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + 60 * DAY, concurrency=1)
        got, timeouts = list[str](), 0
        steps: AsyncIterator[Any] = aiter(stream) if view == "records" else stream.batches()
        while True:
            try:
                step = await asyncio.wait_for(anext(steps), 1)
            except TimeoutError:
                timeouts += 1
            except StopAsyncIteration:
                break
            else:
                got += [record.id for record in ([step] if isinstance(step, CallRecord) else step)]
        assert got == ids(server.rows)
        assert timeouts


async def test_a_stream_goes_on_after_a_step_that_failed(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(500), times=2)
    patient = client.with_options(retry=RetryPolicy(delays=()))
    steps = aiter(patient.cdrs.stream(START, START + DAY))
    for _ in range(2):
        with pytest.raises(ServerError):
            await anext(steps)
    with pytest.raises(StopAsyncIteration):
        await anext(steps)
    # It has come to its end, and stays there.
    with pytest.raises(StopAsyncIteration):
        await anext(steps)
    assert len(sandbox.requests) == 3


async def test_what_an_iterator_that_was_left_has_cost_stays_counted() -> None:
    server = RawServer(evenly(2500, START, DAY))

    async def slowly(_first: datetime, _last: datetime) -> None:
        await asyncio.sleep(1 if len(server.asked) > 2 else 0)

    server.answer = slowly
    async with served(server) as client:
        follow = client.cdrs.follow(START)

        async def read() -> None:
            async for _ in follow.batches():
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.5)
        answered = follow.stats.requests
        assert answered
        steps = aiter(follow)
        await anext(steps)
        assert follow.stats.requests > answered
        await follow.aclose()
