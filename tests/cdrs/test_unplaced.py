"""Where rows without a start are looked for, and which range has found them."""

from __future__ import annotations

import pytest

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part
from unlimcall_async.cdrs.planner.unplaced import Searches, pieces_to_search
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window

pytestmark = pytest.mark.own_rules

DIRECTIONS = pytest.mark.parametrize("newest", [False, True], ids=["oldest out", "newest out"])


def row(text: bytes = b"{}", before: int = 0, hint: int | None = None) -> UnplacedRow:
    return UnplacedRow(
        where="calls[0]", reason="expected a time", body=text, window=Window(0, 1), before=before, hint=hint
    )


def span(first: int, last: int, *, newest: bool) -> Range:
    """The range between two seconds of a hundred, counted in the order of the output."""
    return Range((100 - last) * SECOND, (100 - first) * SECOND) if newest else Range(first * SECOND, last * SECOND)


WHOLE = span(0, 100, newest=False)


# --- which range has found a row ------------------------------------------------------------------------------------------


@DIRECTIONS
def test_a_row_that_no_shorter_range_shows_is_named_at_the_end_of_the_range(newest: bool) -> None:
    searches, lost = Searches(newest_first=newest), row()
    assert searches.begin(WHOLE, [lost], complete=True) == ([lost], [])
    assert searches.vanished(span(0, 50, newest=newest)) == []
    assert searches.vanished(span(50, 100, newest=newest)) == [lost]
    searches.end_with(span(50, 100, newest=newest))
    assert searches.vanished(WHOLE) == []


@DIRECTIONS
def test_a_row_that_a_shorter_range_shows_is_found_there(newest: bool) -> None:
    searches, one, other = Searches(newest_first=newest), row(b"1"), row(b"2")
    searches.begin(WHOLE, [one, other], complete=True)
    searches.note(span(40, 50, newest=newest), [row(b"2")])
    assert searches.vanished(WHOLE) == [one]
    # A range that is not inside says nothing.
    searches.note(Range(WHOLE.start, WHOLE.end + SECOND), [row(b"1")])
    searches.note(Range(WHOLE.start - SECOND, WHOLE.end), [row(b"1")])
    assert searches.vanished(WHOLE) == [one]


@DIRECTIONS
def test_as_many_rows_with_one_text_are_found_as_a_shorter_range_shows(newest: bool) -> None:
    searches, rows = Searches(newest_first=newest), [row(), row(), row()]
    searches.begin(WHOLE, rows, complete=True)
    searches.note(span(0, 10, newest=newest), [row(), row()])
    assert searches.vanished(WHOLE) == rows[2:]


@DIRECTIONS
def test_a_range_behind_one_that_has_shown_all_rows_does_not_look_for_them(newest: bool) -> None:
    searches = Searches(newest_first=newest)
    searches.begin(WHOLE, [row(), row()], complete=True)
    first, second = span(0, 50, newest=newest), span(50, 100, newest=newest)
    assert searches.begin(first, [row(), row()], complete=True) == ([row(), row()], [])
    again = [row(), row(b"{}", before=1), row(b"{}", before=2)]
    # A third one has come since, or was not there before.
    assert searches.begin(second, again, complete=True) == (again[2:], again[:2])


@DIRECTIONS
@pytest.mark.parametrize(
    ("rows", "complete", "first", "second"),
    [
        pytest.param(1, True, (0, 50), (50, 100), id="not all of them"),
        pytest.param(2, False, (0, 50), (50, 100), id="nobody knows how many there are"),
        pytest.param(2, True, (50, 100), (0, 50), id="behind"),
        pytest.param(2, True, (0, 50), (49, 100), id="not wholly before"),
    ],
)
def test_any_other_range_looks_for_the_rows(
    rows: int, complete: bool, first: tuple[int, int], second: tuple[int, int], newest: bool
) -> None:
    searches = Searches(newest_first=newest)
    searches.begin(WHOLE, [row(), row()], complete=complete)
    searches.begin(span(*first, newest=newest), [row()] * rows, complete=True)
    assert searches.begin(span(*second, newest=newest), [row(), row()], complete=True) == ([row(), row()], [])


@DIRECTIONS
def test_a_range_tells_of_the_rows_of_the_shortest_search_around_both(newest: bool) -> None:
    searches = Searches(newest_first=newest)
    searches.begin(WHOLE, [row(b"1"), row(b"2")], complete=True)
    searches.begin(span(0, 80, newest=newest), [row(b"1")], complete=True)
    searches.begin(span(0, 40, newest=newest), [row(b"1"), row(b"2")], complete=True)
    beside = span(40, 80, newest=newest)
    assert searches.begin(beside, [row(b"1"), row(b"2")], complete=True) == ([], [row(b"1"), row(b"2")])
    assert searches.begin(span(80, 100, newest=newest), [row(b"1")], complete=True) == ([], [row(b"1")])


