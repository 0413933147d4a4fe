"""How a second that overflows a page is taken apart, by windows without margins.

Pure: no I/O.

Theory. `bounds` has the hypotheses about what the bounds of such a window mean. Times are taken to be compared as they are written,
until a page shows that they are not. If they are written in steps of more than a millisecond, ranges are cut at multiples of such
a step alone, so that all rows of one start are in one piece, however finely they are compared. One window within such a step is
asked first: rows of another start in its page show that times are rounded.

Times may be rounded all the same, or compared more finely than they are written. So once pages show all of a part if times are
compared as they are written, a few more windows are asked, until the pages together show it if they are not (`shown`). If times are
known not to be compared as they are written, a part is done only then. If no window is left that could show more, it is saturated:
an error, but no loss. If pages refute all hypotheses, nothing is taken apart below a second any more.

Doubts. No window ends within a millisecond. A window that is full may hide a row whose time is compared in the window, and which
is shown in the part beside. Then the part that the full window belongs to is saturated: its rows are out of reach by the time that
is compared, and may be shown a written step beside its range. There is one exception. Rows of two milliseconds, or written steps,
each of which fits on a page, may not fit on one together. As long as all pages look as if times were compared as they are written,
a row that they do not show is taken not to be there. A server that compares more finely may have such a row: at the edge between
the two if it excludes both bounds, or between the two edges if it includes both. The same holds for a full step just outside of the
range that is pulled.

If all rows around a saturated instant stand at that instant, no page can show how finely they are compared: then the range that is
named is the finest that is known to be told apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, pairwise
from math import gcd, lcm
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.bounds import KnownBounds
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Done, Part, Waiting
from unlimcall_async.cdrs.planner.shown import Shown
from unlimcall_async.cdrs.planner.tasks import Resolve
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, ceil, floor

# Windows that are asked for one part: far more than any server needs that can be told apart, so that a part comes to an end.
_MOST_WINDOWS: Final = 40
# Windows that are asked for one part in case its times are rounded: the windows of the four milliseconds around one.
_MOST_EXTRA: Final = 10
# So many starts are hardly all at multiples of the step by chance.
_TELLING: Final = 2
# Pages that other hypotheses are judged by, once those that are left are refuted.
_MOST_SEEN: Final = 40


class Resolver:
    """Takes seconds apart by windows without margins."""

    def __init__(self) -> None:
        # What is known if times are compared as they are written; and if they may be rounded, or compared more finely.
        self._as_written = KnownBounds()
        self._rounded = KnownBounds(SECOND)
        # How often a cap was found, as far as this resolver knows.
        self._caps = 0
        # The step in which times are written, as far as pages have shown it; 0 before any.
        self._written = 0
        # What the latest pages have shown: the window, its first and its last row, and the known rows that did not come.
        self._seen = deque[tuple[Window, set[int], AbstractSet[int]]](maxlen=_MOST_SEEN)

    def observe(self, page: Page) -> None:
        """Record how finely times are written."""
        self._as_written.finer_than_millis = self._as_written.finer_than_millis or page.finer_than_millis

    def heed_cap(self, found: int) -> None:
        """Forget what pages have shown once another cap was found: they may have lacked rows that they seemed to show.

        Args:
            found: How often a cap was found.
        """
        if found != self._caps:
            self._caps = found
            self._seen.clear()
            self._as_written = KnownBounds(finer_than_millis=self._as_written.finer_than_millis)
            self._rounded = KnownBounds(self._written or SECOND)

    def use(self, wanted: Range, asked: Resolve, page: Page, *, complete: bool) -> Done | Resolve | list[Part]:
        """Return what comes of a part by a page: its records; or what to ask of it next; or the pieces that it falls into.

        No piece is returned if no window is left that could tell more: the part is saturated.

        Args:
            wanted: The range of the part.
            asked: What was asked of it.
            page: The page.
            complete: Whether the page is its whole window.
        """
        self._learn(asked, page, complete=complete)
        asked = asked.with_page(page, complete=complete, caps=self._caps)
        if self._rounded.refuted:
            return []
        if self._as_written.refuted or self._written < MILLISECOND:
            return self._after_rounded(wanted, asked)
        if not asked.shown.shows_all(wanted, self._as_written):
            return self._after(wanted, asked, page)
        # The times may be rounded all the same. What no window shows then is taken not to be there.
        window = None
        if asked.extra < _MOST_EXTRA and (self._written <= MILLISECOND or len(asked.shown.starts) >= _TELLING):
            window = self._window_for_rest(wanted, asked)
        return _done_of(wanted, asked) if window is None else evolve(asked, window=window, extra=asked.extra + 1)

    def _learn(self, asked: Resolve, page: Page, *, complete: bool) -> None:
        """Learn what a page shows of the bounds, and of the step in which times are written."""
        came = {*page.micros}
        self._note_written(came)
        missing = asked.shown.lacks(page) if complete and asked.shown.caps == self._caps else set[int]()
        ends = {min(came), max(came)} if came else set[int]()
        self._seen.append((asked.window, ends, missing))
        self._as_written.learn(asked.window, ends, missing)
        self._rounded.learn(asked.window, ends, missing)

    def _note_written(self, starts: Iterable[int]) -> None:
        """Record in which steps times are written. The steps may have seemed to be coarser than they are."""
        written = gcd(self._written, SECOND, *starts)
        if written != self._written:
            self._written = written
            self._rounded = KnownBounds(written)
            for window, came, missing in self._seen:
                self._rounded.learn(window, came, missing)

    def _window_for_rest(self, wanted: Range, asked: Resolve) -> Window | None:
        """Return the window that shows most of what rows may be missing if times are rounded, if a window does."""
        if len(asked.tried) >= _MOST_WINDOWS:
            return None
        return next(asked.shown.windows_for_rest(wanted, self._rounded, asked.full), None)

    def _after_rounded(self, wanted: Range, asked: Resolve) -> Done | Resolve | list[Part]:
        """Return what comes of a part if times are not compared as they are written."""
        if asked.shown.shows_all(wanted, self._rounded):
            return _done_of(wanted, asked)
        halves = _halves(wanted, self._rounded_step)
        window = None
        if not halves or asked.window not in asked.full:
            window = self._window_for_rest(wanted, asked)
        if window is not None:
            return evolve(asked, window=window)
        return [part for half in halves for part in self._rounded_parts_of(half, asked)]

    def _rounded_parts_of(self, piece: Range, asked: Resolve) -> list[Part]:
        """Return the parts for a piece of another one, if times are not compared as they are written."""
        shown, known = asked.shown, self._rounded
        window = next(shown.windows_for_rest(piece, known, asked.full), None)
        if window is None and not shown.shows_all(piece, known) and (halves := _halves(piece, self._rounded_step)):
            return [part for half in halves for part in self._rounded_parts_of(half, asked)]
        shown = self._shown_near(piece, shown)
        return [Part(piece, Waiting(Resolve(window or known.window_for(piece), full=asked.full, shown=shown)))]

    def _after(self, wanted: Range, asked: Resolve, page: Page) -> Resolve | list[Part]:
        """Return what to ask after a page that was not enough, if times are compared as they are written."""
        tried, full, idle, known = asked.tried, asked.full, asked.idle, self._as_written
        if len(tried) >= _MOST_WINDOWS:
            return []
        seen = asked.shown.starts
        # All that tells more of the part.
        following = chain(
            self._windows_for_all(wanted, full), self._windows_inside(wanted, seen), self._windows_for(wanted, full)
        )
        if (window := next((window for window in following if window not in tried | idle), None)) is not None:
            return evolve(asked, window=window)
        halves = _halves(wanted, self._step)
        if not halves and asked.window not in full and not page.number_of(wanted):
            # Nothing is compared by a time of a window beside the only start: the window's side of the range may be cut off.
            cuts = [cut for window, cut in _windows_beside(wanted, seen) if window == asked.window]
            halves = [Range(*edges) for edges in pairwise([wanted.start, *cuts, wanted.end])] if cuts else []
        if halves:
            return [part for half in halves for part in self._parts_of(half, asked)]
        telling = known.informative_windows(wanted, seen)
        beside = (window for window, _ in _windows_beside(wanted, seen) if window not in tried)
        # A second known start in the range stands at another step of the bounds, or nothing tells the two apart.
        finer = self._finer_pieces(wanted, full) if sum(map(wanted.holds, seen)) > 1 else ()
        pieces = [(piece, known.window_for(piece)) for piece in finer]
        wholly = (window for _, window in pieces if window not in tried)
        window = next(chain((window for window in telling if window not in tried | full), beside, wholly), None)
        if window is not None:
            return evolve(asked, window=window)
        if any(window in full for _, window in pieces):
            return []
        return [Part(piece, Waiting(Resolve(window, full=full, shown=asked.shown))) for piece, window in pieces]

    def _parts_of(self, piece: Range, asked: Resolve) -> list[Part]:
        """Return the parts for a piece of another one: nothing is asked for them that was asked for the other in vain."""
        full, known = asked.full, self._as_written
        tried = asked.tried | asked.idle
        idle = frozenset(window for window in tried if window in full or not known.surely_covers(window, piece))
        window = next((window for window in self._windows_for(piece, full) if window not in idle), None)
        if window is None and (halves := _halves(piece, self._step)):
            return [part for half in halves for part in self._parts_of(half, asked)]
        window = window or next(self._windows_for(piece))
        shown = self._shown_near(piece, asked.shown)
        return [Part(piece, Waiting(Resolve(window, full=full, idle=idle, shown=shown)))]

    def _shown_near(self, piece: Range, shown: Shown) -> Shown:
        """Return what may tell of a piece: what windows show that end within two steps of the piece."""
        return shown.near(piece, 2 * max(self._step, self._rounded_step))

    @property
    def _step(self) -> int:
        """The step at whose multiples ranges are cut: no row is compared by a time of one piece, and shown in another."""
        return lcm(self._as_written.step, max(self._written, MILLISECOND))

    @property
    def _rounded_step(self) -> int:
        """The same, if times are not compared as they are written."""
        return lcm(self._rounded.step, max(self._written, MILLISECOND))

    def _finer_pieces(self, wanted: Range, full: frozenset[Window]) -> Iterator[Range]:
        """Yield the pieces of a range, cut at the steps of the bounds alone, whose pages are not known to be full.

        The few rows of a second may happen to stand at multiples of a step in which times are not written. Only if the pages of
        all pieces are complete is it safe to cut here: a row that is shown in another piece than it is compared in would be in one.
        """
        for half in _halves(wanted, self._as_written.step):
            if self._as_written.window_for(half) in full and _halves(half, self._as_written.step):
                yield from self._finer_pieces(half, full)
            else:
                yield half

    def _windows_for_all(self, wanted: Range, full: Iterable[Window]) -> Iterator[Window]:
        """Yield the window that covers a range also if its times, which are written in whole seconds, are rounded."""
        window = self._rounded.window_for(wanted)
        if self._written == SECOND and not any(self._as_written.surely_holds(window, each) for each in full):
            yield window

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
        narrowest = self._as_written.window_for(wanted)
        covering = [Window(narrowest.start - MILLISECOND, narrowest.till + MILLISECOND)]
        if not _halves(wanted, self._step):
            covering.append(narrowest)
        if len(wanted) == MILLISECOND:
            # If both bounds are included, a window covers two milliseconds, and the other one may lie on either side.
            at = wanted.start
            either = (Window(at, at + MILLISECOND), Window(at - MILLISECOND, at))
            covering += [window for window in either if self._as_written.surely_covers(window, wanted)]
        for window in covering:
            if not any(self._as_written.surely_holds(window, each) for each in full):
                yield window


def _done_of(wanted: Range, asked: Resolve) -> Done:
    """Return the state of a part whose rows the pages have shown together."""
    shown = asked.shown
    basis = shown.basis_of(wanted)
    return Done(shown.rows_of(wanted), basis.rows, basis, shown.unplaced)


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
