"""All events and records of a reconciliation, matched anew if something has changed near them.

Pure: no I/O, and no clock. Numbers that may be the same end in the same digits, and so stand in one bucket. A bucket is matched
again only in three cases: an event or a record of it came or went, the usual delay of events has changed in a way that may
change its pairs, or the bucket holds an event that may soon be matched. What has no number is compared last, with all that is
left over then.
"""

from __future__ import annotations

from attrs import define, field

from unlimcall_async.operations.event_habit import Delays, delays_of
from unlimcall_async.operations.event_matching import Group, Habit, Matching, Rules, groups_of, match
from unlimcall_async.operations.event_sides import EventSide, Leg, bucket_of


@define
class _Bucket:
    events: dict[str, EventSide] = field(factory=dict)
    legs: dict[str, Leg] = field(factory=dict)
    groups: list[Group] = field(factory=list)
    matching: Matching = field(factory=Matching)

    def in_order(self) -> tuple[list[EventSide], list[Leg]]:
        """Return the events and the records by time, and those of one time by their keys."""
        return (
            sorted(self.events.values(), key=lambda event: (event.at, event.key)),
            sorted(self.legs.values(), key=lambda leg: (leg.end, leg.key)),
        )

    def delays(self) -> Delays:
        """Return the delays of the candidates."""
        return delays_of(self.groups)

    def may_change(self, before: Habit, now: Habit) -> bool:
        """Return whether another habit of the sender may change the pairs."""
        return not all(group.is_clear and before.takes_as(now, group.candidates[0]) for group in self.groups)


class Buckets:
    """Events and records by the last digits of their numbers, and the pairs among them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._buckets: dict[str, _Bucket] = {}
        self._changed = set[str]()
        self._unsettled = set[str]()
        self._delays = Delays()
        self._habit = Habit()
        # The matchings of all buckets together.
        self._known = Matching()

    def add_event(self, event: EventSide) -> None:
        """Add an event."""
        self._bucket(event.digits).events[event.key] = event

    def add_leg(self, leg: Leg) -> None:
        """Add a record."""
        self._bucket(leg.digits).legs[leg.key] = leg

    def remove(self, digits: str, key: str) -> None:
        """Remove an event or a record."""
        bucket = self._bucket(digits)
        bucket.events.pop(key, None)
        bucket.legs.pop(key, None)

    def matching(self, now: float) -> Matching:
        """Return what is known of all events and records at a time, in seconds since 1970. The caller must not change it."""
        for name in self._changed:
            bucket = self._buckets[name]
            self._delays.remove(bucket.delays())
            bucket.groups = groups_of(*bucket.in_order(), self._rules) if name else []
            self._delays.add(bucket.delays())
        habit = self._delays.habit()
        is_new = habit != self._habit
        for name, bucket in list(self._buckets.items()):
            if name in self._changed or name in self._unsettled or (is_new and bucket.may_change(self._habit, habit)):
                self._known.remove(bucket.matching)
                events, legs = bucket.in_order()
                bucket.matching = match(events, legs, bucket.groups, habit, now)
                self._known.add(bucket.matching)
                (self._unsettled.add if bucket.matching.unsettled else self._unsettled.discard)(name)
                if not events and not legs:
                    del self._buckets[name]
        self._habit = habit
        self._changed.clear()
        return self._with_numberless(now) if "" in self._buckets else self._known

    def _with_numberless(self, now: float) -> Matching:
        """Match what has no number with what is left over, and return all pairs."""
        numberless = self._buckets[""]
        rest = _Bucket({**numberless.events}, {**numberless.legs})
        for bucket in self._buckets.values():
            if numberless.events:
                rest.legs |= {key: bucket.legs[key] for key in bucket.matching.lone}
            if numberless.legs:
                rest.events |= {key: bucket.events[key] for key in bucket.matching.free}
        events, legs = rest.in_order()
        found = match(events, legs, groups_of(events, legs, self._rules), self._habit, now)
        whole = self._known.copy()
        for leg in found.pairs:
            del whole.lone[leg]
        for leg, grade in found.lone.items():
            # The doubt of the record's own bucket stays. (The grades are in the order of the alphabet.)
            whole.lone[leg] = max(grade, whole.lone[leg])
        whole.pairs |= found.pairs
        whole.free -= {event for event, _ in found.pairs.values()}
        return whole

    def _bucket(self, digits: str) -> _Bucket:
        name = bucket_of(digits)
        self._changed.add(name)
        return self._buckets.setdefault(name, _Bucket())
