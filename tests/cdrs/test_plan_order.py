"""Which part of a plan is asked next: claims that are to be proven, parts that wait for room, and holes beside a chain."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest
from attrs import frozen

from tests.cdrs.test_plan import PAGE, a_plan, ask, check_tiles, claim, done, finish, in_pieces, state
from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.divide import Divider
from unlimcall_async.cdrs.planner.parts import Part
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes

pytestmark = pytest.mark.own_rules

KEPT, FREE = a_plan(newest=False)._sizes.kept, 100 * PAGE


# --- claims ---------------------------------------------------------------------------------------------------------------


def test_the_output_waits_for_the_first_part_that_is_not_claimed() -> None:
    plan = a_plan(newest=False)
    parts = in_pieces(plan, 300, 600)
    assert [plan.output_waits_for(part) for part in parts] == [True, False, False]
    parts[0] = claim(plan, parts[0])
    assert [plan.output_waits_for(part) for part in parts] == [False, True, False]
    parts[1:] = [claim(plan, part) for part in parts[1:]]
    assert [plan.output_waits_for(part) for part in parts] == [False, False, False]


def test_only_a_proof_helps_without_a_proven_order_or_if_the_first_part_is_claimed() -> None:
    plan = a_plan(newest=False)
    first, second = in_pieces(plan, 400)
    claim(plan, second)
    assert [plan.waits_for_claim(proven=proven) for proven in (False, True)] == [True, False]
    claim(plan, first)
    assert [plan.waits_for_claim(proven=proven) for proven in (False, True)] == [True, True]


def test_a_claim_that_is_doubted_is_proven_first_and_one_at_a_time() -> None:
    plan = a_plan(newest=False)
    first, second, third = [claim(plan, part) for part in in_pieces(plan, 300, 600)]
    assert plan.claim_to_prove(spare=3) is None
    assert plan.claim_to_prove(spare=2) is first
    assert (plan.has_claims, plan.is_proving) == (True, False)
    second.doubt()
    third.doubt()
    assert plan.claim_to_prove(spare=3) is second
    assert plan.is_proving
    ask(second)
    assert plan.claim_to_prove(spare=0) is None
    second.finish(done(second, 1))
    assert plan.claim_to_prove(spare=3) is third
    finish(third, 1)
    assert plan.claim_to_prove(spare=3) is None
    assert (plan.has_claims, plan.is_proving) == (True, False)


def test_a_claim_that_is_being_proven_is_a_claim() -> None:
    plan = a_plan(newest=False)
    (part,) = [claim(plan, part) for part in list(plan)]
    ask(part)
    assert (plan.has_claims, plan.is_proving) == (True, True)
    part.finish(done(part, 1))
    assert (plan.has_claims, plan.is_proving) == (False, False)


# --- which part to ask ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "learned"),
    [
        ("waiting waiting waiting", None),
        ("waiting expected expected", 1),
        ("asked done expected", 2),
        ("saturated expected waiting", None),
        ("failed expected waiting", None),
        ("expected saturated waiting", 0),
        ("expected-asked expected waiting", None),
    ],
)
def test_the_first_part_that_was_cut_to_fill_a_page_is_learned_from(states: str, learned: int | None) -> None:
    plan = a_plan(newest=False)
    parts = in_pieces(plan, 300, 600)
    for part, wanted in zip(parts, states.split(), strict=True):
        for each in wanted.split("-"):
            state(part, each)
    assert plan.part_to_learn_from() is (None if learned is None else parts[learned])


@pytest.mark.parametrize(
    ("states", "asked", "room"),
    [
        ("waiting waiting waiting", None, FREE),
        ("waiting doubted doubted", 1, FREE),
        ("waiting doubted doubted", 1, PAGE + KEPT),
        ("waiting doubted doubted", None, PAGE + KEPT - 1),
        ("asked done doubted", 2, FREE),
        ("saturated doubted waiting", None, FREE),
        ("failed doubted waiting", None, FREE),
        ("doubted saturated waiting", 0, FREE),
        ("doubted-asked doubted waiting", None, FREE),
    ],
)
def test_the_first_part_whose_page_was_not_believed_is_asked_if_there_is_room(
    states: str, asked: int | None, room: int
) -> None:
    plan = a_plan(newest=False)
    parts = in_pieces(plan, 300, 600)
    for part, wanted in zip(parts, states.split(), strict=True):
        for each in wanted.split("-"):
            state(part, each)
    assert plan.part_in_doubt(room) is (None if asked is None else parts[asked])


@frozen
class CutLater:
    """As much of a divider as the plan uses: these parts are better cut later."""

    plan: Plan
    parts: Collection[Part] = ()

    def is_better_cut_later(self, part: Part, asked: Collection[Part]) -> bool:
        assert asked is self.plan.asked
        return part in self.parts


def first_to_ask(plan: Plan, room: int, *later: Part) -> Part | None:
    return plan.first_to_ask(cast("Divider", CutLater(plan, later)), room)


ENOUGH = PAGE + Sizes.of(PAGE, 1, BUFFER).kept


@pytest.mark.parametrize(
    ("states", "least_room"),
    [
        # The room that the last part needs to be asked: none if the output waits for it, and `None` if it is not asked at all.
        ("claimed claimed waiting", 0),
        ("claimed asked waiting", ENOUGH),
        ("done claimed waiting", ENOUGH),
        ("probed done waiting", ENOUGH),
        ("later claimed waiting", ENOUGH),
        ("claimed failed waiting", None),
        ("saturated claimed waiting", None),
        ("claimed claimed proven", 0),
        ("claimed claimed asked", None),
        ("claimed claimed later", None),
        ("claimed claimed probed", None),
    ],
)
def test_the_first_part_that_waits_is_asked_if_there_is_room(states: str, least_room: int | None) -> None:
    plan = a_plan(newest=False)
    wanted = states.split()
    for part, each in zip(in_pieces(plan, 300, 600), wanted, strict=True):
        if each == "claimed":
            claim(plan, part)
        state(part, each)
    later = [part for part, each in zip(plan, wanted, strict=True) if each == "later"]
    last = list(plan)[-1]
    if least_room is None:
        assert first_to_ask(plan, 10 * ENOUGH, *later) is None
    else:
        assert first_to_ask(plan, least_room, *later) is last
        assert not least_room or first_to_ask(plan, least_room - 1, *later) is None


# --- holes ----------------------------------------------------------------------------------------------------------------


def with_hole(*, newest: bool, descending: bool) -> tuple[Plan, Part, Part, Part]:
    """Return a plan whose middle part is a hole by a page in this order, with the part on the page's side, and the other one."""
    plan = a_plan(newest=newest)
    earlier, hole, later = sorted(in_pieces(plan, 300, 600), key=lambda part: part.range.start)
    hole.hints = Hints(hole=descending)
    # A page in descending order shows what lies behind the hole in time.
    return (plan, earlier, hole, later) if descending else (plan, later, hole, earlier)


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("descending", [False, True])
def test_a_hole_is_taken_in_by_the_chain_that_comes_towards_it(descending: bool, newest: bool) -> None:
    plan, beyond, hole, beside = with_hole(newest=newest, descending=descending)
    plan.take_in_hole(beyond)
    plan.take_in_hole(hole)
    assert len(list(plan)) == 3
    plan.take_in_hole(beside)
    assert set(plan) == {beyond, beside}
    assert len(beyond.range) == (300 if descending else 400)
    check_tiles(plan, newest=newest)


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("beside_is", ["asked", "searched", "hole asked", "probed"])
def test_a_hole_is_not_taken_in_while_a_question_for_it_is_under_way_or_by_a_part_that_is_not_read(
    beside_is: str, newest: bool
) -> None:
    plan, beyond, hole, beside = with_hole(newest=newest, descending=newest)
    if beside_is == "searched":
        beside.hints = Hints(searched=True)
    state(hole if beside_is == "hole asked" else beside, beside_is.rsplit(maxsplit=1)[-1])
    for part in (beside, beyond):
        plan.take_in_hole(part)
    assert len(list(plan)) == (2 if beside_is == "asked" else 3)


