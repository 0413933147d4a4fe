"""The attempts and failures of a sliding span, whatever times and countries the records name.

Pure: no I/O, and no clock: the only time is that of the records, and a record may name any. One record of the year 9999 must not
empty the span, and after a silent night the first record must begin a new one. Both look alike at first. So the records are kept on
several timelines, each a span of its own, and the monitor believes one of them:

- A record that lies in the believed span, or at most half a span after it, belongs there, and moves the span.
- A record farther ahead begins a new timeline, which is believed at once, as after a silence. If the records that follow lie on the
  timeline before, they refute the new one: that timeline is believed again, with all its counts, as soon as it has got as many
  records as the new one holds.
- A timeline that was refuted must win by more than chance, by `_AHEAD` records, before it is believed once more.
- A record from before the believed span is late. Late records are believed if they win by `minimum` records, or by `_AHEAD` times
  as many as the believed span holds. Then that span was the odd one, for example because the first record of all was of the year
  9999.

Memory is bounded: `_TIMELINES` timelines, each with the counts of `MOST_COUNTRIES`. If there are more countries, half of them are
dropped: those with the fewest attempts. So the counts of a country are exact if it is always among the 256 with the most attempts.
The counts of all calls together are always exact.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.operations.shares import Share

# A span has the newest step, which is not over yet, and the 59 steps before it: between 59/60 of its length and all of it.
STEPS: Final = 60
# A record this far ahead leaves half of the span as it is, so the records that follow still lie in the span if it was a mistake.
_NEAR: Final = STEPS // 2
# The believed timeline, the one before it, and two for records that are odd in different ways.
_TIMELINES: Final = 4
# As many records in a row are not chance, and far fewer than the records that a failure rate needs.
_AHEAD: Final = 16
# A timeline with more attempts is not harder to leave: some minutes of the traffic of a large account.
_MOST_NEEDED: Final = 1000
# ISO 3166 has 249 countries. There is room for twice as many, so that countries are dropped by the hundred, not one by one.
_COUNTRIES: Final = 256
MOST_COUNTRIES: Final = 2 * _COUNTRIES
# The names of countries in ISO 3166 have some 60 characters at most.
_LONGEST_NAME: Final = 100


class SpanCounts:
    """The attempts and failures of the newest step and the 59 steps before it, as a ring of counts."""

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._attempts = [0] * STEPS
        self._failed = [0] * STEPS
        self.attempts: int = 0
        self.failed: int = 0
        # The number of the record that was counted last, for the choice of the countries to keep.
        self.touched = 0

    @property
    def failures(self) -> Share:
        """The failed attempts out of all attempts in the span."""
        return Share(self.failed, self.attempts)

    def move(self, newest: int) -> None:
        """Move the end of the span to a later step, and drop the counts of the steps that it leaves."""
        for step in range(max(self._newest + 1, newest - STEPS + 1), newest + 1):
            place = step % STEPS
            self.attempts -= self._attempts[place]
            self.failed -= self._failed[place]
            self._attempts[place] = self._failed[place] = 0
        self._newest = newest

    def add(self, step: int, *, failed: bool) -> None:
        """Count an attempt, at a step that is in the span."""
        self._attempts[step % STEPS] += 1
        self.attempts += 1
        if failed:
            self._failed[step % STEPS] += 1
            self.failed += 1

    def copy(self) -> SpanCounts:
        """Return a copy."""
        other = SpanCounts(self._newest)
        other._attempts, other._failed = [*self._attempts], [*self._failed]
        other.attempts, other.failed, other.touched = self.attempts, self.failed, self.touched
        return other


class Timeline:
    """The counts of all calls and of each country, up to one newest step.

    Attributes:
        newest: The newest step.
        all: The counts of all calls.
        countries: The counts of each country with attempts in the span.
        was_believed: Whether the timeline has been the believed one.
        votes: How many records more than the believed timeline this one has got since they were compared.
        late: How many records this timeline has got that were late for the believed one.
    """

    def __init__(self, newest: int) -> None:
        self.newest: int = newest
        self.all: SpanCounts = SpanCounts(newest)
        self.countries: dict[str, SpanCounts] = {}
        self.was_believed = False
        self.votes: int = 0
        self.late: int = 0
        self._records = 0

    def holds(self, step: int) -> bool:
        """Return whether a record belongs to the timeline: its step is in the span, or not far ahead."""
        return self.newest - STEPS < step <= self.newest + _NEAR

    def add(self, step: int, country: str | None, *, failed: bool) -> bool:
        """Count a record that belongs to the timeline, and return whether it has moved the span."""
        moved = step > self.newest
        if moved:
            self._move(step)
        self.all.add(step, failed=failed)
        if country is not None and len(country) <= _LONGEST_NAME:
            counted = self.countries.get(country)
            if counted is None:
                counted = self.countries[country] = SpanCounts(self.newest)
                if len(self.countries) > MOST_COUNTRIES:
                    self._drop_countries()
            self._records += 1
            counted.touched = self._records
            counted.add(step, failed=failed)
        return moved

    def _move(self, newest: int) -> None:
        self.newest = newest
        self.all.move(newest)
        for country, counted in list(self.countries.items()):
            counted.move(newest)
            if not counted.attempts:
                del self.countries[country]

    def _drop_countries(self) -> None:
        ranked = sorted(self.countries.items(), key=lambda item: (item[1].attempts, item[1].touched), reverse=True)
        self.countries = dict(ranked[:_COUNTRIES])

    def ahead(self, step: int) -> Timeline:
        """Return a new timeline up to a later step, with the counts of the steps that the two share."""
        other = Timeline(step)
        if step < self.newest + STEPS:
            other.newest, other.all = self.newest, self.all.copy()
            other.countries = {country: counted.copy() for country, counted in self.countries.items()}
            other._records = self._records
            other._move(step)
        return other


class Timelines:
    """Sorts the records into timelines, and decides which timeline to believe.

    Attributes:
        believed: The timeline that is believed, or `None` before the first record.
        late: How many records are in no count of the believed timeline because they came too late.
    """

    def __init__(self, minimum: int) -> None:
        self.believed: Timeline | None = None
        self.late: int = 0
        self._others: list[Timeline] = []
        self._minimum = minimum

    def add(self, step: int, country: str | None, *, failed: bool) -> bool | None:
        """Count a record.

        Return `None` if the believed timeline is as before, `False` if it has got the record alone, and `True` if other counts
        of the timeline may have changed, too, or if another timeline is believed now.
        """
        believed = self.believed
        if believed is None:
            self._believe(Timeline(step))
            return self.add(step, country, failed=failed)
        holders = [other for other in self._others if other.holds(step)]
        for other in holders:
            other.add(step, country, failed=failed)
        if believed.holds(step):
            for other in self._others:
                other.votes = max(0, other.votes - 1)
            return believed.add(step, country, failed=failed)
        if not holders:
            holders = [self._begin(believed, step, country, failed=failed)]
            if step > believed.newest:
                self._believe(holders[0])
                return True
        if step < believed.newest:
            self.late += 1
        for other in holders:
            other.votes += 1
            other.late += step < believed.newest
        best = max(holders, key=lambda other: (other.votes, other.all.attempts))
        if best.votes >= self._needed(believed, best):
            self._believe(best)
            return True
        return None

    def _needed(self, believed: Timeline, other: Timeline) -> int:
        """Return how many records more than the believed timeline the other one must get to be believed."""
        if other.newest > believed.newest:
            return min(believed.all.attempts, _AHEAD)
        needed = min(believed.all.attempts, _MOST_NEEDED)
        if other.was_believed:
            return needed
        # Late records are common. They need to be enough for an alert, or far more than the few that they speak against.
        return max(needed, min(self._minimum, _AHEAD * believed.all.attempts))

    def _begin(self, believed: Timeline, step: int, country: str | None, *, failed: bool) -> Timeline:
        """Return a new timeline with a record that belongs to none, and drop the smallest one if there are too many."""
        begun = believed.ahead(step) if step > believed.newest else Timeline(step)
        begun.add(step, country, failed=failed)
        if len(self._others) >= _TIMELINES - 1:
            self._others.remove(min(self._others, key=lambda other: other.all.attempts))
        self._others.append(begun)
        return begun

    def _believe(self, other: Timeline) -> None:
        if self.believed is not None:
            self._others = [each for each in (*self._others, self.believed) if each is not other]
        self.believed = other
        self.late -= other.late
        other.late, other.was_believed = 0, True
        for each in self._others:
            each.votes = 0
