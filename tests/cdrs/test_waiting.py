"""What a stream says while it waits, on virtual time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

import pytest

from tests.cdrs.calls import every_second
from tests.cdrs.matrix import START
from unlimcall_async import AsyncClient, CdrStream, InvalidRequestError, Progress, RateLimit, RateLimits
from unlimcall_async.sandbox import Delay, Sandbox, SandboxCall, Status, generate_traffic

pytestmark = [pytest.mark.looptime, pytest.mark.own_rules]

END = START + timedelta(days=30)
DAY = 24 * 3600


def in_seconds(until: datetime | None) -> float:
    assert until is not None
    return (until - datetime.now(UTC)).total_seconds()


def client_of(sandbox: Sandbox, limit: RateLimit | None = None) -> AsyncClient:
    return AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits(cdrs=limit))


async def while_reading(stream: CdrStream, seconds: float) -> Progress:
    """Return the progress after so many seconds of a reader that waits for the next record, and cancel the reader."""
    async with aclosing(aiter(stream)) as records:
        step = asyncio.ensure_future(anext(records))
        await asyncio.sleep(seconds)
        progress = stream.progress
        step.cancel()
        await asyncio.wait([step])
    return progress


@pytest.mark.slow
async def test_a_days_limit_that_is_used_up_says_until_when(sandbox: Sandbox) -> None:
    sandbox.add_calls(generate_traffic(2000, start=START, end=END, kind="uniform"))
    sandbox.settings.order = "oldest_first"
    async with client_of(sandbox, RateLimit(60, per_day=10)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        reader = asyncio.create_task(_read(stream))
        await asyncio.sleep(3600)
        progress, waited = stream.progress, stream.stats.waited_s
        assert progress.waiting_for == "rate limit"
        assert in_seconds(progress.waiting_until) == pytest.approx(DAY - 3600, abs=60)
        # Some 22 requests take three days; a fifth of the range was handed out on the first one.
        assert DAY < in_seconds(progress.eta) < 6 * DAY
        await asyncio.sleep(3600)
        assert stream.stats.waited_s == pytest.approx(waited + 3600)
        assert in_seconds(stream.progress.waiting_until) == pytest.approx(DAY - 7200, abs=60)
        state = client.limits()["cdrs"]
        assert (state.free, state.waiting, state.paused_for_s) == (0, 1, 0)
        assert state.next_in_s == pytest.approx(DAY - 7200, abs=60)
        assert await reader == 2000
        assert (stream.progress.waiting_for, stream.progress.eta) == (None, None)


async def _read(stream: CdrStream) -> int:
    return len([record async for record in stream])


async def test_a_pause_after_a_429_is_a_wait_for_the_rate_limit(sandbox: Sandbox) -> None:
    sandbox.inject(Status(429, headers={"Retry-After": "300"}), endpoint="cdrs")
    async with client_of(sandbox) as client:
        stream = client.cdrs.stream(START, END)
        progress = await while_reading(stream, 100)
        assert (progress.waiting_for, progress.eta) == ("rate limit", None)
        assert in_seconds(progress.waiting_until) == pytest.approx(200, abs=5)
        assert stream.stats.waited_s == pytest.approx(100, abs=1)
        state = client.limits()["cdrs"]
        assert state.paused_for_s == pytest.approx(200, abs=1)
        assert state.pace_per_minute is not None


async def test_the_pause_between_two_attempts_is_a_retry(sandbox: Sandbox) -> None:
    sandbox.inject(Status(500, headers={"Retry-After": "40"}), endpoint="cdrs")
    async with client_of(sandbox) as client:
        progress = await while_reading(client.cdrs.stream(START, END), 10)
        assert progress.waiting_for == "retry"
        assert in_seconds(progress.waiting_until) == pytest.approx(30, abs=5)


async def test_a_response_under_way_is_the_servers(sandbox: Sandbox) -> None:
    sandbox.inject(Delay(20), endpoint="cdrs")
    async with client_of(sandbox) as client:
        progress = await while_reading(client.cdrs.stream(START, END), 10)
        assert (progress.waiting_for, progress.waiting_until) == ("server", None)


async def test_a_reader_who_does_not_ask_is_waited_for(sandbox: Sandbox) -> None:
    sandbox.add_calls(every_second(100))
    async with client_of(sandbox) as client:
        stream = client.cdrs.stream(START, END)
        assert stream.progress.waiting_for is None
        async with aclosing(aiter(stream)) as records:
            await anext(records)
            await asyncio.sleep(10)
            progress = stream.progress
            assert progress.waiting_for == "reader"
            assert progress.waiting_until is None
        assert stream.progress.waiting_for is None


@pytest.mark.slow
async def test_the_estimate_is_that_of_a_steady_pull(sandbox: Sandbox) -> None:
    sandbox.add_calls(generate_traffic(6000, start=START, end=END, kind="uniform"))
    sandbox.settings.order = "oldest_first"
    async with client_of(sandbox, RateLimit(60, burst=1)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        begun, estimates = asyncio.get_running_loop().time(), []
        async for _ in stream.batches():
            if 0.3 < stream.progress.fraction < 0.9:
                passed = asyncio.get_running_loop().time() - begun
                estimates.append(passed + in_seconds(stream.progress.eta))
        took = asyncio.get_running_loop().time() - begun
        assert all(0.8 * took <= estimate <= 1.3 * took for estimate in estimates)


async def test_a_stream_that_has_failed_has_no_end_in_sight(sandbox: Sandbox) -> None:
    sandbox.add_calls(generate_traffic(1000, start=START, end=END, kind="uniform"))
    async with client_of(sandbox) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        sandbox.inject(Status(400), endpoint="cdrs", times=None, skip=5)
        with pytest.raises(InvalidRequestError):
            await _read(stream)
        assert 0 < stream.progress.fraction < 1
        assert stream.progress.eta is None


@cache
def calls_of_a_centre() -> list[SandboxCall]:
    return generate_traffic(8000, start=START, end=END, kind="call_centre", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "order"),
    [
        (RateLimit(60), "newest_first"),
        (RateLimit(10), "newest_first"),
        (RateLimit(10), "oldest_first"),
        (RateLimit(10), "arbitrary"),
        (RateLimit(60, burst=60), "newest_first"),
        (RateLimit(60, per_day=40), "newest_first"),
        (None, "newest_first"),
    ],
    ids=str,
)
async def test_the_estimate_counts_down_while_the_limit_holds_the_stream_up(
    sandbox: Sandbox, limit: RateLimit | None, order: Literal["newest_first", "oldest_first", "arbitrary"]
) -> None:
    sandbox.add_calls(calls_of_a_centre())
    sandbox.settings.order = order
    if limit is None:
        # A pause that is over slows nothing down that is still to come, but the requests keep to a pace for a while.
        sandbox.inject(Status(429, headers={"Retry-After": "300"}), endpoint="cdrs")
    clock = asyncio.get_running_loop().time
    async with client_of(sandbox, limit) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        reader = asyncio.create_task(_read(stream))
        said: list[tuple[float, float]] = []
        ends: list[float] = []
        reader.add_done_callback(lambda _: ends.append(clock()))
        while not reader.done():
            if stream.progress.fraction > 0.1:
                said.append((clock(), in_seconds(stream.progress.eta)))
            # Virtual time steps over what is shorter, and the longest wait is a day.
            await asyncio.sleep(1 if limit is None or limit.per_day is None else 600)
    (took,) = ends
    assert len(said) > 15
    for at, seconds in said:
        left = took - at
        assert left / 2 - 10 <= seconds <= 2 * left + 10, f"{seconds:.0f} s were said, and {left:.0f} s were left"


async def test_a_follow_says_what_its_poll_waits_for(sandbox: Sandbox) -> None:
    sandbox.inject(Status(429, headers={"Retry-After": "500"}), endpoint="cdrs")
    async with client_of(sandbox) as client, client.cdrs.follow(START) as follow:
        step = asyncio.ensure_future(anext(aiter(follow)))
        await asyncio.sleep(100)
        stats = follow.stats
        assert stats.waiting_for == "rate limit"
        assert 99 <= stats.waited_s <= 4 * 101  # of up to four requests, added up
        assert in_seconds(stats.waiting_until) == pytest.approx(400, abs=5)
        await asyncio.sleep(600)  # the requests of the history keep to a pace now
        assert follow.stats.waiting_for is None  # between two polls
        step.cancel()
        await asyncio.wait([step])
