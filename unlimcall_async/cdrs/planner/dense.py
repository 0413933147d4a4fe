"""Parts of dense traffic: whether the page for one, asked with finer margins, shows all of its range.

Pure: no I/O. `gauge` has the margins. This module judges pages by them, and carries out on the parts what follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import evolve

from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.gauge import KnownMargins, without_gaps
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Question, Read, Seam
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.tasks import Gauge, Probe, Prove, Resolve
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import Range, to_micros

# After so many gaps that were checked and held nothing, calls are taken to pause. Then one in so many pages with a gap is checked.
_CHECKED_FIRST, _PAGES_TO_A_CHECK = 4, 32


class DenseParts:
    """Judges the pages for dense parts."""

    def __init__(self, plan: Plan, known: KnownMargins, claims: Claims, *, page_size: int) -> None:
        self._plan = plan
        self._known = known
        self._claims = claims
        self._page_size = page_size
        # The gaps that were checked and held nothing, and the pages with a gap since one was doubted.
        self._empty = self._believed = 0

    def believe(self, question: Question, page: Page, *, complete: bool) -> Question | None:
        """Return the question whose range a page surely shows, by all that is known once the page came.

        The rest of the range is left to be asked with whole seconds. If that is all of it, `None` is returned.
        """
        part, wanted = question.part, question.range
        self._settle_doubt(question, page, complete=complete)
        if not part.hints.dense:
            return question
        shown = self._shown_by(question, page, complete=complete)
        if shown is None:
            part.ask_again()
            part.put_back()
            return None
        if shown != wanted:
            self._plan.keep_to(part, wanted)
            for rest in self._plan.keep_to(part, shown):
                rest.hints = evolve(rest.hints, doubted=page)
        return evolve(question, range=shown)

    def _shown_by(self, question: Question, page: Page, *, complete: bool) -> Range | None:
        part, window, wanted = question.part, question.window, question.range
        if isinstance(part.task, (Resolve, Gauge, Probe)):
            return wanted  # its window has no margins
        known = _known_rows(part)
        if self._known.learn(window, page, known, complete=complete):
            self._claims.forget_margins()
        margins = self._known.grain_of(dense=True).margins
        if margins is not WHOLE_SECONDS and complete:
            # Calls may have paused. Or the server compares more coarsely here than where it was gauged.
            believed = without_gaps(page, wanted, window, known, margins.step, page_size=self._page_size)
            if believed != wanted and not self._doubts_gap():
                believed = wanted
            if believed is not None and (believed == wanted or isinstance(part.task, (Read, Prove))):
                wanted = believed
            else:
                margins = WHOLE_SECONDS
                part.hints = evolve(part.hints, dense=False, doubts=part.hints.doubts + 1, doubted=page)
        shown = margins.shown_by(window)
        return wanted if shown.start <= wanted.start and wanted.end <= shown.end else None

    def _settle_doubt(self, question: Question, page: Page, *, complete: bool) -> None:
        """Compare a page with one that was not believed: other rows refute the finer margins.

        The rows of a full page may not be all. A page of a piece that was asked with finer margins, too, may lack the same rows.
        The doubt then stays with the part, and with the pieces that the part is cut into.
        """
        part, doubted = question.part, question.part.hints.doubted
        if doubted is None:
            return
        shown = WHOLE_SECONDS.shown_by(question.window)
        complete = complete and shown.start <= part.range.start and part.range.end <= shown.end
        if complete:
            part.hints = evolve(part.hints, doubted=None)
        if Counter(page.keys_of(part.range)) - doubted.keys:
            self._known.refute()
            self._claims.forget_margins()
        elif complete and isinstance(part.task, (Read, Prove)):
            self._empty += 1

    def settle(self, part: Part, rows: Sequence[Row]) -> None:
        """Settle a doubt by the rows of a part that was asked without margins: they are all that the part holds."""
        doubted = part.hints.doubted
        if doubted is None:
            return
        if Counter(row.id for row in rows) - Counter(row_id for _, row_id in doubted.keys.elements()):
            self._known.refute()
            self._claims.forget_margins()
        else:
            self._empty += 1

    def _doubts_gap(self) -> bool:
        """Return whether a page with a gap is doubted, and count the page."""
        self._believed += 1
        if self._empty >= _CHECKED_FIRST and self._believed < _PAGES_TO_A_CHECK:
            return False
        self._believed = 0
        return True


def _known_rows(part: Part) -> Sequence[int]:
    """Return the starts of rows that earlier pages have shown of a part and around it, in microseconds."""
    match part.task:
        case Read(seam=Seam(near=near)):
            return [to_micros(start) for start, _ in near]
        case Prove(claim=claim):
            return claim.page.micros
        case _:
            return part.hints.sample.starts if part.hints.sample is not None else ()
