"""Receivers of webhooks that share a SQLite file; and which events must have taken effect, once each."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from random import Random
from typing import Final

from aiohttp import web

from tests.simulation.plan import TROUBLED
from tests.simulation.process import EPOCH, Process
from tests.simulation.world import World, check
from unlimcall_async.sandbox.state import Subscription
from unlimcall_async.webhooks import CallEnded, SQLiteStore, WebhookReceiver

_SECRET: Final = "whsec_simulated"
_EVENTS: Final = 25


async def receive(world: World) -> None:
    """Receive until all is delivered or given up, through kills, and judge the effects."""
    chance = world.plan.chance("receive")
    machine = world.machine("receive")
    # One that stands still is to have another one beside it, and work to do.
    lame = any(fault.kind == "freeze" and fault.target == "receive" for fault in world.plan.ordered)
    count = 2 if lame else chance.choice((1, 2, 2))
    with closing(sqlite3.connect(machine.folder / "seen.db")) as connection:
        if chance.random() < 0.5:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE effects (event TEXT)")
    for number in range(count):
        hook = Subscription(f"0000000{number}-0000-4000-8000-000000000000", "call.ended", _target(number), _SECRET)
        world.sandbox._state.hooks[hook.id] = hook
    running = [asyncio.create_task(_run(world, number, lame or chance.random() < 0.5)) for number in range(count)]
    try:
        await _send(world, chance)
        await world.sandbox.delivered()
    finally:
        world.reach("deliveries have ended")
        await asyncio.gather(*running)
    _judge(world)


def _target(number: int) -> str:
    return f"https://receiver.example/{number}"


async def _run(world: World, number: int, slow: bool) -> None:  # a choice of the plan
    """Keep one receiver running."""
    machine = world.machine("receive")
    while not world.reached["deliveries have ended"]:
        chance = Random(f"{world.plan.seed} receiver {number} {machine.kills}")

        async def main(process: Process, chance: Random = chance) -> None:
            await _serve(world, process, 9000 + number, chance, slow=slow)

        process, task = machine.start(main)
        await machine.end_of(process, task)
        if process.alive:
            machine.processes.remove(process)
            task.result()
            return
        await asyncio.sleep(world.chance.choice((0.5, 3.0, 20.0)))


async def _serve(world: World, process: Process, port: int, chance: Random, *, slow: bool) -> None:
    def clock() -> float:
        return EPOCH + world.loop.time() + process.skew

    store = SQLiteStore(process.folder / "seen.db")
    receiver = WebhookReceiver(_SECRET, store=store, clock=clock, handler_timeout=chance.choice((5.0, 60.0, 60.0)))

    @receiver.on(CallEnded)
    async def record(event: CallEnded) -> None:
        with _alone(world, process, str(event.id)):
            await work(event)

    async def work(event: CallEnded) -> None:
        if chance.random() < 0.05:
            raise KeyError
        store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.id,)))
        if slow and chance.random() < 0.4:
            await asyncio.sleep(chance.choice((0.1, 4.0, 18.0, 40.0)))
            world.reach("a handler takes long")

    runner = web.AppRunner(receiver.aiohttp_app(), access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        while not world.reached["deliveries have ended"]:  # noqa: ASYNC110 # a dead process could not be woken
            await asyncio.sleep(5)
    finally:
        await runner.cleanup()
        await store.aclose()


@contextmanager
def _alone(world: World, process: Process, event: str) -> Iterator[None]:
    """Insist that no other process handles the event, as long as no clock and no process stands in the way."""
    odd = any(fault.kind in {"clock", "freeze"} for fault in world.plan.ordered)
    other = world.handled.get(event)
    if other is not None and other.alive and not odd:
        world.complaints.append(f"{event} is handled by two processes at once")
    world.handled[event] = process
    try:
        yield
    finally:
        if world.handled.get(event) is process:
            del world.handled[event]


async def _send(world: World, chance: Random) -> None:
    """Have events happen: at any time, but most at first."""
    times = sorted(chance.choice((chance.uniform(0, 5), chance.uniform(0, TROUBLED))) for _ in range(_EVENTS))
    for number, at in enumerate(times):
        await asyncio.sleep(max(0.0, at - world.elapsed))
        while not world.sandbox._server.running:  # noqa: ASYNC110 # the API is down: it has no events then
            await asyncio.sleep(1)
        context = world.api.context()
        context.run(world.sandbox.deliver, "call.ended", None, event_id=f"event {number}")


def _judge(world: World) -> None:
    with closing(sqlite3.connect(world.machine("receive").folder / "seen.db")) as connection:
        effects = Counter(event for (event,) in connection.execute("SELECT event FROM effects"))
    check(max(effects.values(), default=0) <= 1, f"an event took effect twice: {effects.most_common(2)}")
    for attempt in world.sandbox.deliveries:
        status = attempt.status or 0
        check(not 400 <= status < 500, f"a genuine delivery was refused for ever: {status}")
        if 200 <= status < 300:
            check(effects[attempt.event_id] == 1, f"{attempt.event_id} was delivered (2xx), and took no effect")
        elif not status and effects[attempt.event_id]:
            world.reach("an event took effect, and its answer was lost")
    if not all(hook.enabled for hook in world.sandbox.hooks.values()):
        world.reach("a hook is disabled after ten failures")
