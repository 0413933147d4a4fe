"""The bounds of a window as the server reads them, and how a second that overflows a page is taken apart by them.

Pure: no I/O.

Theory. The reference says neither whether `from` and `till` are included nor how finely they are compared. Everywhere else margins
make that irrelevant (`margins`). But a second that does not fit on a page has to be taken apart, and there the margins must go. So
all that a server may do is kept as a set of hypotheses: each bound is included or not, and bounds and times are both cut down to
steps that divide a second. A window for a range is made so wide that it covers the range under every hypothesis that is left.
Pages refute hypotheses: a row that came must be covered by its window, and a known row that did not come, in a complete page, must
not be. (Rows may appear, but they neither vanish nor move.)

Times are taken to be compared as they are written, until a page shows that they are not. If they are written in steps of more than
a millisecond, ranges are cut at multiples of such a step alone, so that all rows of one start are in one piece, however finely
they are compared. One window within such a step is asked first: rows of another start in its page show that times are rounded.
Times that are cut down are from then on taken to be anywhere in their step. If pages refute all hypotheses, nothing is taken apart
below a second any more. What would have to be is saturated: an error, but no loss.

Doubts. A server may compare microseconds and write milliseconds. Against that, windows have a margin of a millisecond as long as
their range can be cut. A record on an edge could be missed if a millisecond overflows a page with its margins, and times are
rounded or cut there. Nothing that the API says can tell the two servers apart. If all rows around a saturated instant stand at
that instant, no page can show how finely they are compared: then the range that is named is the finest that is known to be told
apart.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, pairwise, product
from math import gcd, lcm
from typing import Final

from attrs import evolve, frozen

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Waiting
from unlimcall_async.cdrs.planner.tasks import Resolve
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, ceil, floor, to_micros

# Known rows by which informative windows are looked for at once.
_ROWS_AT_ONCE: Final = 4
# Starts whose rows are counted: those of a second or two.
_MOST_STARTS: Final = 5000
# Windows that are asked for one part: far more than any server needs that can be told apart, so that a part comes to an end.
_MOST_WINDOWS: Final = 40
# Pages that other hypotheses are judged by, once those that are left are refuted.
_MOST_SHOWN: Final = 40


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
        first, last = self._steps_of(window)
        return (shown - self.earlier) // self.step <= last and first <= (shown + self.later) // self.step

    def surely_covers(self, window: Window, shown: int) -> bool:
        """Return whether such a row is in the page of a window."""
        first, last = self._steps_of(window)
        return first <= (shown - self.earlier) // self.step and (shown + self.later) // self.step <= last

    def _steps_of(self, window: Window) -> tuple[int, int]:
        """Return the first and the last step that a window covers."""
        return window.start // self.step + (not self.from_included), window.till // self.step - (not self.till_included)

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
ALL: Final = tuple(Bounds(*each) for each in product(STEPS, (True, False), (True, False)))


def cut_down(written: int) -> tuple[Bounds, ...]:
    """Return the hypotheses about a server that cuts times down to such steps to write them, in microseconds."""
    return tuple(evolve(each, later=written - 1) for each in ALL)


class KnownBounds:
    """What is known of a server's bounds.

    Attributes:
        written: The step in which times are written, if they are not compared as they are written, in microseconds; else 0.
        left: The hypotheses that are left.
        refuted: Whether the server did what no hypothesis allows. Nothing may rest on hypotheses any more.
        finer_than_millis: Whether a row came that starts within a millisecond.
    """

    def __init__(self, written: int = 0, *, finer_than_millis: bool = False) -> None:
        self.written: int = written
        self.left: tuple[Bounds, ...] = cut_down(written) if written else ALL
        self.refuted: bool = False
        self.finer_than_millis: bool = finer_than_millis

    @property
    def step(self) -> int:
        """The coarsest step that is left, at least a millisecond: ranges are cut at its multiples."""
        return max(MILLISECOND, *(bounds.step for bounds in self.left))

    def window_for(self, wanted: Range) -> Window:
        """Return the narrowest window that covers a range under every hypothesis that is left."""
        windows = [bounds.narrowest(*self._ends_of(wanted, bounds)) for bounds in self.left]
        return Window(min(window.start for window in windows), max(window.till for window in windows))

    def surely_covers(self, window: Window, wanted: Range) -> bool:
        """Return whether a window covers a range under every hypothesis that is left."""
        return all(
            bounds.covers(window, first) and bounds.covers(window, last)
            for bounds in self.left
            for first, last in [self._ends_of(wanted, bounds)]
        )

    def _ends_of(self, wanted: Range, bounds: Bounds) -> tuple[int, int]:
        """Return the first and the last time by which a row that is shown in a range may be compared."""
        if not self.written:
            return wanted.start, wanted.end - (1 if self.finer_than_millis else MILLISECOND)
        first, last = ceil(wanted.start, self.written), floor(wanted.end - 1, self.written)
        return first - bounds.earlier, max(first, last) + bounds.later

    def learn(self, window: Window, came: Iterable[int], missing: Iterable[int]) -> None:
        """Drop the hypotheses that a page refutes.

        Args:
            window: The window of the page.
            came: The starts of its rows, or the first and the last of them, in microseconds.
            missing: The starts of known rows that did not come although the page is complete, in microseconds.
        """
        came, missing = set(came), set(missing)
        left = [
            bounds
            for bounds in self.left
            if all(bounds.may_cover(window, at) for at in came)
            and not any(bounds.surely_covers(window, at) for at in missing)
        ]
        if left:
            self.left = tuple(left)
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
            few = known[first : first + _ROWS_AT_ONCE]
            most_left = {
                window: self._most_left(window, few)
                for micros in few
                for window in self._windows_around(floor(micros, MILLISECOND))
            }
            ranked = sorted(most_left, key=lambda window: (most_left[window], len(window), window.start))
            yield from (window for window in ranked if most_left[window] < len(self.left))
        for at in (floor(micros, MILLISECOND) for micros in known if wanted.holds(micros)):
            start = floor(at, self.step)
            beside = (Window(at, start + self.step - MILLISECOND), Window(start, at - MILLISECOND), Window(start, at))
            yield from (window for window in beside if window.till > window.start)

    def _most_left(self, window: Window, few: Sequence[int]) -> int:
        """Return how many hypotheses the page of a window leaves at most, by whether it has these rows."""
        outcomes = Counter(
            tuple(bounds.may_cover(window, at) + bounds.surely_covers(window, at) for at in few) for bounds in self.left
        )
        # Of a row that may come or not, both is allowed.
        unsure = sum(number for outcome, number in outcomes.items() if 1 in outcome)
        return unsure + max((number for outcome, number in outcomes.items() if 1 not in outcome), default=0)

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


class Resolver:
    """Takes seconds apart by windows without margins."""

    def __init__(self) -> None:
        self._known = KnownBounds()
        # The step in which times are written, as far as pages have shown it; 0 before any.
        self._written = 0
        # The most rows that a page has shown of one start, by start.
        self._most = Counter[int]()
        # What the latest pages have shown: the window, its first and its last row, and the known rows that did not come.
        self._shown = deque[tuple[Window, set[int], AbstractSet[int]]](maxlen=_MOST_SHOWN)

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
        came = Counter(map(to_micros, page.starts))
        self._note_written(came)
        missing = asked.seen - came.keys() if complete else set[int]()
        # A page may have some rows of one start, and not all, if they are compared finer than they are written. Of rows that are
        # written in milliseconds nothing is concluded: an answer without a late row may come after one that has the row.
        if complete and self._written > MILLISECOND:
            missing |= {at for at, rows in came.items() if rows < self._most[at]}
        self._note_rows(came)
        ends = {min(came), max(came)} if came else set[int]()
        self._shown.append((asked.window, ends, missing))
        self._known.learn(asked.window, ends, missing)
        if not self._known.refuted:
            if not complete or not self._known.surely_covers(asked.window, part.range):
                return False
            # The page must hold the rows that are known. If it does not, the server is like no hypothesis.
            self._known.refuted = any(map(part.range.holds, missing))
        if self._known.refuted and self._written > MILLISECOND and not self._known.written:
            # Times are not compared as they are written. They may have been cut down to be written.
            self._begin_anew(self._written)
            return False
        return not self._known.refuted

    def _begin_anew(self, written: int) -> None:
        """Judge other hypotheses by what pages have shown."""
        self._known = KnownBounds(written, finer_than_millis=self._known.finer_than_millis)
        for window, came, missing in self._shown:
            self._known.learn(window, came, missing)

    def _note_rows(self, came: Counter[int]) -> None:
        """Record how many rows of each start a page shows."""
        if len(self._most) > _MOST_STARTS:
            self._most.clear()
        self._most |= came

    def _note_written(self, starts: Iterable[int]) -> None:
        """Record in which steps times are written. A time that was cut down may be compared by any time of its step."""
        if self._written == 1:
            return
        self._written = gcd(self._written, SECOND, *starts)
        if self._known.written not in {0, self._written}:
            # The steps seemed to be coarser than they are.
            self._begin_anew(0)

    def after(self, wanted: Range, asked: Resolve, page: Page) -> Resolve | list[Part]:
        """Return what to ask after a page that was not enough, of the part itself or of the pieces that it falls into.

        No piece is returned if no window is left that could tell more: the part is saturated.

        Args:
            wanted: The range of the part.
            asked: What was asked of it.
            page: The page.
        """
        tried, idle = asked.tried | {asked.window}, asked.idle
        full = asked.full if page.complete else asked.full | {asked.window}
        came = Counter(map(to_micros, page.starts))
        self._note_rows(came)
        seen = asked.seen.union(came)
        self._note_written(seen)
        records = max(asked.records, page.rows_of(wanted), key=len)
        if self._known.refuted or len(tried) >= _MOST_WINDOWS:
            return []
        # All that tells more of the part.
        following = chain(self._windows_inside(wanted, seen), self._windows_for(wanted, full))
        if (window := next((window for window in following if window not in tried | idle), None)) is not None:
            return Resolve(window, tried, full, idle, seen, records)
        halves = _halves(wanted, self._step)
        if not halves and page.complete and not page.number_of(wanted):
            # Nothing is compared by a time of a window beside the only start: the window's side of the range may be cut off.
            cuts = [cut for window, cut in _windows_beside(wanted, seen) if window == asked.window]
            halves = [Range(*edges) for edges in pairwise([wanted.start, *cuts, wanted.end])] if cuts else []
        if halves:
            return [part for half in halves for part in self._parts_of(half, tried | idle, full, seen)]
        telling = self._known.informative_windows(wanted, seen)
        beside = (window for window, _ in _windows_beside(wanted, seen) if window not in tried)
        window = next(chain((window for window in telling if window not in tried | full), beside), None)
        return [] if window is None else Resolve(window, tried, full, idle, seen, records)

    def _parts_of(
        self, piece: Range, tried: frozenset[Window], full: frozenset[Window], seen: frozenset[int]
    ) -> list[Part]:
        """Return the parts for a piece of another one: nothing is asked for them that was asked for the other in vain."""
        idle = frozenset(window for window in tried if window in full or not self._known.surely_covers(window, piece))
        window = next((window for window in self._windows_for(piece, full) if window not in idle), None)
        if window is None and (halves := _halves(piece, self._step)):
            return [part for half in halves for part in self._parts_of(half, tried, full, seen)]
        window = window or next(self._windows_for(piece))
        return [Part(piece, Waiting(Resolve(window, full=full, idle=idle, seen=seen)))]

    @property
    def _step(self) -> int:
        """The step at whose multiples ranges are cut: no row is compared by a time of one piece, and shown in another."""
        return lcm(self._known.step, max(self._written, MILLISECOND))

    def _windows_inside(self, wanted: Range, seen: Iterable[int]) -> Iterator[Window]:
        """Yield a window within the step of a known row: a row from another step shows that times are rounded, not cut."""
        margin = ceil(self._written // 4, MILLISECOND)
        at = min(filter(wanted.holds, seen), default=None)
        if at is not None and self._written > 2 * margin > 0 and self._written > MILLISECOND:
            yield Window(at + margin, at + self._written - margin)

    def _windows_for(self, wanted: Range, full: Iterable[Window] = ()) -> Iterator[Window]:
        """Yield the windows that cover a range: first one with a margin, then one without if the range cannot be cut any more.

        A window that holds a full one is full, too, and is not among them.
        """
        narrowest = self._known.window_for(wanted)
        covering = [Window(narrowest.start - MILLISECOND, narrowest.till + MILLISECOND)]
        if not _halves(wanted, self._step):
            covering.append(narrowest)
        if len(wanted) == MILLISECOND:
            # If both bounds are included, a window covers two milliseconds, and the other one may lie on either side.
            at = wanted.start
            either = (Window(at, at + MILLISECOND), Window(at - MILLISECOND, at))
            covering += [window for window in either if self._known.surely_covers(window, wanted)]
        for window in covering:
            if not any(window.start <= each.start and each.till <= window.till for each in full):
                yield window


def is_within_a_step(wanted: Range, step: int = SECOND) -> bool:
    """Return whether a range lies within one step, so that no cut at a multiple of the step is left."""
    return wanted.start // step == (wanted.end - 1) // step


def _windows_beside(wanted: Range, seen: Iterable[int]) -> Iterator[tuple[Window, int]]:
    """Yield the windows beside the only start that is known of a range, and where to cut the range if they show no row of it."""
    known = {floor(at, MILLISECOND) for at in seen if wanted.holds(at)}
    if len(known) != 1 or len(wanted) <= MILLISECOND:
        return
    at = known.pop()
    if at + 2 * MILLISECOND <= wanted.end:
        yield Window(at + MILLISECOND, wanted.end), at + MILLISECOND
    if wanted.start + 2 * MILLISECOND <= at:
        yield Window(wanted.start, at - MILLISECOND), at


def _halves(whole: Range, step: int) -> list[Range]:
    """Return a range cut in two at a multiple of the step, or nothing if no multiple lies in it."""
    middle = max(floor((whole.start + whole.end) // 2, step), floor(whole.start, step) + step)
    if not whole.start < middle < whole.end:
        return []
    return [Range(whole.start, middle), Range(middle, whole.end)]
