"""What all resources call through: a request in, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

from attrs import define, field
from yarl import URL

from unlimcall_async._codec import DecodeError
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.exchange import Exchange, Tally
from unlimcall_async.http.limiter import Limiter, Limiters
from unlimcall_async.http.messages import Authorization, RawResponse, Request, build
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.retry import RetryPolicy

T = TypeVar("T")


@define(eq=False)
class Caller:
    """A client's options, and its calls.

    Attributes:
        base_url: What all paths are put under.
        authorization: The header with the token; masked in every repr.
        pool: The connections, which views share.
        timeout: Seconds for each attempt.
        policy: When to try again.
        limiters: The queue of each endpoint.
        owns_pool: Whether closing closes the pool; a view's does not.
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
        """Whether this client, or the one that it is a view of, is closed."""
        return self.closed or self.pool.closed

    def check_open(self) -> None:
        """Raise `RuntimeError` if this client, or the one that it is a view of, is closed."""
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
        """Make one call, with all its retries, and give the answer as it came."""
        path = path or endpoint.path
        request = build(self.base_url, endpoint, path, params=params, body=body, headers=headers)
        return await self._send(request, Tally())

    async def fetch(
        self,
        endpoint: Endpoint,
        decode: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        tally: Tally | None = None,
        limiter: Limiter | None = None,
        turn: AbstractAsyncContextManager[object] | None = None,
    ) -> T:
        """Make one call of a documented endpoint, and give what its answer holds.

        `tally` takes down what it cost; `limiter` is waited for in place of the endpoint's own, and `turn` before the answer is
        decoded.
        """
        request = build(self.base_url, endpoint, endpoint.path, params=params, body=body)
        answer = await self._send(request, tally or Tally(), limiter)
        try:
            async with turn or nullcontext():
                return decode(answer.body)
        except DecodeError as error:
            failure = request.unreadable(answer.status, error.where, error.reason)
        try:
            raise failure
        finally:
            # Else this frame and the error hold each other until the next collection of garbage.
            del failure

    async def _send(self, request: Request, tally: Tally, limiter: Limiter | None = None) -> RawResponse:
        self.check_open()
        limiter = limiter or self.limiters.of(request.endpoint.bucket)
        call = Exchange(request, self.authorization, self.timeout, self.policy, limiter, tally)
        return await self.pool.run(request, self, call.run)

    async def aclose(self) -> None:
        """Take no more calls, and stop those that are under way: of a view only its own, and then the pool stays open."""
        if self.owns_pool:
            await self.pool.aclose()
        else:
            self.closed = True
            await self.pool.end(self)
