"""The queues in front of the token buckets: which call waits, in which order, and until when.

Every waiter takes its token after it has woken, so a waiter that is cancelled changes nothing for the next.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any, Final

from attrs import define, field, fields, frozen

from unlimcall_async.http.bucket import RateLimit, TokenBucket
from unlimcall_async.http.endpoints import BucketName


def _check_limit(_limits: RateLimits, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise TypeError(f"{attribute.name} must be a RateLimit or None, not {type(value).__name__}")


# Seconds: the shortest wait. The rest that rounding leaves of a wait may be less than the loop's clock can resolve.
_TICK: Final = 0.001

# The operations guide expects 60 to 120 requests a minute on `/cdrs`, and names no figure for other endpoints. The low end is the
# safe choice for all of them.
_DEFAULT = RateLimit(per_minute=60)


@frozen(kw_only=True)
class RateLimits:
    """The rate limit of each endpoint; `None` for no limit. The default of each is 60 requests a minute."""

    me: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)
    balance: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)
    cdrs: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)
    agents: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)
    calls: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)
    hooks: RateLimit | None = field(default=_DEFAULT, validator=_check_limit)

    @classmethod
    def unlimited(cls) -> RateLimits:
        """Return no limit for any endpoint. A 429 still pauses its endpoint for as long as the server asks."""
        return cls(me=None, balance=None, cdrs=None, agents=None, calls=None, hooks=None)


class TooLateError(Exception):
    """The token would come after the time until which the caller can wait: `seconds` from now. Never leaves `http/`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@define(eq=False)
class _Waiter:
    """A place in the queue.

    Attributes:
        latest: The time until which the waiter can wait.
        scope: Ends the wait, if the token will come later than that.
    """

    latest: float
    scope: asyncio.Timeout = field(factory=lambda: asyncio.timeout(None))


class Limiter:
    """One bucket and its queue. Waiters are served in the order in which they came.

    Attributes:
        limit: The bucket's limit, `None` for no limit.
    """

    def __init__(self, limit: RateLimit | None = None) -> None:
        self.limit: RateLimit | None = limit
        self._bucket = TokenBucket(limit)
        # The lock is the queue: it is fair, and a waiter may be cancelled in it. Only its holder, the head of the queue, looks at
        # the bucket.
        self._queue = asyncio.Lock()
        self._given_back = asyncio.Event()
        # All that are in `acquire`, in the order of the queue.
        self._waiters: list[_Waiter] = []

    def wait(self) -> float:
        """Return the seconds that the head of the queue has to wait, if nothing changes meanwhile."""
        return max(0.0, self._bucket.ready_at() - _now())

    def wait_in_queue(self) -> float:
        """Return the seconds that one who comes now has to wait, if nothing changes meanwhile."""
        now = _now()
        return self._bucket.ready_behind(len(self._waiters), now) - now

    async def acquire(self, slots: asyncio.Semaphore, patience: float = math.inf) -> float:
        """Take a token and a slot, and return the loop's time at which both were taken. The caller releases the slot.

        Raises:
            TooLateError: The token will not come within `patience` seconds. This is known at once, or when a 429 pauses the bucket.
        """
        now = _now()
        ready = self._bucket.ready_behind(len(self._waiters), now)
        if ready > now + patience:
            raise TooLateError(ready - now)
        waiter = _Waiter(now + patience)
        self._waiters.append(waiter)
        try:
            async with waiter.scope:
                return await self._acquire(slots)
        except TimeoutError:
            if not waiter.scope.expired():
                raise
        finally:
            self._waiters.remove(waiter)
        raise TooLateError(self.wait_in_queue())

    async def _acquire(self, slots: asyncio.Semaphore) -> float:
        """Wait in the queue, and take a token and a slot.

        The token is taken last, at the moment of sending. If the token came before the wait for a slot, calls would hold tokens
        while they wait. Later they would be sent all at once, and would pass by a 429 that came meanwhile.
        """
        async with self._queue:
            while True:
                await self._until_ready()
                await slots.acquire()
                # Nothing is awaited between this check and `take`, so the token cannot be lost or taken twice.
                now = _now()
                if self._bucket.ready_at() <= now:
                    self._bucket.take(now)
                    return now
                slots.release()

    async def _until_ready(self) -> None:
        # Check again after each wait: meanwhile a 429 may have paused the bucket, or a token may have come back.
        while (wait := self.wait()) > 0:
            self._given_back.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _TICK)):
                    await self._given_back.wait()

    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""
        self._bucket.give_back(taken_at)
        self._given_back.set()

    def pause(self, seconds: float) -> None:
        """Grant no token for so many seconds."""
        now = _now()
        self._bucket.pause(now + seconds)
        # Those for whom the pause is too long leave the queue, and the others move up.
        ahead = 0
        for waiter in self._waiters:
            if self._bucket.ready_behind(ahead, now) <= waiter.latest:
                ahead += 1
            elif waiter.scope.when() is None:
                waiter.scope.reschedule(now)


class ShareLimiter(Limiter):
    """A share of another limiter's tokens, for work that must leave the rest to other calls.

    Attributes:
        limit: The limit of the share: so much of the whole limit, and at least one request.
    """

    def __init__(self, whole: Limiter, share: float) -> None:
        def part(count: int | None) -> int | None:
            return None if count is None else max(1, int(count * share))

        limit = whole.limit
        if limit is not None:
            limit = RateLimit(max(1, int(limit.per_minute * share)), part(limit.per_day), part(limit.burst))
        super().__init__(limit)
        self._whole = whole

    def wait(self) -> float:
        """Return the seconds that the head of the queue has to wait, if nothing changes meanwhile."""
        return max(super().wait(), self._whole.wait())

    def wait_in_queue(self) -> float:
        """Return the seconds that one who comes now has to wait, if nothing changes meanwhile."""
        return max(super().wait_in_queue(), self._whole.wait_in_queue())

    async def _acquire(self, slots: asyncio.Semaphore) -> float:
        """Take a token of the share, a token of the whole and a slot."""
        async with self._queue:
            # Only the head of the queue takes tokens of the share, so a token that is ready stays ready while the whole is waited
            # for.
            await self._until_ready()
            taken_at = await self._whole.acquire(slots)
            self._bucket.take(taken_at)
            return taken_at

    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""
        super().give_back(taken_at)
        self._whole.give_back(taken_at)

    def pause(self, seconds: float) -> None:
        """Grant no token of the whole for so many seconds, and so none of the share."""
        self._whole.pause(seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()


class Limiters:
    """The limiters of all endpoints: one each, so that a full queue does not delay the calls of other endpoints."""

    def __init__(self, limits: RateLimits) -> None:
        self._by_name = {attribute.name: Limiter(getattr(limits, attribute.name)) for attribute in fields(RateLimits)}
        self._shares: dict[tuple[BucketName, float], ShareLimiter] = {}

    def of(self, bucket: BucketName | None) -> Limiter:
        """Return the limiter of a bucket, or a new one without a limit for `None`, the bucket of an undocumented path."""
        return Limiter() if bucket is None else self._by_name[bucket]

    def share_of(self, bucket: BucketName, share: float) -> Limiter:
        """Return the limiter for a share of a bucket: the same one for all calls that keep to this share, together."""
        if (bucket, share) not in self._shares:
            self._shares[bucket, share] = ShareLimiter(self._by_name[bucket], share)
        return self._shares[bucket, share]
