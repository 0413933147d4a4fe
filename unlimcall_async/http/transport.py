"""Requests over aiohttp: the only module that knows it.

aiohttp's exceptions end here. They hold the request's headers, and their tracebacks the frames that held them, so they are read
and dropped: what leaves is an error of ours, given back as a value, for the caller to raise where no other error is under way.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from attrs import define, evolve

from unlimcall_async.errors import RequestTimeoutError, ResponseError, TransportError
from unlimcall_async.http.messages import Authorization, RawResponse, Request

# A page of 1000 call records has some 0.4 MB, and one with 16 KB in every row still fits. A body that does not end must fill no
# memory and keep no loop busy, least of all one that was small until it was decompressed.
MAX_BODY: Final = 16 * 1024 * 1024
# Of an error the code and a few words count.
MAX_REFUSAL: Final = 64 * 1024
_CHUNK: Final = 64 * 1024
# The C library of most systems gives the memory of a body back as soon as it is freed, and takes it anew for the next body, page by
# page: with pages of call records that costs a fifth of all CPU. It stops doing so up to the largest size that it has seen freed.
_KEPT: Final = 4 * 1024 * 1024
# From here on aiohttp wants a file in place of bytes.
_LARGE: Final = 1024 * 1024

# All that proves that the API has seen nothing. The last is a proxy's refusal to connect.
_NOTHING_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


@define(eq=False)
class Attempt:
    """What is known of the attempt that a call makes just now.

    Attributes:
        unsent: True while not a byte of the request can have reached the server. Where aiohttp does not say (a session that was
            handed in, or one that a test has replaced) only an error can prove it.
        refusal: The answer of an error status as far as it has come.
    """

    unsent: bool = True
    refusal: RawResponse | None = None

    def begin(self) -> None:
        """Start anew."""
        self.unsent, self.refusal = True, None


class _Broken(Exception):  # noqa: N818 # never leaves this module
    """A connection that broke. Not one of aiohttp's own exceptions, because aiohttp silently sends a request again on those."""


class Transport:
    """A pool of connections: its own, or that of a session that was handed in.

    Attributes:
        slots: One for each request that may be under way; whoever sends has taken one. To wait for it, and not in aiohttp's pool,
            keeps that wait out of the time limit of an attempt.
    """

    def __init__(self, session: aiohttp.ClientSession | None, max_connections: int) -> None:
        bytes(_KEPT)
        self._owned = session is None
        self._session = session or _own_session(max_connections)
        self.slots: asyncio.Semaphore = asyncio.Semaphore(max_connections)

    def check_open(self) -> None:
        """Raise `RuntimeError` if the session was closed by its owner."""
        if self._session.closed:
            raise RuntimeError("the session that was handed in is closed")

    async def send(
        self, request: Request, authorization: Authorization, seconds: float, attempt: Attempt
    ) -> RawResponse | TransportError | ResponseError:
        """Make one attempt, of at most so many seconds, and give the answer or the reason why there is none.

        Args:
            request: What to send.
            authorization: The header that the request itself does not hold.
            seconds: The time from the start of connecting to the end of the answer's body.
            attempt: Is kept up to date, also for a caller that is cancelled meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request, authorization, attempt)
        except (aiohttp.ClientError, OSError, _Broken) as error:  # a TimeoutError is an OSError
            if attempt.refusal is not None:
                return attempt.refusal
            if isinstance(error, _NOTHING_SENT):
                attempt.unsent = True
            failure = _failure_of(error, seconds)
        failure.method, failure.path = request.method, request.path
        failure.outcome_unknown = request.must_not_repeat and not attempt.unsent
        return failure

    async def _exchange(
        self, request: Request, authorization: Authorization, attempt: Attempt
    ) -> RawResponse | ResponseError:
        attempt.unsent = False
        async with self._session.request(
            request.method,
            request.url,
            data=_payload(request.body),
            headers=self._headers(request, authorization),
            allow_redirects=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(_last_word(authorization),),
            trace_request_ctx=attempt if self._owned else None,
        ) as response:
            status, headers = response.status, response.headers.copy()
            if status >= 300:
                return await _read_refusal(RawResponse(status, headers, b""), response, attempt)
            body = await _read(response)
            if body is None:
                return request.unreadable(status, "body", f"the body has more than {MAX_BODY} bytes")
            return RawResponse(status, headers, body)

    def _headers(self, request: Request, authorization: Authorization) -> dict[str, str]:
        headers = dict(request.headers)
        if not self._session.auto_decompress:
            headers["Accept-Encoding"] = "identity"
        # aiohttp refuses to combine the header with credentials of the session's own; there the middleware alone sets it.
        if self._session.auth is None and not self._session.trust_env:
            headers["Authorization"] = authorization
        return headers

    async def aclose(self) -> None:
        """Close the pool, unless it was handed in."""
        if self._owned:
            await self._session.close()


def check_session(session: object) -> None:
    """Raise `TypeError` for anything but an aiohttp session."""
    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")


def _own_session(max_connections: int) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_mark(unsent=True))
    trace.on_request_headers_sent.append(_mark(unsent=False))
    return aiohttp.ClientSession(
        # The cache of names would go on asking, in a task of its own, after the call that wanted to know is cancelled.
        connector=aiohttp.TCPConnector(limit=max_connections, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )


def _mark(*, unsent: bool) -> Callable[[aiohttp.ClientSession, SimpleNamespace, Any], Awaitable[None]]:
    async def mark(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx.unsent = unsent

    return mark


def _last_word(authorization: Authorization) -> aiohttp.ClientMiddlewareType:
    """Make the middleware that stands next to the wire, in place of any that a session was handed in with."""

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers["Authorization"] = authorization
        try:
            return await handler(request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            pass
        raise _Broken

    return send


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """The body as aiohttp wants it: it warns of large ones that are bare bytes."""
    return io.BytesIO(body) if body is not None and len(body) > _LARGE else body


async def _read_refusal(head: RawResponse, response: aiohttp.ClientResponse, attempt: Attempt) -> RawResponse:
    """Read the start of an answer that is no success. Its status counts, even where its body never comes to an end."""
    body = b""
    attempt.refusal = head
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        attempt.refusal = evolve(head, body=body)
        if len(body) >= MAX_REFUSAL:
            break
    return evolve(head, body=body)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Read the whole body, or give `None` if it is larger than any that the API sends."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _failure_of(error: Exception, seconds: float) -> TransportError:
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(f"no answer within {seconds:g} s")
    return TransportError(_reason(error), permanent=isinstance(error, aiohttp.ClientConnectorCertificateError))


# In words of ours, because aiohttp's may quote what was received, or the headers that were sent. The first that fits counts.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not trusted"),
    (aiohttp.ClientSSLError, "TLS could not be set up"),
    (aiohttp.ClientConnectorDNSError, "the host's name could not be resolved"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ClientHttpProxyError, "the proxy refused to connect"),
    (aiohttp.ClientPayloadError, "the answer broke off, or could not be decompressed"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)


def _reason(error: Exception) -> str:
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "the connection broke")
