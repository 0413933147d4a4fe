"""The server of the shared limits: a real Valkey decides, by a simulated clock, behind simulated connections.

Connections carry the commands of redis-py's own client. The server answers the greeting itself, and hands each decision to Valkey.
So the script of the package runs as in production, but for the time and the run of the server, which the simulation tells it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator
from functools import cache
from multiprocessing.util import Finalize
from typing import Any, Final

from attrs import define, field, frozen
from redis import Redis

from tests.shared.servers import valkey_server
from tests.shared.virtual import virtual
from tests.simulation.connection import Connection
from tests.simulation.ledger import Ledger, Question
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import EPOCH, Process
from unlimcall_async.shared.outlook import Answer

PORT: Final = 6379
URL: Final = f"redis://127.0.0.1:{PORT}"
# Seconds between two times at which the server saves what it holds.
_SAVES_EVERY: Final = 30.0


@cache
def valkey() -> Redis:
    """Return a connection to the Valkey of this process, which runs until the process ends."""
    server = valkey_server()
    server.start()
    # A process of a pool does not do what is registered with `atexit`.
    Finalize(None, server._cleanup, exitpriority=1)
    connection = Redis(port=server.port)
    connection.ping()
    return connection


@frozen
class _RefusedError(Exception):
    """The server answers with an error."""

    words: str


@define(eq=False)
class LimitServer:
    """The server.

    Attributes:
        loop: The event loop.
        process: The process that serves.
        ledger: What the server has decided.
        is_up: Whether it runs.
        runs: How often it was started.
        up_since: When it was started, by its own clock.
        loading: The loop's time until which it reads what it has saved.
    """

    loop: SimulatedLoop
    process: Process
    ledger: Ledger
    is_up: bool = False
    runs: int = 0
    up_since: float = 0.0
    loading: float = 0.0
    # The name of each script that was loaded, and the name under which Valkey has it.
    _scripts: dict[bytes, str] = field(factory=dict)
    _saved: dict[bytes, bytes] = field(factory=dict)
    _saving: asyncio.TimerHandle | None = None

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen."""
        if not self.runs:
            valkey().flushdb()
        self.is_up = True
        self.runs += 1
        self.up_since = self._clock()
        self._scripts.clear()
        self.loop.network.links[PORT] = "limits"
        self.process.context().run(self.loop.network.listen, lambda: _Session(self), "127.0.0.1", PORT)
        self._saving = self.loop.call_later(_SAVES_EVERY, self._save)

    def stop(self) -> None:
        """End as a process that is killed: connections are cut, and what was not saved is lost."""
        self.is_up, self.process.alive = False, False
        self.loop.network.process_dies(self.process)
        if self._saving is not None:
            self._saving.cancel()
        self.process = Process("limits", self.process.folder, self.process.skew)

    def forget(self) -> None:
        """Drop all that the server holds, as an administrator does."""
        valkey().flushdb()
        self.ledger.forgets(self.loop.time())

    async def start_again(self, left: str, *, after: float, loading: float) -> None:
        """Start the server after some seconds, with all that it held, with its last save, or with nothing.

        Args:
            left: "all", "the last save" or "nothing".
            after: Seconds until the server listens.
            loading: Seconds for which the server then says that it is loading.
        """
        await asyncio.sleep(after)
        self.loading = self.loop.time() + loading
        if left != "all":
            valkey().flushdb()
            self._saved = self._saved if left == "the last save" else {}
            for key, content in self._saved.items():
                valkey().restore(key, 0, content)
            if self._saved:
                self.ledger.forgets_some(self.loop.time())
            else:
                self.ledger.forgets(self.loop.time())
        self.start()

    def _save(self) -> None:
        keys = [key for key in valkey().keys("{unlimcall}*") if isinstance(key, bytes)]
        self._saved = {key: content for key in sorted(keys) if (content := valkey().dump(key)) is not None}
        self._saving = self.loop.call_later(_SAVES_EVERY, self._save)

    def _clock(self) -> float:
        return EPOCH + self.loop.time() + self.process.skew

    # --- commands -----------------------------------------------------------------------------------------------------

    def answer(self, command: list[bytes], asker: Process | None) -> bytes:
        """Return the answer to a command."""
        try:
            return self._answer(command, asker)
        except _RefusedError as refused:
            return f"-{refused.words}\r\n".encode()

    def _answer(self, command: list[bytes], asker: Process | None) -> bytes:
        match [command[0].upper(), *command[1:]]:
            case [b"HELLO", *_]:
                return b"%1\r\n" + _bulk(b"proto") + b":3\r\n"
            case [b"CLIENT", what, *_] if what.upper() == b"SETINFO":
                return b"+OK\r\n"
            case [b"SCRIPT", _, source]:
                name = hashlib.sha1(source).hexdigest().encode()  # noqa: S324 # Redis names scripts so
                self._scripts[name] = str(valkey().script_load(virtual(source.decode())))
                return _bulk(name)
            case [b"EVALSHA", name, *rest]:
                if self.loop.time() < self.loading:
                    self.ledger.reach("the server of the limits is loading")
                    raise _RefusedError("LOADING Valkey is loading the dataset in memory")
                if name not in self._scripts:
                    raise _RefusedError("NOSCRIPT No matching script.")
                values = self._decide(self._scripts[name], rest, asker)
                return f"*{len(values)}\r\n".encode() + b"".join(map(_bulk, values))
            case _:
                raise _RefusedError(f"ERR unknown command '{command[0].decode()}'")

    def _decide(self, script: str, rest: list[bytes], asker: Process | None) -> list[bytes]:
        now, count = self._clock(), int(rest[0])
        keys, arguments = rest[1 : 1 + count], rest[1 + count :]
        info = f"run_id:{self.runs:x}\r\nuptime_in_seconds:{int(now) - int(self.up_since)}\r\n"
        pipe = valkey().pipeline(transaction=False)
        pipe.mset({"time": f"{now:.6f}", "info": info})
        pipe.evalsha(script, count, *keys, *arguments)
        pipe.zrange(keys[3], 0, -1)
        _, values, waiters = pipe.execute()
        question = Question.of(keys, arguments, asker, self.loop.time(), now)
        self.ledger.decided(question, Answer.of(values), {name.decode() for name in waiters})
        return [*values]


class _Session(asyncio.Protocol):
    """One connection, as the server has it."""

    def __init__(self, server: LimitServer) -> None:
        self._server = server
        self._commands = _commands()
        next(self._commands)
        self._transport: Connection

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for command in self._commands.send(data):
            self._transport.write(self._server.answer(command, self._transport.other.process))


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _commands() -> Generator[list[list[bytes]], bytes, None]:
    """Take bytes as they come, and yield the commands that are whole with them."""
    rest, found = b"", list[list[bytes]]()
    while True:
        rest += yield found
        found = []
        while (whole := _first_command(rest)) is not None:
            command, size = whole
            found.append(command)
            rest = rest[size:]


def _first_command(data: bytes) -> tuple[list[bytes], int] | None:
    """Return the first command of some bytes and its size, or `None` if it has not come as a whole."""
    head, end, _ = data.partition(b"\r\n")
    if not end:
        return None
    at, parts = len(head) + 2, list[bytes]()
    for _ in range(int(head[1:])):
        size, end, _ = data[at:].partition(b"\r\n")
        begins = at + len(size) + 2
        at = begins + int(size[1:] or 0) + 2
        if not end or len(data) < at:
            return None
        parts.append(data[begins : at - 2])
    return parts, at
