"""What is known of a server's bounds, for every server that the reference allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cdrs.planner.bounds import ALL, Bounds, KnownBounds
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, floor

pytestmark = pytest.mark.own_rules

LIMIT = 12
MOST_ASKED = 21
WHOLE = Range(0, SECOND)
hypotheses = st.sampled_from(ALL)
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
