"""The HTTP server: records each request, carries out the faults, and asks the API for the response."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from functools import partial
from typing import Final

from aiohttp import StreamReader, web

from unlimcall_async.sandbox import wire
from unlimcall_async.sandbox.api import Api, find_resource
from unlimcall_async.sandbox.checks import require_address
from unlimcall_async.sandbox.control import Control
from unlimcall_async.sandbox.faults import (
    Close,
    Delay,
    Fault,
    FaultSchedule,
    Garbage,
    Html,
    Processed,
    Redirect,
    ResetAfter,
    ResetBefore,
    Stall,
    Status,
    Truncate,
)
from unlimcall_async.sandbox.history import History
from unlimcall_async.sandbox.responses import Response, fault_response, html_response
from unlimcall_async.sandbox.state import ReceivedRequest

_logger: Final = logging.getLogger("unlimcall_sandbox")

# Handlers end by themselves when the server stops. The timeout is for a handler whose client reads or sends too slowly.
_SHUTDOWN_TIMEOUT: Final = 0.2


# Bytes. The largest request of the reference has some notes. What is larger is a mistake, and could fill the memory.
LARGEST_BODY: Final = 16 << 20


class _StoppingError(ConnectionError):
    """The server stops, so a handler that waits gives up. In the middle of a response, aiohttp handles a `ConnectionError`."""


async def _read(content: StreamReader) -> bytes:
    """Return a body. Of a body that is too large, return somewhat more than the largest one."""
    chunks, size = [], 0
    async for chunk in content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            break
    return b"".join(chunks)


class Server:
    """A listening socket and the requests on it. After a stop the server can be started again, on the same port."""

    def __init__(self, api: Api, control: Control, *, host: str, port: int) -> None:
        require_address(host, port)
        self.host = host
        self.port: int = port  # 0 until the first start, which takes a free port and keeps it
        self.faults: FaultSchedule = FaultSchedule()
        self.requests: History[ReceivedRequest] = History(api.state.settings, ReceivedRequest.size)
        self._api = api
        self._control = control
        self._listener: asyncio.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._stopping = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the port is open."""
        return self._listener is not None

    async def start(self) -> None:
        """Open the port."""
        if self.running:
            raise RuntimeError("the sandbox is running already")
        self._stopping = asyncio.Event()
        # Not an aiohttp application: its router responds to unknown paths by itself, and they would not be recorded.
        # Cancelling the handler is how a stalled request learns that its client has left.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        # aiohttp's TCPSite does not show its listening socket, which `stop` needs.
        self._listener = await asyncio.get_running_loop().create_server(server, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._runner = runner

    async def stop(self) -> None:
        """Close the port and cut the requests in flight. Stopping a stopped server does nothing."""
        listener, runner = self._listener, self._runner
        self._listener = self._runner = None
        if listener is None or runner is None:
            return
        self._stopping.set()
        # asyncio accepts a connection in several steps. If the listener were closed between them, an open socket would be left
        # behind, which is a warning. So the server accepts no more connections, and lets those under way become connections.
        loop = asyncio.get_running_loop()
        # Event loops on Windows accept without readers, so there is no reader to remove. The gap stays there, and with it, at
        # worst, the warning.
        with contextlib.suppress(NotImplementedError):
            for listening in listener.sockets:
                loop.remove_reader(listening)
        for _ in range(3):  # a connection is accepted, is made, and its task is started
            await asyncio.sleep(0)
        listener.close()
        await runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        resource = find_resource(http.rel_url.raw_path)
        body = await _read(http.content)
        request = ReceivedRequest(
            method=http.method,
            path=http.rel_url.raw_path,
            query={name: http.query[name] for name in http.query},
            headers=http.headers,
            body=body,
            endpoint=resource.endpoint if resource else None,
            received_at=asyncio.get_running_loop().time(),
        )
        if (done := self._control.respond(request)) is not None:
            return web.Response(status=done.status, body=done.body, headers=done.headers)
        self.requests.add(request)
        try:
            if len(body) > LARGEST_BODY:
                # Before any fault, because the rest of the body is still to come.
                request.status = 413
                return web.Response(status=413, headers={"Connection": "close"})
            return await self._respond(request, self.faults.next_fault(request.endpoint))
        except _StoppingError:
            return wire.RawResponse(wire.reset)
        finally:
            _logger.info("%s %s: %s", http.method, http.rel_url, request.status or "no response")

    async def _respond(  # noqa: C901, PLR0911 # a list of cases, one for each fault
        self, request: ReceivedRequest, fault: Fault | None
    ) -> web.StreamResponse:
        settings = self._api.state.settings
        match fault:
            # No response, and nothing takes effect.
            case ResetBefore():
                return wire.RawResponse(wire.reset)
            case Close():
                return wire.RawResponse(wire.close)
            case Garbage():
                return wire.RawResponse(wire.garbage)
            # The request takes effect, but there is no response.
            case ResetAfter():
                self._process(request)
                return wire.RawResponse(wire.reset)
            # A response of the fault's own, and nothing takes effect.
            case Status() | Html() | Redirect():
                response = fault_response(fault, settings.error_shape)
            # The request takes effect, but the response is the fault's own.
            case Processed(status):
                self._process(request)
                response = html_response(status)
            # The API's response, late.
            case Stall(seconds, after_headers=False):
                await self._pause(seconds)
                response = self._process(request)
            case Delay(seconds):
                response = self._process(request)
                await self._pause(seconds)
            # The API's response. `Truncate` and the other `Stall` change how it is written.
            case _:
                response = self._process(request)
        await self._pause(settings.latency)
        request.status = response.status
        match fault:
            case Truncate():
                return wire.RawResponse(wire.truncated(response))
            case Stall(seconds, after_headers=True):
                return wire.RawResponse(wire.stalled(response, partial(self._pause, seconds)))
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    def _process(self, request: ReceivedRequest) -> Response:
        return self._api.respond(request, now=asyncio.get_running_loop().time(), utc=datetime.now(UTC))

    async def _pause(self, seconds: float | None) -> None:
        """Wait for the seconds, or for ever if they are `None`, but no longer than the server runs."""
        if seconds == 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise _StoppingError
