"""The page cap: the most rows that the server ever gives, if that is less than what is asked for; and counts that race.

Pure: no I/O.

Theory. A page with fewer rows than were asked for, and `count` not above them, is taken for its whole window (`docs/promises.md`).
Two kinds of servers spoil that.

`count` may be above the rows for two reasons: a cap cut the page short, or a record was written between the server's SELECT and
its COUNT. So the window is asked again as it was. A page that is still short is used like a full one. One size in several such
windows is a cap that shows in `count`, and pages of that size are then full at once. That cap may be lower than that of earlier
pages: then the windows must come one behind the other. If window after window stays short with other sizes, `count` is not a number
of rows, and the pull ends with an error.

`count` may be cut with the rows, so that a cap shows in nothing but sizes. A cap that stays never cuts a page with fewer rows
than another page. So a page is in doubt if it is the largest so far, or if the largest size comes again. The next pages may
show a larger size, which clears the smaller one. If none does, the page is checked before any record of it is handed out: its
window is asked again in two pieces. The exception is a pull that ends before a size has come again: its largest page is checked
only if people set such numbers as caps, or else a pull of one page would take two requests. If the page was cut, the pieces
have rows that the page lacks, whatever the server order. If all pages are sorted one way, a cap leaves rows out at one end, and
one piece is enough. After a new row the whole window is asked once more. If that page lacks a row that is known, the page was
cut, because rows do not vanish. Else the new row was written meanwhile.

Rows of the margins count in a check: a page may be cut in a margin, and then show no row of its part. A piece that lacks a row of
the page shows a cap, too. A failed check fails its part: what is in doubt is not handed out.

Doubts. A cap below the largest page can only have begun later. Such a cap shows if a page lacks rows of an earlier page.
Sizes that repeat are checked, too, and pages that hold far less than was expected, but not all of them. A cap below ten rows is
found only if its size comes four times: too many honest pages have so few rows. A server that cuts pages at a size in bytes gives
sizes that vary. Once such a server is found out, each page near the sizes that were cut is checked. If one instant holds more rows
than the cap, no window shows that, before the cap is known.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.tasks import Doubt, Probe, Recheck
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Window, ceil, floor, to_micros

# A window whose `count` is above its rows is asked again so often. A page with fewer rows than another one is not cut by a cap, and
# asking once more costs less than cutting. A page with the most rows so far may well be cut.
_REPEATS, _REPEATS_OF_LARGEST = 3, 1
# Windows that must stay short with one size, until that size is a cap.
_WINDOWS_TO_A_CAP: Final = 3
# Windows in a row that may stay short without such a reason. Even if half of all counts race, the chance is one in 10^9.
_WINDOWS_TO_GIVE_UP: Final = 8
# No page is in doubt by itself that has fewer rows: people set no such caps, and quiet hours often have so few calls.
_LEAST: Final = 10
# A larger page is not in doubt until it has so many times the rows of one that was checked, or comes again, or looks like a cap.
_GROWTH: Final = 1.5
# A page with so many times the rows of another one clears it. Below that the server may cut at a size in bytes.
_CLEARS: Final = 1.25
# New rows on the second page for a window, and their share of the first page, that were hardly written between the two.
_CHANCE, _NEW = 16, 0.25
# Pages near a size that was cut may have been cut at the same number of bytes.
_NEAR: Final = 0.75
# The same for pages that were handed out: too late for a check, and a wrong error would be a nuisance.
_VERY_NEAR: Final = 0.95
# Numbers that people set as caps: these, multiples of 50, and powers of two.
_SET: Final = frozenset({10, 20, 25, 16, 32, 64, 128, 256, 512})
_ROUND: Final = 50
# From which time on the largest size is checked each time that its number has doubled: an honest server repeats it by chance, a cap
# all the time. One check is not enough, because a page that was not cut may have just as many rows as the cap allows. A size that
# was checked, and one of few rows, may come more often before.
_AGAIN, _AGAIN_IF_SAFE = 2, 4
# Sizes of complete pages that are remembered, and how many are alike if a cap has begun; the last number is for pages of few rows.
_RECENT, _ALIKE, _ALIKE_IF_FEW = 8, 3, 4
# If so many are alike, a size is checked each time that this has happened twice as often, whatever was checked before.
_MOSTLY: Final = 6
# A page is suspiciously small if this many times its rows, and so many more, were expected.
_FEWER, _FEWER_ROWS = 4, 100
# Windows are cut to hold nearly a page, so such sizes repeat without a cap.
_MEANT: Final = 0.9
# Complete pages that are not suspected after one that was. The pause doubles each time; in the end 1 % of requests are checks.
_FIRST_PAUSE, _LAST_PAUSE = 16, 256
# A window shows no row that starts so long before it, or so long after it.
_LEFT_OUT: Final = SECOND + MILLISECOND
# A piece keeps this far from the middle, if the rows of the page leave room: times may be right to a second only.
_ROOM: Final = 8 * SECOND


class PagesCutError(Exception):
    """The server's pages hold no more than `cap` rows without saying so, and one of them was handed out as complete."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self.cap: int = cap


