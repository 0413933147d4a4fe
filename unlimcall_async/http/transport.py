"""Requests over aiohttp: the only module that knows it.

aiohttp's exceptions end here. They hold the request's headers, and their tracebacks the frames that held them, so they are read
and dropped: what leaves is an error of ours, given back as a value, for the caller to raise where no other error is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from attrs import define

from unlimcall_async.errors import RequestTimeoutError, ResponseError, TransportError
from unlimcall_async.http.messages import Authorization, RawResponse, Request

# A page of 1000 call records has some 0.4 MB, and one with 16 KB in every row still fits. A body that does not end must fill no
# memory and keep no loop busy, least of all one that was small until it was decompressed.
MAX_BODY: Final = 16 * 1024 * 1024
_CHUNK: Final = 64 * 1024


@define(eq=False)
class Attempt:
    """What is known of the attempt that a call makes just now.

    Attributes:
        unsent: True while not a byte of the request can have reached the server. Where aiohttp does not say (a session that was
            handed in, or one that a test has replaced) only an error can prove it.
    """

    unsent: bool = True


class _Broken(Exception):  # noqa: N818 # never leaves this module
    """A connection that broke. Not one of aiohttp's own exceptions, because aiohttp silently sends a request again on those."""


class Transport:
    """A pool of connections: its own, or that of a session that was handed in."""

    def __init__(self, session: aiohttp.ClientSession | None, max_connections: int) -> None:
        self._owned = session is None
        self._session = session or _own_session(max_connections)
        # Waiting here, and not in aiohttp's pool, keeps that wait out of the time limit of an attempt.
        self._slots = asyncio.Semaphore(max_connections)

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
        async with self._slots:
            try:
                async with asyncio.timeout(seconds):
                    return await self._exchange(request, authorization, attempt)
            except (aiohttp.ClientError, OSError, _Broken) as error:  # a TimeoutError is an OSError
                if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
                    attempt.unsent = True
                failure = _failure_of(error, seconds)
        failure.method, failure.path = request.method, request.path
        failure.outcome_unknown = not (attempt.unsent or request.endpoint.repeatable)
        return failure

    async def _exchange(
        self, request: Request, authorization: Authorization, attempt: Attempt
    ) -> RawResponse | ResponseError:
        headers = dict(request.headers)
        if not self._session.auto_decompress:
            headers["Accept-Encoding"] = "identity"
        if not self._may_add_authorization():
            headers["Authorization"] = authorization
        attempt.unsent = False
        async with self._session.request(
            request.method,
            request.url,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(_last_word(authorization),),
            trace_request_ctx=attempt if self._owned else None,
        ) as response:
            body = await _read(response)
            if body is None:
                reason = f"the body has more than {MAX_BODY} bytes"
                unsafe = not request.endpoint.repeatable
                return ResponseError(
                    response.status, "body", reason, request.method, request.path, outcome_unknown=unsafe
                )
            return RawResponse(response.status, response.headers.copy(), body)

    def _may_add_authorization(self) -> bool:
        """Whether the session may have credentials of its own, which aiohttp refuses to combine with the header."""
        return self._session.auth is not None or self._session.trust_env

    async def aclose(self) -> None:
        """Close the pool, unless it was handed in."""
        if self._owned:
            await self._session.close()


def _own_session(max_connections: int) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_mark(unsent=True))
    trace.on_request_headers_sent.append(_mark(unsent=False))
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections),
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


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Read the whole body, or give `None` if it is larger than any that the API sends."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
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
    (aiohttp.ClientPayloadError, "the answer broke off, or could not be decompressed"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)


def _reason(error: Exception) -> str:
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "the connection broke")
