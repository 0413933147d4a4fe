"""The limiters of one client: one for each endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from attrs import fields

from unlimcall_async._lazy import LazyModule
from unlimcall_async.http.endpoints import BucketName
from unlimcall_async.http.rate_limits import LimitState, RateLimits

if TYPE_CHECKING:
    from unlimcall_async.http import limiter
else:
    limiter = LazyModule("unlimcall_async.http.limiter")


class Limiters:
    """The limiters of all endpoints: one each, so that a full queue does not delay the calls of other endpoints.

    They are made at their first use: a process may have thousands of accounts, most of which ask one endpoint alone.

    Args:
        make: Returns a new limiter for a bucket.
        close: Closes what the limiters have opened, or `None`.
    """

    def __init__(
        self, make: Callable[[str], limiter.Limiter], close: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._make = make
        self._close = close
        self._by_name: dict[str, limiter.Limiter] = {}
        self._shares: dict[tuple[BucketName, float], limiter.ShareLimiter] = {}

    @classmethod
    def local(cls, limits: RateLimits) -> Limiters:
        """Return limiters of this process alone."""
        return cls(lambda name: limiter.LocalLimiter(getattr(limits, name)))

    def of(self, bucket: BucketName | None) -> limiter.Limiter:
        """Return the limiter of a bucket, or a new one without a limit for `None`, the bucket of an undocumented path."""
        return limiter.LocalLimiter() if bucket is None else self._named(bucket)

    def _named(self, name: str) -> limiter.Limiter:
        if name not in self._by_name:
            self._by_name[name] = self._make(name)
        return self._by_name[name]

    def states(self) -> Mapping[str, LimitState]:
        """Return the state of each limit, by its name in `RateLimits`."""
        return {attribute.name: self._named(attribute.name).state() for attribute in fields(RateLimits)}

    def are_idle(self) -> bool:
        """Return whether nothing waits, and new limiters would grant the same. So these can be forgotten."""
        return all(each.is_idle() for each in self._made)

    def held_s(self) -> float:
        """Return the seconds until a request goes out that waits, of the endpoint that waits longest; 0 if none waits."""
        return max((each.wait() for each in self._made if each.waits), default=0.0)

    @property
    def _made(self) -> tuple[limiter.Limiter, ...]:
        return *self._by_name.values(), *self._shares.values()

    def share_of(self, bucket: BucketName, share: float) -> limiter.Limiter:
        """Return the limiter for a share of a bucket: the same one for all calls that keep to this share, together."""
        if (bucket, share) not in self._shares:
            self._shares[bucket, share] = limiter.ShareLimiter(self._named(bucket), share)
        return self._shares[bucket, share]

    @property
    def need_closing(self) -> bool:
        """Whether limiters of this kind open what has to be closed."""
        return self._close is not None

    async def aclose(self) -> None:
        """Close what the limiters have opened. Nothing waits in them any more."""
        try:
            await asyncio.gather(*(each.aclose() for each in self._by_name.values()))
        finally:
            if self._close is not None:
                await self._close()
