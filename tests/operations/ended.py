"""Calls with their records and their `call.ended` events, and a simulated day of them of which all is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from attrs import define, frozen

from tests.operations.records import after
from unlimcall_async import CallRecord
from unlimcall_async.operations import EventAlert, EventReconciler
from unlimcall_async.webhooks import CallEnded

NUMBER = "+442079460811"
OTHER = "+442079460812"
HOUR = 3600.0


def ended(at: float | None, name: str = "1", **fields: Any) -> CallEnded:
    """Return an event at `at` seconds, of a call to `NUMBER` of 60 seconds."""
    known = {"call_id": f"call-{name}", "phone": NUMBER, "duration_sec": 60, **fields}
    return CallEnded(id=f"event-{name}", type="call.ended", occurred_at=None if at is None else after(at), **known)


def record(end: float, name: str = "1", **fields: Any) -> CallRecord:
    """Return the record of a call to `NUMBER` of 60 seconds that ended at `end` seconds."""
    known = {"duration": 60, "billsec": 60, "dst": NUMBER, "sip_username": "unl_001", **fields}
    return CallRecord(id=name, start_time=after(end - known["duration"]), **known)


def swept(
    events: Iterable[CallEnded] = (), records: Iterable[CallRecord] = (), now: float = HOUR, **options: Any
) -> EventReconciler:
    """Return a reconciler that has swept once, at `now` seconds. Events without a time have come at 60 seconds."""
    reconciler = EventReconciler(**options)
    for event in events:
        reconciler.seen(event, at=after(60))
    for each in records:
        reconciler.add(each)
    reconciler.sweep(now=after(now))
    return reconciler


def pairs(reconciler: EventReconciler) -> set[tuple[str | None, str]]:
    return {(match.event.call_id, match.record.id) for match in reconciler.matched}


def missed(reconciler: EventReconciler) -> set[str]:
    return {call.record.id for call in reconciler.missed}


@frozen
class Simulated:
    """A call, and what becomes of it: times are seconds."""

    record: CallRecord
    event: CallEnded
    end: float
    arrives: float | None
    recorded: float


def simulated(
    count: int, seconds: float, *, seed: int, numbers: int, dropped: float = 0.05, outage: tuple[float, float] = (0, 0)
) -> list[Simulated]:
    """Return calls whose numbers repeat.

    A share of the events is dropped, and all of those in the outage. Durations are of the talk or of all of the call, and are off
    by a second. One record in ten is up to an hour late.
    """
    random = Random(seed)
    calls = []
    for index in range(count):
        ring, talk = random.randint(2, 30), random.choice([0, 10, 30, 60, *(random.randint(1, 600) for _ in range(3))])
        start = round(random.uniform(0, seconds), 3)
        end = start + ring + talk
        said = random.choice([talk, ring + talk]) if talk else ring
        number = f"+4420{random.randrange(numbers):08d}"
        event = ended(
            end + random.uniform(-1, 4),
            str(index),
            phone=random.choice([number, number.replace("+", "00"), f"{number[:3]} {number[3:7]} {number[7:]}"]),
            duration_sec=max(0, said + random.choice([-1, 0, 1])),
        )
        lost = random.random() < dropped or outage[0] <= end < outage[1]
        calls.append(
            Simulated(
                record(end, str(index), dst=number, duration=ring + talk, billsec=talk),
                event,
                end,
                None if lost else end + random.uniform(1, 30),
                end + random.choice([*[random.uniform(0, 60)] * 9, random.uniform(0, HOUR)]),
            )
        )
    return calls


@define
class Outcome:
    """What the sweeps of a simulated day have found.

    Attributes:
        reconciler: The reconciler.
        alerts: The alerts, by the time of their sweep.
        not_found: For each sweep, the calls without an event that it did not find.
        too_many: For each sweep, the calls with an event that it found.
    """

    reconciler: EventReconciler
    alerts: list[tuple[float, EventAlert]]
    not_found: list[int]
    too_many: list[int]

    @property
    def wrong(self) -> int:
        """The pairs that are not of one call."""
        return sum(event != f"call-{record}" for event, record in pairs(self.reconciler))


def swept_over(calls: list[Simulated], till: float, *, every: float, **options: Any) -> Outcome:
    """Return what a reconciler finds that sweeps again and again, while events and records come."""
    outcome = Outcome(EventReconciler(**options), [], [], [])
    coming = sorted(_arrivals(calls), key=lambda each: each[0])
    place, now, known = 0, 0.0, set[str]()
    while now < till:
        now += every
        while place < len(coming) and coming[place][0] <= now:
            at, what = coming[place]
            place += 1
            if isinstance(what, CallRecord):
                outcome.reconciler.add(what)
                known.add(what.id)
            else:
                outcome.reconciler.seen(what, at=after(at))
        outcome.alerts += [(now, alert) for alert in outcome.reconciler.sweep(now=after(now))]
        due = {call.record.id for call in calls if call.arrives is None and call.end + 300 <= now} & known
        found = missed(outcome.reconciler)
        outcome.not_found.append(len(due - found))
        outcome.too_many.append(len(found - due))
    return outcome


def _arrivals(calls: list[Simulated]) -> Iterator[tuple[float, CallRecord | CallEnded]]:
    for call in calls:
        yield call.recorded, call.record
        if call.arrives is not None:
            yield call.arrives, call.event
