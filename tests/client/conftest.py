"""Clients of a sandbox, that do not wait between attempts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from unlimcall_async import AsyncClient, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Sandbox

AT_ONCE = RetryPolicy(delays=(0, 0, 0), jitter=0)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        sandbox.token, base_url=sandbox.url, retry=AT_ONCE, rate_limits=RateLimits.unlimited(), timeout=10
    ) as client:
        yield client


Serve = Callable[..., Awaitable[AsyncClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return clients of a server that answers each request with the next of these bytes, and the last of them from then on.

    The server closes the connection after an answer, unless it is told to keep it.
    """
    async with AsyncExitStack() as stack:

        async def make(*answers: bytes, keep: bool = False) -> AsyncClient:
            left = list(answers)

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    while head := await reader.readuntil(b"\r\n\r\n"):
                        if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
                            await reader.readexactly(int(length[1]))
                        writer.write(left.pop(0) if len(left) > 1 else left[0])
                        if not keep:
                            break
                except asyncio.IncompleteReadError:
                    pass
                writer.close()

            server = await stack.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", 0))
            port = server.sockets[0].getsockname()[1]
            client = AsyncClient(
                "unl_test_0123456789",
                base_url=f"http://127.0.0.1:{port}",
                retry=AT_ONCE,
                rate_limits=RateLimits.unlimited(),
            )
            return await stack.enter_async_context(client)

        yield make


@pytest.fixture
async def silent_port() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that takes connections and says nothing, so that TLS never gets going; the event tells of each one."""
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], connected
