"""Connections in memory, under aiohttp's real connector and its real server, and under redis-py's client.

A connection has two sides and two directions. What a side writes is cut at places that chance chooses, and arrives in order after a
latency. A `Trouble` strikes the next connection that it fits: see `faults`. A reader that pauses makes the writer pause, as a full
window of TCP does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.connection import Connection, Direction, Kind, Listener, Trouble
from tests.simulation.process import PROCESS, Process

if TYPE_CHECKING:
    from tests.simulation.loop import SimulatedLoop

# What becomes of a connection that has no head and no body.
_WORDS: Final[Mapping[Kind, str]] = {
    "reset": "a connection is reset",
    "half_open": "a connection is half open",
    "stall": "a connection is held up",
    "slow_reader": "a slow reader",
}


def _whose(link: str) -> str:
    return ", to the server of the limits" if link == "limits" else ""


class Network:
    """All connections of one run.

    Attributes:
        listeners: By port.
        open: The sides of connections that are open.
        links: The names of the connections to some ports. Others have the name of the process that dials.
        troubles: Those that have not found their connection yet.
        note: Called with what has happened, in words.
        reach: Called with each hard state.
    """

    def __init__(self, loop: SimulatedLoop, chance: Random) -> None:
        self.loop = loop
        self.chance = chance
        self.listeners: dict[int, Listener] = {}
        self.open: dict[Connection, None] = {}
        self.links: dict[int, str] = {}
        self.troubles: list[Trouble] = []
        self.note: Callable[[str], None] = lambda _text: None
        self.reach: Callable[[str], None] = lambda _state: None
        self.latency: float = 0.02
        self.jitter: float = 0.02
        self.splits: float = 0.3
        self._number = 0
        self._port = 8000
        self._dialled: dict[int, tuple[Any, Listener]] = {}

    # --- connecting ---------------------------------------------------------------------------------------------------

    def listen(self, factory: Callable[[], Any], host: Any, port: int | None) -> Listener:
        """Return a new listener."""
        del host
        if not port:
            self._port += 1
            port = self._port
        if port in self.listeners:
            raise OSError(98, "address already in use")
        listener = self.listeners[port] = Listener(self, factory, port)
        return listener

    async def dial(self, sock: socket.socket, address: Any) -> None:
        """Find the listener of an address, after a round trip."""
        link = self._link(address[1])
        await asyncio.sleep(self._flight())
        if (trouble := self._strike(link, "hang")) is not None:
            self._tell(f"a connection is not answered{_whose(link)}")
            await asyncio.sleep(trouble.seconds)
        if self._strike(link, "refuse") is not None:
            self._tell(f"a connection is refused{_whose(link)}")
            raise ConnectionRefusedError(111, "Connection refused")
        listener = self.listeners.get(address[1])
        if listener is None or (listener.process is not None and not listener.process.alive):
            self._tell(f"nobody listens{_whose(link)}")
            raise ConnectionRefusedError(111, "Connection refused")
        await asyncio.sleep(self._flight())
        self._dialled[sock.fileno()] = sock, listener

    async def connect(self, factory: Callable[[], Any], sock: socket.socket) -> tuple[Connection, Any]:
        """Make the connection of a socket that was dialled."""
        _, listener = self._dialled.pop(sock.fileno())
        sock.close()
        self._number += 1
        link, there, back = self._link(listener.port), Direction("request"), Direction("answer")
        near = Connection(self, link, self._number, there, back)
        far = Connection(self, link, self._number, back, there)
        near.other, far.other = far, near
        for side in (near, far):
            self.open[side] = None
        near.belong(PROCESS.get())
        far.belong(listener.process)
        self.note(f"connection {self._number} of {link}")
        protocol = factory()
        near.begin(protocol)
        if listener.is_serving():
            far._call(far.accept, listener)
        else:
            self.reset(far)
            far.cut(None)
        # The far side gets its protocol before any byte of this one arrives.
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            near.abort()
            raise
        return near, protocol

    # --- bytes --------------------------------------------------------------------------------------------------------

    def send(self, side: Connection, data: bytes | None) -> None:
        """Put bytes, or the end, on their way."""
        out = side.out
        if out.dead:
            return
        for piece in self._pieces(data):
            out.arrives_at = max(out.arrives_at, self.loop.time() + self._flight())
            self._suffer(side, piece)
            if out.dead:
                return
            out.due.append((out.arrives_at, piece))
            out.size += len(piece or b"")
        self.pump(out)

    def _pieces(self, data: bytes | None) -> Iterator[bytes | None]:
        if data is None:
            yield None
            return
        at, chance = 0, self.chance
        while at < len(data):
            end = len(data)
            if end - at > 1 and chance.random() < self.splits:
                end = at + chance.randrange(1, end - at)
            yield data[at:end]
            at = end

    def _suffer(self, side: Connection, piece: bytes | None) -> None:
        """Have the troubles of a direction strike, if their bytes have passed."""
        out = side.out
        for trouble in self._fitting(side):
            out.troubles.append(trouble)
            self.troubles.remove(trouble)
        size = len(piece or b"")
        for trouble in [*out.troubles]:
            if trouble.after > size:
                trouble.after -= size
                continue
            out.troubles.remove(trouble)
            self._happen(side, trouble, piece)
            if out.dead:
                return

    def _fitting(self, side: Connection) -> list[Trouble]:
        kinds = ("reset", "stall", "half_open", "slow_reader")
        return [
            trouble
            for trouble in self.troubles
            if trouble.kind in kinds and trouble.link == side.link and trouble.way == side.out.way
        ]

    def _happen(self, side: Connection, trouble: Trouble, piece: bytes | None) -> None:
        out = side.out
        self._tell_of(side, trouble, piece)
        match trouble.kind:
            case "reset":
                if piece and trouble.after:
                    out.due.append((out.arrives_at, piece[: trouble.after]))
                    out.size += trouble.after
                    self.pump(out)
                self.loop.call_at(out.arrives_at + 1e-5, self._break, side)
                out.dead = True
            case "stall":
                out.arrives_at += trouble.seconds
            case "half_open":
                out.dead = side.into.dead = True
            case "slow_reader":
                side.other.slow = trouble.seconds

    def _tell(self, state: str) -> None:
        self.note(state)
        self.reach(state)

    def _tell_of(self, side: Connection, trouble: Trouble, piece: bytes | None) -> None:
        """Count the hard state that a trouble has brought about."""
        if side.link == "limits":
            self._tell(f"{_WORDS[trouble.kind]}{_whose(side.link)}")
            return
        way = "a request" if trouble.way == "request" else "an answer"
        part = "head" if piece is not None and piece.startswith((b"HTTP/", b"GET ", b"POST ")) else "body"
        match trouble.kind:
            case "reset":
                self._tell(f"a reset in the {part} of {way}")
            case "half_open":
                self._tell(f"a connection is half open for {way}")
            case "stall":
                self._tell(f"a stall in {way}")
            case _:
                self._tell("a slow reader")
        if side.link == "dial" and trouble.kind in {"reset", "half_open"}:
            what = "a reset" if trouble.kind == "reset" else "a connection is half open"
            self._tell(f"{what} during the placement of a call")
        if side.link == "api" and trouble.kind == "reset":
            self._tell("a reset during a delivery")

    def pump(self, direction: Direction) -> None:
        """Deliver what has arrived, and wait for the rest."""
        if direction.timer is None and direction.due and direction.target._reading:
            at = max(direction.due[0][0], self.loop.time())
            direction.timer = self.loop.call_at(at, self._arrive, direction)

    def _arrive(self, direction: Direction) -> None:
        direction.timer = None
        target = direction.target
        if not direction.due or not target._reading:
            return
        _, data = direction.due.popleft()
        size = len(data or b"")
        direction.size -= size
        direction.passed += size
        target.deliver(data)
        target.other.wake_writer()
        if target.slow and direction.due:
            at, later = direction.due[0]
            direction.due[0] = max(at, self.loop.time() + target.slow), later
        self.pump(direction)

    def reset(self, side: Connection) -> None:
        """Reset a connection: the other side gets a `ConnectionResetError` once the news has arrived."""
        side.out.dead = True
        self.loop.call_later(self._flight(), side.other.cut, ConnectionResetError(104, "Connection reset by peer"))

    def _break(self, side: Connection) -> None:
        for end in (side, side.other):
            end.out.due.clear()
            end.cut(ConnectionResetError(104, "Connection reset by peer"))

    def process_dies(self, process: Process) -> None:
        """Cut the connections of a process that was killed, as its kernel does, and close its listeners."""
        for listener in [each for each in self.listeners.values() if each.process is process]:
            listener.close()
        for side in [*process.sides]:
            self.open.pop(side, None)
            side._closing = side._lost = True
            if side.out.dead:
                continue
            if self.chance.random() < 0.5:
                self.reset(side)
            else:
                self.send(side, None)
            side.out.dead = True
        process.sides.clear()

    # --- chance -------------------------------------------------------------------------------------------------------

    def _flight(self) -> float:
        late = self.jitter * self.chance.random()
        return self.latency + (10 * late if self.chance.random() < 0.02 else late)

    def _strike(self, link: str, kind: Kind) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.kind == kind and trouble.link == link:
                self.troubles.remove(trouble)
                return trouble
        return None

    def _link(self, port: int) -> str:
        process = PROCESS.get()
        return self.links.get(port) or ("" if process is None else process.name.partition("#")[0])
