"""The rate limits that a user sets, and the state of one that the user may look at."""

from __future__ import annotations

from typing import Any, Final

from attrs import field, frozen

from unlimcall_async._model import Model
from unlimcall_async.http.bucket import RateLimit


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
