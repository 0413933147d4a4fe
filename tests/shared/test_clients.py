"""Clients that share their limits over a real server, as processes would: each has a `SharedRateLimits` of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from redis import Redis

from tests.cli.support import made, until
from tests.shared.servers import valkey_server
from unlimcall_async import AsyncClient, RateLimit, RateLimitedError, RateLimits, RetryPolicy, TransportError
from unlimcall_async.sandbox import Sandbox, Status
from unlimcall_async.shared import LimiterUnavailableError, SharedRateLimits, limiter
from unlimcall_async.shared import server as shared_server
from unlimcall_async.shared.outlook import Answer
from unlimcall_async.shared.server import OutageError

NEVER_AGAIN = RetryPolicy(delays=())


@pytest.fixture
async def process(sandbox: Sandbox, url: str) -> Any:
    """Make a client as a process of its own would have it."""
    async with AsyncExitStack() as stack:

        def make(limit: RateLimit | None = None, *, token: str = sandbox.token, **options: Any) -> AsyncClient:
            given: dict[str, Any] = {"base_url": sandbox.url, "max_wait": 1.0, "retry": NEVER_AGAIN} | options
            shared = SharedRateLimits(
                given.pop("limiter", url), RateLimits(me=limit), on_outage=given.pop("on_outage", "wait")
            )
            client = AsyncClient(token, rate_limits=shared, **given)
            stack.push_async_callback(client.aclose)
            return client

        yield make


Process = Callable[..., AsyncClient]


async def wait_of(client: AsyncClient) -> float:
    """Return how long a call would wait that can wait for a second."""
    with pytest.raises(RateLimitedError) as caught:
        await client.me()
    assert not caught.value.sent
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_all_clients_of_a_token_share_its_limit(sandbox: Sandbox, process: Process) -> None:
    limit = RateLimit(10, burst=10)
    a, b, other = process(limit), process(limit), process(limit, token="another-token")
    await asyncio.gather(*(a.me() for _ in range(6)), *(b.me() for _ in range(4)))
    assert [await wait_of(a), await wait_of(b)] == [pytest.approx(60, abs=7)] * 2
    assert len(sandbox.requests) == 10
    with pytest.raises(Exception, match="401"):
        await other.me()
    state = a.limits()["me"]
    assert (state.limit, state.free, state.waiting) == (limit, 0, 0)
    assert 59 < state.next_in_s <= state.ready_in_s < 67


async def test_a_429_that_one_sees_stops_all(sandbox: Sandbox, process: Process) -> None:
    a, b = process(RateLimit(600, burst=100)), process(RateLimit(600, burst=100))
    await b.me()
    sandbox.inject(Status(429, headers={"Retry-After": "30"}), endpoint="me", times=1)
    with pytest.raises(RateLimitedError) as caught:
        await a.me()
    assert caught.value.sent
    assert await wait_of(b) == pytest.approx(30, abs=0.5)
    assert len(sandbox.requests) == 2
    assert b.limits()["me"].paused_for_s == pytest.approx(30, abs=0.5)
    assert b.limits()["me"].pace_per_minute == pytest.approx(480, rel=0.01)


async def test_a_429_stops_all_although_its_call_is_cancelled_at_once(process: Process, valkey: Redis) -> None:
    async with Sandbox(latency=0.2) as sandbox:
        a, b = (process(RateLimit(600, burst=100), token=sandbox.token, base_url=sandbox.url) for _ in range(2))
        sandbox.inject(Status(429, headers={"Retry-After": "30"}), endpoint="me", times=1)
        call = asyncio.create_task(a.me())
        await until(lambda: len(sandbox.requests) == 1)
        # So that the call is cancelled while the server of the limits has still to hear of the 429.
        valkey.client_pause(1000)
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.wait([call])
        await a.aclose()
        assert await wait_of(b) == pytest.approx(30, abs=2)
        assert len(sandbox.requests) == 1


async def test_a_request_that_was_never_sent_takes_no_token(process: Process, valkey: Redis) -> None:
    client = process(RateLimit(1), base_url="http://127.0.0.1:1/api/v1")
    for _ in range(3):
        with pytest.raises(TransportError):
            await client.me()
        await until(lambda: not sum(valkey.zcard(key) for key in valkey.keys("*:me:grants")))


async def test_a_call_that_is_cancelled_while_it_waits_leaves_the_queue(process: Process, valkey: Redis) -> None:
    client = process(RateLimit(1), max_wait=None)
    await client.me()
    waiting = asyncio.create_task(client.me())
    await until(lambda: bool(valkey.keys("*:me:waiters")))
    waiting.cancel()
    await asyncio.wait([waiting])
    await until(lambda: not valkey.keys("*:me:waiters"))
    assert client.limits()["me"].waiting == 0


@pytest.mark.slow
async def test_calls_that_are_cancelled_at_any_moment_take_no_token(
    sandbox: Sandbox, process: Process, valkey: Redis
) -> None:
    client, chance = process(RateLimit(60_000, burst=10_000), max_wait=None), Random(1)
    for _ in range(100):
        calls = [asyncio.create_task(client.me()) for _ in range(3)]
        await asyncio.wait(calls, timeout=chance.uniform(0, 0.004))
        for call in calls[: chance.randint(1, 3)]:
            call.cancel()
        await asyncio.wait(calls)
    [grants] = valkey.keys("*:me:grants")
    await client.aclose()
    assert not valkey.keys("*:me:waiters")
    # A request whose first bytes were on their way when it was cancelled may not have reached the server.
    assert 0 <= valkey.zcard(grants) - len(sandbox.requests) <= 3


async def test_a_call_that_is_cancelled_ends_at_whichever_step_it_is(process: Process) -> None:
    client = process(RateLimit(60_000, burst=10_000), max_wait=None)
    await client.me()
    for steps in range(40):
        call = asyncio.create_task(client.me())
        for _ in range(steps):
            await asyncio.sleep(0)
        if call.cancel():
            await asyncio.wait([call])
            assert call.cancelled(), steps


async def test_max_wait_holds_behind_a_call_that_waits_longer(process: Process, valkey: Redis) -> None:
    client = process(RateLimit(1), max_wait=None)
    await client.me()
    waiting = asyncio.create_task(client.me())
    await until(lambda: bool(valkey.keys("*:me:waiters")) and client.limits()["me"].next_in_s > 50)
    async with asyncio.timeout(5):
        assert await wait_of(client.with_options(max_wait=1.0)) == pytest.approx(120, abs=2)
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_calls_wait_and_come_through_in_their_order(sandbox: Sandbox, process: Process) -> None:
    a, b = process(RateLimit(1200, burst=1), max_wait=None), process(RateLimit(1200, burst=1), max_wait=None)
    await asyncio.gather(*(client.me() for client in (a, b) for _ in range(5)))
    assert len(sandbox.requests) == 10


async def test_a_stream_has_every_record(sandbox: Sandbox, url: str) -> None:
    calls = made(5000)
    sandbox.add_calls(calls)
    shared = SharedRateLimits(url, RateLimits(cdrs=RateLimit(6000, burst=1000)))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=shared) as client:
        records = [record.id async for record in client.cdrs.stream(calls[0].start_time, calls[-1].start_time)]
    assert records == [call.id for call in calls[:-1]]


async def test_a_grant_that_is_late_is_given_back(
    process: Process, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "_LATE", -1.0)
    client = process(RateLimit(10, burst=10))
    await client.me()
    # The last of three grants was used all the same.
    [key] = valkey.keys("*:me:grants")
    assert valkey.zcard(key) == 1
    assert valkey.info("commandstats")["cmdstat_zrem"]["calls"] >= 2


@pytest.mark.looptime
async def test_the_last_of_three_late_grants_is_used_and_counts_from_then_on() -> None:
    heard, asked = list[tuple[str, str]](), list[str]()

    class FarAway:
        """A server that grants all, and whose answers take 0.3 seconds."""

        async def decide(self, _bucket: str, _limit: object, waiter: str, grant: str, reports: Any) -> Answer:
            heard.extend((kind, name) for kind, name, _ in reports)
            if waiter:
                asked.append(grant)
                await asyncio.sleep(0.3)
            return Answer(bool(waiter), 0, 0, 0, 1, 1, 0, -1, 0, 0, 0, 0, "mark")

    queue = limiter.SharedLimiter(RateLimit(10), "bucket", FarAway)  # type: ignore[arg-type]
    await queue.acquire(asyncio.Semaphore(1))
    await queue.aclose()
    assert heard == [("give_back", asked[0]), ("give_back", asked[1]), ("late", asked[2])]


@pytest.mark.looptime
async def test_a_late_grant_that_was_given_back_does_not_count_again() -> None:
    """The report that the grant is used was lost, and the request then never sent. The server forgets the grant for good."""
    heard = list[tuple[str, str]]()

    class Lossy:
        """A server whose answers take 0.3 seconds, and which no report of a late grant reaches at first."""

        lost = False

        def unavailable(self) -> None:
            """Return no error."""

        async def recover(self) -> None:
            """Be there again at once."""

        async def decide(self, _bucket: str, _limit: object, waiter: str, _grant: str, reports: Any) -> Answer:
            if not self.lost and any(kind == "late" for kind, _, _ in reports):
                self.lost = True
                await asyncio.sleep(2)
                raise OutageError
            heard.extend((kind, name) for kind, name, _ in reports)
            if waiter:
                await asyncio.sleep(0.3)
            return Answer(bool(waiter), 0, 0, 0, 1, 1, 0, -1, 0, 0, 0, 0, "mark")

    server = Lossy()
    queue = limiter.SharedLimiter(RateLimit(10), "bucket", lambda: server)  # type: ignore[arg-type, return-value]
    never_sent = await queue.acquire(asyncio.Semaphore(1))
    queue.give_back(never_sent)
    # What the next request asks takes the reports along, while the lost one is still waited for.
    await queue.acquire(asyncio.Semaphore(1))
    await asyncio.sleep(3)
    await queue.acquire(asyncio.Semaphore(1))
    await queue.aclose()
    assert [kind for kind, name in heard if name == queue._name(never_sent)] == ["give_back"]


# --- connections ------------------------------------------------------------------------------------------------------


def connections(valkey: Redis) -> int:
    return len(valkey.client_list()) - 1


async def test_clients_of_one_instance_share_connections_and_the_last_one_closes_them(
    sandbox: Sandbox, url: str, valkey: Redis
) -> None:
    shared = SharedRateLimits(url)
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=shared) as client:
        async with AsyncClient("another-token", base_url=sandbox.url, rate_limits=shared) as other:
            await client.me()
            with pytest.raises(Exception, match="401"):
                await other.me()
            assert connections(valkey) == 1
        await client.balance()
        async with client.with_options(rate_limits=SharedRateLimits(url)) as view:
            await view.me()
            assert connections(valkey) == 2
        # The server takes a moment to see that a connection is closed.
        await until(lambda: connections(valkey) == 1)
    await until(lambda: connections(valkey) == 0)


async def test_a_client_closes_the_connections_of_its_views(sandbox: Sandbox, url: str, valkey: Redis) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        view = client.with_options(rate_limits=SharedRateLimits(url))
        await view.me()
        # A view that is gone at once leaves its connection to the client, too.
        await client.with_options(rate_limits=SharedRateLimits(url)).with_options(timeout=5).balance()
        gc.collect()
        assert connections(valkey) == 2
    await until(lambda: connections(valkey) == 0)
    assert "closed" in repr(view)


def test_an_instance_serves_one_event_loop_after_the_other(url: str) -> None:
    shared = SharedRateLimits(url, RateLimits(me=RateLimit(3, burst=3)))

    async def free_after_a_call() -> int | None:
        async with (
            Sandbox(token="one-token") as sandbox,
            AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=shared) as client,
        ):
            await client.me()
            return client.limits()["me"].free

    assert [asyncio.run(free_after_a_call()) for _ in range(2)] == [2, 1]


# --- outages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def late_server() -> Iterator[Any]:
    server = valkey_server()
    server.start()
    port = server.port
    server.stop()
    again = valkey_server(port)
    yield again, f"redis://127.0.0.1:{port}"
    if again.is_running():
        again.stop()


@pytest.fixture
async def hanging() -> AsyncIterator[str]:
    """The URL of a server that takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


