"""What becomes of a full page: it claims one end of its part, or its part is cut, or a second is taken apart.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.divide import Divider
from unlimcall_async.cdrs.planner.estimates import Estimates
from unlimcall_async.cdrs.planner.gauge import KnownMargins, is_dense
from unlimcall_async.cdrs.planner.known_server import MOST_PRESUMED
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.page_cap import CountAboveRowsError, PageCap
from unlimcall_async.cdrs.planner.parts import Done, Part, Question, Read
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.resolver import Resolver, is_within_a_step
from unlimcall_async.cdrs.planner.seek import ServerOrder, claim_of, overlap_of
from unlimcall_async.cdrs.planner.tasks import Claim, Resolve
from unlimcall_async.cdrs.planner.traffic import Traffic
from unlimcall_async.cdrs.times import Range, floor, to_micros

# Pieces of pieces that are asked with finer margins though the pages of those before were not believed.
_MOST_DOUBTS: Final = 2


class FullPages:
    """Uses full pages: puts what they claim, or the pieces that they suggest, in the place of their parts."""

    def __init__(
        self,
        plan: Plan,
        order: ServerOrder,
        *,
        resolver: Resolver,
        divider: Divider,
        estimates: Estimates,
        traffic: Traffic,
        cap: PageCap,
        known: KnownMargins,
        page_size: int,
        newest_first: bool,
    ) -> None:
        self._plan = plan
        self._order = order
        self._resolver = resolver
        self._divider = divider
        self._estimates = estimates
        self._traffic = traffic
        self._cap = cap
        self._known = known
        self._page_size = page_size
        self._newest_first = newest_first

    def use(self, question: Question, page: Page, number: int) -> None:
        """Find out how to get the rows that a full page lacks.

        Args:
            question: What was asked.
            page: The page.
            number: The number of the page among all that came.
        """
        part, order = question.part, self._order
        if is_dense(page):
            # A row without a start is looked for first: this page is not used any more.
            if not (page.new_unplaced or self._plan.is_gauging):
                gauge = self._known.gauge_for(page, question.range, question.window, number)
                if gauge is not None:
                    part.turn_to(gauge)
                    return
            # Calls that start in bursts leave gaps in every piece: with finer margins each would be doubted again.
            if part.hints.doubts < _MOST_DOUBTS:
                part.hints = evolve(part.hints, dense=True)
        grain = self._known.grain_of(dense=part.hints.dense)
        # Sorted like all pages before: the page claims one end of the part, and the rest is asked next. A row without a start may
        # lie at either end.
        if order.candidate is not None and not page.new_unplaced:
            # Until an order is proven, the first claim is the one to prove it, unless the end of a short chain will.
            ask = order.proof_due and (order.proven is not None or not self._plan.has_claims)
            ask = ask and not (order.presumed is not None and _is_nearly_all(page, part.range))
            to_prove = order.proof_due or self._traffic.has_odd_holes(page)
            overlap = overlap_of(page, part.range, descending=order.candidate)
            found = claim_of(
                question, page, number, descending=order.candidate, to_prove=to_prove, overlap=overlap, grain=grain
            )
            if found is not None:
                follows = part.seam is not None and type(part.seam.claimed.state) is Done
                part.turn_to(Read())
                self._claim(part, *found, ask=ask, follows=follows, sorted_by=grain.sorted_by)
                return
        self._plan.keep_to(part, question.range)
        # No multiple of the step to cut at is left.
        if is_within_a_step(part.range, grain.margins.step):
            self.resolve(part, Resolve(question.window), page, complete=False)
            return
        part.turn_to(Read())
        self._plan.replace(part, self._divider.divide(part, page))

    def _claim(
        self, part: Part, claimed: Part, left: Part, claim: Claim, *, ask: bool, follows: bool, sorted_by: int
    ) -> None:
        """Put what a page claims, and what it leaves to ask, in the place of its part.

        Args:
            part: The part.
            claimed: What the page claims.
            left: What it leaves to ask.
            claim: The claim.
            ask: Whether the claim is to be proven.
            follows: Whether the page before it in a chain is believed, and has shown what lies between the two.
            sorted_by: The step by which the server sorts.
        """
        order, seam = self._order, left.seam
        pieces = [claimed, left]
        if ask:
            claimed.doubt()
        elif not follows and (hole := self._cut_hole(part, claimed, claim.page, sorted_by)) is not None:
            pieces.append(hole)
        left.hints = Hints(depth=part.hints.depth + 1, dense=part.hints.dense)
        if part.hints.dense:
            claimed.hints = evolve(claimed.hints, dense=True)
        order.note_claim()
        self._traffic.note_claim()
        self._estimates.learn(claimed, claim.records)
        self._plan.replace(part, pieces)
        # A chain against the output holds its pages until it reaches the near end.
        if seam is not None and seam.descending != self._newest_first:
            room = self._plan.make_room(claimed)
            self._plan.replace(left, self._divider.chain(left, claim, claimed.range, room))

    def _cut_hole(self, part: Part, claimed: Part, page: Page, step: int) -> Part | None:
        """Take from a claim what lies before the first row of its page, unless the page has a row beyond, and return that.

        The rows of a chain's first page cannot show that none is missing before them. The part beside it, or a question of its own,
        will. The rows of the step in which the first row lies may come in any order, if the server sorts by such steps.
        """
        descending = self._order.candidate
        wanted, rows = claimed.range, page.sorted_starts
        if descending:
            hole = Range(floor(to_micros(rows[-1]), step) + step, wanted.end)
            kept = Range(wanted.start, hole.start)
        else:
            hole = Range(wanted.start, floor(to_micros(rows[0]), step))
            kept = Range(hole.end, wanted.end)
        if hole.start >= hole.end:
            return None
        at_edge = not self._plan.has_beside(part, later=bool(descending))
        if at_edge and not self._traffic.suspicious_at_edge(page, hole):
            return None
        claimed.range = kept
        return Part(hole, hints=Hints(hole=descending))

    def resolve(self, part: Part, asked: Resolve, page: Page, *, complete: bool) -> None:
        """Go on with a second, or less, that does not fit on a page with its margins.

        Raises:
            CountAboveRowsError: No window is left, and the page has fewer rows than a page can hold.
        """
        match self._resolver.use(part.range, asked, page, complete=complete):
            case Done() as done:
                part.finish(done)
            case Resolve() as following:
                part.turn_to(following)
            case []:
                if not page.complete and not self._cap.saturates(page, self._page_size):
                    raise CountAboveRowsError(page.count, page.size)
                rows = asked.with_page(page, complete=complete, caps=0).shown.rows_of(part.range)
                part.saturate(rows)
            case pieces:
                part.turn_to(Read())
                self._plan.replace(part, pieces)


def _is_nearly_all(page: Page, wanted: Range) -> bool:
    """Return whether few pages like a full one cover a range."""
    first, last = page.span or (0, 0)
    # Twice as wide as pages like this one reach: by day a page covers less than half of what an average page does.
    return len(wanted) <= 2 * (MOST_PRESUMED + 1) * (last - first)
