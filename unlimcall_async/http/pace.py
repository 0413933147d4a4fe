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

from attrs import define

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


@define
class _Course:
    """The course of the rate from the start of an episode, or from its end.

    Attributes:
        top: The rate of the limit; without a limit, the rate at the first refusal.
        base: The rate at the start of the course.
        since: The time at the start of the course.
        ceiling: The rate of the last refusal.
        hold: The seconds for which the rate stays below the ceiling.
        refused_at: The time of the last refusal.
    """

    top: float
    base: float
    since: float
    ceiling: float
    hold: float
    refused_at: float

    def rate(self, now: float) -> float:
        """Return the rate at a time."""
        step = INCREASE * self.top / 60
        plateau = max(self.base, PLATEAU * self.ceiling)
        held = min(now - self.since, self.hold)
        beyond = now - self.since - held
        return min(min(self.base + step * held, plateau) + step * beyond, self.top)


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
        self._course: _Course | None = None
        # For the goodput.
        self._accepted = 0
        self._held_s = 0.0

    def rate(self, now: float) -> float | None:
        """Return the requests a second that the server is believed to take; `None` if there is no such belief."""
        course = self._course
        if course is None:
            return None
        rate = course.rate(now)
        if rate >= course.top and now - course.since >= CALM and not self.streak:
            self._course = None
            return None
        return rate

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
        course = self._course
        if course is None:
            self.streak = 1
            top = self._limit or measured
            self._course = _Course(top, DECREASE * top, now, top, HOLD, now)
            return
        if granted_at <= course.refused_at:
            return
        self.streak += 1
        course.refused_at = now
        if self.streak > 1:
            return
        rate = course.rate(now)
        hold = min(2 * course.hold, LONGEST_HOLD) if rate <= NEAR * course.ceiling else HOLD
        self._course = _Course(course.top, DECREASE * rate, now, rate, hold, now)

    def accepted(self, granted_at: float, now: float) -> None:
        """Take note that the server has accepted a request that was granted at this time."""
        self._accepted += 1
        course = self._course
        if course is None or granted_at <= course.refused_at or not self.streak:
            return
        goodput = self._accepted / self._held_s if self._held_s else math.inf
        least, most = BELIEVED_OF_FEW if self._accepted < FEW else BELIEVED_OF_MANY
        course.base, course.since = min(max(goodput, least * course.ceiling), most * course.ceiling), now
        self.streak = self._accepted = 0
        self._held_s = 0.0
