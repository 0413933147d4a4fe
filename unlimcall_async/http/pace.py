"""The pace after a refusal: how fast may a bucket go whose server takes fewer requests than its limit says?

Pure: no I/O. Time is an argument, in seconds on any clock that does not run backwards.

Theory. A server may have a bucket of its own, smaller than the limit that the user gave, or one that other processes share. The
client learns of such a bucket by refusals alone. So the pace comes down at once and goes up slowly, and remembers where the server
has refused:

- An *episode* begins with a refusal and ends with the next request that the server accepts. Requests that were under way at a
  refusal belong to the same *round* of the episode, so that four refusals at once count as one.
- At the start of an episode the pace falls to 0.8 of the rate that was refused. At its end the *goodput* is known: requests
  accepted for each second in which the bucket held requests back, pauses included. The pace is then the goodput, within bounds. So
  two or three episodes find a server that takes a tenth of the limit.
- Between episodes the pace rises evenly. It stops a tenth below the rate of the last refusal, for a time that doubles if the
  next attempt is refused near the same rate. So the refusals of a long pull grow with the logarithm of its length.
- While a pace holds, grants are evenly spread, without a burst.

Goodput counts only time in which the bucket held requests back. Otherwise a client that asks seldom would look like a slow server.
"""

from __future__ import annotations

import math
from typing import Final

# Shares of the refused rate. What they do under servers of several limits is in `tests/core/test_pace.py`.
DECREASE: Final = 0.8
PLATEAU: Final = 0.9
# The goodput of an episode is believed between these shares of the refused rate. A few requests show little, and pauses may have
# been longer than needed.
FEW: Final = 5
BELIEVED_OF_FEW: Final = (0.4, DECREASE)
BELIEVED_OF_MANY: Final = (0.05, 0.95)
# The share of the top rate by which the pace rises in a minute without a refusal.
INCREASE: Final = 0.05
# Seconds on the plateau: at first, and at most. They double if the next refusal comes below this multiple of the last refused rate.
# The rate of a slow server is passed by a third before its bucket is empty.
NEAR: Final = 1.5
HOLD: Final = 120.0
LONGEST_HOLD: Final = 3600.0
# Seconds without a refusal until bursts are allowed again, at the least.
CALM: Final = 600.0
# Of a pause, so many seconds count for the goodput. The back-off without a `Retry-After` does not exceed them. A longer pause is
# due to a limit of an hour or a day, which says nothing of the rate.
PAUSE_COUNTED: Final = 60.0


class Pace:
    """The rate that a server has been found to take.

    Args:
        top: The rate of the limit, in requests a second; `None` for no limit.

    Attributes:
        streak: The rounds of refusals since the server last accepted a request.
    """

    def __init__(self, top: float | None) -> None:
        self.streak: int = 0
        self._limit = top
        # Without a limit, the rate at the first refusal.
        self._top = top or 0.0
        # The rate just after the last episode, and the time from which the rate rises; `None` without a pace.
        self._base: float | None = None
        self._since = 0.0
        self._ceiling = math.inf
        self._hold = HOLD
        self._probe_at = 0.0
        self._refused_at = -math.inf
        # For the goodput.
        self._accepted = 0
        self._held_s = 0.0

    def rate(self, now: float) -> float | None:
        """Return the requests a second that the server is believed to take; `None` if there is no such belief."""
        if self._base is None:
            return None
        step = INCREASE * self._top / 60
        plateau = max(self._base, PLATEAU * self._ceiling)
        if now < self._probe_at:
            return min(self._base + step * (now - self._since), plateau)
        reached = min(self._base + step * (self._probe_at - self._since), plateau)
        rate = reached + step * (now - self._probe_at)
        if rate >= self._top and now - self._since >= CALM and not self.streak:
            self._base = None
            return None
        return min(rate, self._top)

    def held(self, seconds: float) -> None:
        """Count the seconds during which the bucket has held a request back."""
        self._held_s += seconds

    def refused(self, granted_at: float, now: float, measured: float) -> None:
        """Slow down, because the server has refused a request that was granted at this time.

        Args:
            granted_at: When the request was granted.
            now: The time.
            measured: The rate at which requests were granted lately, for a bucket without a limit.
        """
        if granted_at <= self._refused_at:
            return
        self._refused_at = now
        self.streak += 1
        if self.streak > 1:
            return
        rate = self.rate(now)
        if rate is None:
            self._top = self._limit or measured
            self._ceiling, self._hold = math.inf, HOLD / 2
            rate = self._top
        near = rate <= NEAR * self._ceiling
        self._hold = min(2 * self._hold, LONGEST_HOLD) if near else HOLD
        self._ceiling = rate
        self._base, self._since, self._probe_at = DECREASE * rate, now, now + self._hold

    def accepted(self, granted_at: float, now: float) -> None:
        """Take note that the server has accepted a request that was granted at this time."""
        self._accepted += 1
        if granted_at <= self._refused_at or not self.streak or self._base is None:
            return
        goodput = self._accepted / self._held_s if self._held_s else math.inf
        least, most = BELIEVED_OF_FEW if self._accepted < FEW else BELIEVED_OF_MANY
        self._base = min(max(goodput, least * self._ceiling), most * self._ceiling)
        self.streak = self._accepted = 0
        self._held_s = 0.0
        self._since, self._probe_at = now, now + self._hold
