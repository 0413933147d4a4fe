"""The checks of complete pages whose size is in doubt: which to ask next, and what they hold back from the output.

Pure: no I/O. `page_cap` decides which page is in doubt, and what the pages of a check show. This module carries that out on the
parts of the plan.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from operator import itemgetter
from typing import Final

from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.page_cap import PageCap, PagesCutError
from unlimcall_async.cdrs.planner.parts import Asked, Done, Failed, Part, Question, Read, Saturated, Seam, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.tasks import Claim, Doubt, Probe, Prove, Recheck
from unlimcall_async.cdrs.times import Window, to_datetime

# How many more pages may come before the largest page is checked: one of them may be larger, and clear it at no cost. The output
# waits meanwhile, so they are few.
_PATIENCE: Final = 4


class Checks:
    """The checks of the pages of one plan."""

    def __init__(self, plan: Plan, cap: PageCap) -> None:
        self._plan = plan
        self._cap = cap
        # How many caps were found that this plan knows of: another stream may find one.
        self._heeded = cap.found
        # The parts whose pages came into doubt. Some of them may not be in doubt any more.
        self._parts: list[Part] = []
        # The rows of pages that were handed out without a check.
        self._handed_out: set[int] = set()

    def begin(
        self, question: Question, page: Page, number: int, *, expected: float, lacks: bool, descending: bool | None
    ) -> bool:
        """Have a complete page checked, and return whether it is in doubt.

        Args:
            question: What was asked.
            page: The page.
            number: The number of the page among all that came.
            expected: How many rows it should have, by what is known of the traffic.
            lacks: Whether rows that earlier pages have shown are not on the page.
            descending: The order that all pages so far are in, or `None`.
        """
        doubt = self._cap.doubt(page, expected, lacks=lacks, waits=self.holds_back(page.size))
        if doubt is None:
            return False
        probe = self._cap.probe_of(question, page, number, descending=descending, doubt=doubt)
        if probe is None:
            return False
        question.part.turn_to(probe)
        self._parts.append(question.part)
        return True

    def due(self, pages: int, *, idle: bool) -> Part | None:
        """Return the part to check now, or `None` if none is in doubt, or other pages may settle the doubt.

        Args:
            pages: How many pages came.
            idle: Whether there is nothing else to ask.
        """
        waiting: list[tuple[bool, int, Part]] = []
        urgent = idle and not self._plan.asked
        for part in self._in_doubt():
            match part.state:
                case Asked(task=Probe()):
                    # One check at a time: it may clear other pages.
                    return None
                case Waiting(task=Recheck()):
                    # The output may wait for it, with no room left for the page of any part behind the first.
                    return part
                case Waiting(task=Probe(rows=rows, number=number, doubt=doubt, begun=begun)):
                    waiting.append((begun, rows, part))
                    urgent = urgent or begun or doubt is Doubt.UNUSUAL or pages - number >= _PATIENCE
                case _:
                    pass
        return max(waiting, key=itemgetter(0, 1))[2] if waiting and urgent else None

    def clear(self) -> list[Part]:
        """End the doubts that other pages have settled, or that may stay. Return the parts that are done by that."""
        if not self._parts:
            return []
        ends = all(type(part.state) is Done or _waits_for_check(part) for part in self._plan)
        cleared = list[Part]()
        for part in self._parts:
            task = part.task
            if not isinstance(task, Probe) or not _waits_for_check(part):
                continue
            if self._cap.is_cleared(task) or (ends and self._cap.may_go_unchecked(task)):
                part.clear()
                cleared.append(part)
        return cleared

    def holds_back(self, rows: int) -> bool:
        """Return whether a page with so many rows must wait: it may have been cut like one that is being checked."""
        tasks = (part.task for part in self._in_doubt())
        return any(isinstance(task, (Probe, Recheck)) and self._cap.are_alike(rows, task.rows) for task in tasks)

    def note_handed_out(self, rows: int) -> None:
        """Record that a page with so many rows was handed out without a check; 0 for one that was checked."""
        self._handed_out.add(rows)

    def heed(self) -> None:
        """Have asked again what may have been cut short, if a cap was found.

        Raises:
            PagesCutError: A page that may have been cut was handed out.
        """
        if self._heeded == self._cap.found:
            return
        self._heeded = self._cap.found
        for part in self._plan:
            match part.state:
                case Done(rows=rows, by_order=False) | Waiting(task=Probe(rows=rows)) if self._cap.may_have_cut(rows):
                    part.ask_again()
                case _:
                    pass
        late = [rows for rows in self._handed_out if self._cap.must_have_cut(rows)]
        self._handed_out.clear()
        if late:
            raise PagesCutError(max(late) if self._cap.rows is None else self._cap.rows)

    def _in_doubt(self) -> list[Part]:
        """Return the parts that are in doubt, and that can be asked: nothing is asked behind a part that has failed."""
        if not self._parts:
            return []
        self._parts = [part for part in self._parts if _is_checked(part)]
        ahead = set(takewhile(lambda part: not isinstance(part.state, (Failed, Saturated)), self._plan))
        return [part for part in self._parts if part in ahead]


def lacks_known_rows(question: Question, page: Page) -> bool:
    """Return whether rows that earlier pages have shown are not on the page of a question, although they lie in its window."""
    part, window = question.part, question.window
    sample = part.hints.sample
    if sample is not None and page.number_of(question.range) < sample.count(question.range):
        return True
    match part.task:
        case Prove(claim=Claim(page=earlier)):
            known, inside = earlier.keys_of(part.range), part.range
        case Read(seam=Seam(descending=descending, reach=reach, near=near)):
            first, last = (window.start, reach) if descending else (reach, window.till)
            inside = WHOLE_SECONDS.shown_by(Window(first, last))
            start, end = to_datetime(inside.start), to_datetime(inside.end)
            known = [key for key in near if start <= key[0] < end]
        case _:
            return False
    came = page.keys_of(inside)
    return came != known and bool(Counter(known) - Counter(came))


def _is_checked(part: Part) -> bool:
    state = part.state
    return isinstance(state, (Waiting, Asked, Failed)) and isinstance(state.task, (Probe, Recheck))


def _waits_for_check(part: Part) -> bool:
    return type(part.state) is Waiting and isinstance(part.task, Probe)
