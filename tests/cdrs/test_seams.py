"""What the answer behind a full page says of what that page claims."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.instants import SECOND, Range, moment_of
from unlimcall_async.cdrs.parts import Part, Question, with_margins
from unlimcall_async.cdrs.seams import Verdict, claim_of, verdict
from unlimcall_async.models import CallRecord

PAGE = 40
WANTED = Range(0, 1000 * SECOND)


def answer(seconds: Sequence[int], count: int = 0) -> Answer:
    rows = [CallRecord(f"{each}", moment_of(each * SECOND), 1, 1) for each in seconds]
    instants = [each * SECOND * 1000 for each in seconds]
    return Answer(rows, instants, count or len(rows), complete=len(rows) < PAGE)


def judged(
    page: Sequence[int], behind: Sequence[int], *, newest_first: bool, whole: bool = True, count: int = 0
) -> Verdict:
    """Give the verdict of the answer `behind` on a page; both have a row at each of these seconds. The page may count more."""
    question = Question(Part(WANTED), WANTED, with_margins(WANTED))
    found = claim_of(question, answer(page, count), newest_first=newest_first, proving=False)
    assert found is not None
    rest, seam = found
    return verdict(seam, with_margins(rest, seam), answer(behind), whole=whole)


def mirrored(seconds: Sequence[int], *, newest_first: bool) -> list[int]:
    """Give seconds for a server that gives the newest first, or the same in a mirror for one that gives the oldest first."""
    return [each if newest_first else 999 - each for each in seconds]


# A row each ten seconds, of which the page has the last 40; the answer behind it repeats nine of them.
FIRST, BEHIND = [*range(990, 590, -10)], [*range(680, 500, -10)]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    ("page", "behind", "says"),
    [
        (FIRST, BEHIND, Verdict.AGREES),
        (FIRST, [each for each in BEHIND if each != 650], Verdict.REFUTED),
        ([each for each in FIRST if each != 650] + [590], BEHIND, Verdict.UNSURE),
        (FIRST, [640, *BEHIND[5:]], Verdict.REFUTED),
    ],
    ids=["repeats it", "lacks a row", "has one more", "lacks most"],
)
def test_an_answer_agrees_if_it_repeats_the_page_and_no_more(
    page: list[int], behind: list[int], says: Verdict, newest_first: bool
) -> None:
    page, behind = mirrored(page, newest_first=newest_first), mirrored(behind, newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first) is says


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_few_rows_are_no_overlap(newest_first: bool) -> None:
    page, behind = mirrored(FIRST, newest_first=newest_first), mirrored(BEHIND[:5], newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first, whole=False) is Verdict.UNSURE


# Of 50 rows the page has 40, and the ninth from its end lies on the bound of the next window, which leaves it out.
ALL = sorted([*range(990, 500, -10), 682], reverse=True)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("count", "says"), [(50, Verdict.AGREES), (51, Verdict.REFUTED)], ids=["none", "one"])
def test_totals_tell_of_rows_that_both_skip(count: int, says: Verdict, newest_first: bool) -> None:
    page = mirrored(ALL[:40], newest_first=newest_first)
    behind = mirrored([each for each in ALL if each < 682], newest_first=newest_first)
    assert judged(page, behind, newest_first=newest_first, count=count) is says
