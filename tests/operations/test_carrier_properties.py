"""The monitor against a plain account of the same records, kept whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.records import START, record, stream
from unlimcall_async import CallRecord
from unlimcall_async.operations import CarrierAlert, CarrierMonitor, Share

pytestmark = pytest.mark.own_rules

# Wide bounds and few attempts, so that they are crossed often.
BOUNDS = {"start_above": 0.4, "end_below": 0.25, "minimum": 4}
SPAN = timedelta(hours=1)
STEP = 60

# Seconds on from the record before, or, below zero, back from the latest one. There are silences or late records. With both, the
# monitor may believe the late ones: see `test_carrier_hostile`.
honest = st.integers(0, 90) | st.integers(0, 1200) | st.integers(-1700, -1)
silences = honest | st.integers(0, 4000) | st.just(20_000)
late = honest | st.integers(-9000, -1)


def rows_of(pauses: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, bool, str | None]]]:
    return st.lists(st.tuples(pauses, st.booleans(), st.sampled_from(["Germany", "France", None])), max_size=60)


rows = rows_of(silences) | rows_of(late)


def records_of(drawn: Iterable[tuple[int, bool, str | None]]) -> list[CallRecord]:
    at, newest, made = 0, 0, list[CallRecord]()
    out_of_span = 0
    for pause, failed, country in drawn:
        at = newest + pause if made and pause < 0 else at + abs(pause)
        # Fewer late records than the monitor needs to believe them.
        out_of_span += newest - at > 59 * STEP
        at = newest if out_of_span > 3 and newest - at > 59 * STEP else at
        newest = max(newest, at)
        made.append(record(at, "FAILED" if failed else "BUSY", country=country))
    return made


def step_of(each: CallRecord) -> int:
    return int((each.start_time - START).total_seconds()) // STEP


def share(records: list[CallRecord], newest: int, country: str | None) -> Share:
    held = [
        each
        for each in records
        if newest - 60 < step_of(each) <= newest and (country is None or each.country == country)
    ]
    return Share(sum(each.disposition == "FAILED" for each in held), len(held))


def expected(records: list[CallRecord]) -> list[CarrierAlert]:
    """Decide for each scope after each record, from all records so far."""
    newest, active, alerts = -(10**9), set[str | None](), []
    for number, each in enumerate(records, 1):
        newest = max(newest, step_of(each))
        for scope in (None, "Germany", "France"):
            failures = share(records[:number], newest, scope)
            rate = failures.rate
            if rate is None or failures.of < 4 or step_of(each) <= newest - 60:
                continue
            if scope not in active and rate > 0.4:
                active.add(scope)
                alerts.append(CarrierAlert("started", scope, failures, each.start_time))
            elif scope in active and rate < 0.25:
                active.remove(scope)
                alerts.append(CarrierAlert("ended", scope, failures, each.start_time))
    return alerts


def by_scope(alerts: list[CarrierAlert]) -> dict[str | None, list[CarrierAlert]]:
    return {scope: [alert for alert in alerts if alert.country == scope] for scope in (None, "Germany", "France")}


@given(rows)
def test_alerts_are_those_of_a_plain_account(drawn: list[tuple[int, bool, str | None]]) -> None:
    records, monitor = records_of(drawn), CarrierMonitor(span=SPAN, **BOUNDS)  # type: ignore[arg-type] # mixed values
    alerts = [alert for each in records for alert in monitor.add(each)]
    assert by_scope(alerts) == by_scope(expected(records))
    newest = max(map(step_of, records), default=0)
    assert monitor.overall == share(records, newest, None)
    held = {each.country for each in records if newest - 60 < step_of(each)} - {None}
    assert monitor.countries == {country: share(records, newest, country) for country in held}


@given(rows)
def test_nothing_starts_or_ends_without_its_bound_being_crossed(drawn: list[tuple[int, bool, str | None]]) -> None:
    monitor = CarrierMonitor(span=SPAN, **BOUNDS)  # type: ignore[arg-type] # mixed values
    alerts = [alert for each in records_of(drawn) for alert in monitor.add(each)]
    for alert in alerts:
        rate = alert.failures.rate
        assert rate is not None
        assert alert.failures.of >= 4
        assert rate > 0.4 if alert.state == "started" else rate < 0.25
    for own in by_scope(alerts).values():
        assert not own or own[0].state == "started"
        assert all(first.state != second.state for first, second in pairwise(own))
    assert monitor.active.keys() == {
        scope for scope, own in by_scope(alerts).items() if own and own[-1].state == "started"
    }


@given(rows, st.lists(st.integers(0, 60), max_size=5))
async def test_counts_and_alerts_are_the_same_however_the_stream_is_split(
    drawn: list[tuple[int, bool, str | None]], cuts: list[int]
) -> None:
    records = records_of(drawn)
    whole, split = (CarrierMonitor(span=SPAN, **BOUNDS) for _ in range(2))  # type: ignore[arg-type] # mixed values
    in_one = [alert async for alert in whole.watch(stream(records))]
    edges = [0, *sorted(cuts), len(records)]
    in_parts = [alert for first, last in pairwise(edges) async for alert in split.watch(stream(records[first:last]))]
    assert in_parts == in_one
    assert (split.overall, split.countries, split.late) == (whole.overall, whole.countries, whole.late)
    assert whole.overall.of + whole.late <= len(records)


@given(rows, rows)
def test_the_order_within_a_step_does_not_change_the_counts(
    drawn: list[tuple[int, bool, str | None]], others: list[tuple[int, bool, str | None]]
) -> None:
    records = [record(30, "FAILED" if failed else "BUSY", country=country) for _, failed, country in [*drawn, *others]]
    forth, back = CarrierMonitor(), CarrierMonitor()
    for one, other in zip(records, reversed(records), strict=True):
        forth.add(one)
        back.add(other)
    assert (forth.overall, forth.countries) == (back.overall, back.countries)
