"""When to send a request again, and when to give up.

Pure: no I/O, no clock; chance comes in as an argument. Whether a request may be sent again at all is decided by `outcome.judge`.
Here are the delays (operations guide, Error Handling): after 1, 2 and 4 seconds, or later if `Retry-After` says so.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable

from attrs import field, frozen

from unlimcall_async import _arguments
from unlimcall_async.errors import APIError, RateLimitedError, UnlimCallError
from unlimcall_async.http.bucket import DAY
from unlimcall_async.http.outcome import Verdict


def _delays(delays: Iterable[float]) -> tuple[float, ...]:
    if not isinstance(delays, Iterable):
        raise TypeError(f"delays must be numbers of seconds, not {type(delays).__name__}")
    return tuple(_number("delays", delay) for delay in delays)


def _jitter(value: float) -> float:
    return _number("jitter", value)


def _max_retry_after(value: float) -> float:
    return _number("max_retry_after", value)


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be numbers, not {type(value).__name__}")
    count = _arguments.real(name, value)
    # An int above the largest float would overflow in the event loop's arithmetic. NaN fails every comparison.
    if not 0 <= count <= sys.float_info.max:
        raise ValueError(f"{name} must be finite and not negative")
    return count


@frozen
class RetryPolicy:
    """How often and when a request is sent again.

    Args:
        delays: Seconds to wait before each further attempt; `()` never tries again. A 429 uses up one of them, too.
        jitter: The share of a delay by which chance makes the delay shorter or longer, so that clients do not march in step.
        max_retry_after: Seconds. If the server's `Retry-After` asks for more, the call is given up at once.
        on_give_up: Called with the error, once for each call that fails although its failure might be gone at a later attempt.
    """

    delays: tuple[float, ...] = field(default=(1.0, 2.0, 4.0), converter=_delays)
    jitter: float = field(default=0.1, converter=_jitter)
    max_retry_after: float = field(default=60.0, converter=_max_retry_after)
    on_give_up: Callable[[UnlimCallError], object] | None = None

    def __attrs_post_init__(self) -> None:
        if self.jitter > 1:
            raise ValueError("jitter must be a share from 0 to 1")
        alarm: object = self.on_give_up
        # A coroutine function would return a coroutine that nobody awaits.
        if alarm is not None and (
            not callable(alarm) or any(map(inspect.iscoroutinefunction, (alarm, type(alarm).__call__)))
        ):
            raise TypeError("on_give_up must be a plain function of one argument, or None")


def delay_before_retry(
    policy: RetryPolicy, verdict: Verdict, error: UnlimCallError, *, retries: int, chance: float
) -> float | None:
    """Return the seconds to wait before the next attempt, or `None` to make no further attempt.

    Args:
        policy: The user's options.
        verdict: What the last attempt means for the call.
        error: The error of the last attempt.
        retries: How many times the request has been sent again already.
        chance: A random number from 0 to 1.
    """
    if not verdict.may_send_again or retries >= len(policy.delays):
        return None
    delay = policy.delays[retries] * (1 + policy.jitter * (2 * chance - 1))
    retry_after = error.retry_after if isinstance(error, APIError) else None
    if retry_after is None:
        return delay
    # The server knows best when it can take the request, so its wish has no jitter. But without any wait, all attempts would be
    # used up before anything can change.
    return max(delay, retry_after) if retry_after <= policy.max_retry_after else None


def pause_after(policy: RetryPolicy, error: RateLimitedError, delay: float | None) -> float:
    """Return for how many seconds a 429 stops its endpoint, for all calls.

    Args:
        policy: The user's options.
        error: The 429.
        delay: The seconds until the next attempt of the call that met the 429, or `None` if there is none.
    """
    if delay is not None:
        return delay
    asked = error.retry_after or 0.0
    # A rate limit counts the requests of a minute or of a day. So a longer wait is a mistake, for example a Unix time in place of
    # seconds, and must not stop the endpoint for good.
    return asked if asked <= DAY else policy.max_retry_after
