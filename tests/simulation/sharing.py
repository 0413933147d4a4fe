"""Processes that share a rate limit by a server, with clocks of their own, and are killed; and what the API must have had of them.

`watch` insists on the limit and on pauses at each request. Here, each process must come through in the end.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Final

from tests.simulation.ledger import Ledger
from tests.simulation.limits import URL, LimitServer
from tests.simulation.plan import TROUBLED
from tests.simulation.process import Process
from tests.simulation.world import BEGIN, World, check
from unlimcall_async import AsyncClient, RateLimit, RateLimits, UnlimCallError
from unlimcall_async.shared import SharedRateLimits

# The most requests a minute: a larger limit would show no more, and take longer.
_MOST_A_MINUTE: Final = 20
# Seconds in which each process must come through once nothing goes wrong any more. After refusals all go slowly.
_PATIENCE: Final = 1800.0


async def share(world: World) -> None:
    """Have several processes send requests, through kills and losses of memory, until each has come through in the end."""
    chance = world.plan.chance("share")
    world.machine("share")
    server = world.limits = LimitServer(world.loop, Process("limits", world.root), Ledger(world.reach))
    server.start()
    async with asyncio.TaskGroup() as group:
        for number in range(chance.choice((2, 3, 3))):
            group.create_task(_keep_running(world, Random(f"{world.plan.seed} share {number}")))
    await asyncio.gather(*world.outages)
    server.stop()
    server.ledger.close()


async def _keep_running(world: World, chance: Random) -> None:
    """Keep one process running until it has come through in the end."""
    machine = world.machine("share")
    while True:

        async def main(process: Process) -> None:
            process.skew += chance.choice((0.0, -3600.0, 5.0, 86_400.0))
            limit = asyncio.timeout_at(BEGIN + TROUBLED + _PATIENCE)
            with suppress(TimeoutError):
                async with limit:
                    await _use(world, chance)
            check(not limit.expired(), "a process that shares a limit does not come through")

        process, task = machine.start(main)
        await machine.end_of(process, task)
        if process.alive:
            machine.processes.remove(process)
            task.result()
            return
        await asyncio.sleep(world.chance.choice((0.1, 3.0, 20.0)))


async def _use(world: World, chance: Random) -> None:
    """Send requests as long as something may go wrong, and one more."""
    end = world.moment()
    limit = RateLimit(min(world.plan.per_minute, _MOST_A_MINUTE))
    limits = RateLimits(cdrs=limit, calls=limit, balance=limit, me=limit)
    shared = SharedRateLimits(URL, limits, on_outage="raise" if chance.random() < 0.3 else "wait")
    at_once, pause = chance.choice((1, 4, 4)), chance.choice((0.0, 0.0, 6.0))
    async with world.client(chance, shared) as client:
        while world.elapsed < TROUBLED:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(_ask(world, client, chance))
            await asyncio.sleep(pause)
        while True:
            with suppress(UnlimCallError):
                await client.cdrs.list(end - timedelta(hours=1), end, limit=5)
                return
            await asyncio.sleep(1)


async def _ask(world: World, client: AsyncClient, chance: Random) -> None:
    """Send a request. Some callers wait only so long, and some lose interest."""
    end = world.moment()
    caller = client if chance.random() < 0.8 else client.with_options(max_wait=chance.choice((0, 5, 30)))
    try:
        async with asyncio.timeout(chance.choice((None, None, None, 0.1, 5.0))):
            if chance.random() < 0.7:
                await caller.cdrs.list(end - timedelta(hours=1), end, limit=5)
            else:
                await caller.balance()
    except (TimeoutError, UnlimCallError):
        # A program that is turned away at once must not ask again at once.
        await asyncio.sleep(1)
