"""The token bucket: when may the next request go out?

Pure: no I/O. Time is an argument, in seconds on any clock that does not run backwards.

Theory. A bucket that starts full and refills at the rate of the limit grants more than the limit in its first minute. A bucket that
refills more slowly, to make up for its burst, wastes a share of the limit for ever. A bucket that grants the limit at once has
nothing left for a minute, and whoever comes then waits that long. So four rules hold at once:

- The bucket holds `burst` tokens, a sixth of the limit by default, and refills at the full rate.
- A guard remembers the time of each of the last `limit` grants. A grant waits until the grant `limit` places before it is a whole
  span old. So no span, wherever it starts, can hold more than `limit` grants. There is one guard for each span that has a limit: 60
  seconds and 24 hours.
- What a burst has taken is spread: the bucket refills no faster than the guard of the minute will allow, so that the grants left to
  this minute last until its end. The wait for the next grant is then about one refill, at any time, and in steady state nearly the
  whole limit is granted.
- After a refusal by the server the bucket keeps to a `Pace`, and grants evenly.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from itertools import islice
from operator import itemgetter
from typing import Final

from unlimcall_async.http.pace import PAUSE_COUNTED, Pace
from unlimcall_async.http.rate_limits import DAY, MINUTE, RateLimit

# Seconds. The server counts arrivals: a slow request and a fast one after it arrive closer together than they were sent. Half a
# second, in a span of 60, costs less than 1 % of the limit (`python benchmarks/limits.py`).
MARGIN: Final = 0.5

# Grants that are looked at for the spread, at most: each costs some 0.1 microseconds for each token that is taken.
_SPREAD_OVER: Final = 600
# Requests are dense if three went out within one refill, or five within ten, and the server has accepted one within two. A refill
# counts as a second, if it is shorter.
DENSE_AT_ONCE: Final = 3
DENSE: Final = 5
# Grants that tell whether requests are dense, and the rate of a bucket without a limit.
_RECENT: Final = 128


class TokenBucket:
    """The state of one endpoint's limit. A bucket without a limit grants at once, unless it is paused or keeps to a pace.

    Attributes:
        pace: The rate that the server takes, if it has refused a request.
        paused_until: The time before which no token is granted.
    """

    def __init__(self, limit: RateLimit | None, pace: Pace | None = None) -> None:
        per_minute, per_day = (None, None) if limit is None else (limit.per_minute, limit.per_day)
        self.pace: Pace = pace or Pace(None if per_minute is None else per_minute / MINUTE)
        self._limit = limit
        self._burst = math.inf if limit is None else limit.at_once()
        self._refill = 0.0 if per_minute is None else MINUTE / per_minute
        self.paused_until: float = -math.inf
        # A time, the seconds from one token to the next from then on, and the tokens of that time.
        self._full = -math.inf, self._refill, float(self._burst)
        self._at, self._interval, self._tokens = self._full
        # The last grants, each with the interval and the tokens behind it: twice as many as a minute may hold, because some may be
        # given back. And those that a day may hold.
        self._per_minute = per_minute or 0
        self._minute: deque[tuple[float, float, float]] = deque(maxlen=2 * self._per_minute)
        self._day: deque[float] = deque(maxlen=per_day or 0)
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._accepted_at = -math.inf
        # The times of the next tokens, if each is taken as early as possible, and the bucket behind them.
        self._forecast: tuple[list[float], TokenBucket] | None = None

    # --- when ---------------------------------------------------------------------------------------------------------

    def ready_at(self) -> float:
        """Return the time from which the next token may be taken."""
        ready = max(self.paused_until, self._at + max(0.0, 1 - self._tokens) * self._interval)
        if self._minute and len(self._minute) >= self._per_minute:
            ready = max(ready, self._minute[-self._per_minute][0] + MINUTE + MARGIN)
        if self._day and len(self._day) == self._day.maxlen:
            ready = max(ready, self._day[0] + DAY + MARGIN)
        return ready

    def ready_behind(self, ahead: int, now: float) -> float:
        """Return when a token may be taken by one who waits behind `ahead` others, if all take theirs as early as they can."""
        if self._forecast is None or self._forecast[0][0] <= now:
            self._forecast = [max(now, self.ready_at())], self._twin()
        times, twin = self._forecast
        while len(times) <= ahead:
            twin._grant(times[-1])  # noqa: SLF001 # a bucket of its own kind
            times.append(max(times[-1], twin.ready_at()))
        return times[ahead]

    def _twin(self) -> TokenBucket:
        """Return a bucket in the same state. It looks at this one's pace, and leaves it as it is."""
        twin = TokenBucket(self._limit, self.pace)
        twin._tokens, twin._at, twin._interval = self._tokens, self._at, self._interval
        twin.paused_until = self.paused_until
        twin._minute, twin._day = self._minute.copy(), self._day.copy()
        return twin

    def is_idle(self, now: float) -> bool:
        """Return whether a new bucket would grant the same: each grant is older than its span, and no pause or pace holds."""
        if now < self.paused_until or self.pace.rate(now) is not None:
            return False
        return not (
            (self._minute and self._minute[-1][0] > now - MINUTE - MARGIN)
            or (self._day and self._day[-1] > now - DAY - MARGIN)
        )

    def free(self, now: float) -> int | None:
        """Return how many tokens can be taken at this time; `None` for any number."""
        if self.ready_at() > now:
            return 0
        tokens = self._tokens_after(now)
        if self._per_minute:
            used = len(self._minute) - bisect_right(self._minute, now - MINUTE - MARGIN, key=itemgetter(0))
            tokens = min(tokens, self._per_minute - used)
        if self._day.maxlen:
            tokens = min(tokens, self._day.maxlen - self._used_today(now))
        return None if tokens == math.inf else max(1, int(tokens))

    def seconds_for(self, requests: float, now: float) -> float:
        """Return the seconds until the last of so many further requests may go out, at the present pace and without bursts."""
        if requests <= 0:
            return 0.0
        seconds = max(0.0, self.ready_at() - now) + max(0.0, requests - 1) * self._least_interval(now)
        per_day = self._day.maxlen
        if per_day:
            # A grant comes back a day after it was taken. What is left of today's may be taken now.
            used = [at for at in self._day if at > now - DAY - MARGIN]
            days, place = divmod(math.ceil(requests) - 1 - (per_day - len(used)), per_day)
            if days >= 0:
                returns_at = (used[place] if place < len(used) else now) + (days + 1) * (DAY + MARGIN)
                seconds = max(seconds, returns_at - now)
        return seconds

    def rate(self, now: float) -> float | None:
        """Return the requests a second that the server is believed to take; `None` if there is no such belief."""
        return self.pace.rate(now)

    def dense(self, now: float) -> bool:
        """Return whether requests went out at or near the rate of the bucket lately, so that a server may have had too many."""
        # Without a limit, and with a high one, some requests in a second are many: nobody knows how few the server takes.
        span = max(self._least_interval(now), 1.0)
        # A server that has just accepted a request works, so a 503 is more likely a refusal than an outage.
        if now - self._accepted_at > 2 * span:
            return False
        ages = [now - at for at in self._recent]
        at_once, recent = sum(age <= span for age in ages), sum(age <= 10 * span for age in ages)
        return at_once >= DENSE_AT_ONCE or recent >= DENSE

    # --- what happens -------------------------------------------------------------------------------------------------

    def take(self, now: float) -> None:
        """Take a token. The caller has checked that `ready_at` is not after `now`."""
        if self._recent:
            held = min(now, self.ready_at()) - self._recent[-1]
            self.pace.held(min(max(0.0, held), self._interval + PAUSE_COUNTED))
        self._recent.append(now)
        self._grant(now)
        self._forecast = None

    def _grant(self, now: float) -> None:
        self._tokens, self._at = self._tokens_after(now) - 1, now
        self._minute.append((now, 0.0, self._tokens))
        self._interval = max(self._least_interval(now), self._spread(now))
        if self._minute:
            self._minute[-1] = now, self._interval, self._tokens
        self._day.append(now)

    def give_back(self, taken_at: float) -> None:
        """Undo the grant of a request that was never sent."""
        self._forecast = None
        for grants in (self._day, self._recent):
            if taken_at in grants:
                grants.remove(taken_at)
        place = next((place for place, grant in enumerate(self._minute) if grant[0] == taken_at), None)
        if self._limit is None or self.pace.rate(self._at) is not None:
            # While a pace holds, there is one token at most. Without a limit and a pace, there is no end of them.
            self._tokens = max(1.0, self._tokens)
            if place is not None:
                del self._minute[place]
            return
        if place is None:
            return
        # Computed anew from the grants behind it. To add a token would be wrong if the bucket has been full since: a token that
        # comes back to a full bucket is lost.
        behind = [self._minute.pop() for _ in range(len(self._minute) - place)][-2::-1]
        self._at, self._interval, self._tokens = self._minute[-1] if self._minute else self._full
        for granted_at, interval, _ in behind:
            self._tokens, self._at = self._tokens_after(granted_at) - 1, granted_at
            self._interval = interval
            self._minute.append((granted_at, interval, self._tokens))
        self._interval = max(self._refill, self._spread(self._at))

    def pause(self, until: float) -> None:
        """Grant nothing before `until`. A pause never shortens one that lasts longer."""
        self.paused_until = max(self.paused_until, until)
        self._forecast = None

    def refused(self, granted_at: float, now: float) -> None:
        """Slow down, because the server has refused the request that was granted at this time."""
        lately = [at for at in self._recent if at > now - MINUTE]
        measured = len(lately) / max(1.0, now - lately[0]) if lately else 1.0
        self.pace.refused(granted_at, now, measured)
        # The server has not taken the request, so the next one may go as soon as the pause is over: that one, and no burst.
        self._tokens, self._at = 1.0, max(self._at, now)
        self._interval = max(self._least_interval(now), self._spread(now))
        self._forecast = None

    def accepted(self, granted_at: float, now: float) -> None:
        """Take note that the server has not refused the request that was granted at this time."""
        self._accepted_at = now
        self.pace.accepted(granted_at, now)
        self._forecast = None

    def failed(self, granted_at: float) -> None:
        """Take note that a request has failed otherwise. Such requests, and their further attempts, do not make requests dense."""
        if granted_at in self._recent:
            self._recent.remove(granted_at)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _tokens_after(self, now: float) -> float:
        """Return the tokens that are there at a time."""
        most = self._burst if self.pace.rate(now) is None else 1.0
        return min(most, self._tokens + (now - self._at) / self._interval) if self._interval else most

    def _least_interval(self, now: float) -> float:
        """Return the seconds between two grants in the long run."""
        rate = self.pace.rate(now)
        return self._refill if rate is None else max(self._refill, 1 / rate)

    def _spread(self, now: float) -> float:
        """Return the shortest interval that the guard of the minute lets the bucket keep to, from a grant at this time on."""
        count = min(len(self._minute), self._per_minute)
        if not count:
            return 0.0
        step = count // _SPREAD_OVER + 1
        unused, past = self._per_minute - count, now - MINUTE - MARGIN
        # The grant at place `i`, from 1 on, makes room for the request that is the `unused + i`-th from now on.
        grants = islice(self._minute, len(self._minute) - count, None)
        return max((at - past) / (unused + i) for i, (at, _, _) in enumerate(grants, 1) if not i % step)

    def _used_today(self, now: float) -> int:
        return len(self._day) - bisect_right(self._day, now - DAY - MARGIN)
