"""What becomes of claims: pages agree with them or not, an order is proven by them, or withdrawn.

Pure: no I/O. `seek` decides what a page claims and what another page says of a claim. This module carries the verdicts out on the
parts of the plan.
"""

from __future__ import annotations

from collections import Counter

from unlimcall_async.cdrs.planner.margins import Grain
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Asked, Claimed, Done, Failed, Part, Seam, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.seek import OVERLAP, SeamCheck, ServerOrder, check_seam
from unlimcall_async.cdrs.planner.tasks import Claim, Prove
from unlimcall_async.cdrs.planner.traffic import Traffic
from unlimcall_async.cdrs.times import Window


class Claims:
    """The claims of a plan, and the server order that they rest on."""

    def __init__(self, plan: Plan, order: ServerOrder, traffic: Traffic) -> None:
        self._plan = plan
        self._order = order
        self._traffic = traffic
        # Whether a claim that agrees waits for what a proof shows of the traffic.
        self._postponed = False

    def check_seam(self, seam: Seam, window: Window, page: Page, *, complete: bool, grain: Grain) -> None:
        """Compare a page with the claim of the page before it."""
        claimed, order = seam.claimed, self._order
        verdict, repeated = check_seam(seam, window, page, complete=complete, grain=grain)
        match verdict:
            case SeamCheck.REFUTES:
                order.refute(descending=seam.descending)
                self.withdraw_order()
            case SeamCheck.AGREES:
                claimed.agree(repeated)
                if complete and order.presumed == seam.descending:
                    order.confirm(descending=seam.descending)
                    self._rely_on_order(from_page=order.proven_by)
                if complete:
                    order.renew(repeated, descending=seam.descending)
                if order.proven == seam.descending:
                    self._accept(claimed)
            case SeamCheck.UNSURE:
                claimed.doubt()
                if order.disagree():
                    self.withdraw_order()

    def prove(self, part: Part, claim: Claim, page: Page, *, complete: bool) -> None:
        """Compare the page for a claim with the claim: it must hold just what was claimed."""
        order = self._order
        if order.candidate is None:
            return
        claimed, came = claim.page.keys_of(part.range), page.keys_of(part.range)
        # A complete page lacks a claimed row: rows do not vanish, so the server's pages are not what they seem.
        if complete and claimed != came and Counter(claimed) - Counter(came):
            order.refute(descending=order.candidate)
            self.withdraw_order()
            return
        # More rows, or a page that is full: they may have been written meanwhile, unless they are many.
        if not complete or claimed != came:
            if order.disagree(many=(Counter(came) - Counter(claimed)).total() >= OVERLAP):
                self.withdraw_order()
            return
        was_proven, was_presumed = order.proven is not None, order.presumed is not None
        order.prove(len(claimed), claim.number, descending=order.candidate)
        if order.proven is not None and not was_proven:
            self._rely_on_order(from_page=0 if was_presumed else order.proven_by)

    def _rely_on_order(self, *, from_page: int) -> None:
        """Accept the claims that agree. The order holds from the page on that proved it; what was claimed earlier is asked."""
        for part in self._plan:
            match part.state:
                case Claimed(claim=claim) if claim.number < from_page:
                    part.doubt()
                case Claimed(agreed=True):
                    self._accept(part)
                case _:
                    pass

    def accept_postponed(self) -> None:
        """Accept or doubt the claims that agree and wait for a proof, if none is to come any more."""
        if not self._postponed or self._order.proven is None or self._plan.is_proving:
            return
        self._postponed = False
        for part in self._plan:
            if isinstance(part.state, Claimed) and part.state.agreed:
                self._accept(part)

    def _accept(self, part: Part) -> None:
        """Accept a claim that agrees, unless its page has a hole in which rows may be missing: then the claim is proven first."""
        if not isinstance(part.state, Claimed):
            return
        page = part.state.claim.page
        if not self._traffic.has_odd_holes(page):
            part.accept()
        elif self._plan.is_proving:
            self._postponed = True
        elif self._traffic.suspicious(page):
            part.doubt()
        else:
            part.accept()

    def heed_others(self) -> None:
        """Withdraw the order if another stream of the client has."""
        if self._order.heed():
            self.withdraw_order()

    def forget_margins(self) -> None:
        """Ask again all that rests on finer margins: they were wrong. What is under way is judged when its page comes."""
        for part in self._plan:
            match part.state:
                case Claimed() | Done() | Waiting(task=Prove()) | Failed(task=Prove()) if part.hints.dense:
                    part.ask_again()
                case _:
                    pass

    def withdraw_order(self) -> None:
        """Ask again all that rests on an order, and take the pages of claims that are being proven as those of any window."""
        for part in self._plan:
            match part.state:
                case Claimed() | Done(by_order=True):
                    part.ask_again()
                case Waiting(task=Prove()) | Asked(task=Prove()) | Failed(task=Prove()):
                    part.ask_again()
                case _:
                    pass
