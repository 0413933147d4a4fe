"""All that happens in one run, from its seed: what the server is like, which programs run, and what goes wrong."""

from __future__ import annotations

from random import Random
from typing import Any, Final, Literal

from attrs import evolve, frozen

from tests.simulation import faults
from tests.simulation.faults import Ordered

Program = Literal["pull", "follow", "sync", "dial", "receive", "share"]
PROGRAMS: Final[tuple[Program, ...]] = ("pull", "follow", "sync", "dial", "receive", "share")
# Seconds of a run in which something may go wrong, and rows may change. After them all must come right.
TROUBLED: Final = 120.0
# Who else dials, or is dialled, in the runs of a program, and may have a clock that is wrong.
_PARTNERS: Final = {"receive": "api", "share": "limits"}
# The endpoints that a program asks.
_ENDPOINTS: Final = {"pull": "cdrs", "follow": "cdrs", "sync": "cdrs", "dial": "calls", "share": "cdrs"}


@frozen
class Server:
    """What the API is like.

    Attributes:
        settings: Those of the sandbox.
        by_end: Whether it gives rows as their calls end, if its order is "insertion".
        turn: From which answer on it sorts differently, and how; `None` for a server that does not change its mind.
        slips: The share of full pages that lack rows, one of them a row that the page before had.
        slips_from: From which answer on pages lack rows.
        skew: How many seconds its clock is ahead.
    """

    settings: dict[str, Any]
    by_end: bool
    turn: tuple[int, str] | None
    slips: float
    slips_from: int
    skew: float


@frozen
class Plan:
    """A run.

    Attributes:
        seed: The seed of the plan, and of all chance in the run.
        programs: What runs.
        server: What the API is like.
        per_minute: The rate limit that clients keep to.
        hours: How far back the API's records go.
        chains: Whether a pull has many chains of small pages side by side.
        latency: Seconds that bytes are under way, at least.
        jitter: Seconds more, at most, but for a few.
        splits: The share of writes that arrive in several pieces.
        late: The share of rows that appear late.
        revised: The share of rows that are revised.
        lost: The share of rows that go.
        ordered: What goes wrong.
    """

    seed: int
    programs: tuple[Program, ...]
    server: Server
    per_minute: int
    hours: int
    chains: bool
    latency: float
    jitter: float
    splits: float
    late: float
    revised: float
    lost: float
    ordered: tuple[Ordered, ...]

    @property
    def steady(self) -> bool:
        """Whether each row shows when its call has ended, and stays as it is, and the API's clock is right."""
        steps = any(fault.kind == "clock" and fault.target == "api" for fault in self.ordered)
        return not (self.late or self.revised or self.lost or self.server.skew > 0 or steps)

    def chance(self, name: str) -> Random:
        """Return the source of the random choices of one part of the run."""
        return Random(f"{self.seed} {name}")


def plan_of(seed: int, only: Program | None = None) -> Plan:
    """Return the plan of a seed, or of a seed for one program."""
    chance = Random(f"{seed} plan")
    chosen = chance.sample(PROGRAMS, k=chance.choices((1, 2, 3), weights=(6, 3, 1))[0]) if only is None else [only]
    programs = tuple(program for program in PROGRAMS if program in chosen)
    per_minute = chance.choice((6, 20, 20, 60, 200))
    changing = chance.random() < 0.5
    lossy = chance.random() < 0.5 and "pull" not in programs
    plan = Plan(
        seed=seed,
        programs=programs,
        server=_server(chance, per_minute),
        per_minute=per_minute,
        # More than one window holds is pulled side by side. A follow and a sync would ask for all of it again and again.
        hours=2 if {"follow", "sync"} & {*programs} else chance.choice((2, 2000)),
        chains=False,
        latency=chance.choice((0.001, 0.02, 0.15)),
        jitter=chance.choice((0.0, 0.02, 0.2)),
        splits=chance.choice((0.0, 0.05, 0.4)),
        late=chance.choice((0.05, 0.2)) if changing else 0.0,
        revised=chance.choice((0.0, 0.05)) if changing else 0.0,
        lost=0.03 if lossy and changing else 0.0,
        ordered=tuple(sorted([*_faults(chance, programs), *_standstill(seed, programs)], key=lambda fault: fault.at)),
    )
    apart = plan.chance("chains")
    pulls = "pull" in programs and not {"follow", "sync"} & {*programs}
    return _with_chains(plan, apart) if pulls and apart.random() < 0.3 else plan


