"""How a second that overflows a page is taken apart, by windows without margins.

Pure: no I/O.

Theory. `bounds` has the hypotheses about what the bounds of such a window mean. Times are taken to be compared as they are written,
until a page shows that they are not. If they are written in steps of more than a millisecond, ranges are cut at multiples of such
a step alone, so that all rows of one start are in one piece, however finely they are compared. One window within such a step is
asked first: rows of another start in its page show that times are rounded. Times that are cut down are from then on taken to be
anywhere in their step. If pages refute all hypotheses, nothing is taken apart below a second any more. What would have to be is
saturated: an error, but no loss.

Doubts. A server may compare microseconds and write milliseconds. Against that, windows have a margin of a millisecond as long as
their range can be cut. A record on an edge could be missed if a millisecond overflows a page with its margins, and times are
rounded or cut there. Nothing that the API says can tell the two servers apart. If all rows around a saturated instant stand at
that instant, no page can show how finely they are compared: then the range that is named is the finest that is known to be told
apart.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, pairwise
from math import gcd, lcm
from typing import Final

from unlimcall_async.cdrs.planner.bounds import KnownBounds
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Waiting
from unlimcall_async.cdrs.planner.tasks import Resolve
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, ceil, floor, to_micros

# Starts whose rows are counted: those of a second or two.
_MOST_STARTS: Final = 5000
# Windows that are asked for one part: far more than any server needs that can be told apart, so that a part comes to an end.
_MOST_WINDOWS: Final = 40
# Pages that other hypotheses are judged by, once those that are left are refuted.
_MOST_SHOWN: Final = 40


class Resolver:
    """Takes seconds apart by windows without margins."""

    def __init__(self) -> None:
        self._known = KnownBounds()
        # How often a cap was found, as far as this resolver knows.
        self._caps = 0
        # The step in which times are written, as far as pages have shown it; 0 before any.
        self._written = 0
        # The most rows that a page has shown of one start, by start.
        self._most = Counter[int]()
        # What the latest pages have shown: the window, its first and its last row, and the known rows that did not come.
        self._shown = deque[tuple[Window, set[int], AbstractSet[int]]](maxlen=_MOST_SHOWN)

    def observe(self, page: Page) -> None:
        """Record how finely times are written."""
        self._known.finer_than_millis = self._known.finer_than_millis or page.finer_than_millis

    def heed_cap(self, found: int) -> None:
        """Forget what pages have shown once another cap was found: they may have lacked rows that they seemed to show.

        Args:
            found: How often a cap was found.
        """
        if found != self._caps:
            self._caps = found
            self._most.clear()
            self._shown.clear()
            self._begin_anew(0)

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
        # A second known start in the range stands at another step of the bounds, or nothing tells the two apart.
        finer = self._finer_pieces(wanted, full) if sum(map(wanted.holds, seen)) > 1 else ()
        pieces = [(piece, self._known.window_for(piece)) for piece in finer]
        wholly = (window for _, window in pieces if window not in tried)
        window = next(chain((window for window in telling if window not in tried | full), beside, wholly), None)
        if window is not None:
            return Resolve(window, tried, full, idle, seen, records)
        if any(window in full for _, window in pieces):
            return []
        return [Part(piece, Waiting(Resolve(window, full=full, seen=seen))) for piece, window in pieces]

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

    def _finer_pieces(self, wanted: Range, full: frozenset[Window]) -> Iterator[Range]:
        """Yield the pieces of a range, cut at the steps of the bounds alone, whose pages are not known to be full.

        The few rows of a second may happen to stand at multiples of a step in which times are not written. Only if the pages of
        all pieces are complete is it safe to cut here: a row that is shown in another piece than it is compared in would be in one.
        """
        for half in _halves(wanted, self._known.step):
            if self._known.window_for(half) in full and _halves(half, self._known.step):
                yield from self._finer_pieces(half, full)
            else:
                yield half

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
