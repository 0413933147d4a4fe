"""Attempts over aiohttp: the only module of the client that imports aiohttp at run time.

aiohttp's exceptions end here. They hold the request's headers, and their tracebacks hold the frames that held those headers. So
`Attempt.send` reads an exception, drops it, and returns an error of ours as a value. The caller raises that error where no other
exception is being handled.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from attrs import evolve

from unlimcall_async.errors import RequestTimeoutError, ResponseError, TransportError
from unlimcall_async.http.messages import Authorization, RawResponse, Request
from unlimcall_async.http.outcome import Sent

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
# Bytes. aiohttp warns of a longer body that is given as bare bytes, and wants a file in its place.
_LARGE: Final = 1024 * 1024
# Bytes: room for some 20 pages of call records below the trim threshold, which becomes twice this. See `keep_body_memory`.
_KEPT: Final = 4 * 1024 * 1024

# The only errors that prove that the API has seen nothing. The last is a proxy's refusal to connect.
_NOTHING_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)

# Words of ours, because aiohttp's may quote the response, or the headers that were sent. The first class that fits counts.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not trusted"),
    (aiohttp.ClientSSLError, "TLS could not be set up"),
    (aiohttp.ClientConnectorDNSError, "the host's name could not be resolved"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ClientHttpProxyError, "the proxy refused to connect"),
    (aiohttp.ClientPayloadError, "the answer broke off, or could not be decompressed"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (Exception, "the connection broke"),
)


class _Broken(Exception):  # noqa: N818 # never leaves this module
    """A broken connection. Not one of aiohttp's own exceptions, because aiohttp silently sends a request again on those."""


class Transport:
    """A pool of connections: its own, or that of a session that was handed in.

    Attributes:
        session: The aiohttp session.
        owned: Whether the session is the transport's own: then its hooks report what was sent, and `aclose` closes it.
        slots: One slot for each request that may be under way. An attempt takes a slot before it is sent. To wait here, and not in
            aiohttp's pool, keeps the wait out of the time limit of the attempt.
    """

    def __init__(self, session: aiohttp.ClientSession | None, max_connections: int) -> None:
        keep_body_memory()
        self.owned: bool = session is None
        self.session: aiohttp.ClientSession = session or _own_session(max_connections)
        self.slots: asyncio.Semaphore = asyncio.Semaphore(max_connections)

    def check_open(self) -> None:
        """Raise `RuntimeError` if the session was closed by its owner."""
        if self.session.closed:
            raise RuntimeError("the session that was handed in is closed")

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
    | a session of our own begins: resolves, connects, sets up TLS     | `NOT_SENT`   |
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

    async def send(self) -> RawResponse | TransportError | ResponseError:
        """Send the request, and return the response, or the reason why there is none.

        The time limit reaches from the start of connecting to the end of the response's body.
        """
        request, session = self._request, self._transport.session
        large = request.body is not None and len(request.body) > _LARGE
        headers = dict(request.headers)
        if not session.auto_decompress:
            headers["Accept-Encoding"] = "identity"

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
                    request.url,
                    data=io.BytesIO(request.body or b"") if large else request.body,
                    headers=self._with_token(headers),
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                    middlewares=(_innermost(self._authorization),),
                    trace_request_ctx=note if self._transport.owned else None,
                ) as response,
            ):
                got = RawResponse(response.status, response.headers.copy(), b"")
                if response.status < 300:
                    body = await _read(response)
                    if body is not None:
                        return evolve(got, body=body)
                    reason = f"the body has more than {MAX_BODY} bytes"
                    return ResponseError(response.status, "body", reason, request.method, request.path)
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
        sent, request = self.sent is Sent.MAYBE_SENT, self._request
        if isinstance(error, TimeoutError):
            reason = f"no answer within {self._seconds:g} s"
            return RequestTimeoutError(reason, request.method, request.path, unanswered=sent)
        # A response that is not HTTP is an answer, too.
        silent = sent and not answered and not isinstance(error, aiohttp.ClientResponseError)
        permanent = isinstance(error, aiohttp.ClientConnectorCertificateError)
        reason = next(words for kind, words in _REASONS if isinstance(error, kind))
        return TransportError(reason, request.method, request.path, permanent=permanent, unanswered=silent)


def check_session(session: object) -> None:
    """Raise `TypeError` if `session` is not an aiohttp session."""
    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")


@cache
def keep_body_memory() -> bool:
    """Make the C library keep the memory of response bodies for the next bodies. The first transport of a process calls this.

    glibc's malloc maps a block of 128 KB or more from the kernel, and unmaps the block when it is freed. It also gives free memory
    at the top of its heap back, beyond 128 KB. Both thresholds are dynamic. When a mapped block is freed, `M_MMAP_THRESHOLD` rises
    to the size of that block, up to 32 MB, and `M_TRIM_THRESHOLD` rises to twice that size.

    The first page of call records raises the thresholds to 0.4 MB and 0.8 MB. Several pages that are held at once exceed 0.8 MB. So
    their memory is given back and taken anew all the time, with a page fault for each 4 KB. One block of 4 MB, allocated and freed,
    raises both thresholds for the life of the process. In exchange the process may keep up to 8 MB of free memory. Other C
    libraries do not have these thresholds; there the block has no effect.

    `tests/client/test_body_memory.py` counts the page faults of eight bodies at once: some 560 without the block, below 10 with it.
    In pulls of 100,000 and 200,000 records (`batches` of `benchmarks/records_ways.py`) the block saves 2 to 7 % of all page faults,
    and no CPU time that stands out from the noise. In an earlier version such faults took a fifth of the CPU time of `cdrs.list`
    (`benchmarks/records_profile.txt`).

    The environment variable `UNLIMCALL_KEEP_BODY_MEMORY=0` turns this off. A threshold that is set by hand, for example by
    `MALLOC_TRIM_THRESHOLD_`, is not dynamic, and stays as it is.

    Returns:
        Whether the block was used.
    """
    keep = os.environ.get("UNLIMCALL_KEEP_BODY_MEMORY") != "0"
    if keep:
        bytes(_KEPT)
    return keep


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
        # Without the cache of names, whose task would go on asking after the call that wanted the name is cancelled.
        connector=aiohttp.TCPConnector(limit=max_connections, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[hooks],
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
        max_headers=_MAX_HEADERS,
    )


def _innermost(authorization: Authorization) -> aiohttp.ClientMiddlewareType:
    """Return the middleware that stands next to the wire, in place of any that a session was handed in with."""

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers["Authorization"] = authorization.header()
        try:
            return await handler(request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise
        # On these two aiohttp would silently send a GET, HEAD, PUT or DELETE again, beside the retry policy and the rate limit.
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            pass
        raise _Broken

    return send


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
