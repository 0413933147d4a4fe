"""The parts of a plan are the rest of the range, in the order of the output, whatever is done to them."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.parts import Asked, Claimed, Done, Part, Question, Saturated, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.tasks import Claim, Prove
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import Range

pytestmark = pytest.mark.own_rules

PAGE = 10
WANTED = Range(0, 1000)
# What is done to the plan, to which of its parts, and where in the part.
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("replace", "keep_to", "extend", "make_room", "ask", "finish", "saturate", "remove_first"),
                *("claim", "doubt", "ask_again", "reset"),
            ]
        ),
        st.integers(0, 99),
        st.integers(1, 99),
    ),
    max_size=30,
)


def a_plan(*, newest: bool) -> Plan:
    return Plan(WANTED, Sizes.of(PAGE, 1, BUFFER), newest_first=newest)


def ask(part: Part) -> None:
    part.ask(Question(part, part.range, with_margins(part.range)))


def done(part: Part, records: int) -> Done:
    rows = [record(part.range.start, number) for number in range(records)]
    return Done(rows, records, Basis(with_margins(part.range), records, records))


def finish(part: Part, records: int) -> None:
    ask(part)
    part.finish(done(part, records))


def take(plan: Plan, step: str, number: int, share: int, *, newest: bool) -> None:  # noqa: C901 # a table
    parts = list(plan)
    if not parts:
        return
    part = parts[number % len(parts)]
    waits = isinstance(part.state, Waiting)
    at = part.range.start + len(part.range) * share // 100
    inside = part.range.start < at < part.range.end
    match step:
        case "replace" if waits and inside:
            plan.replace(part, part.cut(at)[:: 1 if share % 2 else -1])
        case "keep_to" if waits:
            asked = Range(part.range.start, at) if newest else Range(at, part.range.end)
            plan.keep_to(part, asked if inside else part.range)
        case "extend" if waits:
            plan.extend(part, None if share > 80 else share)
        case "make_room":
            plan.make_room(part)
        case "ask" if waits:
            ask(part)
        case "finish" if waits:
            finish(part, share)
        case "saturate" if waits:
            ask(part)
            part.saturate([])
        case "claim" if waits and inside:
            first, last = part.cut(at)
            rows = [record(first.range.start, number)]
            claim = Claim(page_of(rows, complete=False), rows, 1, with_margins(first.range))
            plan.replace(part, [Part(first.range, Claimed(claim)), last])
        case "remove_first" if isinstance(parts[0].state, Done):
            plan.remove_first()
        case _:
            take_back(plan, step, part, share)


def take_back(plan: Plan, step: str, part: Part, share: int) -> None:
    match step:
        case "doubt":
            part.doubt()
        case "ask_again" if not isinstance(part.state, Saturated):
            part.ask_again()
        case "reset" if share > 90:
            plan.reset()
        case _:
            pass


def check_tiles(plan: Plan, *, newest: bool) -> None:
    ranges = [part.range for part in plan]
    ordered = ranges[::-1] if newest else ranges
    assert all(len(each) for each in ordered)
    assert all(one.end == other.start for one, other in pairwise(ordered))
    assert plan.edge == (ranges[0].end if newest else ranges[0].start) if ranges else True
    if ranges:
        assert (ranges[-1].start == WANTED.start) if newest else (ranges[-1].end == WANTED.end)
    else:
        assert plan.edge == (WANTED.start if newest else WANTED.end)


@given(steps, st.booleans())
def test_the_parts_tile_what_is_left_of_the_range(taken: list[tuple[str, int, int]], newest: bool) -> None:
    plan = a_plan(newest=newest)
    for step, number, share in taken:
        handed_out = plan.edge
        take(plan, step, number, share, newest=newest)
        check_tiles(plan, newest=newest)
        if step != "remove_first":
            assert plan.edge == handed_out


@given(steps, st.booleans(), st.sampled_from([0, 1, inf]))
def test_what_the_plan_counts_is_what_its_parts_are(
    taken: list[tuple[str, int, int]], newest: bool, spare: float
) -> None:
    plan = a_plan(newest=newest)
    for step in taken:
        take(plan, *step, newest=newest)
        asked = [part for part in plan if isinstance(part.state, Asked)]
        assert (set(plan.asked), len(plan.asked)) == (set(asked), len(asked))
        assert plan.held == sum(part.held for part in plan)
        assert plan.room == Sizes.of(PAGE, 1, BUFFER).most - plan.held - PAGE * len(asked)
        to_prove = [part for part in plan if isinstance(part.task, Prove)]
        claims = [part for part in plan if isinstance(part.state, Claimed)]
        assert (plan.has_claims, plan.is_proving) == (bool(claims or to_prove), bool(to_prove))
        free = [part for part in plan if part in to_prove or (len(claims) > spare and part in claims)]
        under_way = any(part in asked for part in to_prove)
        assert plan.claim_to_prove(spare=spare) is (free[0] if free and not under_way else None)


@given(steps, st.booleans(), st.integers(0, 99))
def test_room_is_made_behind_a_part_and_never_before_it(
    taken: list[tuple[str, int, int]], newest: bool, number: int
) -> None:
    plan = a_plan(newest=newest)
    for step in taken:
        take(plan, *step, newest=newest)
    if not (parts := list(plan)):
        return
    place = number % len(parts)
    before = [(part, part.state) for part in parts[: place + 1]]
    assert plan.make_room(parts[place]) == plan.room
    after = list(plan)
    assert [(part, part.state) for part in after[: place + 1]] == before
    assert plan.room >= PAGE or not any(part.held for part in after[place + 1 :])


def test_a_part_is_extended_over_an_untouched_part_alone() -> None:
    plan = a_plan(newest=False)
    (whole,) = plan
    plan.replace(whole, whole.cut(400))
    first, second = plan
    assert plan.extend(first, 100)
    assert [part.range for part in plan] == [Range(0, 500), Range(500, 1000)]
    ask(second)
    assert not plan.extend(first)
    assert not plan.extend(second)


def test_what_is_held_or_under_way_takes_room() -> None:
    plan = a_plan(newest=False)
    (whole,) = plan
    plan.replace(whole, whole.cut(400))
    first, second = plan
    empty = plan.room
    ask(first)
    finish(second, 3)
    assert (plan.held, plan.room) == (3, empty - PAGE - 3)


def test_a_plan_for_no_time_is_empty() -> None:
    plan = Plan(Range(7, 7), Sizes.of(PAGE, 1, BUFFER), newest_first=False)
    assert (plan.first, plan.edge, list(plan)) == (None, 7, [])


@pytest.mark.parametrize("newest", [False, True])
def test_room_is_made_from_the_far_end_until_a_page_fits_and_never_of_the_part_that_is_kept(newest: bool) -> None:
    sizes = Sizes.of(PAGE, 1, 4)
    plan = Plan(WANTED, sizes, newest_first=newest)
    (whole,) = plan
    earlier, later = whole.cut(500)
    pieces = [*earlier.cut(250), *later.cut(750)]
    plan.replace(whole, pieces)
    first, second, third, fourth = plan
    for part in (first, second, third, fourth):
        finish(part, PAGE)
    assert plan.room == sizes.most - 4 * PAGE < PAGE
    assert plan.make_room(second) >= PAGE
    assert [part.held for part in (first, second, third, fourth)] == [PAGE, PAGE, PAGE, 0]
    # More than fits: nothing before the kept part is dropped, and neither is that part.
    ask(fourth)
    fourth.finish(done(fourth, 2 * PAGE))
    plan.make_room(fourth)
    assert [part.held for part in (first, second, third, fourth)] == [PAGE, PAGE, PAGE, 2 * PAGE]
