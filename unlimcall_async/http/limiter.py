"""The queues in front of the token buckets: which call waits, in which order, and until when.

Every waiter takes its token after it has woken, so a waiter that is cancelled changes nothing for the next.
"""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable
from contextlib import suppress
from typing import Final, Protocol

from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.rate_limits import MINUTE, LimitState, RateLimit
from unlimcall_async.http.turns import Turns, Waiter

# Seconds: the shortest wait. The rest that rounding leaves of a wait may be less than the loop's clock can resolve.
_TICK: Final = 0.001


class TooLateError(Exception):
    """The token would come after the time until which the caller can wait: `seconds` from now. Never leaves `http/`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Outlook(Protocol):
    """What a bucket shows of the time to come. All times are the loop's. See `TokenBucket`."""

    @property
    def paused_until(self) -> float:
        """The time before which no token is granted."""
        ...

    def ready_at(self) -> float:
        """Return the time from which the next token may be taken."""
        ...

    def ready_behind(self, ahead: int, now: float) -> float:
        """Return when a token may be taken by one who waits behind `ahead` others, if all take theirs as early as they can."""
        ...

    def free(self, now: float) -> int | None:
        """Return how many tokens can be taken at this time; `None` for any number."""
        ...

    def seconds_for(self, requests: float, now: float) -> float:
        """Return the seconds until the last of so many further requests may go out, at the present pace and without bursts."""
        ...

    def rate(self, now: float) -> float | None:
        """Return the requests a second that the server is believed to take; `None` if there is no such belief."""
        ...

    def is_idle(self, now: float) -> bool:
        """Return whether a new bucket would grant the same."""
        ...


