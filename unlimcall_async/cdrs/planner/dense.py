"""Parts of dense traffic: whether the page for one, asked with finer margins, shows all of its range.

Pure: no I/O. `gauge` has the margins. This module judges pages by them, and carries out on the parts what follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.gauge import KnownMargins, has_gap
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Question, Read, Seam
from unlimcall_async.cdrs.planner.tasks import Gauge, Probe, Prove, Resolve
from unlimcall_async.cdrs.times import to_micros


class DenseParts:
    """Judges the pages for dense parts."""

    def __init__(self, known: KnownMargins, claims: Claims) -> None:
        self._known = known
        self._claims = claims

    def shows_its_range(self, question: Question, page: Page, *, complete: bool) -> bool:
        """Return whether the window of a dense part surely shows its range, by all that is known once its page came."""
        part, window = question.part, question.window
        if isinstance(part.task, (Resolve, Gauge, Probe)):
            return True  # its window has no margins
        if self._known.learn(window, page, _known_rows(part), complete=complete):
            self._claims.forget_margins()
        margins = self._known.grain_of(dense=True).margins
        if margins is not WHOLE_SECONDS and complete and has_gap(page, question.range):
            # Calls may have paused. Or the server compares more coarsely here than where it was gauged.
            part.hints = evolve(part.hints, dense=False, doubted=page.number_of(part.range))
            margins = WHOLE_SECONDS
        shown = margins.shown_by(window)
        return shown.start <= question.range.start and question.range.end <= shown.end

    def settle_doubt(self, part: Part, page: Page, *, complete: bool) -> None:
        """Compare a page that was asked with whole seconds with one that was not believed: more rows refute the finer margins."""
        doubted = part.hints.doubted
        if doubted is None:
            return
        part.hints = evolve(part.hints, doubted=None)
        if complete and page.number_of(part.range) > doubted:
            self._known.refute()
            self._claims.forget_margins()


def _known_rows(part: Part) -> Sequence[int]:
    """Return the starts of rows that earlier pages have shown of a part and around it, in microseconds."""
    match part.task:
        case Read(seam=Seam(near=near)):
            return [to_micros(start) for start, _ in near]
        case Prove(claim=claim):
            return [*map(to_micros, claim.page.starts)]
        case _:
            return part.hints.sample.starts if part.hints.sample is not None else ()
