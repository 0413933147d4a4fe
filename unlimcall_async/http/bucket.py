"""The token bucket: when may the next request go out?

Pure: no I/O. Time is an argument, in seconds on any clock that does not run backwards.

Theory. A bucket that starts full and refills at the rate of the limit grants nearly twice the limit in its first minute. A bucket
that refills more slowly, to make up for its burst, wastes a share of the limit for ever. So two rules hold at once:

- The bucket holds `burst` tokens and refills at the full rate. It smooths the flow.
- A guard remembers the time of each of the last `limit` grants. A grant waits until the grant `limit` places before it is a whole
  span old. So no span, wherever it starts, can hold more than `limit` grants, and in steady state none holds fewer.

There is one guard for each span that has a limit: 60 seconds and 24 hours.

The bucket itself is kept as one number: the time at which the bucket will be full again (the "theoretical arrival time" of GCRA).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from attrs import field, frozen

from unlimcall_async import _arguments

MINUTE: Final = 60.0
DAY: Final = 24 * 3600.0
# Seconds. The server counts arrivals: a slow request and a fast one after it arrive closer together than they were sent. Half a
# second, in a span of 60, costs less than 1 % of the limit (`python benchmarks/limits.py`).
MARGIN: Final = 0.5


def _per_minute(value: int) -> int:
    return _arguments.whole("per_minute", value)


def _per_day(value: int | None) -> int | None:
    return None if value is None else _arguments.whole("per_day", value)


def _burst(value: int | None) -> int | None:
    return None if value is None else _arguments.whole("burst", value)


@frozen
class RateLimit:
    """The rate limit of one endpoint.

    Args:
        per_minute: The most requests in any 60 seconds.
        per_day: The most requests in any 24 hours, or `None` for no such limit.
        burst: The most requests that go out at once after a quiet time; `None` for `per_minute`.
    """

    per_minute: int = field(converter=_per_minute)
    per_day: int | None = field(default=None, converter=_per_day)
    burst: int | None = field(default=None, converter=_burst)

    def __attrs_post_init__(self) -> None:
        if self.burst is not None and self.burst > self.per_minute:
            raise ValueError(f"burst must not be above per_minute: {self.burst} is above {self.per_minute}")


class TokenBucket:
    """The state of one endpoint's limit. A bucket without a limit grants at once, unless it is paused."""

    def __init__(self, limit: RateLimit | None) -> None:
        self._full_at = -math.inf
        self._paused_until = -math.inf
        self._refill = 0.0
        self._burst = 1
        self._guards: list[tuple[float, deque[float]]] = []
        if limit is not None:
            self._refill = MINUTE / limit.per_minute
            self._burst = limit.per_minute if limit.burst is None else limit.burst
            spans = ((MINUTE, limit.per_minute), (DAY, limit.per_day))
            self._guards += [(span, deque(maxlen=count)) for span, count in spans if count is not None]

    def ready_at(self) -> float:
        """Return the time from which the next token may be taken."""
        guards = (grants[0] + span + MARGIN for span, grants in self._guards if len(grants) == grants.maxlen)
        return max(self._paused_until, self._full_at - (self._burst - 1) * self._refill, *guards)

    def ready_behind(self, ahead: int, now: float) -> float:
        """Return when a token may be taken by one who waits behind `ahead` others, if all take theirs as early as they can.

        The result is the latest of several bounds, each of which holds by itself. Behind more than `per_day` it may be early.
        """
        start = max(now, self._paused_until)
        full_at = max(self._full_at, start)
        ready = max(start, full_at + (ahead + 1 - self._burst) * self._refill)
        for span, grants in self._guards:
            limit = grants.maxlen or 1
            # Each round of `limit` grants starts a whole span after the round before.
            rounds, place = divmod(ahead, limit)
            first = max(start, full_at + (place + 1 - self._burst) * self._refill)
            if (before := place + len(grants) - limit) >= 0:
                first = max(first, grants[before] + span + MARGIN)
            ready = max(ready, first + rounds * (span + MARGIN))
        return ready

    def take(self, now: float) -> None:
        """Take a token. The caller has checked that `ready_at` is not after `now`."""
        self._fill(now)
        for _, grants in self._guards:
            grants.append(now)

    def give_back(self, taken_at: float) -> None:
        """Undo the grant of a request that was never sent."""
        for _, grants in self._guards:
            if taken_at in grants:
                grants.remove(taken_at)
        # Computed anew from the grants that are left. To subtract one refill would be wrong if the bucket has been full since: a
        # token that comes back to a full bucket is lost. The grants of the last minute are enough, because for earlier grants the
        # guard is the stricter rule.
        self._full_at = -math.inf
        for _, grants in self._guards[:1]:
            for granted_at in grants:
                self._fill(granted_at)

    def _fill(self, granted_at: float) -> None:
        self._full_at = max(self._full_at, granted_at) + self._refill

    def pause(self, until: float) -> None:
        """Grant nothing before `until`. A pause never shortens one that lasts longer."""
        self._paused_until = max(self._paused_until, until)
