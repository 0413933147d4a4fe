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
from unlimcall_async.cli.outage import Outage, may_pass

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


def test_no_patience_at_all() -> None:
    assert Outage(timedelta()).pause(now=5.0, progress=0) is None