@pytest.mark.parametrize("newest", [False, True])
def test_a_hole_is_not_asked_by_itself_if_a_chain_comes_towards_it(newest: bool) -> None:
    # In the order of the output the hole comes first, and the chain comes from behind it.
    plan, first, hole, beside = with_hole(newest=newest, descending=not newest)
    finish(first, 1)
    plan.remove_first()
    assert first_to_ask(plan, 0) is beside
    ask(beside)
    assert first_to_ask(plan, 10 * ENOUGH) is None
    beside.finish(done(beside, 1))
    assert first_to_ask(plan, 0) is hole


@pytest.mark.parametrize("newest", [False, True])
def test_a_hole_that_is_the_first_part_is_taken_in(newest: bool) -> None:
    plan, first, _, beside = with_hole(newest=newest, descending=not newest)
    finish(first, 1)
    plan.remove_first()
    plan.take_in_hole(beside)
    assert list(plan) == [beside]
    check_tiles(plan, newest=newest)


@pytest.mark.parametrize("newest", [False, True])
def test_what_lies_behind_a_hole_needs_room_if_the_output_waits_for_another_part(newest: bool) -> None:
    plan, first, _, beside = with_hole(newest=newest, descending=not newest)
    ask(first)
    assert first_to_ask(plan, ENOUGH - 1) is None
    assert first_to_ask(plan, ENOUGH) is beside


@pytest.mark.parametrize("newest", [False, True])
def test_a_hole_at_the_end_of_the_range_is_asked_by_itself(newest: bool) -> None:
    plan = a_plan(newest=newest)
    first, last = in_pieces(plan, 500)
    for hole in (first, last):
        hole.hints = Hints(hole=newest if hole is first else not newest)
        assert first_to_ask(plan, 10 * ENOUGH) is hole
        finish(hole, 1)
