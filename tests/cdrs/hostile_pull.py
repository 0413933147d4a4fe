"""Pulls through a hostile server: `run` runs a case, and judges it."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

from attrs import define, evolve

from tests.cdrs.hostile import (
    BY_ID,
    PATIENCE,
    SILENT_CAPS,
    Case,
    Row,
    Run,
    Story,
    check,
    check_order,
    check_rows,
    check_unreadable,
)
from tests.cdrs.hostile_caps import IN_AN_INSTANT, TAKEN_APART, Sizes
from tests.cdrs.hostile_server import Server, ServerPage
from tests.cdrs.simulated import readable
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.checkpoint import Place, UnplacedMark
from unlimcall_async.cdrs.planner.page import Basis, Page, RowOutsideError
from unlimcall_async.cdrs.planner.page_cap import PagesCutError
from unlimcall_async.cdrs.planner.parts import Asked, Done, Failed, Part, Question, Read, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.seek import OVERLAP
from unlimcall_async.cdrs.planner.tasks import Prove, Resolve
from unlimcall_async.cdrs.planner.windows import HOUR
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, to_datetime, to_micros
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.proof.manifest import Evidence, Reason

# How far beside a range its windows may show rows.
_BESIDE = 5 * SECOND


class VoidError(Exception):
    """Rows were handed out before the server showed that it does not sort: nothing was promised."""


@define
class UnderWay:
    """A question under way, and its answer, if the server has thought about it already."""

    question: Question
    page: ServerPage | None = None


def _holds(window: Window, wanted: Range) -> bool:
    return window.start <= wanted.start and wanted.end <= window.till


def proves(part: Part, page: ServerPage) -> bool:
    """Return whether a page proves the claim that it was asked for, by the rows alone."""
    if not isinstance(part.task, Prove) or page.left:
        return False
    here = Counter(held.key for held in page.rows if held.row.fault != "start" and part.range.holds(held.written))
    return here == Counter(part.task.claim.page.keys_of(part.range))


class Pull:
    """A pull through the planner, from its start to its end, over all its runs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.server = Server(case)
        self.story = Story()
        self._chance = random.Random(case.seed + 1)
        self._output: list[CallRecord] = []
        self._skipped: list[Range] = []
        self._place: Place | None = None
        self._marks: tuple[UnplacedMark, ...] = ()
        self._named: Counter[bytes] = Counter()
        self._under_way: list[UnderWay] = []
        self._stale: list[UnderWay] = []
        self._came: list[Page] = []
        # The window, the rows and the `count` of each answer of the run.
        self._answers: set[tuple[Window, int, int]] = set()
        # Where rows may be missing: in gaps that no claim had to doubt, and in what a run handed out whose sizes do not show a cap.
        self._gaps: list[Range] = []
        self._hidden: list[tuple[str, Range]] = []
        self._sizes = Sizes(case.manners)
        self._excused = False
        self._proven_on = self._last_lie = -1
        self._betrayed = self._shown = self._sought = False

    def run(self) -> Story:
        """Pull everything, and judge what came."""
        try:
            for run in self.case.runs:
                while not self._is_over_after(run):
                    pass
        except PagesCutError:
            # It was found out too late, and said so.
            check(self._is_cut_silently, "no answer was cut silently")
            self.story.gave_up += 1
        except VoidError:
            self.story.void += 1
        else:
            self._judge()
        self.story.answers, self.story.full_pages = len(self.server.answered), self.server.full_pages
        return self.story

    @property
    def _is_cut_silently(self) -> bool:
        """Whether answers may be cut short without saying so."""
        manners = self.case.manners
        return not manners.counts_matches and manners.cap < max(run.page_size for run in self.case.runs)

    def _is_over_after(self, run: Run) -> bool:
        """Go on with a new planner. It is over unless an instant was saturated: then the caller goes on behind it."""
        case = self.case
        self._position = self._position_at(self._place)
        self._unreadable = UnreadableRows(keep=True, marks=self._marks)
        self._planner = Planner(
            self._position.range_left,
            newest_first=case.newest_first,
            page_size=run.page_size,
            concurrency=run.concurrency,
            seek=case.seek,
        )
        self._under_way.clear()
        self._stale.clear()
        self._came.clear()
        self._answers.clear()
        self._proven_on = self._last_lie = -1
        self._betrayed = self._shown = self._sought = False
        self._sizes = Sizes(self.case.manners)
        saturated = self._drive(run)
        self._note_cuts()
        self._count()
        return not saturated

    def _note_cuts(self) -> None:
        """Note which range rests on answers that were cut silently if their sizes need not show the cap."""
        excuse = self._sizes.excuse(finished=self._planner.finished)
        if excuse is not None:
            self._hidden += [(excuse, cut) for cut in self._sizes.cut]

    def _position_at(self, place: Place | None) -> Position:
        start, end = to_datetime(self.case.start), to_datetime(self.case.end)
        return Position(start, end, newest_first=self.case.newest_first, place=place)

    def _drive(self, run: Run) -> bool:
        """Ask and hand out until the run ends, or an instant is saturated."""
        last_answer = len(self.server.answered) + run.answers
        left, before = run.records, self._position.place
        while not self._planner.finished or self._position.left:
            if len(self.server.answered) >= last_answer:
                break
            self._ask(run)
            idle = not self._under_way
            if self._under_way:
                self._go_on(run)
            if idle or self._chance.random() < 0.7:
                part = self._planner.take_first()
                if part is not None and isinstance(part.state, Saturated):
                    self._go_behind(part, run)
                    return True
                check(part is not None or not idle or self._planner.finished, "it neither asks nor goes on")
                left -= self._hand_out(part, run, left) if part is not None else 0
                if left <= 0:
                    break
        if run.advances and left > 0 and not self._planner.finished:
            self._check_advance(run, before)
        self._keep_place(self._position.place)
        self._note_tie()
        return False

    def _check_advance(self, run: Run, before: Place) -> None:
        """Take all that is ready at the end of a run: it must have come further than the run before."""
        while (part := self._planner.take_first()) is not None:
            if isinstance(part.state, Saturated):
                return
            self._hand_out(part, run, PATIENCE)
        check(self._position.place != before, f"{run.answers} answers, and the run has not advanced")

    def _keep_place(self, place: Place) -> None:
        """Store a checkpoint, for the next run."""
        self._place = place
        self._marks = self._unreadable.marks_behind(place.settled, newest_first=self.case.newest_first)

    def _ask(self, run: Run) -> None:
        while len(self._under_way) < run.concurrency and (question := self._planner.next_question()):
            check(len(self._under_way) < PATIENCE, "it asks without end")
            # The server may think of an answer long before it comes, so that answers cross each other.
            early = self._chance.random() < 0.5
            page = self.server.page(question.window, run.page_size) if early and self._is_answered(question) else None
            self._under_way.append(UnderWay(question, page))

    def _go_on(self, run: Run) -> None:
        """Have one of the questions under way have its answer, or something else."""
        position = self._chance.randrange(len(self._under_way))
        asked = self._under_way.pop(position)
        if self._chance.randrange(100) >= self.case.trouble:
            self._answer(asked, run)
        else:
            self._have_trouble(asked, run)
        self.story.most_held = max(self.story.most_held, self._planner.held)

    def _is_answered(self, question: Question) -> bool:
        """Whether the server answers a question in time."""
        return len(question.window) <= max(self.case.manners.widest, HOUR)

    def _answer(self, asked: UnderWay, run: Run) -> None:
        if not self._is_answered(asked.question):
            if self._planner.narrow(asked.question) is None:
                self._planner.fail(asked.question, LookupError())
            self.story.narrowed += 1
            check(self.story.narrowed < PATIENCE, "it asks too much without end")
            return
        page, part = self._page(asked, run), asked.question.part
        self._note_page(page, asked.question)
        if proves(part, page) and isinstance(part.task, Prove):
            claimed = part.task.claim.page
            number = next((n for n, each in enumerate(self._came) if each is claimed), -1)
            self._proven_on = max(self._proven_on, number)
        if page.seems_sorted and self._gives_itself_away:
            self._last_lie = len(self._came)
        received = page.as_page(asked.question.window)
        new = self._unreadable.new_unplaced(received.unplaced)
        received = evolve(received, new_unplaced=new)
        self._came.append(received)
        if isinstance(part.task, (Read, Prove)):
            self._sizes.note(page, asked.question.range, searched=bool(new))
        elif isinstance(part.task, Resolve) and page.is_cut_silently:
            self._hidden.append((TAKEN_APART, asked.question.range))
        self._answers.add((asked.question.window, received.size, received.count))
        self._planner.receive(asked.question, received)
        if self._planner.seeks and not self._sought:
            # The server may lie until it knows that it is found out; but not behind the page that the order was proven on.
            self._excused = self._excused or self._last_lie > self._proven_on >= 0
        self._sought = self._planner.seeks

    @property
    def _gives_itself_away(self) -> bool:
        """Whether a server that only seems to sort must not keep that up. One that sorts by id may: see `plausible_gaps`."""
        return self.case.manners.order not in BY_ID

    def _note_page(self, page: ServerPage, question: Question) -> None:
        """Note what the oracle has to know of an answer."""
        self.story.raced += bool(page.off) and not page.left
        if not self._gives_itself_away and self.case.seek:
            gaps = [*page.plausible_gaps(question.window, self.server.plausible)]
            self.story.gaps += len(gaps)
            self._gaps += gaps

    def _honest_page(self, asked: UnderWay, run: Run) -> ServerPage:
        return asked.page or self.server.page(asked.question.window, run.page_size)

    def _page(self, asked: UnderWay, run: Run) -> ServerPage:
        page = self._honest_page(asked, run)
        if self._proven_on < 0 or not self._planner.seeks or not self._gives_itself_away:
            return page
        seam, page = asked.question.part.seam, page.as_proven()
        if self.case.manners.betrays and not self._shown:
            return self._betray(page)
        if seam is None or self._chance.randrange(100) >= self.case.manners.slips:
            return page
        return page.slipped(seam, self._chance)

    def _betray(self, page: ServerPage) -> ServerPage:
        if page.is_turned or not page.left:
            page = page.turned()
            self._shown = page.is_turned
            return page
        self._betrayed = True
        return page.skipping(self._chance)

    def _have_trouble(self, asked: UnderWay, run: Run) -> None:
        match self._chance.choice(("fails", "is put back", "is outside", "is left", "is left and late")):
            case "fails":
                self._planner.fail(asked.question, LookupError())
            case "is put back":
                self._planner.put_back(asked.question)
            case "is outside":
                self._answer_outside(asked, run)
            case "is left":
                self._leave()
            case _:
                self._leave()
                self._stale.append(asked)
        if self._stale and self._chance.random() < 0.5:
            late = self._stale.pop()
            # Nothing of it is used, and so it must not be where the server shows that it has lied.
            self._planner.receive(late.question, self._honest_page(late, run).as_page(late.question.window))

    def _leave(self) -> None:
        """Have all questions under way cancelled, as when the stream is left and iterated again."""
        self._under_way.clear()
        self._planner.reset()

    def _answer_outside(self, asked: UnderWay, run: Run) -> None:
        """Answer with a row that is more than a second away from the window: nothing of it may be used."""
        window = asked.question.window
        page = self._honest_page(asked, run).as_page(window)
        index = self._chance.randint(0, len(page.rows))
        beyond = SECOND + MILLISECOND
        at = self._chance.choice((window.start - beyond, window.till + beyond))
        rows = [*page.rows]
        rows.insert(index, Row(at, -1).as_record())
        starts = [row.start_time for row in rows]
        current = isinstance(asked.question.part.state, Asked)
        try:
            self._planner.receive(asked.question, Page(rows, starts, len(rows), page.complete, page.finer_than_millis))
        except RowOutsideError as outside:
            check(outside.index == index, f"row {index} is outside, not {outside.index}")
            self._planner.fail(asked.question, outside)
        else:
            check(not current, f"a row at {at} was taken for one of {window}")

    def _hand_out(self, part: Part, run: Run, most: int) -> int:
        """Hand out what a part has, or as much as is left of the run."""
        if isinstance(part.state, Failed):
            self._leave()
            return 0
        by_order = isinstance(part.state, Done) and part.state.by_order
        if isinstance(part.state, Done):
            self._sizes.note_handed_out(part.state.rows)
            self._check_basis(part.range, part.state.basis, run.page_size)
        if by_order and self._betrayed and not self._shown:
            raise VoidError
        self._enter(part)
        taken = 0
        while True:
            records = [*islice(self._position.records(), most - taken)]
            self._output += records
            taken += len(records)
            row = self._position.unreadable
            if row is None or taken >= most:
                return taken
            self._unreadable.keep(row)
            self._position.pass_unreadable()
            self._named[row.body] += 1

    def _check_basis(self, part: Range, basis: Basis, limit: int) -> None:
        """Check that what a part rests on, as a manifest will say, was answered, and is enough."""
        check((basis.window, basis.rows, basis.count) in self._answers, f"{basis} was not answered")
        # A second that is taken apart by what is known of the bounds may reach beyond its window.
        reaches = basis.window.start - SECOND <= part.start and part.end <= basis.window.till + SECOND
        # A window that is known to include its last step, which mostly is a second, shows the rows of that step, too.
        manners = self.case.manners
        shown = Window(basis.window.start, basis.window.till + manners.step * manners.till_included)
        check(reaches and (len(part) <= SECOND or _holds(shown, part)), f"{basis} was not asked for {part}")
        short = basis.rows < limit and basis.count <= basis.rows
        check(short if basis.repeated is None else basis.repeated >= OVERLAP, f"{basis} is not enough")
        start, end, first, till = map(to_datetime, (part.start, part.end, basis.window.start, basis.window.till))
        reason: Reason = "short" if basis.repeated is None else "sought"
        evidence = Evidence(start, end, first, till, limit, basis.rows, basis.count, reason, basis.repeated)
        check(evidence.was_asked and evidence.is_complete, f"a manifest would be refused for {evidence}")

    def _enter(self, part: Part) -> None:
        """Go on to a part, as a stream does."""
        own = part.state.unplaced if isinstance(part.state, Done) else ()
        unplaced = self._unreadable.new_unplaced(own, self._planner.vanished(part.range))
        unplaced = self._planner.hand_out(part.range, unplaced)
        if unplaced or len(readable(part.records)) < len(part.records):
            self._position.enter_unreadable(part.range, part.records, unplaced)
        else:
            self._position.enter(part.range, readable(part.records))

    def _go_behind(self, part: Part, run: Run) -> None:
        """Accept that an instant is saturated, and go on behind it."""
        self.story.saturations += 1
        apart = [where for excuse, where in self._hidden if excuse == TAKEN_APART]
        apart = [where for where in apart if where.start < part.range.end and part.range.start < where.end]
        if not apart and not self.server.saturates(part.range, run.page_size):
            check(self.server.saturates_rounded(part.range, run.page_size), f"{part.range} is not saturated")
            self.story.saturated_by_rounding += 1
        check(len(part.range) <= SECOND, f"{part.range} is more than a second")
        check(
            all(part.range.holds(to_micros(record.start_time)) for record in part.records),
            "seen",
        )
        self._skipped.append(part.range)
        self._keep_place(self._position.behind(part.range))
        left = self._position_at(self._place).range_left
        ahead = left.end <= part.range.start if self.case.newest_first else left.start >= part.range.end
        check(ahead or not len(left), f"{self._place} is not behind {part.range}")

    def _note_tie(self) -> None:
        """Count it if the place is between rows of one instant."""
        place = self._position.place
        if place.id is not None:
            done = sum(to_micros(record.start_time) == place.at for record in self._output[-200:])
            there = [row for row in self.case.rows if row.at == place.at and row.born <= len(self.server.answered)]
            self.story.tie_resumes += 0 < done < len(there)

    def _count(self) -> None:
        story, counts = self.story, self._planner.counts
        story.proofs += counts.proofs
        story.disagreements += counts.disagreements
        story.withdrawals += counts.withdrawals
        story.caps += counts.caps

    def _judge(self) -> None:
        came = [(to_micros(record.start_time), record.id, record.dst or "") for record in self._output]
        check_order([key[:2] for key in came], newest_first=self.case.newest_first)
        # A range that is saturated may end within an instant that is not: its rows may come or not.
        rows, must = list[Row](), list[Row]()
        for row in self.case.rows:
            if row.fault == "start":
                continue
            written = self.case.manners.write(row)
            if self.case.start <= written.at < self.case.end:
                rows.append(written)
                self.story.late += 0 < row.born < len(self.server.answered)
                if not self._is_skipped(written) and self.server.never_seen(row):
                    must.append(written)
        self.story.excused = self._excused
        if self._excused:
            must = []
        if SILENT_CAPS in self.case.kinds:
            must = self._without_hidden(must, came)
        elif self._is_cut_silently:
            # The contract takes such an answer for its whole window; most of them are found out, but that is no promise.
            lost_rows = Counter(row.key for row in must) - Counter(came)
            self.story.cut_silently, must = lost_rows.total(), []
        must, self.story.lost_in_gaps = self._without(must, self._gaps, came)
        check_rows(Counter(came), [row for row in must if row.fault == "none"], rows)
        self._judge_unreadable(rows, must)

    def _without_hidden(self, must: list[Row], came: list[tuple[int, str, str]]) -> list[Row]:
        """Return the rows that no cap may have hidden, and note how many of the others did not come, by what hid them."""
        for excuse in dict.fromkeys(name for name, _ in self._hidden):
            where = [hidden for name, hidden in self._hidden if name == excuse]
            must, self.story.lost_to_caps[excuse] = self._without(must, where, came)
        size = max(run.page_size for run in self.case.runs)
        lost = Counter(row.key for row in must) - Counter(came)
        instants = [Range(at, at + 1) for at in {at for at, _, _ in lost}]
        full = [instant for instant in instants if self.server.saturates(instant, size)]
        must, self.story.lost_to_caps[IN_AN_INSTANT] = self._without(must, full, came)
        return must

    @staticmethod
    def _without(must: list[Row], excused: list[Range], came: list[tuple[int, str, str]]) -> tuple[list[Row], int]:
        """Return the rows that are not in excused ranges, and how many of those that are did not come."""
        outside = [row for row in must if not any(where.holds(row.at) for where in excused)]
        lost = Counter(row.key for row in must) - Counter(row.key for row in outside) - Counter(came)
        return outside, lost.total()

    def _judge_unreadable(self, rows: list[Row], must: list[Row]) -> None:
        """Judge what was named of the rows that cannot be read; `rows` and `must` are those with a start."""
        may_name = [row for row in rows if row.fault == "field"]
        must_name = [row for row in must if row.fault == "field"]
        for row in self.case.rows:
            # The windows at the ends of the range show rows beside it, and what is beside a saturated instant may go with it.
            if row.fault == "start" and self.case.start - _BESIDE <= row.at < self.case.end + _BESIDE:
                may_name.append(self.case.manners.write(row))
                inside = self.case.start <= row.at < self.case.end
                hidden = [where for _, where in self._hidden] if SILENT_CAPS in self.case.kinds else []
                excused = [*self._skipped, *hidden]
                lost = any(where.start - _BESIDE <= row.at < where.end + _BESIDE for where in excused)
                if inside and not lost and must and self.server.never_seen(row):
                    must_name.append(self.case.manners.write(row))
        self.story.unreadable += len(must_name)
        check_unreadable(self._named, must_name, may_name)

    def _is_skipped(self, row: Row) -> bool:
        return any(where.holds(row.at) for where in self._skipped)


def run(case: Case) -> Story:
    """Run a case, or raise `BrokenError`."""
    return Pull(case).run()
