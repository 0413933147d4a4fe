"""One connection in memory: its two sides, as aiohttp and redis-py use them, and its two directions. See `network`."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define, field

from tests.simulation.process import PROCESS, Process

if TYPE_CHECKING:
    from tests.simulation.network import Network

Way = Literal["request", "answer"]
Kind = Literal["refuse", "hang", "reset", "stall", "half_open", "slow_reader"]

_HIGH_WATER: Final = 64 * 1024


@define(eq=False)
class Trouble:
    """What befalls a connection: the first one of a link that is there, or comes, once the trouble is on its way.

    Attributes:
        kind: What happens.
        link: The name of the dialling process, without its number.
        way: The direction that is struck.
        after: Bytes of that direction that still pass.
        seconds: How long it lasts.
    """

    kind: Kind
    link: str
    way: Way = "answer"
    after: int = 0
    seconds: float = 0.0


class Socket:
    """What aiohttp asks of the socket of a transport."""

    family = socket.AF_INET

    def __init__(self, name: tuple[str, int]) -> None:
        self.name = name
        self.lingers = True

    def getsockname(self) -> tuple[str, int]:
        return self.name

    def setsockopt(self, _level: int, option: int, value: object) -> None:
        if option == socket.SO_LINGER and isinstance(value, bytes):
            self.lingers = False  # closing sends a reset


class Listener:
    """What `create_server` returns."""

    def __init__(self, network: Network, factory: Callable[[], Any], port: int) -> None:
        self._network = network
        self.factory = factory
        self.port = port
        self.process: Process | None = PROCESS.get()
        self.sockets: list[Socket] = [Socket(("127.0.0.1", port))]

    def close(self) -> None:
        """Accept nothing any more."""
        self.sockets = []
        if self._network.listeners.get(self.port) is self:
            del self._network.listeners[self.port]

    def is_serving(self) -> bool:
        return bool(self.sockets)

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@define(eq=False)
class Direction:
    """Bytes on their way from one side to the other."""

    way: Way
    target: Connection = field(init=False)
    due: deque[tuple[float, bytes | None]] = field(factory=deque)
    size: int = 0
    arrives_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    troubles: list[Trouble] = field(factory=list)
    passed: int = 0
    dead: bool = False


class Connection(asyncio.Transport):
    """One side of a connection, as the transport of its protocol."""

    def __init__(self, network: Network, link: str, number: int, out: Direction, into: Direction) -> None:
        super().__init__()
        self._network = network
        self._loop = network.loop
        self.link, self.number = link, number
        self.out, self.into = out, into
        into.target = self
        self.other: Connection
        self.process: Process | None = None
        self._protocol: Any = None
        self._context: Context | None = None
        self._closing = self._lost = False
        self._reading = True
        self._pending = deque[bytes | None]()
        self._writer_paused = False
        self._high = _HIGH_WATER
        self._socket = Socket(("127.0.0.1", 50_000 + number))
        self.slow = 0.0

    def belong(self, process: Process | None) -> None:
        """Make the side one of a process."""
        self.process = process
        self._context = process.context() if process is not None else None
        if process is not None:
            process.sides[self] = None

    def begin(self, protocol: Any) -> None:
        """Hand the side to its protocol."""
        self._protocol = protocol
        protocol.connection_made(self)

    def accept(self, listener: Listener) -> None:
        """Begin, on the side that listens, unless it listens no more."""
        if self._lost:
            return
        if listener.is_serving():
            self.begin(listener.factory())
        else:
            self._network.reset(self)
            self.cut(None)

    # --- asyncio's transports -----------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {"socket": self._socket, "peername": ("127.0.0.1", 40_000), "sockname": self._socket.name}
        return known.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del low
        self._high = _HIGH_WATER if high is None else high

    def get_write_buffer_size(self) -> int:
        return self.out.size

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data or (self.process is not None and not self.process.alive):
            return
        self._network.send(self, bytes(data))
        if self.out.size > self._high and not self._writer_paused:
            self._writer_paused = True
            self._network.reach("a writer waits for its reader")
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._network.pump(self.into)

    def close(self) -> None:
        """Close in good order: what was written still arrives, and then the end."""
        if self._closing:
            return
        self._closing = True
        self._network.send(self, None)
        self._call(self._lose, None)

    def abort(self) -> None:
        """Close at once."""
        if self._lost:
            return
        self._closing = True
        if self._socket.lingers:
            self._network.send(self, None)
        else:
            self._network.reset(self)
        self._call(self._lose, None)

    # --- what happens to it -------------------------------------------------------------------------------------------

    def receive(self, data: bytes | None) -> None:
        """Hand bytes that have arrived to the protocol. `None` stands for the end of the stream."""
        if self._closing:
            return
        if data is None:
            if not self._protocol.eof_received():
                self.close()
            return
        self._protocol.data_received(data)

    def cut(self, error: Exception | None) -> None:
        """End the side: the other end has reset the connection, or died."""
        if not self._lost:
            self._closing = True
            self._call(self._lose, error)

    def wake_writer(self) -> None:
        """Resume a paused writer once the buffer is a quarter full or less."""
        if self._writer_paused and self.out.size <= self._high // 4 and not self._lost:
            self._writer_paused = False
            self._call(self._protocol.resume_writing)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(function, *args, context=self._context)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self.into.dead = True
        if self.process is not None:
            self.process.sides.pop(self, None)
        self._network.open.pop(self, None)
        if self._protocol is not None:
            self._protocol.connection_lost(error)

    def deliver(self, data: bytes | None) -> None:
        """Call `receive` in the context of the side's process, unless that is dead or frozen."""
        self._call(self.receive, data)
