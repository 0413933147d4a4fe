"""One run of a plan: time and chance are replaced, the programs run, and what they leave is judged."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeAlias
from unittest.mock import patch

import aiohttp.connector
import aiohttp.helpers
from attrs import evolve, frozen

from tests.simulation import strikes
from tests.simulation.disk import seams
from tests.simulation.limits import valkey
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plan import TROUBLED, Plan, Program
from tests.simulation.process import EPOCH, PROCESS, Process
from tests.simulation.world import BrokenError, World, check
from unlimcall_async import _clock
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.sandbox import sender as sandbox_sender
from unlimcall_async.sandbox import server as sandbox_server
from unlimcall_async.sync import forks
from unlimcall_async.webhooks import handling

# Seconds of virtual time after which a run that has not ended is stuck.
_PATIENCE: Final = 6 * 3600.0

Programs: TypeAlias = "Mapping[Program, Callable[[World], Coroutine[Any, Any, None]]]"
Probes: TypeAlias = "Callable[[World], AbstractContextManager[Callable[[logging.LogRecord, str], None]]]"


@frozen
class Outcome:
    """What became of a run.

    Attributes:
        plan: The plan.
        failure: What was broken, or `None`.
        log: What happened, line by line.
        reached: How often each hard state was reached.
        elapsed: The seconds of virtual time that the run took.
    """

    plan: Plan
    failure: str | None
    log: list[str]
    reached: Counter[str]
    elapsed: float

    @property
    def digest(self) -> str:
        """The digest of the log."""
        return hashlib.sha256("\n".join(self.log).encode()).hexdigest()


class _Clock(datetime):
    """`datetime` of a module that asks the time itself."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain datetime
        del tz
        return _utc_now()


def _unix() -> float:
    loop = asyncio.get_running_loop()
    process = PROCESS.get()
    return EPOCH + loop.time() + (0.0 if process is None else process.skew)


def _utc_now() -> datetime:
    return datetime.fromtimestamp(_unix(), UTC)


class _Lines(logging.Handler):
    """Writes what the package logs into the log of the run."""

    def __init__(self, world: World, heard: Callable[[logging.LogRecord, str], None]) -> None:
        super().__init__()
        self._world = world
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        process = PROCESS.get()
        if process is None or process.alive:
            text = record.getMessage().splitlines()[0]
            self._world.note(f"{process.name if process else ''}: {text}")
            self._heard(record, text)


