"""Which event belongs to which record, and how certain that is.

Pure: no I/O, and no clock.

An event may belong to a record if the numbers fit, the event's time is near the end of the call, or at least not before its start,
and the durations do not contradict each other. Each such *candidate* has a cost, which grows as the logarithm of what is odd about
it: one large delay is less odd than two middling ones. Candidates that share an event or a record make a *group*. The events of a
group get the records by which the sum of the costs is least, one to one (`assignment`). So the result depends on the events and
records alone, not on the order in which they came.

An event may stay without a record, because records come late. That costs about as much as the oddest candidate. If it cost more,
one lost event of a number that is called each minute would draw each later event to the record before its own.

How late events usually are (`Habit`) is learned from the delays of the candidates (`event_habit`). An event that is far later than
that may belong to the record of a later call, which is still to come. So such a candidate counts only when the event is so old that
its record would be there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush, heappushpop
from math import inf, log1p
from typing import Final, Literal, TypeAlias

from attrs import define, field, frozen

from unlimcall_async.operations.assignment import assign
from unlimcall_async.operations.event_sides import LEAST_DIGITS, EventSide, Leg

Grade: TypeAlias = Literal["certain", "likely", "possible"]
_GRADES: Final[tuple[Grade, ...]] = ("certain", "likely", "possible")

# A pair of which so many of number, time and duration say little is as weak as any.
_WEAKEST: Final = 2
# The candidates of one event that are weighed, the nearest in time first. More matter only for a number that is called every few
# seconds.
_MOST_CANDIDATES: Final = 24
# Far more than what the sum of two costs is rounded by.
_ROUNDING: Final = 1e-9
# Costs. One unit is a factor of e in likelihood, so the cost of a delay is in the same unit.
_UNKNOWN_DURATION: Final = 1.0
_OTHER_DURATION: Final = 3.0
_NATIONAL_FORM: Final = 1.0
_NO_NUMBER: Final = 3.0
# As odd as a delay of ten minutes, or of a minute with another duration.
_UNMATCHED: Final = 7.0
# A candidate is never quite as odd as no record at all: an event with a single candidate gets it.
_ODDEST: Final = 6.9
# How old an event must be for an odd candidate, in seconds. Nearly all records come in less than an hour.
_SETTLED: Final = 3600.0
# As far as this may the clocks of the receiver and of the API differ, in seconds: as far as the receiver accepts signatures.
_CLOCKS: Final = 300.0
# A day. An event may be as early as the start of its call; a longer call is looked for only from its end on.
_LONGEST_CALL: Final = 86_400.0
# A pair is likely if each other way to match costs so much more: it is then some four times less likely.
_CLEAR: Final = 1.5
# An event may state less than the call's length, for example the talk time if `billsec` is rounded up. Such a length says little.
# So the event's delay must be the usual one, but for so many seconds.
_NEAR: Final = 30.0


@frozen
class Rules:
    """How far an event and its record may lie apart, in seconds.

    Attributes:
        early: The longest time by which an event may be before the end of its call, by rounding.
        delay: The longest time from the end of a call to the time of its event.
        arrival: The same, for an event that has no time but that of its arrival.
        tolerance: The largest difference of two durations that are the same.
    """

    early: float
    delay: float
    arrival: float
    tolerance: float


@frozen
class Candidate:
    """An event and a record that may belong together.

    Attributes:
        event: The event's place among the events that are compared.
        leg: The record's place among the records that are compared.
        delay: The seconds from the end of the call to the event.
        cost: What is odd about the pair except its delay.
        weak: How many of number, time and duration say little, 2 at most; also 2 if the number is not known.
        is_shorter: Whether the event states a shorter duration than the record has.
        is_arrival: Whether the event has no time but that of its arrival.
    """

    event: int
    leg: int
    delay: float
    cost: float
    weak: int
    is_shorter: bool
    is_arrival: bool

    def total(self, usual: float) -> float:
        """Return the cost, if events usually come `usual` seconds after the end of their call."""
        return min(_ODDEST, self.cost + log1p(abs(self.delay - usual)))


@frozen
class Habit:
    """When events usually come.

    Attributes:
        usual: The seconds from the end of a call to its event.
        odd: The distance from the usual delay, in seconds, beyond which a delay is odd.
    """

    usual: float = 0.0
    odd: float = inf

    def fits(self, candidate: Candidate) -> bool:
        """Return whether a candidate counts at all."""
        return not candidate.is_shorter or abs(candidate.delay - self.usual) <= _NEAR

    def is_far(self, candidate: Candidate) -> bool:
        """Return whether the delay of a candidate is odd."""
        return abs(candidate.delay - self.usual) > self.odd and not candidate.is_arrival

    def is_odd(self, event: EventSide, candidate: Candidate, now: float) -> bool:
        """Return whether a candidate must wait, because the event's own record may still come."""
        return event.at > now - _SETTLED and self.is_far(candidate)

    def takes_as(self, other: Habit, candidate: Candidate) -> bool:
        """Return whether another habit takes a candidate that is alone in the same way."""
        return self.fits(candidate) == other.fits(candidate) and self.is_far(candidate) == other.is_far(candidate)


