"""The planner against a simulated server: every record once, in order, whatever the server is like."""

from __future__ import annotations

import random
from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cdrs.simulated import ALL_HABITS, Habits, Pull, Server, Stopped, expected, page_of, readable, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.parts import Asked, Claimed, Done, Failed, Question, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.cdrs.planner.tasks import Prove
from unlimcall_async.cdrs.planner.windows import HOUR
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, floor, to_micros

pytestmark = pytest.mark.own_rules

MINUTE = 60 * SECOND


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], Habits, int, Range, bool, int, int]:
    limit = draw(st.integers(3, 25))
    starts = draw(
        st.lists(
            st.one_of(
                st.integers(0, 20 * 60_000),
                st.integers(0, 30).map(lambda second: second * 1000),
                st.integers(5_000, 7_000),
                st.sampled_from([9_999, 10_000, 10_001, 10_999, 11_000]),
            ).map(lambda millis: millis * MILLISECOND),
            min_size=draw(st.sampled_from([0, 3 * limit])),
            max_size=150,
        )
    )
    start = draw(st.one_of(st.just(0), st.integers(0, 12_000)))
    end = draw(st.one_of(st.just(20 * 60_000), st.integers(start, 20 * 60_000)))
    return (
        starts,
        draw(st.sampled_from(ALL_HABITS)),
        limit,
        Range(start * MILLISECOND, end * MILLISECOND),
        draw(st.booleans()),
        draw(st.sampled_from([1, 4])),
        draw(st.integers(0, 9)),
    )


