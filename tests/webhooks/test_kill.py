"""A receiver that is killed loses nothing and repeats no effect; `python -m tests.webhooks.kill` kills 30."""

from __future__ import annotations

import pytest

from tests.webhooks.kill import run


@pytest.mark.slow
async def test_a_killed_receiver_loses_nothing_and_repeats_nothing() -> None:
    killing, wrong = await run(events=60, kills=3, seed=5)
    assert wrong == []
    assert killing.restarts >= 4
