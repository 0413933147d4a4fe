"""Processes that share a limit, while they are killed and their server fails, at an API that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared.crowd import show


@pytest.mark.slow
async def test_processes_that_are_killed_never_exceed_the_limit_that_they_share(tmp_path: Path) -> None:
    # A machine that is busy with other tests delays requests, so the margin is wide.
    outcome = await show(tmp_path, processes=3, minute=4, margin=1.5, per_minute=8, per_day=0, steady=1)
    assert outcome.most_a_minute <= 8
    # Requests that were under way at the refusal.
    assert outcome.after_refusal <= 1
    # A busy machine sends few. None, or a handful, would mean that nobody came through.
    assert outcome.requests >= 6
