"""A receiver of webhooks for the tests: a plain server that records what comes and answers what it is told."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from attrs import define, field, frozen

from unlimcall_async.sandbox import Sandbox

from .support import Visitor

TARGET = "https://example.com/hooks/unlimcall"


@frozen
class Arrival:
    """A delivery that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def signature(self) -> str:
        return self.headers["X-Unlimcall-Signature"]

    @property
    def timestamp(self) -> int:
        return int(self.signature.removeprefix("t=").partition(",")[0])

    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Compute the signature by the reference's words alone: over `${timestamp}.${rawRequestBody}`."""
        t, v1 = self.signature.split(",")
        signed = hmac.new(secret.encode(), t.removeprefix("t=").encode() + b"." + self.body, hashlib.sha256)
        return v1 == f"v1={signed.hexdigest()}"


async def _nothing(_: Arrival) -> None:
    pass


@define
class Receiver:
    """What a running receiver holds.

    Attributes:
        url: Where it listens.
        statuses: Statuses of the next answers; 200 when there are no more.
        before: What happens before each answer.
        arrivals: What came.
    """

    url: str = ""
    statuses: Iterator[int] = field(factory=lambda: iter(()))
    before: Callable[[Arrival], Awaitable[None]] = _nothing
    arrivals: list[Arrival] = field(factory=list)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        arrival = Arrival(request.method, request.path, dict(request.headers), await request.read())
        self.arrivals.append(arrival)
        status = next(self.statuses, 200)
        await self.before(arrival)
        return web.Response(status=status, headers={"Location": self.url} if status in {301, 307} else None)

    @property
    def event_ids(self) -> list[str]:
        return [arrival.json()["eventId"] for arrival in self.arrivals]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle, access_log=None, handler_cancellation=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/local?x=1"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def subscribed(visitor: Visitor, event: str = "call.ended", target: str = TARGET) -> str:
    """Subscribe over HTTP; return the subscription's id."""
    reply = await visitor.ask("POST", "/hooks", json={"event": event, "target_url": target})
    assert reply.status == 200, reply.text
    return str(reply.json()["id"])


async def in_time(condition: Callable[[], object]) -> None:
    """Let time pass until the condition holds, on a clock that the test moves."""
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 # what the sandbox sees raises no event
            await asyncio.sleep(0.1)


def statuses_of(sandbox: Sandbox) -> list[int | str | None]:
    """What came of each attempt: its status, or why there is none."""
    return [attempt.status or attempt.error for attempt in sandbox.deliveries]
