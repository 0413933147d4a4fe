"""How long a follow waits after an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import (
    AuthenticationError,
    CheckpointError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    SuspendedError,
    TransportError,
    UnlimCallError,
    WindowSaturatedError,
    WindowTooWideError,
)
from unlimcall_async.cli.outage import Outage, may_pass, wait_asked

from .support import place_at

START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (TransportError("no connection"), True),
        (RequestTimeoutError("no response"), True),
        (ServerError(500), True),
        (ServerError(503, "engine_not_configured"), True),
        (RateLimitedError(429), True),
        (ResponseError(200, "body"), True),
        (ResponseError(302, "status"), True),
        (ResponseError(200, "count"), True),  # JSON, but not of this API
        (TransportError("a certificate that is not trusted", permanent=True), False),
        (AuthenticationError(401), False),
        (SuspendedError(403), False),
        (WindowTooWideError(400), False),
        (ResponseError(200, "calls[17].startTime"), False),
        (ResponseError(200, "calls"), False),
        (WindowSaturatedError(START, START, [], place_at(START)), False),
        (CheckpointError("damaged"), False),
    ],
)
def test_only_what_may_pass_is_waited_for(error: UnlimCallError, passing: bool) -> None:
    assert may_pass(error) is passing


def test_pauses_grow_to_a_minute() -> None:
    outage = Outage()
    assert [outage.pause(now=float(now), progress=0) for now in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_poll_in_between_ends_the_outage() -> None:
    outage = Outage(timedelta(seconds=10))
    assert [outage.pause(now=now, progress=progress) for now, progress in ((0, 0), (9, 0), (18, 1), (27, 1))] == [
        *(2, 1, 2, 1)
    ]


def test_it_gives_up_at_the_end_of_the_span_and_not_before() -> None:
    outage, now, pauses = Outage(timedelta(seconds=90)), 1000.0, []
    while (pause := outage.pause(now=now, progress=0)) is not None:
        pauses.append(pause)
        now += pause
    assert (pauses, now) == ([2, 4, 8, 16, 32, 28], 1090)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (RateLimitedError(429), 0),
        (RateLimitedError(429, retry_after=3600.0), 3600),
        (RateLimitedError(429, retry_after=1e9), 0),  # which the client does not wait for either
        (ServerError(503, retry_after=3600.0), 0),
        (TransportError("no connection"), 0),
    ],
)
def test_the_wait_that_a_429_asks_for_is_kept(error: UnlimCallError, asked: float) -> None:
    assert wait_asked(error) == asked
    assert Outage().pause(now=0.0, progress=0, asked=asked) == max(2, asked)


@pytest.mark.parametrize(("asked", "pause"), [(59, 59), (60, 60), (61, None)])
def test_a_wait_beyond_the_span_is_given_up_at_once(asked: float, pause: float | None) -> None:
    assert Outage(timedelta(seconds=60)).pause(now=0.0, progress=0, asked=asked) == pause


def test_no_patience_at_all() -> None:
    assert Outage(timedelta()).pause(now=5.0, progress=0) is None
