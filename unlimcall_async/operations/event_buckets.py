"""All events and records of a reconciliation, matched anew if something has changed near them.

Pure: no I/O, and no clock. Numbers that may be the same end in the same digits, and so stand in one bucket. A bucket is matched
again only in three cases: an event or a record of it came or went, the usual delay of events has changed and the bucket holds a
doubt, or the bucket holds an event that may soon be matched. What has no number is compared last, with all that is left over then.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import define, field

from unlimcall_async.operations.event_matching import Group, Habit, Matching, Rules, groups_of, match
from unlimcall_async.operations.event_sides import EventSide, Leg, bucket_of

# Before so many clear pairs, nothing is known of the delays.
_ENOUGH: Final = 20
# Of the delays, one in so many may be odd, and one in any case. Four times the distance of the others is far outside of their
# distribution.
_ODD_ONE_IN: Final = 100
_ODD_FACTOR: Final = 4.0
# No delay within so many seconds of the usual one is odd: times are rounded, and senders pause. A number is seldom called again
# within so few seconds.
_LEAST_ODD: Final = 10.0


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

    def delays(self) -> list[int]:
        """Return the delays that the clear pairs teach, in whole seconds."""
        return [round(delay) for group in self.groups if (delay := group.clear_delay()) is not None]

    def may_change(self) -> bool:
        """Return whether another habit of the sender may change the pairs."""
        return not all(group.is_clear for group in self.groups)


class Buckets:
    """Events and records by the last digits of their numbers, and the pairs among them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._buckets: dict[str, _Bucket] = {}
        self._changed = set[str]()
        self._unsettled = set[str]()
        # How often each delay was seen, in whole seconds.
        self._delays = Counter[int]()
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
            self._delays.subtract(bucket.delays())
            bucket.groups = groups_of(*bucket.in_order(), self._rules) if name else []
            self._delays.update(bucket.delays())
        habit = self._learned()
        for name, bucket in list(self._buckets.items()):
            if name in self._changed or name in self._unsettled or (habit != self._habit and bucket.may_change()):
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

    def _learned(self) -> Habit:
        """Return what the clear pairs teach of the delays."""
        self._delays = +self._delays
        total = self._delays.total()
        if total < _ENOUGH:
            return Habit()
        usual = _value_at(self._delays, total // 2)
        apart = Counter[int]()
        for delay, count in self._delays.items():
            apart[abs(delay - usual)] += count
        widest = _value_at(apart, total - 1 - max(1, total // _ODD_ONE_IN))
        return Habit(float(usual), max(_LEAST_ODD, _ODD_FACTOR * widest))

    def _bucket(self, digits: str) -> _Bucket:
        name = bucket_of(digits)
        self._changed.add(name)
        return self._buckets.setdefault(name, _Bucket())


def _value_at(counts: Counter[int], rank: int) -> int:
    """Return the value at a rank, from 0, among values that were counted."""
    for value in sorted(counts):
        rank -= counts[value]
        if rank < 0:
            return value
    raise IndexError(rank)
