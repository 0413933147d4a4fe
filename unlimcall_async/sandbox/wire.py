"""Responses that break off: what a broken server does to a connection, written to its transport without aiohttp."""

from __future__ import annotations

import socket
import struct
from asyncio import Transport
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeAlias

from aiohttp import web

from unlimcall_async.sandbox.responses import Response

Write: TypeAlias = Callable[[Transport], Awaitable[None]]

_GARBAGE: Final = b"\x15\x03\x01\x00\x02\x02\x28 this is not HTTP \xff\xfe\r\n\r\n"

# `SO_LINGER` on, with a time of zero: closing drops unsent bytes and sends RST instead of FIN.
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class RawResponse(web.StreamResponse):
    """A response of which aiohttp writes nothing: `write` writes to the transport, and then the connection is over."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    async def prepare(self, request: web.BaseRequest) -> NoReturn:
        """Write the response, and raise `ConnectionResetError`, which tells aiohttp that nothing is left to do."""
        if request.transport is not None:
            await self._write(request.transport)
        raise ConnectionResetError("cut by the sandbox")


async def reset(transport: Transport) -> None:
    """Reset the connection (TCP RST)."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


async def close(transport: Transport) -> None:
    """Close the connection cleanly."""
    transport.close()


async def garbage(transport: Transport) -> None:
    """Write bytes that are not HTTP, then close."""
    transport.write(_GARBAGE)
    transport.close()


def truncated(response: Response) -> Write:
    """Return a function that writes half the response, then closes."""

    async def write(transport: Transport) -> None:
        transport.write(_halves(response)[0])
        transport.close()

    return write


def stalled(response: Response, silence: Callable[[], Awaitable[None]]) -> Write:
    """Return a function that writes half the response, and the other half after the silence."""

    async def write(transport: Transport) -> None:
        first, second = _halves(response)
        transport.write(first)
        await silence()
        transport.write(second)
        transport.close()

    return write


def _halves(response: Response) -> tuple[bytes, bytes]:
    """Return the bytes of the response, cut in the middle of its body, or of its head if it has no body."""
    headers = {**response.headers, "Connection": "close"}
    if response.status != 204:
        headers["Content-Length"] = str(len(response.body))
    lines = [f"HTTP/1.1 {response.status} ", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    head = "\r\n".join(lines).encode()
    whole = head + response.body
    cut = len(head) + len(response.body) // 2 if response.body else len(head) // 2
    return whole[:cut], whole[cut:]
