"""Clients of a sandbox, that do not wait between attempts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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
