"""Streams and follows under servers with rate limits of their own, and beside each other, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from aiohttp import web
from attrs import define, field

from tests.selection import slow_but
from unlimcall_async import (
    AsyncClient,
    CdrStream,
    RateLimit,
    RateLimitedError,
    RateLimits,
    RetryPolicy,
    ServerError,
)
from unlimcall_async.sandbox import Sandbox, Status, generate_traffic

pytestmark = [pytest.mark.looptime, pytest.mark.own_rules]

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 700
END = START + timedelta(minutes=ROWS)
PAGE = 10


def now() -> float:
    return asyncio.get_running_loop().time()


@define
class Bucket:
    """A token bucket. A request for a token returns the seconds until the next one."""

    per_minute: float
    burst: int
    tokens: float = field(init=False)
    at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.tokens = self.burst

    def wait(self) -> float:
        self.tokens = min(self.burst, self.tokens + (now() - self.at) * self.per_minute / 60)
        self.at = now()
        if self.tokens < 1 - 1e-9:
            return (1 - self.tokens) * 60 / self.per_minute
        self.tokens -= 1
        return 0.0


@define
class FixedWindow:
    """So many requests in each minute of the clock."""

    per_minute: int
    minute: int = -1
    count: int = 0

    def wait(self) -> float:
        if self.minute != (minute := int(now() // 60)):
            self.minute, self.count = minute, 0
        self.count += 1
        return 0.0 if self.count <= self.per_minute else 60 * (minute + 1) - now()


Refuse = Callable[[float], web.Response]
FORMS: dict[str, Refuse] = {
    "a time": lambda wait: web.Response(status=429, headers={"Retry-After": f"{wait + 1:.0f}"}),
    "no time": lambda _: web.Response(status=429),
    "zero": lambda _: web.Response(status=429, headers={"Retry-After": "0"}),
    "one": lambda _: web.Response(status=429, headers={"Retry-After": "1"}),
    "503": lambda _: web.Response(status=503, text="<html>503 Service Temporarily Unavailable</html>"),
}


@define
class Server:
    """A server with a record for each minute, and a limit.

    Attributes:
        limit: The limit.
        refuse: Makes the response to what is beyond it.
        accepted: How many requests were answered.
        refused: How many were refused.
    """

    limit: Bucket | FixedWindow
    refuse: Refuse
    url: str = ""
    accepted: int = 0
    refused: int = 0

    async def respond(self, request: web.Request) -> web.Response:
        if wait := self.limit.wait():
            self.refused += 1
            return self.refuse(wait)
        self.accepted += 1
        await asyncio.sleep(0.05)
        first, till = ((datetime.fromisoformat(request.query[name]) - START) for name in ("from", "till"))
        minute = timedelta(minutes=1)
        places = range(max(0, -(-first // minute)), min(ROWS, till // minute + 1))
        calls = [self.row(place) for place in reversed(places)][: int(request.query["limit"])]
        return web.json_response({"count": len(calls), "calls": calls})

    @staticmethod
    def row(place: int) -> dict[str, object]:
        start = (START + timedelta(minutes=place)).isoformat().replace("+00:00", "Z")
        return {"id": f"{place}", "startTime": start, "duration": 1, "billsec": 1}


@asynccontextmanager
async def served(limit: Bucket | FixedWindow, form: str) -> AsyncIterator[Server]:
    server = Server(limit, FORMS[form])
    app = web.Application()
    app.router.add_get("/cdrs", server.respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


def client_of(server: Server, limit: RateLimit | None = None, retry: RetryPolicy | None = None) -> AsyncClient:
    limits = RateLimits() if limit is None else RateLimits(cdrs=limit)
    return AsyncClient("unl_test_token", base_url=server.url, rate_limits=limits, retry=retry)


async def ids(stream: CdrStream) -> list[int]:
    return [int(record.id) async for record in stream]


SERVERS: dict[str, tuple[Callable[[], Bucket | FixedWindow], int]] = {
    "30 a minute": (lambda: Bucket(30, 5), 12),
    "1 a second": (lambda: Bucket(60, 1), 12),
    "10 a second": (lambda: Bucket(600, 10), 2),
    "30 in a fixed window": (lambda: FixedWindow(30), 18),
}
# Forms without a time are alike for a bucket that refills fast and for a window: the slowest buckets show most of them.
CASES = [*product(list(SERVERS)[:2], FORMS), *product(list(SERVERS)[2:], ["a time", "no time"])]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), CASES)
async def test_a_server_with_a_limit_of_its_own_refuses_little_and_all_records_come(name: str, form: str) -> None:
    make, most = SERVERS[name]
    limit = make()
    async with served(limit, form) as server, client_of(server) as client:
        assert await ids(client.cdrs.stream(START, END, page_size=PAGE)) == list(range(ROWS))
        # Of some 200 requests. Each was refused once, or the pull ended, as long as the bucket kept no pace.
        assert server.refused <= most
        assert server.accepted / now() * 60 >= 0.7 * min(60, limit.per_minute)
        pace = client.limits()["cdrs"].pace_per_minute
        assert pace is None or pace <= 60


@pytest.mark.slow
@pytest.mark.parametrize("form", slow_but({"no time"}, FORMS))
async def test_two_processes_on_one_token_both_arrive(form: str) -> None:
    async with served(Bucket(60, 10), form) as server, client_of(server) as one, client_of(server) as other:
        half = START + timedelta(minutes=ROWS // 2)
        streams = [client.cdrs.stream(START, half, page_size=PAGE) for client in (one, other)]
        assert await asyncio.gather(*map(ids, streams)) == [list(range(ROWS // 2))] * 2
        assert server.refused <= 60


@pytest.mark.slow
@pytest.mark.parametrize("form", slow_but({"no time"}, ["no time", "one"]))
async def test_a_follow_beside_a_pull_of_another_process_goes_on(form: str) -> None:
    async with served(Bucket(30, 5), form) as server, client_of(server) as nightly, client_of(server) as tail:
        follow = tail.cdrs.follow(START)
        pull = asyncio.create_task(ids(nightly.cdrs.stream(START, END, page_size=PAGE)))
        async with aclosing(aiter(follow)) as records:
            followed = [int((await anext(records)).id) for _ in range(ROWS)]
        assert followed == list(range(ROWS))
        assert await pull == followed


@pytest.mark.slow
async def test_a_stream_beside_a_greedy_one_gets_half_of_the_requests() -> None:
    async with served(Bucket(6000, 100), "no time") as server, client_of(server) as client:
        greedy = client.cdrs.stream(START, END, page_size=PAGE, concurrency=64)
        modest = client.cdrs.stream(START, END, page_size=PAGE, concurrency=4)
        tasks = [asyncio.create_task(ids(stream)) for stream in (greedy, modest)]
        await asyncio.sleep(300)
        requests = [stream.stats.requests for stream in (greedy, modest)]
        assert min(requests) >= 0.45 * sum(requests)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.rest_slow
@pytest.mark.parametrize("streams", [1, 3])
async def test_a_single_call_beside_streams_waits_about_one_refill_for_each(streams: int) -> None:
    async with served(Bucket(6000, 100), "no time") as server, client_of(server) as client:
        pulls = [client.cdrs.stream(START, END, page_size=PAGE, concurrency=64) for _ in range(streams)]
        tasks = [asyncio.create_task(ids(pull)) for pull in pulls]
        for at in (15, 45, 58, 70, 110):
            await asyncio.sleep(at - now())
            before = now()
            await client.cdrs.list(START, END)
            assert now() - before < 1.3 * (streams + 1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(("seconds", "waited"), [(None, 900), (30, 30)])
async def test_a_stream_gives_up_after_so_long_without_an_accepted_request(
    sandbox: Sandbox, seconds: float | None, waited: float
) -> None:
    sandbox.inject(Status(429), endpoint="cdrs", times=None)
    retry = RetryPolicy(rate_limited_for=seconds)
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=retry) as client:
        with pytest.raises(RateLimitedError):
            await ids(client.cdrs.stream(START, END))
        assert waited <= now() <= waited + 5


@pytest.mark.slow
async def test_a_follow_never_gives_up_a_429(sandbox: Sandbox) -> None:
    sandbox.add_calls(generate_traffic(1, start=START, end=END))
    refused = sandbox.inject(Status(429), endpoint="cdrs", times=None)
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        records = aiter(client.cdrs.follow(START))
        step = asyncio.ensure_future(anext(records))
        await asyncio.sleep(2 * 3600)
        assert not step.done()
        refused.remaining = 1
        await asyncio.wait_for(step, 180)
        await records.aclose()


@pytest.mark.parametrize("status", [500, 503])
async def test_a_5xx_amid_a_pull_ends_it_after_the_delays(status: int) -> None:
    async with served(Bucket(6000, 100), "no time") as server, client_of(server) as client:
        server.limit, server.refuse = Bucket(6000, 20), lambda _: web.Response(status=status)
        server.limit.per_minute = 1e-9
        with pytest.raises(ServerError):
            await ids(client.cdrs.stream(START, END, page_size=PAGE))
        assert now() < 60
