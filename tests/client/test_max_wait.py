"""What a call may wait for its rate limit, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import (
    AsyncClient,
    RateLimit,
    RateLimitedError,
    RateLimits,
    RetryPolicy,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.sandbox import Sandbox, Status

pytestmark = pytest.mark.looptime

Start = Callable[..., AsyncClient]
HOUR = {"Retry-After": "3600"}


@pytest.fixture
async def start(sandbox: Sandbox) -> AsyncIterator[Start]:
    """Make clients of the sandbox."""
    clients: list[AsyncClient] = []

    def make(max_wait: float | None, limit: RateLimit | None = None, retry: RetryPolicy | None = None) -> AsyncClient:
        limits = RateLimits(balance=limit, me=limit, calls=limit, cdrs=limit)
        client = AsyncClient(
            sandbox.token,
            base_url=sandbox.url,
            max_wait=max_wait,
            rate_limits=limits,
            retry=retry or RetryPolicy(jitter=0),
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


def now() -> float:
    return asyncio.get_running_loop().time()


async def refused(call: object) -> RateLimitedError:
    """Make a call that must be refused at once without being sent."""
    before = now()
    with pytest.raises(RateLimitedError) as caught:
        await call  # type: ignore[misc] # any call
    assert now() == before
    assert not caught.value.sent
    return caught.value


async def pause(sandbox: Sandbox, client: AsyncClient) -> None:
    """Stop `/balance` for an hour."""
    sandbox.inject(Status(429, headers=HOUR), endpoint="balance")
    with pytest.raises(RateLimitedError) as caught:
        await client.balance()
    assert (caught.value.sent, caught.value.retry_after) == (True, 3600)


async def test_a_pause_that_is_too_long_is_an_error_at_once_and_nothing_is_sent(sandbox: Sandbox, start: Start) -> None:
    given_up: list[UnlimCallError] = []
    client = start(10, retry=RetryPolicy(on_give_up=given_up.append))
    await pause(sandbox, client)
    sent = len(sandbox.requests)
    error = await refused(client.balance())
    assert (error.status, error.code, dict(error.headers), error.body) == (429, None, {}, b"")
    assert error.retry_after == pytest.approx(3600, abs=1)
    assert (error.method, error.path, error.category, error.outcome_unknown) == (
        "GET",
        "/balance",
        "application",
        False,
    )
    assert str(error).startswith("GET /balance was not sent: its rate limit lets the request out in 3")
    assert "max_wait is 10 s" in str(error)
    await refused(client.request("GET", "/balance"))
    assert (len(sandbox.requests), len(given_up)) == (sent, 3)
    await client.me()
    await asyncio.sleep(error.retry_after or 0)
    await client.balance()


@pytest.mark.looptime(False)  # virtual time would stand still between two readings of the clock
async def test_a_client_that_never_waits_goes_on_with_tokens_that_are_ready(sandbox: Sandbox, start: Start) -> None:
    client = start(0, RateLimit(60, burst=60), RetryPolicy(delays=(0, 0)))
    sandbox.inject(Status(500), endpoint="me", times=2)
    await client.me()
    await asyncio.gather(*[client.balance() for _ in range(60)])
    with pytest.raises(RateLimitedError) as caught:
        await client.balance()
    assert not caught.value.sent


async def test_a_phone_call_that_is_not_sent_is_not_in_doubt(start: Start) -> None:
    client = start(1, RateLimit(1))
    await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    error = await refused(client.calls.create(ai_agent_id="27", to_number="+14155551234"))
    assert not error.outcome_unknown


@pytest.mark.rest_slow
@pytest.mark.parametrize(("max_wait", "let_out"), [(0, 10), (1.5, 11), (10, 18), (49.9, 52), (None, 100)])
async def test_the_wait_behind_others_counts(
    sandbox: Sandbox, start: Start, max_wait: float | None, let_out: int
) -> None:
    client = start(max_wait, RateLimit(60, burst=10))
    before = now()
    results = await asyncio.gather(*[client.me() for _ in range(100)], return_exceptions=True)
    refusals = [result for result in results if isinstance(result, RateLimitedError)]
    assert (len(sandbox.requests), len(refusals)) == (let_out, 100 - let_out)
    assert all(request.received_at - before <= (max_wait or 100) + 0.1 for request in sandbox.requests)


async def test_a_pause_that_comes_while_calls_wait_ends_those_that_it_makes_too_late(
    sandbox: Sandbox, start: Start
) -> None:
    client = start(30, RateLimit(60, burst=1))
    patient, others = client.with_options(max_wait=9000), [asyncio.create_task(client.balance()) for _ in range(3)]
    waiting = asyncio.create_task(patient.balance())
    sandbox.inject(Status(429, headers=HOUR), endpoint="balance")
    before = now()
    results = await asyncio.gather(*others, return_exceptions=True)
    assert now() - before < 2
    assert [result.sent for result in results if isinstance(result, RateLimitedError)] == [True, False, False]
    assert not waiting.done()
    await waiting
    assert now() - before == pytest.approx(3600, abs=2)


async def test_a_429_whose_wait_would_be_too_long_is_given_up_with_itself(sandbox: Sandbox, start: Start) -> None:
    client = start(5)
    sandbox.inject(Status(429, headers={"Retry-After": "30"}), endpoint="me")
    before = now()
    with pytest.raises(RateLimitedError) as caught:
        await client.me()
    assert (caught.value.sent, caught.value.retry_after, now() - before < 1) == (True, 30, True)


async def test_all_attempts_of_a_call_share_the_wait(sandbox: Sandbox, start: Start) -> None:
    client = start(5)
    sandbox.inject(Status(429, headers={"Retry-After": "4"}), endpoint="me", times=None)
    with pytest.raises(RateLimitedError) as caught:
        await client.me()
    assert (caught.value.sent, len(sandbox.requests)) == (True, 2)


async def test_a_call_that_cannot_be_sent_again_in_time_ends_with_the_error_that_it_had(
    sandbox: Sandbox, start: Start
) -> None:
    client = start(5, RateLimit(1))
    sandbox.inject(Status(500), endpoint="me")
    with pytest.raises(ServerError):
        await client.me()


@pytest.mark.parametrize("fail", [False, True])
async def test_one_who_leaves_the_queue_takes_no_token(sandbox: Sandbox, start: Start, fail: bool) -> None:
    client = start(20, RateLimit(60, burst=1))
    calls = [asyncio.create_task(client.me()) for _ in range(10)]
    await asyncio.sleep(0.5)
    if fail:
        sandbox.inject(Status(429, headers={"Retry-After": "15"}), endpoint="me")
    calls[5].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    failed = [(number, result.sent) for number, result in enumerate(results) if isinstance(result, RateLimitedError)]
    # The second call meets the pause after a second. After 16 seconds, and at the pace of 48 a minute, four others go in time.
    assert failed == ([(1, True), (7, False), (8, False), (9, False)] if fail else [])
    assert client.limits()["me"].waiting == 0


async def test_a_view_has_its_own_bound_and_the_queue_is_one(start: Start) -> None:
    client = start(None, RateLimit(1))
    await client.me()
    await refused(client.with_options(max_wait=0).me())
    view = client.with_options(max_wait=0)
    await refused(view.with_options(timeout=5).me())
    await client.me()


async def test_a_stream_and_a_follow_wait_as_long_as_it_takes(start: Start) -> None:
    client = start(0, RateLimit(1))
    first = datetime.now(UTC) - timedelta(days=40)
    async with client.cdrs.stream(first, first + timedelta(days=39)) as stream:
        assert [record async for record in stream] == []
    assert stream.stats.waited_s > 50
    await refused(client.cdrs.list())


async def test_a_client_that_is_closed_ends_calls_that_wait(start: Start) -> None:
    client = start(3600, RateLimit(1))
    await client.me()
    call = asyncio.create_task(client.me())
    await asyncio.sleep(1)
    await client.aclose()
    with pytest.raises(TransportError, match="closed"):
        await call


async def test_a_long_wait_is_said_at_info(sandbox: Sandbox, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unlimcall_async")
    client = start(None)
    await pause(sandbox, client)
    assert "GET /balance: its rate limit stops all calls of the endpoint for 3600 s" in caplog.messages
    caplog.clear()
    await client.balance()
    assert [words for words in caplog.messages if "waits 3" in words]


async def test_so_is_one_behind_many_others(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unlimcall_async")
    client = start(None, RateLimit(60, burst=1))
    await asyncio.gather(*[client.me() for _ in range(63)])
    assert [words for words in caplog.messages if "waits 6" in words]


async def test_a_wait_that_is_refused_is_not_said(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unlimcall_async")
    client = start(1, RateLimit(1))
    await client.me()
    await refused(client.me())
    assert caplog.messages == []
