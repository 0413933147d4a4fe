"""A sandbox with calls in it, and a client that neither waits nor slows down."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from unlimcall_async import AsyncClient, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    retry, limits = RetryPolicy(delays=(0, 0, 0)), RateLimits.unlimited()
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=retry, rate_limits=limits) as client:
        yield client
