"""The page cap: the most rows that the server ever gives, if that is less than what is asked for.

Pure: no I/O. A page with fewer rows than were asked for is taken for its whole window (`docs/promises.md`). A server whose cap
lies below the limit shows the cap in two ways: `count` exceeds the rows, or sizes stand out, because the largest so far is a
round number or comes again. A page whose size stands out is probed once, as if it were full: a piece of its window is asked
again. If that piece holds rows that the page lacks, the whole window is asked once more. The same size again, of a window that
is known to hold more, is the cap. If more rows come, they are records that were written meanwhile.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.tasks import Probe, Recheck
from unlimcall_async.cdrs.times import SECOND, Range, floor, to_micros

# Caps that people set are multiples of this number.
_ROUND: Final = 50
# The last second of a page may be cut short, and times may be right to a second only.
_BESIDE: Final = 3 * SECOND


class PagesCutError(Exception):
    """The server's pages hold no more than `cap` rows without saying so, and one of them was handed out as complete."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self.cap: int = cap


class PageCap:
    """What is known of a cap below the limit.

    Attributes:
        rows: The most rows that a page holds, if that was found out.
        found: How often a cap was found.
    """

    def __init__(self, page_size: int) -> None:
        self.rows: int | None = None
        self.found: int = 0
        self._page_size = page_size
        self._sizes: set[int] = set()
        self._cleared: set[int] = set()

    def holds_window(self, page: Page) -> bool:
        """Return whether a page is taken for its whole window, and learn what it shows of the cap."""
        size = page.size
        if not page.complete:
            if size < self._page_size:
                self._find(size)
            return False
        if self.rows is not None and size > self.rows:
            self.rows = None
        return self.rows is None or size < self.rows

    def stands_out(self, page: Page) -> bool:
        """Return whether the size of a complete page is to be checked, and remember the size."""
        size = page.size
        largest = all(size >= other for other in self._sizes)
        suspect = largest and size > 0 and (size % _ROUND == 0 or size in self._sizes)
        self._sizes.add(size)
        return suspect and size not in self._cleared

    def probe_of(self, question: Question, page: Page, *, descending: bool | None) -> Probe | None:
        """Return the probe for a page whose size stands out, or `None` if no piece is smaller than the part.

        With a known server order the piece lies where a cap leaves rows out; else it is the earlier half.
        """
        wanted = question.part.range
        if not page.rows:
            return None  # rows without a start tell no time
        seconds = sorted(floor(to_micros(start), SECOND) for start in page.starts)
        if descending is None:
            start, end = wanted.start, seconds[len(seconds) // 2]
        elif descending:
            start, end = wanted.start, seconds[0] + _BESIDE
        else:
            start, end = seconds[-1] - _BESIDE, wanted.end
        piece = Range(max(start, wanted.start), min(end, wanted.end))
        if piece.start >= piece.end or piece == wanted:
            return None
        return Probe(piece, page.rows_of(wanted), Counter(page.keys_of(wanted)), page.size)

    def settle(self, probe: Probe, page: Page, *, complete: bool) -> Recheck | None:
        """Return what a probe leaves to be asked, or `None` if the probed page was not cut short.

        Args:
            probe: What was asked.
            page: The page of the probe.
            complete: Whether that page is its whole window.
        """
        new = Counter(page.keys_of(probe.piece)) - probe.keys
        if complete and not new and not page.new_unplaced:
            self._cleared.add(probe.rows)
            return None
        return Recheck(probe.rows, probe.rows + new.total())

    def confirm(self, recheck: Recheck, page: Page) -> bool:
        """Return whether the second page for a whole part shows that the size of the first is the cap."""
        self._cleared.add(recheck.rows)
        if page.size != recheck.rows or recheck.known <= recheck.rows:
            return False
        self._find(recheck.rows)
        return True

    def _find(self, size: int) -> None:
        if size != self.rows:
            self.found += 1
        self.rows = size
