"""Attempts over aiohttp: the only module of the client, beside its `connector`, that imports aiohttp at run time.

aiohttp's exceptions end here. They hold the request's headers, and their tracebacks hold the frames that held those headers. So
`Attempt.send` reads an exception, drops it, and returns an error of ours as a value. The caller raises that error where no other
exception is being handled.
"""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from attrs import evolve
from multidict import CIMultiDict
from yarl import URL

from unlimcall_async.errors import ClientClosedError, RequestTimeoutError, ResponseError, TransportError
from unlimcall_async.http import causes
from unlimcall_async.http.body_memory import keep_body_memory
from unlimcall_async.http.causes import Failure, Place
from unlimcall_async.http.certificates import environment_tls, missing_certificates
from unlimcall_async.http.connector import Connector
from unlimcall_async.http.messages import USER_AGENT, Authorization, RawResponse, Request
from unlimcall_async.http.network import DIRECT, Network
from unlimcall_async.http.outcome import Sent
from unlimcall_async.http.proxies import is_exposed

# Bytes, decompressed. A page of 1000 call records has some 0.4 MB, and one with 16 KB in every row still fits. A body that does not
# end must not fill the memory or keep the event loop busy. Nor must a small body that grows when it is decompressed.
MAX_BODY: Final = 16 * 1024 * 1024
# Bytes. Of an error only the code and a few words count.
MAX_REFUSAL: Final = 64 * 1024
_CHUNK: Final = 64 * 1024
# Bytes of one header and of the status line, and the number of headers. aiohttp's own limits, 8190 and 128, are exceeded by proxies
# that add traces and policies. The response to a POST would be lost with them. The name of a header counts, too: hence the 1024.
_MAX_HEADER: Final = 64 * 1024 + 1024
_MAX_HEADERS: Final = 500
# What aiohttp can decompress here: more, if the libraries for it are installed.
_DECOMPRESSED: Final = aiohttp.ClientRequest.DEFAULT_HEADERS[aiohttp.hdrs.ACCEPT_ENCODING]
# Bytes. aiohttp warns of a longer body that is given as bare bytes, and wants a file in its place.
_LARGE: Final = 1024 * 1024

# The only errors that prove that the API has seen nothing. The third is a proxy's refusal to connect.
_NOTHING_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
)
# Stands for no proxy, where aiohttp would choose one. No request goes there.
_NO_PROXY: Final = URL("http://no-proxy.invalid")

# A lookup that ended with one of these had an answer: there is no such name. All other errors of a lookup may pass.
_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class _Broken(Exception):  # noqa: N818 # never leaves this module
    """A broken connection. Not one of aiohttp's own exceptions, because aiohttp silently sends a request again on those.

    Attributes:
        closed: Whether the other end closed the connection in good order.
    """

    def __init__(self, *, closed: bool) -> None:
        self.closed = closed


class Transport:
    """A pool of connections: its own, or that of a session that was handed in.

    Attributes:
        session: The aiohttp session.
        owned: Whether the session is the transport's own: then its hooks report what was sent, and `aclose` closes it.
        network: The proxy and the certificates.
        slots: One slot for each request that may be under way. An attempt takes a slot before it is sent. To wait here, and not in
            aiohttp's pool, keeps the wait out of the time limit of the attempt.
    """

    def __init__(self, session: aiohttp.ClientSession | None, max_connections: int, network: Network = DIRECT) -> None:
        keep_body_memory()
        self.owned: bool = session is None
        self.session: aiohttp.ClientSession = session or _own_session(max_connections)
        self.network: Network = network
        self.slots: asyncio.Semaphore = asyncio.Semaphore(max_connections)
        self._tls: ssl.SSLContext | None = network.tls or (environment_tls() if session is None else None)

    def beside(self, network: Network) -> Transport:
        """Return a transport over the same connections and slots, for a server that is reached in another way."""
        if network == self.network:
            return self
        other = copy(self)
        other.network = network
        return other

    def check_open(self) -> None:
        """Raise `ClientClosedError` if the session was closed by its owner."""
        if self.session.closed:
            raise ClientClosedError(
                "the session that was handed in is closed",
                permanent=True,
                cause="closed",
                hint="close it after the client, or make both anew",
            )

    def options(self, url: URL) -> dict[str, Any]:
        """Return the arguments that decide how aiohttp reaches a URL.

        A session with `trust_env` would choose a proxy itself, also for this machine, and would read a netrc file twice. aiohttp
        does neither if the request names a proxy and its URL holds a user. `middleware` takes both out again.
        """
        proxy = self.network.proxy
        options: dict[str, Any] = {"url": url}
        if self._tls is not None:
            options["ssl"] = self._tls
        if proxy is not None:
            options["proxy"] = proxy.url
            # For the request for a tunnel. aiohttp does not send these headers with a plain http request.
            told = {} if proxy.credentials is None else {"Proxy-Authorization": proxy.credentials.header()}
            options["proxy_headers"] = {"User-Agent": USER_AGENT, **told}
        if self._reads_environment:
            options["url"] = url.with_user("none")
            if proxy is None:
                options["proxy"] = _NO_PROXY
        return options

    @property
    def _reads_environment(self) -> bool:
        """Whether aiohttp would look for a proxy in the environment. A proxy of the session's own comes first there, and here."""
        own_proxy = getattr(self.session, "_default_proxy", None)  # aiohttp has no public name for it
        return self.session.trust_env and own_proxy is None

    def middleware(self, authorization: Authorization) -> aiohttp.ClientMiddlewareType:
        """Return the middleware that stands next to the wire, in place of any that a session was handed in with."""
        network = self.network

        async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            proxy, allowed = request.proxy, network.allow_plain_http
            # A proxy of the session's own would be shown the token, too.
            if proxy == _NO_PROXY or (proxy is not None and is_exposed(request.url, proxy, allow_plain_http=allowed)):
                request.update_proxy(None, None, None)
            elif not request.is_ssl() and network.proxy is not None and network.proxy.credentials is not None:
                request.headers["Proxy-Authorization"] = network.proxy.credentials.header()
            request.headers["Authorization"] = authorization.header()
            try:
                return await handler(request)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                raise
            # On these two aiohttp would silently send a GET, HEAD, PUT or DELETE again, beside the retry policy and the rate limit.
            except aiohttp.ServerDisconnectedError:
                closed = True
            except aiohttp.ClientOSError:
                closed = False
            raise _Broken(closed=closed)

        return send

    def attempt(self, request: Request, authorization: Authorization, seconds: float) -> Attempt:
        """Return an attempt of at most `seconds`, of which nothing is sent yet."""
        return Attempt(self, request, authorization, seconds)

    async def aclose(self) -> None:
        """Close the session, unless it was handed in."""
        if self.owned:
            await self.session.close()


