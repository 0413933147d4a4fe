"""What a full page that is sorted claims, and whether the answer behind it agrees.

Pure: no I/O.

Theory. A server that sorts by time gives the newest (or the oldest) rows of a window that holds too many. So a full page that is
sorted, with the newest first, claims to hold every row from its last one on. Its last second may be cut short; so the claim
begins above it, and the rest of the window is asked next, up to beyond that point: far enough to hold 8 rows of the page again,
which it must repeat, with no others between them. That is the seam. And the claim itself can be asked, if it begins two seconds
higher: without the page's last rows its window is not full, so the answer is whole, and must be what was claimed. That is the
proof that nothing was skipped.

Doubts. A row that is only in the later answer may have been skipped by the page, or written meanwhile; only asking the claim
itself tells what it holds now. A row that is only in the page refutes the order: rows do not vanish, so the later answer skips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Final

from unlimcall_async.cdrs.answer import Answer, Key
from unlimcall_async.cdrs.instants import SECOND, Range, Window, micros_of
from unlimcall_async.cdrs.parts import Part, Question, Seam

# Rows that every step repeats (contract: promise 8).
OVERLAP: Final = 8
# A step must gain at least this share of its page; with fewer, dividing is no worse.
_GAIN: Final = 4
# How far from the second of the page's last row a claim begins that is to be asked: its window begins, with its margin, so much
# nearer that the last row is not in it, whatever the bounds are and although its time is right to a second only.
_ROOM: Final = 2 * SECOND
# Later than any time, in milliseconds.
_EVER: Final = 1 << 53


def claim_of(question: Question, answer: Answer, *, newest_first: bool, proving: bool) -> tuple[Range, Seam] | None:
    """Tell which rest a full page leaves behind what it claims, and how the two are seamed; or that it is of no use."""
    rows, wanted = len(answer.rows), question.part.range
    if rows <= OVERLAP:
        return None
    last, inner = (answer.instants[place] // 1000 // SECOND * SECOND for place in (-1, -OVERLAP))
    if newest_first:
        edge = last + SECOND
        cut = edge + _ROOM * proving
        reach = max(cut + SECOND, inner + 2 * SECOND)
        claimed, rest, far_end = Range(cut, wanted.end), Range(wanted.start, cut), question.window.start
        gained = answer.number_of(Range(reach + SECOND, _EVER))
    else:
        edge = last
        cut = edge - _ROOM * proving
        reach = min(cut - SECOND, inner - SECOND)
        claimed, rest, far_end = Range(wanted.start, cut), Range(cut, wanted.end), question.window.till
        gained = answer.number_of(Range(-_EVER, reach - SECOND))
    if not wanted.start < cut < wanted.end or gained * _GAIN < rows:
        return None
    part = Part(claimed, records=answer.rows_of(claimed), claim=answer)
    near = answer.keys_of(Range(-_EVER, reach + SECOND) if newest_first else Range(reach - SECOND, _EVER))
    total = answer.count if answer.count > rows else None
    return rest, Seam(part, newest_first, reach, edge, near, rows - len(near), far_end, total)


class Verdict(Enum):
    """What an answer says of the page that it overlaps."""

    AGREES = "agrees"
    UNSURE = "unsure"
    REFUTED = "refuted"


def verdict(seam: Seam, window: Window, answer: Answer, *, whole: bool) -> Verdict:
    """Tell whether an answer repeats the page where the two overlap, and holds nothing there that the page does not.

    It refutes the order if it lacks what the page has, or if their totals leave a row that neither has: a server that sorts does
    not do that. It is unsure if it overlaps too little, or has a row that the page has not, which may have been written since.
    """
    # No row of the page that matters lies beyond the second of its last one.
    around = Range(seam.edge - SECOND, _EVER) if seam.newest_first else Range(-_EVER, seam.edge + SECOND)
    theirs = answer.keys_of(around)
    lacking, more = Counter[Key](), Counter[Key]()
    if theirs != seam.near:  # hardly ever, and to count them takes longer than all else
        lacking, more = Counter(seam.near) - Counter(theirs), Counter(theirs) - Counter(seam.near)
    both = _compared(seam, window, answer, whole=whole)
    if _within(lacking, both) or not _adds_up(seam, window, answer, lacking.total()):
        return Verdict.REFUTED
    start, end = (max(both.start, seam.edge), both.end) if seam.newest_first else (both.start, min(both.end, seam.edge))
    if _within(more, Range(start, end)) or len(_within(seam.near, both)) < OVERLAP:
        return Verdict.UNSURE
    return Verdict.AGREES


def _within(keys: Iterable[Key], wanted: Range) -> list[Key]:
    first, end = wanted.start * 1000, wanted.end * 1000
    return [key for key in keys if first <= (micros_of(key[0]) if isinstance(key[0], datetime) else key[0]) < end]


def _compared(seam: Seam, window: Window, answer: Answer, *, whole: bool) -> Range:
    """Where the answer surely holds all rows: within the window, and as far as the page goes if it is cut short."""
    last = answer.instants[-1] // 1000 // SECOND * SECOND if answer.instants else 0
    if seam.newest_first:
        start = window.start + SECOND
        return Range(start if whole else max(start, last + SECOND), seam.reach - SECOND)
    end = window.till - SECOND
    return Range(seam.reach + SECOND, end if whole else min(end, last))


def _adds_up(seam: Seam, window: Window, answer: Answer, lacking: int) -> bool:
    """Tell whether the totals leave no room for a row that both skip, where the answers tell totals."""
    same_end = seam.far_end == (window.start if seam.newest_first else window.till)
    if seam.total is None or answer.total is None or not same_end:
        return True
    return seam.total - answer.total <= lacking + seam.others