class CountAboveRowsError(Exception):
    """`count` is above the rows however often the window is asked, and the page is not full."""

    def __init__(self, count: int, rows: int) -> None:
        super().__init__(count, rows)
        self.count: int = count
        self.rows: int = rows


class PageCap:
    """What is known of a server's cap, by the pages of one pull or of several.

    Attributes:
        rows: The most rows that a page holds, if that was found out by pages that `count` called complete.
        found: How often a cap was found.
        safe: The most rows of a page that was checked and was not cut.
    """

    def __init__(self) -> None:
        self.rows: int | None = None
        self.found: int = 0
        self.safe: int = 0
        # The most rows that came, and how many complete pages had so many.
        self._largest = self._times = 0
        # The next time of these that is checked, if the size may come that often unchecked.
        self._next_check = 0
        # The fewest and the most rows of pages that were cut.
        self._cut: tuple[int, int] | None = None
        self._recent: deque[int] = deque(maxlen=_RECENT)
        # How often most of the sizes that are remembered were alike, by that size.
        self._mostly: Counter[int] = Counter()
        self._pause, self._pause_left = _FIRST_PAUSE, 0
        # The cap that shows in `count`; the windows that stayed short with the most rows; how many in a row did with fewer.
        self._counted: int | None = None
        self._windows: set[Window] = set()
        self._in_a_row = 0
        # The last windows that stayed short, with so many rows each: fewer than the most.
        self._lower: tuple[int, set[Window]] = 0, set()

    # --- counts -------------------------------------------------------------------------------------------------------

    def holds_window(self, page: Page) -> bool:
        """Return whether a page is taken for its whole window, and learn what its size shows."""
        size = page.size
        if size > self._largest:
            self._largest, self._times, self._next_check, self._counted = size, 0, 0, None
            self._windows.clear()
        if self.rows is not None and size > self.rows:
            self.rows = None
        if not page.complete:
            return False
        self._in_a_row = 0
        return self.rows is None or size < self.rows

    def is_short(self, page: Page, limit: int) -> bool:
        """Return whether `count` is above the rows of a page although the page is not full as far as is known."""
        return not page.complete and page.size < limit and page.size != self._counted

    def is_to_be_repeated(self, question: Question, page: Page, limit: int) -> bool:
        """Return whether the window of a short page is to be asked again, as it was.

        Raises:
            CountAboveRowsError: One window after the other stays short.
        """
        if not self.is_short(page, limit):
            return False
        size = page.size
        may_be_cut = 0 < size == self._largest
        if question.repeats < (_REPEATS_OF_LARGEST if may_be_cut else _REPEATS):
            return True
        if may_be_cut:
            self._windows.add(question.window)
            if len(self._windows) >= _WINDOWS_TO_A_CAP:
                self._counted = size
                self.found += 1
        elif self._is_lower_cap(question.window, size):
            # Larger pages came before the cap was lowered.
            self._counted = self._largest = size
            self._times = self._next_check = 0
            self.found += 1
        elif 2 * size <= self._largest:
            # A cap in bytes would not leave that few.
            self._in_a_row += 1
            if self._in_a_row >= _WINDOWS_TO_GIVE_UP:
                raise CountAboveRowsError(page.count, size)
        return False

    def _is_lower_cap(self, window: Window, size: int) -> bool:
        """Return whether so many windows have stayed short with one size, one behind the other, that it is a cap."""
        windows = self._lower[1] if self._lower[0] == size else set[Window]()
        windows.add(window)
        self._lower = size, windows
        return size >= _LEAST and len(windows) >= _WINDOWS_TO_A_CAP

    def saturates(self, page: Page, limit: int) -> bool:
        """Return whether a page that is not complete has as many rows as a page can, as far as is known."""
        return not self.is_short(page, limit) or 0 < page.size == self._largest

    # --- sizes --------------------------------------------------------------------------------------------------------

    def doubt(  # noqa: PLR0911 # the cases, written out
        self, page: Page, expected: float, *, lacks: bool, waits: bool
    ) -> Doubt | None:
        """Return why a complete page is to be checked, or `None` if it is not, and remember its size.

        Args:
            page: The page.
            expected: How many rows it should have, by what is known of the traffic; 0 if nothing is known.
            lacks: Whether rows that earlier pages have shown are not on the page. They may also have been deleted.
            waits: Whether the page waits for a check of another one of the same pull, which has about as many rows.
        """
        size = page.size
        if not page.rows:
            return None
        alike = self._recent.count(size) + 1
        self._recent.append(size)
        if lacks or self.may_have_cut(size):
            return Doubt.UNUSUAL
        if size == self._largest:
            self._times += 1
            enough = size >= _LEAST and size > self.safe * (1 if _looks_set(size) else _GROWTH)
            if self._times == 1:
                return Doubt.LARGEST if enough else None
            again = _AGAIN if size >= _LEAST and size > self.safe else _AGAIN_IF_SAFE
            if self._times < max(again, self._next_check):
                # The check of another pull has not come to its end yet, and may never do so: this pull does not wait for it.
                return Doubt.LARGEST if enough and not waits else None
            self._next_check = 2 * self._times
            return Doubt.LARGEST_AGAIN
        if alike >= _MOSTLY:
            self._mostly[size] += 1
            if self._mostly[size].bit_count() == 1:
                return Doubt.UNUSUAL
        if self._pause_left:
            self._pause_left -= 1
            return None
        repeats = alike >= (_ALIKE if size >= _LEAST else _ALIKE_IF_FEW) and size < _MEANT * self._largest
        if not (repeats or (size >= _LEAST and expected > _FEWER * size + _FEWER_ROWS)):
            return None
        self._pause_left, self._pause = self._pause, min(2 * self._pause, _LAST_PAUSE)
        return Doubt.UNUSUAL

    def is_cleared(self, probe: Probe) -> bool:
        """Return whether a page that waits to be checked was not cut: another page has far more rows, or was checked."""
        match probe.doubt:
            case Doubt.LARGEST | Doubt.LARGEST_AGAIN if _looks_set(probe.rows) and probe.rows > self.safe:
                # The cap may have ended, or only some of the servers behind one name may have it.
                return False
            case Doubt.LARGEST if probe.rows <= _GROWTH * self.safe:
                return True
            case Doubt.LARGEST | Doubt.LARGEST_AGAIN:
                return self._largest >= _CLEARS * probe.rows or self.safe > probe.rows
            case Doubt.UNUSUAL:
                return False

    def may_go_unchecked(self, probe: Probe) -> bool:
        """Return whether a page that no other page has cleared may go without a check, if the pull ends with it."""
        came_again = probe.rows == self._largest and self._times > 1
        return probe.doubt is Doubt.LARGEST and not (probe.begun or _looks_set(probe.rows) or came_again)

    def probe_of(
        self, question: Question, page: Page, number: int, *, descending: bool | None, doubt: Doubt
    ) -> Probe | None:
        """Return the check of a page, or `None` if no window is left that is shorter than the page's.

        Args:
            question: What was asked.
            page: The page.
            number: The number of the page among all that came.
            descending: The order that all pages so far are in, or `None`. A cap leaves rows out at the end of a sorted page, if
                the order is that of time everywhere: a size that comes again is reason enough to look at the other end, too.
            doubt: Why the page is in doubt.
        """
        whole = question.window
        pairs = _pieces(whole, page)
        windows = (
            [window for pair in pairs for window in pair]
            if descending is None or doubt is Doubt.LARGEST_AGAIN
            else [earlier if descending else later for earlier, later in pairs]
        )
        # A piece that reaches beyond the window may have rows that the window never shows.
        windows = [window for window in windows if whole.start <= window.start < window.till <= whole.till]
        if not windows:
            return None
        basis = Basis(whole, page.size, page.count)
        return Probe(tuple(windows), page.rows_of(question.part.range), page, basis, number, doubt)

    def settle(self, probe: Probe, page: Page) -> Probe | Recheck | None:
        """Return what the page of a piece leaves to be asked, or `None` if the page that was checked was not cut.

        Rows beside the part count, too: if the page was cut at them, the part may have rows that neither page shows.
        """
        known, shown = probe.page, WHOLE_SECONDS.shown_by(probe.windows[0])
        # If the page has no new row, rows of the first page are missing if this page has fewer.
        as_known = page.is_within(known) and page.number_of(shown) == known.number_of(shown)
        if page.new_unplaced or not as_known:
            return Recheck(probe.window, probe.rows, known.keys | page.keys)
        if len(probe.windows) > 1:
            return evolve(probe, windows=probe.windows[1:], begun=True)
        first, last = known.span or (0, 0)
        if last - first >= _ROOM:
            self.safe = max(self.safe, probe.rows)
        elif probe.rows == self._largest:
            # The page may have been cut within one instant, which no piece shows. So the next page of its size is checked.
            self._next_check = self._times + 1
        return None

    def confirm(self, recheck: Recheck, page: Page) -> bool:
        """Return whether the second page for a window was cut: rows that are known do not come."""
        # A cap that stays gives as many rows again. Fewer, and so few, are hardly a cap that begins just now: a record was deleted.
        # To take them for one would name each instant as saturated.
        is_one_of_few = page.size < min(_LEAST, recheck.rows)
        if page.complete and not is_one_of_few and recheck.keys - page.keys:
            self.rows = page.size
            self._note_cut(page.size)
            return True
        if page.size - recheck.rows >= max(_CHANCE, recheck.rows * _NEW):
            # So many rows were not written meanwhile: the first page was cut, and the cap has ended.
            self._note_cut(recheck.rows)
        return False

    def _note_cut(self, rows: int) -> None:
        self.found += 1
        self._cut = (rows, rows) if self._cut is None else (min(rows, self._cut[0]), max(rows, self._cut[1]))

    def may_have_cut(self, rows: int) -> bool:
        """Return whether a page with so many rows may have been cut as others were."""
        return self._cut is not None and _NEAR * self._cut[0] <= rows <= self._cut[1] / _NEAR

    def must_have_cut(self, rows: int) -> bool:
        """Return whether a page with so many rows is so near to others that were cut that its records are in doubt for good."""
        return self._cut is not None and _VERY_NEAR * self._cut[0] <= rows <= self._cut[1] / _VERY_NEAR

    def are_alike(self, rows: int, others: int) -> bool:
        """Return whether pages with so many rows each may have been cut by one cap, if one of them was."""
        return _NEAR * others <= rows <= others / _NEAR


