"""The token bucket: when may the next request go out?

Pure: no I/O, and time is an argument, in seconds on any clock that does not run backwards.

Theory. A bucket that starts full and refills at the limit's rate grants nearly twice the limit in its first minute; one that
refills more slowly, to make up for its burst, wastes a share of the limit for ever. So two rules hold at once. The bucket, of
`burst` tokens, refills at the full rate and smooths the flow. A guard remembers when each of the last `limit` grants was made,
and makes a grant wait until the one `limit` places before it lies a whole span back: no span, wherever it starts, can then hold
more than `limit`, and in steady state none holds fewer. The guard is kept for each span that has a limit.

The bucket itself is kept as one number (the "theoretical arrival time" of GCRA): when it will be full again.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

from attrs import field, frozen
from attrs.validators import optional

from unlimcall_async import _arguments

MINUTE: Final = 60.0
DAY: Final = 24 * 3600.0
# The server counts arrivals, and a slow request followed by a fast one arrive closer together than they were sent.
MARGIN: Final = 0.5


def _check_count(_limit: RateLimit, attribute: Any, value: int) -> None:
    _arguments.whole(attribute.name, value)


def _check_burst(limit: RateLimit, attribute: Any, value: int) -> None:
    _check_count(limit, attribute, value)
    if value > limit.per_minute:
        raise ValueError(f"burst must not be above per_minute: {value} is above {limit.per_minute}")


@frozen
class RateLimit:
    """What one endpoint allows.

    Args:
        per_minute: Requests in any 60 seconds.
        per_day: Requests in any 24 hours, or `None`.
        burst: Requests that may go out at once after a pause; `None` for all of `per_minute`.
    """

    per_minute: int = field(validator=_check_count)
    per_day: int | None = field(default=None, validator=optional(_check_count))
    burst: int | None = field(default=None, validator=optional(_check_burst))


class TokenBucket:
    """The state of one endpoint's limit. Without a limit it grants at once, unless it is paused."""

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
        """Tell from when on the next token may be taken."""
        guards = (grants[0] + span + MARGIN for span, grants in self._guards if len(grants) == grants.maxlen)
        return max(self._paused_until, self._full_at - (self._burst - 1) * self._refill, *guards)

    def take(self, now: float) -> None:
        """Take a token. The caller has seen that `ready_at` is not after `now`."""
        self._fill(now)
        for _, grants in self._guards:
            grants.append(now)

    def give_back(self, taken_at: float) -> None:
        """Undo the grant of a request that was never sent."""
        for _, grants in self._guards:
            if taken_at in grants:
                grants.remove(taken_at)
        # Told anew, because the bucket may have been full since, and a token that comes back to a full bucket is lost. The grants
        # of the last minute are enough: for any that came before them the guard is the stricter rule.
        self._full_at = -math.inf
        for _, grants in self._guards[:1]:
            for granted_at in grants:
                self._fill(granted_at)

    def _fill(self, granted_at: float) -> None:
        self._full_at = max(self._full_at, granted_at) + self._refill

    def pause(self, until: float) -> None:
        """Grant nothing before `until`. A pause never shortens one that lasts longer."""
        self._paused_until = max(self._paused_until, until)
