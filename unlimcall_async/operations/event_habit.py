"""How late events usually are, learned from the delays of the candidates. Pure: no I/O, and no clock.

A group of one event and one record is most probably a pair, so its delay is right. Twenty such *clear* delays are enough. If each
number is called again and again, there are no such groups: each event has candidates among the calls before and after its own. The
delays of the wrong candidates are spread as widely as the times between the calls. The delays of the right ones lie together. So
their peak is the usual delay, unless a delay nearer to zero is nearly as frequent, as if calls follow each other at a fixed pace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from unlimcall_async.operations.event_matching import Group, Habit

# Before so many delays, nothing is known.
_ENOUGH: Final = 20
# Of the clear delays, one in so many may be odd, and one in any case. Of the events with several candidates, one in so many may
# have no record yet.
_ODD_ONE_IN: Final = 100
_DOUBTFUL_ONE_IN: Final = 10
# Four times the distance of the others is far outside of their distribution.
_ODD_FACTOR: Final = 4.0
# No delay within so many seconds of the usual one is odd: times are rounded, and senders pause. A number is seldom called again
# within so few seconds.
_LEAST_ODD: Final = 10.0
# A peak is so many seconds wide on each side: times are rounded, and senders pause.
_PEAK: Final = 2
# A delay nearer to zero that has such a part of the peak counts as well: the calls at both ends of a chain, and those whose events
# are lost, change the counts by a few in a hundred.
_NEARLY: Final = 0.9


@define
class Delays:
    """How often each delay was seen, in whole seconds.

    Attributes:
        clear: The delays of groups of one event and one record.
        doubtful: The delays of all candidates of other groups.
        events: The number of the events of these other groups.
    """

    clear: Counter[int] = field(factory=Counter[int])
    doubtful: Counter[int] = field(factory=Counter[int])
    events: int = 0

    def add(self, other: Delays) -> None:
        """Count other delays, too."""
        self.clear.update(other.clear)
        self.doubtful.update(other.doubtful)
        self.events += other.events

    def remove(self, other: Delays) -> None:
        """Forget delays that were added."""
        self.clear.subtract(other.clear)
        self.doubtful.subtract(other.doubtful)
        self.events -= other.events

    def habit(self) -> Habit:
        """Return what the delays teach."""
        # Without the delays of which none is left.
        self.clear, self.doubtful = +self.clear, +self.doubtful
        total = self.clear.total()
        if total >= _ENOUGH:
            usual = _value_at(self.clear, total // 2)
            widest = _value_at(_distances(self.clear, usual), total - 1 - max(1, total // _ODD_ONE_IN))
        elif self.events >= _ENOUGH:
            usual = _peak(self.doubtful)
            widest = _value_at(_distances(self.doubtful, usual), self.events - 1 - self.events // _DOUBTFUL_ONE_IN)
        else:
            return Habit()
        return Habit(float(usual), max(_LEAST_ODD, _ODD_FACTOR * widest))


def delays_of(groups: Iterable[Group]) -> Delays:
    """Return the delays of the candidates of some groups."""
    found = Delays()
    for group in groups:
        teaching = group.teaching()
        delays = [round(each.delay) for each in teaching]
        if group.is_clear:
            found.clear.update(delays)
        else:
            found.doubtful.update(delays)
            found.events += len({each.event for each in teaching})
    return found


def _peak(counts: Counter[int]) -> int:
    """Return the delay around which most delays lie, or one nearer to zero around which nearly as many lie."""
    around = {delay: sum(counts[delay + step] for step in range(-_PEAK, _PEAK + 1)) for delay in counts}
    most = max(around.values())
    top = min((delay for delay in around if around[delay] >= _NEARLY * most), key=lambda delay: (abs(delay), delay))
    # The middle of that peak, and not the edge of it that is nearest to zero.
    return max(range(top - _PEAK, top + _PEAK + 1), key=lambda delay: (around.get(delay, 0), -abs(delay), -delay))


def _distances(counts: Counter[int], usual: int) -> Counter[int]:
    found = Counter[int]()
    for delay, count in counts.items():
        found[abs(delay - usual)] += count
    return found


def _value_at(counts: Counter[int], rank: int) -> int:
    """Return the value at a rank, from 0, among values that were counted."""
    for value in sorted(counts):
        rank -= counts[value]
        if rank < 0:
            return value
    raise IndexError(rank)
