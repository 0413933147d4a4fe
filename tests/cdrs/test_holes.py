"""Holes are found without a look at each row, and all of them are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cdrs.planner.holes import CHANCE, holes_in
from unlimcall_async.cdrs.times import Range, to_micros

pytestmark = pytest.mark.own_rules

START = datetime(2026, 1, 5, tzinfo=UTC)
# Mostly short, so that some of the others are holes, alone and side by side.
lengths = st.one_of(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 500))


@given(st.lists(lengths, max_size=150))
def test_a_hole_is_each_stretch_in_which_many_rows_are_to_be_expected(between: list[int]) -> None:
    starts = [START + timedelta(milliseconds=at) for at in accumulate(between, initial=0)]
    least = (starts[-1] - starts[0]) * (CHANCE / (len(starts) + CHANCE))
    expected = [
        Range(to_micros(first), to_micros(second)) for first, second in pairwise(starts) if second - first > least
    ]
    assert holes_in(starts) == expected


def test_a_page_without_rows_has_no_holes() -> None:
    assert holes_in([]) == []


@pytest.mark.parametrize("rows", [1, 8, 9, 10, 16, 17])
@pytest.mark.parametrize("last", [False, True])
def test_a_hole_may_be_the_first_stretch_or_the_last(rows: int, last: bool) -> None:
    near = [START + timedelta(seconds=at) for at in range(rows)]
    far = START + timedelta(days=1 if last else -1)
    starts = [*near, far] if last else [far, *near]
    # Few rows make no hole: each stretch takes in much of the page.
    assert len(holes_in(starts)) == 1


def with_holes(rows: int, *behind: int, length: int = 1000) -> list[datetime]:
    """Return starts a second apart, with a hole of so many seconds behind each of these rows."""
    seconds = accumulate((length if row in behind else 1 for row in range(rows - 1)), initial=0)
    return [START + timedelta(seconds=at) for at in seconds]


@pytest.mark.parametrize("behind", [(3, 8), (3, 15), (7, 8), (0, 8, 16)])
def test_holes_in_neighbouring_strides_are_found_once_each(behind: tuple[int, ...]) -> None:
    starts = with_holes(100, *behind)
    assert holes_in(starts) == [Range(to_micros(starts[row]), to_micros(starts[row + 1])) for row in behind]


@pytest.mark.parametrize(("length", "holes"), [(14, 0), (15, 1)])
def test_a_stretch_in_which_just_as_many_rows_are_expected_is_no_hole(length: int, holes: int) -> None:
    """Of 16 rows, a stretch that is longer than half of the page is a hole."""
    assert len(holes_in(with_holes(16, 3, length=length))) == holes
