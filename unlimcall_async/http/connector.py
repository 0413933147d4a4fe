"""The connector of the client's own session: it hands out no kept connection on which something has come between two requests.

A server or a proxy may say something more after its response, once the connection is back in aiohttp's pool: the refusal of a
request that it did not get, or a response twice. aiohttp takes such bytes for the response to the next request. Then a request is
judged by a response that is not its own, and so is each one that follows on this connection.

A server also closes a kept connection after some seconds. If the event loop was blocked meanwhile, it has not seen that yet, and a
request on this connection is lost: a POST would be in doubt. So the loop looks at a kept connection first.
"""

from __future__ import annotations

import asyncio
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class Connector(aiohttp.TCPConnector):
    """A pool of TCP connections. One that is not as its last response has left it is closed in place of a further use."""

    def __init__(self, max_connections: int) -> None:
        # Without the cache of names, whose task would go on asking after the call that wanted the name is cancelled.
        super().__init__(limit=max_connections, use_dns_cache=False)
        self._used = WeakSet[ResponseHandler]()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return an open connection of the pool on which nothing has come since its last response, or a new one."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            # What comes on a new connection before the request is the server's answer to it: for example, that it is too busy.
            if protocol is None or protocol not in self._used:
                break
            try:
                # In the first turn the loop asks what has come, and by the second it has told the protocol.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            if protocol.is_connected() and not protocol.should_close:
                break
            connection.close()
        if protocol is not None:
            self._used.add(protocol)
        return connection