@define
class Matching:
    """What is known of some events and records.

    Attributes:
        pairs: The key of the event, and the grade, by the key of the record.
        lone: The grade with which a record has no event, by its key.
        free: The keys of the events without a record.
        unsettled: Whether an event is too young for one of its candidates.
    """

    pairs: dict[str, tuple[str, Grade]] = field(factory=dict)
    lone: dict[str, Grade] = field(factory=dict)
    free: set[str] = field(factory=set)
    unsettled: bool = False

    def add(self, other: Matching) -> None:
        """Add what is known of other events and records."""
        self.pairs |= other.pairs
        self.lone |= other.lone
        self.free |= other.free

    def remove(self, other: Matching) -> None:
        """Remove what was added."""
        for leg in other.pairs:
            del self.pairs[leg]
        for leg in other.lone:
            del self.lone[leg]
        self.free -= other.free

    def copy(self) -> Matching:
        """Return a copy."""
        return Matching({**self.pairs}, {**self.lone}, {*self.free})


@frozen
class Group:
    """Events and records that are joined by candidates.

    Attributes:
        candidates: The candidates.
        is_clear: Whether the group is one event and one record.
    """

    candidates: tuple[Candidate, ...]
    is_clear: bool

    def teaching(self) -> list[Candidate]:
        """Return the candidates whose delays say how late events usually are."""
        return [each for each in self.candidates if each.weak < _WEAKEST and not each.is_arrival]


def groups_of(events: Sequence[EventSide], legs: Sequence[Leg], rules: Rules) -> list[Group]:
    """Return the groups of candidates, in the order of their first events.

    Args:
        events: The events, in the order of their times.
        legs: The records, in the order of the ends of their calls.
        rules: How far the two may lie apart.
    """
    ends = [leg.end for leg in legs]
    longest = min(max((leg.duration for leg in legs if leg.digits), default=0.0), _LONGEST_CALL)
    by_event: list[list[Candidate]] = []
    by_leg: dict[int, list[Candidate]] = {}
    for place, event in enumerate(events):
        first = bisect_left(ends, event.at - (rules.arrival if event.is_arrival else rules.delay))
        last = bisect_right(ends, event.at + _early(event, rules) + (longest if event.digits else 0))
        near = ((index, legs[index]) for index in _outwards(ends, event.at, first, last))
        found = _cheapest(place, event, near, rules)
        by_event.append(found)
        for candidate in found:
            by_leg.setdefault(candidate.leg, []).append(candidate)
    return [*_joined(by_event, by_leg)]


