"""How the faults of a plan are carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from tests.simulation.connection import Kind, Trouble
from tests.simulation.faults import Ordered
from tests.simulation.process import Process
from tests.simulation.world import BEGIN, World
from unlimcall_async.sandbox import (
    Close,
    Delay,
    Fault,
    Garbage,
    Html,
    Processed,
    ResetAfter,
    Stall,
    Status,
    Truncate,
)
from unlimcall_async.sandbox.settings import EndpointName, Order


def order(world: World, fault: Ordered) -> None:
    """Have a fault happen at its time."""

    def strike() -> None:
        world.note(f"fault: {fault}")
        (_STRIKES.get(fault.kind) or _inject)(world, fault)

    world.loop.call_at(BEGIN + fault.at, strike)


def _trouble(world: World, fault: Ordered) -> None:
    world.loop.network.troubles.append(Trouble(cast("Kind", fault.kind), fault.target, **fault.details))


def _kill(world: World, fault: Ordered) -> None:
    machine, details = world.machines.get(fault.target), fault.details
    if machine is None or not machine.processes:
        return
    power = bool(details["how"])
    # With two processes on one folder, one of them must be between two pieces of work when it dies.
    if details["seam"] == "at once" or len(machine.processes) > 1:
        machine.kill(world.chance.choice(machine.processes), "at once", power=power)
    else:
        machine.deadly = (details["seam"], power, details["skip"])


def _freeze(world: World, fault: Ordered) -> None:
    # One process stands still: another one on its machine goes on.
    for process in _processes(world, fault.target)[-1:]:
        if process.sides:
            world.reach("a process is suspended during a request")
        process.freeze(world.loop, fault.details["seconds"])


def _set_clock(world: World, fault: Ordered) -> None:
    for process in _processes(world, fault.target):
        process.skew += fault.details["seconds"]
    if fault.target in world.machines:
        world.machines[fault.target].skew += fault.details["seconds"]
    if fault.target == "limits" and world.limits is not None:
        world.limits.ledger.skipped += max(0.0, fault.details["seconds"])


def _processes(world: World, name: str) -> list[Process]:
    if name == "api":
        return [world.api]
    if name == "limits":
        return [] if world.limits is None else [world.limits.process]
    return [*world.machines[name].processes] if name in world.machines else []


def _begin_outage(world: World, fault: Ordered) -> None:
    async def outage() -> None:
        with suppress(RuntimeError):  # another outage has begun, or ended, meanwhile
            await world.sandbox.stop()
            world.reach("the API goes down")
            await asyncio.sleep(fault.details["seconds"])
            await world.sandbox.start()

    world.outages.append(world.loop.create_task(outage(), context=world.api.context()))


def _forget(world: World, _fault: Ordered) -> None:
    if world.limits is not None:
        world.limits.forget()


def _restart(world: World, fault: Ordered) -> None:
    server, details = world.limits, fault.details
    if server is not None and server.is_up:
        server.stop()
        restarting = server.start_again(details["left"], after=details["down"], loading=details["loading"])
        world.outages.append(world.loop.create_task(restarting))


def _sort(world: World, fault: Ordered) -> None:
    wanted: Order = fault.details["order"]
    if world.sandbox.settings.order != wanted:
        world.reach("the API sorts differently from now on")
    world.sandbox.settings.order = wanted


def _cap(world: World, fault: Ordered) -> None:
    world.sandbox.settings.cap, world.sandbox.settings.count = fault.details["rows"], "matches"


def _limit(world: World, fault: Ordered) -> None:
    world.reach("the API lets fewer requests through from now on")
    limits = world.sandbox.settings.rate_limits or {}
    world.sandbox.settings.rate_limits = {**limits, cast("EndpointName", fault.target): fault.details["requests"]}


_STRIKES: Final[Mapping[str, Callable[[World, Ordered], None]]] = {
    **dict.fromkeys(("refuse", "hang", "reset", "stall", "half_open", "slow_reader"), _trouble),
    "kill": _kill,
    "freeze": _freeze,
    "clock": _set_clock,
    "outage": _begin_outage,
    "forget": _forget,
    "restart": _restart,
    "order": _sort,
    "cap": _cap,
    "limit": _limit,
}


def _inject(world: World, fault: Ordered) -> None:
    world.sandbox.inject(
        _INJECTED[fault.kind](fault.details), cast("EndpointName", fault.target), fault.details.get("times", 1)
    )


def _status(details: Mapping[str, Any]) -> Fault:
    return Processed(details["status"]) if details["effect"] == "which take effect" else Status(details["status"])


def _refusal(details: Mapping[str, Any]) -> Fault:
    after = details["retry_after"]
    return Status(429, "rate_limited", headers={} if after is None else {"Retry-After": after})


_INJECTED: Final[Mapping[str, Callable[[Mapping[str, Any]], Fault]]] = {
    "status": _status,
    "refusal": _refusal,
    "truncate": lambda _: Truncate(),
    "garbage": lambda _: Garbage(),
    "html": lambda _: Html(),
    "nothing": lambda _: Status(200, body=b""),
    "late": lambda details: Delay(details["seconds"]),
    "silent": lambda _: Stall(),
    "dropped": lambda _: ResetAfter(),
    "closed": lambda _: Close(),
}
