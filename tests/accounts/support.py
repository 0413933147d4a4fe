"""A server of many accounts, each with rows of its own, over real HTTP."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from attrs import define, field

from tests.cdrs.raw_server import RawRow, RawServer, row_text
from unlimcall_async import RateLimits, RetryPolicy
from unlimcall_async.accounts import Accounts

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=1)
MINUTE = timedelta(minutes=1)
UNLIMITED = RateLimits.unlimited()


def token_of(name: str) -> str:
    return f"unl_test_{name.replace(' ', '_')}0123456789"


def rows(name: str, count: int) -> list[RawRow]:
    """Rows that start a minute apart, or closer if a day does not hold them."""
    apart = min(MINUTE, (END - START) / max(count, 1))
    starts = [START + number * apart for number in range(count)]
    return [RawRow(start, row_text(start, f"{name}.{number:06}")) for number, start in enumerate(starts)]


def ids(name: str, count: int) -> list[str]:
    return [f"{name}.{number:06}" for number in range(count)]


Answer = Callable[[], Awaitable[web.StreamResponse | None]]


@define
class AccountsServer:
    """What the server holds, and what it was asked.

    Attributes:
        rows: The rows of each account.
        answers: Returns the response to an account instead, or `None`.
        asked: The loop's times of the requests of each account.
        under_way: How many requests are under way.
        most: The most that were.
    """

    rows: dict[str, list[RawRow]]
    answers: dict[str, Answer] = field(factory=dict)
    asked: dict[str, list[float]] = field(factory=lambda: defaultdict(list))
    under_way: int = 0
    most: int = 0
    url: str = ""

    @property
    def requests(self) -> int:
        return sum(map(len, self.asked.values()))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        name = self._name(request)
        if name is None:
            return web.json_response({"error": "unauthorized"}, status=401)
        self.asked[name].append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if name in self.answers and (answer := await self.answers[name]()) is not None:
                return answer
            return await RawServer(self.rows[name]).respond(request)
        finally:
            self.under_way -= 1

    async def me(self, request: web.Request) -> web.StreamResponse:
        name = self._name(request)
        if name is None:
            return web.json_response({"error": "unauthorized"}, status=401)
        self.asked[name].append(asyncio.get_running_loop().time())
        if name in self.answers and (answer := await self.answers[name]()) is not None:
            return answer
        return web.json_response({"customerId": name, "companyName": name, "primaryContactEmail": "a@example.com"})

    def _name(self, request: web.Request) -> str | None:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return next((name for name in self.rows if token_of(name) == token), None)


@asynccontextmanager
async def served(server: AccountsServer) -> AsyncIterator[str]:
    """Serve, and yield the base URL."""
    app = web.Application()
    app.router.add_get("/api/v1/cdrs", server.respond)
    app.router.add_get("/api/v1/me", server.me)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"
    try:
        yield server.url
    finally:
        await runner.cleanup()


@asynccontextmanager
async def accounts_of(server: AccountsServer, *more: str, **options: Any) -> AsyncIterator[Accounts]:
    """Serve, and yield the accounts of the server, and `more` that it does not know."""
    given: Any = {"rate_limits": UNLIMITED, "retry": RetryPolicy(delays=(0, 0, 0), jitter=0)} | options
    async with (
        served(server) as url,
        Accounts({name: token_of(name) for name in [*server.rows, *more]}, base_url=url, **given) as accounts,
    ):
        yield accounts


def refusing(times: int | None, retry_after: float) -> Answer:
    """Refuse so many requests, or all of them."""
    left = times

    async def answer() -> web.StreamResponse | None:
        nonlocal left
        if left == 0:
            return None
        left = None if left is None else left - 1
        return web.json_response({"error": "rate_limited"}, status=429, headers={"Retry-After": str(retry_after)})

    return answer


def error(status: int, code: str) -> Answer:
    async def answer() -> web.StreamResponse:
        return web.json_response({"error": code}, status=status)

    return answer