def _outwards(ends: Sequence[float], at: float, first: int, last: int) -> Iterator[int]:
    """Yield the places in `[first, last)` of ends that are in order, the end that is nearest to a time first."""
    behind = bisect_left(ends, at, first, last)
    before = behind - 1
    while first <= before or behind < last:
        if behind == last or (first <= before and at - ends[before] <= ends[behind] - at):
            yield before
            before -= 1
        else:
            yield behind
            behind += 1


def _cheapest(place: int, event: EventSide, near: Iterable[tuple[int, Leg]], rules: Rules) -> list[Candidate]:
    """Return the candidates of an event: of more than are weighed, those that cost least.

    Args:
        place: The event's place.
        event: The event.
        near: The records with their places, the end of whose call is nearest to the event first.
        rules: How far the two may lie apart.
    """
    # No record costs the event less than that. So the search ends where the delay alone costs more than what was found: else each
    # event of a busy day would look at all of the day's records.
    least = (0.0 if event.digits else _NO_NUMBER) + (_UNKNOWN_DURATION if event.duration is None else 0.0)
    found: list[tuple[float, int, Candidate]] = []
    # The costs of the cheapest candidates, negative, so that the heap has the highest of them in front.
    cheapest: list[float] = []
    for index, leg in near:
        if len(found) > _MOST_CANDIDATES and least + log1p(abs(event.at - leg.end)) > _ROUNDING - cheapest[0]:
            break
        candidate = _candidate(place, event, index, leg, rules)
        if candidate is not None:
            cost = candidate.cost + log1p(abs(candidate.delay))
            found.append((cost, index, candidate))
            (heappush if len(cheapest) < _MOST_CANDIDATES else heappushpop)(cheapest, -cost)
    if len(found) > _MOST_CANDIDATES:
        return [candidate for _, _, candidate in sorted(found)[:_MOST_CANDIDATES]]
    return sorted((candidate for _, _, candidate in found), key=lambda each: each.leg)


def _early(event: EventSide, rules: Rules) -> float:
    """Return how long before the end of its call an event may be. An arrival is by another clock than the record."""
    return max(rules.early, _CLOCKS) if event.is_arrival else rules.early


def _candidate(place: int, event: EventSide, index: int, leg: Leg, rules: Rules) -> Candidate | None:
    cost, weak, is_shorter = 0.0, int(event.is_arrival), False
    if not event.digits or not leg.digits:
        cost, weak = _NO_NUMBER, _WEAKEST
    elif event.digits != leg.digits:
        short, long = sorted((event.digits, leg.digits), key=len)
        if len(short) < LEAST_DIGITS or not long.endswith(short):
            return None
        cost, weak = _NATIONAL_FORM, weak + 1
    delay = event.at - leg.end
    if delay < -_early(event, rules):
        # The reference does not say what the time of an event is. That of the call's start says less.
        if weak == _WEAKEST or event.at < leg.start - _early(event, rules):
            return None
        weak += 1
    if event.duration is None:
        cost, weak = cost + _UNKNOWN_DURATION, weak + 1
    else:
        # The reference does not say whether `durationSec` is the whole call or the talk time.
        apart = min(abs(event.duration - leg.duration), abs(event.duration - leg.billsec))
        if apart <= rules.tolerance:
            cost += log1p(apart)
        elif event.duration <= leg.duration and weak < _WEAKEST and (not event.is_arrival or abs(delay) <= _NEAR):
            is_shorter, cost, weak = True, cost + _OTHER_DURATION, weak + 1
        else:
            return None
    return Candidate(place, index, delay, cost, min(weak, _WEAKEST), is_shorter, event.is_arrival)


