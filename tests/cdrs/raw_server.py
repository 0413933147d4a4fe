"""A server over real HTTP whose rows are texts, which need not be valid: it knows when each row starts, whatever the text says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Literal
from zlib import crc32

from aiohttp import web
from attrs import define, field, frozen

from unlimcall_async import AsyncClient, RateLimits, RetryPolicy

Order = Literal["newest_first", "oldest_first", "arbitrary"]
ORDERS: tuple[Order, ...] = ("newest_first", "oldest_first", "arbitrary")


@frozen
class RawRow:
    """A row: when the server says that it starts, and its text in a response."""

    start: datetime
    text: bytes


async def _nothing_else(_first: datetime, _last: datetime) -> None:
    """Have the server respond with its rows."""


@define
class RawServer:
    """What the server holds, and what it was asked.

    Attributes:
        rows: The rows.
        order: How it sorts them; by their texts in arbitrary order.
        cap: The most rows of a response, whatever the limit.
        answer: Returns the response to a window instead, or `None`. An exception that it raises breaks the connection.
        date: Returns the time in the `Date` header; `None` for an empty one, which is not a date.
        asked: The windows that it was asked.
    """

    rows: list[RawRow]
    order: Order = "newest_first"
    cap: int = 1000
    answer: Callable[[datetime, datetime], Awaitable[web.Response | None]] = field(default=_nothing_else)
    date: Callable[[], datetime] | None = None
    asked: list[tuple[datetime, datetime]] = field(factory=list)

    async def respond(self, request: web.Request) -> web.Response:
        first, last = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
        self.asked.append((first, last))
        if (answer := await self.answer(first, last)) is not None:
            return answer
        within, shown = self.select(first, last, int(request.query["limit"]))
        body = b'{"count": %d, "calls": [%b]}' % (len(within), b",".join(row.text for row in shown))
        headers = {"Date": "" if self.date is None else format_datetime(self.date(), usegmt=True)}
        return web.Response(body=body, content_type="application/json", headers=headers)

    def select(self, first: datetime, last: datetime, limit: int) -> tuple[list[RawRow], list[RawRow]]:
        """Return the rows of a window, and those of them that a response has."""
        within = [row for row in self.rows if first <= row.start <= last]
        if self.order == "arbitrary":
            within.sort(key=lambda row: crc32(row.text + row.start.isoformat().encode()))
        else:
            within.sort(key=lambda row: row.start, reverse=self.order == "newest_first")
        return within, within[: min(self.cap, limit)]


@asynccontextmanager
async def served(server: RawServer, **options: object) -> AsyncIterator[AsyncClient]:
    """Serve, and yield a client without rate limits."""
    app = web.Application()
    app.router.add_get("/api/v1/cdrs", server.respond)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    named = {"rate_limits": RateLimits.unlimited(), "retry": RetryPolicy(delays=(0.001, 0.001, 0.001)), **options}
    try:
        async with AsyncClient("token", base_url=f"http://127.0.0.1:{port}/api/v1", **named) as client:  # type: ignore[arg-type]
            yield client
    finally:
        await runner.cleanup()


def good(start: datetime, number: int) -> RawRow:
    """Return a row that can be read."""
    return RawRow(start, row_text(start, f"{number}"))


def row_text(start: datetime, call_id: str, **texts: str) -> bytes:
    """Return the text of a row; `texts` are the JSON of fields that are to differ."""
    fields = {"id": f'"{call_id}"', "startTime": f'"{start.isoformat()}"', "duration": "34", "billsec": "30"} | texts
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}").encode(
        "utf-8", "surrogateescape"
    )


def evenly(count: int, start: datetime, span: timedelta) -> list[RawRow]:
    """Return so many rows that can be read, at even distances."""
    return [good(at, number) for number, at in enumerate(start + span / count * i for i in range(count))]


def ids(rows: Iterable[RawRow]) -> list[str]:
    """Return the ids of rows that can be read, in order."""
    ordered = sorted(rows, key=lambda row: row.start)
    return [row.text.split(b'"')[3].decode() for row in ordered]
