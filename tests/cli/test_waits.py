"""Long waits for a rate limit, as the command line tells them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import LimitState, RateLimit
from unlimcall_async.cli.waits import Waits
from unlimcall_async.sandbox import ResetBefore, Sandbox, Status

from .support import run_process

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


# --- $UNLIMCALL_LOG -------------------------------------------------------------------------------------------------------


def bare(err: str) -> list[str]:
    """Return the lines of a log without their times and figures. Each line must have a time."""
    logged = re.findall(r"^[0-9-]{10} [0-9:,]{12} (.*)$", err, re.MULTILINE)
    return [re.sub(r"[0-9.]+ (ms|s)\b", r"N \1", line) for line in logged]


SENT = "DEBUG unlimcall_async: GET /me: 200 in N ms (attempt 1, waited N s)"
FAILED = "DEBUG unlimcall_async: GET /me: 500 ServerError in N ms (attempt 1, waited N s)"
AGAIN = "INFO unlimcall_async: GET /me will be tried again in N s, after 500"
SENT_AGAIN = SENT.replace("attempt 1", "attempt 2")


@pytest.mark.parametrize(
    ("level", "lines"),
    [("debug", [FAILED, AGAIN, SENT_AGAIN]), ("info", [AGAIN]), ("", []), ("DEBUG ", [FAILED, AGAIN, SENT_AGAIN])],
)
async def test_the_log_is_on_if_the_environment_says_so_each_line_once(level: str, lines: list[str]) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(500), endpoint="me")
        status, _, err = await run_process(sandbox, "me", UNLIMCALL_LOG=level)
    assert (status, bare(err), len(err.splitlines())) == (0, lines, len(lines)), err


@pytest.mark.slow
async def test_a_wait_for_the_network_is_told_once_with_the_log_and_without() -> None:
    for level in ("", "info", "debug"):
        async with Sandbox() as sandbox:
            sandbox.inject(ResetBefore(), endpoint="me")
            status, _, err = await run_process(sandbox, "me", UNLIMCALL_LOG=level)
        assert (status, err.count("will be tried again")) == (0, 1), err


async def test_a_pull_logs_each_request_and_nothing_if_it_is_quiet() -> None:
    pull = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02"]
    async with Sandbox() as sandbox:
        _, _, err = await run_process(sandbox, *pull, UNLIMCALL_LOG="debug")
        asked = len(sandbox.requests)
        quiet = await run_process(sandbox, *pull, "--quiet", UNLIMCALL_LOG="debug")
    assert sum("DEBUG unlimcall_async: GET /cdrs: 200" in line for line in bare(err)) == asked > 0
    assert quiet[2] == ""


async def test_a_value_that_is_not_a_level_is_a_warning() -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run_process(sandbox, "me", UNLIMCALL_LOG="1")
    assert (status, err) == (0, "UNLIMCALL_LOG must be debug or info, and is ignored\n")
