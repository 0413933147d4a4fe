"""The monitor on a real stream and a real follow, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta

import pytest

from tests.operations.records import after
from unlimcall_async import AsyncClient
from unlimcall_async.operations import CarrierAlert, CarrierMonitor, Share
from unlimcall_async.sandbox import Sandbox, SandboxCall

pytestmark = pytest.mark.looptime

HOUR = 3600


def now() -> datetime:
    """The wall clock: an hour after the start when a test begins."""
    return after(HOUR + asyncio.get_running_loop().time())


@pytest.fixture(autouse=True)
def _wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        yield client


def calls(first: int, last: int, disposition: str = "ANSWERED") -> list[SandboxCall]:
    """A call each second."""
    return [SandboxCall(id=f"{at}", start_time=after(at), disposition=disposition) for at in range(first, last)]


async def alerts_of(alerts: AsyncIterator[CarrierAlert], count: int) -> list[str]:
    return [f"{alert.state} {alert.country}" for alert in [await anext(alerts) for _ in range(count)]]


async def test_history_gives_the_alerts_that_it_would_have_given(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls([*calls(0, 1500), *calls(1500, 1516, "FAILED"), *calls(1516, 3000)])
    monitor = CarrierMonitor()
    async with client.cdrs.stream(after(0), after(HOUR)) as stream:
        told = [(alert.state, alert.country, alert.at) async for alert in monitor.watch(stream)]
    # 16 of 1516 is above 1 %, and 16 of 2286 below 0.7 %.
    assert told == [
        *[("started", country, after(1515)) for country in (None, "United Kingdom")],
        *[("ended", country, after(2285)) for country in (None, "United Kingdom")],
    ]
    assert monitor.overall == Share(16, 3000)


@pytest.mark.slow
async def test_a_follow_is_watched_and_left_cleanly(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(calls(0, 1000))
    monitor, follow = CarrierMonitor(), client.cdrs.follow(after(0), interval=timedelta(seconds=30))
    asyncio.get_running_loop().call_later(600, sandbox.add_calls, calls(HOUR + 500, HOUR + 520, "FAILED"))
    async with aclosing(monitor.watch(follow)) as alerts:
        assert await alerts_of(alerts, 2) == ["started None", "started United Kingdom"]
    await asyncio.sleep(1)  # what was on its way to the server when the watcher left
    asked = len(sandbox.requests)
    await asyncio.sleep(HOUR)
    assert len(sandbox.requests) == asked
    # The follow goes on where it was, and so does the monitor.
    sandbox.add_calls(calls(HOUR + 700, HOUR + 4700))
    async with aclosing(monitor.watch(follow)) as alerts:
        assert await alerts_of(alerts, 2) == ["ended None", "ended United Kingdom"]
    assert (await client.me()).customer_id == "1042"


async def test_a_cancelled_watcher_leaves_nothing(sandbox: Sandbox, client: AsyncClient) -> None:
    monitor, follow = CarrierMonitor(), client.cdrs.follow(after(0))

    async def watch() -> None:
        async for _ in monitor.watch(follow):
            pass

    for seconds in (0.0, 10, 45):
        watching = asyncio.create_task(watch())
        await asyncio.sleep(seconds)
        watching.cancel()
        await asyncio.wait([watching])
        assert watching.cancelled()
    assert len(sandbox.requests) >= 3
