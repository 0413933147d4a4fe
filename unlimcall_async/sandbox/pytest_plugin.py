"""The pytest fixture `unlimcall_sandbox`, registered through the entry point `pytest11`.

pytest imports this module at the start of every run in which the package is installed, used or not. So the module imports nothing
heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unlimcall_async.sandbox import Sandbox


@pytest.fixture(name="unlimcall_sandbox")
def _sandbox() -> Iterator[Sandbox]:
    """A sandbox of the UnlimCall API, started for one test. It serves from a thread, so the test may be of any kind."""
    from unlimcall_async.sandbox import Sandbox  # noqa: PLC0415 # late on purpose

    with Sandbox() as sandbox:
        yield sandbox
