"""The window of a question covers what is asked, with margins, and is never wider than the API answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.parts import Part, Question, Read, Seam, Waiting
from unlimcall_async.cdrs.planner.tasks import Doubt, Probe, Resolve
from unlimcall_async.cdrs.planner.windows import WIDEST_PART, question_of, widest_of
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, WIDEST, Range, Window, ceil, floor

pytestmark = pytest.mark.own_rules

# Edges lie at whole milliseconds, and most lengths are near the one that a window just covers.
edges = st.integers(-(10**12), 10**12).map(lambda millis: millis * MILLISECOND)
lengths = st.one_of(st.integers(1, 5000), st.integers(-5000, 5000).map(lambda more: WIDEST // MILLISECOND + more))
ranges = st.builds(lambda start, millis: Range(start, start + millis * MILLISECOND), edges, lengths)


@st.composite
def parts(draw: st.DrawFn, *, behind_a_claim: bool | None = None) -> tuple[Part, bool]:
    """Draw a part that is to be read, and the direction of the output. A part behind a claim has a seam, which may reach far."""
    wanted, newest_first = draw(ranges), draw(st.booleans())
    if not (draw(st.booleans()) if behind_a_claim is None else behind_a_claim):
        return Part(wanted), newest_first
    descending, deep = draw(st.booleans()), draw(st.integers(0, (WIDEST_PART - 2 * SECOND) // SECOND)) * SECOND
    reach = ceil(wanted.end, SECOND) + deep if descending else floor(wanted.start, SECOND) - deep
    edge = wanted.end if descending else wanted.start
    seam = Seam(Part(wanted), descending, reach, edge, (), 0, 0, None)
    return Part(wanted, Waiting(Read(seam))), newest_first


def check_covers(question: Question) -> None:
    window, asked = question.window, question.range
    assert window.start <= asked.start - 2 * SECOND
    assert asked.end + SECOND <= window.till
    assert window.start % SECOND == window.till % SECOND == 0


@given(parts())
def test_a_window_is_at_most_31_days_wide(case: tuple[Part, bool]) -> None:
    part, newest = case
    assert 0 < len(question_of(part, newest_first=newest).window) <= WIDEST


@given(parts())
def test_a_window_covers_its_range_with_margins(case: tuple[Part, bool]) -> None:
    part, newest = case
    check_covers(question_of(part, newest_first=newest))


@given(parts())
def test_of_a_long_part_the_end_with_the_seam_or_else_the_end_that_is_handed_out_last_is_asked(
    case: tuple[Part, bool],
) -> None:
    part, newest = case
    asked = question_of(part, newest_first=newest).range
    assert len(asked) == min(len(part.range), widest_of(part.range, part.seam, WIDEST_PART)) > 0
    if newest if part.seam is None else not part.seam.descending:
        assert asked.start == part.range.start
    else:
        assert asked.end == part.range.end


@given(parts(behind_a_claim=True))
def test_behind_a_claim_a_window_reaches_into_the_page(case: tuple[Part, bool]) -> None:
    part, newest = case
    window, seam = question_of(part, newest_first=newest).window, part.seam
    assert seam is not None
    assert window.till >= seam.reach if seam.descending else window.start <= seam.reach


@given(ranges.filter(lambda wanted: len(wanted) > 2 * MILLISECOND), st.booleans())
def test_a_probe_asks_its_piece_and_a_finer_window_is_asked_as_it_is(wanted: Range, newest: bool) -> None:
    piece = Range(wanted.start, wanted.start + MILLISECOND)
    window = Window(piece.start - SECOND, piece.end)
    probe = Probe((window, Window(0, 1)), [], page_of([], complete=True), Basis(window, 0, 0), 1, Doubt.LARGEST)
    question = question_of(Part(wanted, Waiting(probe)), newest_first=newest)
    assert (question.range, question.window) == (piece, window)
    assert question_of(Part(piece, Waiting(Resolve(window))), newest_first=newest).window == window
