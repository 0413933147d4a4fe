"""The window to ask of a part, and how wide windows may be.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS, Margins
from unlimcall_async.cdrs.planner.parts import Part, Question, Seam
from unlimcall_async.cdrs.planner.tasks import Gauge, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range, Window, floor

# A window is wider than its part by its margins, and by what its ends are moved to whole seconds.
_AROUND: Final = WHOLE_SECONDS.before + WHOLE_SECONDS.behind + 2 * SECOND
# A window of the widest part is as wide as the API answers.
WIDEST_PART: Final = WIDEST - _AROUND
# Windows of this width, margins included, are not narrowed any more: a server that cannot answer one is not slow, it is down.
HOUR: Final = 3600 * SECOND
# A window of the narrowest part that is left of a wider one, with its margins, is an hour wide.
_NARROWEST: Final = HOUR - _AROUND


class Width:
    """How wide a range one window may ask for: a server may be too slow for the width that its reference allows.

    Attributes:
        most: The width, in microseconds, without the margins.
    """

    def __init__(self) -> None:
        self.most: int = WIDEST_PART
        self._answered = WIDEST_PART

    def narrow(self, asked: int) -> None:
        """Allow for half of a window that was not answered in time, but for an hour at least."""
        self.most = min(self.most, max(_NARROWEST, floor(asked // 2, SECOND)))

    def note_answer(self, asked: int) -> None:
        """Record that a range was answered: if the range is about as wide as allowed, that width works."""
        if 2 * asked > self.most:
            self._answered = self.most

    def reset(self) -> None:
        """Return to the width that worked last: the server may have been down, and not slow."""
        self.most = self._answered


def question_of(
    part: Part,
    *,
    newest_first: bool,
    descending: bool | None = None,
    most: int = WIDEST_PART,
    margins: Margins = WHOLE_SECONDS,
) -> Question:
    """Return what to ask of a part next.

    Args:
        part: The part.
        newest_first: The direction of the output.
        descending: The server order, or `None` if it is not known.
        most: How wide a range to ask for, in microseconds.
        margins: How much wider the window is.
    """
    if part.repeat is not None:
        return part.repeat
    match part.task:
        case Resolve(window=window) | Recheck(window=window):
            return Question(part, part.range, window)
        case Gauge(window=window, range=asked):
            return Question(part, asked, window)
        case Probe(windows=(window, *_)):
            # A piece may lie in the margins alone.
            start = max(part.range.start, window.start)
            return Question(part, Range(start, max(start, min(part.range.end, window.till))), window)
        case Prove():
            # The whole part, which was as wide as a window could be when its page came.
            return Question(part, part.range, with_margins(part.range, margins=margins))
        case _:
            # A part may be longer than a window. Then one end of it is asked: the end with the seam, so that the window reaches
            # into the page before; without a seam, the end where a chain begins. If windows had to be narrowed, the end that is
            # handed out first: a server that is down is then given up after the first of them.
            whole, seam = part.range, part.seam
            widest = widest_of(whole, seam, most)
            if seam is not None:
                from_start = not seam.descending
            elif most < WIDEST_PART:
                from_start = not newest_first
            else:
                from_start = newest_first if descending is None else not descending
            if from_start:
                asked = Range(whole.start, min(whole.end, whole.start + widest))
            else:
                asked = Range(max(whole.start, whole.end - widest), whole.end)
            return Question(part, asked, with_margins(asked, seam, margins=margins))


def widest_of(wanted: Range, seam: Seam | None, most: int) -> int:
    """Return how much of a range a window covers, with its margins and its seam, in microseconds; at least an hour of the range."""
    overlap = 0
    if seam is not None:
        overlap = max(0, seam.reach - wanted.end if seam.descending else wanted.start - seam.reach)
    return max(most - overlap, min(_NARROWEST, WIDEST_PART - overlap))


def with_margins(wanted: Range, seam: Seam | None = None, *, margins: Margins = WHOLE_SECONDS) -> Window:
    """Return a window whose page surely shows all rows of a range.

    With a seam the window reaches into the page that the range lies behind.
    """
    window = margins.around(wanted)
    if seam is None:
        return window
    if seam.descending:
        return Window(window.start, max(window.till, seam.reach))
    return Window(min(window.start, seam.reach), window.till)
