"""Full pages: when a chain is short enough to prove its order by its end, and a page that is short for good."""

from __future__ import annotations

import random

import pytest

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner.full_pages import _is_nearly_all
from unlimcall_async.cdrs.planner.known_server import MOST_PRESUMED
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.page_cap import CountAboveRowsError
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, floor, to_micros

pytestmark = pytest.mark.own_rules


@pytest.mark.parametrize(
    ("first", "last", "wanted", "nearly"),
    [
        # Pages that reach over ten seconds, or twice that, cover so much with the one that ends the chain.
        (100, 110, 20 * (MOST_PRESUMED + 1), True),
        (100, 110, 20 * (MOST_PRESUMED + 1) + 1, False),
        (100, 100, 1, False),
    ],
)
def test_a_chain_is_short_if_twice_as_many_pages_as_may_be_presumed_cover_its_range(
    first: int, last: int, wanted: int, nearly: bool
) -> None:
    page = page_of([record(first * SECOND, 1), record(last * SECOND, 2)], complete=False)
    assert _is_nearly_all(page, Range(0, wanted * SECOND)) is nearly


def test_a_page_without_a_start_that_can_be_read_covers_nothing() -> None:
    assert not _is_nearly_all(page_of([], complete=False), Range(0, 1))


def test_an_instant_of_which_count_is_above_the_rows_for_good_is_an_error() -> None:
    """A page of another window is larger, so that a page cap is not the reason."""
    rows = [record(SECOND // 2, number) for number in range(6)]
    rows += [record((5 + number) * SECOND, 10 + number) for number in range(5)]
    planner = Planner(Range(0, 10 * SECOND), newest_first=False, page_size=10, concurrency=1)
    asked = list[Range]()

    def pull() -> None:
        while (question := planner.next_question()) is not None:
            asked.append(question.range)
            shown = Range(question.window.start, question.window.till)
            came = [row for row in rows if shown.holds(to_micros(row.start_time))]
            count = len(came) + 2 * shown.holds(SECOND // 2)
            page = page_of(came[:10], complete=False)
            planner.receive(question, Page(page.rows, page.starts, count, complete=count == len(came) < 10))

    with pytest.raises(CountAboveRowsError) as caught:
        pull()
    assert (caught.value.count, caught.value.rows) == (8, 6)
    assert asked[-1] == Range(SECOND // 2, SECOND // 2 + MILLISECOND)


def test_a_pause_that_two_pages_of_a_chain_have_shown_is_not_asked() -> None:
    """Calls in each other second, and a server that compares whole seconds: each page begins at a pause."""
    chance = random.Random(1)
    starts = sorted(
        2 * second * SECOND + chance.randrange(1000) * MILLISECOND for second in range(60) for _ in range(400)
    )
    rows = [record(start, number) for number, start in enumerate(starts)][::-1]
    planner = Planner(Range(0, 120 * SECOND), newest_first=True, concurrency=1)
    asked = 0
    while (question := planner.next_question()) is not None:
        asked += 1
        first, last = (floor(at, SECOND) for at in (question.window.start, question.window.till))
        came = [row for row in rows if first <= to_micros(row.start_time) < last + SECOND]
        planner.receive(question, page_of(came[:1000], complete=len(came) < 1000))
        while planner.take_first() is not None:
            pass
    assert planner.finished
    # 24 pages and their overlaps. To ask for each pause, too, took 83.
    assert asked <= 52
