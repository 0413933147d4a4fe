"""Dense traffic whose times are written in whole seconds: no margins can be gauged, and many seconds are taken apart."""

from __future__ import annotations

import random
from typing import Any

import pytest
from attrs import evolve

from tests.cdrs.hostile import Case, Manners, Row, Run
from tests.cdrs.hostile_pull import run
from unlimcall_async.cdrs.times import MILLISECOND, SECOND

pytestmark = [pytest.mark.own_rules, pytest.mark.slow]

# How the server writes the time of a call, which the server knows to the millisecond or in whole seconds.
WRITTEN: dict[str, dict[str, Any]] = {
    "as it is": {},
    "cut": {"written": SECOND},
    "to the nearest": {"written": SECOND, "nearest": True},
    "rounded up": {"written": SECOND, "up": True},
}


def case(per_second: int, seconds: int, manners: Manners, *, newest_first: bool) -> Case:
    chance = random.Random(1)
    unit = SECOND if manners.written == 1 else MILLISECOND
    rows = sorted(chance.randrange(seconds * SECOND // unit) * unit for _ in range(per_second * seconds))
    calls = tuple(Row(at, number) for number, at in enumerate(rows))
    return Case(calls, manners, -2 * SECOND, (seconds + 2) * SECOND, newest_first, seek=True, runs=(Run(100_000, 4),))


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("step", [1000, SECOND])
@pytest.mark.parametrize("order", ["newest_first", "arbitrary"])
@pytest.mark.parametrize(("from_included", "till_included"), [(True, True), (False, False)])
def test_each_record_comes_once_however_times_are_written_and_compared(
    written: str, step: int, order: Any, from_included: bool, till_included: bool
) -> None:
    manners = Manners(
        order, order, from_included=from_included, till_included=till_included, step=step, **WRITTEN[written]
    )
    for per_second, newest_first in ((200, False), (300, True)):
        run(case(per_second, 15, manners, newest_first=newest_first))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
@pytest.mark.parametrize(("per_second", "most"), [(200, 17), (300, 11)])
def test_a_server_that_sorts_takes_few_requests(order: Any, newest_first: bool, per_second: int, most: float) -> None:
    """Before, 200 calls a second took up to thirty times the fewest."""
    for step in (1000, SECOND):
        manners = Manners(order, order, till_included=True, step=step)
        story = run(case(per_second, 40, manners, newest_first=newest_first))
        assert story.answers <= most * per_second * 40 / 1000


@pytest.mark.parametrize("cap", [50, 100])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_pull_that_is_cut_off_again_and_again_gets_ahead(cap: int, newest_first: bool) -> None:
    whole = case(cap // 5, 60, Manners("newest_first", cap=cap, till_included=True), newest_first=newest_first)
    run(evolve(whole, runs=tuple(Run(100_000, 4, answers=30, advances=True) for _ in range(60))))