class Attempt:
    """One sending of a request.

    A call makes an `Attempt` for each time that it sends its request, and holds it: whatever ends the call, `sent` is right. Only
    this module assigns `sent`:

    | when                                                             | `sent`       |
    |------------------------------------------------------------------|--------------|
    | before `send`: the call waits for its rate limit and a slot      | `NOT_SENT`   |
    | `send` hands the request to aiohttp                              | `MAYBE_SENT` |
    | a session of our own begins: resolves, connects, asks the proxy  | `NOT_SENT`   |
    | for a tunnel, sets up TLS                                        |              |
    | a session of our own is about to write the first byte            | `MAYBE_SENT` |
    | aiohttp raises an error which proves that nothing was sent       | `NOT_SENT`   |

    A session that was handed in, or that a test has replaced, has no hooks for the third row and the fourth.

    Attributes:
        sent: What is known to be sent.
    """

    def __init__(self, transport: Transport, request: Request, authorization: Authorization, seconds: float) -> None:
        self.sent: Sent = Sent.NOT_SENT
        self._transport = transport
        self._request = request
        self._authorization = authorization
        self._seconds = seconds

    async def send(
        self, on_refusal: Callable[[RawResponse], Awaitable[None]]
    ) -> RawResponse | TransportError | ResponseError:
        """Send the request, and return the response, or the reason why there is none.

        The time limit reaches from the start of connecting to the end of the response's body.

        Args:
            on_refusal: Called with the status and the headers of a response that is not a good one, before its body is read.
        """
        request, session = self._request, self._transport.session
        large = request.body is not None and len(request.body) > _LARGE
        headers = CIMultiDict(request.headers)
        if not session.auto_decompress:
            headers["Accept-Encoding"] = "identity"
        elif "Accept-Encoding" in session.headers:
            # The session may ask for what aiohttp cannot decompress here, for example with the headers of a browser.
            headers.setdefault("Accept-Encoding", _DECOMPRESSED)

        # A plain function, because mocks of aiohttp copy their arguments deeply: a method would bring its whole session along.
        def note(sent: Sent) -> None:
            self.sent = sent

        got: RawResponse | None = None
        self.sent = Sent.MAYBE_SENT
        try:
            async with (
                asyncio.timeout(self._seconds),
                session.request(
                    request.method,
                    **self._transport.options(request.url),
                    data=io.BytesIO(request.body or b"") if large else request.body,
                    headers=self._with_token(headers),
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                    middlewares=(self._transport.middleware(self._authorization),),
                    trace_request_ctx=note if self._transport.owned else None,
                ) as response,
            ):
                got = RawResponse(response.status, response.headers.copy(), b"")
                if response.status < 300:
                    body = await _read(response)
                    if body is not None:
                        return RawResponse(got.status, got.headers, body)
                    reason = f"the body has more than {MAX_BODY} bytes"
                    return ResponseError(response.status, "body", reason, request.method, request.path)
                await on_refusal(got)
                async for chunk in response.content.iter_chunked(_CHUNK):
                    got = evolve(got, body=got.body + chunk)
                    if len(got.body) >= MAX_REFUSAL:
                        break
                return got
        except (aiohttp.ClientError, OSError, _Broken) as error:  # a TimeoutError is an OSError
            # The status of a refusal counts, also if its body never comes to an end or breaks off.
            if got is not None and got.status >= 300:
                return got
            return self._broken(error, answered=got is not None)

    def _with_token(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers with the token. Called at the moment of sending, so that no variable of `send` holds them."""
        session = self._transport.session
        # aiohttp refuses to combine this header with credentials of the session's own. Then the middleware alone sets it.
        if session.auth is not None or session.trust_env:
            return headers
        return {**headers, "Authorization": self._authorization.header()}

    def _broken(self, error: Exception, *, answered: bool) -> TransportError:
        """Return the error of ours for an exception of aiohttp; `answered` says whether a response had begun."""
        if isinstance(error, _NOTHING_SENT):
            self.sent = Sent.NOT_SENT
        sent, request, proxy = self.sent is Sent.MAYBE_SENT, self._request, self._transport.network.proxy
        place, failure = self._failure(error, sent=sent)
        late = isinstance(error, TimeoutError)
        # A response that is not HTTP is an answer, too.
        silent = not answered and not isinstance(error, aiohttp.ClientResponseError)
        return (RequestTimeoutError if late else TransportError)(
            failure.reason,
            request.method,
            request.path,
            permanent=failure.permanent,
            unanswered=sent and (late or silent),
            cause=failure.cause,
            host=place.host,
            port=place.port,
            proxy="" if proxy is None else proxy.place,
            hint=failure.hint,
        )

    def _failure(self, error: Exception, *, sent: bool) -> tuple[Place, Failure]:  # noqa: PLR0911 # a list of cases
        """Return the host that failed, and how. The first case that fits counts."""
        api = self._api()
        # Before a byte of the request is sent through a tunnel, the other end is the proxy.
        other_end = api.via if api.via is not None and (not sent or api.scheme == "http") else api
        if isinstance(error, aiohttp.ClientConnectorError):
            place = self._connecting(error)
            failure = _not_connected(place, error)
            if failure.cause == "certificate" and self._transport.owned and self._transport.network.tls is None:
                failure = evolve(failure, hint=missing_certificates() or failure.hint)
            return place, failure
        match error:
            case aiohttp.ServerFingerprintMismatch():
                return api, causes.not_trusted(api, error)
            case aiohttp.ClientHttpProxyError():
                gate = api.via or Place("", None, "http", is_proxy=True)
                challenge = ", ".join((error.headers or CIMultiDict()).getall("Proxy-Authenticate", ()))
                named = self._transport.network.proxy
                told = named is not None and named.credentials is not None
                return gate, causes.refused_by_proxy(gate, api, error.status, challenge, with_credentials=told)
            case TimeoutError():
                return api, causes.too_late(api, self._seconds, connected=sent)
            case aiohttp.ClientPayloadError():
                return other_end, causes.cut_off(other_end)
            case aiohttp.ClientResponseError():
                untunneled = other_end.is_proxy and api.scheme == "https"
                return other_end, causes.not_http(other_end, error.message, in_place_of_a_tunnel=untunneled)
            case _Broken():
                return other_end, causes.broken(other_end, closed=error.closed, connected=sent)
            case _:
                return other_end, causes.broken(other_end, closed=False, connected=True)

    def _api(self) -> Place:
        return causes.api_place(self._request.url, self._transport.network.proxy)

    def _connecting(self, error: aiohttp.ClientConnectorError) -> Place:
        """Return the place to which a connection could not be made."""
        api, url = self._api(), self._request.url
        if (error.host, error.port) == (url.raw_host, url.port):
            return api
        # Only a proxy can be another host: the client's, or the session's own.
        return api.via or Place(error.host, error.port, "http", is_proxy=True)


def _not_connected(place: Place, error: aiohttp.ClientConnectorError) -> Failure:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return causes.not_trusted(place, error.certificate_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return causes.no_tls(place, error.os_error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # The resolver that aiohttp takes if aiodns is installed gives no number.
        return causes.not_resolved(place, exists=False if error.os_error.errno in _NO_SUCH_NAME else None)
    return causes.not_connected(place, error.os_error)


def check_session(session: object) -> None:
    """Raise `TypeError` if `session` is not an aiohttp session."""
    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")


def _own_session(max_connections: int) -> aiohttp.ClientSession:
    async def connecting(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx(Sent.NOT_SENT)

    async def writing(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx(Sent.MAYBE_SENT)

    hooks = aiohttp.TraceConfig()
    hooks.on_request_start.append(connecting)
    # aiohttp calls this hook before it hands the headers to the socket.
    hooks.on_request_headers_sent.append(writing)
    return aiohttp.ClientSession(
        connector=Connector(max_connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[hooks],
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
        max_headers=_MAX_HEADERS,
    )


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the whole body, or `None` if it has more than `MAX_BODY` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
