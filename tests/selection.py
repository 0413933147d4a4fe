"""A product of parameters, of which the fast run takes few: each value, or each pair of values, meets the test there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations, product
from typing import TypeAlias

import pytest
from _pytest.mark import ParameterSet

# The values that stand at some places of a row of parameters.
_Meeting: TypeAlias = tuple[tuple[int, object], ...]


def covering(*axes: Collection[object], together: int = 2, at_all: int | None = None) -> list[ParameterSet]:
    """Return the product of the axes. What the fast run leaves out is marked `slow`.

    The fast run has each combination of values of `together` axes: 1 is each value, 2 is each pair. With `at_all`, the slow run has
    each combination of so many axes, in place of the whole product.
    """
    fast = _selection(axes, together)
    tried = None if at_all is None else _selection(axes, at_all) | fast
    return [
        pytest.param(*row, marks=() if row in fast else pytest.mark.slow)
        for row in product(*axes)
        if tried is None or row in tried
    ]


def _selection(axes: Sequence[Collection[object]], together: int) -> set[Sequence[object]]:
    """Return rows of a product that have each combination of values of so many axes."""
    rows = [*product(*axes)]
    meetings = {row: _meetings(row, together) for row in rows}
    left = set[_Meeting]().union(*meetings.values())
    chosen = set[Sequence[object]]()
    used = Counter[tuple[int, object]]()
    while left:
        # The first of the best, so that each run has the same selection. Among equals, values that were used least.
        best = max(rows, key=lambda row: (len(meetings[row] & left), -sum(used[value] for value in enumerate(row))))
        chosen.add(best)
        left -= meetings[best]
        used.update(enumerate(best))
    return chosen


def slow_but(fast: Collection[object], cases: Iterable[object]) -> list[ParameterSet]:
    """Return cases of one parameter, or rows of several. All but the `fast` ones are marked `slow`."""
    rows = [(case, case if isinstance(case, tuple) else (case,)) for case in cases]
    assert {case for case, _ in rows} >= set(fast)
    return [pytest.param(*row, marks=() if case in fast else pytest.mark.slow) for case, row in rows]


def _meetings(row: Sequence[object], together: int) -> set[_Meeting]:
    return set(combinations(enumerate(row), together))
