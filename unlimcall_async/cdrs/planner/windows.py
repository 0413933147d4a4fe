"""The window to ask of a part.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.cdrs.planner.parts import Part, Probe, Question, Resolve, Seam
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range, Window, ceil, floor

# A window of the widest part, with its margins of up to two seconds on either side, is as wide as the API answers.
WIDEST_PART: Final = WIDEST - 4 * SECOND


def question_of(part: Part, *, newest_first: bool) -> Question:
    """Return what to ask of a part next; `newest_first` is the direction of the output."""
    match part.task:
        case Resolve(window=window):
            return Question(part, part.range, window)
        case Probe(piece=piece):
            return Question(part, piece, with_margins(piece))
        case _:
            # A part may be longer than a window. Then one end of it is asked: the end with the seam, so that the window reaches
            # into the page before; without a seam, the end that is handed out last, where a chain against the output begins.
            whole, seam = part.range, part.seam
            widest = widest_of(whole, seam)
            from_start = newest_first if seam is None else not seam.descending
            if from_start:
                asked = Range(whole.start, min(whole.end, whole.start + widest))
            else:
                asked = Range(max(whole.start, whole.end - widest), whole.end)
            return Question(part, asked, with_margins(asked, seam))


def widest_of(wanted: Range, seam: Seam | None) -> int:
    """Return how much of a range a window covers, with its margins and its seam, in microseconds."""
    if seam is None:
        return WIDEST_PART
    return WIDEST_PART - max(0, seam.reach - wanted.end if seam.descending else wanted.start - seam.reach)


def with_margins(wanted: Range, seam: Seam | None = None) -> Window:
    """Return a window that holds a range whichever way the server reads its bounds, if its times are right to a second.

    With a seam the window reaches into the page that the range lies behind.
    """
    start, till = floor(wanted.start, SECOND) - SECOND, ceil(wanted.end, SECOND) + SECOND
    if seam is None:
        return Window(start, till)
    return Window(start, max(till, seam.reach)) if seam.descending else Window(min(start, seam.reach), till)
