"""The bounds of a window as the server reads them, and how a second that overflows a page is taken apart by them.

Pure: no I/O.

Theory. The reference says neither whether `from` and `till` are included nor how finely they are compared. Everywhere else
margins of a second or more on either side make that irrelevant, at no cost. But a second that does not fit on a page has to be
taken apart, and there the margins must go. So all that a server may do is kept as a set of hypotheses: each bound is included
or not, and bounds and times are both cut down to steps that divide a second. A window for a range is made so wide that it
covers the range under every hypothesis that is left. Pages refute hypotheses: a row that came must be covered by its window,
and a known row that did not come, in a complete page, must not be. (Rows may appear, but they neither vanish nor move.)

Doubts. Times are taken to be compared as they are written. A server that compares more finely than it writes mostly shows
itself, when a known row does not come although its window must cover the row. A server that rounds, or changes its mind, shows
itself in the same way. From then on nothing is taken apart below a second, and what would have to be is saturated: an error,
but no loss. A server may compare microseconds and write milliseconds. Against that, windows have a margin of a millisecond as
long as their range can be cut. A record on an edge could be missed in two cases: a millisecond overflows a page with its
margins; or a second overflows a page, where whole seconds are written but finer times are compared. Nothing that the API says
can tell the two servers apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Waiting
from unlimcall_async.cdrs.planner.tasks import Resolve
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, ceil, floor, to_micros

# Windows that are asked for one part: far more than any server needs that can be told apart, so that a part comes to an end.
_MOST_WINDOWS: Final = 40


@frozen
class Bounds:
    """One hypothesis: bounds and times are cut down to steps of so many microseconds, and then compared."""

    step: int
    from_included: bool
    till_included: bool

    def covers(self, window: Window, micros: int) -> bool:
        """Return whether a row that starts at a time is in the page of a window."""
        first, last, place = window.start // self.step, window.till // self.step, micros // self.step
        after = place > first or (self.from_included and place == first)
        return after and (place < last or (self.till_included and place == last))

    def narrowest(self, first: int, last: int) -> Window:
        """Return the narrowest window, in steps, that covers the times from `first` to `last`."""
        first_step, last_step = floor(first, self.step), floor(last, self.step)
        start = floor(first if self.from_included else first_step - 1, MILLISECOND)
        till = ceil(last_step if self.till_included else last_step + self.step, MILLISECOND)
        if till > start:
            return Window(start, till)
        # The API wants a window to have a length; a neighbour in the same step changes nothing.
        same_step = (start + MILLISECOND) // self.step == start // self.step
        return Window(start, start + MILLISECOND) if same_step else Window(start - MILLISECOND, start)


_STEPS: Final = (1, *(millis * MILLISECOND for millis in range(1, 1001) if 1000 % millis == 0))
ALL: Final = tuple(Bounds(*each) for each in product(_STEPS, (True, False), (True, False)))


class KnownBounds:
    """What is known of a server's bounds.

    Attributes:
        left: The hypotheses that are left.
        refuted: Whether the server did what no hypothesis allows. Nothing may rest on hypotheses any more.
        finer_than_millis: Whether a row came that starts within a millisecond.
    """

    def __init__(self) -> None:
        self.left: tuple[Bounds, ...] = ALL
        self.refuted: bool = False
        self.finer_than_millis: bool = False

    @property
    def step(self) -> int:
        """The coarsest step that is left, at least a millisecond: ranges are cut at its multiples."""
        return max(MILLISECOND, *(bounds.step for bounds in self.left))

    def window_for(self, wanted: Range) -> Window:
        """Return the narrowest window that covers a range under every hypothesis that is left."""
        windows = [bounds.narrowest(*self._ends_of(wanted)) for bounds in self.left]
        return Window(min(window.start for window in windows), max(window.till for window in windows))

    def surely_covers(self, window: Window, wanted: Range) -> bool:
        """Return whether a window covers a range under every hypothesis that is left."""
        first, last = self._ends_of(wanted)
        return all(bounds.covers(window, first) and bounds.covers(window, last) for bounds in self.left)

    def _ends_of(self, wanted: Range) -> tuple[int, int]:
        return wanted.start, wanted.end - (1 if self.finer_than_millis else MILLISECOND)

    def learn(self, window: Window, came: Iterable[int], missing: Iterable[int]) -> None:
        """Drop the hypotheses that a page refutes.

        Args:
            window: The window of the page.
            came: The starts of its rows, in microseconds.
            missing: The starts of known rows that did not come although the page is complete, in microseconds.
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
            self.refuted = True

    def informative_windows(self, seen: Sequence[int]) -> list[Window]:
        """Return windows whose pages may refute hypotheses, the best first.

        Under two hypotheses the page of a window may have different rows of those that are known. The more such differences,
        the better the window.

        Args:
            seen: The starts of known rows, in microseconds.
        """
        # A few rows, from the first to the last, are enough to find such a window, and cheap to try.
        distinct = sorted(set(seen))
        few = distinct[:: max(1, len(distinct) // 8)] + distinct[-1:]
        outcomes = {
            window: len({tuple(bounds.covers(window, micros) for micros in few) for bounds in self.left})
            for micros in few
            for window in self._windows_around(floor(micros, MILLISECOND))
        }
        ranked = sorted(outcomes, key=lambda window: (-outcomes[window], len(window), window.start))
        informative = [window for window in ranked if outcomes[window] > 1]
        if len(self.left) > 1 and distinct:
            # A window beside a known row, in the row's step: if an unknown row comes there, steps are finer.
            at = floor(distinct[-1], MILLISECOND)
            start = floor(at, self.step)
            beside = (Window(at, start + self.step - MILLISECOND), Window(start, at - MILLISECOND))
            informative += [window for window in beside if window.till > window.start]
        return informative

    def _windows_around(self, at: int) -> Iterator[Window]:
        """Yield windows within, and at the edges of, the step that a time falls in."""
        yield Window(at - MILLISECOND, at + MILLISECOND)
        for step in {max(MILLISECOND, bounds.step) for bounds in self.left}:
            start = floor(at, step)
            yield Window(start, start + step)
            yield Window(start - step, start)


class Resolver:
    """Takes seconds apart by windows without margins."""

    def __init__(self) -> None:
        self._known = KnownBounds()

    def observe(self, page: Page) -> None:
        """Record how finely times are written."""
        self._known.finer_than_millis = self._known.finer_than_millis or page.finer_than_millis

    def is_complete_for(self, part: Part, asked: Resolve, page: Page, *, complete: bool) -> bool:
        """Return whether the page of a window without margins holds all of a part, and learn what the page shows of the bounds.

        Args:
            part: The part.
            asked: What was asked of it.
            page: The page.
            complete: Whether the page is its whole window.
        """
        came = set(map(to_micros, page.starts))
        missing = asked.seen - came if complete else frozenset[int]()
        self._known.learn(asked.window, came, missing)
        if not complete or self._known.refuted or not self._known.surely_covers(asked.window, part.range):
            return False
        # The page must hold the rows that are known. If it does not, the server is like no hypothesis.
        self._known.refuted = any(map(part.range.holds, missing))
        return not self._known.refuted

    def after(self, wanted: Range, asked: Resolve, page: Page) -> Resolve | list[Part]:
        """Return what to ask after a page that was not enough, of the part itself or of the pieces that it falls into.

        No piece is returned if no window is left that could tell more: the part is saturated.

        Args:
            wanted: The range of the part.
            asked: What was asked of it.
            page: The page.
        """
        tried = asked.tried | {asked.window}
        seen = asked.seen.union(map(to_micros, page.starts))
        records = max(asked.records, page.rows_of(wanted), key=len)
        if self._known.refuted or len(tried) >= _MOST_WINDOWS:
            return []
        untried = (window for window in self._windows_for(wanted) if window not in tried)
        if (window := next(untried, None)) is not None:
            return Resolve(window, tried, seen, records)
        if halves := _halves(wanted, self._known.step):
            return [Part(half, Waiting(Resolve(next(self._windows_for(half)), seen=seen))) for half in halves]
        informative = (window for window in self._known.informative_windows([*seen]) if window not in tried)
        if (window := next(informative, None)) is not None:
            return Resolve(window, tried, seen, records)
        return []

    def _windows_for(self, wanted: Range) -> Iterator[Window]:
        """Yield the windows that cover a range: first one with a margin, then one without if the range cannot be cut any more."""
        narrowest = self._known.window_for(wanted)
        yield Window(narrowest.start - MILLISECOND, narrowest.till + MILLISECOND)
        if not _halves(wanted, self._known.step):
            yield narrowest
        if len(wanted) == MILLISECOND:
            # If both bounds are included, a window covers two milliseconds, and the other one may lie on either side.
            at = wanted.start
            either = (Window(at, at + MILLISECOND), Window(at - MILLISECOND, at))
            yield from (window for window in either if self._known.surely_covers(window, wanted))


def is_within_a_second(wanted: Range) -> bool:
    """Return whether a range lies within one second, so that no cut at a whole second is left."""
    return wanted.start // SECOND == (wanted.end - 1) // SECOND


def _halves(whole: Range, step: int) -> list[Range]:
    """Return a range cut in two at a multiple of the step, or nothing if no multiple lies in it."""
    middle = max(floor((whole.start + whole.end) // 2, step), floor(whole.start, step) + step)
    if not whole.start < middle < whole.end:
        return []
    return [Range(whole.start, middle), Range(middle, whole.end)]
