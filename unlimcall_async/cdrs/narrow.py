"""A second, or less, that does not fit on a page.

Pure: no I/O. Windows without margins are asked, which rests on what can be learned of the server's bounds (see `bounds`). What
cannot be taken apart any further is saturated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.bounds import Knowledge
from unlimcall_async.cdrs.instants import SECOND, Range, Window
from unlimcall_async.cdrs.parts import Part, State

# Questions about a single part: far more than any server takes that can be told apart, so that none is asked without end.
_PATIENCE: Final = 40


class Narrow:
    """Takes seconds apart."""

    def __init__(self) -> None:
        self._knowledge = Knowledge()

    def see(self, answer: Answer) -> None:
        """Take note of how finely times are written."""
        if not self._knowledge.finer:
            self._knowledge.finer = answer.finer_than_millis

    def is_whole(self, part: Part, window: Window, answer: Answer, *, whole: bool) -> bool:
        """Tell whether the answer to a window without margins holds all of a part."""
        missing = part.seen.difference(answer.instants) if whole else set[int]()
        self._knowledge.learn(window, answer.instants, missing)
        if not whole or self._knowledge.lost or not self._knowledge.surely_covers(window, part.range):
            return False
        # It must hold the rows that are known. If it does not, the server is like no hypothesis.
        self._knowledge.lost = any(part.range.start * 1000 <= at < part.range.end * 1000 for at in missing)
        return not self._knowledge.lost

    def next(self, part: Part, window: Window, answer: Answer) -> list[Part]:
        """Find what to ask after an answer that was not enough: of the part itself, or of the pieces that it falls into."""
        part.seen |= set(answer.instants)
        part.tried.add(window)
        part.state, part.window = State.WAITING, None
        if not self._knowledge.lost and len(part.tried) < _PATIENCE:
            part.window = _first_untried(part, self._options(part))
            if part.window is None and (halves := _halves(part.range, self._knowledge.step)):
                return [self._piece(part, half) for half in halves]
            part.window = part.window or _first_untried(part, self._knowledge.telling([*part.seen]))
        if part.window is None:
            part.state = State.SATURATED
        return [part]

    def _piece(self, part: Part, wanted: Range) -> Part:
        piece = Part(wanted, seen=part.seen)
        piece.window = next(self._options(piece))
        return piece

    def _options(self, part: Part) -> Iterator[Window]:
        """The windows that cover a part: first one with a margin, and without it only where nothing can be cut any more.

        For a millisecond there may be one on either side, if both bounds are included.
        """
        narrowest = self._knowledge.window_for(part.range)
        yield Window(narrowest.start - 1, narrowest.till + 1)
        if not _halves(part.range, self._knowledge.step):
            yield narrowest
        if len(part.range) == 1:
            start = part.range.start
            either = (Window(start, start + 1), Window(start - 1, start))
            yield from (window for window in either if self._knowledge.surely_covers(window, part.range))


def is_narrow(wanted: Range) -> bool:
    """Whether a range lies within one second, so that no cut at whole seconds is left."""
    return wanted.start // SECOND == (wanted.end - 1) // SECOND


def _halves(whole: Range, step: int) -> list[Range]:
    """Cut a range in two, at a multiple of the step; or not at all."""
    middle = max((whole.start + whole.end) // 2 // step * step, whole.start // step * step + step)
    if not whole.start < middle < whole.end:
        return []
    return [Range(whole.start, middle), Range(middle, whole.end)]


def _first_untried(part: Part, windows: Iterable[Window]) -> Window | None:
    return next((window for window in windows if window not in part.tried), None)
