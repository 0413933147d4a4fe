"""The carrier monitor under records whose times and countries are wrong: an honest flood of failures still brings its alert."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.disguises import disguised
from tests.operations import hostile
from tests.operations.records import START, record
from unlimcall_async import CallRecord
from unlimcall_async.operations import CarrierMonitor, Share

pytestmark = pytest.mark.own_rules

DAY = 86_400
YEAR_9999 = (datetime(9999, 12, 31, tzinfo=UTC) - START).total_seconds()
YEAR_1 = (datetime(1, 1, 1, tzinfo=UTC) - START).total_seconds()

# Seconds from the honest records: the edges of the calendar, and on both sides of where a record could still be honest.
FAR = [YEAR_9999, YEAR_1, *(sign * far for sign in (1, -1) for far in (7500, 3 * 3600, DAY, 40 * DAY, 4000 * DAY))]


def good(at: float) -> CallRecord:
    return record(at, country="France")


def failures(count: int, at: float = 0) -> list[CallRecord]:
    return [record(at + index, "FAILED", country="Germany") for index in range(count)]


def alerts_of(monitor: CarrierMonitor, records: Iterable[CallRecord]) -> list[tuple[str, str | None]]:
    return [(alert.state, alert.country) for each in records for alert in monitor.add(each)]


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("times", [1, 5, 150])
@pytest.mark.parametrize("before", [0, 1, 100])
def test_records_of_another_time_do_not_hide_failures(far: float, times: int, before: int) -> None:
    monitor = CarrierMonitor()
    alerts = alerts_of(monitor, [*failures(before), *[good(far)] * times, *failures(600, at=before)])
    assert alerts == [("started", None), ("started", "Germany")]
    assert monitor.countries == {"Germany": Share(before + 600, before + 600)}


@pytest.mark.parametrize("far", FAR)
def test_one_record_of_another_time_delays_nothing(far: float) -> None:
    monitor = CarrierMonitor(minimum=50)
    flood = failures(60)
    assert alerts_of(monitor, [*flood[:48], good(far)]) == []
    assert alerts_of(monitor, flood[48:50]) == [("started", None), ("started", "Germany")]


def test_more_wrong_records_than_right_ones_hide_nothing_if_they_agree_on_no_time() -> None:
    mixed = list[CallRecord]()
    for index, failure in enumerate(failures(600)):
        mixed += [failure, good(YEAR_9999 - index * DAY), good(9 * (index + 1) * DAY), good(-9 * (index + 1) * DAY)]
    monitor = CarrierMonitor()
    assert alerts_of(monitor, [*mixed, *failures(1, 600)]) == [("started", None), ("started", "Germany")]
    assert monitor.overall == Share(601, 601)


@pytest.mark.slow
# A list that repeats: to draw 500 of them takes Hypothesis longer than the monitor needs for them.
@given(st.lists(st.sampled_from([None, None, *FAR]), min_size=1, max_size=40), st.integers(0, 499))
def test_failures_among_wrong_records_bring_their_alert(wrong: list[float | None], began: int) -> None:
    # Each wrong record comes between two honest ones. At some time the honest ones begin to fail.
    monitor, mixed = CarrierMonitor(minimum=20), list[CallRecord]()
    for index, far in enumerate(islice(cycle(wrong), 500)):
        mixed += [good(index)] if index < began else failures(1, index)
        mixed += [] if far is None else [good(index + far)]
    alerts = alerts_of(monitor, [*mixed, *failures(50, 500)])
    assert alerts == [("started", None), ("started", "Germany")]
    assert monitor.overall == Share(550 - began, 550)


@pytest.mark.parametrize("silence", [31 * 60, 3 * 3600, DAY, 40 * DAY])
def test_a_silence_is_no_mistake(silence: int) -> None:
    monitor = CarrierMonitor()
    alerts_of(monitor, map(good, range(3000)))
    assert alerts_of(monitor, failures(1, 3000 + silence)) == []
    assert monitor.overall.count == 1
    assert alerts_of(monitor, failures(600, 3000 + silence)) == [("started", None), ("started", "Germany")]


def test_a_batch_that_comes_days_late_ends_no_alert() -> None:
    monitor = CarrierMonitor()
    alerts_of(monitor, failures(600))
    assert alerts_of(monitor, map(good, range(-3 * DAY, -3 * DAY + 500))) == []
    assert (monitor.late, monitor.overall) == (500, Share(600, 600))
    assert alerts_of(monitor, failures(600, 600)) == []
    assert monitor.late == 500


def test_late_records_that_turn_out_to_be_right_are_counted() -> None:
    monitor = CarrierMonitor(minimum=10)
    alerts_of(monitor, [good(YEAR_9999), *failures(9)])
    assert monitor.late == 9
    assert alerts_of(monitor, failures(1, 9)) == [("started", None), ("started", "Germany")]
    assert (monitor.late, monitor.overall) == (0, Share(10, 10))


@pytest.mark.parametrize("far", FAR)
def test_a_wrong_record_before_a_silence_hides_what_follows_for_some_records_only(far: float) -> None:
    monitor = CarrierMonitor()
    alerts_of(monitor, [*failures(100), good(far), *failures(16, 5 * 3600)])
    assert monitor.overall == Share(16, 16)


# --- countries ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_invented_countries_take_no_memory_and_no_honest_counts() -> None:
    monitor = CarrierMonitor()
    tracemalloc.start()
    try:
        for index in range(20_000):
            monitor.add(record(index / 10, country=f"{index} {'x' * 80}"))
            if index % 40 == 0:
                monitor.add(record(index / 10, "FAILED", country="Germany"))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_500_000
    assert monitor.countries["Germany"] == Share(500, 500)
    assert monitor.active.keys() == {None, "Germany"}
    assert monitor.overall == Share(500, 20_500)


def test_a_text_that_is_too_long_for_a_country_counts_overall() -> None:
    monitor = CarrierMonitor()
    alerts_of(monitor, [record(0, country="x" * 101), record(0, country="x" * 100)])
    assert (list(monitor.countries), monitor.overall) == (["x" * 100], Share(0, 2))


def test_alerts_of_invented_countries_are_forgotten_if_nobody_calls_them() -> None:
    monitor = CarrierMonitor(minimum=1)
    started = alerts_of(monitor, (record(index * 60, "FAILED", country=f"{index}") for index in range(1000)))
    assert started == [("started", None), *(("started", f"{index}") for index in range(1000))]
    assert monitor.active.keys() == {None, *(f"{index}" for index in range(1000 - 512, 1000))}


def test_no_alert_is_forgotten_and_started_again_while_its_country_is_called() -> None:
    monitor = CarrierMonitor(minimum=1)
    started = alerts_of(monitor, (record(index, "FAILED", country=f"{index % 500}") for index in range(3000)))
    assert len(started) == 501


# --- any record at all ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.lists(hostile.records, max_size=60))
def test_any_record_is_counted_or_late(records: list[CallRecord]) -> None:
    monitor = CarrierMonitor(minimum=1)
    for number, each in enumerate(records, 1):
        monitor.add(each)
        assert monitor.overall.of + monitor.late <= number
    alerts_of(monitor, failures(300))
    assert monitor.active.keys() >= {None, "Germany"}


@pytest.mark.parametrize(
    ("start", "error", "says"),
    [
        (datetime(2026, 6, 1), ValueError, "record.start_time must be timezone-aware"),  # noqa: DTZ001 # naive on purpose
        ("2026-06-01", TypeError, "record.start_time must be a datetime, not str"),
    ],
)
def test_a_record_made_by_hand_has_a_time(start: Any, error: type[Exception], says: str) -> None:
    monitor = CarrierMonitor()
    with pytest.raises(error, match=says):
        monitor.add(CallRecord("1", start, 1, 1))
    assert monitor.overall.of == 0


def test_a_record_made_by_hand_may_have_a_time_of_another_type() -> None:
    monitor = CarrierMonitor()
    monitor.add(CallRecord("1", disguised(START + timedelta(hours=1)), 1, 1))
    assert monitor.overall.of == 1


def test_a_function_that_raises_counts_nothing() -> None:
    monitor = CarrierMonitor(failed=lambda each: bool(1 // each.duration))
    with pytest.raises(ZeroDivisionError):
        monitor.add(record(duration=0))
    assert monitor.overall.of == 0
