"""A client that is watched by the SDK of OpenTelemetry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.telemetry.backend import Backend
from unlimcall_async import AsyncClient, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Sandbox


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
async def client(sandbox: Sandbox, backend: Backend) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        sandbox.token,
        base_url=sandbox.url,
        retry=RetryPolicy(delays=(0, 0, 0)),
        rate_limits=RateLimits.unlimited(),
        observer=backend.observer(),
    ) as client:
        yield client
