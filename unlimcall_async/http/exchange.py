"""One call, from its request to its response: wait for the rate limit, send, judge the outcome, and try again or give up."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from attrs import define, field

from unlimcall_async import _clock
from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    RateLimitedError,
    ResponseError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.http.answers import failure_of
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.limiter import Limiter, TooLateError
from unlimcall_async.http.messages import RawResponse, Request
from unlimcall_async.http.observer import Trace
from unlimcall_async.http.outcome import Outcome, Sent, Verdict, is_refusal, is_slow, judge, outcome_of
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.pull import CallCost, Pull, WaitingFor
from unlimcall_async.http.retry import (
    Patience,
    RetryPolicy,
    asked_pause,
    delay_after_429,
    delay_before_retry,
    pause_after,
)
from unlimcall_async.http.server_clock import ServerClock, server_date

if TYPE_CHECKING:
    # At run time the pool imports the transport, and with it aiohttp, at the first call.
    from unlimcall_async.http.transport import Attempt, Transport

_logger = logging.getLogger("unlimcall_async")

T = TypeVar("T")


# Seconds. A shorter wait for the rate limit would be logged as 0.0.
_SHORTEST_WAIT: Final = 0.05


@define(eq=False, kw_only=True)
class Call(Generic[T]):
    """One call: what it asks, what holds for all its attempts, and how far it is.

    Attributes:
        trace: What the call shows of itself: its endpoint, its attempts, and how long they have waited.
        decide: Returns the request, once there is a token for it. What it raises ends the call.
        read: Makes the result of a response with a good status, or the error for a body that cannot be used.
        seconds: The time limit of each attempt.
        policy: When to send the request again.
        limiter: The queue that each attempt waits in.
        patience: How long 429s are waited out.
        pull: The stream that the call is part of, or `None`.
        cost: What the call costs is added here.
        max_wait: The seconds that all attempts together may wait for the rate limit, or `None` for no bound.
        slow_attempts: See `Caller.fetch`.
        request: The request, once it is decided.
        attempt: The attempt under way, or the last one; `None` before the first.
        waiting_for: What the call waits for.
        waiting_until: The loop's time of the next attempt, while the call waits between two attempts.
        retries: How many times the request has been sent again, 429s not counted.
        refusals: How many times the server has refused it.
        slow_in_a_row: How many of the last attempts were slow.
        may_have_acted: Whether the server may have acted on an earlier attempt.
        last_error: The error of the attempt before this one, or `None`.
    """

    trace: Trace
    decide: Callable[[], Request] = field(repr=False)
    read: Callable[[Request, RawResponse], Awaitable[T | ResponseError]] = field(repr=False)
    seconds: float
    policy: RetryPolicy
    limiter: Limiter = field(repr=False)
    patience: Patience
    cost: CallCost
    pull: Pull | None = None
    max_wait: float | None = None
    slow_attempts: int | None = None
    request: Request | None = None
    attempt: Attempt | None = field(default=None, init=False, repr=False)
    waiting_for: WaitingFor = field(default="rate limit", init=False)
    waiting_until: float | None = field(default=None, init=False)
    retries: int = field(default=0, init=False)
    refusals: int = field(default=0, init=False)
    slow_in_a_row: int = field(default=0, init=False)
    may_have_acted: bool = field(default=False, init=False)
    last_error: UnlimCallError | None = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False, repr=False)
    _waits_since: float | None = field(default=None, init=False)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint."""
        return self.trace.endpoint

    @property
    def name(self) -> str:
        """The call as logs may show it. The path that was asked for may hold a phone number."""
        return f"{self.endpoint.method} {self.endpoint.path}"

    @property
    def path(self) -> str:
        """The path below the base URL. It may hold a phone number."""
        return self.endpoint.path if self.request is None else self.request.path

    @property
    def waits_for_limit_s(self) -> float:
        """How long the wait for the rate limit has lasted that goes on; 0 if none does."""
        return 0.0 if self._waits_since is None else self._loop.time() - self._waits_since

    @property
    def waits_to_retry_s(self) -> float:
        """How many seconds are left until the next attempt; 0 if the call does not wait between two attempts."""
        return 0.0 if self.waiting_until is None else max(0.0, self.waiting_until - self._loop.time())

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call, if this side ends it now, may have taken effect and must not be repeated."""
        sent = Sent.NOT_SENT if self.attempt is None else self.attempt.sent
        return judge(self.endpoint, sent, Outcome.CLIENT_CLOSED).outcome_unknown

    async def run(self, transport: Transport, clock: ServerClock) -> T:
        """Make attempts until one is good. Return its result, or raise the error of the last one."""
        while True:
            # A call that is ended while it waits has sent nothing of the next attempt.
            self.attempt = None
            token_at = await self._wait(transport.slots)
            request = self._decided(transport.slots, token_at)
            self.attempt = transport.attempt(request, self.trace.authorization, self.seconds)
            result = await self._send(request, self.attempt, token_at, transport.slots, clock)
            if not isinstance(result, UnlimCallError):
                self.trace.attempt_ends(None)
                return result
            error = result
            self.trace.attempt_ends(error)
            verdict = judge(
                self.endpoint, self.attempt.sent, outcome_of(error), earlier_may_have_acted=self.may_have_acted
            )
            if verdict.already_done and isinstance(error, APIError):
                done = await self.read(request, RawResponse(error.status, error.headers, error.body))
                if not isinstance(done, ResponseError):
                    return done
            error.outcome_unknown = verdict.outcome_unknown
            if isinstance(error, TransportError):
                error.attempt, error.attempts = self.retries + 1, len(self.policy.delays) + 1
            if refused := is_refusal(error, dense=self.limiter.dense()):
                delay = await self._delay_after_refusal(verdict, error, token_at)
            else:
                self.limiter.failed(token_at)
                delay = self._delay(verdict, error)
            if delay is None:
                try:
                    raise error
                finally:
                    # Else this frame and the error hold each other, body and all, until the next collection of garbage.
                    del error, result
            self.may_have_acted = self.may_have_acted or verdict.may_have_acted
            self.cost.retries += 1
            # The command shows long waits for the network alone.
            waits = {"network_wait_s": delay if isinstance(error, TransportError) else 0.0}
            _logger.info("%s will be tried again in %.1f s, after %s", self.name, delay, _in_short(error), extra=waits)
            # After a refusal the queue does the waiting, so that calls which wait there already go first.
            if not refused:
                self.retries += 1
                self.waiting_for, self.waiting_until = "retry", self._loop.time() + delay
                await asyncio.sleep(delay)
            self.last_error = error
            del error, result

    def _decided(self, slots: asyncio.Semaphore, token_at: float) -> Request:
        """Return the request. Without a request, the token and the slot go back."""
        if self.request is None:
            try:
                self.request = self.decide()
            except BaseException:
                slots.release()
                self.limiter.give_back(token_at)
                raise
        return self.request

    async def _wait(self, slots: asyncio.Semaphore) -> float:
        """Wait for the rate limit and a slot, and return the loop's time at which the call has both."""
        self._waits_since = now = self._loop.time()
        # Nobody asks what a single call has waited but its trace.
        if self.pull is not None:
            self.cost.begin_wait(now)
        self.waiting_for, self.waiting_until = "rate limit", None
        # Logged before the wait: after a 429 it may be as long as the server likes. To look ahead costs as much as to take a token.
        if _logger.isEnabledFor(logging.INFO):
            wait = self.limiter.wait_in_queue(self.pull)
            if _SHORTEST_WAIT <= wait <= self._wait_left():  # a longer wait is refused at once
                _logger.info("%s waits %.1f s or more for its rate limit", self.name, wait)
        try:
            return await self.limiter.acquire(slots, self._wait_left(), self.pull, again=self.refusals > 0)
        except TooLateError as late:
            seconds = late.seconds
        finally:
            now = self._loop.time()
            waited = now - self._waits_since
            if self.pull is not None:
                self.cost.end_wait(now, waited)
            self.trace.waits(waited)
            self._waits_since = None
        # An earlier attempt may have taken effect, so its error says more than that the next attempt was not sent.
        error = self.last_error or self._not_sent(seconds)
        _report_give_up(self.policy, error)
        try:
            raise error
        finally:
            # As in `run`.
            self.last_error = None
            del error

    def _not_sent(self, seconds: float) -> RateLimitedError:
        detail = f"its rate limit lets the request out in {seconds:.1f} s, and max_wait is {self.max_wait or 0.0:g} s"
        return RateLimitedError(429, None, detail, self.endpoint.method, self.path, retry_after=seconds, sent=False)

    def _wait_left(self) -> float:
        # Never below 0: also a token that is ready takes the loop some microseconds.
        return math.inf if self.max_wait is None else max(0.0, self.max_wait - self.trace.waited_s)

    async def _send(
        self, request: Request, attempt: Attempt, token_at: float, slots: asyncio.Semaphore, clock: ServerClock
    ) -> T | UnlimCallError:
        """Send the request, and return the result of the call, or the error of the attempt."""
        self.waiting_for = "server"
        self.trace.sends()
        sent_at = _clock.utc_now()

        async def stop_others(head: RawResponse) -> None:
            # At once, because the body of a 429 may take its time, and the call may be cancelled meanwhile.
            refusal = failure_of(request, head, self.trace.authorization, _clock.utc_now())
            if isinstance(refusal, RateLimitedError):
                await self.limiter.refused(token_at, asked_pause(refusal))

        try:
            answer = await attempt.send(stop_others)
        finally:
            slots.release()
            # A request that was never sent uses up no token, also if the call is cancelled.
            if attempt.sent is Sent.NOT_SENT:
                self.limiter.give_back(token_at)
        self.trace.receives(answer)
        if not isinstance(answer, RawResponse):
            return answer
        received_at = _clock.utc_now()
        _note_time(clock, answer, sent_at, received_at, self.cost)
        failure = failure_of(request, answer, self.trace.authorization, received_at)
        if failure is None or (isinstance(failure, APIError) and failure.status < 500 and failure.status != 429):
            self.limiter.accepted(token_at)
            if self.pull is not None:
                self.patience.renew()
        result = failure or await self.read(request, answer)
        if isinstance(result, (APIError, ResponseError)):
            result.request_id = self.trace.request_id
        return result

    def _delay(self, verdict: Verdict, error: UnlimCallError) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` if the call has failed."""
        chance = random.random()  # noqa: S311 # no secret
        delay = delay_before_retry(self.policy, verdict, error, retries=self.retries, chance=chance)
        self.slow_in_a_row = self.slow_in_a_row + 1 if is_slow(error) else 0
        if self.slow_attempts is not None and self.slow_in_a_row >= (1 if delay is None else self.slow_attempts):
            return None
        if delay is None and verdict.may_pass:
            _report_give_up(self.policy, error)
        return delay

    async def _delay_after_refusal(self, verdict: Verdict, error: APIError, token_at: float) -> float | None:
        """Slow the limiter down. Return the seconds to wait before the next attempt, or `None` if the call has failed."""
        self.refusals += 1
        self.slow_in_a_row = 0
        rounds = await self.limiter.refused(token_at, asked_pause(error))
        chance = random.random()  # noqa: S311 # no secret
        if isinstance(error, RateLimitedError):
            delay = delay_after_429(self.policy, verdict, error, rounds=rounds, patience=self.patience, chance=chance)
        else:
            # The server may have failed: nothing but the pace tells this 503 from any other.
            delay = delay_before_retry(self.policy, verdict, error, retries=self.retries, chance=chance)
            self.retries += 1
        pause = pause_after(self.policy, error, delay)
        if pause > self.policy.max_retry_after:
            # Calls that wait already have logged a shorter wait.
            _logger.info("%s: its rate limit stops all calls of the endpoint for %.0f s", self.name, pause)
        await self.limiter.pause(pause)
        if delay is not None and delay > self._wait_left():
            delay = None
        if delay is None:
            _report_give_up(self.policy, error)
        elif isinstance(error, RateLimitedError):
            self.patience.wait(self._loop.time(), delay)
        return delay


class Owner(Protocol):
    """A client or a view, whose closing ends its calls."""

    def check_open(self, request: Request | None = None) -> None:
        """Raise an error if the owner is closed, so that `request` was not sent."""


async def exchange(pool: Pool, owner: Owner, call: Call[T]) -> T:
    """Make a call of `owner`, with all its retries: return its result, or raise the error of its last attempt.

    The call is reported to the observer when it ends, whatever ends it.
    """
    call.cost.under_way.add(call)
    call.trace.began = call.trace.clock()
    try:
        owner.check_open(call.request)
        async with pool.scope(owner) as transport:
            result = await call.run(transport, pool.clock)
            call.trace.call_ends(None)
            return result
        # The pool has ended the call, wherever it stood.
        raise ClientClosedError(  # noqa: TRY301 # reported below, like any other end of the call
            "the client was closed meanwhile",
            call.endpoint.method,
            call.path,
            outcome_unknown=call.outcome_unknown,
            cause="closed",
        )
    except BaseException as error:
        # A stream takes a place in the queue before it knows what to ask. If it then asks nothing, no call was made.
        if call.request is not None:
            unknown = error.outcome_unknown if isinstance(error, UnlimCallError) else call.outcome_unknown
            call.trace.call_ends(error, outcome_unknown=unknown)
        raise
    finally:
        call.cost.under_way.remove(call)


def _note_time(
    clock: ServerClock, response: RawResponse, sent_at: datetime, received_at: datetime, cost: CallCost
) -> None:
    """Learn from the `Date` of a response, and log the first large skew between the two clocks."""
    large = clock.note(response.headers, sent_at, received_at)
    cost.server_time = server_date(response.headers) or cost.server_time
    cost.skew_s = clock.skew_s
    if large is not None:
        side = "ahead of" if large > 0 else "behind"
        _logger.warning("the clock of this machine is %.0f s %s the server's clock", abs(large), side)


def _in_short(error: UnlimCallError) -> object:
    """Return what a log may show of an error: its text may be the server's, and hold a phone number."""
    if isinstance(error, TransportError):
        # Without the path, which may hold a phone number.
        return f"attempt {error.attempt} of {error.attempts}: {error.reason}"
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
