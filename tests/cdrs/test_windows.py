"""The window of a question covers what is asked, with margins, and is never wider than the API answers."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of
from unlimcall_async.cdrs.planner.margins import COARSE, WHOLE_SECONDS, Grain, Margins, edge_behind
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.parts import Part, Question, Read, Seam, Task, Waiting
from unlimcall_async.cdrs.planner.tasks import Claim, Doubt, Gauge, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.planner.windows import HOUR, WIDEST_PART, Width, question_of, widest_of, with_margins
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
    assert (question.part.range, question.range, question.window) == (wanted, piece, window)
    assert question_of(Part(piece, Waiting(Resolve(window))), newest_first=newest).window == window


# --- the figures ----------------------------------------------------------------------------------------------------------

# Times are written in steps of 3, bounds are compared in steps of 10, `from` is excluded, and `till` is included.
FINE = Margins(10, before=13, behind=-10, written=3, shows_before=-7, shows_behind=10)


def test_margins_are_what_a_window_has_around_its_range() -> None:
    assert (Margins.unknown(SECOND), Grain(WHOLE_SECONDS, SECOND)) == (WHOLE_SECONDS, COARSE)
    assert Margins(SECOND, 2 * SECOND, SECOND, SECOND, SECOND, SECOND) == WHOLE_SECONDS
    assert FINE.around(Range(23, 50)) == Window(10, 40)
    assert FINE.around(Range(22, 51)) == Window(0, 50)
    assert FINE.shown_by(Window(10, 40)) == Range(23, 50)


def test_a_window_has_a_length_though_its_bounds_fall_into_one_step() -> None:
    from_included = evolve(FINE, before=3, shows_before=3)
    assert from_included.around(Range(23, 30)) == Window(20, 30)


@pytest.mark.parametrize(
    ("last", "descending", "edge"), [(20, True, 40), (29, True, 40), (20, False, 10), (29, False, 10)]
)
def test_the_edge_of_a_full_page_lies_two_steps_above_its_last_row_or_one_below(
    last: int, descending: bool, edge: int
) -> None:
    assert edge_behind(last, 10, descending=descending) == edge


def test_a_width_is_halved_down_to_an_hour_and_goes_back_to_the_last_that_was_answered() -> None:
    assert WIDEST_PART == WIDEST - 5 * SECOND
    width = Width()
    assert width.most == WIDEST_PART
    width.narrow(2 * HOUR + 3 * SECOND)
    assert width.most == HOUR + SECOND
    width.narrow(8 * HOUR)
    assert width.most == HOUR + SECOND
    width.note_answer((HOUR + SECOND) // 2)
    width.reset()
    assert width.most == WIDEST_PART
    width.narrow(2 * HOUR)
    width.note_answer(HOUR // 2 + 1)
    width.narrow(1)
    assert width.most == HOUR - 5 * SECOND
    width.reset()
    assert width.most == HOUR
    width.narrow(2 * HOUR - 2)
    assert width.most == HOUR - SECOND
    assert isinstance(width.most, int), "windows are whole microseconds"


def seam_of(reach: int, wanted: Range, *, descending: bool) -> Seam:
    return Seam(Part(wanted), descending, reach, wanted.end if descending else wanted.start, (), 0, 0, None)


LONG = Range(0, 2 * WIDEST)
FIRST, LAST = Range(0, WIDEST_PART), Range(2 * WIDEST - WIDEST_PART, 2 * WIDEST)


@pytest.mark.parametrize(
    ("newest", "descending", "asked"),
    [(True, None, FIRST), (False, None, LAST), (False, False, FIRST), (True, False, FIRST), (False, True, LAST)],
)
def test_a_long_part_is_asked_where_a_chain_begins(newest: bool, descending: bool | None, asked: Range) -> None:
    question = question_of(Part(LONG), newest_first=newest, descending=descending)
    assert (question.range, question.window) == (asked, WHOLE_SECONDS.around(asked))


@pytest.mark.parametrize("descending", [None, False, True])
def test_with_narrowed_windows_the_end_that_is_handed_out_first_is_asked(descending: bool | None) -> None:
    for newest, asked in ((False, Range(0, HOUR)), (True, Range(2 * WIDEST - HOUR, 2 * WIDEST))):
        question = question_of(Part(LONG), newest_first=newest, descending=descending, most=HOUR, margins=FINE)
        assert (question.range, question.window) == (asked, FINE.around(asked))


def test_a_part_behind_a_claim_is_asked_at_its_seam_with_its_margins() -> None:
    for descending, reach, window in ((True, 90, Window(0, 90)), (False, -90, Window(-90, 30))):
        part = Part(Range(20, 40), Waiting(Read(seam_of(reach, Range(20, 40), descending=descending))))
        question = question_of(part, newest_first=False, margins=FINE)
        assert (question.part, question.range, question.window) == (part, Range(20, 40), window)


def test_a_window_with_a_seam_is_never_narrower_than_its_margins() -> None:
    wanted = Range(20, 40)
    assert with_margins(wanted, margins=FINE) == Window(0, 30)
    assert with_margins(wanted, seam_of(29, wanted, descending=True), margins=FINE) == Window(0, 30)
    assert with_margins(wanted, seam_of(30, wanted, descending=False), margins=FINE) == Window(0, 30)
    assert with_margins(wanted) == WHOLE_SECONDS.around(wanted)


@pytest.mark.parametrize(
    ("reach", "most", "widest"),
    [
        (40, HOUR, HOUR),
        (30, HOUR, HOUR),
        (41, HOUR, HOUR - 1),
        (40 + 10 * SECOND, HOUR, HOUR - 5 * SECOND),
        (40 + WIDEST_PART - SECOND, HOUR, SECOND),
    ],
)
def test_the_overlap_of_a_seam_takes_its_share_of_a_window(reach: int, most: int, widest: int) -> None:
    wanted = Range(20, 40)
    assert widest_of(wanted, seam_of(reach, wanted, descending=True), most) == widest
    assert widest_of(wanted, seam_of(60 - reach, wanted, descending=False), most) == widest
    assert widest_of(wanted, None, most) == most


def test_a_probe_of_a_piece_in_the_margins_asks_no_range() -> None:
    def asked(window: Window) -> Range:
        probe = Probe((window,), [], page_of([], complete=True), Basis(window, 0, 0), 1, Doubt.LARGEST)
        return question_of(Part(Range(20, 40), Waiting(probe)), newest_first=False).range

    assert [asked(Window(*each)) for each in ((0, 10), (10, 30), (25, 60), (50, 60))] == [
        *(Range(20, 20), Range(20, 30), Range(25, 40), Range(50, 50))
    ]


NO_PAGE = page_of([], complete=True)


@pytest.mark.parametrize(
    ("task", "asked", "window"),
    [
        (Resolve(Window(1, 2)), Range(20, 40), Window(1, 2)),
        (Recheck(Window(1, 2), 1, NO_PAGE.keys), Range(20, 40), Window(1, 2)),
        (Gauge(Window(1, 2), NO_PAGE, Range(25, 35), Window(3, 4), 1), Range(25, 35), Window(1, 2)),
        (Prove(Claim(NO_PAGE, [], 1, Window(1, 2))), Range(20, 40), FINE.around(Range(20, 40))),
    ],
)
def test_a_task_is_asked_in_its_window_and_so_is_a_question_that_is_asked_once_more(
    task: Task, asked: Range, window: Window
) -> None:
    part = Part(Range(20, 40), Waiting(task))
    question = question_of(part, newest_first=False, margins=FINE)
    assert question == Question(part, asked, window)
    part.ask(question)
    part.ask_once_more()
    assert question_of(part, newest_first=True) == Question(part, asked, window, repeats=1)


def test_a_claim_is_asked_whole_although_windows_were_narrowed_since() -> None:
    part = Part(Range(0, 3 * HOUR), Waiting(Prove(Claim(NO_PAGE, [], 1, Window(1, 2)))))
    assert question_of(part, newest_first=False, most=HOUR).range == part.range
