"""`EventReconciler`: the calls that the API records, against the `call.ended` events that a receiver saw.

Pure: no I/O but the client's clock, for an event that comes without a time. `event_sides` says what is compared, `event_matching`
how, `event_buckets` when. `event_alarm` decides when to alert, and `event_state` reads and writes what is stored.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection
from datetime import datetime, timedelta
from typing import TypeAlias

from attrs import field, frozen

from unlimcall_async import CallRecord, _arguments, _clock
from unlimcall_async.operations import _checks, event_state
from unlimcall_async.operations.event_alarm import EventAlarm, EventAlert
from unlimcall_async.operations.event_buckets import Buckets
from unlimcall_async.operations.event_horizon import Kept
from unlimcall_async.operations.event_matching import Grade, Matching, Rules
from unlimcall_async.operations.event_sides import Leg, SeenEvent, seconds
from unlimcall_async.operations.event_watch import watching
from unlimcall_async.operations.shares import Share
from unlimcall_async.webhooks import CallEnded, when_handled

Lines: TypeAlias = Collection[str] | Callable[[CallRecord], bool] | None


@frozen
class EventMatch:
    """A call whose event was seen.

    Attributes:
        event: The event.
        record: The record.
        grade: How certain it is that the two belong together. `"certain"`: number, time and duration agree, and neither fits
            anything else. `"likely"`: one of the three says little, or there is another way to match that fits clearly worse.
            `"possible"`: several ways to match fit about as well, or the number is not known.
        delay: The time from the end of the call to the time of the event.
    """

    event: SeenEvent
    record: CallRecord = field(repr=False)
    grade: Grade
    delay: timedelta


@frozen
class MissedCall:
    """A call that the API records, and whose event was not seen.

    Attributes:
        record: The record; of a call of several legs the first.
        grade: How certain it is that this call has no event. `"certain"`: no event fits. `"likely"`: an event fits, and fits
            another call clearly better. `"possible"`: one of several calls has no event, and which one cannot be told.
    """

    record: CallRecord = field(repr=False)
    grade: Grade


@frozen
class _Lone:
    """A call without an event.

    Attributes:
        missed: The call.
        end: The end of its last leg, in seconds.
        recovered_ids: The ids that a recovered event of the call may have: one for each leg.
    """

    missed: MissedCall
    end: float
    recovered_ids: tuple[str, ...]


class EventReconciler:
    """Finds the calls that ended without a `call.ended` that this receiver saw, and the events that have no record yet.

        reconciler = EventReconciler(lines={"unl_001"})
        receiver.on(CallEnded)(reconciler.seen)
        ...
        reconciler.add(record)
        alerts = reconciler.sweep(now=datetime.now(UTC))
        for call in reconciler.missed:
            print(call.record.id, call.grade)

    Events and records may come in any order, late, and several times: what a sweep finds depends only on what has come. An event
    and a record are matched by number, end and duration, one to one, so that all of them together fit best.

    The reference says that `call.ended` fires for calls of the dialer and of AI agents. Name the lines of these, or all calls of
    people count as missed. `silent_lines` shows lines that may be such ones.

    An event of a recovered call (`unlimcall_async.webhooks.recovered_event`) takes its call from `missed` to `recovered`. If the
    call's own event comes after all, the call goes to `matched`.

    Memory grows with the calls of `horizon`. Older ones are dropped, and what comes later than that is only counted in `late`.

    Args:
        lines: The SIP lines whose calls have an event; or a function that returns whether the call of a record has one. `None` for
            all calls.
        grace: How long after the end of a call its event may come before the call is missed. A sender that retries needs longer.
        delay: The longest time from the end of a call to the time that its event states.
        arrival: The same for an event that states no time, whose arrival counts. The sender repeats an event for 24 hours.
        early: The longest time by which an event may be before the end of its call, because times are rounded. An event that is
            earlier, and not before the start of the call, may match with a lower grade.
        tolerance: The largest difference between two durations that are the same. An event's duration is compared with `duration`
            and `billsec`.
        horizon: How long calls and events are kept.
        span: The span of the alarm, which ends with the newest call. The last twelfth of it can start an alert, too.
        start_above: An alert starts if the share of missed calls is above this one, by 99 % confidence. 0.02 is 2 %.
        end_below: An alert ends if the share of the span is below this one.
        minimum: With fewer missed calls, no alert starts; with fewer calls, none ends.

    Raises:
        ValueError: `grace` is below zero, another timedelta is not above zero, a share does not lie between 0 and 1, `end_below` is
            above `start_above`, or `minimum` is below 1.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        *,
        lines: Lines = None,
        # Of ten minutes until an alarm, half for events that are late, half for calls to come.
        grace: timedelta = timedelta(minutes=5),
        delay: timedelta = timedelta(minutes=10),
        arrival: timedelta = timedelta(hours=25),
        early: timedelta = timedelta(seconds=5),
        tolerance: timedelta = timedelta(seconds=3),
        horizon: timedelta = timedelta(days=2),
        span: timedelta = timedelta(hours=1),
        start_above: float = 0.02,
        end_below: float = 0.01,
        # As many missed in a row are not chance, also on an account with few calls.
        minimum: int = 5,
    ) -> None:
        self._has_event = _predicate(lines)
        self._grace = _checks.span("grace", grace, at_least=timedelta(0)).total_seconds()
        rules = {"early": early, "delay": delay, "arrival": arrival, "tolerance": tolerance}
        self._rules = Rules(**{name: _checks.span(name, value).total_seconds() for name, value in rules.items()})
        self._alarm = EventAlarm(
            _checks.span("span", span).total_seconds(),
            _checks.share("start_above", start_above),
            _checks.share("end_below", end_below),
            _arguments.whole("minimum", minimum),
        )
        if self._alarm.end_below > self._alarm.start_above:
            raise ValueError("end_below must not be above start_above")
        self._buckets = Buckets(self._rules)
        self._kept = Kept(self._buckets, _checks.span("horizon", horizon).total_seconds())
        self._now: datetime | None = None
        self._active: datetime | None = None
        # What the last sweep found.
        self._matching = Matching()
        self._lone: dict[str, _Lone] = {}
        self._shares = (Share(0, 0), Share(0, 0))

    # --- what comes -----------------------------------------------------------------------------------------------

    def seen(self, event: CallEnded, *, at: datetime | None = None) -> None:
        """Add an event that a receiver saw. Register this method as a handler: `receiver.on(CallEnded)(reconciler.seen)`.

        As a handler, it adds the event when all handlers have succeeded. So the call of an event that failed until its hook was
        disabled is missed.

        Args:
            event: The event.
            at: When the event came; `None` for now.

        Raises:
            TypeError: `event` is not a `CallEnded`, a field of it is of a wrong type, or `at` is not a datetime.
            ValueError: `at` has no timezone.
        """
        if not isinstance(event, CallEnded):
            raise TypeError(f"event must be a CallEnded, not {type(event).__name__}")
        seen = SeenEvent.of(event, _clock.utc_now() if at is None else _arguments.utc("at", at))
        when_handled(lambda: self.add_seen(seen))

    def add_seen(self, event: SeenEvent) -> None:
        """Add an event from a log (`EventLog`).

        Raises:
            TypeError: `event` is not a `SeenEvent`.
        """
        if not isinstance(event, SeenEvent):
            raise TypeError(f"event must be a SeenEvent, not {type(event).__name__}")
        self._kept.add_event(event)

    def add(self, record: CallRecord) -> None:
        """Add a record. A record that was added before changes nothing; one that was revised is one more leg of its call.

        Raises:
            TypeError: `record` is not a `CallRecord`, or its `start_time` is not a datetime.
            ValueError: The record's `start_time` has no timezone.
        """
        start = _checks.start("record", record)
        if self._has_event(record):
            self._kept.add_record(record, Leg.of(record, start))

    # --- the sweep ------------------------------------------------------------------------------------------------

    def sweep(self, *, now: datetime) -> list[EventAlert]:
        """Match what has come, drop what is older than the horizon, and return the alerts that this brings.

        `matched`, `missed`, `recovered`, `pending` and `waiting` are as of the last sweep.

        Args:
            now: The time, timezone-aware.

        Raises:
            TypeError: `now` is not a datetime.
            ValueError: `now` has no timezone.
        """
        self._now = _arguments.utc("now", now)
        self._refresh(seconds(self._now))
        decided = self._alarm.decide(self._shares, active=self._active is not None)
        if decided is None:
            return []
        state, share = decided
        self._active = self._now if state == "started" else None
        return [EventAlert(state, share, self._now)]

    def watch(
        self, records: AsyncIterable[CallRecord], *, every: timedelta = timedelta(minutes=1)
    ) -> AsyncGenerator[EventAlert, None]:
        """Add the records of a follow as they come, sweep meanwhile, and return the alerts.

            async for alert in reconciler.watch(client.cdrs.follow(start)):
                print(alert)

        The iterator of the records is closed at the end. An error of the records ends the watch after one more sweep.

        Args:
            records: The records, of a follow or of a stream.
            every: The time between two sweeps.

        Raises:
            ValueError: `every` is not above zero.
            TypeError: `every` is not a timedelta.
        """
        pause = _checks.span("every", every).total_seconds()
        return watching(records, self.add, lambda: self.sweep(now=_clock.utc_now()), pause)

    def _refresh(self, now: float) -> None:
        """Find what is known at a time."""
        self._kept.drop(now)
        self._matching = self._buckets.matching(now)
        self._lone = {}
        for key in self._matching.lone:
            call = self._kept.call_of(key)
            if call[0].key == key and not any(leg.key in self._matching.pairs for leg in call):
                missed = MissedCall(self._kept.records[key][0], self._matching.lone[key])
                self._lone[key] = _Lone(missed, max(leg.end for leg in call), tuple(leg.recovered_id for leg in call))
        self._shares = self._alarm.shares(
            (end, key in self._lone)
            for end, key in self._kept.legs_until(now - self._grace, self._alarm.span)
            # The legs of a call without an event count once.
            if key in self._lone or key in self._matching.pairs
        )

    # --- what was found -------------------------------------------------------------------------------------------

    @property
    def matched(self) -> tuple[EventMatch, ...]:
        """The calls whose event was seen, in the order of their starts."""
        found = []
        for key, (event_key, grade) in self._matching.pairs.items():
            record, leg = self._kept.records[key]
            event = self._kept.events[event_key]
            found.append(EventMatch(event, record, grade, timedelta(seconds=seconds(event.at) - leg.end)))
        return tuple(sorted(found, key=lambda each: (each.record.start_time, each.record.id)))

    @property
    def missed(self) -> tuple[MissedCall, ...]:
        """The calls without an event, and whose event was not recovered, in the order of their starts."""
        return self._without_event(lambda call: self._is_ripe(call.end) and not self._is_recovered(call))

    @property
    def recovered(self) -> tuple[MissedCall, ...]:
        """The calls without an event of their own whose event was recovered, in the order of their starts."""
        return self._without_event(self._is_recovered)

    @property
    def pending(self) -> tuple[CallRecord, ...]:
        """The records of calls without an event that are too young to be missed, in the order of their starts."""
        young = self._without_event(lambda call: not self._is_ripe(call.end) and not self._is_recovered(call))
        return tuple(call.record for call in young)

    @property
    def waiting(self) -> tuple[SeenEvent, ...]:
        """The events without a record, in the order of their times."""
        return tuple(
            sorted((self._kept.events[key] for key in self._matching.free), key=lambda event: (event.at, event.key))
        )

    @property
    def share(self) -> Share:
        """The calls without an event of their own out of all calls in the span of the alarm, younger than `grace` left out."""
        return self._shares[0]

    @property
    def active(self) -> datetime | None:
        """When the alert started that has not ended, or `None`."""
        return self._active

    @property
    def late(self) -> int:
        """How many events and records were left out because they came after their horizon, or are of the future."""
        return self._kept.late

    @property
    def silent_lines(self) -> dict[str | None, int]:
        """The lines of which no call has an event, with the number of their calls. Those of people belong to no `lines`."""
        calls: Counter[str | None] = Counter()
        heard = set[str | None]()
        for key, (record, leg) in self._kept.records.items():
            if key in self._matching.pairs:
                heard.add(record.sip_username)
            elif self._is_ripe(leg.end):
                calls[record.sip_username] += 1
        return {line: count for line, count in calls.items() if line not in heard}

    def _is_ripe(self, end: float) -> bool:
        return self._now is not None and end <= seconds(self._now) - self._grace

    def _without_event(self, wanted: Callable[[_Lone], bool]) -> tuple[MissedCall, ...]:
        found = sorted((call.missed.record.start_time, key) for key, call in self._lone.items() if wanted(call))
        return tuple(self._lone[key].missed for _, key in found)

    def _is_recovered(self, call: _Lone) -> bool:
        return any(name in self._kept.recovered for name in call.recovered_ids)

    # --- storing --------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the state as JSON, which another process can load. The text holds phone numbers."""
        kept = self._kept
        records = [record for record, _ in kept.records.values()]
        state = event_state.State(self._now, self._active, kept.late, kept.recovered, [*kept.events.values()], records)
        return event_state.dump(state)

    def load(self, text: str | bytes) -> None:
        """Add what `to_json` of another reconciler saved, and take over its alert.

        The arguments are not part of the state. Give this reconciler the same ones.

        Raises:
            EventStateError: The text is not the state of a reconciler, or is damaged. Then nothing is added.
            TypeError: `text` is neither text nor bytes.
        """
        state = event_state.load(text)
        for event in state.events:
            self.add_seen(event)
        for record in state.records:
            self.add(record)
        self._kept.recovered |= state.recovered
        self._kept.late += state.late
        self._active = state.active
        if state.now is not None and self._now is None:
            # As of the sweep before. No alert is decided twice.
            self._now = state.now
            self._refresh(seconds(state.now))

    def __repr__(self) -> str:
        missed = sum(self._is_ripe(call.end) for call in self._lone.values())
        return (
            f"<{type(self).__name__} {len(self._matching.pairs)} matched, {missed} without an event, "
            f"{len(self._matching.free)} waiting>"
        )


def _predicate(lines: object) -> Callable[[CallRecord], bool]:
    if lines is None:
        return lambda _: True
    if inspect.iscoroutinefunction(lines):
        raise TypeError("lines must be a plain function, not a coroutine function")
    if callable(lines):
        return lambda record: bool(lines(record))
    if isinstance(lines, str) or not isinstance(lines, Collection):
        raise TypeError(f"lines must be a collection of lines or a function, not {type(lines).__name__}")
    known = frozenset(_arguments.text("lines", line) for line in lines)
    return lambda record: record.sip_username in known
