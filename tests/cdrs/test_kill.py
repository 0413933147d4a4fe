"""A pull or a follow that is killed and goes on leaves the same records.

`python -m tests.cdrs.kill` and `python -m tests.cdrs.follow_kill` do it 50 times.
"""

from __future__ import annotations

import pytest

from tests.cdrs import follow_kill
from tests.cdrs.kill import run


@pytest.mark.slow
async def test_a_killed_pull_goes_on_exactly() -> None:
    assert await run(kills=2, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("command", [False, True])
async def test_a_killed_follow_goes_on_exactly(command: bool) -> None:
    assert await follow_kill.run(kills=3, seed=7, command=command)
