"""Long waits for a rate limit, as the command line tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import LimitState, RateLimit
from unlimcall_async.cli.waits import Waits

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def state(next_in_s: float, waiting: int = 1) -> LimitState:
    return LimitState(RateLimit(60), 0, next_in_s, 0.0, waiting, next_in_s)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (45, "until 12:00:45 UTC (45 s)"),
        (1800, "until 12:30 UTC (30 min)"),
        (86400, "until 2026-11-29 12:00 UTC (24 h)"),
    ],
)
def test_a_long_wait_is_a_line_that_says_until_when(seconds: float, words: str) -> None:
    assert Waits().line("cdrs", state(seconds), NOW) == f"Waiting for the rate limit of cdrs {words}."


def test_a_wait_is_told_once_and_again_if_it_becomes_longer() -> None:
    waits = Waits()
    assert waits.line("cdrs", state(100), NOW) is not None
    assert waits.line("cdrs", state(90), NOW + timedelta(seconds=10)) is None
    assert waits.line("balance", state(100), NOW) is not None
    assert waits.line("cdrs", state(600), NOW + timedelta(seconds=20)) is not None


def test_a_short_wait_and_a_limit_that_nobody_waits_for_are_no_line() -> None:
    assert Waits().line("cdrs", state(5), NOW) is None
    assert Waits().line("cdrs", state(500, waiting=0), NOW) is None
