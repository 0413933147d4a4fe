"""Where rows seem to be missing in a dense page, and which page is dense."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner.gauge import is_dense, without_gaps
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window

pytestmark = pytest.mark.own_rules

FINE = 10 * MILLISECOND
PAGE = 1000


def at(seconds: float) -> int:
    return round(seconds * 1000) * MILLISECOND


def page_at(starts: Sequence[int]) -> Page:
    return page_of([record(start, number) for number, start in enumerate(starts)], complete=True)


# --- gaps -----------------------------------------------------------------------------------------------------------------

# A range with margins of hundredths of a second around it. Both bounds of the window lie in the middle of a second.
WANTED, WINDOW = Range(at(500.45), at(505.55)), Window(at(500.43), at(505.56))
# What margins of whole seconds leave of the range.
WITHOUT_START, WITHOUT_END = Range(at(502), WANTED.end), Range(WANTED.start, at(504))


def rows(first: float, last: float) -> list[int]:
    """Return starts from one time to another, one each 20 milliseconds. At each end twenty of them take 400 milliseconds."""
    begin, end, apart = at(first), at(last), 20 * MILLISECOND
    offsets = [*range(0, 19 * apart, apart), 20 * apart]
    middle = range(begin + 21 * apart, end - 20 * apart, apart)
    return [*(begin + each for each in offsets), *middle, *(end - each for each in offsets[::-1])]


@pytest.mark.parametrize(
    ("first", "last", "believed"),
    [
        # Three quarters of 400 milliseconds are not a gap, and a millisecond more is.
        (500.75, 505.25, WANTED),
        (500.751, 505.25, WITHOUT_START),
        (500.75, 505.249, WITHOUT_END),
        (500.751, 505.249, None),
    ],
)
def test_a_gap_is_long_beside_the_rows_next_to_it(first: float, last: float, believed: Range | None) -> None:
    assert without_gaps(page_at(rows(first, last)), WANTED, WINDOW, [], FINE, page_size=PAGE) == believed
    assert without_gaps(page_at(rows(first, last)[::-1]), WANTED, WINDOW, [], FINE, page_size=PAGE) == believed
    assert without_gaps(page_at(rows(first, last)), WANTED, WINDOW, [], SECOND, page_size=PAGE) == believed


@pytest.mark.parametrize(("number", "believed"), [(4, None), (5, WANTED), (0, None)])
def test_of_fewer_than_five_rows_nothing_is_believed(number: int, believed: Range | None) -> None:
    few = [at(500.5 + step * 5 / 4) for step in range(5)][:number]
    assert without_gaps(page_at(few), WANTED, WINDOW, [], FINE, page_size=PAGE) == believed


def test_rows_at_one_time_are_taken_to_be_a_millisecond_apart() -> None:
    wanted = Range(at(500.45), at(505.55))
    assert (
        without_gaps(page_at([wanted.start] * 30 + [wanted.end - 1] * 30), wanted, WINDOW, [], FINE, page_size=PAGE)
        == wanted
    )


@pytest.mark.parametrize(("known", "believed"), [(500.2, WANTED), (501.2, WITHOUT_START), (500.9, WITHOUT_START)])
def test_a_known_row_that_is_missing_from_the_second_of_the_bound_explains_a_gap(known: float, believed: Range) -> None:
    """The server takes that second apart. A row that came, or that lies in another second, shows nothing."""
    came = [*rows(500.8, 505.4), at(500.9)]
    assert without_gaps(page_at(sorted(came)), WANTED, WINDOW, [at(known)], FINE, page_size=PAGE) == believed


def test_a_gap_in_a_second_of_which_no_row_came_is_not_explained() -> None:
    assert without_gaps(page_at(rows(501.0, 505.4)), WANTED, WINDOW, [at(500.2)], FINE, page_size=PAGE) == WITHOUT_START
    assert without_gaps(page_at(rows(500.6, 504.9)), WANTED, WINDOW, [at(505.8)], FINE, page_size=PAGE) == WITHOUT_END


def test_a_range_that_does_not_fit_on_a_page_with_whole_seconds_is_believed_between_two_gaps() -> None:
    # Its window has 5.13 seconds, and 9 with whole seconds.
    came = rows(500.751, 505.249)
    fits = -(-len(came) * 9000 // 5130)
    assert without_gaps(page_at(came), WANTED, WINDOW, [], FINE, page_size=fits) is None
    assert without_gaps(page_at(came), WANTED, WINDOW, [], FINE, page_size=fits - 1) == Range(at(502), at(504))


def test_a_range_of_which_nothing_would_be_left_is_asked_whole() -> None:
    wanted = Range(WANTED.start, at(502.001))
    came = page_at(rows(500.8, 502.0))
    assert without_gaps(came, wanted, WINDOW, [], FINE, page_size=PAGE) == Range(at(502), at(502.001))
    assert without_gaps(came, Range(WANTED.start, at(502)), WINDOW, [], FINE, page_size=PAGE) is None


def test_an_end_of_which_whole_seconds_would_show_no_more_is_believed() -> None:
    """The window reaches two seconds beyond one end, or one second beyond the other."""
    came = page_at(rows(503, 504))
    window = Window(at(500), at(506))
    assert without_gaps(came, Range(at(502), at(505.5)), window, [], SECOND, page_size=PAGE) == Range(at(502), at(505))
    assert without_gaps(came, Range(at(501.5), at(505)), window, [], SECOND, page_size=PAGE) == Range(at(502), at(505))


# --- rows that are left out at both ends ----------------------------------------------------------------------------------


def beside_whole_seconds(before: int, behind: int) -> tuple[Range, Window]:
    """Return a range, and its window, which begins so many milliseconds before a whole second, and ends so many behind another."""
    window = Window(at(501) - before * MILLISECOND, at(505) + behind * MILLISECOND)
    return Range(window.start, window.till), window


@pytest.mark.parametrize(
    ("before", "behind", "step", "doubted"),
    [
        # Twenty rows take 400 milliseconds: of 60 milliseconds at each end, three are expected.
        (30, 30, FINE, True),
        (30, 29, FINE, False),
        (50, 10, FINE, True),
        # Nothing is missed at one end, or the margins are of whole seconds.
        (200, 0, FINE, False),
        (0, 200, FINE, False),
        (200, 200, SECOND, False),
    ],
)
def test_rows_that_both_ends_lack_are_missed_without_a_gap(before: int, behind: int, step: int, doubted: bool) -> None:
    wanted, window = beside_whole_seconds(before, behind)
    believed = without_gaps(page_at(rows(501, 504.999)), wanted, window, [], step, page_size=PAGE)
    assert believed == (None if doubted else wanted)


def test_a_row_in_the_second_of_a_bound_shows_that_the_server_does_not_leave_the_second_out() -> None:
    wanted, window = beside_whole_seconds(200, 200)
    assert without_gaps(page_at([at(500.9), *rows(501, 504.999)]), wanted, window, [], FINE, page_size=PAGE) == wanted
    assert without_gaps(page_at([*rows(501, 504.999), at(505.1)]), wanted, window, [], FINE, page_size=PAGE) == wanted


@pytest.mark.parametrize(("behind", "doubted"), [(60, True), (59, False)])
def test_a_gap_at_one_end_is_enough_to_miss_three_rows_at_the_other(behind: int, doubted: bool) -> None:
    wanted, window = beside_whole_seconds(0, behind)
    assert without_gaps(page_at(rows(501.4, 504.999)), wanted, window, [], FINE, page_size=PAGE) == (
        None if doubted else Range(at(503), wanted.end)
    )
    wanted, window = beside_whole_seconds(behind, 0)
    assert without_gaps(page_at(rows(501, 504.6)), wanted, window, [], FINE, page_size=PAGE) == (
        None if doubted else Range(wanted.start, at(504))
    )


# --- dense pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "longer", "dense"), [(100, 0, True), (100, 1, False), (99, -SECOND, False), (0, 0, False)]
)
@pytest.mark.parametrize(("order", "rate"), [("rising", 40), ("falling", 40), ("none", 10)])
def test_forty_rows_a_second_are_dense_or_ten_of_a_page_that_is_not_sorted(
    order: str, rate: int, number: int, longer: int, dense: bool
) -> None:
    length = 100 * SECOND // rate + longer
    starts = [length * place // max(1, number - 1) for place in range(number)]
    if order == "falling":
        starts.reverse()
    elif order == "none":
        starts = starts[1::2] + starts[::2]
    assert is_dense(page_at(starts)) is dense
