"""The carrier's failure rate."""

from __future__ import annotations

import tracemalloc
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from tests.operations.records import Endless, after, record, stream
from unlimcall_async import CallRecord
from unlimcall_async.operations import FAILED_DISPOSITIONS, CarrierAlert, CarrierMonitor, Share

pytestmark = pytest.mark.own_rules

HOUR = 3600


def attempts(count: int, failed: int, at: float = 0, country: str | None = "Germany") -> list[CallRecord]:
    """So many attempts within a second, the failed ones first."""
    return [record(at, "FAILED" if index < failed else "ANSWERED", country=country) for index in range(count)]


def feed(monitor: CarrierMonitor, *records: list[CallRecord]) -> list[CarrierAlert]:
    return [alert for each in records for one in each for alert in monitor.add(one)]


def test_an_alert_starts_above_one_percent_and_ends_below_seven_tenths() -> None:
    monitor = CarrierMonitor()
    assert feed(monitor, attempts(300, 0), attempts(3, 3)) == []
    assert monitor.overall == Share(3, 303)
    (overall, germany) = feed(monitor, attempts(1, 1, 5))
    assert overall == CarrierAlert("started", None, Share(4, 304), after(5))
    assert germany == CarrierAlert("started", "Germany", Share(4, 304), after(5))
    assert monitor.active == {None: after(5), "Germany": after(5)}
    assert feed(monitor, attempts(267, 0, 6)) == []  # 4 of 571: 0.7005 %
    ended = feed(monitor, attempts(1, 0, 7))
    assert [(alert.state, alert.country, alert.failures) for alert in ended] == [
        ("ended", None, Share(4, 572)),
        ("ended", "Germany", Share(4, 572)),
    ]
    assert monitor.active == {}


def test_the_bounds_themselves_change_nothing() -> None:
    monitor = CarrierMonitor(minimum=1)
    assert (
        feed(monitor, attempts(0, 0), [record(country=None)] * 297, [record(disposition="FAILED", country=None)] * 3)
        == []
    )
    assert feed(monitor, [record(disposition="FAILED", country=None)])[0].state == "started"
    # 7 of 1000 is 0.7 %: not below.
    more = [record(disposition="FAILED", country=None)] * 3 + [record(country=None)] * 696
    assert feed(monitor, more) == []
    assert monitor.overall == Share(7, 1000)
    assert feed(monitor, [record(country=None)])[0].state == "ended"


def test_few_attempts_decide_nothing() -> None:
    monitor = CarrierMonitor(minimum=200)
    assert feed(monitor, attempts(199, 199)) == []
    started = feed(monitor, attempts(1, 0))
    assert {alert.failures for alert in started} == {Share(199, 200)}
    # An hour later there are few attempts again, and none has failed: that is no proof.
    assert feed(monitor, attempts(199, 0, 2 * HOUR)) == []
    assert monitor.overall == Share(0, 199)
    assert [alert.state for alert in feed(monitor, attempts(1, 0, 2 * HOUR))] == ["ended", "ended"]


def test_countries_are_apart() -> None:
    monitor = CarrierMonitor()
    alerts = feed(monitor, attempts(10_000, 0, country="France"), attempts(250, 5, country="Germany"))
    assert [(alert.state, alert.country) for alert in alerts] == [("started", "Germany")]
    assert monitor.countries == {"France": Share(0, 10_000), "Germany": Share(5, 250)}
    assert monitor.overall == Share(5, 10_250)


def test_a_record_of_no_country_counts_overall() -> None:
    monitor = CarrierMonitor()
    feed(monitor, attempts(3, 1, country=None))
    assert monitor.overall == Share(1, 3)
    assert monitor.countries == {}


def test_old_calls_leave_the_span_in_steps_of_a_sixtieth() -> None:
    monitor = CarrierMonitor()
    feed(monitor, attempts(5, 5, 59), attempts(7, 1, 61))
    feed(monitor, attempts(1, 0, HOUR - 1))
    assert monitor.overall == Share(6, 13)
    feed(monitor, attempts(1, 0, HOUR))
    assert monitor.overall == Share(1, 9)
    feed(monitor, attempts(1, 0, 100 * HOUR))
    assert monitor.overall == Share(0, 1)
    assert monitor.countries == {"Germany": Share(0, 1)}


def test_an_alert_can_start_because_good_calls_leave_the_span() -> None:
    monitor = CarrierMonitor(minimum=100)
    assert feed(monitor, attempts(1000, 0, 0), attempts(150, 5, 1800)) == []
    # Whose record it is that moves the span does not matter.
    alerts = feed(monitor, attempts(1, 0, HOUR + 1, country="France"))
    assert [(alert.state, alert.country, alert.failures) for alert in alerts] == [
        ("started", None, Share(5, 151)),
        ("started", "Germany", Share(5, 150)),
    ]


