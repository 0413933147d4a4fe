"""What several pages show together, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve

from tests.cdrs.simulated import page_of, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.bounds import Bounds, KnownBounds
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.shown import Shown, _merged, holds_any
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, Range, Window, to_datetime

pytestmark = pytest.mark.own_rules

MS = MILLISECOND
HALF_OPEN = Bounds(MS, from_included=True, till_included=False)
OPEN = Bounds(MS, from_included=False, till_included=False)


def known(*left: Bounds) -> KnownBounds:
    bounds = KnownBounds()
    bounds.left = left
    return bounds


def window(start: float, till: float) -> Window:
    return Window(int(start * MS), int(till * MS))


def wanted(start: float, end: float) -> Range:
    return Range(int(start * MS), int(end * MS))


def showing(*pages: tuple[Window, Sequence[CallRecord]], complete: bool = True, caps: int = 0) -> Shown:
    shown = Shown(caps=caps)
    for asked, rows in pages:
        shown = shown.with_page(asked, page_of([*rows], complete=complete), complete=complete, caps=caps)
    return shown


def at(*millis: float) -> list[CallRecord]:
    return [record(int(each * MS), number) for number, each in enumerate(millis)]


# --- what they have shown -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legs", [(1, 2), (2, 1)])
def test_of_legs_the_larger_number_counts(legs: tuple[int, int]) -> None:
    pages = [(window(0, 9), [record(5 * MS, duration=number) for number in range(count)]) for count in legs]
    assert {row.duration for row in showing(*pages).rows_of(wanted(0, 9))} == {0, 1}


def test_the_latest_page_counts_among_pages_with_as_many_legs() -> None:
    first, second = record(5 * MS, duration=1), record(5 * MS, duration=2)
    assert showing((window(0, 9), [first]), (window(0, 9), [second])).rows_of(wanted(0, 9)) == [second]


def test_rows_of_a_range_come_in_the_order_of_the_output() -> None:
    later, earlier, second, first = record(7 * MS), record(5 * MS, 3), record(6 * MS, 2), record(6 * MS, 1)
    shown = showing((window(0, 9), [later, second]), (window(0, 9), [first, earlier]))
    assert shown.rows_of(wanted(5, 7)) == [earlier, first, second]
    assert shown.starts == {5 * MS, 6 * MS, 7 * MS}


def test_a_full_page_shows_rows_and_covers_nothing() -> None:
    shown = showing((window(0, 9), at(5)), complete=False)
    assert shown.rows_of(wanted(0, 9)) == at(5)
    assert shown.pages == ()
    assert not shown.shows_all(wanted(0, 9), known(HALF_OPEN))


def test_pages_before_a_cap_was_found_cover_nothing_any_more() -> None:
    before = showing((window(0, 9), at(5)))
    after = before.with_page(window(3, 6), page_of(at(5), complete=True), complete=True, caps=1)
    assert [basis for basis, _ in after.pages] == [Basis(window(3, 6), 1, 1)]
    assert after.caps == 1
    again = after.with_page(window(0, 3), page_of([], complete=True), complete=True, caps=1)
    assert [basis.window for basis, _ in again.pages] == [window(3, 6), window(0, 3)]


def unplaced(texts: bytes) -> list[UnplacedRow]:
    """Return rows without a start, with one byte of text each."""
    return [
        UnplacedRow(
            where=f"calls[{place}]", reason="no start", body=texts[place : place + 1], window=window(0, 9), before=0
        )
        for place in range(len(texts))
    ]


@pytest.mark.parametrize(
    ("first", "second", "most"),
    [(b"aab", b"ac", b"aabc"), (b"aa", b"aa", b"aa"), (b"aaa", b"a", b"aaa"), (b"", b"ab", b"ab")],
)
def test_of_rows_without_a_start_the_most_of_each_text_count(first: bytes, second: bytes, most: bytes) -> None:
    shown = Shown()
    for texts in (first, second):
        page = evolve(page_of([], complete=True), unplaced=unplaced(texts))
        shown = shown.with_page(window(0, 9), page, complete=True, caps=0)
    assert b"".join(sorted(row.body for row in shown.unplaced)) == most
    full = evolve(page_of([], complete=False), unplaced=unplaced(b"d"))
    assert shown.with_page(window(0, 9), full, complete=False, caps=0).unplaced == shown.unplaced


def test_rows_are_lacking_if_a_page_has_fewer_legs_of_them() -> None:
    shown = showing((window(0, 9), [record(2 * MS), record(5 * MS), record(5 * MS), record(7 * MS, 1)]))
    assert shown.lacks(page_of([record(5 * MS), record(7 * MS, 1)], complete=True)) == {2 * MS, 5 * MS}
    assert shown.lacks(page_of([record(2 * MS), record(5 * MS), record(5 * MS)], complete=True)) == {7 * MS}


def test_what_lies_farther_than_the_reach_is_left_out_but_for_its_starts() -> None:
    shown = showing((window(0, 3), at(0, 1, 2)), (window(9, 12), at(9, 10, 11)), (window(3, 9), at(4)))
    near = shown.near(wanted(4, 6), 3 * MS)
    assert sorted(start for start, _ in near.rows) == [1 * MS, 2 * MS, 4 * MS, 9 * MS]
    assert [basis.window for basis, _ in near.pages] == [window(0, 3), window(9, 12), window(3, 9)]
    assert near.starts == shown.starts
    assert [basis.window for basis, _ in shown.near(wanted(4, 6), 3 * MS - 1).pages] == [window(0, 3), window(3, 9)]
    assert [basis.window for basis, _ in shown.near(wanted(4, 6), MS).pages] == [window(0, 3), window(3, 9)]
    assert [basis.window for basis, _ in shown.near(wanted(4, 6), MS - 1).pages] == [window(3, 9)]


def test_the_basis_is_the_page_that_says_most() -> None:
    both, one = (window(0, 6), at(2, 5)), (window(0, 6), at(2))
    assert showing((window(0, 9), at(2)), both).basis_of(wanted(0, 9)) == Basis(window(0, 6), 2, 2)
    # Rows beside the range do not count. Then the page counts that covers more of the range, and then the narrower one.
    assert showing((window(3, 9), at(7, 8)), one).basis_of(wanted(0, 3)).window == window(0, 6)
    assert showing((window(0, 2), []), (window(1, 9), [])).basis_of(wanted(0, 4)).window == window(1, 9)
    assert showing((window(0, 3), []), (window(2, 9), [])).basis_of(wanted(0, 4)).window == window(0, 3)
    assert showing((window(-5, 9), []), (window(0, 9), [])).basis_of(wanted(0, 4)).window == window(0, 9)


def test_a_page_that_ends_more_than_a_second_short_of_a_range_is_not_the_basis() -> None:
    """Times that are rounded to whole seconds may be shown so far beyond the window. A manifest would be refused."""
    short, long = (window(1000, 1750), at(2000, 2000)), (window(2000, 2750), at(2000))
    assert showing(short, long).basis_of(wanted(2000, 3000)).window == window(2000, 2750)
    assert showing(short).basis_of(wanted(2000, 3000)).window == window(1000, 1750)


# --- what is left to ask --------------------------------------------------------------------------------------------------


def test_pages_show_all_together_if_no_time_lies_between_them() -> None:
    pages: list[tuple[Window, list[CallRecord]]] = [(window(0, 5), []), (window(5, 10), [])]
    assert showing(*pages).shows_all(wanted(0, 10), known(HALF_OPEN))
    assert not showing(*pages).shows_all(wanted(0, 11), known(HALF_OPEN))
    assert not showing(*pages).shows_all(wanted(-1, 10), known(HALF_OPEN))
    assert not showing(*pages).shows_all(wanted(0, 10), known(HALF_OPEN, OPEN))


@pytest.mark.parametrize(
    ("bounds", "rest"),
    [
        # Both ends, and the edge at which the two pages touch.
        (OPEN, [window(-1, 1), window(4, 6), window(9, 11)]),
        (evolve(OPEN, till_included=True), [window(-1, 0)]),
        (HALF_OPEN, [window(10, 11)]),
        (evolve(HALF_OPEN, till_included=True), []),
    ],
    ids=str,
)
def test_the_windows_for_the_rest_cover_what_no_page_covers(bounds: Bounds, rest: list[Window]) -> None:
    shown = showing((window(0, 5), []), (window(5, 10), []))
    assert [*shown.windows_for_rest(wanted(0, 11), known(bounds), ())] == rest


def test_neighbouring_gaps_are_asked_in_one_window() -> None:
    shown = showing((window(20, 30), []))
    assert [*shown.windows_for_rest(wanted(0, 50), known(HALF_OPEN), ())] == [window(0, 20), window(30, 50)]
    assert [*shown.windows_for_rest(wanted(0, 20), known(HALF_OPEN, OPEN), ())] == [window(-1, 20)]
    # The gaps of each hypothesis count.
    assert [*shown.windows_for_rest(wanted(0, 50), known(OPEN, HALF_OPEN), ())] == [window(-1, 21), window(29, 50)]


def test_windows_that_touch_or_overlap_are_merged() -> None:
    several = [window(8, 9), window(2, 4), window(0, 2), window(1, 3), window(5, 7), window(4, 5)]
    assert [*_merged(several)] == [window(0, 7), window(8, 9)]
    assert [*_merged([])] == []


def test_a_window_that_covers_no_step_covers_nothing() -> None:
    shown = showing((window(0, 5), []), (window(7, 8), []))
    assert [*shown.windows_for_rest(wanted(1, 12), known(OPEN), ())] == [window(4, 12)]


def test_a_window_may_cover_a_single_step() -> None:
    shown = showing((window(5, 6), []))
    assert [*shown.windows_for_rest(wanted(0, 10), known(HALF_OPEN), ())] == [window(0, 5), window(6, 10)]
    assert [*shown.windows_for_rest(wanted(0, 6), known(HALF_OPEN), ())] == [window(0, 5)]


def test_no_window_is_asked_that_holds_a_full_one() -> None:
    full = [window(8, 12)]
    assert [*Shown().windows_for_rest(wanted(0, 40), known(HALF_OPEN), full)] == [
        window(20, 40),
        window(0, 10),
        window(10, 20),
    ]


@pytest.mark.parametrize(
    ("millis", "halves"),
    [
        (5, [window(0, 3), window(2, 5)]),
        # Short ones overlap by more: a server that excludes both bounds has nothing at an edge.
        (4, [window(0, 3), window(1, 4)]),
        (3, [window(0, 2), window(1, 3)]),
        (2, [window(0, 1), window(1, 2)]),
        (1, []),
    ],
)
def test_a_window_that_is_full_is_halved(millis: int, halves: list[Window]) -> None:
    full = [window(0, millis)]
    assert [*Shown().windows_for_rest(wanted(0, millis), known(HALF_OPEN), full)] == halves


def test_a_window_of_a_millisecond_is_not_halved() -> None:
    closed = evolve(HALF_OPEN, till_included=True)
    assert [*Shown().windows_for_rest(wanted(0, 1), known(closed), ())] == [window(-1, 0)]
    assert [*Shown().windows_for_rest(wanted(0, 1), known(closed), [window(-1, 0)])] == []


def test_a_half_of_two_windows_is_asked_once() -> None:
    found = [*Shown().windows_for_rest(wanted(0, 4), known(HALF_OPEN), [window(1, 3)])]
    assert found == [window(0, 2), window(2, 4), window(1, 2), window(2, 3)]


def test_a_window_that_was_asked_is_not_asked_again() -> None:
    # The page does not cover the range by the second hypothesis, but nothing else would either.
    shown = showing((window(-1, 10), []))
    assert [*shown.windows_for_rest(wanted(0, 10), known(HALF_OPEN, OPEN), ())] == []


@pytest.mark.parametrize(
    ("first", "second", "rest"),
    [
        # A row that is shown at 5 ms may be compared at 4 to 6. Each page may have another leg.
        (window(0, 6), window(6, 12), [window(4, 7)]),
        (window(0, 5), window(5, 12), [window(4, 7)]),
        # One page covers all that the other may have shown of the row.
        (window(0, 7), window(6, 12), []),
        (window(0, 5), window(3, 12), []),
    ],
)
def test_of_rows_that_two_pages_show_one_page_must_tell_the_number(
    first: Window, second: Window, rest: list[Window]
) -> None:
    rounded = evolve(HALF_OPEN, earlier=MS, later=MS)
    shown = showing((first, at(5)), (second, at(5)))
    bounds = KnownBounds(MS)
    bounds.left = (rounded,)
    assert [*shown.windows_for_rest(wanted(1, 11), bounds, ())] == rest
    assert shown.shows_all(wanted(1, 11), bounds) is (not rest)
    # Half of such a window would tell nothing.
    assert [*shown.windows_for_rest(wanted(1, 11), bounds, rest)] == []


@pytest.mark.parametrize(
    ("full", "holds"),
    [((), False), ((window(2, 4),), True), ((window(1, 5),), True), ((window(0, 5),), False), ((window(1, 6),), False)],
)
def test_a_window_holds_a_full_one(full: Sequence[Window], holds: bool) -> None:
    assert holds_any(window(1, 5), full) is holds


def test_the_starts_are_those_of_the_records() -> None:
    shown = showing((window(0, 9), at(1.5)))
    assert [row.start_time for row in shown.rows_of(wanted(1, 2))] == [to_datetime(1500)]
