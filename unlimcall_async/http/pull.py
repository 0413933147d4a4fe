"""What the calls of one stream share, and what calls have cost."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from attrs import define, field

from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.retry import Patience

WaitingFor: TypeAlias = Literal["rate limit", "retry", "server"]


class UnderWay(Protocol):
    """A call that has not ended."""

    waiting_for: WaitingFor

    @property
    def waits_for_limit_s(self) -> float:
        """How long the wait for the rate limit has lasted that goes on; 0 if none does."""
        ...

    @property
    def waits_to_retry_s(self) -> float:
        """How many seconds are left until the next attempt; 0 if the call does not wait between two attempts."""
        ...


@define(eq=False)
class CallCost:
    """What calls have cost, beyond one request for each, and what time their server had.

    Attributes:
        retries: Further attempts.
        server_time: The `Date` of the last response that had a usable one: UTC, in whole seconds.
        skew_s: The local time minus the server's, as known after the last response: see `ServerClock.skew_s`.
        under_way: The calls that have not ended.
    """

    retries: int = 0
    server_time: datetime | None = None
    skew_s: float | None = None
    under_way: set[UnderWay] = field(factory=set, repr=False)
    _waited_s: float = field(default=0.0, init=False)
    # How many calls wait for the rate limit, since when at least one does, and for how long at least one did before.
    _waiting: int = field(default=0, init=False)
    _held_since: float = field(default=0.0, init=False)
    _held_s: float = field(default=0.0, init=False)

    def begin_wait(self, now: float) -> None:
        """Take note that a call begins to wait for the rate limit."""
        if not self._waiting:
            self._held_since = now
        self._waiting += 1

    def end_wait(self, now: float, seconds: float) -> None:
        """Add the wait of a call, which is over."""
        self._waited_s += seconds
        self._waiting -= 1
        if not self._waiting:
            self._held_s += now - self._held_since

    def held_s(self, now: float) -> float:
        """Return the seconds in which at least one call waited for the rate limit, until now."""
        return self._held_s + (now - self._held_since if self._waiting else 0.0)

    @property
    def waited_s(self) -> float:
        """Seconds of waiting for the rate limit and for a connection slot, the waits that go on included."""
        return self._waited_s + sum(call.waits_for_limit_s for call in self.under_way)


@define(eq=False, kw_only=True)
class Pull:
    """What the requests of one stream share, or of one poll of a follow. In a limiter's queue it is one party.

    Attributes:
        limiter: The queue that they wait in.
        patience: How long refusals are waited out.
        cost: What they have cost.
    """

    limiter: Limiter = field(repr=False)
    patience: Patience
    cost: CallCost = field(factory=CallCost)