def test_a_late_record_counts_where_its_start_belongs() -> None:
    monitor = CarrierMonitor()
    feed(monitor, attempts(1, 0, HOUR), attempts(2, 1, 61))
    assert monitor.overall == Share(1, 3)
    feed(monitor, attempts(4, 4, 59))
    assert (monitor.late, monitor.overall) == (4, Share(1, 3))
    feed(monitor, attempts(1, 0, HOUR + 60))
    assert monitor.overall == Share(0, 2)


def test_an_alert_stays_where_no_more_calls_come() -> None:
    monitor = CarrierMonitor()
    feed(monitor, attempts(300, 300, country="Germany"))
    feed(monitor, attempts(300, 0, 2 * HOUR, country="France"))
    assert monitor.countries == {"France": Share(0, 300)}
    assert monitor.active == {"Germany": after(0)}
    (ended,) = feed(monitor, attempts(200, 0, 2 * HOUR, country="Germany"))
    assert (ended.state, ended.country, ended.failures) == ("ended", "Germany", Share(0, 200))


@pytest.mark.parametrize(
    ("disposition", "counts"),
    [
        *[("FAILED", True), ("failed", True), ("Congestion", True), ("CHANUNAVAIL", True)],
        *[("503", True), ("SIP 503", True), ("sip 599", True), ("488", True)],
        *[
            ("ANSWERED", False),
            ("NO ANSWER", False),
            ("BUSY", False),
            ("486", False),
            ("SIP 404", False),
            ("600", False),
        ],
        *[("", False), (None, False), ("A NEW ONE", False)],
    ],
)
def test_which_dispositions_count_as_failed(disposition: str | None, counts: bool) -> None:
    monitor = CarrierMonitor()
    monitor.add(record(disposition=disposition))
    assert monitor.overall == Share(int(counts), 1)
    assert (disposition or "").upper() in FAILED_DISPOSITIONS or not counts


def test_what_counts_as_failed_can_be_said_as_a_set() -> None:
    monitor = CarrierMonitor(failed=["Kaputt"])
    feed(monitor, [record(disposition="KAPUTT"), record(disposition="FAILED")])
    assert monitor.overall == Share(1, 2)


def test_what_counts_as_failed_can_be_said_by_a_function() -> None:
    monitor = CarrierMonitor(failed=lambda each: each.extra.get("sipCode") == 503)
    feed(monitor, [record(extra={"sipCode": 503}), record(disposition="FAILED", extra={"sipCode": 404})])
    assert monitor.overall == Share(1, 2)


async def test_a_stream_is_watched() -> None:
    monitor = CarrierMonitor()
    records = [*attempts(300, 4), *attempts(300, 0, 1)]
    alerts = [(alert.state, alert.country) async for alert in monitor.watch(stream(records))]
    assert alerts == [("started", None), ("started", "Germany"), ("ended", None), ("ended", "Germany")]


async def test_leaving_the_iteration_closes_the_source() -> None:
    monitor, source = CarrierMonitor(), Endless(attempts(300, 4))
    async with aclosing(monitor.watch(source)) as alerts:
        async for alert in alerts:
            assert alert.state == "started"
            break
        assert not source.closed
    assert source.closed


@pytest.mark.slow
def test_memory_does_not_grow_with_the_calls() -> None:
    monitor = CarrierMonitor()

    def day(number: int) -> None:
        for index in range(500):
            monitor.add(
                record(number * 86_400 + index * 170, "FAILED" if index % 50 == 0 else "BUSY", country=f"{index % 10}")
            )

    tracemalloc.start()
    try:
        day(0)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1, 4):
            day(number)
        after_days, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_days - before < 5_000
    assert len(monitor.countries) == 10


def test_the_repr_tells_the_state() -> None:
    monitor = CarrierMonitor()
    assert repr(monitor) == "<CarrierMonitor 0 of 0 failed, 0 alerts active>"
    feed(monitor, attempts(300, 4))
    assert repr(monitor) == "<CarrierMonitor 4 of 300 failed, 2 alerts active>"


async def _judge(_record: CallRecord) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"span": timedelta(seconds=59)}, ValueError, "span must be 0:01:00 or more"),
        ({"span": 60}, TypeError, "span must be a timedelta"),
        ({"start_above": 0}, ValueError, "start_above must lie between 0 and 1"),
        ({"start_above": True}, TypeError, "start_above must be a number"),
        ({"end_below": float("nan")}, ValueError, "end_below must lie between 0 and 1"),
        ({"start_above": 0.01, "end_below": 0.02}, ValueError, "end_below must not be above start_above"),
        ({"minimum": 0}, ValueError, "minimum must be 1 or more"),
        ({"failed": "FAILED"}, TypeError, "failed must be a collection of dispositions or a function"),
        ({"failed": None}, TypeError, "failed must be a collection of dispositions or a function"),
        ({"failed": [503]}, TypeError, "failed must be a str"),
        ({"failed": _judge}, TypeError, "failed must be a plain function"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        CarrierMonitor(**options)


def test_only_records_are_counted() -> None:
    with pytest.raises(TypeError, match="record must be a CallRecord, not str"):
        CarrierMonitor().add("record")  # type: ignore[arg-type] # that is the test
