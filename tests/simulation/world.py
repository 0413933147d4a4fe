"""What the parts of a run share: the API's rows, the machines of the users, and the log."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from tests.simulation.disk import Disk
from tests.simulation.limits import LimitServer
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plan import TROUBLED, Plan
from tests.simulation.process import EPOCH, Process
from tests.simulation.rows import Rows, lives, some_rows
from unlimcall_async import AsyncClient, RateLimit, RateLimits, RetryPolicy, UnlimCallError
from unlimcall_async.sandbox import Sandbox
from unlimcall_async.shared import SharedRateLimits

# The loop's time at the start of a run.
BEGIN: Final = 1000.0


class BrokenError(AssertionError):
    """A promise was broken."""


def check(promise: object, otherwise: str) -> None:
    """Insist on a promise, `python -O` or not."""
    if not promise:
        raise BrokenError(otherwise)


@define(eq=False)
class Machine:
    """A machine with one folder, on which processes of one name run, one after the other or two at once.

    Attributes:
        name: The name of its processes.
        folder: The folder.
        deadly: The seam at which the next process dies that passes it, whether the power goes, too, and how often it is passed
            before.
    """

    world: World
    name: str
    folder: Path
    deadly: tuple[str, bool, int] | None = None
    processes: list[Process] = field(factory=list)
    kills: int = 0
    skew: float = 0.0
    _ends: dict[Process, asyncio.Future[None]] = field(factory=dict)

    def start(self, main: Callable[[Process], Coroutine[Any, Any, None]]) -> tuple[Process, asyncio.Task[None]]:
        """Start a process."""
        loop = self.world.loop
        self.world.rows.forget_pages()
        process = Process(f"{self.name}#{self.kills}", self.folder, self.skew, at_seam=self._pass)
        self.processes.append(process)
        self._ends[process] = loop.create_future()
        return process, loop.create_task(main(process), context=process.context())

    async def run(self, main: Callable[[Process], Coroutine[Any, Any, None]]) -> None:
        """Run a program until it has ended well: it is started again whenever it is killed, or fails as a user would expect."""
        world, failures = self.world, 0
        while True:
            process, task = self.start(main)
            await self.end_of(process, task)
            if process.alive:
                self.processes.remove(process)
                try:
                    task.result()
                except UnlimCallError as error:
                    failures += 1
                    world.note(f"{self.name} ends with {type(error).__name__}")
                    check(failures < 60, f"{self.name} fails again and again: {error}")
                    await asyncio.sleep(5)
                    continue
                return
            await asyncio.sleep(self.world.chance.choice((0.1, 3.0, 20.0)))

    def _pass(self, process: Process, name: str) -> None:
        if self.deadly is None or self.deadly[0] != name or len(self.processes) != 1:
            return
        _, power, left = self.deadly
        self.deadly = (name, power, left - 1) if left else None
        if not left:
            self.kill(process, name, power=power)

    def kill(self, process: Process, seam: str, *, power: bool) -> None:
        """Kill a process, and take what is on the disk."""
        world, self.kills = self.world, self.kills + 1
        victims = [*self.processes] if power else [process]
        world.note(f"kill of {process.name}: {seam}{', power' if power else ''}")
        world.reach(f"kill {seam}")
        if power:
            world.reach("the power goes")
        if power or len(self.processes) == 1:
            left = world.root / f"{self.name}-{self.kills}"
            world.disk.crash(self.folder, left, power=power)
            self.folder = left
        for victim in victims:
            victim.alive = False
            self.processes.remove(victim)
            world.loop.network.process_dies(victim)
            world.loop.bury(victim)
            ended = self._ends[victim]
            if not ended.done():
                ended.set_result(None)

    async def end_of(self, process: Process, task: asyncio.Task[None]) -> None:
        """Wait until a process has ended or was killed."""
        await asyncio.wait([task, self._ends[process]], return_when=asyncio.FIRST_COMPLETED)


@define(eq=False)
class World:
    """What the parts of a run share.

    Attributes:
        plan: The plan.
        loop: The event loop.
        root: A folder for all files of the run.
        reached: How often each hard state was reached.
        complaints: What was found wrong while the run went on.
        handled: The process that handles an event at present.
        outages: The outages of the API, and of the server of the limits.
        limits: The server of the shared limits, if a program uses it.
    """

    plan: Plan
    loop: SimulatedLoop
    root: Path
    chance: random.Random = field(init=False)
    log: list[str] = field(factory=list)
    reached: Counter[str] = field(factory=Counter)
    disk: Disk = field(init=False)
    rows: Rows = field(init=False)
    sandbox: Sandbox = field(init=False)
    api: Process = field(init=False)
    machines: dict[str, Machine] = field(factory=dict)
    complaints: list[str] = field(factory=list)
    handled: dict[str, Process] = field(factory=dict)
    outages: list[asyncio.Task[None]] = field(factory=list)
    limits: LimitServer | None = None
    calm_from: float = BEGIN + TROUBLED

    def __attrs_post_init__(self) -> None:
        self.chance = self.plan.chance("world")
        self.disk = Disk(self.plan.chance("disk"), self.reach)
        self.rows = Rows(clock=self.loop.time)

    # --- what happened ------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{self.loop.time() - BEGIN:.6f} {text}")

    def reach(self, state: str) -> None:
        """Count a hard state."""
        self.reached[state] += 1

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds from the start of the run."""
        return self.loop.time() - BEGIN

    @property
    def history(self) -> timedelta:
        """How far back the API's records go."""
        return timedelta(hours=self.plan.hours)

    def moment(self, elapsed: float = 0.0) -> datetime:
        """Return the true time of so many seconds from the start of the run."""
        return datetime.fromtimestamp(EPOCH + BEGIN + elapsed, UTC)

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong or changes any more."""
        return self.loop.time() > self.calm_from

    # --- parts --------------------------------------------------------------------------------------------------------

    def machine(self, name: str) -> Machine:
        """Return the machine of this name."""
        if name not in self.machines:
            folder = self.root / name
            folder.mkdir()
            self.machines[name] = Machine(self, name, folder)
        return self.machines[name]

    def client(self, chance: random.Random, shared: SharedRateLimits | None = None) -> AsyncClient:
        """Return a client in the present process, with limits of its own or with shared ones."""
        limit = RateLimit(self.plan.per_minute)
        return AsyncClient(
            self.sandbox.token,
            base_url=self.sandbox.url,
            timeout=chance.choice((3.0, 10.0, 30.0)),
            max_connections=chance.choice((1, 1, 2, 100)),
            retry=RetryPolicy(rate_limited_for=chance.choice((120, None))),
            rate_limits=shared or RateLimits(cdrs=limit, calls=limit, balance=limit, me=limit),
        )

    def fill(self) -> None:
        """Decide which rows the API has, and when."""
        plan, chance = self.plan, self.plan.chance("rows")
        # A follow and a sync ask for the same rows again and again.
        count = chance.choice((0, 30, 80) if {"follow", "sync"} & {*plan.programs} else (0, 40, 120, 300))
        start = self.moment() - self.history
        # Not on a server that compares whole seconds: it may hold more rows on one of them than a page can.
        dense = "dense" if plan.server.settings["resolution"] == "ms" else "even"
        kind = chance.choice(("even", "bursts", "ties", dense))
        if plan.chains:
            count, kind = 600, chance.choice(("even", "ties"))
        options = {"late": plan.late, "revised": plan.revised, "lost": plan.lost}
        for call in some_rows(chance, count, start, self.moment() - timedelta(minutes=5), kind=kind):
            self.rows.hold(call, lives(chance, call, BEGIN, **options))
        if {"follow", "sync"} & {*plan.programs}:
            live = some_rows(chance, 20, self.moment(), self.moment(TROUBLED / 2), kind="even")
            for call in live:
                since = call.start_time.timestamp() - EPOCH + min(call.duration, 60)
                self.rows.hold(call, lives(chance, call, since, **options))
        slips = plan.chance("slips")
        self.rows.by_end, self.rows.turn = plan.server.by_end, plan.server.turn
        self.rows.slip = lambda: self.rows.answers >= plan.server.slips_from and slips.random() < plan.server.slips
        self.calm_from = max([self.calm_from, *(held.versions[-1].since for held in self.rows.held)])
