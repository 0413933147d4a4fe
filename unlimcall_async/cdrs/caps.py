"""Answers that may have been cut short though they do not say so.

Pure: no I/O. An answer with fewer rows than were asked for is taken for its whole window (contract: section 2). A server whose cap
lies below the limit shows it: where `count` exceeds the rows, or in sizes that stand out, as the largest so far that is round or
comes again. Such an answer is checked once, as if it were full: a piece of its window is asked again. If more comes there than the
answer had, its window is asked once more; the same size again, of a window that is known to hold more, is the cap. More
rows are records that were written meanwhile.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.instants import SECOND, Range
from unlimcall_async.cdrs.parts import Check, Question

# Caps that people set are multiples of this.
_ROUND: Final = 50
# The last second of a page may be cut short, and times may be right to a second only.
_BESIDE: Final = 3 * SECOND


class AnswersCutError(Exception):
    """The server's answers hold no more than `cap` rows without saying so, and one of those was handed out as whole."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self.cap: int = cap


class Caps:
    """What is known of a cap below the limit.

    Attributes:
        cap: The rows that an answer holds at most, if that was found out.
        found: How often it was.
    """

    def __init__(self, page_size: int) -> None:
        self.cap: int | None = None
        self.found: int = 0
        self._page_size = page_size
        self._sizes: set[int] = set()
        self._cleared: set[int] = set()

    def whole(self, answer: Answer) -> bool:
        """Tell whether an answer is taken for its whole window."""
        size = len(answer.rows)
        if not answer.complete:
            if size < self._page_size:
                self._find(size)
            return False
        if self.cap is not None and size > self.cap:
            self.cap = None
        return self.cap is None or size < self.cap

    def stands_out(self, size: int) -> bool:
        """Tell whether a size is to be checked, and take note of it."""
        largest = all(size >= other for other in self._sizes)
        suspect = largest and size > 0 and (size % _ROUND == 0 or size in self._sizes)
        self._sizes.add(size)
        return suspect and size not in self._cleared

    def check_of(self, question: Question, answer: Answer, *, newest_first: bool | None) -> Check | None:
        """Choose the piece to ask again: where the rows are that a cap leaves out, if the order is known."""
        wanted = question.part.range
        seconds = sorted(at // 1000 // SECOND * SECOND for at in answer.instants)
        if newest_first is None:
            start, end = wanted.start, seconds[len(seconds) // 2]
        elif newest_first:
            start, end = wanted.start, seconds[0] + _BESIDE
        else:
            start, end = seconds[-1] - _BESIDE, wanted.end
        start, end = max(start, wanted.start), min(end, wanted.end)
        if start >= end or Range(start, end) == wanted:
            return None
        size = len(answer.rows)
        return Check(Range(start, end), answer.rows_of(wanted), Counter(answer.keys_of(wanted)), size, size)

    def settle(self, check: Check, answer: Answer, *, whole: bool) -> Check | None:
        """Take the answer for the piece: what is left to be asked, with what is known now, or nothing."""
        new = Counter(answer.keys_of(check.range)) - check.keys
        if whole and not new:
            self._cleared.add(check.size)
            return None
        return evolve(check, known=check.size + new.total(), again=True)

    def confirm(self, check: Check, answer: Answer) -> bool:
        """Take the second answer for the whole window: tell whether its size is the cap."""
        self._cleared.add(check.size)
        if len(answer.rows) != check.size or check.known <= check.size:
            return False
        self._find(check.size)
        return True

    def _find(self, size: int) -> None:
        self.found += size != self.cap
        self.cap = size