def _looks_set(rows: int) -> bool:
    """Return whether a number of rows looks like a cap that people set."""
    return rows % _ROUND == 0 or rows in _SET


def _pieces(whole: Window, page: Page) -> list[tuple[Window, Window]]:
    """Return pairs of windows, the earlier and the later piece, that cover another one together.

    Each piece leaves out a row of the page, if the server compares times finely enough.
    """
    starts = page.sorted_starts
    first, last = to_micros(starts[0]), to_micros(starts[-1])
    middle = floor(to_micros(starts[len(starts) // 2]), MILLISECOND)
    if last - first >= _ROOM:
        middle = floor(min(max(middle, first + 3 * SECOND), last - 3 * SECOND), SECOND)
        return [(Window(whole.start, middle + SECOND), Window(middle - SECOND, whole.till))]
    # All rows lie so near to each other that a server may not tell them apart. Pieces without all of them leave them out for sure.
    around = Window(whole.start, floor(first, SECOND) - 3 * SECOND), Window(ceil(last, SECOND) + 3 * SECOND, whole.till)
    if last - first > MILLISECOND:
        # Cut so far from the first row and from the last that each piece leaves out one of them, if they are far enough apart.
        room = MILLISECOND if last - first < 2 * _LEFT_OUT else _LEFT_OUT
        middle = max(ceil(first + room, MILLISECOND), min(middle, floor(last - room, MILLISECOND)))
        return [around, (Window(whole.start, middle), Window(middle, whole.till))]
    # One instant: there is nothing to cut, but there may be rows just before it and just after it.
    return [around, (Window(whole.start, first - MILLISECOND), Window(last + MILLISECOND, whole.till))]
