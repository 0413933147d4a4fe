"""A pull that is killed and goes on leaves the same file; `python -m tests.cdrs.kill` does it 50 times."""

from __future__ import annotations

from tests.cdrs.kill import run


async def test_a_killed_pull_goes_on_exactly() -> None:
    assert await run(kills=2, seed=7)
