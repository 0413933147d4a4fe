"""The rate limits, client and server in one event loop on virtual time: hours pass in no time, and nothing sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from tests.selection import slow_but
from unlimcall_async import (
    AsyncClient,
    NotFoundError,
    RateLimit,
    RateLimitedError,
    RateLimits,
    RetryPolicy,
    ServerError,
)
from unlimcall_async.sandbox import Delay, Sandbox, Status

pytestmark = pytest.mark.looptime

Start = Callable[..., AsyncClient]


@pytest.fixture
async def start(sandbox: Sandbox) -> AsyncIterator[Start]:
    """Make clients of the sandbox with limits."""
    clients: list[AsyncClient] = []

    def make(retry: RetryPolicy | None = None, **limits: RateLimit | None) -> AsyncClient:
        client = AsyncClient(
            sandbox.token, base_url=sandbox.url, retry=retry, rate_limits=RateLimits(**limits), max_connections=1000
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


def now() -> float:
    return asyncio.get_running_loop().time()


def busiest(times: list[float], span: float) -> int:
    """The most requests in any span, wherever it starts."""
    return max(sum(first <= time <= first + span for time in times) for first in times)


@pytest.mark.rest_slow
@pytest.mark.parametrize("burst", slow_but({None, 60}, [None, 1, 7, 60]))
async def test_no_minute_sees_more_than_its_limit_and_nearly_all_of_it_is_used(
    sandbox: Sandbox, start: Start, burst: int | None
) -> None:
    client = start(me=RateLimit(60, burst=burst))
    await asyncio.gather(*[client.me() for _ in range(300)])
    times = [request.received_at for request in sandbox.requests]
    assert len(times) == 300
    assert busiest(times, 60) <= 60
    # 240 requests after the first burst, at one a second and a margin of half a second a minute.
    assert times[-1] - times[0] <= 300 * 1.01


@pytest.mark.slow
async def test_no_day_sees_more_than_its_limit(sandbox: Sandbox, start: Start) -> None:
    client = start(me=RateLimit(30, per_day=100))
    await asyncio.gather(*[client.me() for _ in range(250)])
    times = [request.received_at for request in sandbox.requests]
    assert busiest(times, 24 * 3600) <= 100
    assert 2 * 24 * 3600 <= times[-1] - times[0] <= 2 * 24 * 3600 + 300


@pytest.mark.slow
async def test_a_server_that_counts_never_has_to_refuse(start: Start, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"cdrs": 60}
    client = start()
    await asyncio.gather(*[client.cdrs.list() for _ in range(300)])
    assert {request.status for request in sandbox.requests} == {200}


async def test_waiters_are_served_in_order(sandbox: Sandbox, start: Start) -> None:
    client = start(me=RateLimit(2))
    await asyncio.gather(*[client.request("GET", "/me", params={"n": n}) for n in range(9)])
    assert [request.query["n"] for request in sandbox.requests] == [str(n) for n in range(9)]


async def test_a_full_bucket_delays_no_other_endpoint(start: Start) -> None:
    client = start(cdrs=RateLimit(1))
    await client.cdrs.list()
    waiting = asyncio.create_task(client.cdrs.list())
    before = now()
    await client.me()
    await client.balance()
    assert now() - before < 1
    await waiting
    assert now() - before >= 60


async def test_a_waiter_that_is_cancelled_takes_no_token(sandbox: Sandbox, start: Start) -> None:
    client = start(me=RateLimit(1))
    await client.me()
    before = now()
    waiters = [asyncio.create_task(client.me()) for _ in range(5)]
    await asyncio.sleep(30)
    for waiter in waiters[:4]:  # the head of the queue among them
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert [waiter.cancelled() for waiter in waiters] == [True] * 4 + [False]
    assert 60 <= now() - before < 61
    assert len(sandbox.requests) == 2


async def test_a_request_that_found_no_server_gives_its_token_back(sandbox: Sandbox, start: Start) -> None:
    client = start(RetryPolicy(delays=(0,) * 5), me=RateLimit(1))
    before = now()
    await sandbox.stop()
    with pytest.raises(Exception, match="no connection"):
        await client.me()
    await sandbox.start()
    await client.me()
    assert now() - before < 60


async def test_a_request_that_is_cancelled_while_it_connects_gives_its_token_back(
    silent_port: tuple[int, asyncio.Event],
) -> None:
    port, connected = silent_port
    limits = RateLimits(me=RateLimit(1))
    async with AsyncClient("unl_test_token", base_url=f"https://127.0.0.1:{port}", rate_limits=limits) as client:
        before = now()
        for _ in range(3):
            call = asyncio.create_task(client.me())
            await connected.wait()
            connected.clear()
            call.cancel()
            await asyncio.wait([call])
        assert now() - before < 1


async def test_a_token_that_comes_back_wakes_who_waits_for_it(silent_port: tuple[int, asyncio.Event]) -> None:
    port, connected = silent_port
    limits = RateLimits(me=RateLimit(1))
    async with AsyncClient("unl_test_token", base_url=f"https://127.0.0.1:{port}", rate_limits=limits) as client:
        before = now()
        first, second = asyncio.create_task(client.me()), asyncio.create_task(client.me())
        await connected.wait()
        connected.clear()
        first.cancel()
        await connected.wait()
        assert now() - before < 1
        second.cancel()
        await asyncio.wait([first, second])


async def test_a_429_also_stops_those_that_wait_for_a_connection(sandbox: Sandbox) -> None:
    sandbox.settings.latency = 0.05
    sandbox.inject(Status(429, headers={"Retry-After": "10"}))
    limits = RateLimits.unlimited()
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits, max_connections=2) as client:
        before = now()
        await asyncio.gather(*[client.me() for _ in range(8)])
    times = [request.received_at - before for request in sandbox.requests]
    assert [time >= 10 for time in times] == [False] * 2 + [True] * 7


async def test_tokens_do_not_pile_up_behind_a_slow_connection(sandbox: Sandbox) -> None:
    sandbox.inject(Delay(150))
    limits = RateLimits(me=RateLimit(5))
    async with AsyncClient(
        sandbox.token, base_url=sandbox.url, rate_limits=limits, max_connections=1, timeout=600
    ) as client:
        await asyncio.gather(*[client.me() for _ in range(30)])
    assert busiest([request.received_at for request in sandbox.requests], 60) <= 5


@pytest.mark.slow
async def test_many_calls_of_one_endpoint_do_not_take_all_connections_first(sandbox: Sandbox) -> None:
    sandbox.settings.latency = 1
    limits = RateLimits.unlimited()
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits, max_connections=10) as client:
        pull = asyncio.gather(*[client.cdrs.list() for _ in range(500)])
        await asyncio.sleep(0.5)
        before = now()
        await client.me()
        assert now() - before < 4
        await pull


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_429_stops_the_endpoint_until_its_retry_after_has_passed(
    sandbox: Sandbox, start: Start, form: str
) -> None:
    later = {"Retry-After": "17"}
    if form == "date":
        later = {"Date": "Sun, 22 Nov 2026 07:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 07:00:17 GMT"}
    client = start()
    sandbox.inject(Status(429, headers=later))
    before = now()
    refused = asyncio.create_task(client.me())
    await asyncio.sleep(0.1)
    await client.balance()
    assert now() - before < 1
    await asyncio.gather(refused, *[client.me() for _ in range(3)])
    assert [request.received_at - before >= 17 for request in sandbox.requests if request.endpoint == "me"] == [
        False,
        True,
        True,
        True,
        True,
    ]
    # From then on they go out evenly, at the pace that follows a refusal.
    assert now() - before < 17 + 3 * 2.6


@pytest.mark.parametrize("ends", ["late", "by a cancellation"])
async def test_a_429_stops_the_endpoint_once_its_head_is_there(ends: str) -> None:
    times = list[float]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        times.append(now())
        if len(times) > 1:
            body = b'{"customerId": "1", "companyName": "A", "primaryContactEmail": "a@example.com"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            writer.close()
            return
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: 9\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncClient("unl_test_0123456789", base_url=url, timeout=10) as client:
            first = asyncio.create_task(client.me())
            await asyncio.sleep(1)
            if ends == "by a cancellation":
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
            with pytest.raises(RateLimitedError) as caught:
                await client.with_options(max_wait=5).me()
            assert not caught.value.sent
            await client.me()
            assert times[1] - times[0] >= 17
            if ends == "late":
                await first


async def test_a_429_pauses_also_where_there_is_no_limit(sandbox: Sandbox) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
        sandbox.inject(Status(429, headers={"Retry-After": "30"}))
        before = now()
        await client.me()
        assert 30 <= now() - before < 31


async def test_a_429_without_a_time_waits_longer_each_time(sandbox: Sandbox, start: Start) -> None:
    client = start(RetryPolicy(delays=(5, 7), jitter=0))
    sandbox.inject(Status(429), times=5)
    before = now()
    await client.me()
    assert 1 + 2 + 4 + 8 + 16 <= now() - before < 32


async def test_a_wait_longer_than_the_policy_allows_is_given_up_but_kept(sandbox: Sandbox, start: Start) -> None:
    client = start(RetryPolicy(max_retry_after=60))
    sandbox.inject(Status(429, headers={"Retry-After": "90"}))
    before = now()
    with pytest.raises(RateLimitedError) as caught:
        await client.me()
    assert (caught.value.retry_after, now() - before < 1) == (90, True)
    await client.me()
    assert 90 <= now() - before < 91


async def test_a_503_waits_as_retry_after_says_and_stops_nobody_else(sandbox: Sandbox, start: Start) -> None:
    client = start()
    sandbox.inject(Status(503, headers={"Retry-After": "9"}))
    before = now()
    refused = asyncio.create_task(client.me())
    await asyncio.sleep(0.5)
    await client.me()
    assert now() - before < 1
    await refused
    assert 9 <= now() - before < 10


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("before", [0, 5])
async def test_the_documented_delays_are_kept_also_amid_many_requests(
    sandbox: Sandbox, start: Start, status: int, before: int
) -> None:
    client = start(RetryPolicy(jitter=0))
    for _ in range(before):
        await client.me()
    # No more than are needed: a call that is never given up would else go on for ever.
    sandbox.inject(Status(status), times=8)
    for _ in range(2):
        with pytest.raises(ServerError, match=f"{status}"):
            await client.me()
    times = [request.received_at for request in sandbox.requests[before:]]
    assert len(times) == 8
    for attempts in (times[:4], times[4:]):
        assert [round(later - earlier) for earlier, later in pairwise(attempts)] == [1, 2, 4]


async def test_429s_use_up_no_delay_before_a_503(sandbox: Sandbox, start: Start) -> None:
    client = start(RetryPolicy(jitter=0))
    for _ in range(5):
        await client.me()
    sandbox.inject(Status(429), times=4)
    sandbox.inject(Status(503), skip=4, times=3)
    await client.me()
    assert len(sandbox.requests) == 5 + 4 + 3 + 1


async def test_the_wait_for_the_limit_does_not_count_as_time_without_an_answer(start: Start) -> None:
    client = start(me=RateLimit(1)).with_options(timeout=5)
    before = now()
    await asyncio.gather(client.me(), client.me(), client.me())
    assert now() - before >= 120


async def test_the_wait_for_a_connection_does_not_count_either(sandbox: Sandbox) -> None:
    sandbox.settings.latency = 4
    limits = RateLimits.unlimited()
    async with AsyncClient(
        sandbox.token, base_url=sandbox.url, rate_limits=limits, max_connections=1, timeout=5
    ) as client:
        await asyncio.gather(*[client.me() for _ in range(5)])
    assert len(sandbox.requests) == 5


async def test_views_share_the_buckets_unless_they_are_given_their_own(start: Start) -> None:
    client = start(me=RateLimit(1))
    before = now()
    await client.me()
    await client.with_options(rate_limits=RateLimits(me=RateLimit(1))).me()
    assert now() - before < 1
    await client.with_options(timeout=5).me()
    assert now() - before >= 60


async def test_a_raw_request_draws_on_the_bucket_of_its_path(start: Start) -> None:
    client = start(cdrs=RateLimit(1), hooks=RateLimit(1))
    before = now()
    await client.cdrs.list()
    await client.hooks.create(event="call.ended", target_url="https://example.com/")
    await client.request("GET", "/me")
    assert now() - before < 1
    await client.request("GET", "/cdrs")
    assert 60 <= now() - before < 61
    with pytest.raises(NotFoundError):
        await client.request("DELETE", "/hooks/8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31")
    assert 60 <= now() - before < 61  # in the minute of the other bucket
