"""The events and records that a reconciliation keeps: those of the last time, its horizon. Pure: no I/O, and no clock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from unlimcall_async import CallRecord
from unlimcall_async.operations.event_buckets import Buckets
from unlimcall_async.operations.event_sides import EventSide, Leg, SeenEvent, digits_of, seconds

# Nothing that ends so many seconds after now is believed, and nothing of it is kept.
_AHEAD: Final = 86_400.0
# Legs with one id are of one call if so many seconds at most lie between them: a transfer rings for a while.
_BETWEEN_LEGS: Final = 60.0


class Kept:
    """Events and records, by key and by time.

    Attributes:
        events: The events.
        records: The records with their legs.
        recovered: The ids of recovered events, with the ends of their calls in seconds.
        late: How many events and records were left out because they came after the horizon, or are of the future.
    """

    def __init__(self, buckets: Buckets, horizon: float) -> None:
        self.events: dict[str, SeenEvent] = {}
        self.records: dict[str, tuple[CallRecord, Leg]] = {}
        self.recovered: dict[str, float] = {}
        self.late: int = 0
        self._buckets = buckets
        self._horizon = horizon
        self._event_times: list[tuple[float, str]] = []
        self._leg_ends: list[tuple[float, str]] = []
        self._legs_by_id: dict[str, set[str]] = {}
        # The call of each leg, by the id that the legs share: made when it is asked for, until a leg comes or goes.
        self._calls_by_id: dict[str, dict[str, list[Leg]]] = {}
        # The keys of what has come since the last `drop`.
        self._fresh = set[str]()

    def add_event(self, event: SeenEvent) -> None:
        """Add an event. Of two that tell of one call, the one with the earlier time of its own counts, whichever came first."""
        if event.recovers is not None:
            self.recovered[event.recovers] = seconds(event.at)
            return
        known = self.events.get(event.key)
        if known is not None:
            if _rank(known) <= _rank(event):
                return
            self._remove_event(known.key)
        self.events[event.key] = event
        insort(self._event_times, (seconds(event.at), event.key))
        self._buckets.add_event(EventSide.of(event))
        self._fresh.add(event.key)

    def add_record(self, record: CallRecord, leg: Leg) -> None:
        """Add a record, unless it is there."""
        if leg.key in self.records:
            return
        self.records[leg.key] = (record, leg)
        insort(self._leg_ends, (leg.end, leg.key))
        self._legs_by_id.setdefault(record.id, set()).add(leg.key)
        self._calls_by_id.pop(record.id, None)
        self._buckets.add_leg(leg)
        self._fresh.add(leg.key)

    def drop(self, now: float) -> None:
        """Drop what ended before the horizon, or in the future."""
        oldest, newest = now - self._horizon, now + _AHEAD
        for times, remove in ((self._event_times, self._remove_event), (self._leg_ends, self._remove_leg)):
            first, last = bisect_left(times, (oldest, "")), bisect_right(times, (newest, "~"))
            for _, key in [*times[:first], *times[last:]]:
                self.late += key in self._fresh
                remove(key)
        self.recovered = {key: end for key, end in self.recovered.items() if oldest <= end <= newest}
        self._fresh.clear()

    def legs_until(self, end: float, span: float) -> list[tuple[float, str]]:
        """Return the ends and keys of the legs in the span before the last end of a leg that is not after `end`."""
        last = bisect_right(self._leg_ends, (end, "~"))
        if not last:
            return []
        return self._leg_ends[bisect_right(self._leg_ends, (self._leg_ends[last - 1][0] - span, "~")) : last]

    def call_of(self, key: str) -> list[Leg]:
        """Return the legs of the call that a leg belongs to, the first leg first. Legs of one call have one id, and touch."""
        record, own = self.records[key]
        keys = self._legs_by_id[record.id]
        if len(keys) == 1:
            return [own]
        if record.id not in self._calls_by_id:
            legs = sorted((self.records[other][1] for other in keys), key=_in_call)
            self._calls_by_id[record.id] = {leg.key: call for call in _calls(legs) for leg in call}
        return self._calls_by_id[record.id][key]

    def _remove_event(self, key: str) -> None:
        event = self.events.pop(key)
        _discard(self._event_times, (seconds(event.at), key))
        self._buckets.remove(digits_of(event.phone), key)

    def _remove_leg(self, key: str) -> None:
        record, leg = self.records.pop(key)
        _discard(self._leg_ends, (leg.end, key))
        self._buckets.remove(leg.digits, key)
        self._legs_by_id[record.id].discard(key)
        self._calls_by_id.pop(record.id, None)
        if not self._legs_by_id[record.id]:
            del self._legs_by_id[record.id]


def _rank(event: SeenEvent) -> tuple[bool, datetime, bool, float, str]:
    return (event.occurred_at is None, event.at, event.duration_sec is None, event.duration_sec or 0, event.phone or "")


def _discard(times: list[tuple[float, str]], entry: tuple[float, str]) -> None:
    del times[bisect_left(times, entry)]


def _in_call(leg: Leg) -> tuple[float, float, str]:
    # Of legs that start together, the longest is the call itself, and the others failed.
    return (leg.start, -leg.end, leg.key)


def _calls(legs: list[Leg]) -> Iterator[list[Leg]]:
    call: list[Leg] = []
    end = 0.0
    for leg in legs:
        if call and leg.start > end + _BETWEEN_LEGS:
            yield call
            call, end = [], leg.end
        call.append(leg)
        end = max(end, leg.end)
    yield call
