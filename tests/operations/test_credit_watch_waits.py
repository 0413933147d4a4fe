"""The credit watch stands behind no wait without an end: over HTTP, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.operations import CreditMonitor, CreditWatch
from unlimcall_async.sandbox import Fault, Sandbox, Stall, Status

pytestmark = pytest.mark.looptime

# The wall clock stands still: what takes its time is measured by the loop's clock.
STANDSTILL = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = Status(429, headers={"Retry-After": "3600"})
FOR_GOOD = Status(429, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def patient(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client whose attempts may take a month."""
    async with AsyncClient(sandbox.token, base_url=sandbox.url, timeout=30 * 86400) as client:
        yield client


async def alerts(client: AsyncClient, count: int, *, ahead: timedelta | None = timedelta(hours=4)) -> list[str]:
    """Return so many alerts of a watch, each with the minutes since its start."""
    monitor = CreditMonitor(25, "USD", ahead=ahead)
    watch, began, seen = CreditWatch(client, monitor, clock=lambda: STANDSTILL), now(), []
    async with aclosing(aiter(watch)) as iteration:
        async for alert in iteration:
            seen.append(f"{alert.kind} {alert.state} {(now() - began) / 60:.0f}")
            if len(seen) == count:
                break
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [HOUR, FOR_GOOD, Stall(), Status(429), Status(503), Stall(after_headers=True)], ids=repr
)
async def test_the_balance_is_polled_whatever_the_call_records_wait_for(
    sandbox: Sandbox, patient: AsyncClient, fault: Fault
) -> None:
    sandbox.inject(fault, endpoint="cdrs", times=None)
    asyncio.get_running_loop().call_later(20 * 60 - 5, setattr, sandbox.account, "balance", "3")
    asyncio.get_running_loop().call_later(30 * 60 - 5, setattr, sandbox.account, "blocked", True)
    assert await alerts(patient, 2) == ["low started 20", "blocked started 30"]
    polls = [request for request in sandbox.requests if request.path.endswith("/balance")]
    assert len(polls) == 31


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    "fault", [HOUR, FOR_GOOD, Stall(), Status(429), Stall(after_headers=True), Status(200)], ids=repr
)
async def test_a_balance_that_does_not_come_is_said_in_time(
    sandbox: Sandbox, patient: AsyncClient, fault: Fault
) -> None:
    sandbox.inject(fault, endpoint="balance", times=None, skip=1)
    (alert,) = await alerts(patient, 1, ahead=None)
    # A 429 is waited out, up to the end of a poll; the jitter decides which poll is late.
    assert alert in {"stale started 15", "stale started 16" if fault == Status(429) else "stale started 15"}


async def test_so_is_one_whose_rate_limit_is_used_up_by_others(sandbox: Sandbox) -> None:
    limits = RateLimits(balance=RateLimit(1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        others = [asyncio.create_task(client.balance()) for _ in range(100)]
        assert await alerts(client, 1, ahead=None) == ["stale started 16"]
        for other in others:
            other.cancel()
        await asyncio.wait(others)


@pytest.mark.parametrize("fault", [Stall(), Stall(after_headers=True)], ids=repr)
async def test_a_request_that_hangs_is_made_anew(sandbox: Sandbox, patient: AsyncClient, fault: Fault) -> None:
    sandbox.account.balance = "3"
    sandbox.inject(fault, endpoint="balance", times=1)
    assert await alerts(patient, 1, ahead=None) == ["low started 5"]


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 520])
async def test_what_passes_by_itself_does_not_end_it(sandbox: Sandbox, patient: AsyncClient, status: int) -> None:
    sandbox.account.balance = "3"
    sandbox.inject(Status(status), endpoint="balance", times=4)
    (alert,) = await alerts(patient, 1, ahead=None)
    assert alert.startswith("low started")


async def test_the_spend_of_a_reading_that_came_late_is_used(sandbox: Sandbox, patient: AsyncClient) -> None:
    sandbox.inject(Stall(90), endpoint="cdrs", times=1)
    watch = CreditWatch(patient, monitor := CreditMonitor(25, "USD"))
    asyncio.get_running_loop().call_later(200, setattr, sandbox.account, "balance", "3")
    async with aclosing(aiter(watch)) as iteration:
        assert (await anext(iteration)).kind == "low"
    assert monitor.spend is not None
