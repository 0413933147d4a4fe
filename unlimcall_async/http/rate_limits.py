"""The rate limits that a user sets, and the state of one that the user may look at."""

from __future__ import annotations

from typing import Any, Final

from attrs import field, frozen

from unlimcall_async import _arguments
from unlimcall_async._model import Model

# Seconds: the two spans that have a limit.
MINUTE: Final = 60.0
DAY: Final = 24 * 3600.0
# Requests. More than any client sends, and few enough for every counter.
MOST_REQUESTS: Final = 10**9
# The part of a minute's requests that may go out at once, if the user has not said otherwise (contract, section 3).
_BURST_SHARE: Final = 6


def _per_minute(value: int) -> int:
    return _requests("per_minute", value)


def _per_day(value: int | None) -> int | None:
    return None if value is None else _requests("per_day", value)


def _burst(value: int | None) -> int | None:
    return None if value is None else _requests("burst", value)


def _requests(name: str, value: int) -> int:
    count = _arguments.whole(name, value)
    if count > MOST_REQUESTS:
        raise ValueError(f"{name} must be at most {MOST_REQUESTS}")
    return count


@frozen
class RateLimit(Model):
    """The rate limit of one endpoint.

    Args:
        per_minute: The most requests in any 60 seconds.
        per_day: The most requests in any 24 hours, or `None` for no such limit.
        burst: The most requests that go out at once after a quiet time; `None` for a sixth of `per_minute`, and at least one.
    """

    per_minute: int = field(converter=_per_minute)
    per_day: int | None = field(default=None, converter=_per_day)
    burst: int | None = field(default=None, converter=_burst)

    def __attrs_post_init__(self) -> None:
        if self.burst is not None and self.burst > self.per_minute:
            raise ValueError(f"burst must not be above per_minute: {self.burst} is above {self.per_minute}")

    def at_once(self) -> int:
        """Return the most requests that go out at once."""
        return max(1, self.per_minute // _BURST_SHARE) if self.burst is None else self.burst


def _check_limit(_limits: RateLimits, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise TypeError(f"{attribute.name} must be a RateLimit or None, not {type(value).__name__}")


# The operations guide expects 60 to 120 requests a minute on `/cdrs`, and names no figure for other endpoints. The low end is the
# safe choice for all of them.
_DEFAULT: Final = RateLimit(per_minute=60)


@frozen(kw_only=True)
class RateLimits(Model):
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


@frozen
class LimitState(Model):
    """The state of an endpoint's rate limit at one moment.

    Attributes:
        limit: The limit; `None` for no limit.
        free: How many requests could go out at this moment; `None` for any number.
        ready_in_s: Seconds that a call made now would wait.
        paused_for_s: Seconds that the endpoint is still stopped after a refusal.
        waiting: How many requests wait.
        next_in_s: Seconds until the next request may go out: the first of those that wait, if any do.
        pace_per_minute: Requests a minute that are sent, after the server has refused some; `None` if the limit alone holds.
    """

    limit: RateLimit | None
    free: int | None
    ready_in_s: float
    paused_for_s: float
    waiting: int = 0
    next_in_s: float = 0.0
    pace_per_minute: float | None = None
