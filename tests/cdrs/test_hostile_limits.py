"""Pulls from servers with a bucket of their own. `hostile_limits` runs many."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.cdrs.hostile import BrokenError
from tests.cdrs.hostile_limits import LimitCase, run_limits

CASE = LimitCase(
    per_minute=60,
    holds=60,
    status=429,
    retry_after="right",
    closed=(0.0, 0.0),
    rows=400,
    page_size=8,
    concurrencies=(4,),
    order="newest_first",
)


@pytest.mark.slow
def test_a_server_whose_bucket_is_the_clients_never_refuses() -> None:
    assert run_limits(CASE).refused == 0


@pytest.mark.slow
def test_a_server_that_is_slower_says_so_and_all_arrives() -> None:
    story = run_limits(evolve(CASE, per_minute=45, holds=10))
    assert story.refused
    assert story.seconds >= (story.answers - 10) * 60 / 45


def test_a_pull_that_ends_early_is_noticed() -> None:
    with pytest.raises(BrokenError, match="a pull ended after"):
        run_limits(evolve(CASE, status=404, holds=1))
