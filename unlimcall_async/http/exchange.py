"""One call, from its request to its response: wait for the rate limit, send, judge the outcome, and try again or give up."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define

from unlimcall_async import _clock
from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    RateLimitedError,
    UnlimCallError,
)
from unlimcall_async.http.answers import failure_of
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import Authorization, RawResponse, Request
from unlimcall_async.http.outcome import Outcome, Sent, is_slow, judge, outcome_of
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.retry import RetryPolicy, delay_before_retry
from unlimcall_async.http.server_clock import ServerClock, server_date

if TYPE_CHECKING:
    # At run time the pool imports the transport, and with it aiohttp, at the first call.
    from unlimcall_async.http.transport import Attempt

_logger = logging.getLogger("unlimcall_async")


@define(eq=False)
class CallCost:
    """What calls have cost, beyond one request for each, and what time their server had.

    Attributes:
        retries: Further attempts.
        waited_s: Seconds of waiting for the rate limit and for a connection slot.
        server_time: The `Date` of the last response that had a usable one: UTC, in whole seconds.
        skew_s: The local time minus the server's, as known after the last response: see `ServerClock.skew_s`.
    """

    retries: int = 0
    waited_s: float = 0.0
    server_time: datetime | None = None
    skew_s: float | None = None


async def exchange(
    pool: Pool,
    owner: object,
    request: Request,
    *,
    authorization: Authorization,
    seconds: float,
    policy: RetryPolicy,
    limiter: Limiter,
    cost: CallCost,
    slow_attempts: int | None = None,
) -> RawResponse:
    """Make one call of `owner`, with all its retries: return the good response, or raise the error of the last attempt.

    Each attempt has a time limit of `seconds`, and waits in the queue of `limiter`. What the call costs is added to `cost`. For
    `slow_attempts` see `Caller.fetch`.
    """
    # The call as logs may show it. The path that was asked for may hold a phone number.
    name = f"{request.method} {request.endpoint.path}"
    retries = slow_in_a_row = 0
    may_have_acted = False
    async with pool.scope(owner) as transport:
        while True:
            # Made before the wait: a call that is ended while it waits has sent nothing of this attempt.
            attempt = transport.attempt(request, authorization, seconds)
            if (wait := limiter.wait()) > 0:
                # Logged before the wait: after a 429 it may be as long as the server likes.
                level = logging.INFO if wait > policy.max_retry_after else logging.DEBUG
                _logger.log(level, "%s waits %.1f s or more for its rate limit", name, wait)
            answer = await _send_in_turn(attempt, limiter, transport.slots, pool.clock, cost)
            if isinstance(answer, RawResponse):
                answer = failure_of(request, answer, authorization, _clock.utc_now()) or answer
            if isinstance(answer, RawResponse):
                return answer

            # Judge the failure.
            error: UnlimCallError = answer
            verdict = judge(request.endpoint, attempt.sent, outcome_of(error), earlier_may_have_acted=may_have_acted)
            if verdict.already_done and isinstance(error, APIError):
                return RawResponse(error.status, error.headers, error.body)
            error.outcome_unknown = verdict.outcome_unknown

            # Give up, or wait before the next attempt.
            delay = delay_before_retry(policy, verdict, error, retries=retries, chance=random.random())  # noqa: S311 # no secret
            if isinstance(error, RateLimitedError):
                # The whole endpoint stops, not only this call: for as long as the server says, else for the delay.
                pause = delay if error.retry_after is None else error.retry_after
                limiter.pause(pause or 0.0)
            slow_in_a_row = slow_in_a_row + 1 if is_slow(error) else 0
            too_slow = slow_attempts is not None and slow_in_a_row >= (1 if delay is None else slow_attempts)
            if delay is None or too_slow:
                if verdict.may_pass and not too_slow:
                    _report_give_up(policy, error)
                try:
                    raise error
                finally:
                    # Else this frame and the error hold each other, body and all, until the next collection of garbage.
                    del error, answer
            may_have_acted = may_have_acted or verdict.may_have_acted
            retries += 1
            cost.retries += 1
            _logger.info("%s will be tried again in %.1f s, after %s", name, delay, _in_short(error))
            # After a 429 the queue does the waiting, so that calls which wait there already go first.
            if not isinstance(error, RateLimitedError):
                await asyncio.sleep(delay)

    # The pool has ended the call, wherever it stood.
    verdict = judge(request.endpoint, attempt.sent, Outcome.CLIENT_CLOSED)
    raise ClientClosedError(
        "the client was closed meanwhile", request.method, request.path, outcome_unknown=verdict.outcome_unknown
    )


async def _send_in_turn(
    attempt: Attempt, limiter: Limiter, slots: asyncio.Semaphore, clock: ServerClock, cost: CallCost
) -> RawResponse | UnlimCallError:
    """Wait for the rate limit and a connection slot, send the attempt, and return how it ended."""
    asked_at = asyncio.get_running_loop().time()
    token_at = await limiter.acquire(slots)
    cost.waited_s += token_at - asked_at
    sent_at = _clock.utc_now()
    try:
        answer = await attempt.send()
    finally:
        slots.release()
        # A request that was never sent uses up no token, also if the call is cancelled.
        if attempt.sent is Sent.NOT_SENT:
            limiter.give_back(token_at)
    if isinstance(answer, RawResponse):
        _note_time(clock, answer, sent_at, cost)
    return answer


def _note_time(clock: ServerClock, response: RawResponse, sent_at: datetime, cost: CallCost) -> None:
    """Learn from the `Date` of a response, and log the first large skew between the two clocks."""
    large = clock.note(response.headers, sent_at, _clock.utc_now())
    cost.server_time = server_date(response.headers) or cost.server_time
    cost.skew_s = clock.skew_s
    if large is not None:
        side = "ahead of" if large > 0 else "behind"
        _logger.warning("the clock of this machine is %.0f s %s the server's clock", abs(large), side)


def _in_short(error: UnlimCallError) -> object:
    """Return what a log may show of an error: its text may be the server's, and hold a phone number."""
    return error.status if isinstance(error, APIError) else type(error).__name__


def _report_give_up(policy: RetryPolicy, given_up: UnlimCallError) -> None:
    """Call the user's `on_give_up`, and log what it raises."""
    if policy.on_give_up is None:
        return
    try:
        policy.on_give_up(given_up)
    except Exception as error:  # noqa: BLE001 # the caller must get the call's error, not one of the user's function
        # Only its type: its words may come from a response.
        _logger.error("on_give_up raised %s", type(error).__name__)  # noqa: TRY400
