"""The planner: which windows to ask, so that every record of a range comes once, in order, in few requests.

Pure: no I/O, no clock, no asyncio. The planner receives pages and returns what to ask next.

Theory. The range is cut into parts. A part is asked for with margins (`margins`). So it is irrelevant whether the server includes
its bounds, how it compares them, and whether it rounds the times that it shows. A page that is complete is its whole window, so the
part is done: its records are the rows in it, and the rows of the margins belong to other parts. So overlapping windows yield
nothing twice, and every instant is taken from just one page.

A full page proves nothing but that there is more. If it is sorted, it claims one end of its part, and the rest is asked next,
in a window that overlaps the claim: thus a chain of pages goes through a part (`seek`). If it is not sorted, or gains too
little as a claim, its part is cut where its rows suggest (`divide`). A single second that is still full is taken apart by what
can be learned of the server's bounds (`bounds`). A part that cannot be taken apart any further is saturated, which is an error
and never a loss.

Assumptions (`docs/promises.md`). A page with fewer rows than the limit, whose `count` is not above them, is its whole window. A row
lies within a second of its window. Bounds are compared at one second or finer. Rows may appear, but do not vanish or move. An order
that was proven on a page holds on later pages that arrive sorted and agree at the seam; `seek=False` does not use this one.

Rules. Parts stand in the order of the output (`plan`). `choice` has the rules by which one of them is asked next. When a proof is
withdrawn, whatever rests on it and was not yet handed out is asked again.

Doubts. A server that sorts all but a few rows is taken for one that sorts until one of those rows shows: in a proof, at a seam,
or as a page that goes back and forth. `seek=False` is for such a server. See also `bounds`.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from unlimcall_async.cdrs.planner.arrival import Arrival
from unlimcall_async.cdrs.planner.checks import Checks, lacks_known_rows
from unlimcall_async.cdrs.planner.choice import Choice
from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.dense import DenseParts
from unlimcall_async.cdrs.planner.divide import Divider
from unlimcall_async.cdrs.planner.estimates import Estimates
from unlimcall_async.cdrs.planner.full_pages import FullPages
from unlimcall_async.cdrs.planner.gauge import KnownMargins
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.page import Page, check_inside
from unlimcall_async.cdrs.planner.parts import Done, Failed, Part, Question, Read, Saturated, Seam
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.resolver import Resolver, is_within_a_step
from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.tasks import Doubt, Gauge, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.planner.unplaced import Searches, pieces_to_search
from unlimcall_async.cdrs.planner.windows import HOUR, Width, question_of
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import Range


@frozen
class PlannerCounts:
    """How many claims were proven, how many claims and seams disagreed, and how often a proof was withdrawn or a cap found."""

    proofs: int
    disagreements: int
    withdrawals: int
    caps: int


class Planner:
    """The plan for one range, and what is known of its server.

    Args:
        wanted: The range, in whole milliseconds.
        newest_first: The direction of the output.
        page_size: The `limit` of each request.
        concurrency: How many questions may be under way at once.
        seek: Whether to go on from the edge of a full page if the server is found to sort.
        buffer: How many pages may be held or under way, for each question that may be.
        known: What is known of the server, shared with other planners.
    """

    def __init__(
        self,
        wanted: Range,
        *,
        newest_first: bool,
        page_size: int = 1000,
        concurrency: int = 4,
        seek: bool = True,
        buffer: int = BUFFER,
        known: KnownServer | None = None,
    ) -> None:
        self._newest_first = newest_first
        self._sizes = Sizes.of(page_size, concurrency, buffer)
        self._plan = Plan(wanted, self._sizes, newest_first=newest_first)
        known = known or KnownServer()
        self._order = ServerOrder(seek=seek, known=known)
        self._traffic = known.traffic
        self._claims = Claims(self._plan, self._order, self._traffic)
        self._cap = known.cap
        self._checks = Checks(self._plan, self._cap)
        self._resolver = Resolver()
        self._known = KnownMargins()
        self._dense = DenseParts(self._plan, self._known, self._claims, page_size=self._sizes.page)
        self._arrival = Arrival(self._order, newest_first=newest_first)
        self._width = Width()
        self._estimates = Estimates(self._order, page_size)
        self._divider = Divider(
            self._sizes, self._order, self._estimates, self._known, self._arrival, newest_first=newest_first
        )
        self._choice = Choice(
            self._plan,
            self._order,
            checks=self._checks,
            divider=self._divider,
            estimates=self._estimates,
            arrival=self._arrival,
            width=self._width,
            newest_first=newest_first,
        )
        self._full_pages = FullPages(
            self._plan,
            self._order,
            resolver=self._resolver,
            divider=self._divider,
            estimates=self._estimates,
            traffic=self._traffic,
            cap=self._cap,
            known=self._known,
            page_size=page_size,
            newest_first=newest_first,
        )
        self._searches = Searches(newest_first=newest_first)
        self._pages = 0  # how many came

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all parts were handed out."""
        return self._plan.first is None

    @property
    def edge(self) -> int:
        """The time up to which (from which on, with the newest first) all parts were handed out, in microseconds."""
        return self._plan.edge

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return self._plan.held

    @property
    def settled(self) -> int:
        """The microseconds of the range whose records are here, and wait for their turn."""
        return self._plan.settled

    @property
    def seeks(self) -> bool:
        """Whether a server order is proven."""
        return self._order.proven is not None

    @property
    def counts(self) -> PlannerCounts:
        """How often something notable happened."""
        return PlannerCounts(self._order.proofs, self._order.disagreements, self._order.withdrawals, self._cap.found)

    def take_first(self) -> Part | None:
        """Return the first part if it is done, saturated or failed, else `None`. A part that is done is removed from the plan.

        A part that is done waits for the checks of pages like its own.
        """
        self._claims.accept_postponed()
        self._heed_clearances()
        part = self._plan.first
        match part.state if part is not None else None:
            case Done(rows=rows, records=records):
                if self._checks.holds_back(rows):
                    return None
                self._plan.remove_first()
                self._checks.note_handed_out(rows)
                self._arrival.note_handed_out(len(records))
                return part
            case Saturated() | Failed():
                return part
            case _:
                return None

    def vanished(self, handed_out: Range) -> list[UnplacedRow]:
        """Return the rows without a start that a page has shown, and no shorter part of a range that ends with this part."""
        return self._searches.vanished(handed_out)

    def hand_out(self, handed_out: Range, unplaced: Sequence[UnplacedRow]) -> list[UnplacedRow]:
        """Return the rows without a start, which are about to be handed out with a part, each with its scope."""
        rows = self._searches.hand_out(handed_out, unplaced)
        self._searches.end_with(handed_out)
        return rows

    # --- what to ask ----------------------------------------------------------------------------------------------------

    def next_question(self) -> Question | None:
        """Return what to ask next, or `None` if nothing can be asked now, or there is no room for a page.

        The part that all others wait for may always be asked.
        """
        self._claims.heed_others()
        self._claims.accept_postponed()
        self._heed_clearances()
        part = self._choice.part_to_ask(self._pages)
        if part is None:
            return None
        margins = self._known.grain_of(dense=part.hints.dense).margins
        newest, order = self._newest_first, self._order.candidate
        question = question_of(part, newest_first=newest, descending=order, most=self._width.most, margins=margins)
        part.ask(question)
        return question

    def put_back(self, question: Question) -> None:
        """Note that a question was not asked after all."""
        if question.part.question is question:
            question.part.put_back()

    def narrow(self, question: Question) -> int | None:
        """Ask for less at once, after a question that the server did not answer in time. The part is asked again.

        Returns:
            How wide a range a question may ask for from now on, in microseconds. `None` if the window was an hour wide, or less.
        """
        part = question.part
        if part.question is not question or len(question.window) <= HOUR:
            return None
        self._width.narrow(len(question.window))
        # A seam, a proof, a probe or a recheck asks for a window as wide as before: it is given up.
        part.ask_again()
        part.put_back()
        return self._width.most

    def fail(self, question: Question, error: Exception) -> None:
        """Note that a question got no page. The part is returned with the error once all before it was handed out."""
        part = question.part
        if part.question is not question:
            return
        match part.task:
            case Probe(doubt=Doubt.LARGEST, begun=False, records=records, basis=basis):
                # The page is complete by assumption, and nothing but its size speaks against that: its records do not fail with a
                # question beyond it. If the size comes again, it is checked again.
                self._finish(part, Done(records, basis.rows, basis))
                return
            case Read(seam=Seam(claimed=claimed)):
                # The claim waits for this page to agree. It may stand before this part, and does not have to fail with it.
                claimed.doubt()
        if not isinstance(part.task, Probe):
            # Of a part that is longer than its window, the rest does not fail with the window.
            self._plan.keep_to(part, question.range)
        part.fail(error)

    def reset(self) -> None:
        """Return every part that was asked, has failed or is saturated to waiting: an iteration has ended."""
        self._plan.reset()
        self._width.reset()

    # --- what came ------------------------------------------------------------------------------------------------------

    def receive(self, question: Question, page: Page) -> None:  # noqa: C901, PLR0912 # the cases, written out
        """Use the page that a question got.

        Raises:
            RowOutsideError: A row does not belong to the window. Nothing of the page was used.
            PagesCutError: Earlier pages were cut short, and it is too late to ask for them again.
            CountAboveRowsError: `count` is above the rows however often a window is asked.
        """
        part = question.part
        if part.question is not question:
            return  # the page came too late: the question was put back
        check_inside(question.window, page)
        complete = self._observe(question, page)
        if self._cap.is_to_be_repeated(question, page, self._sizes.page):
            part.ask_once_more()
            return
        believed = self._dense.believe(question, page, complete=complete)
        if believed is None:
            return
        question = believed
        if page.new_unplaced and not isinstance(part.task, Gauge):
            searched, again = self._searches.begin(question.range, page.new_unplaced, complete=complete)
            page = evolve(page, new_unplaced=searched, again=again)
        lacks = complete and lacks_known_rows(question, page)
        match part.task:
            case Read(seam=seam):
                if seam is not None:
                    grain = self._known.grain_of(dense=part.hints.dense)
                    self._claims.check_seam(seam, question.window, page, complete=complete, grain=grain)
                self._use(question, page, complete=complete, lacks=lacks)
            case Prove(claim=claim):
                # The page is that of an ordinary window, too, whatever comes of the claim.
                self._claims.prove(part, claim, page, complete=complete)
                self._use(question, page, complete=complete, lacks=lacks)
            case Probe() as probe:
                following = self._cap.settle(probe, page)
                if following is None:
                    self._finish(part, Done(probe.records, 0, probe.basis))
                    self._heed_clearances()
                else:
                    part.turn_to(following)
            case Recheck() as recheck:
                if self._cap.confirm(recheck, page):
                    part.ask_again()
                    self._checks.heed()
                    self._full_pages.use(question, page, self._pages)
                else:
                    self._use(question, page, complete=complete, checked=True)
                    self._checks.heed()
            case Gauge(page=earlier, range=wanted, asked=window, number=number) as gauge:
                self._known.settle(gauge, page, complete=complete)
                self._full_pages.use(Question(part, wanted, window), earlier, number)
            case Resolve() as asked:
                self._full_pages.resolve(part, asked, page, complete=complete)
                if isinstance(part.state, Done):
                    self._dense.settle(part, part.state.records)
                    self._searches.note(part.range, part.state.unplaced)
            case None:
                raise AssertionError("a part with a question has a task")

    def _observe(self, question: Question, page: Page) -> bool:
        """Learn what any page shows of the server, and return whether the page is taken for its whole window.

        A withdrawal turns the task of a claim that is being proven into a plain read, so the task is looked at afterwards.
        """
        self._pages += 1
        self._claims.heed_others()
        self._width.note_answer(len(question.range))
        if self._order.observe(page) | self._known.observe(page):
            self._claims.withdraw_order()
        self._resolver.heed_cap(self._cap.found)
        self._resolver.observe(page)
        complete = self._cap.holds_window(page)
        self._checks.heed()
        self._heed_clearances()
        return complete

    def _use(
        self, question: Question, page: Page, *, complete: bool, checked: bool = False, lacks: bool = False
    ) -> None:
        """Use a page as that of an ordinary window: take its records, or find out how to get the rest."""
        part = question.part
        if not complete:
            if part is self._plan.first and isinstance(part.task, Read):
                self._arrival.note_full(question.range)
            self._full_pages.use(question, page, self._pages)
            return
        self._plan.keep_to(part, question.range)
        # A row without a start may belong to any instant of the window: only shorter windows tell to which.
        if page.new_unplaced and not is_within_a_step(part.range):
            part.turn_to(Read())
            self._plan.replace(part, pieces_to_search(part, page))
            return
        if not checked and not page.new_unplaced:
            # If a server does not sort, only parts that were cut to fill a page have a number that can be relied on.
            order = self._order.candidate
            expected = part.hints.expected if order is None else self._estimates.expect(part)
            if self._checks.begin(question, page, self._pages, expected=expected, lacks=lacks, descending=order):
                return
        # What a page in doubt may lack is not a hole.
        self._traffic.check(part.range, page)
        self._finish(part, Done.of(page, part.range, question.window, checked=checked))
        self._estimates.note(part, page)

    def _finish(self, part: Part, done: Done) -> None:
        self._estimates.learn(part, done.records)
        self._searches.note(part.range, done.unplaced)
        part.finish(done)

    def _heed_clearances(self) -> None:
        """Learn from the parts that wait for a check no longer."""
        for part in self._checks.clear():
            self._estimates.learn(part, part.records)
