"""A sync that is killed goes on exactly. `python -m tests.sync.kill` kills 200 for each destination."""

from __future__ import annotations

import pytest

from tests.sync.kill import run
from tests.sync.places import Place


@pytest.mark.slow
async def test_a_killed_sync_goes_on_exactly(place: Place) -> None:
    assert await run(place, kills=2, seed=8)
