"""The planner against a simulated server: every record once, in order, whatever the server is like."""

from __future__ import annotations

import random
from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cdrs.simulated import ALL_HABITS, Habits, Pull, Saturated, Server, answer_of, expected, record
from unlimcall_async.cdrs.cutting import BUFFER
from unlimcall_async.cdrs.instants import Range, moment_of_micros
from unlimcall_async.cdrs.parts import Question, State
from unlimcall_async.cdrs.planner import Planner

MINUTE = 60_000


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], Habits, int, Range, bool, int, int]:
    limit = draw(st.integers(3, 25))
    millis = draw(
        st.lists(
            st.one_of(
                st.integers(0, 20 * MINUTE),
                st.integers(0, 30).map(lambda second: second * 1000),
                st.integers(5_000, 7_000),
                st.sampled_from([9_999, 10_000, 10_001, 10_999, 11_000]),
            ),
            min_size=draw(st.sampled_from([0, 3 * limit])),
            max_size=150,
        )
    )
    start = draw(st.one_of(st.just(0), st.integers(0, 12_000)))
    end = draw(st.one_of(st.just(20 * MINUTE), st.integers(start, 20 * MINUTE)))
    return (
        millis,
        draw(st.sampled_from(ALL_HABITS)),
        limit,
        Range(start, end),
        draw(st.booleans()),
        draw(st.sampled_from([1, 4])),
        draw(st.integers(0, 9)),
    )


def may_saturate(server: Server, limit: int) -> bool:
    """Whether the finest window around some instant that the server tells apart holds as many rows as a page can."""
    step = server.habits.step * 1000
    places = Counter(at // step for at, _, _ in server._rows)
    # With both bounds included, and steps as fine as the API writes times, two instants are the least that can be asked.
    pair = server.habits.from_included and server.habits.till_included and server.habits.step == 1
    return any(
        places[place] + (min(places[place - 1], places[place + 1]) if pair else 0) >= limit for place in list(places)
    )


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_record_comes_once_and_in_order(case: tuple[list[int], Habits, int, Range, bool, int, int]) -> None:
    millis, habits, limit, wanted, newest_first, concurrency, seed = case
    records = [record(at, number) for number, at in enumerate(millis)]
    server = Server(records, habits)
    pull = Pull(server, wanted, limit, newest_first, concurrency, random.Random(seed))
    whole = expected(records, wanted, newest_first=newest_first)
    outcome = pull.run()
    if isinstance(outcome, Saturated):
        assert outcome.before == whole[: len(outcome.before)]
        assert may_saturate(server, limit)
        assert len(outcome.where) <= 1000
        held = expected(records, outcome.where, newest_first=newest_first)
        # What fills the pages may lie in the same second, before the range.
        assert outcome.seen or not held or any(at // 1000 * 1000 == outcome.where.start // 1000 * 1000 for at in millis)
        assert all(each in held for each in outcome.seen)
    else:
        assert outcome == whole


def questions_until_none(planner: Planner) -> list[Question]:
    found = []
    while question := planner.next_question():
        found.append(question)
    return found


YEARS = Range(0, 10 * 365 * 24 * 3_600_000)


def test_what_is_done_and_waits_for_the_first_part_is_held_and_bounded() -> None:
    planner = Planner(YEARS, newest_first=False, page_size=100, concurrency=4)
    first = planner.next_question()
    assert first is not None
    while others := questions_until_none(planner):
        for question in others:
            rows = [record(question.part.range.start + at, at) for at in range(99)]
            planner.answer(question, answer_of(rows, complete=True))
    assert 0 < planner.held <= 4 * 100 * BUFFER
    assert first.part.state is State.ASKED


def test_what_all_others_wait_for_may_always_be_asked() -> None:
    planner = Planner(YEARS, newest_first=False, page_size=10, concurrency=1)
    first = planner.next_question()
    assert first is not None
    rows = [record(first.part.range.start + at, at) for at in range(10)]
    planner.answer(first, answer_of(rows, complete=False))
    again = planner.next_question()
    assert again is not None
    assert again.part.range.start == first.part.range.start


def test_nothing_is_asked_behind_a_part_that_has_failed() -> None:
    planner = Planner(YEARS, newest_first=False)
    first, second = planner.next_question(), planner.next_question()
    assert first is not None
    assert second is not None
    planner.fail(second, LookupError())
    planner.answer(first, answer_of([], complete=True))
    assert planner.take_first() is first.part
    assert planner.next_question() is None
    planner.forget()
    again = planner.next_question()
    assert again is not None
    assert again.part is second.part


def test_an_answer_that_comes_too_late_is_ignored() -> None:
    planner = Planner(YEARS, newest_first=False)
    question = planner.next_question()
    assert question is not None
    planner.forget()
    planner.answer(question, answer_of([], complete=True))
    planner.fail(question, LookupError())
    assert planner.take_first() is None


def test_a_server_that_contradicts_itself_is_not_asked_without_end() -> None:
    """Always full, with rows that no window could give: an error in the end, and no answer of it is taken for the whole."""
    planner = Planner(Range(0, 5_000), newest_first=False)
    chance = random.Random(1)
    for _ in range(200):
        question = planner.next_question()
        if question is None:
            break
        window = question.window
        rows = [record(chance.randint(window.start, window.till), number) for number in range(3)]
        planner.answer(question, answer_of(rows, complete=False))
    else:
        raise AssertionError("it asks without end")
    part = planner.take_first()
    assert part is not None
    assert part.state is State.SATURATED


@pytest.mark.parametrize("habits", ALL_HABITS[:16], ids=str)
def test_times_finer_than_milliseconds_are_had(habits: Habits) -> None:
    finer = [
        attrs.evolve(record(10_000 + at // 3, at), start_time=moment_of_micros(10_000_000 + at * 333))
        for at in range(60)
    ]
    server = Server(finer, attrs.evolve(habits, step=1))
    wanted = Range(0, 20_000)
    assert Pull(server, wanted, 25).run() == expected(finer, wanted, newest_first=False)
