"""Whether to try again, and when.

Pure: no I/O, no clock; chance comes in as an argument. The rule (operations guide, Error Handling): what may have been a passing
failure is tried again after 1, 2 and 4 seconds, unless the request may have taken effect and must not be repeated.

| failure                                        | may be tried again                                          |
|------------------------------------------------|-------------------------------------------------------------|
| 429                                            | yes: the request was refused                                |
| no connection                                  | yes: nothing was sent                                       |
| time out, broken connection, 5xx               | if the endpoint is repeatable                               |
| 502 `originate_failed`, `engine_not_configured`| no: documented as what no retry can mend                    |
| any other 4xx, a redirect, an unreadable answer| no: the next answer would be the same                       |
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen

from unlimcall_async.errors import (
    APIError,
    EngineNotConfiguredError,
    OriginateFailedError,
    RateLimitedError,
    ServerError,
    TransportError,
    UnlimCallError,
)


def _delays(value: Iterable[float]) -> tuple[float, ...]:
    if not isinstance(value, Iterable):
        raise TypeError(f"delays must be numbers of seconds, not {type(value).__name__}")
    return tuple(value)


def _check_delays(_policy: RetryPolicy, _attribute: Any, value: tuple[float, ...]) -> None:
    for delay in value:
        _check_seconds("delays", delay)


def _check_jitter(_policy: RetryPolicy, _attribute: Any, value: float) -> None:
    _check_seconds("jitter", value)
    if value > 1:
        raise ValueError(f"jitter must be a share from 0 to 1, not {value}")


def _check_max_retry_after(_policy: RetryPolicy, _attribute: Any, value: float) -> None:
    _check_seconds("max_retry_after", value)


def _check_seconds(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be numbers, not {type(value).__name__}")
    if not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{name} must be finite and not negative")


def _check_on_give_up(_policy: RetryPolicy, _attribute: Any, value: object) -> None:
    if value is not None and (
        not callable(value) or any(map(inspect.iscoroutinefunction, (value, type(value).__call__)))
    ):
        raise TypeError("on_give_up must be a plain function of one argument, or None")


@frozen
class RetryPolicy:
    """How often and when a request is tried again.

    Args:
        delays: Seconds to wait before each further attempt; `()` never tries again. A 429 uses up one of them, too.
        jitter: The share of a delay by which chance makes it shorter or longer, so that clients do not march in step.
        max_retry_after: Seconds; a `Retry-After` above it is not waited for: the call is given up.
        on_give_up: Called with the error, once for each call that fails though its failure might have passed.
    """

    delays: tuple[float, ...] = field(default=(1.0, 2.0, 4.0), converter=_delays, validator=_check_delays)
    jitter: float = field(default=0.1, validator=_check_jitter)
    max_retry_after: float = field(default=60.0, validator=_check_max_retry_after)
    on_give_up: Callable[[UnlimCallError], object] | None = field(default=None, validator=_check_on_give_up)


def may_pass(error: UnlimCallError) -> bool:
    """Tell whether the failure is of a kind that may be gone at the next attempt."""
    if isinstance(error, TransportError):
        return not error.permanent
    if isinstance(error, (OriginateFailedError, EngineNotConfiguredError)):
        return False
    return isinstance(error, (ServerError, RateLimitedError))


def delay_before_retry(policy: RetryPolicy, error: UnlimCallError, *, retries: int, chance: float) -> float | None:
    """Give the seconds to wait before the next attempt, or `None` not to make one.

    Args:
        policy: The user's wishes.
        error: How the last attempt failed.
        retries: How many times the request has been tried again already.
        chance: A random number from 0 to 1.
    """
    if not may_pass(error) or error.outcome_unknown or retries >= len(policy.delays):
        return None
    asked = error.retry_after if isinstance(error, APIError) else None
    if asked is not None:
        return asked if asked <= policy.max_retry_after else None
    return policy.delays[retries] * (1 + policy.jitter * (2 * chance - 1))
