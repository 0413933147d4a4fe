"""How long a pull takes in rounds: the answers that come one after the other, each as late as any, without a rate limit."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import pytest

from tests.cdrs.simulated import Habits, Order, Server, page_of, record
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range

pytestmark = pytest.mark.own_rules

YEAR = Range(0, 365 * 86_400 * SECOND)
PAGE, PAGES = 100, 100
# How many times as fast as one request at a time so many at once are.
FASTER = {4: 2.4, 8: 3.4}


@lru_cache
def server_of(order: Order) -> Server:
    calls = PAGE * PAGES
    step = YEAR.end // calls // MILLISECOND * MILLISECOND
    return Server([record(number * step, number) for number in range(calls)], Habits(order))


@lru_cache
def rounds_of(order: Order, concurrency: int, *, newest_first: bool) -> int:
    """Pull a year, and count the rounds. What is asked in one round is answered in the next."""
    planner = Planner(YEAR, newest_first=newest_first, page_size=PAGE, concurrency=concurrency)
    under_way: deque[tuple[int, Question]] = deque()
    now = 0
    while not planner.finished:
        while len(under_way) < concurrency and (question := planner.next_question()):
            under_way.append((now + 1, question))
        now, question = under_way.popleft()
        rows, complete = server_of(order).answer(question.window, PAGE)
        planner.receive(question, page_of(rows, complete=complete))
        while planner.take_first():
            pass
    return now


@pytest.mark.rest_slow
@pytest.mark.parametrize("concurrency", FASTER)
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_requests_at_once_make_a_pull_faster(newest_first: bool, concurrency: int) -> None:
    one = rounds_of("newest_first", 1, newest_first=newest_first)
    assert one / rounds_of("newest_first", concurrency, newest_first=newest_first) >= FASTER[concurrency]


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_one_request_at_a_time_takes_a_round_for_each_page(newest_first: bool) -> None:
    assert rounds_of("newest_first", 1, newest_first=newest_first) <= 1.2 * PAGES
