from collections.abc import AsyncIterator

import aiohttp
import pytest

from unlimcall_async.sandbox import Sandbox

from .support import Visitor


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def visitor(sandbox: Sandbox) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession() as session:
        yield Visitor(sandbox, session)
