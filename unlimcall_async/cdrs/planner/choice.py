"""Choice: which part to ask next, and how much of it.

Pure: no I/O.

Rules. What is asked next is the first part that can be asked, so that the output waits for as little as possible. Three kinds of
parts go before: a claim that is to prove the order, a part that is to show how long calls last, and one whose page was not believed
(`gauge`): what its next page shows, other pages need not be doubted for. A part that is better cut by a page under way waits for
that page. What is held for the order is bounded: once the buffer is full, nothing is asked behind a part that waits for the reader.
Chains against the output's order hold all their pages until they reach the near end. So they are kept short, and cut if they turn
out to be longer than was expected. Nothing is asked behind a part that has failed: nobody could use it.
"""

from __future__ import annotations

from math import inf

from attrs import evolve

from unlimcall_async.cdrs.planner.arrival import Arrival
from unlimcall_async.cdrs.planner.checks import Checks
from unlimcall_async.cdrs.planner.divide import Divider
from unlimcall_async.cdrs.planner.estimates import Estimates
from unlimcall_async.cdrs.planner.known_server import MOST_PRESUMED
from unlimcall_async.cdrs.planner.parts import Part, Read
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.planner.windows import Width, widest_of


class Choice:
    """Chooses the parts to ask, and cuts a part of which only a piece is to be asked."""

    def __init__(
        self,
        plan: Plan,
        order: ServerOrder,
        *,
        checks: Checks,
        divider: Divider,
        estimates: Estimates,
        arrival: Arrival,
        width: Width,
        newest_first: bool,
    ) -> None:
        self._plan = plan
        self._order = order
        self._checks = checks
        self._divider = divider
        self._estimates = estimates
        self._arrival = arrival
        self._width = width
        self._newest_first = newest_first

    def part_to_ask(self, pages: int) -> Part | None:
        """Return the part to ask next, or `None` if no part can be asked now.

        Args:
            pages: How many pages came.
        """
        if len(self._plan.asked) >= self._arrival.most_under_way:
            return None
        part = self._checks.due(pages, idle=False) or self._claim_to_prove()
        if part is None and self._estimates.need_durations and not self._arrival.searches:
            part = self._plan.part_to_learn_from()
        part = part or self._part_to_read()
        if part is None and not self._plan.asked and self._plan.waits_for_claim(proven=self._is_proven):
            part = self._plan.claim_to_prove(spare=0)
        return part or self._checks.due(pages, idle=True)

    @property
    def _is_proven(self) -> bool:
        return self._order.proven is not None

    def _claim_to_prove(self) -> Part | None:
        spare = inf if self._is_proven else 0 if self._order.presumed is None else MOST_PRESUMED
        part = self._plan.claim_to_prove(spare=spare)
        return None if self._arrival.postpones_proofs and part is not self._plan.first else part

    def _part_to_read(self) -> Part | None:
        """Return the first part that can be asked, cut to what is to be asked now."""
        room = self._plan.room
        part = self._plan.part_in_doubt(room) or self._plan.first_to_ask(self._divider, room)
        if part is not None and isinstance(part.task, Read) and not part.hints.searched and part.repeat is None:
            part = self._cut_to_ask(part, room)
            self._estimates.predict(part)
            self._plan.take_in_hole(part)
        return part

    def _cut_to_ask(self, part: Part, room: int) -> Part:
        """Return the piece of a waiting part to ask now. The pieces stand in the plan in the place of the part."""
        seam, first = part.seam, self._plan.output_waits_for(part)
        # The rest of a window that was full: a chain with the output may as well reach as far as a window does.
        along = first and seam is not None and seam.descending == self._newest_first
        if along and self._plan.extend(part, widest_of(part.range, seam, self._width.most) - len(part.range)):
            # The hints were about the part as it was before.
            part.hints = evolve(part.hints, sample=None, density=None)
        while self._divider.is_too_small(part):
            if not self._plan.extend(part):
                break
        if dense := self._divider.foresees_dense(part):
            part.hints = evolve(part.hints, dense=True)
        at = self._divider.cut_before_asking(part, room, first=first, widest=self._width.most)
        if at is None:
            return part
        earlier, later = pieces = part.cut(at)
        near, far = (later, earlier) if self._newest_first else (earlier, later)
        if dense:
            far.hints = evolve(far.hints, dense=False)  # it is looked at anew once it is asked
        self._plan.replace(part, pieces)
        return near
