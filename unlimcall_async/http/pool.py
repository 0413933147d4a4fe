"""The life of a client: one pool of connections, opened late, in one event loop, and closed with all calls that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from unlimcall_async.http.network import Network
from unlimcall_async.http.server_clock import ServerClock

if TYPE_CHECKING:
    import aiohttp

    from unlimcall_async.http.transport import Transport


class Pool:
    """The connections that a client and its views share, and the calls that use them.

    Every call is inside a cancel scope of its own. To close the pool means three steps: end the scopes, wait until each call has
    left its scope, and only then close the connections. A scope is an `asyncio.timeout` without a deadline. So the pool ends just
    the call, and a cancellation of the caller's own task stays a cancellation.

    Args:
        name: The client, as messages show it.
        session: The session that was handed in, or `None`.
        max_connections: How many requests may be under way at once.
        network: The proxy and the certificates.

    Attributes:
        clock: What the responses have shown of the server's clock.
        closed: Whether `aclose` was called.
    """

    def __init__(
        self,
        name: str,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        network: Network,
    ) -> None:
        self._name = name
        self._session = session
        self._max_connections = max_connections
        self._network = network
        self._transport: Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # The scope of each call under way, and the call's owner.
        self._calls: dict[asyncio.Timeout, object] = {}
        self._call_left = asyncio.Event()
        self.clock: ServerClock = ServerClock()
        self.closed: bool = False

    @property
    def proxy(self) -> str | None:
        """The host and the port of the proxy that the client has named, or the environment."""
        proxy = self._network.proxy
        return None if proxy is None else proxy.place

    @asynccontextmanager
    async def scope(self, owner: object) -> AsyncGenerator[Transport, None]:
        """Enter the scope of one call of `owner`; inside it is the transport.

        If `end` or `aclose` ends the call, the block is left without an exception. So a block that returns its result is followed
        by the code for a call that was ended.

        Raises:
            RuntimeError: The pool belongs to another event loop.
            ClientClosedError: The session that was handed in is closed.
        """
        # Imported here, because a program that imports the package may never need the 0.2 s that importing aiohttp takes.
        from unlimcall_async.http.transport import Transport  # noqa: PLC0415

        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._check_loop()
        if self._transport is None:
            self._transport = Transport(self._session, self._max_connections, self._network)
        self._transport.check_open()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._calls[scope] = owner
                yield self._transport
        except TimeoutError:
            # Any other TimeoutError is the block's own.
            if not scope.expired():
                raise
        finally:
            self._calls.pop(scope, None)
            self._call_left.set()

    def _check_loop(self) -> None:
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise RuntimeError(
                f"the client of {self._name} belongs to another event loop, the one of its first call: make a client in each loop; "
                "each asyncio.run() has a loop of its own"
            )

    async def end(self, owner: object) -> None:
        """End the calls of `owner`, and wait until they have left."""
        self._check_loop()
        await self._end({scope for scope, of in self._calls.items() if of is owner})

    async def aclose(self) -> None:
        """End all calls, wait until they have left, and close the connections."""
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
            # A scope with a deadline was ended before, by a close that is still waiting.
            if scope.when() is None:
                scope.reschedule(now)
        while not scopes.isdisjoint(self._calls):
            self._call_left.clear()
            await self._call_left.wait()
