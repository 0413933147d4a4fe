"""The calls of a client: what all resources use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

from attrs import define, field
from yarl import URL

from unlimcall_async._codec import DecodeError
from unlimcall_async.errors import ResponseError
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.exchange import CallCost, exchange
from unlimcall_async.http.limiter import Limiter, Limiters
from unlimcall_async.http.messages import Authorization, RawResponse, Request, build
from unlimcall_async.http.outcome import Outcome, Sent, judge
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.retry import RetryPolicy

T = TypeVar("T")


@define(eq=False)
class Caller:
    """The options of a client or of a view of it, and its calls.

    Attributes:
        base_url: The URL that all paths are put under.
        authorization: The header with the token; masked in every repr.
        pool: The connections, which a client and its views share.
        timeout: Seconds for each attempt.
        policy: When to send a request again.
        limiters: The limiter of each endpoint.
        owns_pool: Whether closing this caller closes the pool: true for a client, false for a view.
        closed: Whether this view takes no more calls.
    """

    base_url: URL
    authorization: Authorization
    pool: Pool = field(repr=False)
    timeout: float
    policy: RetryPolicy
    limiters: Limiters = field(repr=False)
    owns_pool: bool
    closed: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether this client, or the client that this view belongs to, is closed."""
        return self.closed or self.pool.closed

    def check_open(self) -> None:
        """Raise `RuntimeError` if `is_closed`."""
        if self.is_closed:
            raise RuntimeError("this AsyncClient is closed")

    async def call(
        self,
        endpoint: Endpoint,
        path: str | None = None,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Make one call, with all its retries, and return the response as the server sent it."""
        path = path or endpoint.path
        request = build(self.base_url, endpoint, path, params=params, body=body, headers=headers)
        return await self._exchange(request)

    async def fetch(
        self,
        endpoint: Endpoint,
        decode: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cost: CallCost | None = None,
        limiter: Limiter | None = None,
        decoding: AbstractAsyncContextManager[object] | None = None,
        slow_attempts: int | None = None,
    ) -> T:
        """Make one call of a documented endpoint, and return the decoded body of the response.

        Args:
            endpoint: The endpoint.
            decode: Returns the value of a body, or raises `DecodeError`.
            params: The query.
            body: The body of the request.
            cost: What the call costs is added here.
            limiter: The limiter to wait for, in place of the endpoint's own.
            decoding: Entered around the decoding of the body.
            slow_attempts: Give up after so many slow attempts in a row, for a caller that asks for less instead. An error for which
                `is_slow` is true is then not reported to `on_give_up`, because the caller has not given up.
        """
        request = build(self.base_url, endpoint, endpoint.path, params=params, body=body)
        response = await self._exchange(request, limiter, cost, slow_attempts)
        try:
            async with decoding or nullcontext():
                return decode(response.body)
        except DecodeError as error:
            verdict = judge(endpoint, Sent.MAYBE_SENT, Outcome.UNREADABLE)
            unreadable = ResponseError(
                response.status,
                error.where,
                error.reason,
                request.method,
                request.path,
                outcome_unknown=verdict.outcome_unknown,
            )
        # Raised here, so that the traceback does not show the body by way of the DecodeError.
        try:
            raise unreadable
        finally:
            # Else this frame and the error hold each other until the next collection of garbage.
            del unreadable

    async def _exchange(
        self,
        request: Request,
        limiter: Limiter | None = None,
        cost: CallCost | None = None,
        slow_attempts: int | None = None,
    ) -> RawResponse:
        self.check_open()
        return await exchange(
            self.pool,
            self,
            request,
            authorization=self.authorization,
            seconds=self.timeout,
            policy=self.policy,
            limiter=limiter or self.limiters.of(request.endpoint.bucket),
            cost=cost or CallCost(),
            slow_attempts=slow_attempts,
        )

    async def aclose(self) -> None:
        """Take no more calls, and end those under way. A client closes its pool; a view ends only its own calls."""
        if self.owns_pool:
            await self.pool.aclose()
        else:
            self.closed = True
            await self.pool.end(self)
