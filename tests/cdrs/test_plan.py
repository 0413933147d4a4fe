"""The parts of a plan are the rest of the range, in the order of the output, whatever is done to them."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner.density import Density, Hints
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.parts import Asked, Claimed, Done, Part, Question, Saturated, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.tasks import Claim, Doubt, Gauge, Probe, Prove
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import Range, Window

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


def in_pieces(plan: Plan, *cuts: int) -> list[Part]:
    """Cut a plan of one part at some times, and return its parts."""
    for at in cuts:
        cut = next(part for part in plan if part.range.start < at < part.range.end)
        plan.replace(cut, cut.cut(at))
    return list(plan)


def ask(part: Part) -> None:
    part.ask(Question(part, part.range, with_margins(part.range)))


def done(part: Part, records: int) -> Done:
    rows = [record(part.range.start, number) for number in range(records)]
    return Done(rows, records, Basis(with_margins(part.range), records, records))


def finish(part: Part, records: int) -> None:
    ask(part)
    part.finish(done(part, records))


def claim_of(wanted: Range) -> Claimed:
    rows = [record(wanted.start, 1)]
    return Claimed(Claim(page_of(rows, complete=False), rows, 1, with_margins(wanted)))


def claim(plan: Plan, part: Part) -> Part:
    """Put a part that is claimed in the place of a part, and return it."""
    claimed = Part(part.range, claim_of(part.range))
    plan.replace(part, [claimed])
    return claimed


def state(part: Part, wanted: str) -> None:
    """Bring a part that waits into a state, by its name."""
    match wanted:
        case "expected":
            part.hints = Hints(expected=9.0)
        case "doubted":
            part.hints = Hints(doubted=page_of([], complete=True))
        case "asked":
            ask(part)
        case "done":
            finish(part, 1)
        case "saturated":
            ask(part)
            part.saturate([])
        case "failed":
            ask(part)
            part.fail(OSError())
        case "probed":
            page, window = page_of([record(part.range.start, 1)], complete=True), with_margins(part.range)
            ask(part)
            part.turn_to(Probe((window,), page.rows, page, Basis(window, 1, 1), 1, Doubt.LARGEST))
        case "proven":
            ask(part)
            part.turn_to(Prove(claim_of(part.range).claim))
        case _:
            pass


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
            plan.replace(part, [Part(first.range, claim_of(first.range)), last])
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


@pytest.mark.parametrize(("most", "cut"), [(100, 500), (0, 400), (-7, 400), (600, 1000), (None, 1000)])
@pytest.mark.parametrize("newest", [False, True])
def test_a_part_is_extended_over_an_untouched_part_alone(newest: bool, most: int | None, cut: int) -> None:
    plan = a_plan(newest=newest)
    first, second = in_pieces(plan, 600 if newest else 400)
    assert plan.extend(first, most)
    # The parts in time as if the oldest came first.
    ends = [part.range.start if newest else part.range.end for part in plan]
    assert [1000 - end if newest else end for end in ends] == sorted({cut, 1000})
    check_tiles(plan, newest=newest)
    if second in plan:
        ask(second)
    assert not plan.extend(first)
    assert not plan.extend(list(plan)[-1])


def test_a_plan_gauges_until_the_answer_came_or_the_part_is_dropped() -> None:
    plan = a_plan(newest=False)
    _, part = in_pieces(plan, 400)
    gauge = Gauge(Window(500, 600), page_of([], complete=False), part.range, Window(0, 1000), 1)
    assert not plan.is_gauging
    ask(part)
    part.turn_to(gauge)
    assert plan.is_gauging
    ask(part)
    assert plan.is_gauging
    part.finish(done(part, 1))
    assert not plan.is_gauging
    part.ask_again()
    ask(part)
    part.turn_to(gauge)
    part.ask_again()
    assert not plan.is_gauging


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
    assert not plan.waits_for_claim(proven=True)


@pytest.mark.parametrize("newest", [False, True])
def test_a_part_that_was_handed_out_is_counted_no_longer(newest: bool) -> None:
    plan = a_plan(newest=newest)
    first, second = in_pieces(plan, 400)
    finish(first, 3)
    finish(second, 2)
    assert plan.settled == len(WANTED)
    plan.remove_first()
    assert (plan.first, plan.held, plan.settled) == (second, 2, len(second.range))
    first.ask_again()
    assert plan.held == 2
    plan.remove_first()
    assert (plan.first, plan.edge) == (None, WANTED.start if newest else WANTED.end)


@pytest.mark.parametrize("newest", [False, True])
def test_the_neighbours_of_a_part_are_those_in_time(newest: bool) -> None:
    plan = a_plan(newest=newest)
    for part in in_pieces(plan, 300, 600):
        assert plan.has_beside(part, later=True) == (part.range.end < WANTED.end)
        assert plan.has_beside(part, later=False) == (part.range.start > WANTED.start)


def test_the_rest_of_a_long_part_is_known_by_its_density_alone() -> None:
    plan, density = a_plan(newest=False), Density.near(3, 100)
    (whole,) = plan
    whole.hints = Hints(density=density, depth=3, dense=True)
    assert plan.keep_to(whole, WANTED) == []
    rests = plan.keep_to(whole, Range(300, 600))
    assert [part.range for part in plan] == [Range(0, 300), Range(300, 600), Range(600, 1000)]
    assert ([*plan][::2], [rest.hints for rest in rests]) == (rests, [Hints(density=density)] * 2)


# --- room -----------------------------------------------------------------------------------------------------------------


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
    assert plan.make_room(fourth) == plan.room
    assert [part.held for part in (first, second, third, fourth)] == [PAGE, PAGE, PAGE, 2 * PAGE]


def test_what_is_being_proven_and_what_holds_nothing_are_not_dropped_to_make_room() -> None:
    sizes = Sizes.of(PAGE, 1, 2)
    plan = Plan(WANTED, sizes, newest_first=False)
    first, second, third, fourth = in_pieces(plan, 250, 500, 750)
    finish(first, 1)
    finish(second, PAGE)
    state(third, "proven")
    ask(third)
    assert plan.room == 2 * PAGE - 1 - PAGE - 1 - PAGE
    assert plan.make_room(first) == plan.room
    assert [part.held for part in (first, second, third, fourth)] == [1, 0, 1, 0]
    assert third.question is not None
