"""The HTTP server: it records each request, carries out the faults, and leaves the answer to the API."""

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from unlimcall_async.sandbox import wire
from unlimcall_async.sandbox.answers import Answer, html_page, stand_in
from unlimcall_async.sandbox.api import Api
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
from unlimcall_async.sandbox.routing import find_resource
from unlimcall_async.sandbox.state import ReceivedRequest

__all__ = ["Server"]

# Handlers end by themselves when the server stops; this is for one whose client reads or sends too slowly.
_SHUTDOWN_TIMEOUT = 0.2


class _StoppingError(ConnectionError):
    """The server stops, so what waits gives up; aiohttp takes a `ConnectionError` amid an answer for what it is."""


class Server:
    """A listening socket and the requests on it; it can be started again, on the same port, after it was stopped."""

    def __init__(self, api: Api, *, host: str, port: int) -> None:
        self.host = host
        self.port: int = port  # 0 until the first start, which takes a free one and keeps it
        self.faults: FaultSchedule = FaultSchedule()
        self.requests: list[ReceivedRequest] = []
        self._api = api
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
        # Not an aiohttp application: its router answers paths that it cannot match, and they would not be recorded.
        # Cancelling the handler is how a stalled request learns that its client has left.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        # aiohttp's TCPSite keeps the listening socket to itself, and stopping needs it.
        self._listener = await asyncio.get_running_loop().create_server(server, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._runner = runner

    async def stop(self) -> None:
        """Close the port and cut the requests in flight; stopping twice is fine."""
        listener, runner = self._listener, self._runner
        self._listener = self._runner = None
        if listener is not None and runner is not None:
            self._stopping.set()
            await _stop_accepting(listener)
            listener.close()
            await runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        request = await self._record(http)
        fault = self.faults.next_fault(request.endpoint)
        try:
            return await self._respond(request, fault)
        except _StoppingError:
            return wire.ByHand(wire.reset)

    async def _record(self, http: web.BaseRequest) -> ReceivedRequest:
        resource = find_resource(http.rel_url.raw_path)
        request = ReceivedRequest(
            method=http.method,
            path=http.rel_url.raw_path,
            query={name: http.query[name] for name in http.query},
            headers=http.headers,
            body=await http.content.read(),  # `http.read` has a limit
            endpoint=resource.endpoint if resource else None,
            received_at=asyncio.get_running_loop().time(),
        )
        self.requests.append(request)
        return request

    async def _respond(self, request: ReceivedRequest, fault: Fault | None) -> web.StreamResponse:
        match fault:
            case ResetBefore():
                return wire.ByHand(wire.reset)
            case Close():
                return wire.ByHand(wire.close)
            case Garbage():
                return wire.ByHand(wire.garbage)
            case ResetAfter():
                self._process(request)
                return wire.ByHand(wire.reset)
        answer = await self._answer(request, fault)
        await self._pause(self._api.state.settings.latency)
        request.status = answer.status
        return self._written(answer, fault)

    async def _answer(self, request: ReceivedRequest, fault: Fault | None) -> Answer:
        """Return what is to be answered; here the request takes effect, unless the fault stands in for the API."""
        match fault:
            case Status() | Html() | Redirect():
                return stand_in(fault, self._api.state.settings.error_shape)
            case Stall(seconds, after_headers=False):
                await self._pause(seconds)
        answer = self._process(request)
        match fault:
            case Delay(seconds):
                await self._pause(seconds)
            case Processed(status):
                return html_page(status)
        return answer

    def _process(self, request: ReceivedRequest) -> Answer:
        return self._api.answer(request, now=asyncio.get_running_loop().time(), utc=datetime.now(UTC))

    def _written(self, answer: Answer, fault: Fault | None) -> web.StreamResponse:
        match fault:
            case Truncate():
                return wire.ByHand(wire.truncate(answer))
            case Stall(seconds, after_headers=True):
                return wire.ByHand(wire.stall(answer, partial(self._pause, seconds)))
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _pause(self, seconds: float | None) -> None:
        """Wait, `None` for ever, but no longer than the server runs."""
        if seconds == 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise _StoppingError


async def _stop_accepting(listener: asyncio.Server) -> None:
    """Accept no more connections, and let those that were being accepted become connections.

    asyncio accepts in two steps; a listener that is closed between them leaves an open socket behind, which is a warning.
    """
    loop = asyncio.get_running_loop()
    # Event loops on Windows accept without readers, so there is none to remove: the gap stays, and with it, at worst, the warning.
    with contextlib.suppress(NotImplementedError):
        for listening in listener.sockets:
            loop.remove_reader(listening)
    for _ in range(3):  # accepted, connected, its task started
        await asyncio.sleep(0)
