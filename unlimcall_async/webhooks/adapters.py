"""The receiver under a server: as an aiohttp route or application, and as an ASGI application.

Both adapters read a body only as far as needed to see that it is too large. ASGI is a calling convention, so no framework is
imported for it. aiohttp is imported only when its adapter is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from unlimcall_async.webhooks.responses import NOT_NOW
from unlimcall_async.webhooks.wire import Headers

if TYPE_CHECKING:
    from aiohttp import web

Handle: TypeAlias = Callable[[bytes, Headers], Awaitable[tuple[int, bytes]]]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


def aiohttp_route(handle: Handle, max_body: int, body_timeout: float | None, path: str) -> web.RouteDef:
    """Return an aiohttp route that accepts deliveries by POST."""
    from aiohttp import web  # noqa: PLC0415 # aiohttp is slow to import, and a receiver under ASGI does not need it

    async def deliver(request: web.Request) -> web.Response:
        content = bytearray()
        try:
            async with asyncio.timeout(body_timeout):
                if request.content.at_eof():
                    # A middleware has read the body, if there is one. `read` returns what it kept, and has nothing to wait for.
                    content += await request.read()
                # Not `request.read`: its limit is that of the application, which may be made for other routes.
                async for chunk in request.content.iter_any():
                    content += chunk
                    if len(content) > max_body:
                        break
        except (ConnectionError, TimeoutError, web.RequestPayloadError):
            # The sender has left or is too slow, or the body cannot be unpacked. As an exception this would be a traceback in the
            # server's log, which any stranger could fill.
            status, body = NOT_NOW
            not_whole = web.Response(status=status, body=body, content_type="text/plain")
            not_whole.force_close()
            return not_whole
        headers = list(request.headers.items())
        if request.content_length is None:
            # A middleware may have taken a part of a body in pieces, of which only the server knows how long it was.
            headers.append(("Content-Length", f"{request.content.total_bytes}"))
        status, body = await handle(bytes(content), headers)
        return web.Response(status=status, body=body, content_type="text/plain")

    return web.post(path, deliver)


def aiohttp_app(handle: Handle, max_body: int, body_timeout: float | None) -> web.Application:
    """Return an aiohttp application that accepts deliveries by POST, on every path."""
    from aiohttp import web  # noqa: PLC0415 # as above

    # A body that was signed packed must stay packed until its signature is checked.
    application = web.Application(handler_args={"auto_decompress": False})
    application.add_routes([aiohttp_route(handle, max_body, body_timeout, "/{path:.*}")])
    return application


class AsgiApp:
    """An ASGI application that accepts deliveries by POST, on every path under which it is mounted.

    Starlette takes an object with `__call__` for an application, also as the endpoint of a route; it would call a function with its
    own `Request`.
    """

    def __init__(self, handle: Handle, max_body: int, body_timeout: float | None) -> None:
        self._handle = handle
        self._max_body = max_body
        self._body_timeout = body_timeout

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Respond to one request, or to the start and the end of the server."""
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})  # before the connection is accepted, this is a 403
            return
        if scope["type"] != "http":
            raise RuntimeError(f"webhooks come by http, not by {scope['type']}")
        if scope["method"] != "POST":
            await _respond(send, 405, b"POST only", (b"allow", b"POST"))
            return
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(self._body_timeout):
                while more and len(body) <= self._max_body:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return  # nobody is there to read a response
                    # A middleware may replay the body in another form than servers do.
                    body += message.get("body") or b""
                    more = message.get("more_body", False)
        except TimeoutError:
            # HTTP/2 has no such header: there a response ends its request.
            close = [(b"connection", b"close")] if scope.get("http_version", "1.1").startswith("1") else []
            await _respond(send, *NOT_NOW, *close)
            return
        await _respond(send, *await self._handle(bytes(body), scope["headers"]))


async def _respond(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
