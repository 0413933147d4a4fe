"""The receiver as a route of an aiohttp application, and as an application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from unlimcall_async.webhooks.answers import NOT_NOW

Handle: TypeAlias = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, bytes]]]


def route(handle: Handle, max_body: int, path: str) -> web.RouteDef:
    """Make a route that takes deliveries by POST."""

    async def deliver(request: web.Request) -> web.Response:
        try:
            content = await _read(request, max_body)
        except (ConnectionError, web.RequestPayloadError):
            # The sender has left, or what came cannot be unpacked. As an error it would be a traceback in the server's log, which
            # any stranger could fill.
            status, body = NOT_NOW
        else:
            status, body = await handle(content, request.headers)
        return web.Response(status=status, body=body, content_type="text/plain")

    return web.post(path, deliver)


def app(handle: Handle, max_body: int) -> web.Application:
    """Make an application that takes deliveries by POST, on every path."""
    application = web.Application()
    application.add_routes([route(handle, max_body, "/{path:.*}")])
    return application


async def _read(request: web.Request, max_body: int) -> bytes:
    """Read the body, but no further than shows that it is too large.

    Not by `request.read`, whose limit belongs to the application that the route may be a guest in.
    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_body:
            break
    return bytes(body)
