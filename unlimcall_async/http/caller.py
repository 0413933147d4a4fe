"""What all resources call through: a request in, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field
from yarl import URL

from unlimcall_async._codec import DecodeError
from unlimcall_async.errors import ResponseError
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.exchange import Exchange
from unlimcall_async.http.limiter import Limiters
from unlimcall_async.http.messages import Authorization, RawResponse, build
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
        closed: Whether this client, or view, takes no more calls.
    """

    base_url: URL
    authorization: Authorization
    pool: Pool = field(repr=False)
    timeout: float
    policy: RetryPolicy
    limiters: Limiters = field(repr=False)
    closed: bool = field(default=False, init=False)

    @property
    def is_closed(self) -> bool:
        """Whether this client or its pool is closed."""
        return self.closed or self.pool.closed

    def check_open(self) -> None:
        """Raise `RuntimeError` if this client or its pool is closed."""
        if self.is_closed:
            raise RuntimeError("this AsyncClient is closed")

    async def call(
        self,
        endpoint: Endpoint,
        path: str | None = None,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Make one call, with all its retries, and give the answer as it came."""
        self.check_open()
        request = build(self.base_url, endpoint, path or endpoint.path, params=params, json=json, headers=headers)
        limiter = self.limiters.of(endpoint.bucket)
        call = Exchange(request, self.authorization, self.timeout, self.policy, limiter)
        return await self.pool.run(request, self, call.run)

    async def fetch(
        self,
        endpoint: Endpoint,
        decode: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> T:
        """Make one call of a documented endpoint, and give what its answer holds."""
        answer = await self.call(endpoint, params=params, json=json)
        try:
            return decode(answer.body)
        except DecodeError as error:
            failure = ResponseError(
                answer.status,
                error.where,
                error.reason,
                endpoint.method,
                endpoint.path,
                outcome_unknown=not endpoint.repeatable,
            )
        raise failure

    async def aclose(self) -> None:
        """Take no more calls, and stop those that are under way. The pool stays open."""
        self.closed = True
        await self.pool.end(self)
