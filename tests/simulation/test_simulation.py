"""The short form of the simulation: `python -m tests.simulation` is the long one."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.__main__ import explained, outcome_of
from tests.simulation.broken import BROKEN
from tests.simulation.faults import Ordered
from tests.simulation.plan import PROGRAMS, Plan, plan_of
from tests.simulation.shrink import shrunk

# The network of the simulation lies below aiohttp, and replaces some of what the newest aiohttp does inside.
pytestmark = pytest.mark.own_rules


def calm(plan: Plan) -> Plan:
    """Return the plan without anything that goes wrong."""
    return evolve(plan, ordered=())


@pytest.mark.slow
def test_what_goes_wrong_breaks_no_promise() -> None:
    outcomes = [outcome_of(plan_of(seed)) for seed in range(6)]
    assert [outcome.failure for outcome in outcomes] == [None] * 6


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_seed_gives_the_same_log_byte_for_byte(program: str) -> None:
    plan = next(plan for seed in range(100, 200) if program in (plan := plan_of(seed)).programs and plan.ordered)
    first, second = outcome_of(plan), outcome_of(plan)
    assert first.log == second.log
    assert first.digest == second.digest
    assert len(first.log) > len(plan.ordered)


@pytest.mark.slow
def test_another_seed_gives_another_log() -> None:
    assert outcome_of(plan_of(1)).digest != outcome_of(plan_of(2)).digest


@pytest.mark.slow
def test_the_locks_of_a_killed_process_are_closed() -> None:
    """In this seed a sync is killed whose locks nothing lets go of when its memory is collected."""
    assert outcome_of(plan_of(8364)).failure is None


def test_a_fault_in_the_code_is_found_and_said_in_words() -> None:
    broken = next(each for each in BROKEN if each.name == "a POST is sent again after a reset")
    noise = [Ordered(0.1, "refuse", "dial"), Ordered(0.4, "limit", "calls", {"requests": 30})]
    reset = Ordered(0.0, "reset", "dial", {"way": "answer", "after": 0})
    plan = evolve(calm(plan_of(3, "dial")), ordered=(reset, *noise))
    assert outcome_of(plan).failure is None
    with broken.applied():
        failure = outcome_of(plan).failure
        assert failure is not None
        assert "was dialled 2 times" in failure
        said = explained(plan, failure)
    assert "python -m tests.simulation --seed 3" in said
    assert "with 1 of 3 faults" in said
    assert "at 0.0 s: the connection of dial is reset after 0 bytes of the answer" in said


def test_shrinking_leaves_what_the_failure_needs() -> None:
    faults = tuple(Ordered(float(at), "refuse", "pull") for at in range(8))
    plan = evolve(plan_of(1), programs=PROGRAMS, ordered=faults)
    fewest = shrunk(plan, lambda each: {faults[2], faults[5]} <= {*each.ordered} and "sync" in each.programs)
    assert fewest.ordered == (faults[2], faults[5])
    assert fewest.programs == ("sync",)
