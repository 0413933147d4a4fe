"""The order of the output, places in it, and how the starts of a page follow each other."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.output_order import handed_out_first, in_output_order, place_behind, sortedness_of, ties_in
from unlimcall_async.cdrs.times import MILLISECOND, to_datetime

pytestmark = pytest.mark.own_rules

legs = st.builds(
    lambda millis, number, seconds, note: record(
        millis * MILLISECOND, number, billsec=seconds, extra={"note": note} if note else {}
    ),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["", "a", "b"]),
)


@given(st.lists(legs), st.integers(0, 99), st.booleans())
def test_the_order_does_not_depend_on_the_servers(records: list[CallRecord], seed: int, newest: bool) -> None:
    shuffled = random.Random(seed).sample(records, len(records))
    ordered = in_output_order(shuffled, newest_first=newest)
    assert ordered == in_output_order(records, newest_first=newest)
    keys = [(each.start_time, each.id) for each in ordered]
    assert keys == sorted(keys, reverse=newest)
    assert ordered[::-1] == in_output_order(records, newest_first=not newest)


def test_ids_are_ordered_as_text() -> None:
    assert [each.id for each in in_output_order([record(0, 9), record(0, 10)], newest_first=False)] == ["10", "9"]


@given(st.lists(legs, min_size=1), st.data(), st.booleans())
def test_a_place_has_behind_it_what_was_handed_out(
    records: list[CallRecord], data: st.DataObject, newest: bool
) -> None:
    ordered = in_output_order(records, newest_first=newest)
    count = data.draw(st.integers(1, len(ordered)))
    assert handed_out_first(ordered, place_behind(ordered, count), newest_first=newest) == (ordered, count)


@given(st.lists(legs), st.integers(0, 4), st.booleans())
def test_an_edge_has_whole_instants_behind_it(records: list[CallRecord], millis: int, newest: bool) -> None:
    ordered = in_output_order(records, newest_first=newest)
    if newest:
        done = [each for each in ordered if each.start_time >= to_datetime(millis * MILLISECOND)]
    else:
        done = [each for each in ordered if each.start_time < to_datetime(millis * MILLISECOND)]
    assert handed_out_first(ordered, Place(millis * MILLISECOND), newest_first=newest) == (ordered, len(done))


def test_a_field_that_the_api_adds_moves_no_place() -> None:
    before, after = [record(5 * MILLISECOND, 1)], [record(5 * MILLISECOND, 1, extra={"new": 1})]
    assert handed_out_first(after, place_behind(before, 1), newest_first=False) == (after, 1)


starts = st.lists(st.integers(0, 8).map(to_datetime), max_size=12)


@given(st.one_of(starts, starts.map(sorted), starts.map(lambda values: sorted(values, reverse=True))))
@example([])
@example([to_datetime(at) for at in (3, 3, 3)])
@example([to_datetime(at) for at in (5, 3, 5)])
@example([to_datetime(at) for at in (3, 5, 3)])
def test_the_starts_of_a_page_are_sorted_if_and_only_if_they_are_found_to_be(values: list[datetime]) -> None:
    found = sortedness_of(values)
    ordered = sorted(values)
    assert (found.starts, found.ascending, found.descending) == (
        ordered,
        values == ordered,
        values == ordered[::-1],
    )


@given(starts)
def test_ties_are_found(values: list[datetime]) -> None:
    found = sortedness_of(values)
    groups = [list(group) for _, group in groupby(sorted(values))]
    assert [found.starts[same] for same in ties_in(found.changes)] == [group for group in groups if len(group) > 1]
