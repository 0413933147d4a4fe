"""What is known of a server's bounds, for every server that the reference allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cdrs.planner.bounds import AS_WRITTEN, STEPS, Bounds, KnownBounds, _most_left, rounded
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, floor

pytestmark = pytest.mark.own_rules

LIMIT = 12
MOST_ASKED = 21
WHOLE = Range(0, SECOND)
hypotheses = st.sampled_from(AS_WRITTEN)
micros = st.integers(-3 * SECOND, 3 * SECOND)
instants = st.integers(-2000, 2000).map(lambda millis: millis * MILLISECOND)
windows = st.builds(lambda start, millis: Window(start, start + millis * MILLISECOND), instants, st.integers(1, 2500))


def shorter(bounds: Bounds, window: Window) -> list[Window]:
    """Return the windows that leave out the first, or the last, step that a window covers. A window has a length."""
    later = max(window.start + MILLISECOND, floor(window.start, bounds.step) + bounds.step)
    earlier = floor(window.till, bounds.step) - MILLISECOND
    return [each for each in (Window(later, window.till), Window(window.start, earlier)) if each.till > each.start]


@given(hypotheses, micros, st.integers(0, 3 * SECOND))
def test_the_narrowest_window_covers_all_times_between_two(bounds: Bounds, first: int, length: int) -> None:
    last = first + length
    window = bounds.narrowest(first, last)
    assert window.till > window.start
    assert window.start % MILLISECOND == window.till % MILLISECOND == 0
    assert all(bounds.covers(window, at) for at in (first, (first + last) // 2, last))


@given(hypotheses, instants, st.integers(0, 3000))
def test_no_window_with_fewer_steps_covers_them(bounds: Bounds, first: int, millis: int) -> None:
    last = first + millis * MILLISECOND
    for window in shorter(bounds, bounds.narrowest(first, last)):
        assert not (bounds.covers(window, first) and bounds.covers(window, last))


# --- learning -------------------------------------------------------------------------------------------------------------


@given(hypotheses, st.sets(instants, max_size=20), st.lists(windows, max_size=12))
def test_the_hypothesis_that_holds_is_never_dropped(truth: Bounds, rows: set[int], asked: list[Window]) -> None:
    known = KnownBounds()
    for window in asked:
        came = {at for at in rows if truth.covers(window, at)}
        known.learn(window, came, rows - came)
        assert truth in known.left
    assert not known.refuted


@pytest.mark.slow
@given(hypotheses, st.sets(instants, min_size=1, max_size=4))
def test_a_window_that_tells_hypotheses_apart_drops_some_of_them(truth: Bounds, rows: set[int]) -> None:
    known = KnownBounds()
    for window in [*known.informative_windows(Range(0, SECOND), rows)][:2]:
        came = {at for at in rows if truth.covers(window, at)}
        tells = len({tuple(bounds.covers(window, at) for at in rows) for bounds in known.left}) > 1
        before = len(known.left)
        known.learn(window, came, rows - came)
        assert (len(known.left) < before) == tells


def test_a_page_that_no_hypothesis_allows_refutes_them_all() -> None:
    known = KnownBounds()
    known.learn(Window(0, SECOND), [5 * SECOND], [])
    assert known.refuted


@given(hypotheses, instants, st.integers(1, 2000))
def test_a_window_that_covers_surely_covers(truth: Bounds, start: int, millis: int) -> None:
    wanted, known = Range(start, start + millis * MILLISECOND), KnownBounds()
    window = known.window_for(wanted)
    assert known.surely_covers(window, wanted)
    assert truth.covers(window, wanted.start)
    assert truth.covers(window, wanted.end - MILLISECOND)


@given(hypotheses, instants, instants, st.integers(1, 2000), st.integers(1, 2000))
def test_a_window_that_surely_holds_another_one_shows_all_that_it_shows(
    truth: Bounds, start: int, other: int, millis: int, others: int
) -> None:
    window = Window(start, start + millis * MILLISECOND)
    inside = Window(other, other + others * MILLISECOND)
    known = KnownBounds()
    known.left = (truth,)
    steps = truth.steps_of(inside)
    shown = [step * truth.step for step in {*steps} if steps[0] <= steps[1]]
    assert not known.surely_holds(window, inside) or all(truth.covers(window, at) for at in shown)


def test_what_a_window_holds_depends_on_the_hypotheses_that_are_left() -> None:
    known = KnownBounds()
    narrow, wide = Window(1_999_000, 2_002_000), Window(1 * SECOND, 2 * SECOND)
    assert [known.surely_holds(wide, narrow), known.surely_holds(narrow, wide)] == [False, False]
    known.left = (Bounds(SECOND, True, True),)
    assert [known.surely_holds(wide, narrow), known.surely_holds(narrow, wide)] == [True, True]
    assert not known.surely_holds(narrow, Window(1 * SECOND, 3 * SECOND))
    assert not known.surely_holds(narrow, Window(0, 2 * SECOND))
    assert known.surely_holds(Window(0, 3 * SECOND), narrow)


# --- the figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "covered", "steps"),
    [
        (Bounds(10, True, True), range(20, 50), (2, 4)),
        (Bounds(10, True, False), range(20, 40), (2, 3)),
        (Bounds(10, False, True), range(30, 50), (3, 4)),
        (Bounds(10, False, False), range(30, 40), (3, 3)),
        (Bounds(1, True, True), range(25, 42), (25, 41)),
        (Bounds(1, False, False), range(26, 41), (26, 40)),
    ],
)
def test_a_window_covers_its_steps(bounds: Bounds, covered: range, steps: tuple[int, int]) -> None:
    window = Window(25, 41)
    assert bounds.steps_of(window) == steps
    for at in range(70):
        in_page = at in covered
        assert bounds.covers(window, at) == bounds.may_cover(window, at) == bounds.surely_covers(window, at) == in_page


def test_a_row_whose_time_is_not_known_exactly_may_be_covered_and_is_not_surely() -> None:
    bounds = Bounds(10, True, False, earlier=5, later=12)
    assert [at for at in range(70) if bounds.may_cover(Window(20, 40), at)] == [*range(8, 45)]
    assert [at for at in range(70) if bounds.surely_covers(Window(20, 40), at)] == [*range(25, 28)]
    assert bounds.steps_of_rows([20, 25, 28]) == ([1, 2, 2], [3, 3, 4])


@pytest.mark.parametrize(
    ("bounds", "first", "last", "narrowest"),
    [
        (Bounds(MILLISECOND, True, True), 2000, 4000, (2000, 4000)),
        (Bounds(MILLISECOND, True, False), 2000, 4000, (2000, 5000)),
        (Bounds(MILLISECOND, False, True), 2000, 4000, (1000, 4000)),
        (Bounds(MILLISECOND, False, False), 2000, 4000, (1000, 5000)),
        (Bounds(10_000, True, True), 12_500, 34_000, (12_000, 30_000)),
        (Bounds(10_000, False, False), 12_500, 34_000, (9000, 40_000)),
        (Bounds(1, True, False), 2500, 2500, (2000, 3000)),
        (Bounds(1, False, True), 2000, 2000, (1000, 2000)),
        (Bounds(1, False, True), 2001, 4000, (2000, 4000)),
        # The window must have a length: one millisecond more in the same step, or, if that is another step, one less.
        (Bounds(10_000, True, True), 12_000, 13_000, (12_000, 13_000)),
        (Bounds(10_000, True, True), 19_000, 19_500, (18_000, 19_000)),
        (Bounds(MILLISECOND, True, True), 2000, 2000, (1000, 2000)),
    ],
)
def test_the_narrowest_window_is_in_whole_milliseconds(
    bounds: Bounds, first: int, last: int, narrowest: tuple[int, int]
) -> None:
    assert bounds.narrowest(first, last) == Window(*narrowest)


def test_the_hypotheses_are_all_steps_that_divide_a_second_with_each_bound_included_or_not() -> None:
    assert (STEPS[0], STEPS[1], STEPS[-1], len(STEPS)) == (1, MILLISECOND, SECOND, 17)
    assert all(SECOND % step == 0 for step in STEPS)
    assert len(set(AS_WRITTEN)) == len(AS_WRITTEN) == 4 * 17
    assert {(each.earlier, each.later) for each in AS_WRITTEN} == {(0, 0)}
    assert {(each.earlier, each.later) for each in rounded(100)} == {(0, 99), (50, 50), (99, 0)}
    # The steps below a millisecond that divide one, and those above; each way to round; each bound included or not.
    assert len(set(rounded(100))) == len(rounded(100)) == (15 + 16) * 3 * 4
    assert {(each.earlier, each.later) for each in rounded(1)} == {(0, 0)}


def known_of(*left: Bounds) -> KnownBounds:
    known = KnownBounds()
    known.left = left
    return known


def test_nothing_is_known_at_first() -> None:
    known = KnownBounds()
    assert (known.written, known.left, known.refuted, known.finer_than_millis) == (0, AS_WRITTEN, False, False)
    assert KnownBounds(100, finer_than_millis=True).left == rounded(100)
    assert (known.step, known_of(Bounds(1, True, True)).step) == (SECOND, MILLISECOND)
    assert known_of(Bounds(2000, True, True), Bounds(4000, True, True)).step == 4000


def test_the_window_for_a_range_is_that_for_each_hypothesis() -> None:
    step = 10_000
    known = known_of(Bounds(step, True, False), Bounds(step, True, True))
    assert known.window_for(Range(5000, 25_000)) == Window(5000, 30_000)
    assert known_of(Bounds(step, False, True), Bounds(step, True, True)).window_for(Range(12_000, 35_000)) == Window(
        9000, 30_000
    )
    finer = KnownBounds(finer_than_millis=True)
    finer.left = (Bounds(1, True, True),)
    assert finer.window_for(Range(1000, 3000)) == Window(1000, 3000)
    assert known_of(Bounds(1, True, True)).window_for(Range(1000, 3000)) == Window(1000, 2000)
    written = KnownBounds(2000)
    written.left = (Bounds(1, True, True, earlier=1000, later=1999),)
    assert written.window_for(Range(1000, 5000)) == Window(0, 6000)
    assert written.window_for(Range(1000, 1500)) == Window(0, 2000)
    assert written.window_for(Range(1000, 4000)) == Window(0, 4000)
    assert written.window_for(Range(1000, 4001)) == Window(0, 6000)


def test_the_times_by_which_rows_of_a_range_may_be_compared() -> None:
    exact, loose = Bounds(1, True, True), Bounds(1, True, True, earlier=100, later=300)
    assert KnownBounds().ends_of(Range(500, 2500), exact) == (1000, 2000)
    assert KnownBounds().ends_of(Range(500, 1500), exact) == (1000, 1000)
    assert KnownBounds().ends_of(Range(500, 900), exact) == (500, 899)
    assert KnownBounds(finer_than_millis=True).ends_of(Range(500, 2500), exact) == (500, 2499)
    assert KnownBounds(2000).ends_of(Range(1000, 5000), loose) == (900, 5299)
    assert KnownBounds(2000).ends_of(Range(1000, 5900), loose) == (900, 5999)


def test_a_window_surely_covers_a_range_if_every_hypothesis_says_so() -> None:
    known = known_of(Bounds(1000, True, True), Bounds(1000, False, True))
    assert known.surely_covers(Window(1000, 4000), Range(2000, 5000))
    assert not known.surely_covers(Window(2000, 4000), Range(2000, 5000))
    assert not known.surely_covers(Window(1000, 3000), Range(2000, 5000))
    finer = KnownBounds(finer_than_millis=True)
    finer.left = (Bounds(1, True, True),)
    assert finer.surely_covers(Window(1000, 2999), Range(1000, 3000))
    assert not finer.surely_covers(Window(1000, 2998), Range(1000, 3000))
    written = KnownBounds(2000)
    written.left = (Bounds(1, True, True, earlier=1000, later=1999),)
    assert written.surely_covers(Window(0, 6000), Range(1000, 5000))
    assert not written.surely_covers(Window(1000, 6000), Range(1000, 5000))
    assert not written.surely_covers(Window(0, 5000), Range(1000, 5000))


def test_a_page_drops_the_hypotheses_by_which_a_row_came_or_is_missing() -> None:
    both, start, till = Bounds(1000, True, True), Bounds(1000, True, False), Bounds(1000, False, True)
    known = known_of(both, start, till)
    known.learn(Window(2000, 4000), [2000], [])
    assert known.left == (both, start)
    known.learn(Window(2000, 4000), [3000], [4000, 9000])
    assert list(known.left) == [start]
    assert not known.refuted
    known.learn(Window(2000, 4000), [4000], [])
    assert list(known.left) == [start]
    assert known.refuted


def informative(known: KnownBounds, wanted: Range, seen: list[int]) -> list[tuple[int, int]]:
    return [(window.start, window.till) for window in known.informative_windows(wanted, seen)]


def test_the_most_informative_windows_come_first_and_then_those_beside_the_known_rows() -> None:
    wanted, step = Range(0, SECOND), 10_000
    opposite = known_of(Bounds(1000, True, False), Bounds(1000, False, True))
    assert informative(opposite, wanted, [5000, 7000]) == [(4000, 5000), (5000, 6000), (6000, 7000), (7000, 8000)]
    others = known_of(Bounds(1000, True, False), Bounds(2000, True, False), Bounds(1, True, True))
    assert informative(others, Range(6000, SECOND), [5000, 7000]) == [(4000, 5000), (6000, 7000), (6000, 7000)]
    tills = known_of(Bounds(step, True, False), Bounds(step, True, True))
    assert informative(tills, wanted, [15_000]) == [
        *((14_000, 16_000), (0, 10_000), (15_000, 19_000), (10_000, 14_000), (10_000, 15_000))
    ]
    # Four rows at a time, those of the range first. Windows beside rows are for rows of the range alone.
    assert informative(tills, wanted, [1_005_000, *range(15_000, 19_000, 1000)]) == [
        *((14_000, 16_000), (15_000, 17_000), (16_000, 18_000), (17_000, 19_000), (0, 10_000)),
        *((1_004_000, 1_006_000), (990_000, 1_000_000)),
        *((15_000, 19_000), (10_000, 14_000), (10_000, 15_000)),
        *((16_000, 19_000), (10_000, 15_000), (10_000, 16_000)),
        *((17_000, 19_000), (10_000, 16_000), (10_000, 17_000)),
        *((18_000, 19_000), (10_000, 17_000), (10_000, 18_000)),
    ]
    later = informative(tills, Range(SECOND, 2 * SECOND), [5000, *range(1_015_000, 1_019_000, 1000)])
    assert later[:6] == [
        *((1_014_000, 1_016_000), (1_015_000, 1_017_000), (1_016_000, 1_018_000), (1_017_000, 1_019_000)),
        *((1_000_000, 1_010_000), (4000, 6000)),
    ]
    assert informative(known_of(Bounds(step, True, True)), wanted, [15_000]) == []


def test_windows_beside_the_step_of_a_row_tell_a_finer_step_from_a_coarser_one() -> None:
    included = known_of(Bounds(1000, True, True), Bounds(2000, True, True))
    assert informative(included, Range(9000, SECOND), [2000]) == [(3000, 4000)]
    assert informative(included, Range(9000, SECOND), [3000]) == [(1000, 2000), (0, 2000)]


@pytest.mark.parametrize(("hypotheses", "left"), [(0, 0), (1, 1), (3, 3)])
def test_a_hypothesis_by_which_a_row_may_come_or_not_is_always_left(hypotheses: int, left: int) -> None:
    unsure, window, shown = Bounds(10, True, True, later=9), Window(0, 39), [35]
    places = [(unsure, *unsure.steps_of_rows(shown))] * hypotheses
    assert _most_left(window, places) == left
    sure = [(bounds, *bounds.steps_of_rows(shown)) for bounds in (Bounds(10, True, True), Bounds(10, True, False))]
    assert _most_left(window, [*places, *sure]) == left + 1
    assert _most_left(window, [*places, *sure, sure[1]]) == left + 2
