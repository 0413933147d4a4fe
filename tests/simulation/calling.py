"""A program that places calls, each of which must be dialled once at most; and what the API must have dialled."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from random import Random

from tests.simulation.process import Process
from tests.simulation.world import World, check
from unlimcall_async import AsyncClient, UnlimCallError

_CALLS = 24


async def dial(world: World) -> None:
    """Place calls, through kills and errors, and judge what was dialled."""
    chance = world.plan.chance("dial")
    machine = world.machine("dial")
    pause = chance.choice((0.0, 1.0, 10.0))
    at_once = chance.choice((1, 3, _CALLS, _CALLS))
    told = dict[str, str]()

    async def main(process: Process) -> None:
        path = process.folder / "dial.intentions"
        content = path.read_text() if path.exists() else ""
        # A line without an end was torn. Its call was not placed: a call waits until its line is on the disk.
        whole = content[: content.rfind("\n") + 1]
        left = [f"{n}" for n in range(_CALLS) if f"{n}" not in whole.splitlines()]
        with path.open("a") as file:
            file.truncate(len(whole))
            async with world.client(chance) as client:
                for first in range(0, len(left), at_once):
                    names = left[first : first + at_once]
                    file.writelines(f"{name}\n" for name in names)
                    file.flush()
                    os.fsync(file.fileno())
                    async with asyncio.TaskGroup() as group:
                        for name in names:
                            group.create_task(_place(client, name, told, process, Random(f"{world.plan.seed} {name}")))
                    await asyncio.sleep(pause)

    await machine.run(main)
    dialled = Counter(str((call.metadata or {}).get("name")) for call in world.sandbox.originated)
    for name in map(str, range(_CALLS)):
        outcome, count = told.get(name, "killed"), dialled[name]
        check(count <= 1, f"call {name} was dialled {count} times, and {outcome}")
        world.reach(f"a call: {outcome}, {'dialled' if count else 'not dialled'}")
        if outcome == "placed":
            check(count == 1, f"call {name} was placed, says the client, and was not dialled")
        if outcome == "not placed":
            check(not count, f"call {name} was not placed, says the client, and was dialled")


async def _place(client: AsyncClient, name: str, told: dict[str, str], process: Process, chance: Random) -> None:
    """Place a call, and take note of what the program is told. Some programs wait only so long, and some lose interest."""
    outcome = "placed"
    caller = client if chance.random() < 0.6 else client.with_options(max_wait=chance.choice((0, 5, 30)))
    patience = chance.choice((None, None, None, 0.1, 2.0))
    try:
        async with asyncio.timeout(patience):
            await caller.calls.create(ai_agent_id="27", to_number="+14155550123", metadata={"name": name})
    except TimeoutError:
        outcome = "cancelled"
    except UnlimCallError as error:
        outcome = "unknown" if getattr(error, "outcome_unknown", False) else "not placed"
    if process.alive:
        told[name] = outcome
