"""How the instants of an answer follow each other: whatever they are, it is what sorting and counting say."""

from __future__ import annotations

from itertools import groupby

from hypothesis import example, given
from hypothesis import strategies as st

from unlimcall_async.cdrs.sortedness import sortedness_of, ties_in

instants = st.lists(st.integers(0, 8), max_size=12)


@given(st.one_of(instants, instants.map(sorted), instants.map(lambda values: sorted(values, reverse=True))))
@example([])
@example([3, 3, 3])
@example([5, 3, 5])
@example([3, 5, 3])
def test_an_order_is_found_only_where_there_is_one(values: list[int]) -> None:
    found = sortedness_of(values)
    ordered = sorted(values)
    assert (found.times, found.ascending, found.descending) == (
        ordered,
        values == ordered,
        values == ordered[::-1],
    )


@given(instants)
def test_those_of_one_instant_are_found_together(values: list[int]) -> None:
    found = sortedness_of(values)
    groups = [list(group) for _, group in groupby(sorted(values))]
    assert [found.times[same] for same in ties_in(found.apart)] == [group for group in groups if len(group) > 1]
