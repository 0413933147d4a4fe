"""What becomes of claims: pages agree with them or not, they prove an order, and an order that is withdrawn takes them along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from attrs import define, evolve, field

from tests.cdrs.simulated import record
from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.margins import COARSE, WHOLE_SECONDS, Grain
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.parts import (
    Asked,
    Claimed,
    Done,
    Failed,
    Part,
    Question,
    Read,
    Seam,
    State,
    Task,
    Waiting,
)
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.seek import ServerOrder, claim_of
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.tasks import Claim, Prove, Recheck
from unlimcall_async.cdrs.planner.traffic import Traffic
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import SECOND, Range, Window

pytestmark = pytest.mark.own_rules

WANTED: Final = Range(0, 1000 * SECOND)
WINDOW: Final = with_margins(WANTED)
# The page of a chain in descending order, a row each ten seconds; and the next one, which repeats eight of its rows.
FIRST: Final = [*range(990, 490, -10)]
BEHIND: Final = [*range(580, 400, -10)]
# The same with fewer rows at one place, where a hole is left.
BROKEN: Final = [each for each in range(990, 190, -10) if not 500 < each < 890]


def page_at(seconds: Sequence[int], *, complete: bool = True) -> Page:
    rows = [record(each * SECOND, each) for each in seconds]
    return Page(rows, [row.start_time for row in rows], len(rows), complete)


@define
class World:
    """A plan with what is known of its server."""

    known: KnownServer = field(factory=KnownServer)
    traffic: Traffic = field(factory=Traffic)
    plan: Plan = field(init=False)
    order: ServerOrder = field(init=False)
    claims: Claims = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.plan = Plan(WANTED, Sizes.of(1000, 4, BUFFER), newest_first=True)
        self.order = ServerOrder(seek=True, known=self.known)
        self.claims = Claims(self.plan, self.order, self.traffic)

    def chain(self, *pages: Sequence[int]) -> list[Part]:
        """Have full pages follow each other, and return the parts: one that is claimed for each page, and what is left."""
        for number, seconds in enumerate(pages, 1):
            rest = list(self.plan)[-1]
            page = page_at(seconds, complete=False)
            self.order.observe(page)
            asked = Range(rest.range.start, rest.range.end)
            found = claim_of(Question(rest, asked, WINDOW), page, number, descending=True, to_prove=False)
            assert found is not None
            self.plan.replace(rest, [*found[:2]])
        return [*self.plan]

    def put(self, *parts: Part) -> list[Part]:
        """Put parts in the place of all."""
        first = self.plan.first
        assert first is not None
        self.plan.replace(first, [*parts])
        return [*parts]

    def check(self, rest: Part, seconds: Sequence[int], *, complete: bool = True, grain: Grain = COARSE) -> None:
        """Have the page behind a claim come."""
        seam = rest.seam
        assert seam is not None
        page = page_at(seconds, complete=complete)
        self.claims.check_seam(seam, with_margins(rest.range, seam), page, complete=complete, grain=grain)

    def prove(self, part: Part, seconds: Sequence[int], *, complete: bool = True) -> None:
        """Have the page of a claim come, which was asked."""
        claim = claim_in(part)
        part.ask(Question(part, part.range, with_margins(part.range)))
        part.turn_to(Prove(claim))
        self.claims.prove(part, claim, page_at(seconds, complete=complete), complete=complete)


def claim_in(part: Part) -> Claim:
    assert isinstance(part.state, Claimed)
    return part.state.claim


def proven_world(traffic: Traffic | None = None) -> World:
    world = World(traffic=traffic or Traffic())
    world.order.prove(40, 0, descending=True)
    return world


def in_state(state: State, *, dense: bool = False) -> Part:
    """Return a part of one second in a state, by the transitions to it."""
    hints = Hints(dense=dense)
    wanted = Range(0, SECOND)
    if isinstance(state, (Waiting, Claimed)):
        return Part(wanted, state, hints)
    task = state.task if isinstance(state, (Asked, Failed)) else Read()
    part = Part(wanted, Waiting(task), hints)
    part.ask(Question(part, wanted, WINDOW))
    match state:
        case Failed(error=error):
            part.fail(error)
        case Done():
            part.finish(state)
        case _:
            pass
    return part


# --- the page behind a claim ----------------------------------------------------------------------------------------------


def test_a_claim_in_a_proven_order_is_accepted_with_the_rows_that_the_page_behind_it_repeats() -> None:
    world = proven_world()
    claimed, rest = world.chain(FIRST)
    claim = claim_in(claimed)
    world.check(rest, BEHIND, complete=False)
    assert claimed.state == Done(claim.records, 0, Basis(WINDOW, 50, 50, 8))


def test_without_an_order_a_claim_that_agrees_waits_for_its_proof() -> None:
    world = World()
    claimed, rest = world.chain(FIRST)
    world.check(rest, BEHIND)
    assert isinstance(claimed.state, Claimed)
    assert claimed.state.repeated == 8
    assert world.order.proven is None


@pytest.mark.parametrize("complete", [True, False])
def test_a_presumed_order_is_relied_on_once_a_complete_page_agrees_with_a_claim(complete: bool) -> None:
    world = World()
    world.known.order = True
    claimed, rest = world.chain(FIRST)
    world.check(rest, BEHIND, complete=complete)
    assert isinstance(claimed.state, Done if complete else Claimed)
    assert world.order.proven is (True if complete else None)


def test_with_a_presumed_order_the_claims_before_a_page_that_was_proven_are_asked() -> None:
    """A proof of few rows proves no order, but shows that the server sorts from that page on."""
    world = World()
    world.known.order = True
    early, late, rest = world.chain(FIRST, [*range(580, 290, -10)])
    world.order.prove(10, 2, descending=True)
    early.agree(9)
    world.check(rest, [*range(380, 200, -10)])
    assert (early.task, type(late.state)) == (Prove(claim_in_task(early)), Done)


def claim_in_task(part: Part) -> Claim:
    assert isinstance(part.task, Prove)
    return part.task.claim


@pytest.mark.parametrize(("complete", "behind", "pages"), [(True, 42, 0), (True, 30, 5), (False, 42, 5)])
def test_a_complete_page_that_repeats_enough_rows_is_a_proof(complete: bool, behind: int, pages: int) -> None:
    world = proven_world()
    claimed, rest = world.chain(FIRST)
    seam, page = rest.seam, claim_in(claimed).page
    assert seam is not None
    reach = (500 + 10 * behind) * SECOND
    near = page.keys_of(Range(0, reach + 2 * SECOND))
    rest.state = Waiting(Read(evolve(seam, reach=reach, near=near)))
    rest.task = rest.state.task
    world.known.pages = 5
    world.check(rest, [*range(500 + 10 * behind, 400, -10)], complete=complete)
    assert world.known.pages == pages


def test_a_page_that_lacks_a_row_of_the_claim_refutes_the_order() -> None:
    world = proven_world()
    claimed, rest = world.chain(FIRST)
    world.check(rest, [each for each in BEHIND if each != 550])
    assert (claimed.state, world.order.candidate, world.order.proven) == (Waiting(), None, None)
    assert (world.order.unsorted, world.order.disagreements) == (True, 1)


def test_a_refutation_has_the_claims_asked_again_if_nothing_was_proven() -> None:
    world = World()
    claimed, rest = world.chain(FIRST)
    world.check(rest, [each for each in BEHIND if each != 550])
    assert claimed.state == Waiting()


@pytest.mark.parametrize("complete", [True, False])
def test_rows_behind_the_last_one_of_a_full_page_are_not_lacking(complete: bool) -> None:
    world = proven_world()
    claimed, rest = world.chain(FIRST)
    world.check(rest, BEHIND[:5], complete=complete)
    assert isinstance(claimed.task, Read if complete else Prove)


def test_a_page_with_one_row_more_has_the_claim_asked_and_three_withdraw_the_order() -> None:
    for disagreements in range(1, 4):
        world = proven_world()
        claimed, rest = world.chain(FIRST)
        other = in_state(Done([], 0, Basis(WINDOW, 0, 0, repeated=8)))
        world.plan.replace(claimed, [claimed, other])
        for _ in range(disagreements):
            world.check(rest, [*BEHIND[:2], 565, *BEHIND[2:]])
        assert world.order.disagreements == disagreements
        withdrawn = disagreements == 3
        assert isinstance(claimed.task, Read if withdrawn else Prove)
        assert isinstance(other.state, Waiting if withdrawn else Done)


def test_a_page_is_compared_by_its_own_margins() -> None:
    """The page lacks a row at the bound of its window, where only a page without margins surely shows all rows."""
    for grain, agrees in ((COARSE, True), (Grain(evolve(WHOLE_SECONDS, before=0, behind=0), SECOND), False)):
        world = proven_world()
        claimed, rest = world.chain(sorted([*FIRST, 571], reverse=True))
        world.check(rest, BEHIND, grain=grain)
        assert isinstance(claimed.state, Done if agrees else Waiting)


# --- the page of a claim --------------------------------------------------------------------------------------------------


def test_a_claim_whose_page_has_just_its_rows_proves_the_order() -> None:
    world = World()
    claimed, *_ = world.chain(FIRST)
    claim = claim_in(claimed)
    world.prove(claimed, FIRST[:49])
    assert len(claim.records) == 49
    assert (world.order.proofs, world.order.proven, world.order.proven_by) == (1, True, 1)


def test_the_first_proof_has_earlier_claims_asked_and_accepts_later_ones_that_agree() -> None:
    for presumed in (False, True):
        world = World()
        claims = world.put(*(Part(Range(0, 1), Claimed(claim_at(FIRST, number))) for number in (1, 3, 2, 2)))
        early, late, proven, same = claims
        early.agree(8)
        same.agree(8)
        world.order.observe(page_at(FIRST))
        world.known.order = True if presumed else None
        proven.range = WANTED
        world.prove(proven, FIRST)
        assert isinstance(early.state, Done if presumed else Waiting)
        assert (type(late.state), type(same.state)) == (Claimed, Done)


def claim_at(seconds: Sequence[int], number: int) -> Claim:
    page = page_at(seconds, complete=False)
    return Claim(page, page.rows_of(WANTED), number, WINDOW)


def test_another_proof_changes_no_claim() -> None:
    world = proven_world()
    agreed, proven = world.put(*(Part(WANTED, Claimed(claim_at(FIRST, number))) for number in (1, 2)))
    agreed.agree(8)
    world.order.observe(page_at(FIRST))
    world.prove(proven, FIRST)
    assert (world.order.proofs, type(agreed.state)) == (2, Claimed)


def test_too_few_rows_prove_no_order() -> None:
    world = World()
    proven, agreed = world.put(*(Part(WANTED, Claimed(claim_at(FIRST[:39], number))) for number in (1, 2)))
    agreed.agree(8)
    world.order.observe(page_at(FIRST))
    world.prove(proven, FIRST[:39])
    assert (world.order.proofs, world.order.proven, type(agreed.state)) == (1, None, Claimed)


@pytest.mark.parametrize(
    ("came", "complete", "disagreements", "withdrawn"),
    [
        # A row that is lacking refutes, if the page is complete: rows do not vanish.
        (FIRST[1:], True, 1, True),
        (FIRST[1:], False, 1, False),
        # Rows that are new may have been written meanwhile, unless they are many. A full page proves nothing.
        ([*FIRST, 1], True, 1, False),
        ([*FIRST, *range(7)], True, 1, False),
        ([*FIRST, *range(8)], True, 1, True),
        (FIRST, False, 1, False),
        (FIRST, True, 0, False),
    ],
    ids=["lacks one", "lacks one, full", "one more", "seven more", "eight more", "full", "equal"],
)
def test_a_claim_is_no_proof_if_its_page_has_other_rows(
    came: list[int], complete: bool, disagreements: int, withdrawn: bool
) -> None:
    world = proven_world()
    asked, other = world.put(Part(WANTED, Claimed(claim_at(FIRST, 1))), Part(WANTED, Claimed(claim_at(FIRST, 2))))
    world.order.observe(page_at(FIRST))
    world.prove(asked, came, complete=complete)
    assert (world.order.disagreements, world.order.proofs) == (disagreements, 2 - disagreements)
    assert isinstance(other.state, Waiting if withdrawn else Claimed)
    assert world.order.proven is (None if withdrawn else True)
    # A server that lacks a row does not sort so; one with many new rows may.
    refuted = complete and len(came) < len(FIRST)
    assert world.order.candidate is (None if refuted else True)


def test_without_a_candidate_the_page_of_a_claim_tells_nothing() -> None:
    world = World()
    (part,) = world.put(Part(WANTED, Claimed(claim_at(FIRST, 1))))
    for came in (FIRST, FIRST[1:], [*FIRST, 1]):
        world.claims.prove(part, claim_in(part), page_at(came), complete=True)
    assert (world.order.proofs, world.order.disagreements) == (0, 0)


# --- holes ----------------------------------------------------------------------------------------------------------------


def broken(world: World, *, proving: bool = False) -> Part:
    """Return a claim that agrees, and whose page has a hole; another one is being proven."""
    claimed, other = Part(WANTED, Claimed(claim_at(BROKEN, 1))), Part(WANTED, Waiting())
    if proving:
        other = Part(WANTED, Waiting(Prove(claim_at(FIRST, 2))))
    world.put(claimed, other)
    claimed.agree(8)
    return claimed


def accept(world: World, part: Part) -> None:
    """Have the page behind a claim agree with it."""
    keys = claim_in(part).page.keys_of(WANTED)
    seam = Seam(part, True, 1000 * SECOND, 0, keys, 0, 0, None)
    page = page_at(BROKEN, complete=False)
    world.claims.check_seam(seam, WINDOW, page, complete=False, grain=COARSE)


def test_a_claim_with_a_hole_is_asked_if_rows_may_be_missing_there() -> None:
    world = proven_world()
    claimed = broken(world)
    accept(world, claimed)
    assert isinstance(claimed.task, Prove)


def test_a_claim_with_a_hole_is_accepted_if_longer_holes_were_checked() -> None:
    traffic = Traffic()
    traffic.check(Range(10**6 * SECOND, 10**6 * SECOND + 400 * SECOND), page_at([]))
    world = proven_world(traffic=traffic)
    claimed = broken(world)
    assert traffic.has_odd_holes(claim_in(claimed).page)
    accept(world, claimed)
    assert isinstance(claimed.state, Done)


def test_a_claim_with_a_hole_waits_for_a_proof_that_is_under_way() -> None:
    world = proven_world()
    claimed = broken(world, proving=True)
    accept(world, claimed)
    world.claims.accept_postponed()
    assert isinstance(claimed.state, Claimed), "the proof is still under way"
    _, proving = world.plan
    proving.ask_again()
    world.known.withdraw()
    world.order.heed()
    world.claims.accept_postponed()
    assert isinstance(claimed.state, Claimed), "no order is proven any more"
    world.order.prove(40, 0, descending=True)
    world.claims.accept_postponed()
    assert isinstance(claimed.task, Prove)
    again = Part(WANTED, Claimed(claim_at(FIRST, 3)))
    again.agree(8)
    world.plan.replace(claimed, [again])
    assert not world.plan.is_proving
    world.claims.accept_postponed()
    assert isinstance(again.state, Claimed), "nothing is postponed any more"


def test_what_was_not_postponed_is_not_accepted_and_what_does_not_agree_neither() -> None:
    world = proven_world()
    agreed, other = world.put(*(Part(WANTED, Claimed(claim_at(FIRST, number))) for number in (1, 2)))
    agreed.agree(8)
    world.claims.accept_postponed()
    assert isinstance(agreed.state, Claimed)
    world = proven_world()
    claimed = broken(world, proving=True)
    accept(world, claimed)
    _, proving = world.plan
    world.plan.replace(proving, [other])
    world.claims.accept_postponed()
    assert isinstance(other.state, Claimed)


# --- an order that is withdrawn -------------------------------------------------------------------------------------------


def test_an_order_that_another_stream_has_withdrawn_is_withdrawn() -> None:
    world = proven_world()
    claimed, _ = world.chain(FIRST)
    world.claims.heed_others()
    assert isinstance(claimed.state, Claimed)
    world.known.withdraw()
    world.claims.heed_others()
    assert is_asked_again(claimed)
    assert world.order.proven is None


CLAIM: Final = claim_at(FIRST, 1)
ORDERED: Final = Done([], 0, Basis(WINDOW, 0, 0, repeated=8))
COMPLETE: Final = Done([], 0, Basis(WINDOW, 0, 0))
OTHER: Final[Task] = Recheck(WINDOW, 5, CLAIM.page.keys)
QUESTION: Final = Question(Part(WANTED), WANTED, Window(0, 1))
ERROR: Final = OSError()


@pytest.mark.parametrize(
    ("state", "by_order", "by_margins"),
    [
        (Claimed(CLAIM), True, True),
        (ORDERED, True, True),
        (COMPLETE, False, True),
        (Waiting(Prove(CLAIM)), True, True),
        (Failed(Prove(CLAIM), ERROR), True, True),
        (Asked(Prove(CLAIM), QUESTION), True, False),
        (Waiting(OTHER), False, False),
        (Failed(OTHER, ERROR), False, False),
        (Asked(OTHER, QUESTION), False, False),
    ],
)
def test_what_rests_on_an_order_or_on_margins_that_are_wrong_is_asked_again(
    state: State, by_order: bool, by_margins: bool
) -> None:
    world = World()
    part, before = in_state(state, dense=True), in_state(state, dense=True).state
    world.put(part)
    world.claims.withdraw_order()
    assert is_asked_again(part) is by_order
    if not by_order:
        assert type(part.state) is type(before)

    world = World()
    dense, sparse = world.put(in_state(state, dense=True), in_state(state))
    world.claims.forget_margins()
    assert (is_asked_again(dense), is_asked_again(sparse)) == (by_margins, False)


def is_asked_again(part: Part) -> bool:
    """Return whether the part is asked for its records, whatever it had."""
    return isinstance(part.state, (Waiting, Asked, Failed)) and part.state.task == Read()
