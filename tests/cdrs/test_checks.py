"""Complete pages whose size is in doubt: which is checked next, what they hold back, and what is asked again if a cap was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import pytest

from tests.cdrs.simulated import record
from unlimcall_async.cdrs.planner.checks import Checks, lacks_known_rows
from unlimcall_async.cdrs.planner.density import Hints, Sample
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.page_cap import PageCap, PagesCutError
from unlimcall_async.cdrs.planner.parts import Asked, Done, Part, Question, Read, Seam, Task, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.tasks import Claim, Doubt, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import SECOND, Range, Window

pytestmark = pytest.mark.own_rules

# The length of each part. A page has a row each second, from the start of its part on.
LENGTH: Final = 1000 * SECOND
FIRST: Final = Range(0, LENGTH)
WINDOW: Final = with_margins(FIRST)


def page_at(seconds: Sequence[int]) -> Page:
    rows = [record(each * SECOND, each) for each in seconds]
    return Page(rows, [row.start_time for row in rows], len(rows), complete=True)


def asked(wanted: Range, task: Task | None = None, hints: Hints | None = None) -> Part:
    """Return a part with a question under way."""
    part = Part(wanted, Waiting(task or Read()), hints)
    part.ask(Question(part, wanted, with_margins(wanted)))
    return part


def question_in(part: Part) -> Question:
    assert part.question is not None
    return part.question


def probe_in(part: Part) -> Probe:
    assert isinstance(part.task, Probe)
    return part.task


class World:
    """A plan of parts that were all asked, and the checks of its pages. No person sets caps like the sizes that are used here."""

    def __init__(self, parts: int = 2, cap: PageCap | None = None) -> None:
        self.cap = cap or PageCap()
        wanted = [Range(place * LENGTH, (place + 1) * LENGTH) for place in range(parts)]
        self.plan = Plan(Range(0, parts * LENGTH), Sizes.of(1000, 4, BUFFER), newest_first=False)
        first = self.plan.first
        assert first is not None
        self.parts = [asked(each) for each in wanted]
        self.plan.replace(first, self.parts)
        self.checks = Checks(self.plan, self.cap)

    def come(
        self,
        place: int,
        rows: int,
        number: int = 1,
        *,
        expected: float = 0,
        lacks: bool = False,
        descending: bool | None = None,
    ) -> bool:
        """Have a complete page come for a part, and return whether it is in doubt."""
        part = self.parts[place]
        page = page_at(range(1000 * place, 1000 * place + rows))
        self.cap.holds_window(page)
        question = question_in(part)
        return self.checks.begin(question, page, number, expected=expected, lacks=lacks, descending=descending)

    def ask(self, place: int) -> None:
        """Ask a part the window that it waits for."""
        part = self.parts[place]
        part.ask(Question(part, part.range, WINDOW))

    def finish(self, place: int, rows: int = 1, *, by_order: bool = False) -> None:
        """Have a part done."""
        self.parts[place].finish(Done([], rows, Basis(WINDOW, rows, rows, 8 if by_order else None)))

    def recheck(self, place: int) -> None:
        """Have a part asked once more, because the page of a piece was not as expected."""
        if self.parts[place].question is None:
            self.ask(place)
        self.parts[place].turn_to(Recheck(WINDOW, 41, Counter()))

    def find_cap(self, rows: int) -> None:
        """Have a page with so many rows turn out to be cut."""
        known = page_at(range(rows + 1))
        assert self.cap.confirm(Recheck(WINDOW, rows, known.keys), page_at(range(rows)))


# --- which pages are in doubt ---------------------------------------------------------------------------------------------


def test_the_largest_page_is_in_doubt_and_its_part_waits_for_a_piece() -> None:
    world = World()
    assert world.come(0, 41, 7)
    probe = probe_in(world.parts[0])
    assert (probe.rows, probe.number, probe.doubt, len(probe.windows)) == (41, 7, Doubt.LARGEST, 2)
    assert probe.window == WINDOW
    assert [row.id for row in probe.records] == [f"{each}" for each in range(41)]


def test_a_page_is_in_doubt_by_its_size_by_what_was_expected_and_by_rows_that_it_lacks() -> None:
    small = World()
    assert not small.come(0, 9)
    assert isinstance(small.parts[0].state, Asked)
    assert small.come(1, 9, lacks=True)
    assert probe_in(small.parts[1]).doubt is Doubt.UNUSUAL
    usual = World()
    usual.come(0, 41)
    assert not usual.come(1, 20, expected=180)
    assert usual.come(1, 20, expected=181)
    assert probe_in(usual.parts[1]).doubt is Doubt.UNUSUAL


def test_a_page_waits_for_the_check_of_its_own_pull_alone() -> None:
    """Pulls of one client share what is known of the cap. The check of another pull may never come to its end."""
    world = World(3)
    assert [world.come(place, 41) for place in range(3)] == [True, True, False]
    other = World(3, world.cap)
    assert other.come(0, 41)
    assert probe_in(other.parts[0]).doubt is Doubt.LARGEST_AGAIN
    another = World(3, world.cap)
    assert another.come(0, 41)
    assert probe_in(another.parts[0]).doubt is Doubt.LARGEST
    assert not another.come(1, 41)


@pytest.mark.parametrize("descending", [True, False])
def test_in_a_known_order_one_piece_is_enough_where_a_cap_leaves_rows_out(descending: bool) -> None:
    world = World()
    assert world.come(0, 41, descending=descending)
    (window,) = probe_in(world.parts[0]).windows
    assert (window.start == WINDOW.start) is descending


def test_a_window_without_shorter_pieces_is_not_checked() -> None:
    world, wanted = World(1), Range(0, SECOND)
    part = asked(wanted)
    question = Question(part, wanted, Window(0, SECOND))
    page = page_at([0] * 41)
    world.cap.holds_window(page)
    assert not world.checks.begin(question, page, 1, expected=0, lacks=False, descending=True)
    assert isinstance(part.state, Asked)


# --- what is checked next -------------------------------------------------------------------------------------------------


def test_without_a_doubt_nothing_is_due() -> None:
    assert World().checks.due(100, idle=True) is None


@pytest.mark.parametrize(("pages", "due"), [(5, False), (6, False), (7, True)])
def test_a_page_is_checked_after_four_more_or_if_nothing_else_is_to_be_asked(pages: int, due: bool) -> None:
    world = World()
    world.come(0, 41, 3)
    part = world.parts[0]
    assert world.checks.due(pages, idle=False) is (part if due else None)
    assert world.checks.due(pages, idle=True) is (part if due else None), "a question is under way"
    world.finish(1)
    assert world.checks.due(pages, idle=False) is (part if due else None)
    assert world.checks.due(pages, idle=True) is part


def test_an_unusual_page_is_checked_at_once() -> None:
    world = World()
    world.come(0, 41, 1, lacks=True)
    assert world.checks.due(1, idle=False) is world.parts[0]


def test_the_largest_page_is_checked_first_whichever_is_urgent() -> None:
    for numbers in ((1, 5), (5, 1)):
        for rows in ((41, 53), (53, 41)):
            world = World(3)
            order = sorted((0, 1), key=lambda place: rows[place])
            for place in order:
                world.come(place, rows[place], numbers[place])
            # The smaller page is in doubt for its size alone.
            assert world.checks.due(5, idle=False) is world.parts[order[1]]


def test_of_two_pages_with_as_many_rows_one_is_checked() -> None:
    world = World(3)
    world.come(0, 41)
    world.come(1, 41)
    assert [probe_in(part).doubt for part in world.parts[:2]] == [Doubt.LARGEST, Doubt.LARGEST_AGAIN]
    assert world.checks.due(9, idle=False) is world.parts[0]


def test_a_check_that_has_begun_goes_on_first() -> None:
    world = World(3)
    world.come(0, 41)
    world.come(1, 53)
    world.ask(0)
    assert world.checks.due(9, idle=True) is None, "one check at a time"
    probe = probe_in(world.parts[0])
    more = Probe(probe.windows[1:], probe.records, probe.page, probe.basis, 1, Doubt.LARGEST, begun=True)
    world.parts[0].turn_to(more)
    assert world.checks.due(1, idle=False) is world.parts[0]


def test_a_window_that_is_asked_again_as_a_whole_comes_before_all() -> None:
    world = World(3)
    world.come(0, 41)
    world.come(1, 53)
    world.recheck(0)
    assert world.checks.due(1, idle=False) is world.parts[0]
    world.ask(0)
    assert world.checks.due(9, idle=False) is world.parts[1]


@pytest.mark.parametrize("saturated", [True, False])
def test_behind_a_part_that_has_failed_nothing_is_checked(saturated: bool) -> None:
    world = World(3)
    world.come(0, 41)
    world.come(2, 53)
    stopped = world.parts[1]
    if saturated:
        stopped.saturate([])
    else:
        stopped.fail(OSError())
    assert world.checks.due(9, idle=False) is world.parts[0]
    assert world.checks.holds_back(41)
    assert not world.checks.holds_back(60)


def test_a_check_that_has_failed_is_due_again_once_its_part_waits_again() -> None:
    for task in (Probe, Recheck):
        world = World(1)
        world.come(0, 41)
        if task is Recheck:
            world.recheck(0)
        world.ask(0)
        (part,) = world.parts
        part.fail(OSError())
        assert world.checks.due(9, idle=False) is None
        assert not world.checks.holds_back(41)
        part.reset()
        assert world.checks.due(9, idle=False) is part


def test_a_part_whose_doubt_has_ended_is_not_checked_any_more() -> None:
    for end in (World.ask, World.recheck):
        world = World()
        world.come(0, 41)
        end(world, 0)
        if world.parts[0].question is None:
            world.ask(0)
        world.finish(0)
        assert world.checks.due(9, idle=True) is None
        assert not world.checks.holds_back(41)


# --- doubts that end by themselves ----------------------------------------------------------------------------------------


def test_a_far_larger_page_clears_those_that_wait() -> None:
    world = World(5)
    for place, rows in enumerate((11, 17, 26, 41)):
        assert world.come(place, rows)
    world.recheck(0)
    world.ask(1)
    assert world.checks.clear() == [world.parts[2]], "one was asked, one is asked again, one is the largest"
    assert world.parts[2].state == Done(world.parts[2].records, 26, Basis(with_margins(world.parts[2].range), 26, 26))
    assert len(world.parts[2].records) == 26
    assert world.checks.clear() == []


def test_at_the_end_of_a_pull_its_largest_page_goes_unchecked() -> None:
    world = World()
    world.come(0, 41)
    assert world.checks.clear() == [], "a question is under way"
    world.finish(1)
    assert world.checks.clear() == [world.parts[0]]
    assert isinstance(world.parts[0].state, Done)


def test_at_the_end_of_a_pull_a_page_that_looks_cut_is_still_in_doubt() -> None:
    world = World()
    world.come(0, 50)
    world.finish(1)
    assert world.checks.clear() == []


def test_a_part_that_is_asked_again_is_not_the_end_of_a_pull() -> None:
    world = World()
    world.come(0, 41)
    world.come(1, 53)
    world.recheck(0)
    assert world.checks.clear() == []
    assert isinstance(probe_in(world.parts[1]), Probe)


# --- what is held back, and what was handed out ---------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "held"), [(0, False), (30, False), (31, True), (41, True), (54, True), (55, False)])
def test_pages_like_one_that_is_in_doubt_are_held_back(rows: int, held: bool) -> None:
    assert not World().checks.holds_back(rows)
    probed, rechecked = World(), World()
    probed.come(0, 41)
    rechecked.come(0, 41)
    rechecked.recheck(0)
    assert probed.checks.holds_back(rows) is rechecked.checks.holds_back(rows) is held


def test_a_page_of_one_row_may_be_held_back() -> None:
    world = World()
    world.come(0, 1, lacks=True)
    assert world.checks.holds_back(1)


def test_what_may_have_been_cut_is_asked_again_once_a_cap_is_found() -> None:
    world = World(6)
    world.come(0, 41)
    world.come(1, 41, lacks=True)
    world.recheck(1)
    for place, rows in ((2, 41), (3, 29)):
        world.finish(place, rows)
    world.finish(4, 41, by_order=True)
    before = [part.state for part in world.parts]
    world.checks.heed()
    assert [part.state for part in world.parts] == before, "no cap was found"
    world.find_cap(40)
    world.checks.heed()
    states = [part.state for part in world.parts]
    assert (states[0], states[2]) == (Waiting(), Waiting())
    others = (1, 3, 4, 5)
    assert [states[place] for place in others] == [before[place] for place in others]
    world.ask(2)
    world.finish(2, 41)
    world.checks.heed()
    assert isinstance(world.parts[2].state, Done), "the cap was heeded before"


def test_a_page_that_was_not_in_doubt_for_its_size_stays_as_it_waits() -> None:
    world = World()
    world.come(0, 41)
    before = world.parts[0].state
    world.find_cap(20)
    world.checks.heed()
    assert world.parts[0].state == before


def test_a_cap_that_was_found_before_the_plan_began_is_not_news() -> None:
    world = World()
    world.find_cap(40)
    world.finish(0, 41)
    Checks(world.plan, world.cap).heed()
    assert isinstance(world.parts[0].state, Done)
    world.checks.heed()
    assert world.parts[0].task == Read()


def test_a_cut_page_that_was_handed_out_ends_the_pull() -> None:
    world = World()
    for rows in (0, 37, 38, 39, 43, 1000):
        world.checks.note_handed_out(rows)
    world.find_cap(40)
    with pytest.raises(PagesCutError) as caught:
        world.checks.heed()
    assert caught.value.cap == 40
    world.find_cap(40)
    world.checks.heed()


def test_the_error_names_the_largest_such_page_if_the_cap_has_ended() -> None:
    world = World()
    for rows in (40, 42, 41):
        world.checks.note_handed_out(rows)
    assert not world.cap.confirm(Recheck(WINDOW, 41, Counter()), page_at(range(57)))
    with pytest.raises(PagesCutError) as caught:
        world.checks.heed()
    assert caught.value.cap == 42


def test_pages_far_from_a_cap_were_not_cut() -> None:
    world = World()
    for rows in (0, 37, 43, 1000):
        world.checks.note_handed_out(rows)
    world.find_cap(40)
    world.checks.heed()


# --- rows that do not come again ------------------------------------------------------------------------------------------


def test_a_page_lacks_rows_if_a_sample_of_its_window_had_more() -> None:
    starts = [each * SECOND for each in range(10)]
    hints = Hints(Sample(starts, 1.0, 0.0))
    for rows, lacks in ((9, True), (10, False), (11, False)):
        part = asked(FIRST, hints=hints)
        assert lacks_known_rows(question_in(part), page_at(range(rows))) is lacks
        outside = page_at([*range(rows), *range(2000, 2010)])
        assert lacks_known_rows(question_in(part), outside) is lacks
    question = Question(asked(FIRST, hints=hints), Range(0, 5 * SECOND), WINDOW)
    assert not lacks_known_rows(question, page_at(range(5)))
    assert lacks_known_rows(question, page_at(range(4)))


@pytest.mark.parametrize(
    ("came", "lacks"),
    [
        (range(10, 20), False),
        (range(10, 21), False),
        (range(11, 20), True),
        (range(11, 21), True),
        ([*range(10, 20), 1005], False),
    ],
)
def test_a_page_lacks_rows_that_a_claim_has(came: Sequence[int], lacks: bool) -> None:
    earlier = page_at([*range(10, 20), 1001, 1002])
    task = Prove(Claim(earlier, earlier.rows_of(FIRST), 1, WINDOW))
    assert lacks_known_rows(question_in(asked(FIRST, task)), page_at(came)) is lacks


# A seam between 400 s and 410 s. Margins leave what a window surely shows: two seconds less before, and one less behind.
@pytest.mark.parametrize(
    ("descending", "window", "shown"),
    [(True, (400, 500), range(402, 409)), (False, (300, 410), range(402, 409))],
)
def test_a_page_lacks_rows_that_the_page_before_has_where_both_surely_show_them(
    descending: bool, window: tuple[int, int], shown: range
) -> None:
    reach = (410 if descending else 400) * SECOND
    for near in range(395, 415):
        part, key = asked(FIRST), page_at([near]).keys_of(FIRST)
        seam = Seam(Part(FIRST), descending, reach, 405 * SECOND, key, 0, 0, None)
        question = Question(asked(FIRST, Read(seam)), part.range, Window(window[0] * SECOND, window[1] * SECOND))
        assert lacks_known_rows(question, page_at([])) is (near in shown)
        assert not lacks_known_rows(question, page_at([near]))
        assert not lacks_known_rows(question, page_at([near, near + 1]))


def test_no_other_page_lacks_rows() -> None:
    for task in (Read(), Resolve(WINDOW)):
        assert lacks_known_rows(question_in(asked(FIRST, task)), page_at([])) is False
