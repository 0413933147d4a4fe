"""A share of a rate limit, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from unlimcall_async import RateLimit, RateLimits
from unlimcall_async.http.limiter import Limiter, LocalLimiter, ShareLimiter
from unlimcall_async.http.limiters import Limiters

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def take(limiter: Limiter, count: int = 1) -> list[float]:
    """Take tokens one after the other; when each was taken."""
    slots = asyncio.Semaphore(count)
    return [await limiter.acquire(slots) for _ in range(count)]


async def test_a_share_takes_its_part_and_leaves_the_rest() -> None:
    whole = LocalLimiter(RateLimit(10, burst=10))
    share = ShareLimiter(whole, 0.5)
    assert share.limit == RateLimit(5, burst=5)
    times = await take(share, 6)
    assert times[:5] == [0] * 5
    assert times[5] >= 60
    assert (await take(whole, 5))[-1] == times[5]  # nobody has waited for the share


async def test_a_share_of_little_is_one_request() -> None:
    share = ShareLimiter(LocalLimiter(RateLimit(1, per_day=1, burst=1)), 0.5)
    assert share.limit == RateLimit(1, per_day=1, burst=1)
    assert ShareLimiter(LocalLimiter(RateLimit(60, per_day=1000, burst=10)), 0.5).limit == RateLimit(30, 500, 5)
    assert ShareLimiter(LocalLimiter(None), 0.5).limit is None


async def test_a_share_waits_for_the_whole_too() -> None:
    whole = LocalLimiter(RateLimit(10, burst=10))
    share = ShareLimiter(whole, 0.5)
    await take(whole, 10)
    assert share.wait() == whole.wait() > 0
    assert (await take(share))[0] >= 6


async def test_the_wait_of_a_share_is_the_longer_one() -> None:
    whole = LocalLimiter(RateLimit(10, burst=10))
    share = ShareLimiter(whole, 0.5)
    await take(share, 5)
    assert whole.wait() == 0
    assert share.wait() >= 12


async def test_a_token_that_comes_back_comes_back_to_both() -> None:
    whole = LocalLimiter(RateLimit(2, burst=2))
    share = ShareLimiter(whole, 0.5)
    (taken_at,) = await take(share)
    await take(whole)
    share.give_back(taken_at)
    assert share.wait() == whole.wait() == 0
    assert await take(share) == [0]


async def test_a_pause_of_a_share_is_one_of_the_whole() -> None:
    whole = LocalLimiter(RateLimit(10, burst=10))
    share = ShareLimiter(whole, 0.5)
    await share.pause(30)
    assert whole.wait() == share.wait() == 30
    assert await take(share) == [30]


async def test_a_waiter_that_is_cancelled_takes_nothing_of_either() -> None:
    whole = LocalLimiter(RateLimit(4, burst=4))
    share = ShareLimiter(whole, 0.5)
    await take(share, 2)
    task = asyncio.create_task(take(share))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert await take(whole, 2) == [1, 1]


async def test_all_that_ask_for_a_share_get_the_same() -> None:
    limiters = Limiters.local(RateLimits(cdrs=RateLimit(10)))
    assert limiters.share_of("cdrs", 0.5) is limiters.share_of("cdrs", 0.5)
    assert limiters.share_of("cdrs", 0.5) is not limiters.share_of("me", 0.5)
