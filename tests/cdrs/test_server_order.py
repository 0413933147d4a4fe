"""What becomes of the server's order: proven, presumed, proven anew, withdrawn, given up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.times import SECOND, to_datetime
from unlimcall_async.models import CallRecord

pytestmark = pytest.mark.own_rules


def page_at(*seconds: int) -> Page:
    rows = [CallRecord(f"{each}", to_datetime(each * SECOND), 1, 1) for each in seconds]
    return Page(rows, [row.start_time for row in rows], len(rows), complete=False)


FALLS, RISES, IS_EITHER, IS_NEITHER = page_at(2, 1), page_at(1, 2), page_at(1, 1), page_at(1, 3, 2)


def order_of(*pages: Page, known: KnownServer | None = None, seek: bool = True) -> ServerOrder:
    order = ServerOrder(seek=seek, known=known or KnownServer())
    for page in pages:
        order.observe(page)
    return order


def proven(known: KnownServer | None = None, *, descending: bool = True) -> ServerOrder:
    order = order_of(known=known)
    order.prove(40, 1, descending=descending)
    return order


def test_nothing_is_known_of_an_order_at_first() -> None:
    order = order_of()
    assert (order.proven, order.presumed, order.candidate, order.proof_due, order.unsorted) == (
        *(None, None, None, True, False),
    )
    assert (order.proofs, order.disagreements, order.withdrawals, order.proven_by) == (0, 0, 0, 0)
    assert (order_of(seek=False).unsorted, order_of(seek=False).candidate) == (True, None)


@pytest.mark.parametrize(
    ("pages", "candidate", "is_unsorted"),
    [
        ([FALLS], True, False),
        ([RISES], False, False),
        ([IS_EITHER], None, False),
        ([IS_NEITHER], None, True),
        ([FALLS, IS_EITHER, FALLS], True, False),
        ([FALLS, RISES], None, True),
    ],
)
def test_an_order_is_possible_as_long_as_all_pages_are_in_it(
    pages: Sequence[Page], candidate: bool | None, is_unsorted: bool
) -> None:
    order = order_of(*pages)
    assert (order.candidate, order.unsorted) == (candidate, is_unsorted)


# --- proofs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [True, False])
def test_forty_rows_in_one_claim_or_in_several_are_a_proof(descending: bool) -> None:
    known = KnownServer()
    order = order_of(FALLS if descending else RISES, known=known)
    order.prove(39, 7, descending=descending)
    assert (order.proven, order.proofs, order.proven_by, known.order) == (None, 1, 7, None)
    known.pages = 9
    order.prove(1, 3, descending=descending)
    assert (order.proven, order.proofs, order.proven_by, known.order) == (descending, 2, 7, descending)
    assert (known.pages, order.proof_due) == (0, False)


def test_an_order_that_a_page_has_contradicted_is_not_proven() -> None:
    order = order_of(RISES)
    order.prove(40, 1, descending=True)
    assert (order.proven, order.proofs) == (None, 1)


def test_a_proof_is_due_again_after_64_pages_of_all_streams() -> None:
    known = KnownServer()
    order = proven(known)
    known.pages = 62
    order.note_claim()
    assert (known.pages, order.proof_due) == (63, False)
    order.note_claim()
    assert (known.pages, order.proof_due) == (64, True)
    order.note_claim()  # the claim that is to be proven
    assert (known.pages, order.proof_due) == (0, False)
    first = order_of(known=known)
    first.note_claim()
    assert (known.pages, first.proof_due) == (1, True)


def test_pages_are_counted_anew_from_a_page_that_is_a_proof() -> None:
    known = KnownServer()
    order = proven(known)
    known.pages = 64
    order.renew(40, descending=True)
    assert known.pages == 0


def test_a_stream_confirms_the_order_that_it_has_presumed() -> None:
    for descending in (True, False):
        order = order_of()
        order.confirm(descending=descending)
        assert (order.proven, order.presumed) == (descending, None)


@pytest.mark.parametrize(
    ("pages", "count", "disagrees", "presumed"),
    [
        ([], 0, False, True),
        ([FALLS], 63, False, True),
        ([FALLS], 64, False, None),
        ([FALLS], 0, True, None),
        ([RISES], 0, False, None),
    ],
)
def test_an_order_that_others_have_proven_is_presumed_until_something_contradicts_it(
    pages: Sequence[Page], count: int, disagrees: bool, presumed: bool | None
) -> None:
    known = KnownServer()
    proven(known)
    known.pages = count
    order = order_of(*pages, known=known)
    if disagrees:
        order.disagree()
    assert order.presumed is presumed


# --- what is withdrawn ------------------------------------------------------------------------------------------------


def state_of(order: ServerOrder, known: KnownServer) -> tuple[bool | None, int, bool | None, int]:
    return order.proven, order.withdrawals, known.order, known.withdrawals


def test_a_page_in_another_order_withdraws_the_proof_in_all_streams() -> None:
    known = KnownServer()
    order, other = proven(known), order_of(known=known)
    assert not order.observe(FALLS)
    assert not order.observe(IS_EITHER)
    assert state_of(order, known) == (True, 0, True, 0)
    assert order.observe(RISES)
    assert state_of(order, known) == (None, 1, None, 1)
    assert not order.observe(RISES)
    assert not other.heed()
    assert state_of(other, known) == (None, 0, None, 1)


def test_a_page_that_contradicts_what_others_have_proven_withdraws_their_proof() -> None:
    known = KnownServer()
    order, other = proven(known), order_of(known=known)
    assert not other.observe(RISES)
    assert state_of(other, known) == (None, 0, None, 1)
    assert order.heed()
    assert not order.heed()
    assert state_of(order, known) == (None, 1, None, 1)
    order.prove(39, 2, descending=True)
    assert order.proven is None, "the rows of a proof that was withdrawn do not count"
    order.prove(1, 3, descending=True)
    assert not order.heed()
    assert state_of(order, known) == (True, 1, True, 1)


def test_a_stream_that_confirmed_an_order_withdraws_it_though_no_other_stream_holds_it_any_more() -> None:
    known = KnownServer()
    order = order_of(known=known)
    order.confirm(descending=True)
    assert order.disagree(many=True)
    assert state_of(order, known) == (None, 1, None, 1)


def test_what_was_withdrawn_before_a_stream_began_withdraws_nothing_in_it() -> None:
    known = KnownServer()
    known.withdraw()
    order = proven(known)
    assert not order.heed()
    assert order.proven


def test_three_disagreements_in_a_row_withdraw_a_proof() -> None:
    known = KnownServer()
    order = proven(known)
    assert [order.disagree(), order.disagree()] == [False, False]
    order.prove(1, 2, descending=True)
    assert [order.disagree() for _ in range(3)] == [False, False, True]
    assert state_of(order, known) == (None, 1, None, 1)
    assert order.disagreements == 5


def test_many_rows_too_many_withdraw_a_proof_at_once() -> None:
    known = KnownServer()
    order = proven(known)
    assert order.disagree(many=True)
    assert state_of(order, known) == (None, 1, None, 1)
    assert not order.disagree(many=True)
    assert state_of(order, known) == (None, 1, None, 1)


def test_a_proof_may_be_withdrawn_more_than_once() -> None:
    order = proven()
    assert order.disagree(many=True)
    order.prove(40, 2, descending=True)
    assert order.disagree(many=True)
    assert order.withdrawals == 2


def test_what_others_have_proven_is_withdrawn_by_a_stream_that_has_no_proof() -> None:
    known = KnownServer()
    proven(known)
    order = order_of(known=known)
    assert not order.disagree(many=True)
    assert state_of(order, known) == (None, 0, None, 1)


def test_nine_disagreements_in_a_row_give_the_server_up() -> None:
    order = order_of(FALLS)
    for _ in range(8):
        order.disagree()
    assert not order.unsorted
    order.disagree()
    assert order.unsorted


def test_rows_before_a_disagreement_do_not_count_for_a_proof() -> None:
    order = order_of(FALLS)
    order.prove(39, 1, descending=True)
    order.disagree()
    order.prove(39, 2, descending=True)
    assert order.proven is None
    order.prove(1, 3, descending=True)
    assert order.proven


@pytest.mark.parametrize("descending", [True, False])
def test_an_order_is_refuted_for_good(descending: bool) -> None:
    known = KnownServer()
    order = proven(known, descending=descending)
    order.refute(descending=not descending)
    assert state_of(order, known) == (descending, 0, descending, 0)
    assert (order.candidate, order.disagreements) == (descending, 1)
    order.refute(descending=descending)
    assert state_of(order, known) == (None, 1, None, 1)
    assert (order.unsorted, order.disagreements) == (True, 2)


def test_the_order_that_others_have_proven_is_refuted_for_them_too() -> None:
    known = KnownServer()
    other = proven(known)
    order_of(known=known).refute(descending=True)
    assert other.heed()
    assert known.order is None