class Limiter(ABC):
    """The queue in front of one bucket, wherever the bucket is.

    Args:
        limit: The bucket's limit, `None` for no limit.
        outlook: What is known of the bucket.

    Attributes:
        limit: The bucket's limit, `None` for no limit.
    """

    def __init__(self, limit: RateLimit | None, outlook: Outlook) -> None:
        self.limit: RateLimit | None = limit
        self._outlook = outlook
        # While somebody waits, only the head of the queue takes tokens.
        self._queue = Turns()

    # --- how long -----------------------------------------------------------------------------------------------------

    def wait(self) -> float:
        """Return the seconds that the head of the queue has to wait, if nothing changes meanwhile."""
        return max(0.0, self._outlook.ready_at() - _now())

    def wait_in_queue(self, party: Hashable = None) -> float:
        """Return the seconds that one of a party who comes now has to wait, if nothing changes and no others come."""
        now = _now()
        return self._outlook.ready_behind(self._queue.ahead_of(party), now) - now

    def wait_of(self, party: Hashable) -> float | None:
        """Return the seconds that the first waiter of a party has still to wait; `None` if the party does not wait."""
        now = _now()
        for ahead, waiter in enumerate(self._queue.in_order()):
            if waiter.party == party:
                return self._outlook.ready_behind(ahead, now) - now
        return None

    def free(self) -> float:
        """Return how many requests could go out now, in addition to those that wait."""
        free = self._outlook.free(_now())
        return math.inf if free is None else max(0, free - len(self._queue))

    def seconds_for(self, requests: float) -> float:
        """Return the seconds until the last of so many further requests may go out, at the present pace and without bursts."""
        return self._outlook.seconds_for(requests, _now())

    def state(self) -> LimitState:
        """Return the state at this moment."""
        now = _now()
        outlook = self._outlook
        rate = outlook.rate(now)
        return LimitState(
            limit=self.limit,
            free=outlook.free(now),
            ready_in_s=self.wait_in_queue(),
            paused_for_s=max(0.0, outlook.paused_until - now),
            waiting=len(self._queue),
            next_in_s=self.wait(),
            pace_per_minute=None if rate is None else rate * MINUTE,
        )

    @property
    def waits(self) -> bool:
        """Whether a request waits."""
        return len(self._queue) > 0

    def is_idle(self) -> bool:
        """Return whether nothing waits, and a new limiter would grant the same."""
        return not self.waits and self._outlook.is_idle(_now())

    # --- tokens -------------------------------------------------------------------------------------------------------

    async def acquire(
        self, slots: asyncio.Semaphore, patience: float = math.inf, party: Hashable = None, *, again: bool = False
    ) -> float:
        """Take a token and a slot, and return the loop's time at which both were taken. The caller releases the slot.

        Args:
            slots: The slots.
            patience: How many seconds the caller can wait.
            party: The stream or follow that asks; `None` for a single call.
            again: Whether the request was refused before, and goes before others of its party.

        Raises:
            TooLateError: The token will not come within `patience` seconds. This is known at once, or when a 429 pauses the bucket.
        """
        if not self.waits and (taken_at := await self._take_at_once(slots)) is not None:
            return taken_at
        now = _now()
        party = object() if party is None else party
        if patience < math.inf and (ready := self._soonest(party, now)) > now + patience:
            raise TooLateError(ready - now)
        scope = asyncio.timeout(None)
        waiter = Waiter(party, now + patience, scope)
        self._queue.add(waiter, first=again)
        served = False
        try:
            async with scope:
                await waiter.turn.wait()
                taken_at = await self._take(slots, party)
                served = True
                return taken_at
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._queue.remove(waiter, served=served)
        raise self._too_late()

    def _too_late(self) -> Exception:
        return TooLateError(self.wait_in_queue())

    def _soonest(self, party: Hashable, now: float) -> float:
        """Return the earliest time at which one of a party who comes now can have a token."""
        return self._outlook.ready_behind(self._queue.ahead_of(party), now)

    def _send_away(self, now: float) -> None:
        """End the waits of those to whom the token would come too late. The others move up."""
        ahead = 0
        for waiter in self._queue.in_order():
            if self._outlook.ready_behind(ahead, now) <= waiter.latest:
                ahead += 1
            elif waiter.scope is not None and ((ends := waiter.scope.when()) is None or ends > now):
                waiter.scope.reschedule(now)

    async def _take_at_once(self, slots: asyncio.Semaphore) -> float | None:  # noqa: ARG002 # for those that take one
        """Take a token and a slot if nothing has to be waited for, as nobody waits. Return `None` if neither was taken."""
        return None

    @abstractmethod
    async def _take(self, slots: asyncio.Semaphore, party: Hashable) -> float:
        """Wait as the head of the queue, and take a token and a slot. Return the loop's time that names the token."""

    @abstractmethod
    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""

    # --- what the server says -----------------------------------------------------------------------------------------

    @abstractmethod
    def dense(self) -> bool:
        """Return whether requests go out so fast that a server may have too many, or the server has just had too many."""

    @abstractmethod
    async def refused(self, granted_at: float, seconds: float) -> int:
        """Slow down after a refusal, and grant no token for the seconds that the server asks for, also if the caller is cancelled.

        The same refusal may be noted twice: by its head, and once it is complete. Return how many rounds of refusals there were
        since the server last accepted a request.
        """

    @abstractmethod
    def accepted(self, granted_at: float) -> None:
        """Take note that the server has not refused a request."""

    @abstractmethod
    def failed(self, granted_at: float) -> None:
        """Take note that a request has failed, and was not refused."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Grant no token for so many seconds."""

    async def aclose(self) -> None:  # noqa: B027 # most limiters have nothing to close
        """Close what the limiter has opened. Nothing waits in it any more."""


