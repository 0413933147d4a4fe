"""Simulated processes: they share one event loop and one memory, and are told apart by a context variable.

A process that is killed runs no more code: the loop drops its callbacks, no `finally` of it is reached, and its connections are cut
by the kernel. Its folder is what was on the disk at that moment, and the next process gets a copy of that.
"""

from __future__ import annotations

from asyncio import events
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from tests.simulation.connection import Connection
    from tests.simulation.loop import SimulatedLoop

PROCESS: ContextVar[Process | None] = ContextVar("simulated_process", default=None)
# Unix time at the loop's time zero.
EPOCH = 1_790_000_000.0


@define(eq=False)
class Process:
    """A process.

    Attributes:
        name: Its name in the log.
        folder: Its working folder.
        skew: How many seconds its clock is ahead.
        alive: Whether it was not killed.
        frozen_until: The loop's time until which it does nothing.
        sides: Its open connections, in order.
        at_seam: Called with the name of each point of its work at which it may be killed.
    """

    name: str
    folder: Path
    skew: float = 0.0
    alive: bool = True
    frozen_until: float = 0.0
    sides: dict[Connection, None] = field(factory=dict)
    at_seam: Callable[[Process, str], None] = field(default=lambda _process, _name: None)
    _held: list[events.Handle] = field(factory=list)

    @property
    def runs(self) -> bool:
        """Whether its code may run now."""
        return self.alive and not self.frozen_until

    def context(self) -> Context:
        """Return a context in which code belongs to this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return context

    def freeze(self, loop: SimulatedLoop, seconds: float) -> None:
        """Suspend the process for so many seconds, as the lid of a laptop does."""
        if self.frozen_until:
            return
        self.frozen_until = loop.time() + seconds
        loop.call_later(seconds, self._go_on, loop)

    def hold(self, handle: events.Handle) -> None:
        """Keep a callback until the process goes on."""
        self._held.append(handle)

    def _go_on(self, loop: SimulatedLoop) -> None:
        self.frozen_until = 0.0
        held, self._held = self._held, []
        loop._ready.extend(held)


def seam(name: str) -> None:
    """Pass a point of the present process's work at which it may be killed."""
    process = PROCESS.get()
    if process is not None and process.alive:
        process.at_seam(process, name)
