"""What a server's windows really cover: needed only where a single second holds more rows than a page.

Pure: no I/O.

Theory. The reference says neither whether `from` and `till` are included nor how finely they are compared. Everywhere else
margins of a second or more on either side make that irrelevant, at no cost. But a second that does not fit on a page has to be
taken apart, and there the margins must go. So all that a server may do is kept as a set of hypotheses: each bound included or
not, compared in steps that divide a second (bounds and times both cut down to whole steps). A window for a range is made so
wide that it covers the range under every hypothesis that is left. Answers refute hypotheses: a row that came must be covered,
and a row that is known but did not come, in an answer that is complete, must not be. (Rows may appear, but they neither vanish
nor move.)

Doubts. Times are taken to be compared as they are written. A server that compares more finely than it writes mostly shows
itself, when a known row does not come although its window must cover it; likewise one that rounds, or changes its mind. From
then on nothing is taken apart below a second, and what would have to be is saturated: an error, but no loss. One that compares
microseconds and writes milliseconds is met with a margin of a millisecond, for as long as a piece of a second can be cut. Where a
millisecond overflows a page with its margins, and in a second that overflows one where whole seconds are written but finer ones
compared, a record on an edge could be missed; nothing that the API says can tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.instants import SECOND, Range, Window


@frozen
class Bounds:
    """One hypothesis: bounds and times are cut down to steps of so many microseconds, and then compared."""

    step: int
    from_included: bool
    till_included: bool

    def covers(self, window: Window, micros: int) -> bool:
        """Tell whether a row of that instant is in the answer to the window."""
        first, last, place = window.start * 1000 // self.step, window.till * 1000 // self.step, micros // self.step
        after = place > first or (self.from_included and place == first)
        return after and (place < last or (self.till_included and place == last))

    def narrowest(self, first: int, last: int) -> Window:
        """Give the narrowest window that covers the instants from `first` to `last`."""
        first_step, last_step = first // self.step * self.step, last // self.step * self.step
        start = first // 1000 if self.from_included else (first_step - 1) // 1000
        till = -(-(last_step if self.till_included else last_step + self.step) // 1000)
        if till > start:
            return Window(start, till)
        # The API wants a window to have a length; a neighbour in the same step changes nothing.
        beside = Window(start, start + 1)
        return beside if (start + 1) * 1000 // self.step == start * 1000 // self.step else Window(start - 1, start)


_STEPS: Final = (1, *(millis * 1000 for millis in range(1, SECOND + 1) if SECOND % millis == 0))
ALL: Final = tuple(Bounds(*each) for each in product(_STEPS, (True, False), (True, False)))


class Knowledge:
    """What is known of a server's bounds.

    Attributes:
        left: The hypotheses that are left.
        lost: Whether the server did what none of them allows; then nothing may rest on them any more.
        finer: Whether a time came that is no whole millisecond.
    """

    def __init__(self) -> None:
        self.left: tuple[Bounds, ...] = ALL
        self.lost: bool = False
        self.finer: bool = False

    @property
    def step(self) -> int:
        """The coarsest step that is left, in whole milliseconds: ranges are cut at its multiples."""
        return max(1, max(bounds.step for bounds in self.left) // 1000)

    def window_for(self, wanted: Range) -> Window:
        """Give the narrowest window that covers the range under every hypothesis that is left."""
        windows = [bounds.narrowest(*self._ends(wanted)) for bounds in self.left]
        return Window(min(window.start for window in windows), max(window.till for window in windows))

    def surely_covers(self, window: Window, wanted: Range) -> bool:
        """Tell whether the window covers the range under every hypothesis that is left."""
        first, last = self._ends(wanted)
        return all(bounds.covers(window, first) and bounds.covers(window, last) for bounds in self.left)

    def _ends(self, wanted: Range) -> tuple[int, int]:
        return wanted.start * 1000, wanted.end * 1000 - 1 if self.finer else (wanted.end - 1) * 1000

    def learn(self, window: Window, came: Iterable[int], missing: Iterable[int]) -> None:
        """Drop the hypotheses that an answer refutes.

        Args:
            window: What was asked.
            came: The instants of its rows, in microseconds.
            missing: Instants of known rows that did not come, though the answer was complete.
        """
        came, missing = set(came), set(missing)
        left = [
            bounds
            for bounds in self.left
            if all(bounds.covers(window, micros) for micros in came)
            and not any(bounds.covers(window, micros) for micros in missing)
        ]
        if left:
            self.left = tuple(left)
        else:
            self.lost = True

    def telling(self, seen: Sequence[int]) -> list[Window]:
        """Give windows that may tell the hypotheses apart: first those that must, by what they do to rows that are known."""
        few = _spread(seen)
        candidates = {window for micros in few for window in self._around(micros // 1000)}
        outcomes = {window: self._outcomes(window, few) for window in candidates}
        ranked = sorted(candidates, key=lambda window: (-outcomes[window], len(window), window.start))
        hopeful = [window for micros in few[-1:] for window in self._beside(micros // 1000)]
        return [window for window in ranked if outcomes[window] > 1] + (hopeful if len(self.left) > 1 else [])

    def _around(self, millis: int) -> Iterator[Window]:
        """Windows within, and at the edges of, the step that a time falls into."""
        yield Window(millis - 1, millis + 1)
        for step in {max(1, bounds.step // 1000) for bounds in self.left}:
            cut = millis // step * step
            yield Window(cut, cut + step)
            yield Window(cut - step, cut)

    def _beside(self, millis: int) -> Iterator[Window]:
        """Windows beside a time, within its step: a row that comes there, though none is known, tells that steps are finer."""
        cut = millis // self.step * self.step
        for start, till in ((millis, cut + self.step - 1), (cut, millis - 1)):
            if till > start:
                yield Window(start, till)

    def _outcomes(self, window: Window, few: Sequence[int]) -> int:
        return len({tuple(bounds.covers(window, micros) for micros in few) for bounds in self.left})


def _spread(seen: Sequence[int]) -> list[int]:
    """A few of the instants, from the first to the last: enough to find one that tells, and cheap to try."""
    distinct = sorted(set(seen))
    every = max(1, len(distinct) // 8)
    return distinct[::every] + distinct[-1:]