class _Errors(logging.Handler):
    """Takes an error that a server logs for a complaint: aiohttp keeps what a handler of a request has raised to itself."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        process = PROCESS.get()
        if process is None or process.alive:
            raised = record.exc_info[1] if record.exc_info else None
            self._world.complaints.append(f"{record.getMessage()}: {raised!r}")


@contextmanager
def _determined(world: World, heard: Callable[[logging.LogRecord, str], None]) -> Iterator[None]:
    """Replace every source of time and chance, and watch the files and the log, meanwhile."""
    chance, state = world.plan.chance("random"), random.getstate()
    shim = SimpleNamespace(time=_unix, gmtime=time.gmtime)
    logger, lines = logging.getLogger("unlimcall_async"), _Lines(world, heard)
    level, propagates = logger.level, logger.propagate
    servers, errors = logging.getLogger("aiohttp.server"), _Errors(world)
    with ExitStack() as stack:
        for target, name, replacement in (
            (_clock, "utc_now", _utc_now),
            (sandbox_server, "datetime", _Clock),
            (sandbox_sender, "time", shim),
            (aiohttp.helpers, "time", shim),
            (aiohttp.connector, "monotonic", world.loop.time),
            (os, "urandom", chance.randbytes),
            (random, "_urandom", chance.randbytes),
        ):
            stack.enter_context(patch.object(target, name, replacement))
        stack.enter_context(seams(world.disk))
        random.seed(world.plan.seed)
        servers.addHandler(errors)
        servers.propagate = False
        logger.addHandler(lines)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logging.getLogger("unlimcall_sandbox").disabled = True
        try:
            yield
        finally:
            servers.removeHandler(errors)
            servers.propagate = True
            logger.removeHandler(lines)
            logger.setLevel(level)
            logger.propagate = propagates
            logging.getLogger("unlimcall_sandbox").disabled = False
            random.setstate(state)


def run(plan: Plan, programs: Programs, probes: Probes) -> Outcome:
    """Return what becomes of a plan."""
    if "share" in plan.programs:
        # Its process and its connection stay for the next run.
        valkey()
    # What was there before need not be searched for garbage.
    gc.freeze()
    gc.disable()
    hook, disabled, open_before = sys.unraisablehook, logging.root.manager.disable, _open_files()
    with warnings.catch_warnings():
        # What dead processes have left is collected after the judgment: then their code runs, on files that nobody looks at.
        warnings.simplefilter("ignore")
        try:
            outcome, locks = _run(plan, programs, probes)
        finally:
            # The first collection runs code that keeps some of the garbage a while longer.
            while gc.collect():
                pass
            gc.enable()
            gc.unfreeze()
            sys.unraisablehook = hook
            logging.disable(disabled)
    for descriptor in set(locks) & forks._descriptors.keys():
        # Its owner would have let go of it in a thread, for which no loop is left.
        forks.close_own(descriptor)
    if outcome.failure is None and (left := _open_files() - open_before) > 0:
        return evolve(outcome, failure=f"{left} files are left open")
    return outcome


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # a count of numbers


def _run(plan: Plan, programs: Programs, probes: Probes) -> tuple[Outcome, list[int]]:
    """Return what becomes of a plan, and the descriptors of locks that killed processes had."""
    loop = SimulatedLoop(plan.chance("loop"))
    world = World(plan, loop, Path(tempfile.mkdtemp(prefix="unlimcall-simulation-", dir=_MEMORY)))
    failure = None
    logging.disable(logging.NOTSET)
    sys.unraisablehook = lambda what: world.complaints.append(f"{what.exc_value!r} in {what.object!r}")
    loop.set_exception_handler(lambda _loop, context: world.complaints.append(_complaint(context)))
    try:
        with probes(world) as heard, _determined(world, heard):
            asyncio.set_event_loop(loop)
            loop.run_until_complete(_story(world, programs))
            check(not world.complaints, f"the event loop complained: {world.complaints[:3]}")
    except Exception as error:  # noqa: BLE001 # whatever it is, the seed has failed
        failure = _said(error).replace(f"{world.root}/", "")
    world.note(f"failure: {failure}" if failure else "well")
    sys.unraisablehook = lambda _what: None
    logging.disable(logging.CRITICAL)
    loop.set_exception_handler(lambda _loop, _context: None)
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    # The handlers of dead receivers stay in this set for ever.
    handling._at_work.clear()
    asyncio.set_event_loop(None)
    shutil.rmtree(world.root, ignore_errors=True)
    return Outcome(plan, failure, world.log, world.reached, loop.time()), world.disk.locks_of_the_dead()


_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 # a folder of its own is made there


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenError):
        return str(error)
    trace, last = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        last = f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} ({last})"


def _complaint(context: Mapping[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r}"


async def _story(world: World, programs: Programs) -> None:
    plan, network = world.plan, world.loop.network
    network.latency, network.jitter, network.splits = plan.latency, plan.jitter, plan.splits
    network.note, network.reach = world.note, world.reach
    world.api = Process("api", world.root, plan.server.skew)
    deliver = {f"https://receiver.example/{n}": f"http://127.0.0.1:{9000 + n}/" for n in range(2)}
    hooks = plan.chance("hooks")
    webhooks = WebhookSettings(
        first_delay=hooks.choice((1.0, 5.0)),
        timeout=hooks.choice((2.0, 10.0, 60.0, 60.0)),
        resign=hooks.random() < 0.5,
        twins=hooks.choice((0.0, 0.3)),
        repeats=hooks.choice((0.0, 0.3)),
        disorder=hooks.choice((0.0, 20.0)),
        seed=plan.seed,
    )
    world.sandbox = Sandbox(**plan.server.settings, deliver_to=deliver, webhooks=webhooks)
    world.sandbox._state.calls = world.rows
    world.fill()
    started = world.loop.create_task(world.sandbox.start(), context=world.api.context())
    await started
    for fault in plan.ordered:
        strikes.order(world, fault)
    async with asyncio.timeout(_PATIENCE):
        async with asyncio.TaskGroup() as group:
            for name in plan.programs:
                group.create_task(programs[name](world))
    world.note("all programs have ended")
    await _leave(world)


async def _leave(world: World) -> None:
    """Stop the API, and insist that nothing is left."""
    # The connections that were half open end by the server's own patience.
    if world.elapsed < TROUBLED:
        await asyncio.sleep(TROUBLED - world.elapsed + 60)
    await asyncio.gather(*world.outages)
    stopping = world.loop.create_task(world.sandbox.stop(), context=world.api.context())
    await stopping
    await asyncio.sleep(5)
    own = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not own and world.loop.is_alive(task)]
    check(not left, f"tasks are left: {[task.get_coro().__qualname__ for task in left][:5]}")  # type: ignore[union-attr]
    network = world.loop.network
    sides = [side for side in network.open if side.process is not None and side.process.alive]
    check(not sides, f"{len(sides)} connections are left open")
    check(not network.listeners, "a listener is left")
