"""What the fast run takes of a product of parameters."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from tests.selection import covering, slow_but

pytestmark = pytest.mark.own_rules

AXES = (range(4), "abcde", [False, True])


@pytest.mark.parametrize(("together", "most"), [(1, 5), (2, 24), (3, 40)])
def test_each_combination_is_in_the_fast_run(together: int, most: int) -> None:
    rows = covering(*AXES, together=together)
    assert [row.values for row in rows] == [*product(*AXES)]
    fast = [row.values for row in rows if not row.marks]
    assert len(fast) <= most
    for places in combinations(range(len(AXES)), together):
        met = {tuple(values[place] for place in places) for values in fast}
        assert met == {*product(*(AXES[place] for place in places))}


def test_the_slow_run_may_have_each_pair_in_place_of_the_product() -> None:
    rows = covering(*AXES, together=1, at_all=2)
    pairs = {row.values for row in covering(*AXES, together=2) if not row.marks}
    fast = {row.values for row in covering(*AXES, together=1) if not row.marks}
    assert {row.values for row in rows} == pairs | fast
    assert {row.values for row in rows if not row.marks} == fast


def test_the_fast_run_takes_values_equally_often() -> None:
    fast = [row.values for row in covering(range(6), [False, True], together=1) if not row.marks]
    assert sum(bool(flag) for _, flag in fast) == 3


def test_the_fast_run_takes_the_cases_that_are_named() -> None:
    rows = slow_but({"b"}, "abc") + slow_but({(1, "x")}, [(1, "x"), (2, "x")])
    assert [row.values for row in rows] == [("a",), ("b",), ("c",), (1, "x"), (2, "x")]
    assert [row.values for row in rows if not row.marks] == [("b",), (1, "x")]


@pytest.mark.rest_slow
@pytest.mark.parametrize("case", [1, 2, 3])
def test_of_the_rest_all_but_the_first_case_is_slow(request: pytest.FixtureRequest, case: int) -> None:
    assert (request.node.get_closest_marker("slow") is None) == (case == 1)
