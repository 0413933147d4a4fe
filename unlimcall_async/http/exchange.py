"""One call from its request to its end: wait for the limit, send, read, and try again as far as the rules allow."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from typing import TYPE_CHECKING, TypeGuard

from attrs import define, field

from unlimcall_async import _clock
from unlimcall_async.errors import APIError, NotFoundError, RateLimitedError, UnlimCallError
from unlimcall_async.http.answers import failure_of
from unlimcall_async.http.endpoints import DELETE_HOOK
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import Authorization, RawResponse, Request
from unlimcall_async.http.retry import RetryPolicy, delay_before_retry, may_pass

if TYPE_CHECKING:
    # At run time the pool imports the transport, and with it aiohttp, at the first call.
    from unlimcall_async.http.transport import Attempt, Transport

_logger = logging.getLogger("unlimcall_async")


@define(eq=False)
class Tally:
    """What calls have cost beyond their requests: further attempts, and seconds of waiting for the rate limit."""

    retries: int = 0
    waited: float = 0.0


@define(eq=False)
class Exchange:
    """A call to make.

    Attributes:
        request: What to send.
        authorization: The header that the request itself does not hold.
        seconds: The time for each attempt.
        policy: When to try again.
        limiter: The queue that every attempt waits in.
        tally: Where it is written down what the call has cost.
    """

    request: Request
    authorization: Authorization
    seconds: float
    policy: RetryPolicy
    limiter: Limiter
    tally: Tally = field(factory=Tally)

    async def run(self, transport: Transport, attempt: Attempt) -> RawResponse:
        """Send the request until it is answered well or given up; give the answer, or raise the last error.

        `attempt` is kept up to date for a caller that ends this call meanwhile.
        """
        in_doubt = False
        for retries in itertools.count():
            outcome = await self._attempt(transport, attempt)
            if isinstance(outcome, RawResponse):
                return outcome
            if in_doubt and self._says_already_gone(outcome):
                return RawResponse(outcome.status, outcome.headers, outcome.body)
            delay = delay_before_retry(self.policy, outcome, retries=retries, chance=random.random())  # noqa: S311 # no secret
            self._pause(outcome, delay)
            if delay is None:
                self._give_up(outcome)
                try:
                    raise outcome
                finally:
                    # Else this frame and the error hold each other, body and all, until the next collection of garbage.
                    del outcome
            in_doubt = in_doubt or not (attempt.unsent or isinstance(outcome, RateLimitedError))
            await self._back_off(outcome, delay)
        raise AssertionError("unreachable")

    async def _attempt(self, transport: Transport, attempt: Attempt) -> RawResponse | UnlimCallError:
        attempt.begin()
        self._log_wait()
        asked_at = asyncio.get_running_loop().time()
        token_at = await self.limiter.acquire(transport.slots)
        self.tally.waited += token_at - asked_at
        try:
            outcome = await transport.send(self.request, self.authorization, self.seconds, attempt)
        finally:
            transport.slots.release()
            if attempt.unsent:
                self.limiter.give_back(token_at)
        if isinstance(outcome, RawResponse):
            return failure_of(self.request, outcome, self.authorization, _clock.utc_now()) or outcome
        return outcome

    def _log_wait(self) -> None:
        wait = self.limiter.wait()
        if wait > 0:
            # Before the wait: after a 429 it may be as long as the server likes.
            level = logging.INFO if wait > self.policy.max_retry_after else logging.DEBUG
            _logger.log(level, "%s waits %.1f s or more for its rate limit", self._name, wait)

    def _says_already_gone(self, error: UnlimCallError) -> TypeGuard[NotFoundError]:
        """Whether a DELETE that is sent again finds no hook: the first one, whose answer was lost, removed it."""
        return self.request.endpoint is DELETE_HOOK and isinstance(error, NotFoundError) and error.code == "not_found"

    def _pause(self, error: UnlimCallError, delay: float | None) -> None:
        """After a 429 stop the whole endpoint, not only this call: for as long as the server says, else for the delay."""
        if isinstance(error, RateLimitedError):
            seconds = delay if error.retry_after is None else error.retry_after
            self.limiter.pause(seconds or 0.0)

    async def _back_off(self, error: UnlimCallError, delay: float) -> None:
        self.tally.retries += 1
        what = error.status if isinstance(error, APIError) else type(error).__name__
        _logger.info("%s will be tried again in %.1f s, after %s", self._name, delay, what)
        # After a 429 the queue does the waiting: whoever waits there already goes first.
        if not isinstance(error, RateLimitedError):
            await asyncio.sleep(delay)

    def _give_up(self, given_up: UnlimCallError) -> None:
        if self.policy.on_give_up is None or not may_pass(given_up):
            return
        try:
            self.policy.on_give_up(given_up)
        except Exception as error:  # noqa: BLE001 # the caller must get the error that counts, not one of the alarm's
            # By its type only: what it says may come from an answer.
            _logger.error("on_give_up raised %s", type(error).__name__)  # noqa: TRY400

    @property
    def _name(self) -> str:
        """The call as logs may show it: a path as it was asked for may hold a phone number."""
        return f"{self.request.method} {self.request.endpoint.path}"