def _joined(by_event: Sequence[list[Candidate]], by_leg: dict[int, list[Candidate]]) -> Iterator[Group]:
    """Yield the groups that the candidates join."""
    done = set[int]()
    for start, found in enumerate(by_event):
        if start in done or not found:
            continue
        done.add(start)
        events, legs, left = [start], set[int](), [start]
        while left:
            for candidate in by_event[left.pop()]:
                if candidate.leg in legs:
                    continue
                legs.add(candidate.leg)
                new = [other.event for other in by_leg[candidate.leg] if other.event not in done]
                done.update(new)
                events += new
                left += new
        candidates = tuple(candidate for event in sorted(events) for candidate in by_event[event])
        yield Group(candidates, is_clear=len(events) == len(legs) == 1)


def match(
    events: Sequence[EventSide], legs: Sequence[Leg], groups: Sequence[Group], habit: Habit, now: float
) -> Matching:
    """Return which events and records of some groups belong together, and how certain that is.

    Args:
        events: The events.
        legs: The records.
        groups: Their groups.
        habit: When events usually come.
        now: The time, in seconds since 1970.
    """
    # A record that no event comes near has certainly none.
    found = Matching(lone={leg.key: "certain" for leg in legs}, free={event.key for event in events})
    for group in groups:
        settled: list[Candidate] = []
        odd: list[Candidate] = []
        for each in group.candidates:
            if each.is_arrival or habit.fits(each):
                (odd if habit.is_odd(events[each.event], each, now) else settled).append(each)
        found.unsettled |= bool(odd)
        pairs, lone = _settled(settled, habit.usual)
        for index, (place, grade) in pairs.items():
            found.pairs[legs[index].key] = (events[place].key, grade)
            del found.lone[legs[index].key]
            found.free.discard(events[place].key)
        found.lone |= {legs[index].key: grade for index, grade in lone.items()}
        for each in odd:
            if found.lone.get(legs[each.leg].key) == "certain":
                found.lone[legs[each.leg].key] = "likely"
    return found


def _settled(candidates: Sequence[Candidate], usual: float) -> tuple[dict[int, tuple[int, Grade]], dict[int, Grade]]:
    """Match a group.

    Returns:
        The place of the event and the grade of each record that has one; and the grade with which each other record has none.
    """
    if len(candidates) == 1:
        only = candidates[0]
        return {only.leg: (only.event, _GRADES[only.weak])}, {}
    costs: dict[int, dict[int, float]] = {}
    weak: dict[tuple[int, int], int] = {}
    by_leg: dict[int, list[int]] = {}
    for each in candidates:
        costs.setdefault(each.event, {})[each.leg] = each.total(usual)
        weak[each.event, each.leg] = each.weak
        by_leg.setdefault(each.leg, []).append(each.event)
    rows = sorted(costs)
    found = assign([costs[event] for event in rows], _UNMATCHED)
    leg_of = {event: leg for event, leg in zip(rows, found, strict=True) if leg is not None}
    event_of = {leg: event for event, leg in leg_of.items()}

    def now(event: int) -> float:
        leg = leg_of.get(event)
        return _UNMATCHED if leg is None else costs[event][leg]

    def instead(event: int, leg: int) -> float:
        """Return how much more it costs if this event had this record, and the event there now had the record of this one."""
        other = event_of.get(leg)
        if other is None:
            return costs[event][leg] - now(event)
        left = leg_of.get(event)
        return costs[event][leg] + costs[other].get(left, _UNMATCHED) - now(event) - now(other)  # type: ignore[arg-type] # `None` has no cost

    pairs: dict[int, tuple[int, Grade]] = {}
    lone: dict[int, Grade] = {}
    for leg, near in by_leg.items():
        taken = event_of.get(leg)
        others = [instead(event, leg) for event in near if event != taken]
        if taken is not None:
            others += [instead(taken, other) for other in costs[taken] if other != leg]
        doubt = 0 if not others else 1 if min(others, default=inf) >= _CLEAR else 2
        if taken is None:
            lone[leg] = _GRADES[doubt]
        else:
            pairs[leg] = (taken, _GRADES[max(doubt, weak[taken, leg])])
    return pairs, lone
