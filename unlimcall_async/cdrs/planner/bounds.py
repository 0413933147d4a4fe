"""The bounds of a window as the server reads them: hypotheses, and what pages show of them.

Pure: no I/O.

Theory. The reference says neither whether `from` and `till` are included nor how finely they are compared. Everywhere else margins
make that irrelevant (`margins`). But a second that does not fit on a page has to be taken apart (`resolver`), and there the margins
must go. So all that a server may do is kept as a set of hypotheses: each bound is included or not, and bounds and times are both
cut down to steps that divide a second. A window for a range is made so wide that it covers the range under every hypothesis that is
left. Pages refute hypotheses: a row that came must be covered by its window, and a known row that did not come, in a complete page,
must not be. (Rows may appear, but they neither vanish nor move.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.times import MILLISECOND, Range, Window, ceil, floor

# Known rows by which informative windows are looked for at once.
_ROWS_AT_ONCE: Final = 4


@frozen
class Bounds:
    """One hypothesis: bounds and times are cut down to steps of so many microseconds, and then compared.

    The time that is compared may be `earlier` than the time that a row shows, or `later`, by so many microseconds.
    """

    step: int
    from_included: bool
    till_included: bool
    earlier: int = 0
    later: int = 0

    def covers(self, window: Window, micros: int) -> bool:
        """Return whether a row that starts at a time is in the page of a window."""
        first, last, place = window.start // self.step, window.till // self.step, micros // self.step
        after = place > first or (self.from_included and place == first)
        return after and (place < last or (self.till_included and place == last))

    def may_cover(self, window: Window, shown: int) -> bool:
        """Return whether a row that shows a time may be in the page of a window."""
        first, last = self.steps_of(window)
        return (shown - self.earlier) // self.step <= last and first <= (shown + self.later) // self.step

    def surely_covers(self, window: Window, shown: int) -> bool:
        """Return whether such a row is in the page of a window."""
        return shown in self.surely_covered(window)

    def surely_covered(self, window: Window) -> range:
        """Return the times that rows show which are surely in the page of a window."""
        first, last = self.steps_of(window)
        return range(first * self.step + self.earlier, (last + 1) * self.step - self.later)

    def steps_of(self, window: Window) -> tuple[int, int]:
        """Return the first and the last step that a window covers."""
        return window.start // self.step + (not self.from_included), window.till // self.step - (not self.till_included)

    def steps_of_rows(self, shown: Iterable[int]) -> tuple[list[int], list[int]]:
        """Return the first and the last step in which each row may be compared, of rows that show these times."""
        return [(at - self.earlier) // self.step for at in shown], [(at + self.later) // self.step for at in shown]

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


STEPS: Final = (1, *(millis * MILLISECOND for millis in range(1, 1001) if 1000 % millis == 0))
# A server that compares times as it writes them, in milliseconds or coarser; or in microseconds.
AS_WRITTEN: Final = tuple(Bounds(*each) for each in product(STEPS, (True, False), (True, False)))
# Windows are cut at milliseconds. A step that neither divides a millisecond nor is a multiple of one is not provided for.
_ANY_STEPS: Final = (*(step for step in range(1, MILLISECOND) if MILLISECOND % step == 0), *STEPS[1:])


def rounded(written: int) -> tuple[Bounds, ...]:
    """Return the hypotheses about a server that writes times in steps of so many microseconds, or finer, and may round them."""
    half = written // 2
    # Rounded up, to the nearest step, and cut down: how much earlier and later a row may be compared than it is shown.
    modes = sorted({(written - 1, 0), (half, half), (0, written - 1)})
    return tuple(
        Bounds(step, from_included, till_included, *mode)
        for mode, step, from_included, till_included in product(modes, _ANY_STEPS, (True, False), (True, False))
    )


class KnownBounds:
    """What is known of a server's bounds.

    Attributes:
        written: The step in which times are written, if they may not be compared as they are written, in microseconds; else 0.
        left: The hypotheses that are left.
        refuted: Whether the server did what no hypothesis allows. Nothing may rest on hypotheses any more.
        finer_than_millis: Whether a row came that starts within a millisecond.
    """

    def __init__(self, written: int = 0, *, finer_than_millis: bool = False) -> None:
        self.written: int = written
        self.left: tuple[Bounds, ...] = rounded(written) if written else AS_WRITTEN
        self.refuted: bool = False
        self.finer_than_millis: bool = finer_than_millis

    @property
    def step(self) -> int:
        """The coarsest step of whole milliseconds that is left, or a millisecond: ranges are cut at its multiples."""
        return max(bounds.step if bounds.step % MILLISECOND == 0 else MILLISECOND for bounds in self.left)

    def window_for(self, wanted: Range) -> Window:
        """Return the narrowest window that covers a range under every hypothesis that is left."""
        return hull(bounds.narrowest(*self.ends_of(wanted, bounds)) for bounds in self.left)

    def surely_covers(self, window: Window, wanted: Range) -> bool:
        """Return whether a window covers a range under every hypothesis that is left."""
        return all(
            bounds.covers(window, first) and bounds.covers(window, last)
            for bounds in self.left
            for first, last in [self.ends_of(wanted, bounds)]
        )

    def surely_holds(self, window: Window, other: Window) -> bool:
        """Return whether a window shows all that another one shows, under every hypothesis that is left."""
        steps = ((*bounds.steps_of(window), *bounds.steps_of(other)) for bounds in self.left)
        return all(first <= its_first and its_last <= last for first, last, its_first, its_last in steps)

    def ends_of(self, wanted: Range, bounds: Bounds) -> tuple[int, int]:
        """Return the first and the last time by which a row that is shown in a range may be compared."""
        if not self.written:
            grain = 1 if self.finer_than_millis else MILLISECOND
            first, last = ceil(wanted.start, grain), floor(wanted.end - 1, grain)
            # Between two milliseconds a row may come all the same: none has shown yet how finely times are written.
            return (first, last) if first <= last else (wanted.start, wanted.end - 1)
        # A time that was cut down lies before the next step that may be written.
        return wanted.start - bounds.earlier, min(wanted.end - 1 + bounds.later, ceil(wanted.end, self.written) - 1)

    def learn(self, window: Window, came: Iterable[int], missing: Iterable[int]) -> None:
        """Drop the hypotheses that a page refutes.

        Args:
            window: The window of the page.
            came: The starts of its rows, or the first and the last of them, in microseconds.
            missing: The starts of known rows that did not come although the page is complete, in microseconds.
        """
        came, lacking = set(came), sorted(missing)

        def allows(bounds: Bounds) -> bool:
            if not all(bounds.may_cover(window, at) for at in came):
                return False
            surely = bounds.surely_covered(window)
            return bisect_left(lacking, surely.start) >= bisect_left(lacking, surely.stop)

        left = tuple(filter(allows, self.left))
        if left:
            self.left = left
        else:
            self.refuted = True

    def informative_windows(self, wanted: Range, seen: Iterable[int]) -> Iterator[Window]:
        """Yield windows whose pages may refute hypotheses.

        Under two hypotheses the page of a window may have different rows of those that are known. The fewer hypotheses are left
        in the worst case, the better the window. If no known row tells, an unknown one may: beside those that are known, in the
        same step.

        Args:
            wanted: The range that is to be taken apart.
            seen: The starts of known rows, in microseconds.
        """
        if len(self.left) == 1:
            return
        # Rows of the range first. A few rows at a time are cheap to try, and mostly enough.
        known = sorted(set(seen), key=lambda micros: (not wanted.holds(micros), micros))
        for first in range(0, len(known), _ROWS_AT_ONCE):
            few = sorted(known[first : first + _ROWS_AT_ONCE])
            places = [(bounds, *bounds.steps_of_rows(few)) for bounds in self.left]
            around = {window for micros in few for window in self._windows_around(floor(micros, MILLISECOND))}
            most_left = {window: _most_left(window, places) for window in around}
            ranked = sorted(most_left, key=lambda window: (most_left[window], len(window), window.start))
            yield from (window for window in ranked if most_left[window] < len(self.left))
        for at in (floor(micros, MILLISECOND) for micros in known if wanted.holds(micros)):
            start = floor(at, self.step)
            beside = (Window(at, start + self.step - MILLISECOND), Window(start, at - MILLISECOND), Window(start, at))
            yield from (window for window in beside if window.till > window.start)

    def _windows_around(self, at: int) -> Iterator[Window]:
        """Yield windows within, at the edges of, and beside the step that a time falls in."""
        yield Window(at - MILLISECOND, at + MILLISECOND)
        for step in {max(MILLISECOND, bounds.step) for bounds in self.left}:
            start = floor(at, step)
            yield Window(start, start + step)
            yield Window(start - step, start)
            # If both bounds are included, no window above leaves the time out, unless the server's step is finer.
            yield Window(start + step, start + 2 * step)
            yield Window(start - 2 * step, start - step)


def hull(windows: Iterable[Window]) -> Window:
    """Return the window from the first start to the last end of some windows."""
    several = [*windows]
    return Window(min(window.start for window in several), max(window.till for window in several))


def _most_left(window: Window, places: Iterable[tuple[Bounds, Sequence[int], Sequence[int]]]) -> int:
    """Return how many hypotheses the page of a window leaves at most, by which rows it has.

    Args:
        window: The window.
        places: Each hypothesis, with the first and the last step of each row. Both ascend.
    """
    outcomes = Counter[range]()
    unsure = 0
    for bounds, earliest, latest in places:
        first, last = bounds.steps_of(window)
        # The steps ascend, so that the rows of a page are neighbours. Ranges without a row equal each other.
        surely = range(bisect_left(earliest, first), bisect_right(latest, last))
        if surely == range(bisect_left(latest, first), bisect_right(earliest, last)):
            outcomes[surely] += 1
        else:
            # Of a row that may come or not, both is allowed.
            unsure += 1
    return unsure + max(outcomes.values(), default=0)