def _with_chains(plan: Plan, chance: Random) -> Plan:
    """Return the plan with a pull of many chains side by side, and an API that breaks its order in the middle."""
    order, other = chance.sample(("newest_first", "oldest_first"), k=2)
    settings = {**plan.server.settings, "order": order, "latency": chance.choice((0.5, 2.0)), "rate_limits": None}
    # Nothing is asked side by side before some parts were handed out.
    breaks, turns = chance.randrange(8, 40), chance.random() < 0.25
    server = evolve(
        plan.server,
        settings=settings,
        turn=(breaks, other) if turns else None,
        slips=0.0 if turns else 0.6,
        slips_from=breaks,
    )
    return evolve(plan, server=server, per_minute=600, hours=2000, chains=True)


def _server(chance: Random, per_minute: int) -> Server:
    order = chance.choice(("newest_first", "newest_first", "oldest_first", "oldest_first", "insertion", "arbitrary"))
    settings = {
        "order": order,
        "from_inclusive": chance.random() < 0.7,
        "till_inclusive": chance.random() < 0.5,
        "resolution": chance.choice(("ms", "ms", "s")),
        "count": chance.choice(("rows", "matches")),
        "rate_limits": chance.choice((None, {"cdrs": per_minute}, {"cdrs": max(3, per_minute // 2), "calls": 3})),
        "retry_after": chance.choice(("seconds", "date", None)),
        "latency": chance.choice((0.0, 0.05, 0.5)),
        "error_shape": chance.choice(("flat", "nested")),
    }
    if settings["count"] == "matches" and chance.random() < 0.3:
        settings["cap"] = chance.choice((20, 33, 60))
    turn = (chance.randrange(2, 12), chance.choice(("newest_first", "oldest_first", "arbitrary")))
    return Server(
        settings,
        by_end=chance.random() < 0.5,
        turn=turn if chance.random() < 0.2 else None,
        slips=0.6 if chance.random() < 0.3 else 0.0,
        slips_from=0,
        skew=chance.choice((0.0, 0.0, 0.0, -40.0, 3.0, 700.0)),
    )


def _faults(chance: Random, programs: tuple[Program, ...]) -> list[Ordered]:
    found = list[Ordered]()
    if chance.random() < 0.25:
        # A machine that fails again and again.
        victim = chance.choice(programs)
        found += [faults.kill(chance, chance.uniform(0, TROUBLED / 2), victim) for _ in range(6)]
    if programs == ("share",) and chance.random() < 0.25:
        # A link that loses packets for a minute, and nothing else: what is lost arrives a second later.
        lost = {"way": "answer", "after": 0, "seconds": 1.5}
        return [Ordered(chance.uniform(at, at + 2), "stall", "limits", lost) for at in range(0, 58, 2)]
    if "receive" in programs and chance.random() < 0.15:
        # A receiver that stands still while it handles an event may lose its claim.
        found += [
            Ordered(at + chance.uniform(0, 20), "freeze", "receive", {"seconds": 30.0}) for at in (0.0, 45.0, 90.0)
        ]
    for _ in range(chance.choice((0, 2, 5, 8, 12))):
        # Most programs are busy at first, and wait later.
        at = chance.choice((0.0, chance.uniform(0, 1), chance.uniform(0, 5), chance.uniform(0, TROUBLED)))
        program = chance.choice(programs)
        endpoint = _ENDPOINTS.get(program)
        match chance.choices(("network", "server", "kill", "time", "habit", "loss"), weights=(5, 5, 5, 2, 1, 3))[0]:
            case "network":
                link = chance.choice((_PARTNERS.get(program, program), program))
                found.append(faults.network_fault(chance, at, link))
            case "server" if endpoint is not None:
                found.append(faults.server_fault(chance, at, endpoint))
            case "habit" if endpoint is not None:
                found.append(_habit(chance, at, endpoint))
            case "time":
                partner = _PARTNERS.get(program, "api")
                found.append(faults.odd_time(chance, at, chance.choice((program, program, partner))))
            case "loss" if program == "share":
                # The limit is not used up at first.
                found += faults.loss(chance, chance.choice((at, chance.uniform(0, TROUBLED))))
            case _:
                found.append(faults.kill(chance, at, program))
    return found


def _standstill(seed: int, programs: tuple[Program, ...]) -> list[Ordered]:
    """Return a time in which a follow stands still for longer than most lookbacks."""
    chance = Random(f"{seed} standstill")
    if "follow" not in programs or chance.random() > 0.15:
        return []
    return [Ordered(chance.uniform(20, 100), "freeze", "follow", {"seconds": 400.0})]


def _habit(chance: Random, at: float, endpoint: str) -> Ordered:
    """Return a change of what the API is like."""
    match chance.choice(("order", "order", "limit", "cap")):
        case "order":
            orders = ("newest_first", "oldest_first", "insertion", "arbitrary")
            return Ordered(at, "order", "api", {"order": chance.choice(orders)})
        case "limit":
            return Ordered(at, "limit", endpoint, {"requests": chance.choice((2, 5, 30))})
        case _:
            return Ordered(at, "cap", "api", {"rows": chance.choice((20, 33, 60))})
