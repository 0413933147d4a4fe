"""The queues in front of the token buckets: who waits, in which order, and until when."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from attrs import field, fields, frozen

from unlimcall_async.http.bucket import RateLimit, TokenBucket
from unlimcall_async.http.endpoints import BucketName


def _check_limit(_limits: RateLimits, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise TypeError(f"{attribute.name} must be a RateLimit or None, not {type(value).__name__}")


# The shortest wait, in seconds. What is left of a wait by rounding may be less than the loop's clock can tell.
_TICK: Final = 0.001

# The operations guide expects 60 to 120 requests a minute on `/cdrs` and names no other figure. The low end is right for all.
_DOCUMENTED = RateLimit(per_minute=60)


@frozen(kw_only=True)
class RateLimits:
    """The limit of each endpoint, `None` for none. The defaults suit what the operations guide documents."""

    me: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)
    balance: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)
    cdrs: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)
    agents: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)
    calls: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)
    hooks: RateLimit | None = field(default=_DOCUMENTED, validator=_check_limit)

    @classmethod
    def unlimited(cls) -> RateLimits:
        """Give no limits at all. An answer 429 still stops its endpoint for as long as it says."""
        return cls(me=None, balance=None, cdrs=None, agents=None, calls=None, hooks=None)


class Limiter:
    """One bucket and its queue. Waiters are served in order; one that is cancelled takes no token.

    Attributes:
        limit: What the bucket allows, `None` for anything.
    """

    def __init__(self, limit: RateLimit | None = None) -> None:
        self.limit: RateLimit | None = limit
        self._bucket = TokenBucket(limit)
        # Only the head of the queue looks at the bucket. The lock is the queue: fair, and safe to be cancelled in.
        self._queue = asyncio.Lock()
        self._given_back = asyncio.Event()

    def wait(self) -> float:
        """Tell how many seconds the head of the queue has to wait, as things stand."""
        return max(0.0, self._bucket.ready_at() - _now())

    async def acquire(self, slots: asyncio.Semaphore) -> float:
        """Wait for a token and for a free slot, and give the loop's time at which both were taken.

        The token comes last, at the moment of sending. Taken before the wait for a slot, tokens would pile up there, go out at
        once later on, and pass by a 429 that came meanwhile. The slot is the caller's to release.
        """
        async with self._queue:
            while True:
                await self._until_ready()
                await slots.acquire()
                # Nothing is awaited between this look and the grip, so the token cannot be lost or taken twice.
                now = _now()
                if self._bucket.ready_at() <= now:
                    self._bucket.take(now)
                    return now
                slots.release()

    async def _until_ready(self) -> None:
        # Look again after each wait: a 429 may have paused the bucket meanwhile, or a token have come back.
        while (wait := self.wait()) > 0:
            self._given_back.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _TICK)):
                    await self._given_back.wait()

    def give_back(self, taken_at: float) -> None:
        """Return the token of a request that was never sent."""
        self._bucket.give_back(taken_at)
        self._given_back.set()

    def pause(self, seconds: float) -> None:
        """Let nobody through for so many seconds."""
        self._bucket.pause(_now() + seconds)


class ShareLimiter(Limiter):
    """A part of another limiter's tokens, for work that must leave the rest to others.

    Attributes:
        limit: What the share allows: so much of the whole, and one request at least.
    """

    def __init__(self, whole: Limiter, share: float) -> None:
        super().__init__(None if whole.limit is None else _part_of(whole.limit, share))
        self._whole = whole

    def wait(self) -> float:
        """Tell how many seconds the head of the queue has to wait, as things stand."""
        return max(super().wait(), self._whole.wait())

    async def acquire(self, slots: asyncio.Semaphore) -> float:
        """Wait for a token of the share, and then for one of the whole and a free slot: see `Limiter.acquire`."""
        async with self._queue:
            # Only the head of the queue takes tokens of the share, so one that is ready stays so while the whole is waited for.
            await self._until_ready()
            taken_at = await self._whole.acquire(slots)
            self._bucket.take(taken_at)
            return taken_at

    def give_back(self, taken_at: float) -> None:
        """Return the token of a request that was never sent."""
        super().give_back(taken_at)
        self._whole.give_back(taken_at)

    def pause(self, seconds: float) -> None:
        """Let nobody through for so many seconds, also not those with a token of the whole."""
        self._whole.pause(seconds)


def _part_of(limit: RateLimit, share: float) -> RateLimit:
    def part(count: int | None) -> int | None:
        return None if count is None else max(1, int(count * share))

    return RateLimit(max(1, int(limit.per_minute * share)), part(limit.per_day), part(limit.burst))


def _now() -> float:
    return asyncio.get_running_loop().time()


class Limiters:
    """The queues of all endpoints: apart, so that one that is full does not delay the others."""

    def __init__(self, limits: RateLimits) -> None:
        self._by_name = {attribute.name: Limiter(getattr(limits, attribute.name)) for attribute in fields(RateLimits)}
        self._shares: dict[tuple[BucketName, float], ShareLimiter] = {}

    def of(self, bucket: BucketName | None) -> Limiter:
        """Give the queue of an endpoint. For a path that is no endpoint's, an open one that serves a single call."""
        return Limiter() if bucket is None else self._by_name[bucket]

    def share_of(self, bucket: BucketName, share: float) -> Limiter:
        """Give the queue of all that keeps to a share of an endpoint's limit, together."""
        if (bucket, share) not in self._shares:
            self._shares[bucket, share] = ShareLimiter(self._by_name[bucket], share)
        return self._shares[bucket, share]
