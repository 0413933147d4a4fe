"""When to send a request again, and when to give up.

Pure: no I/O, no clock; chance comes in as an argument. Whether a request may be sent again at all is decided by `outcome.judge`.
Here are the delays (operations guide, Error Handling): after 1, 2 and 4 seconds, or later if `Retry-After` says so.

A 429 is another matter: the server works, and has had too many requests. So a 429 uses up none of the delays. The client waits it
out, for as long as a `Patience` lasts. A 503 amid dense requests may be such a refusal, too, or an outage: it uses up the delays.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from unlimcall_async import _arguments
from unlimcall_async._lazy import LazyModule
from unlimcall_async.http.rate_limits import DAY

if TYPE_CHECKING:
    from unlimcall_async import errors
    from unlimcall_async.http import outcome
else:
    # A client has a policy long before it meets an error.
    errors = LazyModule("unlimcall_async.errors")
    outcome = LazyModule("unlimcall_async.http.outcome")


def _delays(delays: Iterable[float]) -> tuple[float, ...]:
    if not isinstance(delays, Iterable):
        raise TypeError(f"delays must be numbers of seconds, not {type(delays).__name__}")
    return tuple(_number(f"delays[{place}]", delay) for place, delay in enumerate(delays))


def _jitter(value: float) -> float:
    return _number("jitter", value)


def _max_retry_after(value: float) -> float:
    return _number("max_retry_after", value)


def _rate_limited_for(value: float | None) -> float | None:
    return None if value is None else _number("rate_limited_for", value)


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    count = _arguments.real(name, value)
    # An int above the largest float would overflow in the event loop's arithmetic. NaN fails every comparison.
    if not 0 <= count <= sys.float_info.max:
        raise ValueError(f"{name} must be finite and not negative")
    return count


# Seconds for which refusals are waited out, if the policy does not say (contract, section 3).
RATE_LIMITED_FOR: Final = 120.0
STREAM_RATE_LIMITED_FOR: Final = 900.0

# Seconds: the longest wait after a refusal without a `Retry-After`, and the shortest one with it.
_LONGEST: Final = 60.0
_SHORTEST: Final = 1.0
# A `Retry-After` of a second or less may be said without thought, so it shortens no wait of ours. But it does say that the wait is
# not for a minute: with it, our waits double up to so many seconds.
_LONGEST_WITH_RETRY_AFTER: Final = 4.0


@frozen
class RetryPolicy:
    """How often and when a request is sent again.

    Args:
        delays: Seconds to wait before each further attempt; `()` never tries again, also after a 429.
        jitter: The share of a delay by which chance makes the delay shorter or longer, so that clients do not march in step.
        max_retry_after: Seconds. If the server's `Retry-After` asks for more, the call is given up at once. After a 429, a stream
            and a follow wait all the same.
        on_give_up: Called with the error, once for each call that fails although its failure might be gone at a later attempt.
        rate_limited_for: Seconds for which 429s are waited out, before they are given up. `None` stands for 120 for a single call,
            and for 900 for a stream, counted from the last request that the server accepted. A follow never gives up a 429.
    """

    delays: tuple[float, ...] = field(default=(1.0, 2.0, 4.0), converter=_delays)
    jitter: float = field(default=0.1, converter=_jitter)
    max_retry_after: float = field(default=60.0, converter=_max_retry_after)
    on_give_up: Callable[[errors.UnlimCallError], object] | None = None
    rate_limited_for: float | None = field(default=None, converter=_rate_limited_for)

    def __attrs_post_init__(self) -> None:
        if self.jitter > 1:
            raise ValueError("jitter must be a share from 0 to 1")
        if self.on_give_up is not None and not _arguments.is_plain_function(self.on_give_up):
            raise TypeError("on_give_up must be a plain function of one argument, or None")


@define(eq=False)
class Patience:
    """The seconds for which 429s are waited out.

    A stream has one for all its requests, since one pause stops them all; a pause counts once, however many requests it stops.

    Attributes:
        seconds: The most seconds.
        of_pull: Whether the requests are part of a stream or a follow, so that `max_retry_after` does not bound their waits.
        spent: The seconds that were waited.
    """

    seconds: float
    of_pull: bool = False
    spent: float = field(default=0.0, init=False)
    _until: float = field(default=-math.inf, init=False)

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.seconds - self.spent)

    def wait(self, now: float, seconds: float) -> None:
        """Count a wait that begins at this time."""
        self.spent += max(0.0, now + seconds - max(now, self._until))
        self._until = max(self._until, now + seconds)

    def renew(self) -> None:
        """Begin anew, because the server has accepted a request."""
        self.spent = 0.0


def delay_before_retry(
    policy: RetryPolicy, verdict: outcome.Verdict, error: errors.UnlimCallError, *, retries: int, chance: float
) -> float | None:
    """Return the seconds to wait before the next attempt, or `None` to make no further attempt. The error is not a 429.

    Args:
        policy: The user's options.
        verdict: What the last attempt means for the call.
        error: The error of the last attempt.
        retries: How many times the request has been sent again already, not counting those after a 429.
        chance: A random number from 0 to 1.
    """
    if not verdict.may_send_again or retries >= len(policy.delays):
        return None
    delay = policy.delays[retries] * _jittered(policy, chance)
    retry_after = error.retry_after if isinstance(error, errors.APIError) else None
    if retry_after is None:
        return delay
    # The server knows best when it can take the request, so its wish has no jitter. But without any wait, all attempts would be
    # used up before anything can change.
    return max(delay, retry_after) if retry_after <= policy.max_retry_after else None


def delay_after_429(
    policy: RetryPolicy,
    verdict: outcome.Verdict,
    error: errors.RateLimitedError,
    *,
    rounds: int,
    patience: Patience,
    chance: float,
) -> float | None:
    """Return the seconds to wait after a 429, or `None` to give up.

    Args:
        policy: The user's options.
        verdict: What the 429 means for the call.
        error: The 429.
        rounds: How often the server has refused in a row, this time included. Requests that were refused together count once.
        patience: How long 429s are waited out.
        chance: A random number from 0 to 1.
    """
    if not verdict.may_send_again or not policy.delays or not patience.left:
        return None
    asked, jitter = error.retry_after, _jittered(policy, chance)
    if asked is None:
        # The last wait is cut short, so that the last attempt is made when the patience ends.
        return min(_doubled(rounds, _LONGEST) * jitter, patience.left)
    if asked > DAY and patience.seconds == math.inf:
        return policy.max_retry_after  # a mistake: see `pause_after`
    if asked > patience.left or (asked > policy.max_retry_after and not patience.of_pull):
        return None
    return max(asked, _SHORTEST, _doubled(rounds, _LONGEST_WITH_RETRY_AFTER) * jitter)


def _doubled(rounds: int, longest: float) -> float:
    """Return 1, 2, 4 and so on for 1, 2, 3."""
    return min(2.0 ** min(rounds - 1, 60), longest)


def _jittered(policy: RetryPolicy, chance: float) -> float:
    return 1 + policy.jitter * (2 * chance - 1)


def pause_after(policy: RetryPolicy, error: errors.APIError, delay: float | None) -> float:
    """Return for how many seconds a refusal stops its endpoint, for all calls.

    Args:
        policy: The user's options.
        error: The refusal.
        delay: The seconds until the next attempt of the call that was refused; `None` after the last attempt.
    """
    if delay is not None:
        return delay
    return policy.max_retry_after if _is_mistake(error.retry_after) else asked_pause(error)


def asked_pause(error: errors.APIError) -> float:
    """Return for how many seconds the server asks that its endpoint is stopped; 0 if it does not say, or cannot mean it."""
    return 0.0 if error.retry_after is None or _is_mistake(error.retry_after) else error.retry_after


def _is_mistake(asked: float | None) -> bool:
    # A rate limit counts the requests of a minute or of a day. So a longer wait is a mistake, for example a Unix time in place of
    # seconds, and must not stop the endpoint for good.
    return asked is not None and asked > DAY
