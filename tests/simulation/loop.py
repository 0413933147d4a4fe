"""An event loop on virtual time: whenever nothing is ready, its clock jumps to the next timer.

The order of callbacks depends on the program alone. Work for a thread runs in the loop's own thread, after a simulated delay, in
the order in which it was given to its executor. `looptime` would give the time, but neither the network nor the processes.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from tests.simulation.network import Network
from tests.simulation.process import PROCESS, Process, seam

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

# Seconds that a turn of the loop takes: so no two turns are at one time, as on any machine.
_TURN: Final = 1e-6
# Turns between two timers. More than that is a loop without an end.
_MOST_TURNS: Final = 50_000


class StuckError(Exception):
    """Nothing can happen any more, or the same happens for ever."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop of one run.

    Args:
        chance: Decides how long work in a thread takes.

    Attributes:
        network: The connections.
        buried: What belongs to dead processes. It must not be collected before the run has been judged: that would run its code.
    """

    # Of the base class, which has no public door to them.
    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._now = 1000.0
        self._chance = chance
        self._turns = 0
        self.network: Network = Network(self, chance)
        self.buried: list[object] = []
        self._owners: WeakKeyDictionary[asyncio.Task[Any], Process] = WeakKeyDictionary()
        self._busy_until: dict[int, float] = {}
        self.set_task_factory(self._new_task)

    # --- time and order -----------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        self._now += _TURN
        self._turns += 1
        if not ready and not self._stopping:
            if not scheduled:
                raise StuckError("every task waits, and no timer runs")
            self._now, self._turns = max(self._now, scheduled[0].when()), 0
        if self._turns > _MOST_TURNS:
            raise StuckError(f"{_MOST_TURNS} turns of the event loop without a wait")
        while scheduled and scheduled[0].when() <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or process.runs:
                handle._run()
            elif process.alive:
                process.hold(handle)
            else:
                self.buried.append(handle)

    # --- processes ----------------------------------------------------------------------------------------------------

    def _new_task(self, _loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **options)
        context = options.get("context")
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            self._owners[task] = process
        return task

    def is_alive(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a task is of a process that was not killed."""
        owner = self._owners.get(task)
        return owner is None or owner.alive

    def bury(self, process: Process) -> None:
        """Keep what a dead process has left, so that none of its code runs."""
        self.buried += [task for task, owner in list(self._owners.items()) if owner is process and not task.done()]

    # --- work in threads ----------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Return the future of work that is done some milliseconds from now, one piece after the other of each executor."""
        future: asyncio.Future[T] = self.create_future()
        begins = max(self._now, self._busy_until.get(id(executor), 0.0))
        ends = begins + self._chance.choice((0.0002, 0.001, 0.004, 0.02))
        self._busy_until[id(executor)] = ends

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except StopIteration as error:
                future.set_exception(RuntimeError(f"{error!r}"))
            except BaseException as error:  # noqa: BLE001 # the future's owner gets it
                future.set_exception(error)
            else:
                seam("behind a commit")
                future.set_result(result)

        self.call_at(ends, work)
        return future

    # --- sockets ------------------------------------------------------------------------------------------------------

    def _write_to_self(self) -> None:
        """Wake up nobody: there is one thread."""

    def remove_reader(self, _fd: Any) -> bool:
        """Return that nothing was removed: a listener accepts without readers."""
        return False

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket to a simulated listener."""
        await self.network.dial(sock, address)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **_options: Any
    ) -> Any:
        """Return the transport and the protocol of a connection whose socket was dialled, or is dialled now."""
        if sock is None:
            sock = socket.socket()
            try:
                await self.network.dial(sock, (host, port))
            except BaseException:
                sock.close()
                raise
        return await self.network.connect(protocol_factory, sock)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_options: Any) -> Any:
        """Return a simulated listener."""
        return self.network.listen(protocol_factory, host, port)
