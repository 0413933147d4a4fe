"""A proxy on this machine, with all that it could see, and the network of a company around it.

Every tunnel ends at one port of this machine, whatever name it was asked for. So a test can give the API a name that is not that
of this machine, and only the proxy can reach it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self

from attrs import define, field

# The API behind the proxy. No resolver knows the name.
HOST = "api.corp.test"
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
LOCKED = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="corp"\r\nContent-Length: 0\r\n\r\n'
)


@define(eq=False)
class Proxy:
    """A proxy for tunnels.

    Attributes:
        to: The port where all tunnels end.
        credentials: `user:password`, or `None` to take anybody.
        answer: What is answered in place of opening a tunnel; `None` to open it. Empty: the connection is closed.
        tls: The TLS settings of the proxy's own port, or `None`.
        heads: The first lines and the headers of all requests, as they came.
        seen: All bytes that came from clients, those in tunnels included.
    """

    to: int
    credentials: str | None = None
    answer: bytes | None = None
    tls: ssl.SSLContext | None = None
    heads: list[bytes] = field(factory=list)
    seen: bytearray = field(factory=bytearray)
    _server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, credentials: str = "") -> str:
        """Return the URL of the proxy, with escaped credentials."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                self.seen += head
                if self.credentials is not None and not self._is_let_in(head):
                    # Kept open, as real proxies do.
                    writer.write(LOCKED)
                    continue
                if self.answer is None:
                    await self._tunnel(reader, writer)
                else:
                    writer.write(self.answer)
                break
        writer.close()

    def _is_let_in(self, head: bytes) -> bool:
        told = re.search(rb"\r\nProxy-Authorization: Basic (\S+)\r\n", head, re.IGNORECASE)
        return told is not None and base64.b64decode(told[1]).decode() == self.credentials

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to)
        writer.write(OPEN)
        await asyncio.gather(_pipe(reader, there_writer, self.seen), _pipe(there_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None = None) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            if seen is not None:
                seen += chunk
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def behind_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve what a port of this machine serves behind TLS, and return the new port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(writer.close)
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pipe(reader, there_writer), _pipe(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
