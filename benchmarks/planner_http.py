"""Pulls through the client from the simulated server, over loopback HTTP: what a user meets, whatever the planner's interface is.

Every pull is compared with the plain list of the records.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from attrs import define, frozen

from benchmarks.planner_pulls import WrongError
from benchmarks.planner_server import PAGE, Row, Server
from unlimcall_async import AsyncClient, Checkpoint, RateLimits, ResponseError, RetryPolicy, UnlimCallError
from unlimcall_async.cdrs.times import MILLISECOND, Range, Window, to_datetime, to_micros

# So many runs in a row that hand nothing out: the pull does not arrive.
STUCK: Final = 4


@frozen
class Pulling:
    """How a range is pulled."""

    wanted: Range
    newest_first: bool
    concurrency: int

    def expected(self, rows: Sequence[Row]) -> list[str]:
        """Return the ids that must come, in order."""
        ids = [row.id for row in rows if self.wanted.holds(row.millis * MILLISECOND)]
        return ids[::-1] if self.newest_first else ids

    def stream(self, client: AsyncClient, resume: Checkpoint | None = None) -> Any:  # its type has no public name
        """Return the stream of the range."""
        start, end = to_datetime(self.wanted.start), to_datetime(self.wanted.end)
        return client.cdrs.stream(
            start, end, newest_first=self.newest_first, concurrency=self.concurrency, resume=resume
        )


@define
class Wire:
    """The simulated server behind HTTP.

    Attributes:
        server: What answers.
        left: How many requests it answers before it refuses all; `None` for any number.
    """

    server: Server
    left: int | None = None

    async def respond(self, request: web.Request) -> web.Response:
        """Answer a window, or refuse."""
        if self.left is not None:
            if not self.left:
                return web.Response(status=404)
            self.left -= 1
        first, till = (to_micros(datetime.fromisoformat(request.query[name])) for name in ("from", "till"))
        rows, starts, count = self.server.page(Window(first, till))
        texts = (
            f'{{"id":"{row.id}","startTime":"{start.isoformat()}","duration":{row.duration},"billsec":0}}'
            for row, start in zip(rows, starts, strict=True)
        )
        return web.Response(text=f'{{"count":{count},"calls":[{",".join(texts)}]}}', content_type="application/json")


@asynccontextmanager
async def client_of(wire: Wire) -> AsyncGenerator[AsyncClient, None]:
    """Serve, and yield a client that has no rate limit and tries nothing again."""
    app = web.Application()
    app.router.add_get("/api/v1/cdrs", wire.respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"
    try:
        async with AsyncClient(
            "token", base_url=url, rate_limits=RateLimits.unlimited(), retry=RetryPolicy(delays=())
        ) as client:
            yield client
    finally:
        await runner.cleanup()


async def pull_whole(client: AsyncClient, wire: Wire, pulling: Pulling) -> int:
    """Pull a range, and return how many requests that took."""
    before, came = wire.server.requests, list[str]()
    async with pulling.stream(client) as stream:
        async for batch in stream.batches():
            came += [record.id for record in batch]
    _check(came, pulling, wire)
    return wire.server.requests - before


async def answers_to_the_first(client: AsyncClient, pulling: Pulling) -> int:
    """Return how many answers had come when the first record came."""
    async with pulling.stream(client) as stream:
        async for _ in stream:
            return int(stream.stats.requests)
    raise WrongError("no record came")


@frozen
class CutOff:
    """What a pull cost that was cut off again and again.

    Attributes:
        runs: How many runs there were.
        requests: How many requests they made in all.
        idle: How many of them handed nothing out.
        arrived: Whether the pull came to its end.
    """

    runs: int
    requests: int
    idle: int
    arrived: bool


async def pull_cut_off(wire: Wire, pulling: Pulling, requests: int) -> CutOff:
    """Pull a range in runs of so many requests, each by another client, from the checkpoint that the run before left."""
    came, runs, idle, in_a_row = list[str](), 0, 0, 0
    stored: str | None = None
    while True:
        runs, before, arrived = runs + 1, len(came), True
        wire.left = requests
        async with client_of(wire) as client:
            resume = None if stored is None else Checkpoint.from_json(stored)
            stream = pulling.stream(client, resume)
            try:
                async for batch in stream.batches():
                    came += [record.id for record in batch]
            except ResponseError:
                raise
            except UnlimCallError:
                arrived = False
            stored = stream.checkpoint.to_json()
            await stream.aclose()
        nothing = len(came) == before and not arrived
        idle, in_a_row = idle + nothing, in_a_row + 1 if nothing else 0
        if arrived or in_a_row == STUCK:
            break
    if arrived:
        _check(came, pulling, wire)
    return CutOff(runs, wire.server.requests, idle, arrived)


def _check(came: list[str], pulling: Pulling, wire: Wire) -> None:
    expected = pulling.expected(wire.server.calls.rows)
    if came != expected:
        raise WrongError(f"{len(came)} records came of {len(expected)}, or in another order")


def page_count(records: int) -> int:
    """Return the fewest pages that hold so many records."""
    return -(-records // PAGE)
