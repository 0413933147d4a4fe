from collections.abc import AsyncIterator

import aiohttp
import pytest

from unlimcall_async.sandbox import Sandbox

from .receiving import TARGET, Receiver, receiving
from .support import Visitor


@pytest.fixture
async def visitor(sandbox: Sandbox) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession() as session:
        yield Visitor(sandbox, session)


@pytest.fixture
async def receiver(sandbox: Sandbox) -> AsyncIterator[Receiver]:
    """A receiver on this machine, to which everything goes that is subscribed for `TARGET`."""
    async with receiving() as receiver:
        sandbox.settings.deliver_to = {TARGET: receiver.url}
        yield receiver
        # Nothing may be on its way to a receiver that is gone.
        await sandbox.stop()
