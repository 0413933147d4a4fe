"""Pages with finer margins: what is believed of them, and what follows if they are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve

from tests.cdrs.simulated import page_of, record
from tests.cdrs.test_claims import World
from tests.cdrs.test_gauge import Server, dense_calls, known_by_gauging
from unlimcall_async.cdrs.planner.dense import DenseParts
from unlimcall_async.cdrs.planner.density import Hints, Sample
from unlimcall_async.cdrs.planner.gauge import KnownMargins
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.parts import Done, Part, Question, Read, Seam, Task, Waiting
from unlimcall_async.cdrs.planner.tasks import Claim, Prove, Recheck, Resolve
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, to_datetime

pytestmark = pytest.mark.own_rules

# A stretch at no whole second, which holds a row every ten milliseconds.
WANTED = Range(500_450 * MILLISECOND, 503_550 * MILLISECOND)
STARTS = range(WANTED.start - 200 * MILLISECOND, WANTED.end + 200 * MILLISECOND, 10 * MILLISECOND)
DENSE = Hints(dense=True)
# A start that none of these rows has.
MISSING = 502_003 * MILLISECOND


def page(starts: Sequence[int], *, complete: bool = True) -> Page:
    return page_of([record(at, at // MILLISECOND) for at in starts], complete=complete)


class Dense:
    """A plan with one part that was asked, and another one behind it that rests on finer margins."""

    def __init__(self, hints: Hints = DENSE, task: Task | None = None, window: Window | None = None) -> None:
        self.world = World()
        self.known = known_by_gauging(Server(dense_calls(300, 5000), "newest_first", MILLISECOND))
        assert self.margins_are_fine
        self.dense = DenseParts(self.world.plan, self.known, self.world.claims, page_size=1000)
        self.part, self.other = self.world.put(
            Part(WANTED, Waiting(task or Read()), hints), Part(Range(0, WANTED.start), hints=DENSE)
        )
        self.window = window or self.known.grain_of(dense=True).margins.around(WANTED)
        self.question = Question(self.part, WANTED, self.window)
        for part in (self.part, self.other):
            part.ask(Question(part, part.range, self.window) if part is self.other else self.question)
        self.other.finish(Done([], 0, Basis(self.window, 0, 0)))

    def doubts(self, came: Page) -> bool:
        """Return whether the page of another dense part like the first is not believed as a whole."""
        part = Part(WANTED, Waiting(), DENSE)
        self.world.put(part)
        part.ask(question := Question(part, WANTED, self.window))
        return self.dense.believe(question, came, complete=True) != question

    @property
    def margins_are_fine(self) -> bool:
        return self.known.grain_of(dense=True).margins.step < SECOND

    @property
    def other_is_asked_again(self) -> bool:
        return self.other.state == Waiting()

    def shown(self, starts: Sequence[int]) -> list[int]:
        """The rows that the window shows of these."""
        return [at for at in starts if self.window.start <= at <= self.window.till]

    def believe(self, came: Page) -> Range | None:
        """Return the range that is believed, if any is."""
        question = self.dense.believe(self.question, came, complete=came.complete)
        assert question is None or (question.part, question.window) == (self.part, self.window)
        return None if question is None else question.range


# --- what is believed -----------------------------------------------------------------------------------------------------


def test_a_page_without_gaps_shows_all_of_its_range() -> None:
    dense = Dense()
    assert dense.believe(page(dense.shown(STARTS))) == WANTED
    assert (dense.margins_are_fine, dense.other_is_asked_again) == (True, False)


def test_a_part_that_is_not_dense_is_believed_whatever_its_page_shows() -> None:
    dense = Dense(Hints())
    assert dense.believe(page([])) == WANTED
    assert dense.part.hints == Hints()


@pytest.mark.parametrize(("fine", "complete"), [(True, False), (False, True)])
def test_a_gap_raises_no_doubt_in_a_full_page_or_with_whole_seconds(fine: bool, complete: bool) -> None:
    dense = Dense(window=None if fine else WHOLE_SECONDS.around(WANTED))
    if not fine:
        dense.known.refute()
    assert (
        dense.believe(page([at for at in dense.shown(STARTS) if at > 502_900 * MILLISECOND], complete=complete))
        == WANTED
    )


def test_a_gap_raises_no_doubt_if_the_server_is_seen_to_cut_the_second_of_the_bound() -> None:
    """A row of that second, which an earlier page has shown, lies behind the window and did not come."""
    beyond = [(to_datetime(503_900 * MILLISECOND), "1")]
    dense = Dense(task=Read(Seam(Part(WANTED), True, 0, 0, beyond, 0, 0, None)))
    assert dense.window.till < 503_900 * MILLISECOND
    assert dense.believe(page([at for at in dense.shown(STARTS) if at < 503_100 * MILLISECOND])) == WANTED


def claim_of(starts: Sequence[int]) -> Prove:
    return Prove(Claim(page(starts), [], 1, Window(WANTED.start, WANTED.end)))


@pytest.mark.parametrize("task", [Read(), claim_of(STARTS[:260])], ids=["of a part", "of a claim"])
def test_an_end_at_which_rows_seem_to_be_missing_is_left_to_be_asked_with_whole_seconds(task: Task) -> None:
    dense = Dense(task=task)
    came = page([at for at in dense.shown(STARTS) if at < 502_900 * MILLISECOND])
    believed = dense.believe(came)
    assert believed is not None
    assert (believed.start, believed.end < 502_900 * MILLISECOND) == (WANTED.start, True)
    # The newest first.
    rest, part, _ = dense.world.plan
    assert (part, part.range, rest.range) == (dense.part, believed, Range(believed.end, WANTED.end))
    assert rest.hints == Hints(doubted=came)


# A row every ten milliseconds, but for a gap of 650 at the end.
PAUSING = [at for at in STARTS if at < 502_900 * MILLISECOND]


def check_gap(dense: Dense, *, task: Task | None = None, complete: bool = True) -> None:
    """Have a gap checked with whole seconds: its rows are known."""
    part = Part(WANTED, Waiting(task or Read()), Hints(doubted=page(PAUSING)))
    part.ask(question := Question(part, WANTED, WHOLE_SECONDS.around(WANTED)))
    assert dense.dense.believe(question, page(PAUSING, complete=complete), complete=complete) == question


def test_once_four_gaps_held_nothing_one_page_in_32_is_doubted() -> None:
    dense = Dense()
    came = page(dense.shown(PAUSING))
    for _ in range(4):
        assert dense.doubts(came)
        check_gap(dense)
    for _ in range(2):
        assert [dense.doubts(came) for _ in range(32)] == 31 * [False] + [True]


@pytest.mark.parametrize(
    ("task", "complete"), [(Resolve(Window(0, 1)), True), (None, False)], ids=["of less than the gap", "full"]
)
def test_a_page_that_need_not_show_the_gap_does_not_count(task: Task | None, complete: bool) -> None:
    dense = Dense()
    for _ in range(4):
        check_gap(dense, task=task, complete=complete)
    assert dense.believe(page(dense.shown(PAUSING))) != WANTED


def test_a_page_with_finer_margins_settles_no_doubt_of_a_page_with_finer_margins() -> None:
    """A full page with whole seconds is cut, and its pieces have finer margins: these would leave out what the first page did."""
    dense = Dense()
    for _ in range(4):
        hints = Hints(dense=True, doubts=1, doubted=page(STARTS))
        part = Part(WANTED, Waiting(), hints)
        part.ask(question := Question(part, WANTED, dense.window))
        assert dense.dense.believe(question, page(dense.shown(STARTS)), complete=True) == question
        assert part.hints == hints
    assert dense.doubts(page(dense.shown(PAUSING)))


@pytest.mark.parametrize("more", [[], [MISSING]])
def test_the_rows_of_a_part_that_was_asked_without_margins_settle_a_doubt(more: list[int]) -> None:
    dense = Dense()
    for _ in range(4):
        part = Part(WANTED, Waiting(), Hints(doubts=1, doubted=page(PAUSING)))
        dense.dense.settle(part, page([*PAUSING, *more]).rows)
    assert (dense.margins_are_fine, dense.other_is_asked_again) == (not more, bool(more))
    if not more:
        assert not dense.doubts(page(dense.shown(PAUSING)))


def test_the_rows_of_a_part_that_nobody_doubts_settle_nothing() -> None:
    dense = Dense()
    for _ in range(4):
        dense.dense.settle(Part(WANTED, Waiting(), DENSE), page(PAUSING).rows)
    assert dense.doubts(page(dense.shown(PAUSING)))


@pytest.mark.parametrize(
    "task", [Read(), Recheck(Window(0, 1), 3, page([]).keys)], ids=["at both ends", "at one, of a page that is checked"]
)
def test_a_page_at_which_rows_seem_to_be_missing_is_asked_again_with_whole_seconds(task: Task) -> None:
    dense = Dense(task=task)
    first = 501_000 * MILLISECOND if isinstance(task, Read) else 0
    came = page([at for at in dense.shown(STARTS) if first < at < 502_900 * MILLISECOND])
    assert dense.believe(came) is None
    assert (dense.part.state, dense.part.hints) == (Waiting(), Hints(doubts=1, doubted=came))
    assert dense.margins_are_fine


def test_doubts_add_up() -> None:
    dense = Dense(evolve(DENSE, doubts=1))
    dense.believe(page([]))
    assert dense.part.hints.doubts == 2


@pytest.mark.parametrize(
    ("start", "till", "believed"),
    [(498_000, 505_000, True), (499_000, 505_000, False), (498_000, 504_000, False), (499_000, 504_000, False)],
)
def test_a_window_shows_a_range_if_its_margins_are_enough_at_both_ends(start: int, till: int, believed: bool) -> None:
    """Margins are of whole seconds: two before the range, and one behind it."""
    dense = Dense(window=Window(start * MILLISECOND, till * MILLISECOND))
    dense.known.refute()
    assert (dense.believe(page(STARTS, complete=False)) == WANTED) is believed


def test_the_windows_of_a_second_that_is_taken_apart_have_no_margins() -> None:
    dense = Dense(task=Resolve(Window(WANTED.start, WANTED.end)), window=Window(WANTED.start, WANTED.end))
    assert dense.believe(page([])) == WANTED


# --- what is known to be missing ------------------------------------------------------------------------------------------


def behind_a_seam() -> Read:
    return Read(Seam(Part(WANTED), True, 0, 0, [(to_datetime(MISSING), "1")], 0, 0, None))


@pytest.mark.parametrize(
    ("task", "hints"),
    [
        pytest.param(behind_a_seam(), DENSE, id="the page before it"),
        pytest.param(claim_of([*STARTS, MISSING]), DENSE, id="its claim"),
        pytest.param(Read(), evolve(DENSE, sample=Sample([MISSING], 1.0, 0.0)), id="the page that it was cut from"),
    ],
)
def test_a_known_row_that_does_not_come_refutes_the_finer_margins(task: Task, hints: Hints) -> None:
    dense = Dense(hints, task)
    came = [at for at in dense.shown(STARTS) if at != MISSING]
    dense.believe(page(came))
    assert (dense.margins_are_fine, dense.other_is_asked_again) == (False, True)


def test_rows_that_no_page_has_shown_are_not_missed() -> None:
    dense = Dense(task=claim_of(STARTS))
    dense.believe(page(dense.shown(STARTS)))
    assert dense.margins_are_fine


# --- doubts that are settled ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "complete", "refuted"),
    [([], True, False), ([MISSING], True, True), ([], False, False), ([MISSING], False, True)],
)
def test_a_page_with_whole_seconds_settles_a_doubt(more: list[int], complete: bool, refuted: bool) -> None:
    doubted = page(STARTS)
    dense = Dense(Hints(doubts=1, doubted=doubted), window=WHOLE_SECONDS.around(WANTED))
    assert dense.believe(page([*STARTS, *more], complete=complete)) == WANTED
    assert (dense.margins_are_fine, dense.other_is_asked_again) == (not refuted, refuted)
    # A full page may not have all rows.
    assert dense.part.hints == Hints(doubts=1, doubted=None if complete else doubted)


def test_rows_beside_the_part_say_nothing_of_a_doubt() -> None:
    dense = Dense(Hints(doubts=1, doubted=page(STARTS)), window=WHOLE_SECONDS.around(WANTED))
    dense.believe(page([WANTED.start - SECOND, *STARTS, WANTED.end + SECOND]))
    assert dense.margins_are_fine


def test_whole_seconds_are_what_is_known_at_first() -> None:
    assert KnownMargins().grain_of(dense=True).margins is WHOLE_SECONDS
