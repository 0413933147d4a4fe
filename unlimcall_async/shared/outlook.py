"""What a process knows of a bucket that it shares: the last answer of the server, carried on to the present.

Pure: no I/O. Time is an argument, in seconds of the event loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from unlimcall_async.http.bucket import DENSE, DENSE_AT_ONCE
from unlimcall_async.http.rate_limits import DAY, MINUTE, RateLimit

# A number of tokens that stands for any.
UNLIMITED: Final = 10**9


@frozen
class Answer:
    """The answer of `bucket.lua`. All times are seconds from the answer on.

    Attributes:
        granted: Whether the request may go out.
        wait: Seconds until the waiter asks again, if not.
        next_in: Seconds that one who comes now would wait.
        waiting: The waiters: of each process the first one.
        free: The tokens that are there.
        interval: Seconds between two grants.
        paused: Seconds that the bucket is still paused; less than 0 if it is not.
        rate: The requests a second that the API is believed to take; less than 0 if there is no such belief.
        streak: The rounds of refusals since the API last accepted a request.
        used_today: The grants of the last 24 hours, if they have a limit.
        at_once: The grants within the last interval, or within a second if that is longer.
        recent: The grants within ten times as long.
        mark: The mark of the server.
    """

    granted: bool
    wait: float
    next_in: float
    waiting: float
    free: float
    interval: float
    paused: float
    rate: float
    streak: int
    used_today: int
    at_once: int
    recent: int
    mark: str

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Answer:
        """Return the answer that the script has returned as texts."""
        granted, wait, next_in, waiting, free, interval, paused, rate, *counts = map(float, values[:-1])
        streak, used_today, at_once, recent = map(int, counts)
        mark = values[-1].decode()
        return cls(
            granted > 0, wait, next_in, waiting, free, interval, paused, rate, streak, used_today, at_once, recent, mark
        )


# What a process knows of a bucket that it has not asked for yet.
_NOTHING: Final = Answer(False, 0, 0, 0, UNLIMITED, 0, 0, -1, 0, 0, 0, 0, "")


class SharedOutlook:
    """The last answer of the server, carried on to the present. See `Outlook` for the methods.

    Args:
        limit: The limit; `None` for no limit.

    Attributes:
        paused_until: The time before which no token is granted.
        streak: The rounds of refusals since the API last accepted a request.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self.paused_until: float = -math.inf
        self.streak: int = 0
        self._limit = limit
        self._burst = UNLIMITED if limit is None else limit.at_once()
        self._refill = 0.0 if limit is None else MINUTE / limit.per_minute
        self._answer = _NOTHING
        self._at = self._ready = -math.inf

    def heard(self, answer: Answer, now: float) -> None:
        """Take note of an answer that has come at this time."""
        self._answer, self._at = answer, now
        self._ready = now + (answer.wait or answer.next_in)
        self.paused_until = now + answer.paused
        self.streak = answer.streak

    def pause(self, until: float) -> None:
        """Take note of a pause, whether the server has heard of it or not."""
        self.paused_until = max(self.paused_until, until)

    def ready_at(self) -> float:
        """Return the time from which the next token may be taken."""
        return max(self._ready, self.paused_until)

    def ready_behind(self, ahead: int, now: float) -> float:
        """Return when a token may be taken by one who waits behind `ahead` others, if all take theirs as early as they can."""
        ready = max(now, self.ready_at())
        free = self.free(now)
        return ready if free is None else ready + max(0, ahead - max(0, free - 1)) * self._step()

    def free(self, now: float) -> int | None:
        """Return how many tokens can be taken at this time; `None` for any number."""
        if self.ready_at() > now:
            return 0
        rate = self.rate(now)
        if self._limit is None and rate is None:
            return None
        since = (now - self._at) / self._answer.interval if self._answer.interval else math.inf
        return max(1, int(min(self._burst if rate is None else 1, self._answer.free + since)))

    def seconds_for(self, requests: float, now: float) -> float:
        """Return the seconds until the last of so many further requests may go out, at the present pace and without bursts."""
        if requests <= 0:
            return 0.0
        seconds = max(0.0, self.ready_at() - now) + max(0.0, requests - 1) * self._step()
        per_day = None if self._limit is None else self._limit.per_day
        if per_day:
            # When the grants of the last day end is not known: a day from now at the latest.
            used = self._answer.used_today if now < self._at + DAY else 0
            days = math.ceil((requests - (per_day - used)) / per_day)
            seconds = max(seconds, days * DAY)
        return seconds

    def rate(self, now: float) -> float | None:  # noqa: ARG002 # the answer says nothing of how the rate will rise
        """Return the requests a second that the server is believed to take; `None` if there is no such belief."""
        return self._answer.rate if self._answer.rate > 0 else None

    def is_idle(self, now: float) -> bool:  # noqa: ARG002 # whatever the bucket holds, it holds on the server
        """Return true: a new limiter of this process would be told the same."""
        return True

    def dense(self, accepted_at: float, now: float) -> bool:
        """Return whether requests of all processes go out so fast that the API may have too many.

        Args:
            accepted_at: When this process has last seen the API accept a request.
            now: The time.
        """
        span = max(self._answer.interval, 1.0)
        if now - accepted_at > 2 * span:
            return False
        return self._answer.at_once >= DENSE_AT_ONCE or self._answer.recent >= DENSE

    def _step(self) -> float:
        """Return the seconds from one token of this process to its next, while the other processes go on to wait."""
        rate = self._answer.rate
        interval = max(self._refill, 1 / rate if rate > 0 else 0.0)
        others = self._answer.waiting - (1 if self._answer.wait else 0)
        return interval * (1 + max(0.0, others))
