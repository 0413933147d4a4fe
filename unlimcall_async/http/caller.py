"""The calls of a client: what all resources use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import define, evolve, field, frozen
from yarl import URL

from unlimcall_async import _arguments
from unlimcall_async._lazy import LazyModule
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.limiters import Limiters
from unlimcall_async.http.messages import Authorization, RawResponse, Request, build
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.retry import RATE_LIMITED_FOR, Patience, RetryPolicy

if TYPE_CHECKING:
    from unlimcall_async import _codec, errors
    from unlimcall_async.http import answers, exchange, observer
    from unlimcall_async.http import pull as pulls
else:
    # What only a call needs is imported with the first call.
    _codec = LazyModule("unlimcall_async._codec")
    errors = LazyModule("unlimcall_async.errors")
    answers = LazyModule("unlimcall_async.http.answers")
    exchange = LazyModule("unlimcall_async.http.exchange")
    observer = LazyModule("unlimcall_async.http.observer")
    pulls = LazyModule("unlimcall_async.http.pull")

T = TypeVar("T")


@frozen
class Wanted(Generic[T]):
    """What a call of a pull asks.

    Attributes:
        params: The query.
        read: Returns the value of a body, or raises `DecodeError`.
        slow_attempts: Give up after so many slow attempts in a row, for a caller that asks for less instead. An error for which
            `is_slow` is true is then not reported to `on_give_up`, because the caller has not given up.
    """

    params: Mapping[str, str]
    read: Callable[[bytes], Awaitable[T]]
    slow_attempts: int | None = None


@define(eq=False)
class Caller:
    """The options of a client or of a view of it, and its calls.

    Attributes:
        base_url: The URL that all paths are put under.
        authorization: The header with the token; masked in every repr.
        pool: The connections, which a client and its views share.
        timeout: Seconds for each attempt.
        max_wait: Seconds that a call may wait for its rate limit, or `None` for no bound.
        policy: When to send a request again.
        limiters: The limiter of each endpoint.
        owns_pool: Whether closing this caller closes the pool: true for a client, false for a view.
        owns_limiters: Whether closing this caller closes the limiters: false for a view that shares them.
        closed: Whether this view takes no more calls.
        reporter: The user's observer, or `None`.
        owner: The caller that this one is a copy of, and whose closing ends the calls; `None` if it is not a copy.
        traces: The trace of each call is added here; `None` to keep none.
    """

    base_url: URL
    authorization: Authorization
    pool: Pool = field(repr=False)
    timeout: float
    max_wait: float | None
    policy: RetryPolicy
    limiters: Limiters = field(repr=False)
    owns_pool: bool
    owns_limiters: bool
    closed: bool = False
    reporter: observer.Reporter | None = None
    owner: Caller | None = field(default=None, repr=False)
    traces: list[observer.Trace] | None = field(default=None, repr=False)

    @property
    def is_closed(self) -> bool:
        """Whether this client, or the client that this view belongs to, is closed."""
        return self.closed or self.pool.closed

    def check_open(self, request: Request | None = None) -> None:
        """Raise `ClientClosedError` if `is_closed`, so that `request` was not sent."""
        if self.is_closed:
            what = "AsyncClient" if self.pool.closed else "view of an AsyncClient"
            raise errors.ClientClosedError(
                f"this {what} is closed, the one of {self.base_url}",
                "" if request is None else request.method,
                "" if request is None else request.path,
                permanent=True,
                cause="closed",
                hint="make a new one, or call it before aclose() and inside its `async with`",
            )

    def traced(self, traces: list[observer.Trace]) -> Caller:
        """Return a copy of this caller that adds the trace of each call to a list."""
        return evolve(self, owner=self.owner or self, traces=traces)

    async def call(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Make one call, with all its retries, and return the response as the server sent it. The options are those of `fetch`."""
        request = build(self.base_url, endpoint, path, params=params, body=body, headers=_arguments.headers(headers))

        async def read(request: Request, response: RawResponse) -> RawResponse | errors.ResponseError:
            return answers.raw_problem(request, response) or response

        return await self._exchange(request, read, timeout)

    async def fetch(
        self,
        endpoint: Endpoint,
        decode: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Make one call of a documented endpoint, and return the decoded body of the response.

        Args:
            endpoint: The endpoint.
            decode: Returns the value of a body, or raises `DecodeError`.
            params: The query.
            body: The body of the request.
            timeout: Seconds for each attempt, as the user has passed them; `None` for those of the client.
            headers: Further headers, as the user has passed them.

        Raises:
            ValueError, TypeError: `timeout` or `headers` is not valid.
        """
        request = build(
            self.base_url, endpoint, endpoint.path, params=params, body=body, headers=_arguments.headers(headers)
        )

        # Inside the call, because a body that is not JSON may make the call send its request again.
        async def read(request: Request, response: RawResponse) -> T | errors.ResponseError:
            try:
                return decode(response.body)
            except _codec.DecodeError as error:
                return _unusable(error, request, response)

        return await self._exchange(request, read, timeout)

    async def pull(self, endpoint: Endpoint, pull: pulls.Pull, decide: Callable[[], Wanted[T]]) -> T:
        """Make one call that is part of a pull, and return the decoded body. `max_wait` does not bound such a call.

        Args:
            endpoint: The endpoint.
            pull: What the calls of the pull share.
            decide: Returns what is asked, once there is a token for it. What it raises ends the call.
        """
        wanted: Wanted[T]

        def request() -> Request:
            nonlocal wanted
            wanted = decide()
            call.slow_attempts = wanted.slow_attempts
            return build(self.base_url, endpoint, endpoint.path, params=wanted.params)

        async def read(request: Request, response: RawResponse) -> T | errors.ResponseError:
            try:
                return await wanted.read(response.body)
            except _codec.DecodeError as error:
                return _unusable(error, request, response)

        call = exchange.Call(
            trace=self._trace(endpoint),
            decide=request,
            read=read,
            seconds=self.timeout,
            policy=self.policy,
            limiter=pull.limiter,
            patience=pull.patience,
            cost=pull.cost,
            pull=pull,
        )
        return await exchange.exchange(self.pool, self, call)

    def _trace(self, endpoint: Endpoint) -> observer.Trace:
        return observer.Trace(
            endpoint, self.authorization, str(self.base_url), self.reporter, asyncio.get_running_loop().time
        )

    async def _exchange(
        self,
        request: Request,
        read: Callable[[Request, RawResponse], Awaitable[T | errors.ResponseError]],
        timeout: float | None,
    ) -> T:
        policy = self.policy
        trace = self._trace(request.endpoint)
        if self.traces is not None:
            self.traces.append(trace)
        call = exchange.Call(
            trace=trace,
            request=request,
            decide=lambda: request,
            read=read,
            seconds=self.timeout if timeout is None else _arguments.seconds("timeout", timeout),
            policy=policy,
            limiter=self.limiters.of(request.endpoint.bucket),
            patience=Patience(RATE_LIMITED_FOR if policy.rate_limited_for is None else policy.rate_limited_for),
            cost=pulls.CallCost(),
            max_wait=self.max_wait,
        )
        return await exchange.exchange(self.pool, self.owner or self, call)

    async def aclose(self) -> None:
        """Take no more calls, and end those under way. A client closes its pool; a view ends only its own calls."""
        try:
            if self.owns_pool:
                await self.pool.aclose()
            else:
                self.closed = True
                await self.pool.end(self)
        finally:
            if self.owns_limiters:
                await self.limiters.aclose()


def _unusable(error: _codec.DecodeError, request: Request, response: RawResponse) -> errors.ResponseError:
    """Return the error to raise. A caller returns it, so that no traceback shows the body by way of the `DecodeError`."""
    return answers.unusable(request, response, error.where, error.reason)