# --- scopes ---------------------------------------------------------------------------------------------------------------


@DIRECTIONS
def test_the_last_row_of_a_text_has_the_window_of_its_search_as_scope(newest: bool) -> None:
    searches = Searches(newest_first=newest)
    searches.begin(WHOLE, [row(), row(), row(b"other")], complete=True)
    first, second = searches.hand_out(span(0, 10, newest=newest), [row(), row()])
    assert (first.scope, second.scope) == (None, with_margins(WHOLE))
    # One row more than the page has shown.
    assert [each.scope for each in searches.hand_out(span(10, 20, newest=newest), [row(), row(b"new")])] == [None, None]


@DIRECTIONS
def test_the_widest_scope_counts(newest: bool) -> None:
    searches = Searches(newest_first=newest)
    inner = span(0, 50, newest=newest)
    for wanted in (WHOLE, inner):
        searches.begin(wanted, [row()], complete=True)
    (handed_out,) = searches.hand_out(span(0, 10, newest=newest), [row()])
    assert handed_out.scope == with_margins(WHOLE)


@DIRECTIONS
def test_a_page_that_is_not_complete_gives_no_scope(newest: bool) -> None:
    searches = Searches(newest_first=newest)
    searches.begin(WHOLE, [row()], complete=False)
    (handed_out,) = searches.hand_out(span(0, 10, newest=newest), [row()])
    assert handed_out.scope is None


# --- where to look --------------------------------------------------------------------------------------------------------


def cuts(wanted: Range, page: Page, *, searched: bool = False) -> list[float]:
    """Return the seconds at which a part is cut."""
    pieces = pieces_to_search(Part(wanted, hints=Hints(searched=searched)), page)
    assert all(piece.hints == Hints(searched=True) for piece in pieces)
    assert [piece.range.start for piece in pieces[1:]] == [piece.range.end for piece in pieces[:-1]]
    assert (pieces[0].range.start, pieces[-1].range.end) == (wanted.start, wanted.end)
    return [piece.range.start / SECOND for piece in pieces[1:]]


def page_with(*rows: UnplacedRow, seconds: tuple[float, ...] = ()) -> Page:
    records = [record(round(second * SECOND), number) for number, second in enumerate(seconds)]
    page = page_of(records, complete=True)
    return Page(page.rows, page.starts, 9, complete=True, unplaced=rows, new_unplaced=rows)


def test_a_part_is_cut_around_the_hints_of_its_rows() -> None:
    """Three seconds keep the pieces beside a hint so far from it that their windows do not show the row."""
    hinted = row(hint=50 * SECOND + 400 * MILLISECOND)
    assert cuts(WHOLE, page_with(hinted)) == [47, 54]
    assert cuts(WHOLE, page_with(hinted, row(hint=80 * SECOND))) == [47, 54, 77, 83]
    assert cuts(Range(47 * SECOND, 54 * SECOND), page_with(hinted)) == [50]


@pytest.mark.parametrize(("before", "found"), [(0, [17, 23]), (1, [17, 33]), (2, [27, 35]), (4, [57, 63])])
def test_in_a_sorted_page_a_part_is_cut_around_the_neighbours_of_its_rows(before: int, found: list[float]) -> None:
    seconds = (20.0, 30.0, 31.5, 60.0)
    assert cuts(WHOLE, page_with(row(before=before), seconds=seconds)) == found
    assert cuts(WHOLE, page_with(row(before=4 - before), seconds=seconds[::-1])) == found


def test_a_part_is_cut_in_two_without_a_hint_or_if_it_was_cut_before() -> None:
    assert cuts(WHOLE, page_with(row())) == [50]
    assert cuts(WHOLE, page_with(row(before=2), seconds=(30.0, 20.0, 60.0))) == [50]
    assert cuts(WHOLE, page_with(row(hint=-3600 * SECOND))) == [50]
    assert cuts(WHOLE, page_with(row(hint=80 * SECOND)), searched=True) == [50]


@pytest.mark.parametrize(
    ("start", "end", "cut"), [(0, 3000, 1), (500, 2000, 1), (200, 1600, 1), (900, 5000, 2), (1000, 2100, 2)]
)
def test_halves_are_cut_at_a_whole_second_inside_the_part(start: int, end: int, cut: int) -> None:
    assert cuts(Range(start * MILLISECOND, end * MILLISECOND), page_with(row()), searched=True) == [cut]