class LocalLimiter(Limiter):
    """A bucket of this process and its queue."""

    def __init__(self, limit: RateLimit | None = None) -> None:
        self._bucket = TokenBucket(limit)
        super().__init__(limit, self._bucket)
        self._given_back = asyncio.Event()

    async def _take_at_once(self, slots: asyncio.Semaphore) -> float | None:
        """Take a token and a slot if both are free, without a place in the queue, which costs more than all of this."""
        now = _now()
        if slots.locked() or self._bucket.ready_at() > now:
            return None
        await slots.acquire()  # which goes on at once, because a slot is free
        self._bucket.take(now)
        return now

    async def _take(self, slots: asyncio.Semaphore, party: Hashable) -> float:  # noqa: ARG002 # a share passes it on
        """Wait as the head of the queue, and take a token and a slot.

        The token is taken last, at the moment of sending. If the token came before the wait for a slot, calls would hold tokens
        while they wait. Later they would be sent all at once, and would pass by a 429 that came meanwhile.
        """
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
        while (wait := self._bucket.ready_at() - _now()) > 0:
            self._given_back.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _TICK)):
                    await self._given_back.wait()

    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""
        self._bucket.give_back(taken_at)
        self._given_back.set()

    # --- what the server says -----------------------------------------------------------------------------------------

    def dense(self) -> bool:
        """Return whether requests go out so fast that a server may have too many, or the server has just had too many."""
        return self._bucket.pace.streak > 0 or self._bucket.dense(_now())

    async def refused(self, granted_at: float, seconds: float) -> int:
        """Slow down after a refusal. Return how many rounds of refusals there were since the server last accepted a request."""
        now = _now()
        self._bucket.refused(granted_at, now)
        self._bucket.pause(now + seconds)
        self._send_away(now)
        return self._bucket.pace.streak

    def accepted(self, granted_at: float) -> None:
        """Take note that the server has not refused a request."""
        self._bucket.accepted(granted_at, _now())

    def failed(self, granted_at: float) -> None:
        """Take note that a request has failed, and was not refused."""
        self._bucket.failed(granted_at)

    async def pause(self, seconds: float) -> None:
        """Grant no token for so many seconds."""
        now = _now()
        self._bucket.pause(now + seconds)
        self._send_away(now)


class ShareLimiter(LocalLimiter):
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

    def wait_in_queue(self, party: Hashable = None) -> float:
        """Return the seconds that one of a party who comes now has to wait, if nothing changes and no others come."""
        return max(super().wait_in_queue(party), self._whole.wait_in_queue(party))

    def wait_of(self, party: Hashable) -> float | None:
        """Return the seconds that the first waiter of a party has still to wait; `None` if the party does not wait."""
        own = super().wait_of(party)
        return None if own is None else max(own, self._whole.wait_of(party) or 0.0)

    def free(self) -> float:
        """Return how many requests could go out now, in addition to those that wait."""
        return min(super().free(), self._whole.free())

    def seconds_for(self, requests: float) -> float:
        """Return the seconds until the last of so many further requests may go out, at the present pace and without bursts."""
        return max(super().seconds_for(requests), self._whole.seconds_for(requests))

    async def _take_at_once(self, slots: asyncio.Semaphore) -> float | None:  # noqa: ARG002 # for those that take one
        """Return `None`: the whole may have a queue of its own."""
        return None

    async def _take(self, slots: asyncio.Semaphore, party: Hashable) -> float:
        """Take a token of the share, a token of the whole and a slot."""
        # Only the head of the queue takes tokens of the share, so a token that is ready stays ready while the whole is waited for.
        await self._until_ready()
        taken_at = await self._whole.acquire(slots, party=party)
        self._bucket.take(taken_at)
        return taken_at

    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""
        super().give_back(taken_at)
        self._whole.give_back(taken_at)

    def dense(self) -> bool:
        """Return whether requests go out so fast that a server may have too many, or the server has just had too many."""
        return self._whole.dense()

    async def refused(self, granted_at: float, seconds: float) -> int:
        """Slow the whole down. Return how many rounds of refusals there were since the server last accepted a request."""
        return await self._whole.refused(granted_at, seconds)

    def accepted(self, granted_at: float) -> None:
        """Take note that the server has not refused a request."""
        self._whole.accepted(granted_at)

    def failed(self, granted_at: float) -> None:
        """Take note that a request has failed, and was not refused."""
        self._whole.failed(granted_at)

    async def pause(self, seconds: float) -> None:
        """Grant no token of the whole for so many seconds, and so none of the share."""
        await self._whole.pause(seconds)


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        # A user may look at the limits when no loop runs. The clock of asyncio's own loops goes on by itself.
        return time.monotonic()
