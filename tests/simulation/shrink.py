"""The fewest faults with which a run still fails."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from tests.simulation.plan import Plan


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return the plan without each program and each fault that the failure does not need.

    Args:
        plan: A plan that fails.
        fails: Returns whether a plan fails.
    """
    for program in plan.programs:
        fewer = evolve(plan, programs=tuple(each for each in plan.programs if each != program))
        if fewer.programs and fails(fewer):
            plan = fewer
    found = True
    while found:
        found = False
        for fault in plan.ordered:
            fewer = evolve(plan, ordered=tuple(each for each in plan.ordered if each is not fault))
            if fails(fewer):
                plan, found = fewer, True
    return plan
