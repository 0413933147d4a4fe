"""Estimates of how many records a range holds."""

from __future__ import annotations

import pytest

from unlimcall_async.cdrs.planner.density import PastGuesses, Sample
from unlimcall_async.cdrs.times import Range

pytestmark = pytest.mark.own_rules


def test_guesses_that_are_right_ask_for_little_less_than_a_page_and_wild_ones_for_more() -> None:
    right, wild = PastGuesses(), PastGuesses()
    for number in range(100):
        right.learn(1000, 1000)
        wild.learn(1000, (10, 100, 800, 9000)[number % 4])
    assert 0.85 < right.best <= 1
    assert wild.best > 1


def test_what_comes_of_a_part_tells_the_sample_that_its_window_was_cut_by() -> None:
    outer = Sample(list(range(0, 1000, 10)), 2.0, 0.0)
    inner = Sample(list(range(0, 100, 2)), 1.5, 0.0, outer)
    assert not outer.learned
    inner.learn(Range(0, 50), 500)
    assert inner.learned
    assert outer.learned
    assert outer.learns_from(inner)
    assert not inner.learns_from(outer)
    assert outer.expect(Range(100, 200)) > 20


def test_a_full_page_tells_how_much_a_row_stands_for_only_if_nothing_else_has() -> None:
    sample = Sample(list(range(0, 1000, 10)), 2.0, 0.0)
    sample.learn_least(Range(0, 100), 60)
    assert sample.scale == pytest.approx(6)
    sample.learn(Range(100, 500), 4 * 40)
    scale = sample.scale
    # Of many pieces those are full that hold more than others: they would mislead.
    sample.learn_least(Range(500, 600), 90)
    assert sample.scale == scale
    assert sample.ranges == 1
