"""A page gives the rows of a range, in the order of the output, whatever order they came in."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import expected, page_of, readable, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.page import Page, RowOutsideError, check_inside
from unlimcall_async.cdrs.times import FIRST, LAST, MILLISECOND, SECOND, Range, Window, to_micros

pytestmark = pytest.mark.own_rules

# A few instants, so that many rows share one, and both ends of what a datetime holds.
instants = st.one_of(
    st.integers(-4, 12).map(lambda place: place * 400 * MILLISECOND),
    st.integers(0, 2).map(lambda place: FIRST + place),
    st.integers(0, 2).map(lambda place: LAST - place),
)
rows = st.builds(
    lambda at, number, seconds: record(at, number, billsec=seconds), instants, st.integers(0, 2), st.integers(0, 2)
)


def start_of(row: CallRecord) -> int:
    return to_micros(row.start_time)


def newest_first(some: list[CallRecord]) -> list[CallRecord]:
    return sorted(some, key=start_of, reverse=True)


def oldest_first(some: list[CallRecord]) -> list[CallRecord]:
    return sorted(some, key=start_of)


lists = st.lists(rows, max_size=12)
pages = st.one_of(lists, lists.map(oldest_first), lists.map(newest_first)).map(
    lambda some: page_of(some, complete=True)
)
edges = st.one_of(instants, st.sampled_from([FIRST - SECOND, LAST + 1, LAST + SECOND]))
ranges = st.builds(Range, edges, edges)


@given(pages, ranges)
def test_rows_of_a_range_are_those_of_a_plain_filter_and_sort(page: Page, wanted: Range) -> None:
    assert page.rows_of(wanted) == expected(readable(page.rows), wanted, newest_first=False)


@given(pages, ranges)
def test_keys_and_number_are_those_of_the_rows(page: Page, wanted: Range) -> None:
    plain = expected(readable(page.rows), wanted, newest_first=False)
    assert page.keys_of(wanted) == [(row.start_time, row.id) for row in plain]
    assert page.starts_of(wanted) == [row.start_time for row in plain]
    assert page.number_of(wanted) == len(plain)


@given(pages, st.lists(rows, max_size=4), st.randoms(use_true_random=False))
def test_a_page_is_within_another_that_has_each_key_as_often(
    page: Page, more: list[CallRecord], chance: Random
) -> None:
    own = readable(page.rows)
    for others in (own, [*own, *more], [*own[1:], *more], more):
        other = page_of(chance.sample(others, len(others)), complete=True)
        assert page.is_within(other) == (page.keys <= other.keys)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [(Range(FIRST, LAST), 1), (Range(FIRST, LAST + 1), 2), (Range(FIRST - SECOND, LAST + SECOND), 2)],
)
def test_a_range_may_end_at_or_beyond_the_last_time_that_a_datetime_holds(wanted: Range, number: int) -> None:
    page = page_of([record(FIRST, 1), record(LAST, 2)], complete=True)
    assert page.number_of(wanted) == len(page.rows_of(wanted)) == number


@given(pages)
def test_the_order_is_that_of_the_starts(page: Page) -> None:
    starts = [start_of(row) for row in readable(page.rows)]
    assert page.ascending == (starts == sorted(starts))
    assert page.descending == (starts == sorted(starts, reverse=True))


@given(pages)
def test_the_order_by_seconds_is_that_of_whole_seconds(page: Page) -> None:
    seconds = [start_of(row) // SECOND for row in readable(page.rows)]
    assert page.seconds_rise == (seconds == sorted(seconds))
    assert page.seconds_fall == (seconds == sorted(seconds, reverse=True))


@given(pages)
def test_bounds_are_the_first_and_the_last_start(page: Page) -> None:
    starts = [start_of(row) for row in readable(page.rows)]
    assert page.span == ((min(starts), max(starts)) if starts else None)


@given(pages, instants, st.integers(1, 5000))
def test_the_first_row_outside_the_window_is_named(page: Page, start: int, millis: int) -> None:
    window = Window(start, start + millis * MILLISECOND)
    first, last = window.start - SECOND, window.till + SECOND
    outside = [index for index, row in enumerate(readable(page.rows)) if not first <= start_of(row) <= last]
    if outside:
        with pytest.raises(RowOutsideError) as caught:
            check_inside(window, page)
        assert caught.value.index == outside[0]
    else:
        check_inside(window, page)


@pytest.mark.parametrize("outside", [-SECOND - 1, 3 * SECOND + 1])
def test_a_row_a_second_beside_the_window_is_not_outside(outside: int) -> None:
    rows = [record(at, number) for number, at in enumerate((-SECOND, 3 * SECOND, outside))]
    check_inside(Window(0, 2 * SECOND), page_of(rows[:2], complete=True))
    with pytest.raises(RowOutsideError) as caught:
        check_inside(Window(0, 2 * SECOND), page_of(rows, complete=True))
    assert caught.value.args == (caught.value.index,) == (2,)


@pytest.mark.parametrize(
    ("count", "complete", "total"), [(2, True, 2), (5, False, 5), (2, False, None), (1, True, 2), (1, False, None)]
)
def test_a_total_is_known_of_a_complete_page_or_of_a_count_above_the_rows(
    count: int, complete: bool, total: int | None
) -> None:
    two = [record(0, 1), record(1, 2)]
    assert Page(two, [row.start_time for row in two], count, complete).total == total
