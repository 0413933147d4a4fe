"""The life of a client: one pool of connections, opened late, in one event loop, and closed with all calls that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

from attrs import define, field

from unlimcall_async.http.network import Network
from unlimcall_async.http.server_clock import ServerClock

if TYPE_CHECKING:
    import aiohttp

    from unlimcall_async.http.limiters import Limiters
    from unlimcall_async.http.transport import Transport


@define(eq=False)
class Connections:
    """The connections of one pool or of several, and the calls that use them.

    Attributes:
        session: The session that was handed in, or `None`.
        max_connections: How many requests may be under way at once, those of all pools together.
        transport: Opened at the first call.
        loop: The event loop of the first call.
        calls: The scope of each call under way, and the call's owner.
        call_left: Set when a call has left its scope.
        closed: Whether the connections were closed.
        limiters: The limiters that views have of their own.
        newest: Of each server of rate limits, the limiters of the newest view. They close what views have left open that are gone.
    """

    session: aiohttp.ClientSession | None
    max_connections: int
    transport: Transport | None = field(default=None, init=False)
    loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    calls: dict[asyncio.Timeout, object] = field(factory=dict, init=False)
    call_left: asyncio.Event = field(factory=asyncio.Event, init=False)
    closed: bool = field(default=False, init=False)
    limiters: WeakSet[Limiters] = field(factory=WeakSet, init=False)
    newest: dict[Hashable, Limiters] = field(factory=dict, init=False)


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
    """

    def __init__(
        self,
        name: str,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        network: Network,
    ) -> None:
        self._name = name
        self._network = network
        self._connections = Connections(session, max_connections)
        self._transport: Transport | None = None
        self.clock: ServerClock = ServerClock()

    def adopt(self, limiters: Limiters, server: Hashable) -> None:
        """Close limiters that a view has of its own with the connections, unless the view closes them before."""
        if limiters.need_closing:
            self._connections.limiters.add(limiters)
            self._connections.newest[server] = limiters

    def join(self, other: Pool) -> None:
        """Use the connections of another pool from now on, before the first call. To close one of the two closes both."""
        self._connections = other._connections  # its own kind

    @property
    def closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._connections.closed

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

        shared = self._connections
        if shared.loop is None:
            shared.loop = asyncio.get_running_loop()
        self._check_loop()
        if shared.transport is None:
            shared.transport = Transport(shared.session, shared.max_connections, self._network)
        if self._transport is None:
            self._transport = shared.transport.beside(self._network)
        self._transport.check_open()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                shared.calls[scope] = owner
                yield self._transport
        except TimeoutError:
            # Any other TimeoutError is the block's own.
            if not scope.expired():
                raise
        finally:
            shared.calls.pop(scope, None)
            shared.call_left.set()

    def _check_loop(self) -> None:
        if self._connections.loop not in {None, asyncio.get_running_loop()}:
            raise RuntimeError(
                f"the client of {self._name} belongs to another event loop, the one of its first call: make a client in each loop; "
                "each asyncio.run() has a loop of its own"
            )

    async def end(self, owner: object) -> None:
        """End the calls of `owner`, and wait until they have left."""
        self._check_loop()
        await self._end({scope for scope, of in self._connections.calls.items() if of is owner})

    async def aclose(self) -> None:
        """End all calls, wait until they have left, and close the connections and the limiters of views."""
        self._check_loop()
        shared = self._connections
        shared.closed = True
        try:
            await self._end(set(shared.calls))
        finally:
            limiters = {*shared.limiters, *shared.newest.values()}
            shared.newest.clear()
            try:
                await asyncio.gather(*(each.aclose() for each in limiters))
            finally:
                if shared.transport is not None:
                    await shared.transport.aclose()

    async def _end(self, scopes: set[asyncio.Timeout]) -> None:
        now = asyncio.get_running_loop().time()
        for scope in scopes:
            # A scope with a deadline was ended before, by a close that is still waiting.
            if scope.when() is None:
                scope.reschedule(now)
        shared = self._connections
        while not scopes.isdisjoint(shared.calls):
            shared.call_left.clear()
            await shared.call_left.wait()
