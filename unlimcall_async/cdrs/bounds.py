"""What a server's windows really cover.

Pure: no I/O.

Theory. The reference says neither whether `from` and `till` are included nor how finely they are compared. So all that a server
may do is kept as a set of hypotheses: each bound included or not, compared in steps of a second or finer (both bounds and times
cut down to whole steps). A window for a range is made so wide that it covers the range under every hypothesis that is left; at
first that is up to a second more on each side. Every answer refutes hypotheses: a row that came must be covered, and a row that is
known but did not come, in an answer that is complete, must not be. (Rows may appear, but they neither vanish nor move.) That is
worth a request of its own only where a range of a second or less holds more rows than a page: only there it matters.

Doubts. A server that rounds, or changes its mind, refutes every hypothesis. Then the widest margins are kept, nothing is lost, and
what cannot be divided with them is reported as saturated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.instants import SECOND, Range, Window


@frozen
class Bounds:
    """One hypothesis: bounds and times are cut down to steps of `step` milliseconds and then compared."""

    step: int
    from_included: bool
    till_included: bool

    def covers(self, window: Window, micros: int) -> bool:
        """Tell whether a row of that instant is in the answer to the window."""
        step = self.step * 1000
        first, last, place = window.start * 1000 // step, window.till * 1000 // step, micros // step
        after = place > first or (self.from_included and place == first)
        return after and (place < last or (self.till_included and place == last))

    def narrowest(self, wanted: Range, *, whole: bool = False) -> Window:
        """Give the narrowest window that covers the range; `whole` says that all times are whole milliseconds."""
        start = wanted.start if self.from_included else wanted.start // self.step * self.step - 1
        # The last millisecond, or else the end of its step; in steps of one the end also where it is included, because a server may
        # compare more finely than it, or anybody, writes.
        last = wanted.end - 1
        till = last if self.till_included and (whole or self.step > 1) else (last // self.step + 1) * self.step
        if till > start:
            return Window(start, till)
        # The API wants a window to have a length; a neighbour in the same step changes nothing.
        return Window(start, start + 1) if (start + 1) // self.step == start // self.step else Window(start - 1, start)


ALL: Final = tuple(Bounds(*each) for each in product((SECOND, 100, 10, 1), (True, False), (True, False)))


class Knowledge:
    """The hypotheses that are left."""

    def __init__(self) -> None:
        self.left: tuple[Bounds, ...] = ALL

    @property
    def step(self) -> int:
        """The coarsest step that is left, in milliseconds: ranges are cut at its multiples."""
        return max(bounds.step for bounds in self.left)

    def window_for(self, wanted: Range, *, whole: bool = False) -> Window:
        """Give the narrowest window that covers the range under every hypothesis that is left."""
        windows = [bounds.narrowest(wanted, whole=whole) for bounds in self.left]
        return Window(min(window.start for window in windows), max(window.till for window in windows))

    def learn(self, window: Window, came: Iterable[int], missing: Iterable[int]) -> None:
        """Drop the hypotheses that an answer refutes.

        Args:
            window: What was asked.
            came: The instants of its rows, in microseconds.
            missing: Instants of known rows that did not come, though the answer was complete.
        """
        near = [micros for micros in came if not _well_inside(window, micros)]
        left = [
            bounds
            for bounds in self.left
            if all(bounds.covers(window, micros) for micros in near)
            and not any(bounds.covers(window, micros) for micros in missing)
        ]
        self.left = tuple(left) or ALL

    def surely_covers(self, window: Window, wanted: Range) -> bool:
        """Tell whether the window covers the range under every hypothesis that is left."""
        first, last = wanted.start * 1000, wanted.end * 1000 - 1
        return all(bounds.covers(window, first) and bounds.covers(window, last) for bounds in self.left)

    def telling(self, seen: Sequence[int]) -> list[Window]:
        """Give windows that may tell the hypotheses apart by rows of these instants; the most telling and narrowest first."""
        few = _spread(seen)
        candidates = {window for micros in few for window in self._around(micros // 1000)}
        outcomes = {window: self._outcomes(window, few) for window in candidates}
        ranked = sorted(candidates, key=lambda window: (-outcomes[window], len(window), window.start))
        return [window for window in ranked if outcomes[window] > 1]

    def _around(self, millis: int) -> Iterator[Window]:
        """Windows within, and at the edges of, the step that a time falls into."""
        yield Window(millis - 1, millis + 1)
        for step in {bounds.step for bounds in self.left}:
            cut = millis // step * step
            yield Window(cut, cut + step)
            yield Window(cut - step, cut)

    def _outcomes(self, window: Window, few: Sequence[int]) -> int:
        return len({tuple(bounds.covers(window, micros) for micros in few) for bounds in self.left})


def _well_inside(window: Window, micros: int) -> bool:
    """Whether every hypothesis covers the instant, which is so for nearly all rows."""
    return (window.start + SECOND) * 1000 < micros < (window.till - SECOND) * 1000


def _spread(seen: Sequence[int]) -> list[int]:
    """A few of the instants, from the first to the last: enough to find one that tells, and cheap to try."""
    distinct = sorted(set(seen))
    every = max(1, len(distinct) // 8)
    return distinct[::every] + distinct[-1:]
