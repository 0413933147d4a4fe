"""`AsyncClient`: the options, the lifecycle and the resources of a client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, partial
from ssl import SSLContext
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from yarl import URL

from unlimcall_async import _arguments, _log_setup
from unlimcall_async._argument_kinds import flag
from unlimcall_async._lazy import LazyModule
from unlimcall_async.cdrs.learned import Learned
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import AGENTS, BALANCE, BASE_PATH, ME, endpoint_at
from unlimcall_async.http.limiters import Limiters
from unlimcall_async.http.messages import Authorization, RawResponse
from unlimcall_async.http.network import network_to
from unlimcall_async.http.pool import Pool
from unlimcall_async.http.proxies import proxy_at
from unlimcall_async.http.rate_limits import LimitState, RateLimits
from unlimcall_async.http.raw import RawMethods, raw
from unlimcall_async.http.retry import RetryPolicy

if TYPE_CHECKING:
    import aiohttp

    from unlimcall_async import _codec, models, resources, shared
    from unlimcall_async.cdrs import resource
    from unlimcall_async.http import observer as observers
else:
    # A client sends nothing before its first call, and what only a call needs is imported with that call.
    aiohttp = LazyModule("aiohttp")
    _codec = LazyModule("unlimcall_async._codec")
    models = LazyModule("unlimcall_async.models")
    observers = LazyModule("unlimcall_async.http.observer")
    resource = LazyModule("unlimcall_async.cdrs.resource")
    resources = LazyModule("unlimcall_async.resources")
    shared = LazyModule("unlimcall_async.shared")

PRODUCTION_URL: Final = f"https://app.unlimcall.com{BASE_PATH}"


class AsyncClient:
    """A client of the UnlimCall API, version 1.

    One client has one pool of connections and one set of rate limits, so share it. The client opens its pool at the first call, in
    the event loop that runs then, and stays in that loop. Close the client with `async with` or `aclose()`.

    The first client of a process makes glibc keep up to 8 MB of freed memory for the bodies of later responses. Set the environment
    variable `UNLIMCALL_KEEP_BODY_MEMORY` to `0` to turn that off.

    Args:
        token: The bearer token; `None` for the environment variable `UNLIMCALL_TOKEN`.
        base_url: The URL of the API; `None` for the environment variable `UNLIMCALL_BASE_URL`, or else for production.
        timeout: Seconds for each attempt, from connecting to the last byte. Waits for a rate limit do not count.
        max_wait: Seconds that a call may wait for its rate limit, the pauses after a 429 included; `None` for no bound. If the wait
            would be longer, the call raises a `RateLimitedError` at once, whose `sent` is false. `cdrs.stream` and `cdrs.follow`
            wait as long as it takes.
        retry: When a request is sent again.
        rate_limits: How many requests each endpoint takes: a `RateLimits` for this client alone, or a
            `unlimcall_async.shared.SharedRateLimits` for all processes.
        max_connections: How many requests may be under way at once.
        session: An aiohttp session to use. The client never closes it. The client overrides the session's headers, redirects,
            middlewares and `raise_for_status` if they would break a promise of the client. Such a session does not report what it
            has sent. So a request that times out, or is cancelled, while it connects counts as sent. The session also keeps its own
            limits on the headers of a response: usually 128 headers of 8190 bytes. The client's own session takes 500 headers of
            64 KB. A response beyond the limits leaves the outcome of a POST unknown. The session's own proxy and certificates hold,
            unless `proxy` or `ssl` is given. If the session has `trust_env`, the client reads the environment in place of aiohttp.
        allow_plain_http: Whether plain http to other hosts than this machine is allowed. It shows the token to the network.
        proxy: The URL of a proxy for all requests, for example `http://USER:PASSWORD@proxy.example:3128`. A special character
            of the user name or the password is escaped, as `%40` for `@`. `None` for the proxy that the environment names in
            `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, except for the hosts that `NO_PROXY` lists. For this machine, the
            environment's proxy counts only if it is here, too. The client looks at these variables when it is made. A netrc file
            is never read.
        ssl: The certificates to trust, and other settings of TLS. `None` for those of the machine, or of `SSL_CERT_FILE` and
            `SSL_CERT_DIR`.
        observer: An object that learns of each attempt and of each call: see `Observer`.

    Raises:
        ValueError, TypeError: An argument is wrong; the message names it.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_wait: float | None = None,
        retry: RetryPolicy | None = None,
        rate_limits: RateLimits | shared.SharedRateLimits | None = None,
        max_connections: int = 100,
        session: aiohttp.ClientSession | None = None,
        allow_plain_http: bool = False,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        observer: observers.Observer | None = None,
    ) -> None:
        # First of all: no frame that shows up in a traceback may hold the bare token, or the password for the proxy.
        authorization = _authorization(token)
        given = None if proxy is None else proxy_at(proxy)
        del token, proxy
        if isinstance(authorization, Exception):
            raise authorization
        if isinstance(given, Exception):
            raise given
        _log_setup.heed_environment()
        if session is not None:
            # A program that has a session has imported aiohttp already, so this import is quick.
            from unlimcall_async.http.transport import check_session  # noqa: PLC0415

            check_session(session)
        address = _address(base_url, allow_plain_http=flag("allow_plain_http", allow_plain_http))
        network = network_to(
            address,
            proxy=given,
            tls=None if ssl is None else _arguments.tls("ssl", ssl),
            # A session that was handed in decides for itself whether the environment counts.
            environ=os.environ if session is None or session.trust_env else None,
            allow_plain_http=allow_plain_http,
        )
        if isinstance(network, Exception):
            raise network
        self._bind(
            Caller(
                address,
                authorization,
                Pool(str(address), session, _arguments.whole("max_connections", max_connections), network),
                _arguments.seconds("timeout", timeout),
                None if max_wait is None else _arguments.seconds("max_wait", max_wait, or_zero=True),
                _instance("retry", retry, RetryPolicy, RetryPolicy()),
                _limiters(rate_limits, authorization),
                owns_pool=True,
                owns_limiters=True,
                reporter=None if observer is None else observers.Reporter(observer),
            ),
            Learned(),
        )

    def _bind(self, caller: Caller, learned: Learned) -> None:
        self._caller = caller
        # One for a client and its views.
        self._learned = learned

    @cached_property
    def cdrs(self) -> resource.Cdrs:
        """Call detail records."""
        return resource.Cdrs(self._caller, self._learned)

    @cached_property
    def calls(self) -> resources.Calls:
        """Outbound calls."""
        return resources.Calls(self._caller)

    @cached_property
    def hooks(self) -> resources.Hooks:
        """Webhook subscriptions."""
        return resources.Hooks(self._caller)

    def _join(self, other: AsyncClient, limiters: Limiters | None = None) -> None:
        """Become a view on the connections of another client, before the first call, and keep to these limiters."""
        caller = self._caller
        caller.pool.join(other._caller.pool)
        caller.owns_pool = caller.owns_limiters = False
        caller.limiters = limiters or caller.limiters

    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_wait: float | None = None,
        retry: RetryPolicy | None = None,
        rate_limits: RateLimits | shared.SharedRateLimits | None = None,
        observer: observers.Observer | None = None,
    ) -> Self:
        """Return a view of this client with other options; `None` keeps the option of this client.

        The view uses the same connections. It shares the rate limits, unless `rate_limits` is given. Closing the view ends only the
        view's own calls. The connections are closed with the client that the view was made from.
        """
        caller = self._caller
        limiters = caller.limiters if rate_limits is None else _limiters(rate_limits, caller.authorization)
        if rate_limits is not None:
            caller.pool.adopt(limiters, rate_limits)
        view = object.__new__(type(self))
        view._bind(
            Caller(
                caller.base_url,
                caller.authorization,
                caller.pool,
                caller.timeout if timeout is None else _arguments.seconds("timeout", timeout),
                caller.max_wait if max_wait is None else _arguments.seconds("max_wait", max_wait, or_zero=True),
                _instance("retry", retry, RetryPolicy, caller.policy),
                limiters,
                owns_pool=False,
                owns_limiters=rate_limits is not None,
                closed=caller.closed,
                reporter=caller.reporter if observer is None else observers.Reporter(observer),
            ),
            self._learned,
        )
        return view

    @property
    def raw(self) -> RawClient:
        """The same methods, each of which returns a `Raw`: the value with the status, the headers and the cost of its call."""
        return RawClient(self._caller, self._learned)

    async def me(self, *, timeout: float | None = None, headers: Mapping[str, str] | None = None) -> models.Identity:
        """Return the account that the token belongs to: a cheap check of the token (reference: `GET /me`, any valid token).

        Args:
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.
        """
        return await self._caller.fetch(
            ME, partial(_codec.decode, model=models.Identity), timeout=timeout, headers=headers
        )

    async def balance(
        self, *, timeout: float | None = None, headers: Mapping[str, str] | None = None
    ) -> models.Balance:
        """Return the account's balance (reference: `GET /balance`, scope `read:balance`).

        Args:
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.
        """
        return await self._caller.fetch(
            BALANCE, partial(_codec.decode, model=models.Balance), timeout=timeout, headers=headers
        )

    async def agents(
        self, *, timeout: float | None = None, headers: Mapping[str, str] | None = None
    ) -> list[models.Agent]:
        """Return the SIP lines of the account (reference: `GET /agents`, scope `read:agents`).

        Args:
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Raises:
            ResponseError: The response is not as documented. For example, its `count` exceeds the agents that it holds.
        """
        return await self._caller.fetch(AGENTS, _codec.decode_agents, timeout=timeout, headers=headers)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | float] | None = None,
        json: Any = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Send any request below the base URL, for endpoints that the API has and this package does not.

        The request waits for rate limits, is sent again and fails like a named call. A path that the reference does not describe
        has no rate limit. On such a path, a request is sent again only if HTTP calls the method idempotent. So POST and PATCH are
        never repeated once they may have reached the server.

        Args:
            method: `GET`, `HEAD`, `OPTIONS`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: The path below the base URL, for example `/numbers`.
            params: The query.
            json: The body, which is written as JSON; `None` for no body.
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Returns:
            The response as the server sent it.
        """
        route = _arguments.path(path)
        return await self._caller.call(
            endpoint_at(_arguments.method(method), route),
            route,
            params=_arguments.params(params),
            body=None if json is None else _arguments.encoded("json", json),
            timeout=timeout,
            headers=headers,
        )

    @property
    def base_url(self) -> str:
        """The URL of the API that this client asks."""
        return str(self._caller.base_url)

    @property
    def proxy(self) -> str | None:
        """The host and the port of the proxy that requests go through; `None` without one, and for that of a session."""
        return self._caller.pool.proxy

    def limits(self) -> Mapping[str, LimitState]:
        """Return the state of each rate limit at this moment, by its name in `RateLimits`."""
        return self._caller.limiters.states()

    async def aclose(self) -> None:
        """End the calls that are under way, and close the connections. A second `aclose` does nothing.

        A call that this method ends raises `ClientClosedError`, whose `outcome_unknown` says whether it may have taken effect.
        """
        await self._caller.aclose()

    async def __aenter__(self) -> Self:
        self._caller.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        # A pickle would hold the token, and a copy would have rate limits of its own.
        raise TypeError(
            "an AsyncClient cannot be pickled or copied: it holds a token and connections; make one in each process"
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_caller"):
            # A traceback that shows variables meets this state, if the constructor has refused an argument.
            return f"<{type(self).__name__} unfinished>"
        state = "closed" if self._caller.is_closed else "open"
        return f"<{type(self).__name__} {self._caller.base_url} {state}>"


class RawClient(RawMethods[AsyncClient]):
    """`client.raw`: the methods of the client that make one call. Each returns a `Raw` of what the client's method returns."""

    def __init__(self, caller: Caller, learned: Learned) -> None:
        def client_of(caller: Caller) -> AsyncClient:
            client = object.__new__(AsyncClient)
            client._bind(caller, learned)
            return client

        super().__init__(client_of, caller)
        self._learned = learned

    @cached_property
    def cdrs(self) -> resource.RawCdrs:
        """Call detail records."""
        return resource.RawCdrs(partial(resource.Cdrs, learned=self._learned), self._caller)

    @cached_property
    def calls(self) -> resources.RawCalls:
        """Outbound calls."""
        return resources.RawCalls(resources.Calls, self._caller)

    @cached_property
    def hooks(self) -> resources.RawHooks:
        """Webhook subscriptions."""
        return resources.RawHooks(resources.Hooks, self._caller)

    me: Final = raw(AsyncClient.me)
    balance: Final = raw(AsyncClient.balance)
    agents: Final = raw(AsyncClient.agents)
    request: Final = raw(AsyncClient.request)


def _address(base_url: str | None, *, allow_plain_http: bool) -> URL:
    """Return the URL of the API: that of the argument, of the environment, or of production."""
    if base_url is None and (url := os.environ.get("UNLIMCALL_BASE_URL", "").strip()):
        return _arguments.base_url(url, allow_plain_http=allow_plain_http, name="UNLIMCALL_BASE_URL")
    return _arguments.base_url(PRODUCTION_URL if base_url is None else base_url, allow_plain_http=allow_plain_http)


def _authorization(token: str | None) -> Authorization | Exception:
    """Return the header, or the error for a token that is missing or not valid.

    The caller raises the error after it has dropped the token, because a traceback may show the variables of its frame.
    """
    name = "token" if token is not None else "UNLIMCALL_TOKEN"
    if token is None:
        token = os.environ.get("UNLIMCALL_TOKEN", "").strip() or None
    if token is None:
        return ValueError("token is missing: pass it, or set UNLIMCALL_TOKEN")
    return _arguments.token_problem(token, name) or Authorization(_arguments.text("token", token))


def _limiters(rate_limits: RateLimits | shared.SharedRateLimits | None, authorization: Authorization) -> Limiters:
    # In this order, because no other client needs the modules of shared limits.
    if not isinstance(rate_limits, (RateLimits, NoneType)) and isinstance(rate_limits, shared.SharedRateLimits):
        return rate_limits.limiters(authorization)
    return Limiters.local(_instance("rate_limits", rate_limits, RateLimits, RateLimits()))


_T = TypeVar("_T")


def _instance(name: str, value: _T | None, kind: type[_T], default: _T | None = None) -> _T:
    chosen = default if value is None else value
    if not isinstance(chosen, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
    return chosen
