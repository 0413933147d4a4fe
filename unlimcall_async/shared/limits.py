"""`SharedRateLimits`: rate limits that all processes with one token share."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

from attrs import define

from unlimcall_async import _arguments
from unlimcall_async._extras import of_extra
from unlimcall_async._platform import has_unix_sockets
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.limiters import Limiters
from unlimcall_async.http.messages import Authorization
from unlimcall_async.http.rate_limits import RateLimits
from unlimcall_async.shared.memory import Memory

if TYPE_CHECKING:
    from unlimcall_async.shared.server import Server

OnOutage: TypeAlias = Literal["wait", "raise"]

# Seconds without an answer after which `"raise"` raises (contract, section 11).
_GIVES_UP_AFTER: Final = 10.0
_PORT: Final = 6379
_PURPOSE: Final = b"unlimcall-async: shared rate limits"


class SharedRateLimits:
    """Rate limits that all processes share which use one token and one Redis or Valkey server.

    Pass an instance as `rate_limits` to any number of clients. In no 60 seconds do all processes together send more requests than
    the limit allows, nor in 24 hours. A 429 that one process meets stops all. The server's clock counts, so the clocks of the
    processes may differ. A process that dies holds nothing back for longer than the span of a limit.

    A server that has forgotten its grants, because it was started again or was emptied, is taken for one whose limit is used up.
    Make one instance for each process, and keep it: it remembers what it has seen on the server.

    Args:
        url: The URL of the server: `redis://`, `rediss://` (TLS) or `unix://`. Redis from 7.0, Valkey from 7.2. No cluster client.
        limits: The limits. Processes with different limits count the same requests, each against its own limit.
        on_outage: What calls do while the server cannot be reached: `"wait"` waits and logs, for as long as it takes; `"raise"`
            raises `LimiterUnavailableError` after 10 seconds.

    Attributes:
        limits: The limits.
        on_outage: What calls do while the server cannot be reached.

    Raises:
        ImportError: The extra `redis` is not installed.
        ValueError, TypeError: An argument is not valid.
    """

    def __init__(self, url: str, limits: RateLimits | None = None, *, on_outage: OnOutage = "wait") -> None:
        with of_extra("unlimcall_async.shared.SharedRateLimits", "redis", "redis"):
            from unlimcall_async.shared.server import url_problem  # noqa: PLC0415 # users of other limits need no redis-py
        self._url, self._name = _address(url)
        if problem := url_problem(self._url):
            raise ValueError(f"url has an option that is not valid: {problem}")
        chosen = RateLimits() if limits is None else limits
        if not isinstance(chosen, RateLimits):
            raise TypeError(f"limits must be a RateLimits, not {type(limits).__name__}")
        if on_outage not in get_args(OnOutage):
            raise ValueError(f'on_outage must be "wait" or "raise", not {on_outage!r}')
        self.limits: RateLimits = chosen
        self.on_outage: OnOutage = on_outage
        self._servers = _Servers(self._url, self._name, _GIVES_UP_AFTER if on_outage == "raise" else None)

    def limiters(self, authorization: Authorization) -> Limiters:
        """Return the limiters of one client. The client calls this method."""
        from unlimcall_async.shared.limiter import SharedLimiter  # noqa: PLC0415 # imports redis-py

        lease = _Lease(self._servers)
        token = authorization.digest(_PURPOSE)

        def make(name: str) -> Limiter:
            return SharedLimiter(getattr(self.limits, name), f"{token}:{name}", lease.server)

        return Limiters(make, lease.end)

    def __repr__(self) -> str:
        # A traceback that shows variables meets an instance without a name, if the constructor has refused an argument.
        return f"<{type(self).__name__} {getattr(self, '_name', 'unfinished')}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # For the processes that a program starts. Connections stay where they are, and so does what was seen.
        return partial(type(self), on_outage=self.on_outage), (self._url, self.limits)


class _Servers:
    """The server as each event loop of this process reaches it."""

    def __init__(self, url: str, name: str, gives_up_after: float | None) -> None:
        self._url = url
        self._name = name
        self._gives_up_after = gives_up_after
        self._memory = Memory()
        self._by_loop = WeakKeyDictionary[asyncio.AbstractEventLoop, "tuple[Server, WeakSet[_Lease]]"]()

    def of(self, lease: _Lease) -> Server:
        """Return the server as the running event loop reaches it. The lease keeps the connections open until it ends or is gone."""
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            # Imports redis-py, which users of other limits do not need.
            from unlimcall_async.shared.server import Server  # noqa: PLC0415

            self._by_loop[loop] = Server(self._url, self._name, self._memory, self._gives_up_after), WeakSet()
        server, leases = self._by_loop[loop]
        leases.add(lease)
        return server

    async def end(self, lease: _Lease) -> None:
        """End a lease. The last one of an event loop closes the connections."""
        loop = asyncio.get_running_loop()
        if loop in self._by_loop:
            server, leases = self._by_loop[loop]
            leases.discard(lease)
            if not leases:
                del self._by_loop[loop]
                await server.aclose()


@define(eq=False)
class _Lease:
    """One client's use of the server."""

    servers: _Servers
    taken: Server | None = None

    def server(self) -> Server:
        self.taken = self.taken or self.servers.of(self)
        return self.taken

    async def end(self) -> None:
        self.taken = None
        await self.servers.end(self)


def _address(url: object) -> tuple[str, str]:
    """Return a URL, and the server as messages may show it: without a password."""
    text = _arguments.text("url", url)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("url must be a URL such as redis://HOST:6379/0") from None
    if parts.scheme == "unix" and parts.path:
        if not has_unix_sockets():
            raise ValueError("url: Python has no Unix sockets on this system; use redis:// or rediss://")
        return text, parts.path
    if parts.scheme not in {"redis", "rediss"} or not host:
        raise ValueError("url must begin with redis://, rediss:// or unix://, and name a host or a socket")
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        # Not shown: behind a slash that is not escaped, the password continues here.
        raise ValueError("url must end in the number of a database, such as /0")
    return text, f"{host}:{port or _PORT}"
