"""`EventReconciler`: what is matched, missed, waiting and recovered, case by case."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest

from tests.operations.ended import HOUR, NUMBER, OTHER, ended, missed, pairs, record, swept
from tests.operations.records import after
from unlimcall_async import CallRecord
from unlimcall_async.operations import EventReconciler, EventStateError
from unlimcall_async.webhooks import CallEnded, recovered_event

pytestmark = pytest.mark.own_rules


@pytest.mark.parametrize(
    ("fields", "grade"),
    [
        ({}, "certain"),
        ({"phone": "00442079460811"}, "certain"),
        ({"phone": "tel:+44-20-7946-0811"}, "certain"),
        ({"phone": "+44 (0)20 7946 0811"}, "certain"),
        ({"phone": "sip:442079460811@gw.example;user=phone"}, "certain"),
        ({"phone": "٤٤٢٠٧٩٤٦٠٨١١"}, "certain"),
        ({"phone": "020 7946 0811"}, "likely"),
        ({"duration_sec": None}, "likely"),
        ({"duration_sec": 42}, "likely"),
        ({"duration_sec": float("nan")}, "likely"),
        ({"duration_sec": 10**400}, "likely"),
        ({"phone": "020 7946 0811", "duration_sec": None}, "possible"),
        ({"phone": None}, "possible"),
        ({"phone": "anonymous"}, "possible"),
        ({"phone": None, "duration_sec": None, "call_id": None}, "possible"),
        ({"phone": OTHER}, None),
        ({"phone": "0811"}, None),
        ({"duration_sec": 64}, None),
        ({"phone": None, "duration_sec": 42}, None),
    ],
)
def test_a_pair_has_the_grade_of_what_speaks_for_it(fields: dict[str, Any], grade: str | None) -> None:
    reconciler = swept([ended(2, **fields)], [record(0)])
    assert [match.grade for match in reconciler.matched] == ([] if grade is None else [grade])
    assert missed(reconciler) == ({"1"} if grade is None else set())
    assert len(reconciler.waiting) == (grade is None)


@pytest.mark.parametrize(("duration", "billsec"), [(80, 61), (59, 0), (63, 63)])
def test_a_duration_may_be_that_of_the_talk_or_of_the_call(duration: int, billsec: int) -> None:
    reconciler = swept([ended(2)], [record(0, duration=duration, billsec=billsec)])
    assert [match.grade for match in reconciler.matched] == ["certain"]


@pytest.mark.parametrize(
    ("at", "grade"), [(-66, None), (-65, "likely"), (-6, "likely"), (-5, "certain"), (600, "certain"), (601, None)]
)
def test_an_event_is_near_the_end_of_its_call_or_within_the_call(at: float, grade: str | None) -> None:
    reconciler = swept([ended(at)], [record(0)])
    assert [match.grade for match in reconciler.matched] == ([] if grade is None else [grade])
    assert all(match.delay.total_seconds() == at for match in reconciler.matched)


def test_an_arrival_is_by_another_clock() -> None:
    for at, matches in ((-300, True), (-301, False)):
        reconciler = EventReconciler()
        reconciler.add(record(0, duration=0, billsec=0))
        reconciler.seen(ended(None, duration_sec=0), at=after(at))
        reconciler.sweep(now=after(HOUR))
        assert len(reconciler.matched) == matches


def test_an_event_without_a_time_counts_by_its_arrival() -> None:
    reconciler = EventReconciler()
    reconciler.add(record(0))
    reconciler.seen(ended(None), at=after(24 * HOUR))
    reconciler.sweep(now=after(25 * HOUR))
    assert [match.grade for match in reconciler.matched] == ["likely"]


def test_calls_of_one_number_are_told_apart_by_their_ends() -> None:
    events = [ended(at, f"{at}") for at in (61, 181, 241)]
    records = [record(at - 1, f"{at}") for at in (61, 121, 181, 241)]
    reconciler = swept(events, records)
    assert pairs(reconciler) == {("call-61", "61"), ("call-181", "181"), ("call-241", "241")}
    assert [(call.record.id, call.grade) for call in reconciler.missed] == [("121", "likely")]
    assert {match.grade for match in reconciler.matched} == {"likely"}


def test_calls_of_one_number_are_told_apart_by_their_durations() -> None:
    # Both ended at once. Only the durations decide, and the nearest event alone would take the wrong record.
    events = [ended(1, "long", duration_sec=300), ended(2, "short", duration_sec=20)]
    records = [record(0, "short", duration=20, billsec=20), record(1, "long", duration=300, billsec=298)]
    assert pairs(swept(events, records)) == {("call-short", "short"), ("call-long", "long")}


def test_what_cannot_be_told_apart_is_possible() -> None:
    records = [record(0, "a"), record(0, "b"), record(0, "c")]
    found = [swept([ended(1)], given) for given in permutations(records)]
    assert [match.grade for match in found[0].matched] == ["possible"]
    assert [call.grade for call in found[0].missed] == ["possible", "possible"]
    # Which one it is, is chosen all the same, and by no order.
    assert len({match.record.id for each in found for match in each.matched}) == 1


def test_an_event_without_a_number_elsewhere_makes_nothing_more_certain() -> None:
    far = ended(5000, "far", phone=None)
    reconciler = swept([ended(1), far], [record(0, "a"), record(0, "b")], now=2 * HOUR)
    assert [call.grade for call in reconciler.missed] == ["possible"]


def test_a_lost_event_does_not_draw_each_later_event_to_the_record_before() -> None:
    # The number is called each minute. The event of the fifth call is lost, and the last three records are still to come.
    events = [ended(60 * index, f"{index}") for index in range(20) if index != 5]
    records = [record(60 * index - 1, f"{index}") for index in range(17)]
    reconciler = swept(events, records, now=20 * 60)
    assert missed(reconciler) == {"5"}
    assert [event.call_id for event in reconciler.waiting] == ["call-17", "call-18", "call-19"]


def test_an_event_much_later_than_usual_waits_for_its_own_record() -> None:
    usual = [
        (ended(at, f"{at}", phone=f"+1415{at:07d}"), record(at, f"{at}", dst=f"+1415{at:07d}")) for at in range(30)
    ]
    events = [event for event, _ in usual] + [ended(200, "redial")]
    records = [each for _, each in usual] + [record(100, "lost")]
    reconciler = swept(events, records, now=400)
    assert [(call.record.id, call.grade) for call in reconciler.missed] == [("lost", "likely")]
    # After an hour, its record would be there.
    reconciler.sweep(now=after(200 + HOUR))
    assert missed(reconciler) == set()
    reconciler.add(record(199, "redial"))
    reconciler.sweep(now=after(200 + HOUR))
    assert missed(reconciler) == {"lost"}


@pytest.mark.parametrize("delay", [2, 45])
def test_a_duration_that_is_neither_fits_at_the_usual_delay(delay: float) -> None:
    # The event states the talk time, and `billsec` is rounded up to minutes.
    numbers = [f"+1415{index:07d}" for index in range(40)]
    records = [record(9 * at, f"{at}", dst=each, duration=55) for at, each in enumerate(numbers)]
    events = [ended(9 * at + delay, f"{at}", phone=each, duration_sec=42) for at, each in enumerate(numbers)][1:]
    reconciler = swept(events, [*records, record(300, "again", dst=numbers[20], duration=55)])
    assert missed(reconciler) == {"0", "again"}
    assert {match.grade for match in reconciler.matched} == {"likely"}


def test_without_grace_a_call_is_missed_at_its_end() -> None:
    assert missed(swept([], [record(0)], now=0.0, grace=timedelta(0))) == {"1"}


def test_a_call_is_pending_until_its_grace_is_over() -> None:
    reconciler = swept([], [record(0)], now=299)
    assert ([each.id for each in reconciler.pending], missed(reconciler)) == (["1"], set())
    reconciler.sweep(now=after(300))
    assert (reconciler.pending, missed(reconciler)) == ((), {"1"})


def test_an_event_that_comes_again_is_one_event() -> None:
    # The second hook gives the event another id. Without ids, equal contents are one event.
    again = CallEnded(id="of another hook", type="call.ended", occurred_at=after(3), call_id="call-1", phone=NUMBER)
    bare = CallEnded(type="call.ended", occurred_at=after(900), phone=NUMBER)
    reconciler = swept([ended(1), ended(1), again, bare, bare], [record(0, "a"), record(0, "b")])
    assert (len(reconciler.matched), len(reconciler.waiting)) == (1, 1)


def test_ids_that_are_the_same_everywhere_do_not_make_all_calls_one() -> None:
    events = [ended(1, call_id="", phone=NUMBER), ended(2, "2", call_id="", phone=OTHER)]
    same = [ended(1, call_id="x", phone=NUMBER), ended(2, "2", call_id="x", phone=OTHER)]
    for given in (events, same):
        assert len(swept(given, [record(0), record(0, "2", dst=OTHER)]).matched) == 2


def test_the_legs_of_a_call_have_one_event() -> None:
    legs = [record(0), record(90, dst=OTHER, duration=80), record(0, duration=2, billsec=0)]
    reconciler = swept([ended(1)], legs)
    assert (missed(reconciler), len(reconciler.matched)) == (set(), 1)
    # Without the event, the call is missed once. The same id hours later is of another call.
    reconciler = swept([], [*legs, record(2 * HOUR)], now=3 * HOUR)
    assert [call.record for call in reconciler.missed] == [legs[0], record(2 * HOUR)]


def test_a_record_that_was_revised_is_one_call() -> None:
    first, revised = record(0, billsec=0), record(20, duration=80, billsec=75)
    assert first.start_time == revised.start_time
    for events in ([ended(1)], [ended(21, duration_sec=80)]):
        assert missed(swept(events, [first, revised, revised])) == set()
    assert len(swept([], [first, revised]).missed) == 1


def test_the_contact_of_a_call_that_came_in_is_the_caller() -> None:
    came_in = record(0, src=NUMBER, dst=OTHER, did=OTHER)
    assert recovered_event(came_in).phone == NUMBER
    assert pairs(swept([ended(1)], [came_in])) == {("call-1", "1")}
    went_out = record(0, src=OTHER, did=OTHER)
    assert recovered_event(went_out).phone == NUMBER
    assert pairs(swept([ended(1)], [went_out])) == {("call-1", "1")}


def test_calls_of_other_lines_are_left_out() -> None:
    records = [record(0), record(0, "seat", sip_username="unl_007"), record(0, "none", sip_username=None)]
    assert missed(swept([], records)) == {"1", "seat", "none"}
    assert missed(swept([], records, lines={"unl_001"})) == {"1"}
    assert missed(swept([], records, lines=lambda each: each.sip_username != "unl_001")) == {"seat", "none"}


def test_lines_without_any_event_are_told() -> None:
    people = [record(0, f"seat-{index}", sip_username="unl_007", dst=OTHER) for index in range(3)]
    reconciler = swept([ended(1)], [record(0), record(400, "lost"), *people])
    assert reconciler.silent_lines == {"unl_007": 3}


def test_a_recovered_call_is_missed_no_more() -> None:
    reconciler = swept([], [record(0), record(0, "2", dst=OTHER)])
    for call in reconciler.missed:
        reconciler.seen(recovered_event(call.record), at=after(HOUR))
    assert (reconciler.missed, [call.record.id for call in reconciler.recovered]) == ((), ["1", "2"])
    # The event comes after all.
    reconciler.seen(ended(2), at=after(2 * HOUR))
    reconciler.sweep(now=after(2 * HOUR))
    assert (pairs(reconciler), [call.record.id for call in reconciler.recovered]) == ({("call-1", "1")}, ["2"])


def test_old_calls_are_dropped_and_late_ones_counted() -> None:
    reconciler = swept([ended(1), ended(-50 * HOUR, "old")], [record(0), record(-50 * HOUR, "old"), record(0, "2")])
    assert (reconciler.late, len(reconciler.matched)) == (2, 1)
    reconciler.sweep(now=after(49 * HOUR))
    assert (reconciler.late, reconciler.matched, reconciler.missed, reconciler.waiting) == (2, (), (), ())
    assert json.loads(reconciler.to_json())["records"] == []


def test_records_of_the_future_are_not_kept() -> None:
    odd = [
        CallRecord(id="far", start_time=after(0), duration=10**400, billsec=1),
        CallRecord(id="9999", start_time=datetime(9999, 12, 31, tzinfo=UTC), duration=10**6, billsec=1),
    ]
    reconciler = swept([], [*odd, record(0)])
    assert (missed(reconciler), reconciler.late) == ({"1"}, 2)


def test_a_stored_state_goes_on_like_the_reconciler_itself() -> None:
    first = swept(
        [ended(1), ended(None, "3")], [record(0), record(9, "2", extra={"a": 0.25})], start_above=0.1, minimum=1
    )
    first.seen(recovered_event(record(9, "2")), at=after(HOUR))
    second = EventReconciler(start_above=0.1, minimum=1)
    second.load(first.to_json())
    for name in ("matched", "missed", "recovered", "pending", "waiting", "active", "share", "late"):
        assert getattr(second, name) == getattr(first, name), name
    assert second.to_json() == first.to_json()
    assert second.sweep(now=after(HOUR)) == first.sweep(now=after(HOUR)) == []


@dataclass
class Damage:
    change: dict[str, Any]
    where: str


@pytest.mark.parametrize(
    "damage",
    [
        Damage({"version": 2}, "version"),
        Damage({"version": True}, "version"),
        Damage({"kind": "caller_ids"}, "kind"),
        Damage({"late": 1.5}, "late"),
        Damage({"now": "+4420"}, "now"),
        Damage({"now": "2026-06-01T00:00:00"}, "now"),
        Damage({"recovered": {"+442079460811": "soon"}}, "recovered"),
        Damage({"recovered": {"+442079460811": 10**400}}, "recovered"),
        Damage({"events": [{}]}, "events[0]"),
        Damage({"events": [["+442079460811"]]}, "events[0]"),
        Damage({"events": {}}, "events"),
        Damage({"records": [{"dst": "+442079460811"}]}, "records[0]"),
    ],
)
def test_a_damaged_state_is_told_without_its_contents(damage: Damage) -> None:
    state = {**json.loads(swept([ended(1)], [record(0)]).to_json()), **damage.change}
    reconciler = EventReconciler()
    with pytest.raises(EventStateError) as caught:
        reconciler.load(json.dumps(state))
    assert caught.value.where == damage.where
    assert "4420" not in str(caught.value)
    assert "0 matched" in repr(reconciler)


def test_what_is_no_state_is_told() -> None:
    for text in ("", "[]", b"\xff", "{}"):
        with pytest.raises(EventStateError):
            EventReconciler().load(text)


def test_no_number_is_shown() -> None:
    reconciler = swept([ended(1), ended(900, "2")], [record(0), record(0, "3", dst=OTHER)])
    shown = [reconciler, reconciler.matched, reconciler.missed, reconciler.waiting, reconciler.share]
    assert len(reconciler.matched) == len(reconciler.missed) == len(reconciler.waiting) == 1
    assert "79460" not in repr(shown)
    assert repr(reconciler) == "<EventReconciler 1 matched, 1 without an event, 1 waiting>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lines": "unl_001"}, "lines must be a collection of lines or a function, not str"),
        ({"lines": [1]}, "lines must be a str, not int"),
        ({"grace": 5}, "grace must be a timedelta"),
        ({"grace": timedelta(microseconds=-1)}, "grace must be 0:00:00 or more"),
        ({"delay": timedelta(0)}, "delay must be 0:00:00.000001 or more"),
        ({"start_above": 1.5}, "start_above must lie between 0 and 1"),
        ({"start_above": 0.1, "end_below": 0.2}, "end_below must not be above start_above"),
        ({"minimum": 0}, "minimum must be 1 or more"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        EventReconciler(**options)


def test_what_is_neither_an_event_nor_a_record_is_refused() -> None:
    reconciler = EventReconciler()
    with pytest.raises(TypeError, match="event must be a CallEnded, not CallRecord"):
        reconciler.seen(record(0))  # type: ignore[arg-type] # as just said
    odd: dict[str, Any] = {"duration_sec": "60", "phone": 442079460811, "call_id": 1}
    for name, value in odd.items():
        with pytest.raises(TypeError, match=f"event.{name} must be a"):
            reconciler.seen(ended(0, **{name: value}))
    with pytest.raises(TypeError, match="record must be a CallRecord, not CallEnded"):
        reconciler.add(ended(0))  # type: ignore[arg-type] # as just said
    with pytest.raises(TypeError, match="event must be a SeenEvent"):
        reconciler.add_seen(ended(0))  # type: ignore[arg-type] # as just said


@pytest.mark.slow
def test_many_records_of_one_id_take_no_seconds() -> None:
    reconciler = EventReconciler()
    for index in range(4000):
        reconciler.add(record(20 * index, "same", dst=f"+4420{index:08d}"))
    began = time.process_time()
    reconciler.sweep(now=after(24 * HOUR))
    # Some 0.1 s. A look at all records of the id for each of them took 10.
    assert (len(reconciler.missed), time.process_time() - began < 2) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("has_time", [True, False])
def test_many_events_without_a_number_take_no_minutes(has_time: bool) -> None:
    reconciler = EventReconciler()
    for index in range(2500):
        end = index % 600
        reconciler.add(record(end, f"{index}", dst=f"+4420{index:08d}"))
        reconciler.seen(ended(end + 1 if has_time else None, f"{index}", phone=None), at=after(HOUR))
    began = time.process_time()
    reconciler.sweep(now=after(2 * HOUR))
    # Some 0.7 s. A look at each pair of event and record took 10.
    assert (len(reconciler.matched) > 0, time.process_time() - began < 4) == (True, True)


@pytest.mark.parametrize("late", [0, 1, 22])
@pytest.mark.parametrize("duration", [5, 35])
def test_how_late_events_are_is_learned_from_numbers_that_are_redialled(late: int, duration: int) -> None:
    random = Random(late)
    events, records, end = [], [], 0
    for index in range(60):
        end += duration + random.randint(2, 20)
        records.append(record(end, f"{index}", duration=duration, billsec=duration))
        events.append(ended(end + late + random.randint(0, 3), f"{index}", duration_sec=duration))
    # The record of the last call is still to come: its event belongs to no other call, and least of all to the lost one.
    reconciler = swept(
        [*events[:20], *events[21:58], events[59]], records[:59], now=end + 60, grace=timedelta(seconds=30)
    )
    assert pairs(reconciler) == {(f"call-{index}", f"{index}") for index in range(58) if index != 20}
    assert missed(reconciler) == {"20", "58"}


# --- the alarm ------------------------------------------------------------------------------------------------------


def alarm_after(count: int, missing: int) -> list[str]:
    numbers = [f"+4420{index:08d}" for index in range(count)]
    records = [record(index, f"{index}", dst=number) for index, number in enumerate(numbers)]
    events = [ended(index, f"{index}", phone=number) for index, number in enumerate(numbers)][missing:]
    reconciler = EventReconciler()
    for each in records:
        reconciler.add(each)
    for event in events:
        reconciler.seen(event, at=after(count))
    return [alert.state for alert in reconciler.sweep(now=after(HOUR))]


@pytest.mark.parametrize(
    ("count", "missing", "alarm"),
    [(2, 1, False), (4, 4, False), (5, 5, True), (30, 4, False), (30, 5, True), (200, 5, False), (200, 20, True)],
)
def test_an_alarm_needs_more_than_chance(count: int, missing: int, alarm: bool) -> None:
    assert alarm_after(count, missing) == (["started"] if alarm else [])


@pytest.mark.slow
def test_an_outage_shows_in_the_last_twelfth_of_the_span() -> None:
    # Of 1200 calls in the hour, the last 60 have no event: 5 % of all, and most of the last five minutes.
    reconciler = EventReconciler(start_above=0.1)
    for index in range(1200):
        number = f"+4420{index:08d}"
        reconciler.add(record(3 * index, f"{index}", dst=number))
        if index < 1140:
            reconciler.seen(ended(3 * index, f"{index}", phone=number), at=after(3 * index))
    (alert,) = reconciler.sweep(now=after(2 * HOUR))
    assert (alert.state, alert.missed.count, alert.missed.of, alert.at) == ("started", 60, 100, after(2 * HOUR))
    assert (reconciler.share.count, reconciler.share.of, reconciler.active) == (60, 1200, after(2 * HOUR))
    assert reconciler.sweep(now=after(2 * HOUR)) == []