def may_saturate(server: Server, limit: int) -> bool:
    """Whether the finest window around some instant that the server tells apart holds as many rows as a page can."""
    step = server.habits.step
    places = Counter(at // step for at, _, _ in server._rows)
    # With both bounds included, and steps as fine as the API writes times, two instants are the least that can be asked.
    pair = server.habits.from_included and server.habits.till_included and server.habits.step == MILLISECOND
    return any(
        places[place] + (min(places[place - 1], places[place + 1]) if pair else 0) >= limit for place in list(places)
    )


@settings(deadline=None)
@given(cases())
def test_every_record_comes_once_and_in_order(case: tuple[list[int], Habits, int, Range, bool, int, int]) -> None:
    starts, habits, limit, wanted, newest_first, concurrency, seed = case
    records = [record(at, number) for number, at in enumerate(starts)]
    server = Server(records, habits)
    pull = Pull(server, wanted, limit, newest_first, concurrency, random.Random(seed))
    whole = expected(records, wanted, newest_first=newest_first)
    outcome = pull.run()
    if isinstance(outcome, Stopped):
        assert outcome.before == whole[: len(outcome.before)]
        assert may_saturate(server, limit)
        assert len(outcome.where) <= SECOND
        held = expected(records, outcome.where, newest_first=newest_first)
        # What fills the pages may lie in the same second, before the range.
        assert outcome.seen or not held or any(floor(at, SECOND) == floor(outcome.where.start, SECOND) for at in starts)
        assert all(each in held for each in outcome.seen)
    else:
        assert outcome == whole


def questions_until_none(planner: Planner) -> list[Question]:
    found = []
    while question := planner.next_question():
        found.append(question)
    return found


YEARS = Range(0, 10 * 365 * 24 * 60 * MINUTE)


def looking_ahead(planner: Planner) -> None:
    """Have a planner hand out a dozen parts, so that several questions may be under way."""
    # Sizes that do not repeat, so that no page is checked.
    for rows in (9, *range(1, 9), 1, 2, 3):
        question = planner.next_question()
        assert question is not None
        planner.receive(question, page_of([record(question.range.start, n) for n in range(rows)], complete=True))
        assert planner.take_first() is question.part


def test_what_is_done_and_waits_for_the_first_part_is_held_and_bounded() -> None:
    planner = Planner(YEARS, newest_first=False, page_size=100, concurrency=4)
    looking_ahead(planner)
    first = planner.next_question()
    assert first is not None
    while others := questions_until_none(planner):
        for question in others:
            # A question that checks such a page asks for pieces of its window.
            ats = [question.part.range.start + at * MILLISECOND for at in range(99)]
            rows = [record(at, n) for n, at in enumerate(ats) if question.window.start <= at <= question.window.till]
            planner.receive(question, page_of(rows, complete=True))
    assert 0 < planner.held <= 4 * 100 * BUFFER
    assert isinstance(first.part.state, Asked)


@pytest.mark.parametrize("came_before", [False, True], ids=["a size that came once", "a size that came again"])
def test_a_check_that_fails_hands_out_only_a_page_whose_size_came_once(came_before: bool) -> None:
    """A page is complete by assumption. A size that comes again speaks against that."""
    page, known = page_of([record(at * SECOND, at) for at in range(100)], complete=True), KnownServer()
    if came_before:
        known.cap.holds_window(page)
        known.cap.doubt(page, 0, lacks=False, waits=False)
    planner = Planner(Range(0, 1000 * SECOND), newest_first=False, page_size=1000, concurrency=1, known=known)
    question = planner.next_question()
    assert question is not None
    planner.receive(question, page)
    check = planner.next_question()
    assert check is not None
    error = LookupError()
    planner.fail(check, error)
    part = planner.take_first()
    assert part is not None
    if not came_before:
        assert (len(part.records), planner.finished) == (100, True)
        return
    assert isinstance(part.state, Failed)
    assert part.state.error is error
    planner.reset()
    again = planner.next_question()
    assert again is not None
    assert again.window == check.window


def test_what_all_others_wait_for_may_always_be_asked() -> None:
    planner = Planner(YEARS, newest_first=False, page_size=10, concurrency=1)
    first = planner.next_question()
    assert first is not None
    rows = [record(first.part.range.start + at * MILLISECOND, at) for at in range(10)]
    planner.receive(first, page_of(rows, complete=False))
    again = planner.next_question()
    assert again is not None
    assert again.part.range.start == first.part.range.start


def test_nothing_is_asked_behind_a_part_that_has_failed() -> None:
    planner = Planner(YEARS, newest_first=False)
    looking_ahead(planner)
    first, second = planner.next_question(), planner.next_question()
    assert first is not None
    assert second is not None
    planner.fail(second, LookupError())
    planner.receive(first, page_of([], complete=True))
    assert planner.take_first() is first.part
    assert planner.next_question() is None
    planner.reset()
    again = planner.next_question()
    assert again is not None
    assert again.part is second.part


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_a_failure_costs_its_window_and_nothing_before_it(newest_first: bool) -> None:
    """Against the output a chain begins at the far end of a part that may be months long: only that window fails."""
    year = Range(0, 365 * 24 * 60 * MINUTE)
    records = [record(at * 5 * 60 * MINUTE, at) for at in range(len(year) // (5 * 60 * MINUTE))]
    server = Server(records, Habits("oldest_first" if newest_first else "newest_first"))
    planner = Planner(year, newest_first=newest_first, page_size=100, concurrency=1)
    output: list[CallRecord] = []
    failed: Question | None = None
    while (part := planner.take_first()) is None or not isinstance(part.state, Failed):
        if part is not None:
            output += in_output_order(readable(part.records), newest_first=newest_first)
        elif (question := planner.next_question()) is not None:
            if failed is None and question.range != question.part.range:
                failed = question
                planner.fail(question, LookupError())
            else:
                rows, complete = server.answer(question.window, 100)
                planner.receive(question, page_of(rows, complete=complete))
    assert failed is not None
    assert part is failed.part
    before = Range(failed.range.end, year.end) if newest_first else Range(year.start, failed.range.start)
    assert len(before) > 60 * 24 * 60 * MINUTE
    assert output == expected(records, before, newest_first=newest_first)


def test_the_claim_before_a_page_that_failed_is_asked_at_once() -> None:
    """No page will agree with the claim any more. Otherwise its records would wait until nothing else is under way."""
    records = [record(at * MINUTE, at) for at in range(2000)]
    server = Server(records, Habits("newest_first"))
    planner = Planner(Range(0, 2000 * MINUTE), newest_first=True, page_size=100, concurrency=1)
    while True:
        question = planner.next_question()
        assert question is not None
        seam = question.part.seam
        if seam is not None and isinstance(seam.claimed.state, Claimed) and planner.take_first() is not None:
            break
        rows, complete = server.answer(question.window, 100)
        planner.receive(question, page_of(rows, complete=complete))
    planner.fail(question, LookupError())
    assert isinstance(seam.claimed.task, Prove)


def test_an_answer_that_comes_too_late_is_ignored() -> None:
    planner = Planner(YEARS, newest_first=False)
    question = planner.next_question()
    assert question is not None
    planner.reset()
    planner.receive(question, page_of([], complete=True))
    planner.fail(question, LookupError())
    assert planner.take_first() is None
    again = planner.next_question()
    assert again is not None
    # Neither does the old question take the place of the new one.
    planner.put_back(question)
    assert planner.narrow(question) is None
    assert again.part.question is again


def test_a_question_that_was_put_back_is_asked_again() -> None:
    planner = Planner(YEARS, newest_first=False)
    question = planner.next_question()
    assert question is not None
    planner.put_back(question)
    again = planner.next_question()
    assert again is not None
    assert (again.part, again.window) == (question.part, question.window)


@pytest.mark.parametrize(("longer", "narrowed"), [(0, False), (SECOND, True)])
def test_a_window_is_narrowed_unless_it_is_an_hour_wide_or_less(longer: int, narrowed: bool) -> None:
    """Two seconds before the range, and one behind it, belong to the window."""
    planner = Planner(Range(0, HOUR - 3 * SECOND + longer), newest_first=False)
    question = planner.next_question()
    assert question is not None
    assert len(question.window) == HOUR + longer
    assert (planner.narrow(question) is not None) == narrowed
    assert (question.part.question is None) == narrowed


@pytest.mark.slow
def test_a_server_that_contradicts_itself_is_not_asked_without_end() -> None:
    """Always full, with rows that no window could give: an error in the end, and no answer of it is taken for the whole."""
    planner = Planner(Range(0, 5 * SECOND), newest_first=False)
    chance = random.Random(1)
    for _ in range(200):
        question = planner.next_question()
        if question is None:
            break
        window = question.window
        rows = [record(floor(chance.randint(window.start, window.till), MILLISECOND), number) for number in range(3)]
        planner.receive(question, page_of(rows, complete=False))
    else:
        raise AssertionError("it asks without end")
    part = planner.take_first()
    assert part is not None
    assert isinstance(part.state, Saturated)


@pytest.mark.parametrize("habits", ALL_HABITS[:16], ids=str)
def test_times_finer_than_milliseconds_are_had(habits: Habits) -> None:
    finer = [record(10 * SECOND + at * 333, at) for at in range(60)]
    server = Server(finer, attrs.evolve(habits, step=MILLISECOND))
    wanted = Range(0, 20 * SECOND)
    assert Pull(server, wanted, 25).run() == expected(finer, wanted, newest_first=False)


def test_a_row_without_a_start_that_is_found_in_a_second_taken_apart_is_handed_out_once() -> None:
    rows = [record((400 + number) * MILLISECOND, number) for number in range(9)]
    # They share the window with margins, so that not all of it fits on a page.
    rows += [record((number - 1000) * MILLISECOND, 100 + number) for number in range(5)]
    planner = Planner(Range(0, SECOND), newest_first=False, page_size=10, concurrency=1)
    found = list[UnplacedRow]()
    while not planner.finished:
        question = planner.next_question()
        assert question is not None
        shown = Range(question.window.start, question.window.till)
        came = [row for row in rows if shown.holds(to_micros(row.start_time))]
        lost = UnplacedRow(where="calls[0]", reason="expected a time", body=b"7", window=question.window, before=0)
        unplaced = [lost] if shown.holds(450 * MILLISECOND) else []
        page = page_of(came[: 10 - len(unplaced)], complete=len(came) + len(unplaced) < 10)
        planner.receive(question, attrs.evolve(page, unplaced=unplaced, new_unplaced=unplaced))
        while part := planner.take_first():
            assert isinstance(part.state, Done)
            found += planner.hand_out(part.range, [*part.state.unplaced, *planner.vanished(part.range)])
    assert [row.body for row in found] == [b"7"]
