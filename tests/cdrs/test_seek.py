"""What the answer behind a full page says of what that page claims."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Question
from unlimcall_async.cdrs.planner.seek import OVERLAP, SeamCheck, ServerOrder, check_seam, claim_of, overlap_of
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import SECOND, Range, to_datetime
from unlimcall_async.models import CallRecord

pytestmark = pytest.mark.own_rules

PAGE = 40
WANTED = Range(0, 1000 * SECOND)


def page_at(seconds: Sequence[int], count: int = 0) -> Page:
    rows = [CallRecord(f"{each}", to_datetime(each * SECOND), 1, 1) for each in seconds]
    return Page(rows, [row.start_time for row in rows], count or len(rows), complete=len(rows) < PAGE)


def judged(
    page: Sequence[int], behind: Sequence[int], *, newest_first: bool, complete: bool = True, count: int = 0
) -> SeamCheck:
    """Return the verdict of the page `behind` on a page; both have a row at each of these seconds. The first may count more."""
    question = Question(Part(WANTED), WANTED, with_margins(WANTED))
    found = claim_of(question, page_at(page, count), 1, descending=newest_first, to_prove=False)
    assert found is not None
    _, left, _ = found
    assert left.seam is not None
    return check_seam(left.seam, with_margins(left.range, left.seam), page_at(behind), complete=complete)[0]


def mirrored(seconds: Sequence[int], *, newest_first: bool) -> list[int]:
    """Return the seconds for a server in descending order, and their mirror image for a server in ascending order."""
    return [each if newest_first else 999 - each for each in seconds]


# A row each ten seconds, of which the page has the last 40; the answer behind it repeats nine of them.
FIRST, BEHIND = [*range(990, 590, -10)], [*range(680, 500, -10)]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    ("page", "behind", "says"),
    [
        (FIRST, BEHIND, SeamCheck.AGREES),
        (FIRST, [each for each in BEHIND if each != 650], SeamCheck.REFUTES),
        ([each for each in FIRST if each != 650] + [590], BEHIND, SeamCheck.UNSURE),
        (FIRST, [640, *BEHIND[5:]], SeamCheck.REFUTES),
    ],
    ids=["repeats it", "lacks a row", "has one more", "lacks most"],
)
def test_an_answer_agrees_if_it_repeats_the_page_and_no_more(
    page: list[int], behind: list[int], says: SeamCheck, newest_first: bool
) -> None:
    page, behind = mirrored(page, newest_first=newest_first), mirrored(behind, newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first) is says


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_few_rows_are_no_overlap(newest_first: bool) -> None:
    page, behind = mirrored(FIRST, newest_first=newest_first), mirrored(BEHIND[:5], newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first, complete=False) is SeamCheck.UNSURE


# Of 50 rows the page has 40, and the ninth from its end lies on the bound of the next window, which leaves it out.
ALL = sorted([*range(990, 500, -10), 682], reverse=True)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("count", "says"), [(50, SeamCheck.AGREES), (51, SeamCheck.UNSURE)], ids=["none", "one"])
def test_totals_that_leave_a_row_to_neither_page_put_the_claim_in_doubt(
    count: int, says: SeamCheck, newest_first: bool
) -> None:
    page = mirrored(ALL[:40], newest_first=newest_first)
    behind = mirrored([each for each in ALL if each < 682], newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first, count=count) is says


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_page_claims_nothing_beyond_its_window(newest_first: bool) -> None:
    """The window of a long part reaches one end of it alone; the claim of a page may lie at the other end."""
    longer = Range(WANTED.start, WANTED.end + SECOND) if newest_first else Range(WANTED.start - SECOND, WANTED.end)
    question = Question(Part(longer), WANTED, with_margins(WANTED))
    page = page_at(mirrored(FIRST, newest_first=newest_first))
    assert claim_of(question, page, 1, descending=newest_first, to_prove=False) is None


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_last_step_of_a_chain_repeats_more_rows_so_that_its_page_is_a_proof(newest_first: bool) -> None:
    """400 rows in 400 s; what is left is 100 s, or 5000 s."""
    seconds = mirrored(range(999, 599, -1), newest_first=newest_first)
    page = page_at(sorted(seconds, reverse=newest_first))
    near = Range(500 * SECOND, 1000 * SECOND) if newest_first else Range(0, 500 * SECOND)
    far = Range(-4400 * SECOND, 1000 * SECOND) if newest_first else Range(0, 5400 * SECOND)
    assert overlap_of(page, near, descending=newest_first) >= 40
    assert overlap_of(page, far, descending=newest_first) == OVERLAP


def test_as_many_rows_renew_a_proof_as_make_one() -> None:
    order = ServerOrder(seek=True, known=KnownServer())
    order.prove(40, 1, descending=True)
    for _ in range(64):
        assert not order.proof_due
        order.note_claim()
    order.renew(39, descending=True)
    order.renew(40, descending=False)
    assert order.proof_due
    order.renew(40, descending=True)
    assert not order.proof_due


def test_nothing_renews_a_proof_that_was_withdrawn() -> None:
    order = ServerOrder(seek=True, known=KnownServer())
    order.prove(40, 1, descending=True)
    order.refute(descending=True)
    order.renew(1000, descending=True)
    assert order.proof_due
