"""The pytest fixture `unlimcall_sandbox`, registered through the entry point `pytest11`.

pytest imports this module at the start of every run in which the package is installed, used or not. So the module imports nothing
heavy, and does not fail if pytest-asyncio is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from unlimcall_async.sandbox import Sandbox

try:
    import pytest_asyncio
except ImportError:

    @pytest.fixture(name="unlimcall_sandbox")
    def _no_sandbox() -> NoReturn:
        """Fail the test with the command that installs pytest-asyncio, which an asynchronous fixture needs."""
        pytest.fail("the fixture `unlimcall_sandbox` needs pytest-asyncio: pip install pytest-asyncio", pytrace=False)

else:

    @pytest_asyncio.fixture(name="unlimcall_sandbox")
    async def _sandbox() -> AsyncIterator[Sandbox]:
        """A sandbox of the UnlimCall API, started for one test."""
        from unlimcall_async.sandbox import Sandbox  # noqa: PLC0415 # late on purpose

        async with Sandbox() as sandbox:
            yield sandbox
