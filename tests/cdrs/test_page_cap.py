"""Which pages are in doubt by their sizes and counts, and what their checks show."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.page_cap import CountAboveRowsError, PageCap
from unlimcall_async.cdrs.planner.parts import Part, Question
from unlimcall_async.cdrs.planner.tasks import Doubt, Probe, Recheck
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, to_micros

pytestmark = pytest.mark.own_rules

LIMIT = 1000
WANTED = Range(0, 1000 * SECOND)


def rows(count: int, first: int = 0) -> list[CallRecord]:
    return [record((first + number) * SECOND, first + number) for number in range(count)]


def page(count: int, *, complete: bool = True) -> Page:
    return page_of(rows(count), complete=complete)


def question(start: int = 0, repeats: int = 0) -> Question:
    wanted = Range(start * SECOND, (start + 1000) * SECOND)
    return Question(Part(wanted), wanted, with_margins(wanted), repeats)


# --- counts ---------------------------------------------------------------------------------------------------------------


def is_repeated(cap: PageCap, size: int, *, start: int = 0, repeats: int = 0) -> bool:
    short = page(size, complete=False)
    cap.holds_window(short)
    return cap.is_to_be_repeated(question(start, repeats), short, LIMIT)


def test_a_window_is_asked_again_if_its_count_is_above_the_rows() -> None:
    cap = PageCap()
    assert [is_repeated(cap, 300, repeats=repeats) for repeats in range(2)] == [True, False]
    assert [is_repeated(cap, 100, repeats=repeats) for repeats in range(4)] == [True, True, True, False]
    assert [is_repeated(cap, 0, repeats=repeats) for repeats in range(4)] == [True, True, True, False]
    assert not is_repeated(cap, LIMIT), "a page with as many rows as were asked for is full"
    assert not cap.is_to_be_repeated(question(), page(300), LIMIT), "a complete page has said all"


def test_one_size_of_several_windows_is_a_cap_until_more_rows_come() -> None:
    cap = PageCap()
    for start in range(3):
        assert not is_repeated(cap, 250, start=start, repeats=1)
    assert not is_repeated(cap, 250, start=9)
    assert cap.found == 1
    assert cap.rows is None, "a page of this size that counts no more is complete"
    cap.holds_window(page(251))
    assert is_repeated(cap, 250, start=9)


def test_a_cap_that_was_lowered_is_one_size_of_several_windows_one_behind_the_other() -> None:
    cap = PageCap()
    cap.holds_window(page(500, complete=False))
    for start in range(9):
        # Other sizes come between: these counts race.
        assert not is_repeated(cap, 400 + start % 2, start=start, repeats=3)
    assert cap.found == 0
    for start in range(3):
        assert is_repeated(cap, 250, start=start, repeats=2)
        assert not is_repeated(cap, 250, start=start, repeats=3)
    assert cap.found == 1
    assert not is_repeated(cap, 250, start=9)
    assert cap.saturates(page(250, complete=False), LIMIT)
    cap.holds_window(page(251))
    assert is_repeated(cap, 250, start=9)


@pytest.mark.parametrize("size", [0, 9])
def test_few_rows_of_several_windows_are_no_lowered_cap(size: int) -> None:
    cap = PageCap()
    cap.holds_window(page(500, complete=False))
    for start in range(7):
        assert not is_repeated(cap, size, start=start, repeats=3)
    assert cap.found == 0


def test_one_window_or_different_sizes_are_no_cap() -> None:
    cap = PageCap()
    for size in (250, 250, 250, 250):
        is_repeated(cap, size, repeats=1)
    for size in (240, 249, 239):
        is_repeated(cap, size, start=size, repeats=3)
    assert cap.found == 0


@pytest.mark.parametrize(
    ("size", "largest", "saturates"),
    [
        pytest.param(LIMIT, LIMIT, True, id="as many as were asked for"),
        pytest.param(300, 300, True, id="the most that came"),
        pytest.param(1, 1, True, id="one row, the most that came"),
        pytest.param(299, 300, False, id="fewer than came before"),
        pytest.param(0, 0, False, id="none"),
    ],
)
def test_a_short_page_is_as_large_as_pages_get_if_none_was_larger(size: int, largest: int, saturates: bool) -> None:
    cap = PageCap()
    cap.holds_window(page(largest, complete=False))
    assert cap.saturates(page(size, complete=False), LIMIT) is saturates


def test_windows_in_a_row_that_stay_short_are_an_error() -> None:
    cap = PageCap()
    for start in range(7):
        assert not is_repeated(cap, 0, start=start, repeats=3)
    with pytest.raises(CountAboveRowsError):
        is_repeated(cap, 0, start=7, repeats=3)
    cap.holds_window(page(3))
    assert not is_repeated(cap, 0, start=8, repeats=3), "a page that is complete begins the row anew"


# --- sizes ----------------------------------------------------------------------------------------------------------------


def doubts(cap: PageCap, sizes: list[int], expected: float = 0, *, waits: bool = True) -> list[Doubt | None]:
    found = list[Doubt | None]()
    for size in sizes:
        cap.holds_window(page(size))
        found.append(cap.doubt(page(size), expected, lacks=False, waits=waits))
    return found


@pytest.mark.parametrize(
    ("sizes", "last"),
    [
        pytest.param([37], Doubt.LARGEST, id="the first"),
        pytest.param([0], None, id="no rows"),
        pytest.param([9], None, id="few"),
        pytest.param([37, 20], None, id="smaller"),
        pytest.param([37, 37], Doubt.LARGEST_AGAIN, id="again"),
        pytest.param([37, 37, 37], None, id="again and again"),
        pytest.param([37] * 4, Doubt.LARGEST_AGAIN, id="the fourth"),
        pytest.param([37] * 16, Doubt.LARGEST_AGAIN, id="the sixteenth"),
        pytest.param([3, 3, 3], None, id="few again"),
        pytest.param([3, 3, 3, 3], Doubt.LARGEST_AGAIN, id="few again and again"),
        pytest.param([500, 37, 40, 37, 50, 37], Doubt.UNUSUAL, id="three that are alike"),
        pytest.param([500, 470, 470, 470], None, id="nearly a page"),
        pytest.param([500, *[470] * 6], Doubt.UNUSUAL, id="nearly a page, six times"),
        pytest.param([500, 5, 5, 5], None, id="three that are alike, and few"),
        pytest.param([500, 5, 5, 5, 5], Doubt.UNUSUAL, id="four that are alike, and few"),
    ],
)
def test_a_page_is_in_doubt_if_its_size_may_be_a_cap(sizes: list[int], last: Doubt | None) -> None:
    assert doubts(PageCap(), sizes)[-1] is last


def test_a_page_that_holds_far_less_than_was_expected_is_in_doubt_now_and_then() -> None:
    found = doubts(PageCap(), [900, *range(100, 180)], expected=2000)
    places = [place for place, doubt in enumerate(found) if doubt is Doubt.UNUSUAL]
    assert places == [1, 1 + 17, 18 + 33]


def test_a_size_that_was_checked_is_in_doubt_less_often() -> None:
    cap = PageCap()
    doubts(cap, [100])
    cap.safe = 100
    assert doubts(cap, [100, 100, 100, 140, 151]) == [None, None, Doubt.LARGEST_AGAIN, None, Doubt.LARGEST]


def test_a_page_that_waits_for_no_check_of_its_own_pull_is_in_doubt_until_its_size_was_checked() -> None:
    cap = PageCap()
    assert doubts(cap, [100, 100, 100], waits=False) == [Doubt.LARGEST, Doubt.LARGEST_AGAIN, Doubt.LARGEST]
    cap.safe = 100
    assert doubts(cap, [100, 100], waits=False) == [Doubt.LARGEST_AGAIN, None]


def test_a_larger_size_that_people_set_is_in_doubt_however_near_to_one_that_was_checked() -> None:
    cap = PageCap()
    cap.safe = 90
    assert doubts(cap, [90, 99, 100]) == [None, None, Doubt.LARGEST]


@pytest.mark.parametrize(
    ("doubt", "rows", "largest", "safe", "cleared"),
    [
        (Doubt.LARGEST, 104, 129, 0, False),
        (Doubt.LARGEST, 104, 130, 0, True),
        (Doubt.LARGEST, 104, 104, 70, True),
        (Doubt.LARGEST_AGAIN, 104, 130, 0, True),
        (Doubt.LARGEST_AGAIN, 104, 104, 70, False),
        (Doubt.LARGEST_AGAIN, 104, 104, 105, True),
        # A cap that people set may have ended.
        (Doubt.LARGEST, 100, 1000, 0, False),
        (Doubt.LARGEST_AGAIN, 100, 1000, 0, False),
        (Doubt.LARGEST, 100, 1000, 100, True),
        (Doubt.UNUSUAL, 104, 1000, 1000, False),
    ],
)
def test_far_more_rows_clear_the_pages_of_the_largest_size(
    doubt: Doubt, rows: int, largest: int, safe: int, cleared: bool
) -> None:
    cap = PageCap()
    cap.holds_window(page(largest))
    cap.safe = safe
    assert cap.is_cleared(Probe((), (), page(rows), Basis(question().window, rows, rows), 1, doubt)) is cleared


# --- checks ---------------------------------------------------------------------------------------------------------------


def probe_of(came: Page, descending: bool | None = None, doubt: Doubt = Doubt.LARGEST) -> Probe | None:
    return PageCap().probe_of(question(), came, 1, descending=descending, doubt=doubt)


@pytest.mark.parametrize(("doubt", "pieces"), [(Doubt.LARGEST, 1), (Doubt.LARGEST_AGAIN, 2)])
def test_a_size_that_comes_again_is_checked_at_both_ends(doubt: Doubt, pieces: int) -> None:
    """The order may break, and the rows that a cap leaves out may lie at the other end."""
    came = page_of([record(second * SECOND, second) for second in range(40)], complete=True)
    probe = probe_of(came, descending=False, doubt=doubt)
    assert probe is not None
    assert len(probe.windows) == pieces


@given(
    st.lists(st.integers(0, 999_999), min_size=1, max_size=30),
    st.sampled_from([None, True, False]),
)
def test_the_pieces_of_a_check_are_shorter_than_the_window(millis: list[int], descending: bool | None) -> None:
    came = page_of([record(at * 1000, number) for number, at in enumerate(sorted(millis))], complete=True)
    probe = probe_of(came, descending)
    whole = question().window
    if probe is not None:
        assert all(whole.start <= each.start < each.till <= whole.till and each != whole for each in probe.windows)
        assert probe.records == came.rows_of(WANTED)
        assert len(probe.windows) <= (4 if descending is None else 2)


@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=60, unique=True).filter(lambda each: max(each) - min(each) >= 8),
    st.integers(1, 59),
    st.randoms(use_true_random=False),
)
def test_a_page_that_was_cut_never_passes_its_check(seconds: list[int], cap: int, chance: object) -> None:
    """Whichever rows the server leaves out, and of each piece again: a row that is new shows."""
    choose = chance.sample  # type: ignore[attr-defined] # a random generator
    all_rows = [record(second * SECOND, second) for second in seconds]
    cap = min(cap, len(all_rows) - 1)

    def answer(window: Window) -> Page:
        there = [row for row in all_rows if window.start <= int(row.id) * SECOND <= window.till]
        return page_of(choose(there, min(cap, len(there))), complete=True)

    first, found = answer(question().window), PageCap()
    probe = found.probe_of(question(), first, 1, descending=None, doubt=Doubt.LARGEST)
    if probe is None or first.starts[0] == first.starts[-1]:
        return
    span = first.span
    assert span is not None
    if span[1] - span[0] < 8 * SECOND:
        return
    following: Probe | Recheck | None = probe
    while isinstance(following, Probe):
        following = found.settle(following, answer(following.windows[0]))
    assert isinstance(following, Recheck)


@pytest.mark.parametrize("descending", [True, False])
def test_the_pieces_of_a_page_of_some_seconds_leave_out_a_row_if_the_server_compares_whole_seconds(
    descending: bool,
) -> None:
    """Nearly all rows lie in one second. A cut amid them, at half of the rows, leaves out none that such a server tells apart."""
    starts = [*range(0, 900, 30), 3500] if not descending else [0, *range(2600, 3500, 30)]
    rows = [record(10 * SECOND + millis * MILLISECOND, number) for number, millis in enumerate(starts)]
    came = page_of(rows[::-1] if descending else rows, complete=True)
    probe = probe_of(came, descending)
    assert probe is not None
    piece = probe.windows[-1]
    first, last = came.sorted_starts[0], came.sorted_starts[-1]
    if descending:
        assert piece.till // SECOND < to_micros(last) // SECOND
    else:
        assert piece.start // SECOND > to_micros(first) // SECOND


@pytest.mark.parametrize(
    ("lacks", "new", "passes"),
    [
        ((), (), True),
        # At the margin of the piece, whose rows it need not show: the first row, and the one behind that.
        ((10,), (), True),
        ((11,), (), True),
        ((17,), (), False),
        ((), (17,), False),
        ((17,), (17,), False),
        ((11,), (17,), False),
    ],
)
def test_a_check_passes_with_no_new_row_and_all_rows_that_its_window_surely_shows(
    lacks: Sequence[int], new: Sequence[int], passes: bool
) -> None:
    """A second in `new` has a row that the page in doubt lacks, beside a row that both have, or in the place of that row."""
    came = page_of(rows(40), complete=True)
    probe = PageCap().probe_of(question(), came, 1, descending=False, doubt=Doubt.LARGEST)
    assert probe is not None
    # The window of the piece begins at the row of second 10.
    probe = evolve(probe, windows=(Window(10 * SECOND, 50 * SECOND),))
    there = [row for row in rows(40)[10:] if int(row.id) not in lacks]
    there += [record(second * SECOND, 1000 + second) for second in new]
    answer = page_of(sorted(there, key=lambda row: row.start_time), complete=True)
    assert (PageCap().settle(probe, answer) is None) == passes


def test_a_page_that_lacks_a_known_row_shows_the_cap() -> None:
    cap, recheck = PageCap(), Recheck(question().window, 100, page(102).keys)
    assert not cap.confirm(recheck, page(102))
    assert not cap.confirm(recheck, page(101, complete=False)), "its count says so itself"
    assert cap.found == 0
    assert cap.confirm(recheck, page(100))
    assert (cap.rows, cap.found) == (100, 1)
    assert not cap.holds_window(page(100))
    assert cap.holds_window(page(99))


def test_a_larger_page_lifts_the_cap_and_its_size_stays_in_doubt() -> None:
    cap = PageCap()
    cap.confirm(Recheck(question().window, 100, page(102).keys), page(100))
    assert cap.holds_window(page(500))
    assert cap.holds_window(page(100))
    assert doubts(cap, [100, 75, 74, 133, 134]) == [Doubt.UNUSUAL, Doubt.UNUSUAL, None, Doubt.UNUSUAL, None]
