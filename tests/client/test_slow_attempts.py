"""A caller that asks for less if the server is too slow: what it is told, and when."""

from __future__ import annotations

import pytest

from unlimcall_async import AsyncClient, RetryPolicy, UnlimCallError
from unlimcall_async._codec import decode
from unlimcall_async.http.caller import Wanted
from unlimcall_async.http.endpoints import ME
from unlimcall_async.http.outcome import is_slow
from unlimcall_async.http.pull import Pull
from unlimcall_async.http.retry import Patience
from unlimcall_async.models import Identity
from unlimcall_async.sandbox import (
    Close,
    Fault,
    Garbage,
    Html,
    ResetAfter,
    ResetBefore,
    Sandbox,
    Stall,
    Status,
    Truncate,
)

# Attempts may take ten seconds, which pass in no time.
pytestmark = pytest.mark.looptime

SLOW: list[Fault] = [
    Stall(), Stall(after_headers=True), Status(504), Status(524), Html(504), ResetBefore(), ResetAfter(), Close(),
]  # fmt: skip
NOT_SLOW: list[Fault] = [Status(500), Status(502), Status(503), Garbage(), Truncate()]


async def identity(body: bytes) -> Identity:
    return decode(body, Identity)


async def fetch(
    client: AsyncClient, slow_attempts: int | None, delays: int = 3
) -> tuple[list[UnlimCallError], UnlimCallError | None]:
    """Make a call, and return what `on_give_up` was told, and the error that was raised."""
    told: list[UnlimCallError] = []
    policy = RetryPolicy(delays=(0,) * delays, jitter=0, on_give_up=told.append)
    view = client.with_options(retry=policy, timeout=10)
    try:
        pull = Pull(limiter=view._caller.limiters.of("me"), patience=Patience(0))
        wanted = Wanted({}, identity, slow_attempts)
        await view._caller.pull(ME, pull, lambda: wanted)
    except UnlimCallError as error:
        return told, error
    return told, None


@pytest.mark.parametrize("fault", SLOW, ids=repr)
async def test_slow_attempts_in_a_row_end_the_call_without_an_alarm(
    sandbox: Sandbox, client: AsyncClient, fault: Fault
) -> None:
    sandbox.inject(fault, times=None)
    told, error = await fetch(client, 2)
    assert error is not None
    assert is_slow(error)
    assert (told, len(sandbox.requests)) == ([], 2)


@pytest.mark.parametrize("fault", NOT_SLOW, ids=repr)
async def test_other_failures_are_given_up_as_ever(sandbox: Sandbox, client: AsyncClient, fault: Fault) -> None:
    sandbox.inject(fault, times=None)
    told, error = await fetch(client, 2)
    assert error is not None
    assert not is_slow(error)
    assert (told, len(sandbox.requests)) == ([error], 4)


async def test_a_failure_of_another_kind_in_between_starts_the_count_anew(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    for status in (504, 500, 504):
        sandbox.inject(Status(status))
    assert await fetch(client, 2) == ([], None)
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize("delays", [0, 1])
async def test_a_call_whose_last_failure_is_slow_is_left_to_its_caller(
    sandbox: Sandbox, client: AsyncClient, delays: int
) -> None:
    sandbox.inject(Status(504), times=None)
    told, error = await fetch(client, 3, delays)
    assert error is not None
    assert is_slow(error)
    assert (told, len(sandbox.requests)) == ([], delays + 1)


async def test_without_the_option_a_slow_call_is_given_up_with_an_alarm(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(504), times=None)
    told, error = await fetch(client, None)
    assert (told, len(sandbox.requests)) == ([error], 4)


async def test_no_connection_is_not_slow(sandbox: Sandbox, client: AsyncClient) -> None:
    await sandbox.stop()
    told, error = await fetch(client, 1)
    assert error is not None
    assert not is_slow(error)
    assert told == [error]
