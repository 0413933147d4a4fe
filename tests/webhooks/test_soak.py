"""Each event has its effect exactly once; `python -m tests.webhooks.soak --deliveries 10000` tries it at length."""

from __future__ import annotations

import pytest

from tests.webhooks.soak import run


@pytest.mark.slow
async def test_every_event_has_its_effect_exactly_once() -> None:
    tally, wrong = await run(150, seed=3, troubles=3)
    assert (wrong, tally.lost) == ([], [])
    assert min(tally.crashes, tally.cut_off, tally.answers[500], tally.handled) > 0


@pytest.mark.slow
async def test_handlers_that_fail_now_and_then_never_cost_the_endpoint() -> None:
    tally, wrong = await run(150, seed=5, troubles=2, crashes=False)
    assert (wrong, tally.lost) == ([], [])
    assert tally.answers.keys() == {200, 500}
    assert 0 < tally.longest_run < 10