async def test_calls_wait_for_a_server_that_is_down(
    sandbox: Sandbox, process: Process, late_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = late_server
    client = process(None, limiter=url, max_wait=None)
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        waiting = asyncio.create_task(client.me())
        await until(lambda: bool(caplog.records))
        assert not sandbox.requests
        await asyncio.to_thread(server.start)
        await waiting
    down, again = (record.getMessage() for record in caplog.records)
    assert down.startswith(
        f"the server of the rate limits at {url.removeprefix('redis://')} has not answered for 0 s: "
    )
    assert again.endswith("answers again")


async def test_an_empty_server_that_was_down_is_taken_for_used_up(process: Process, late_server: Any) -> None:
    server, url = late_server
    client = process(RateLimit(60), limiter=url, max_wait=None)
    waiting = asyncio.create_task(client.me())
    await asyncio.to_thread(server.start)
    await until(lambda: client.limits()["me"].next_in_s > 50)
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.looptime
async def test_on_outage_raise_raises_after_ten_seconds(sandbox: Sandbox, process: Process) -> None:
    loop = asyncio.get_running_loop()
    client = process(limiter="redis://user:secret@127.0.0.1:1/0", on_outage="raise", max_wait=None)
    began = loop.time()
    with pytest.raises(LimiterUnavailableError) as caught:
        await client.me()
    assert loop.time() - began == pytest.approx(10, abs=0.6)
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 # our own
    assert (error.server, error.category, error.outcome_unknown) == ("127.0.0.1:1", "network", False)
    assert str(error).startswith(
        "the server of the rate limits at 127.0.0.1:1 has not answered for 10 s: ConnectionError"
    )
    assert "secret" not in repr(error)
    assert not sandbox.requests


@pytest.mark.looptime
async def test_a_server_that_nobody_has_asked_for_a_minute_has_ten_seconds_anew(process: Process) -> None:
    loop = asyncio.get_running_loop()
    client = process(limiter="redis://127.0.0.1:1", on_outage="raise", max_wait=None)
    for _ in range(2):
        began = loop.time()
        with pytest.raises(LimiterUnavailableError, match="has not answered for 10 s"):
            await client.me()
        assert loop.time() - began == pytest.approx(10, abs=0.6)
        await asyncio.sleep(60)


@pytest.mark.looptime
async def test_on_outage_raise_ends_all_calls_that_wait(process: Process, hanging: str) -> None:
    loop = asyncio.get_running_loop()
    client = process(limiter=hanging, on_outage="raise", max_wait=None)
    began = loop.time()
    ends = await asyncio.gather(*(client.me() for _ in range(20)), return_exceptions=True)
    assert {type(end) for end in ends} == {LimiterUnavailableError}
    assert loop.time() - began < 15


async def test_a_long_outage_does_not_fill_the_memory(
    process: Process, late_server: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "_MOST_REPORTS", 5)
    monkeypatch.setattr(shared_server, "_LONGEST_DELAY", 0.001)
    monkeypatch.setattr(shared_server, "_LOG_EVERY", 0.0)
    server, url = late_server
    client = process(None, limiter=url, max_wait=None)
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        waiting = asyncio.create_task(client.me())
        await until(lambda: len(caplog.records) > 100)
        await asyncio.to_thread(server.start)
        await waiting
    with Redis(port=server.port) as connection:
        # Each report of a grant is one call, and each waiter that leaves is two.
        assert connection.info("commandstats")["cmdstat_zrem"]["calls"] <= 20


@pytest.mark.looptime
async def test_max_wait_bounds_an_outage(process: Process) -> None:
    loop = asyncio.get_running_loop()
    client = process(limiter="redis://127.0.0.1:1")
    began = loop.time()
    with pytest.raises(LimiterUnavailableError):
        await client.me()
    assert loop.time() - began == pytest.approx(1)


async def test_a_server_that_loses_its_memory_is_taken_for_used_up(process: Process, valkey: Redis) -> None:
    client = process(RateLimit(60))
    await client.me()
    valkey.flushall()
    assert await wait_of(client) == pytest.approx(60.5, abs=0.5)


async def test_a_server_that_refuses_the_client_is_an_error_at_once(sandbox: Sandbox, process: Process) -> None:
    with valkey_server() as server, Redis(port=server.port) as connection:
        connection.config_set("requirepass", "right")
        client = process(limiter=f"redis://:wrong@127.0.0.1:{server.port}", max_wait=None)
        with pytest.raises(LimiterUnavailableError, match="refuses this client: AuthenticationError") as caught:
            await client.me()
        assert "wrong" not in f"{caught.value!r} {caught.value}"
        await client.aclose()
    assert not sandbox.requests


async def test_calls_wait_for_a_server_that_cannot_write_at_present(
    sandbox: Sandbox, process: Process, valkey: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client = process(None, max_wait=None)
    valkey.config_set("min-replicas-to-write", 1)
    try:
        with caplog.at_level(logging.WARNING, "unlimcall_async"):
            waiting = asyncio.create_task(client.me())
            await until(lambda: bool(caplog.records) or waiting.done())
            assert not sandbox.requests
    finally:
        valkey.config_set("min-replicas-to-write", 0)
    await waiting


async def test_a_url_that_asks_for_texts_is_the_same(process: Process, url: str) -> None:
    await process(None, limiter=f"{url}/0?decode_responses=True").me()


# --- arguments and secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"url": 7}, TypeError, "url must be a str, not int"),
        ({"url": "http://h:6379"}, ValueError, "url must begin with redis://, rediss:// or unix://"),
        ({"url": "redis://:6379"}, ValueError, "and name a host or a socket"),
        ({"url": "redis://h:port"}, ValueError, "url must be a URL such as redis://HOST:6379/0"),
        ({"url": "redis://h/zero"}, ValueError, "url must end in the number of a database, such as /0$"),
        ({"url": "redis://default:12/secret@h:6379"}, ValueError, "^((?!secret).)*$"),
        ({"url": "redis://:secret@h/0?foo=bar"}, ValueError, "url has an option that is not valid: TypeError: .*'foo'"),
        (
            {"url": "redis://h/0?socket_timeout=abc"},
            ValueError,
            "url has an option that is not valid: .*'socket_timeout'",
        ),
        ({"limits": RateLimit(1)}, TypeError, "limits must be a RateLimits, not RateLimit"),
        ({"on_outage": "fail"}, ValueError, 'on_outage must be "wait" or "raise", not \'fail\''),
    ],
)
def test_an_argument_that_is_not_valid_is_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SharedRateLimits(**({"url": "redis://h"} | arguments))


def test_an_unfinished_instance_can_be_shown() -> None:
    assert repr(object.__new__(SharedRateLimits)) == "<SharedRateLimits unfinished>"


def test_the_limits_go_to_other_processes_and_show_no_password() -> None:
    shared = SharedRateLimits("redis://user:secret@h:1/2", RateLimits(me=RateLimit(7)), on_outage="raise")
    copy = pickle.loads(pickle.dumps(shared))  # noqa: S301 # our own
    assert (copy.limits, copy.on_outage, repr(copy)) == (shared.limits, "raise", "<SharedRateLimits h:1>")


async def test_nothing_on_the_server_holds_the_token(sandbox: Sandbox, process: Process, valkey: Redis) -> None:
    token = sandbox.token
    client = process(RateLimit(60), token=token)
    await client.me()
    keys = valkey.keys("*")
    assert {str(key).rpartition(":")[2] for key in keys} == {"mark'", "grants'", "state'"}
    held = repr([(key, valkey.type(key), valkey.dump(key)) for key in keys])
    assert token not in held
    assert token[:12] not in held
