"""Answers that break off: what a broken server does to a connection, written on its transport by hand."""

import socket
import struct
from asyncio import Transport
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

from aiohttp import web

from unlimcall_async.sandbox.answers import Answer

__all__ = ["ByHand", "Mischief", "close", "garbage", "reset", "stall", "truncate"]

Mischief: TypeAlias = Callable[[Transport], Awaitable[None]]

_GARBAGE = b"\x15\x03\x01\x00\x02\x02\x28 this is not HTTP \xff\xfe\r\n\r\n"

# On, with a time of zero: closing drops what is unsent and sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class ByHand(web.StreamResponse):
    """A response of which aiohttp writes nothing: the mischief does, and then the connection is over."""

    def __init__(self, mischief: Mischief) -> None:
        super().__init__()
        self._mischief = mischief

    async def prepare(self, request: web.BaseRequest) -> NoReturn:
        """Do the mischief; `ConnectionResetError` is how aiohttp learns that there is nothing left to do."""
        if request.transport is not None:
            await self._mischief(request.transport)
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


def truncate(answer: Answer) -> Mischief:
    """Return the mischief that writes half the answer, then closes."""

    async def mischief(transport: Transport) -> None:
        transport.write(_halves(answer)[0])
        transport.close()

    return mischief


def stall(answer: Answer, silence: Callable[[], Awaitable[None]]) -> Mischief:
    """Return the mischief that writes half the answer, and the other half when the silence is over."""

    async def mischief(transport: Transport) -> None:
        first, second = _halves(answer)
        transport.write(first)
        await silence()
        transport.write(second)
        transport.close()

    return mischief


def _halves(answer: Answer) -> tuple[bytes, bytes]:
    """Return the answer as it goes on the wire, cut in the middle of its body, or of its head if it has no body."""
    headers = {**answer.headers, "Connection": "close"}
    if answer.status != 204:
        headers["Content-Length"] = str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} ", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    head = "\r\n".join(lines).encode()
    whole = head + answer.body
    cut = len(head) + len(answer.body) // 2 if answer.body else len(head) // 2
    return whole[:cut], whole[cut:]
