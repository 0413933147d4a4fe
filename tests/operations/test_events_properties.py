"""What a reconciler finds depends on what has come alone, and is one to one; and its assignment is the cheapest."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from math import log1p
from random import Random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from tests.operations.ended import HOUR, NUMBER, OTHER, ended, record
from tests.operations.records import after
from unlimcall_async import CallRecord
from unlimcall_async.operations import EventReconciler
from unlimcall_async.operations.assignment import assign
from unlimcall_async.operations.event_matching import Candidate, Rules, groups_of
from unlimcall_async.operations.event_sides import EventSide, Leg
from unlimcall_async.webhooks import CallEnded

pytestmark = pytest.mark.own_rules

TIMES = st.integers(0, 1200)
LENGTHS = st.sampled_from([0, 30, 32, 60, 300])
NUMBERS = st.sampled_from([NUMBER, OTHER, NUMBER[3:], None, "anonymous"])
EVENTS = st.builds(
    ended,
    st.one_of(st.none(), TIMES),
    st.sampled_from("abcdefgh"),
    phone=NUMBERS,
    duration_sec=st.one_of(st.none(), LENGTHS),
)
RECORDS = st.builds(
    record, TIMES, st.sampled_from("abcdefgh"), dst=NUMBERS, duration=st.sampled_from([30, 60, 300]), billsec=LENGTHS
)


def state_of(reconciler: EventReconciler) -> tuple[object, ...]:
    names = ("matched", "missed", "recovered", "pending", "waiting", "share", "silent_lines")
    return tuple(getattr(reconciler, name) for name in names)


def take(reconciler: EventReconciler, what: CallRecord | CallEnded) -> None:
    if isinstance(what, CallRecord):
        reconciler.add(what)
    else:
        reconciler.seen(what, at=after(HOUR))


@pytest.mark.slow
@given(st.lists(st.one_of(EVENTS, RECORDS)), st.randoms(use_true_random=False), st.data())
def test_neither_order_nor_repetition_nor_a_restart_changes_what_is_found(
    things: list[CallRecord | CallEnded], random: Random, data: st.DataObject
) -> None:
    once, other = EventReconciler(minimum=1), EventReconciler(minimum=1)
    for each in things:
        take(once, each)
    once.sweep(now=after(1500))
    shuffled = things + things[: len(things) // 2]
    random.shuffle(shuffled)
    for each in shuffled:
        take(other, each)
        # Sweeps in between, and new processes.
        if data.draw(st.integers(0, 3)) == 0:
            other.sweep(now=after(1500))
            stored, other = other.to_json(), EventReconciler(minimum=1)
            other.load(stored)
    other.sweep(now=after(1500))
    assert state_of(other) == state_of(once)


@pytest.mark.slow
@given(st.integers(-30, 120), st.sampled_from([20, 60]), st.integers(-30, 120))
def test_what_is_learned_later_counts_for_the_pairs_of_before(first: int, length: int, usual: int) -> None:
    """A sweep before anything is known of the delays changes nothing that a later one finds."""
    once, other = EventReconciler(), EventReconciler()
    for reconciler in (once, other):
        take(reconciler, record(0))
        take(reconciler, ended(first, duration_sec=length))
    other.sweep(now=after(600))
    for reconciler in (once, other):
        for index in range(20):
            number = f"+4420{index:08d}"
            take(reconciler, record(0, f"{index}", dst=number))
            take(reconciler, ended(usual, f"{index}", phone=number))
        reconciler.sweep(now=after(600))
    assert state_of(other) == state_of(once)


@given(st.lists(EVENTS), st.lists(RECORDS))
def test_each_event_has_one_record_and_nothing_is_left_out(events: list[CallEnded], records: list[CallRecord]) -> None:
    reconciler = EventReconciler(delay=after(600) - after(0))
    for event in events:
        take(reconciler, event)
    for each in records:
        take(reconciler, each)
    reconciler.sweep(now=after(1500))
    matched = reconciler.matched
    assert len({match.event.key for match in matched}) == len(matched)
    assert len({id(match.record) for match in matched}) == len(matched)
    seen = [*(match.event for match in matched), *reconciler.waiting]
    assert len(seen) == len({event.key for event in seen})
    assert {event.call_id for event in seen} == {event.call_id for event in events}
    # Each record is matched, without an event, or a leg of a call with another record that is.
    told = [*(match.record.id for match in matched), *(call.record.id for call in reconciler.missed)]
    assert {*told, *(each.id for each in reconciler.pending)} == {each.id for each in records}


SIDES = st.builds(
    EventSide,
    st.uuids().map(str),
    st.sampled_from([NUMBER[1:], NUMBER[3:], ""]),
    TIMES.map(float),
    st.booleans(),
    st.one_of(st.none(), LENGTHS),
)


@st.composite
def legs(draw: st.DrawFn) -> Leg:
    start, length = draw(TIMES), draw(st.sampled_from([30, 60, 300, 100_000]))
    number = draw(st.sampled_from([NUMBER[1:], NUMBER[3:], ""]))
    return Leg(draw(st.uuids().map(str)), "", number, start, start + length, length, draw(LENGTHS))


def by_all_pairs(events: list[EventSide], records: list[Leg], rules: Rules) -> list[list[Candidate]]:
    """The candidates of each event that are weighed: the cheapest, after a look at each pair."""
    found = []
    for place, event in enumerate(events):
        alone = [(index, groups_of([event], [leg], rules)) for index, leg in enumerate(records)]
        near = [evolve(groups[0].candidates[0], event=place, leg=index) for index, groups in alone if groups]
        near.sort(key=lambda each: (each.cost + log1p(abs(each.delay)), each.leg))
        found.append(sorted(near[:24], key=lambda each: each.leg))
    return found


@pytest.mark.slow
@given(st.lists(SIDES, max_size=5), st.lists(legs(), min_size=20, max_size=60))
def test_no_candidate_that_costs_less_is_left_out(events: list[EventSide], records: list[Leg]) -> None:
    events.sort(key=lambda event: (event.at, event.key))
    records.sort(key=lambda leg: (leg.end, leg.key))
    rules = Rules(early=5.0, delay=600.0, arrival=90_000.0, tolerance=3.0)
    candidates = [each for group in groups_of(events, records, rules) for each in group.candidates]
    candidates.sort(key=lambda each: (each.event, each.leg))
    assert candidates == [each for found in by_all_pairs(events, records, rules) for each in found]


@given(st.lists(st.builds(record, TIMES, st.sampled_from("ab"), dst=NUMBERS, duration=LENGTHS), max_size=30))
def test_the_records_of_a_call_share_its_id_and_touch(records: list[CallRecord]) -> None:
    reconciler = EventReconciler(grace=after(0) - after(0))
    firsts = set[CallRecord]()
    for place, each in enumerate(records):
        reconciler.add(each)
        reconciler.sweep(now=after(HOUR))
        firsts = {call.record for call in reconciler.missed}
        assert firsts == first_of_each_call(records[: place + 1])
    # And when the oldest are dropped.
    reconciler.sweep(now=after(600 + 48 * HOUR))
    kept = [each for each in records if end_of(each) >= after(600)]
    assert {call.record for call in reconciler.missed} == first_of_each_call(kept)


def end_of(each: CallRecord) -> datetime:
    return each.start_time + timedelta(seconds=each.duration)


def first_of_each_call(records: list[CallRecord]) -> set[CallRecord]:
    """The first record of each call, after a look at all of them in order."""
    ends: dict[str, datetime] = {}
    firsts = set[CallRecord]()
    keys = {Leg.of(each, each.start_time).key: each for each in records}
    for _, each in sorted(keys.items(), key=lambda item: (item[1].start_time, -item[1].duration, item[0])):
        end = ends.get(each.id)
        if end is None or each.start_time > end + timedelta(seconds=60):
            firsts.add(each)
            ends[each.id] = end_of(each)
        else:
            ends[each.id] = max(end, end_of(each))
    return firsts


COSTS = st.lists(st.dictionaries(st.integers(0, 4), st.integers(0, 9).map(float), max_size=5), max_size=5)


def cheapest(costs: list[dict[int, float]], unmatched: float) -> float:
    """The least sum, by trying all ways."""
    columns = [*range(5), *[None] * len(costs)]
    ways = set(permutations(columns, len(costs)))
    return min(sum(cost_of(row, column, unmatched) for row, column in zip(costs, way, strict=True)) for way in ways)


def cost_of(row: dict[int, float], column: Any, unmatched: float) -> float:
    return unmatched if column is None else row.get(column, float("inf"))


@example([{1: 6.0}, {1: 0.0}, {1: 1.0}], 8.0)
@example([{0: 9.0, 2: 1.0}, {2: 0.0}, {2: 5.0}], 11.0)
@given(COSTS.filter(lambda costs: len(costs) <= 4), st.integers(0, 12).map(float))
def test_the_assignment_is_the_cheapest(costs: list[dict[int, float]], unmatched: float) -> None:
    found = assign(costs, unmatched)
    taken = [column for column in found if column is not None]
    assert len(taken) == len(set(taken))
    total = sum(cost_of(row, column, unmatched) for row, column in zip(costs, found, strict=True))
    assert total == cheapest(costs, unmatched)
