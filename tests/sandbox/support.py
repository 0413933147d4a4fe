"""How the tests talk to a sandbox: through a plain aiohttp session, never through our own client. And generated traffic."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from attrs import frozen
from yarl import URL

from unlimcall_async.sandbox import Sandbox, SandboxCall, TrafficKind, generate_traffic

NOON = datetime(2026, 5, 24, 12, tzinfo=UTC)

# The range of generated traffic.
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)

# Every documented operation as method, path, scope and a body that it accepts.
OPERATIONS: list[tuple[str, str, str | None, dict[str, str] | None]] = [
    ("GET", "/me", None, None),
    ("GET", "/balance", "read:balance", None),
    ("GET", "/cdrs", "read:cdrs", None),
    ("GET", "/agents", "read:agents", None),
    ("POST", "/calls", "write:calls", {"aiAgentId": "27", "toNumber": "+14155551234"}),
    ("POST", "/hooks", "write:hooks", {"event": "call.ended", "target_url": "https://example.com/hooks/unlimcall"}),
    ("DELETE", "/hooks/8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31", "write:hooks", None),
]

A_CALL = OPERATIONS[4][3]


@frozen
class Reply:
    """An answer that arrived whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of an error in the flat shape."""
        return self.status, self.json()["error"]


class Visitor:
    """Asks a sandbox over HTTP."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def ask(self, method: str, path: str, *, token: str | None = None, **options: Any) -> Reply:
        """Send a request with the sandbox's token, or with another one."""
        headers = {"Authorization": f"Bearer {token or self.sandbox.token}"}
        url = self.sandbox.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as response:
            return Reply(response.status, response.headers, await response.text())

    async def get(self, path: str, **query: str) -> Reply:
        return await self.ask("GET", path, params=query)

    async def call(self) -> Reply:
        """Place a call: the request whose effect is easy to see, and which aiohttp never repeats by itself."""
        return await self.ask("POST", "/calls", json=A_CALL)

    async def ids(self, **query: str) -> list[str]:
        """Ask for call records and return their ids."""
        reply = await self.get("/cdrs", **query)
        assert reply.status == 200, reply.text
        return [row["id"] for row in reply.json()["calls"]]


def fields(name: str, *values: Any) -> list[dict[str, Any]]:
    """Return one field with each of these values."""
    return [{name: value} for value in values]


def call_at(name: str, seconds: float = 0) -> SandboxCall:
    """Return a record that starts some seconds after noon."""
    return SandboxCall(id=name, start_time=NOON + timedelta(seconds=seconds))


def at(seconds: float = 0) -> str:
    """Return a time some seconds after noon as a query parameter."""
    return (NOON + timedelta(seconds=seconds)).isoformat()


def port_of(sandbox: Sandbox) -> int:
    """Return the port, for what goes beside HTTP."""
    return URL(sandbox.url).port or 0


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds; what the server sees raises no event that could be waited for."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 # as above
            await asyncio.sleep(0)


def traffic(kind: TrafficKind, calls: int = 3000, seed: int = 0) -> list[SandboxCall]:
    return generate_traffic(calls, start=START, end=END, seed=seed, kind=kind)


def shared(values: Iterable[object]) -> int:
    """Return how many values are there more than once."""
    return sum(count for count in Counter(values).values() if count > 1)
