"""How late records come, and what a follow says of it: over HTTP, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import AsyncClient, CdrFollow, RateLimit, RateLimits
from unlimcall_async.cdrs.lateness import Lateness
from unlimcall_async.cdrs.times import SECOND
from unlimcall_async.sandbox import ResetAfter, Sandbox, SandboxCall

START = datetime(2026, 6, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def now() -> datetime:
    return START + timedelta(days=1, seconds=asyncio.get_running_loop().time())


@pytest.fixture
async def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncClient]:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits(cdrs=RateLimit(60))) as client:
        yield client


def appear(sandbox: Sandbox, started_ago: timedelta, after: timedelta) -> None:
    """Add a record, after some time, whose call started before the present."""
    start = now() - started_ago
    call = SandboxCall(id=f"{started_ago} {after}", start_time=start.replace(microsecond=0))
    asyncio.get_running_loop().call_later(after.total_seconds(), sandbox.add_calls, [call])


async def take(follow: CdrFollow, count: int) -> None:
    taken = 0
    async for _ in follow:
        taken += 1
        if taken == count:
            return


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_record_near_the_end_of_the_lookback_is_one_warning(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    follow = client.cdrs.follow(START, lookback=HOUR)
    appear(sandbox, HOUR, timedelta(0))  # the history says nothing
    appear(sandbox, timedelta(0), 5 * MINUTE)
    await take(follow, 2)
    stats = follow.stats
    assert stats.late == 1
    assert stats.latest_s == stats.late_p99_s == pytest.approx(300, abs=31)
    for ago in (50 * MINUTE, 55 * MINUTE):
        appear(sandbox, ago, 2 * MINUTE)
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        await take(follow, 2)
        await take_some_polls(follow)
    (message,) = [text for text in caplog.messages if "lookback" in text]
    assert message.startswith("a call record appeared 33")  # 57 minutes, less the time since the poll before
    assert "lookback is 3600 s" in message
    assert follow.stats.latest_s == pytest.approx(57 * 60, abs=31)


async def take_some_polls(follow: CdrFollow) -> None:
    asyncio.get_running_loop().call_later(300, lambda: asyncio.ensure_future(follow.aclose()))
    await take(follow, 1)


@pytest.mark.looptime
async def test_what_an_outage_has_held_up_is_not_late(sandbox: Sandbox, client: AsyncClient) -> None:
    follow = client.cdrs.follow(START, lookback=HOUR)
    appear(sandbox, HOUR, timedelta(0))
    await take(follow, 1)
    sandbox.inject(ResetAfter(), endpoint="cdrs", times=None)
    appear(sandbox, timedelta(0), 10 * MINUTE)
    appear(sandbox, -20 * MINUTE, 30 * MINUTE)
    with pytest.raises(Exception, match="/cdrs"):
        await take(follow, 1)
    await asyncio.sleep(5 * 3600)
    sandbox.clear_faults()
    await take(follow, 2)
    # Both appeared after the last poll before the outage. Nobody knows how much later.
    assert follow.stats.late <= 1
    assert (follow.stats.latest_s or 0) < 60


@given(st.lists(st.integers(1, 10**11), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_right_to_a_tenth(late: list[int], share: float) -> None:
    lateness = Lateness()
    for each in [0, -SECOND, *late]:
        lateness.add(each)
    assert (lateness.count, lateness.latest) == (len(late), max(late))
    exact = next(each for rank, each in enumerate(sorted(late), 1) if rank >= share * len(late)) / SECOND
    found = lateness.within(share)
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.1
    assert Lateness().within(share) is None
