"""The life of a client: one pool of connections, opened late, in one event loop, and closed with all that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from unlimcall_async.errors import ClientClosedError
from unlimcall_async.http.messages import Request

if TYPE_CHECKING:
    import aiohttp

    from unlimcall_async.http.transport import Attempt, Transport

T = TypeVar("T")


class Pool:
    """What a client and its views share.

    Every call stands in a cancel scope of its own. To close means to end the scopes, to wait until each call has left, and only
    then to close the connections. The scope is an `asyncio.timeout` without a deadline, so that it ends just that call, and a
    cancellation of the caller's own task stays what it is.
    """

    def __init__(self, session: aiohttp.ClientSession | None, max_connections: int) -> None:
        self._session = session
        self._max_connections = max_connections
        self._transport: Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: dict[asyncio.Timeout, object] = {}
        self._call_left = asyncio.Event()
        self.closed: bool = False

    async def run(self, request: Request, owner: object, work: Callable[[Transport, Attempt], Awaitable[T]]) -> T:
        """Do the work of one call of `owner`, until it is done or `end` stops it.

        Raises:
            ClientClosedError: The call was stopped.
            RuntimeError: The pool belongs to another event loop, or the session that was handed in is closed.
        """
        # Here and not above, because a program that imports the package may never need the 0.2 s that aiohttp takes to import.
        from unlimcall_async.http.transport import Attempt, Transport  # noqa: PLC0415

        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._check_loop()
        if self._transport is None:
            self._transport = Transport(self._session, self._max_connections)
        self._transport.check_open()
        attempt = Attempt()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._calls[scope] = owner
                return await work(self._transport, attempt)
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._calls.pop(scope, None)
            self._call_left.set()
        unknown = request.must_not_repeat and not attempt.unsent
        raise ClientClosedError(
            "the client was closed meanwhile", request.method, request.path, outcome_unknown=unknown
        )

    def _check_loop(self) -> None:
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise RuntimeError("this AsyncClient belongs to another event loop: make one in each loop")

    async def end(self, owner: object) -> None:
        """Stop the calls of `owner`, and wait until they have left."""
        self._check_loop()
        await self._end({scope for scope, of in self._calls.items() if of is owner})

    async def aclose(self) -> None:
        """Stop all calls, wait until they have left, and close the connections."""
        self._check_loop()
        self.closed = True
        try:
            await self._end(set(self._calls))
        finally:
            if self._transport is not None:
                await self._transport.aclose()

    async def _end(self, scopes: set[asyncio.Timeout]) -> None:
        now = asyncio.get_running_loop().time()
        for scope in scopes:
            if scope.when() is None:  # not told yet
                scope.reschedule(now)
        while not scopes.isdisjoint(self._calls):
            self._call_left.clear()
            await self._call_left.wait()
