"""Where a range is cut: the nearest step to the number of records that is wanted, and never at an end of the range."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlimcall_async.cdrs.planner.cuts import cut_for, even_size, multiple_inside
from unlimcall_async.cdrs.times import SECOND, Range

pytestmark = pytest.mark.own_rules

RANGE = Range(3, 42)
RANGES = st.tuples(st.integers(-50, 50), st.integers(1, 100)).map(lambda ends: Range(ends[0], ends[0] + ends[1]))


def multiples_inside(wanted: Range, step: int) -> list[int]:
    return [at for at in range(wanted.start + 1, wanted.end) if at % step == 0]


@settings(max_examples=200)
@given(RANGES, st.integers(-100, 200), st.integers(1, 30))
def test_the_multiple_is_the_nearest_one_strictly_inside_the_range(wanted: Range, at: int, step: int) -> None:
    found, inside = multiple_inside(wanted, at, step), multiples_inside(wanted, step)
    assert (found is None) == (not inside)
    assert found is None or (found in inside and abs(found - at) == min(abs(each - at) for each in inside))


# They take little time, and the cases are many.
@settings(max_examples=200)
@given(RANGES, st.integers(1, 30), st.floats(0, 100), st.booleans(), st.integers(0, 5), st.sets(st.integers(-60, 160)))
def test_the_near_end_is_expected_to_hold_as_nearly_what_is_wanted_as_steps_allow(
    wanted: Range, step: int, target: float, from_end: bool, above: int, records: set[int]
) -> None:
    def expect(near: Range) -> float:
        return sum(map(near.holds, records)) + len(near) / 2

    def badness(cut: int) -> tuple[bool, float]:
        expected = expect(Range(cut, wanted.end) if from_end else Range(wanted.start, cut))
        return expected > target + above, abs(expected - target)

    inside = multiples_inside(wanted, step)
    cut = cut_for(wanted, target, expect, from_end=from_end, step=step, most=target + above)
    assert (cut is None) == (not inside)
    assert cut is None or (cut in inside and badness(cut) == min(map(badness, inside)))


@pytest.mark.parametrize(("from_end", "cut"), [(False, 3 * SECOND), (True, 7 * SECOND)])
def test_cuts_lie_at_whole_seconds_unless_another_step_is_given(from_end: bool, cut: int) -> None:
    def expect(near: Range) -> float:
        return len(near) / SECOND

    assert cut_for(Range(0, 10 * SECOND), 3.3, expect, from_end=from_end) == cut
    assert cut_for(Range(0, 10 * SECOND), 2.6, expect, from_end=from_end, most=3.0) == cut


@pytest.mark.parametrize(
    ("expected", "target", "size"), [(100.0, 40.0, 100 / 3), (80.0, 40.0, 40.0), (40.0, 40.0, 40.0), (7.0, 40.0, 7.0)]
)
def test_pieces_of_even_size_are_as_few_as_the_target_allows(expected: float, target: float, size: float) -> None:
    assert even_size(expected, target) == size
