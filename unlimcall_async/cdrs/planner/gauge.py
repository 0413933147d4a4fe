"""Gauge: find out how finely a server compares and sorts, so that dense traffic is asked for with margins of milliseconds.

Pure: no I/O.

Theory. Margins of whole seconds are enough for every server (`margins`), and cost nothing as long as a page holds minutes. At 300
records a second a page of a thousand holds three seconds, and the margins are most of it. So if a page is dense, one window is
asked for what it shows of the bounds alone. Its bounds lie amid rows that are known, at no whole second. The rows that come, and
the known rows that do not come, refute the hypotheses of `bounds` that are too coarse. What is left gives the margins: of
hundredths or tenths of a second, or for a server that does compare whole seconds, those of bounds that are known to be included or
not. A page of a burst may cover less than a second. Tenths of a second are no finer than whole seconds there: so another window is
asked, for hundredths.

Rows count as evidence only if they are so far from a bound that it does not matter whether the server rounds the times that it
shows. How finely the server sorts shows in its pages: it sorts by the times that it shows if many rows of one second come in order.

Rules. A part has such margins if it comes from a dense page, or if records are expected to lie as close at its near end. Each page
for such a part is compared with the rows that are known of its window. A row that came from where the window shows none, or a known
row that did not come, refutes what was believed. From then on margins are whole seconds again. What rests on finer ones and was not
handed out yet is asked again.

A complete page is not believed at an end of its part at which rows seem to be missing: that end is asked again with whole seconds.
Rows seem to be missing if there is a gap. A server that compares whole seconds may leave out too few rows for a gap, but does so at
both ends: no row comes from the seconds in which the bounds lie, though some are expected.

If the page with whole seconds is full, the part is cut. Calls that start in bursts leave a gap in every piece, so that finer
margins would only raise the same doubt again: pieces of a part that was doubted twice are asked with whole seconds.
Once some gaps were checked and held nothing, the calls themselves pause. From then on few gaps are checked.

Doubts. A server may compare one piece of the range more coarsely than another. It shows itself if known rows do not come, or by the
gap at the end of a part, unless calls pause. A row that was handed out before is not asked for again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.bounds import STEPS, KnownBounds
from unlimcall_async.cdrs.planner.margins import COARSE, WHOLE_SECONDS, Grain, Margins, edge_behind
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.tasks import Gauge
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, floor, to_micros

# The steps of finer margins: a coarser step than the server's costs little. Margins of two such steps are enough for every finer
# step, whether it divides them or not, and for the step in which times are written.
_FINER: Final = (10 * MILLISECOND, 100 * MILLISECOND)
# Rows a second from which on a page is dense: of a page that is sorted, all rows; of any other, a sample of them. At 40 a second
# whole seconds are a tenth of a page or more. Where nothing was asked yet, a part is dense if so many records are expected.
DENSE, _DENSE_SAMPLE = 40, 10
# How many rows that are known a window to gauge by should hold, and about how long it is at least.
_KNOWN_ROWS: Final = 100
_SHORTEST: Final = 600 * MILLISECOND
# Windows that are asked to gauge: a server that tells nothing by so many is left alone.
_MOST_GAUGES: Final = 3
# Bursts that no window lies amid are gauged in a long pull alone. Gauges, and the doubts that pauses raise in finer margins, take
# requests which only many bursts give back: a pull that is cut off again and again would spend all of a run's on them.
_PAGES_TO_A_BURST: Final = 30
# A page of a burst covers less than so many steps of margins that are not the finest: their windows would be mostly margins.
_STEPS_OF_A_PAGE: Final = 10
# A gap at an end of a part is implausible if it is so many times as long as these rows beside it take.
_ROWS_AT_AN_END, _FEWEST_AT_AN_END, _GAP = 20, 5, 0.75
# If none comes of so many rows that are expected in the second of a bound, rows seem to be missing, if the other end lacks rows,
# too. By chance, that is so for one page in twenty of those whose bounds lie beside whole seconds, and hardly ever for any other.
_FEWEST_MISSED: Final = 3
# Rows of one second that come in order, from which on the server is taken to sort by the times that it shows.
_ROWS_IN_ORDER: Final = 40


class KnownMargins:
    """What is known of how finely a server compares and sorts.

    Attributes:
        bounds: What is known of its bounds.
        sorted_by: The step by which it sorts, in microseconds: all that a page leaves out lies behind its last row by such steps.
    """

    def __init__(self) -> None:
        self.bounds: KnownBounds = KnownBounds()
        self.sorted_by: int = SECOND
        self._margins = WHOLE_SECONDS
        # The step in which times are written, as far as that is known.
        self._written = SECOND
        self._in_order = self._gauges = 0
        self._unsorted = self._refuted = False

    def grain_of(self, *, dense: bool) -> Grain:
        """Return the margins and the step of a part."""
        return Grain(self._margins, self.sorted_by) if dense else COARSE

    # --- what pages show ----------------------------------------------------------------------------------------------

    def observe(self, page: Page) -> bool:
        """Record how finely a page is sorted. Return whether it refutes that the server sorts by the times that it shows."""
        if not (page.ascending or page.descending):
            was_fine, self.sorted_by, self._unsorted = self.sorted_by < SECOND, SECOND, True
            return was_fine
        if self.sorted_by == SECOND and not self._unsorted and is_dense(page):
            starts = page.micros
            self._in_order += sum(a != b and a // SECOND == b // SECOND for a, b in pairwise(starts))
            if self._in_order >= _ROWS_IN_ORDER and _written(starts) <= _FINER[0]:
                self.sorted_by = _FINER[0]
        return False

    def learn(self, window: Window, page: Page, known: Sequence[int], *, complete: bool) -> bool:
        """Record what a page shows of the bounds. Return whether what was believed of them is refuted.

        Args:
            window: The window of the page.
            page: The page.
            known: The starts of rows that are known of the window and of what lies around it, in microseconds.
            complete: Whether the page is its whole window.
        """
        if page.span is None and not complete:
            return False
        came = set(page.micros)
        missing = [at for at in known if at not in came and window.start - SECOND <= at <= window.till + SECOND]
        # Before the first gauge, the step in which times are written is not known.
        if self._gauges:
            self.bounds.learn(window, page.span or (), missing if complete else ())
        if not complete:
            self._check_overlap(window, page, missing)
        if self.bounds.refuted and not self._refuted:
            self.refute()
            return True
        if not self._refuted and self._margins is not WHOLE_SECONDS:
            self._margins = self._known_margins()
        return False

    def refute(self) -> None:
        """Return to whole seconds, for good."""
        self._refuted, self._margins = True, WHOLE_SECONDS

    def _check_overlap(self, window: Window, page: Page, missing: Sequence[int]) -> None:
        """Compare a full page that is sorted with the known rows that it should repeat: it may lack those behind its last row."""
        if not page.starts or page.ascending == page.descending:
            return
        edge = edge_behind(to_micros(page.starts[-1]), SECOND, descending=page.descending)
        bounds = self.bounds
        if any(
            all(each.surely_covers(window, at) for each in bounds.left)
            for at in missing
            if (at >= edge if page.descending else at < edge)
        ):
            bounds.refuted = True

    def _known_margins(self) -> Margins:
        """Return the margins that are enough under every hypothesis that is left (`margins`)."""
        left = self.bounds.left
        coarsest = max(self._written, *(bounds.step for bounds in left))
        for step in _FINER:
            if coarsest <= step and step % self._written == 0:
                return Margins.unknown(step)
        finest, written = min(bounds.step for bounds in left), self._written
        # A row that is shown before a bound may be compared later, unless the bound is a multiple of the step of times.
        surely_behind = finest if finest == SECOND else max(0, finest - written)
        from_included = {bounds.from_included for bounds in left}
        till_included = {bounds.till_included for bounds in left}
        return Margins(
            SECOND,
            before=written + (SECOND if False in from_included else 0),
            behind=-surely_behind if till_included == {True} else 0,
            written=written,
            shows_before=written - (finest if from_included == {False} else 0),
            shows_behind=SECOND if True in till_included else 0,
        )

    # --- windows to gauge by ------------------------------------------------------------------------------------------

    def gauge_for(self, page: Page, wanted: Range, asked: Window, number: int) -> Gauge | None:
        """Return the task to gauge by the rows of a dense page, or `None` if that would tell nothing.

        Called while no gauge is under way: what one shows decides what the next one is to ask.

        Args:
            page: The page. It is used, once the gauge is there, as if it came then.
            wanted: The range that it was asked for.
            asked: Its window.
            number: The number of the page among all that came.
        """
        if self._refuted or self._gauges >= _MOST_GAUGES or self._is_fine_for(page):
            return None
        known = sorted(page.micros)
        written = _written(known)
        if written > _FINER[0]:
            return None
        self._written = max(MILLISECOND, written)
        # Cut down, rounded or rounded up: the time by which a row is compared lies within such a step of the time that it shows.
        within = self._written - 1
        self.bounds.left = tuple(evolve(each, earlier=within, later=within) for each in self.bounds.left)
        # The first window tells the most steps apart, and the others what it left open.
        window = None if self._gauges else _window_amid(known, self._written)
        # A burst that no window lies amid: its page must show all rows, and not a sample.
        if window is None and (self._gauges or (number > _PAGES_TO_A_BURST and (page.ascending or page.descending))):
            window = next(self.bounds.informative_windows(wanted, known), None)
        if window is None:
            return None
        self._gauges += 1
        return Gauge(window, page, wanted, asked, number)

    def _is_fine_for(self, page: Page) -> bool:
        """Return whether the margins are little of what a page like this one covers, or can become no finer."""
        step = self._margins.step
        return step <= _FINER[0] or (step < SECOND and _span_of(page) >= _STEPS_OF_A_PAGE * step)

    def settle(self, gauge: Gauge, page: Page, *, complete: bool) -> None:
        """Record what the page of a gauge shows."""
        before = len(self.bounds.left)
        self.learn(gauge.window, page, gauge.page.micros, complete=complete)
        if not self._refuted and len(self.bounds.left) < before:
            self._margins = self._known_margins()


def without_gaps(
    page: Page, wanted: Range, window: Window, known: Sequence[int], step: int, *, page_size: int
) -> Range | None:
    """Return a range without an end at which rows seem to be missing: a server that compares coarsely would leave them out.

    If nothing would be left, `None` is returned. So it is if rows seem to be missing at both ends, and all of the range probably
    fits on a page with whole seconds: asking for all of it is cheaper then.

    Args:
        page: The page: complete, of a window with finer margins.
        wanted: The range that it was asked for.
        window: Its window.
        known: The starts of rows that earlier pages have shown of the window and around it, in microseconds.
        step: The step of the margins, in microseconds.
        page_size: How many rows a page can hold.
    """
    starts, came = [*map(to_micros, page.starts_of(wanted))], page.micros
    beside = min(_ROWS_AT_AN_END, len(starts))
    before = behind = True
    head = tail = SECOND
    if beside >= _FEWEST_AT_AN_END:
        head = max(MILLISECOND, starts[beside - 1] - starts[0])
        tail = max(MILLISECOND, starts[-1] - starts[-beside])
        before = starts[0] - wanted.start > _GAP * head
        behind = wanted.end - starts[-1] > _GAP * tail
    before = before and not _cuts_its_second(window.start, came, known)
    behind = behind and not _cuts_its_second(window.till, came, known)
    if step < SECOND:
        # A server that compares whole seconds, and excludes the bounds, leaves out rows at both ends, perhaps too few for a gap.
        first = Range(window.start, floor(window.start, SECOND) + SECOND)
        last = Range(floor(window.till, SECOND), window.till)
        # The rows that are expected there, if none came.
        missed_first = 0 if any(map(first.holds, came)) else len(first) * beside / head
        missed_last = 0 if any(map(last.holds, came)) else len(last) * beside / tail
        if before or behind:
            before, behind = before or missed_first >= _FEWEST_MISSED, behind or missed_last >= _FEWEST_MISSED
        elif missed_first and missed_last:
            before = behind = missed_first + missed_last >= _FEWEST_MISSED
    surely = WHOLE_SECONDS.shown_by(Window(floor(window.start, SECOND), floor(window.till, SECOND)))
    # The window may reach so far beyond an end, at a seam for example, that whole seconds would show no more.
    before, behind = before and wanted.start < surely.start, behind and surely.end < wanted.end
    start, end = surely.start if before else wanted.start, surely.end if behind else wanted.end
    fits = len(came) * len(WHOLE_SECONDS.around(wanted)) <= page_size * len(window)
    return None if (before and behind and fits) or start >= end else Range(start, end)


def _cuts_its_second(bound: int, came: Sequence[int], known: Sequence[int]) -> bool:
    """Return whether some rows of the second of a bound came, and others did not: the server does not compare whole seconds."""
    second = Range(floor(bound, SECOND), floor(bound, SECOND) + SECOND)
    return any(map(second.holds, came)) and any(second.holds(at) for at in {*known}.difference(came))


def is_dense(page: Page) -> bool:
    """Return whether the rows of a page lie so close that margins of whole seconds would be much of a page."""
    span, rows = page.span, len(page.rows)
    if span is None or rows < _KNOWN_ROWS:
        return False
    dense = DENSE if page.ascending or page.descending else _DENSE_SAMPLE
    return rows * SECOND >= dense * (span[1] - span[0])


def _span_of(page: Page) -> int:
    first, last = page.span or (0, 0)
    return last - first


def _written(starts: Sequence[int]) -> int:
    """Return the step in which times are written, in microseconds, or 0 for one time alone."""
    return gcd(SECOND, *(at % SECOND for at in starts))


def _window_amid(known: Sequence[int], written: int) -> Window | None:
    """Return a window whose bounds lie between known rows such that most steps would show; rows are sorted."""
    rows = len(known)
    length = max(_SHORTEST, (known[-1] - known[0]) * _KNOWN_ROWS // rows)
    # Somewhere in the middle half, so that both bounds have known rows on both sides.
    at = known[rows // 2] - length // 2
    spread = max(length // 4, 100 * MILLISECOND)
    start = _telling(known, Range(at - spread, at + spread), written)
    till = _telling(known, Range(at + length - spread, at + length + spread), written)
    if not known[0] < start < till < known[-1]:
        return None
    return Window(start, till)


def _telling(known: Sequence[int], near: Range, written: int) -> int:
    """Return a time in a range, in whole milliseconds, such that known rows on both sides would show most steps of a bound."""

    def any_within(start: int, end: int) -> bool:
        place = bisect_left(known, start)
        return place < len(known) and known[place] < end

    def tells(at: int) -> int:
        return sum(
            any_within(floor(at, step), at - written + 1)
            + any_within(at + written, floor(at, step) + step - written + 1)
            for step in STEPS
        )

    places = range(near.start, near.end, max(MILLISECOND, len(near) // 200))
    return max((floor(at, MILLISECOND) for at in places), key=tells)
