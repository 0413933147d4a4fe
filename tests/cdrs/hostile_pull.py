"""Pulls through a hostile server: `run` runs a case, and judges it."""

from __future__ import annotations

import random
from collections import Counter

from attrs import Factory, define

from tests.cdrs.hostile import PATIENCE, Case, Row, Run, Story, check, check_order, check_rows
from tests.cdrs.hostile_server import Page, Server
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.answer import Answer, RowOutsideError
from unlimcall_async.cdrs.caps import AnswersCutError
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.instants import Range, micros_of, moment_of_micros
from unlimcall_async.cdrs.order import count_behind, in_order, place_behind
from unlimcall_async.cdrs.parts import Part, Question, State
from unlimcall_async.cdrs.planner import Planner
from unlimcall_async.cdrs.stream import Order as Ordered
from unlimcall_async.cdrs.stream import _left_of


class VoidError(Exception):
    """Rows were handed out before the server showed that it does not sort: nothing was promised."""


@define
class Reader:
    """What the stream is between the planner and its reader, without asyncio: a block of records, and a place in it."""

    case: Case
    before: Place
    behind: Place
    block: list[CallRecord] = Factory(list)
    index: int = 0
    skipped: int = 0

    @property
    def place(self) -> Place:
        """Where a checkpoint would be now."""
        if self.index >= len(self.block):
            return self.behind
        return place_behind(self.block, self.index) if self.index > self.skipped else self.before

    def put_out(self, part: Part) -> None:
        """Make the records of a part the block."""
        start, end = moment_of_micros(self.case.start), moment_of_micros(self.case.end)
        within = [record for record in part.records if start <= record.start_time < end]
        self.block = in_order(within, newest_first=self.case.newest_first)
        self.before, self.behind = self.behind, self.place_behind(part)
        self.index = self.skipped = count_behind(self.block, self.before, newest_first=self.case.newest_first)

    def place_behind(self, part: Part) -> Place:
        """Give the place behind all of a part."""
        edge = (part.range.start if self.case.newest_first else part.range.end) * 1000
        return Place(min(max(edge, self.case.start), self.case.end))


@define
class Asked:
    """A question under way, and its answer, if the server has thought about it already."""

    question: Question
    page: Page | None = None


def proves(part: Part, page: Page) -> bool:
    """Tell whether a page proves the claim that it was asked for: by the rows, not by what the planner makes of it."""
    if part.claim is None or page.left:
        return False
    first, last = part.range.start * 1000, part.range.end * 1000
    here = Counter(held.key for held in page.rows if first <= held.written < last)
    return here == Counter(part.claim.keys_of(part.range))


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
        self._under_way: list[Asked] = []
        self._stale: list[Asked] = []
        self._came: list[Answer] = []
        self._excused = False
        self._proven_on = self._last_lie = -1
        self._betrayed = self._shown = self._sought = False

    def run(self) -> Story:
        """Pull everything, and judge what came."""
        try:
            for run in self.case.runs:
                while not self._is_over_after(run):
                    pass
        except AnswersCutError:
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
        self._planner = Planner(
            _left_of(self._order(run), self._place),
            newest_first=case.newest_first,
            page_size=run.page_size,
            concurrency=run.concurrency,
            seek=case.seek,
        )
        place = self._place or Place(case.end if case.newest_first else case.start)
        self._reader = Reader(case, place, place)
        self._under_way.clear()
        self._stale.clear()
        self._came.clear()
        self._proven_on = self._last_lie = -1
        self._betrayed = self._shown = self._sought = False
        saturated = self._drive(run)
        self._count()
        return not saturated

    def _order(self, run: Run) -> Ordered:
        start, end = moment_of_micros(self.case.start), moment_of_micros(self.case.end)
        return Ordered(start, end, self.case.newest_first, run.concurrency, run.page_size, self.case.seek)

    def _drive(self, run: Run) -> bool:
        """Ask and hand out until the run ends, or an instant is saturated."""
        last_answer = len(self.server.answered) + run.answers
        left = run.records
        while not self._planner.finished or self._reader.index < len(self._reader.block):
            if len(self.server.answered) >= last_answer:
                break
            self._ask(run)
            idle = not self._under_way
            if self._under_way:
                self._go_on(run)
            if idle or self._chance.random() < 0.7:
                part = self._planner.take_first()
                if part is not None and part.state is State.SATURATED:
                    self._go_behind(part, run)
                    return True
                check(part is not None or not idle or self._planner.finished, "it neither asks nor goes on")
                left -= self._hand_out(part, left) if part is not None else 0
                if left <= 0:
                    break
        self._place = self._reader.place
        self._note_tie()
        return False

    def _ask(self, run: Run) -> None:
        while len(self._under_way) < run.concurrency and (question := self._planner.next_question()):
            check(len(self._under_way) < PATIENCE, "it asks without end")
            # The server may think of an answer long before it comes, so that answers cross each other.
            early = self._chance.random() < 0.5
            page = self.server.page(question.window, run.page_size) if early else None
            self._under_way.append(Asked(question, page))

    def _go_on(self, run: Run) -> None:
        """Let one of the questions under way have its answer, or something else."""
        position = self._chance.randrange(len(self._under_way))
        asked = self._under_way.pop(position)
        if self._chance.randrange(100) >= self.case.trouble:
            self._answer(asked, run)
        else:
            self._have_trouble(asked, run)
        self.story.most_held = max(self.story.most_held, self._planner.held)

    def _answer(self, asked: Asked, run: Run) -> None:
        page, part = self._page(asked, run), asked.question.part
        answer = page.as_answer()
        if proves(part, page):
            self._proven_on = max(
                self._proven_on, next((n for n, each in enumerate(self._came) if each is part.claim), -1)
            )
        if page.seems_sorted:
            self._last_lie = len(self._came)
        self._came.append(answer)
        self._planner.answer(asked.question, answer)
        if self._planner.seeks and not self._sought:
            # The server may lie until it knows that it is found out; but not behind the page that the order was proven on.
            self._excused = self._excused or self._last_lie > self._proven_on >= 0
        self._sought = self._planner.seeks

    def _honest_page(self, asked: Asked, run: Run) -> Page:
        return asked.page or self.server.page(asked.question.window, run.page_size)

    def _page(self, asked: Asked, run: Run) -> Page:
        page = self._honest_page(asked, run)
        if self._proven_on < 0 or not self._planner.seeks:
            return page
        seam, page = asked.question.part.seam, page.as_proven()
        if self.case.manners.betrays and not self._shown:
            return self._betray(page)
        if seam is None or self._chance.randrange(100) >= self.case.manners.slips:
            return page
        return page.slipped(seam, self._chance)

    def _betray(self, page: Page) -> Page:
        if page.is_turned or not page.left:
            page = page.turned()
            self._shown = page.is_turned
            return page
        self._betrayed = True
        return page.skipping(self._chance)

    def _have_trouble(self, asked: Asked, run: Run) -> None:
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
            self._planner.answer(late.question, self._honest_page(late, run).as_answer())

    def _leave(self) -> None:
        """Have all questions under way cancelled, as when the stream is left and iterated again."""
        self._under_way.clear()
        self._planner.forget()

    def _answer_outside(self, asked: Asked, run: Run) -> None:
        """Answer with a row that is more than a second away from the window: nothing of it may be used."""
        answer, window = self._honest_page(asked, run).as_answer(), asked.question.window
        index = self._chance.randint(0, len(answer.rows))
        at = self._chance.choice((window.start * 1000 - 1_001_000, window.till * 1000 + 1_001_000))
        rows, instants = [*answer.rows], [*answer.instants]
        rows.insert(index, Row(at, -1).as_record())
        instants.insert(index, at)
        current = asked.question.part.state is State.ASKED
        try:
            self._planner.answer(asked.question, Answer(rows, instants, len(rows), answer.complete))
        except RowOutsideError as outside:
            check(outside.index == index, f"row {index} is outside, not {outside.index}")
            self._planner.fail(asked.question, outside)
        else:
            check(not current, f"a row at {at} was taken for one of {window}")

    def _hand_out(self, part: Part, most: int) -> int:
        """Hand out what a part has, or as much as is left of the run."""
        if part.state is State.FAILED:
            self._leave()
            return 0
        if part.rests and self._betrayed and not self._shown:
            raise VoidError
        self._reader.put_out(part)
        first = self._reader.index
        self._reader.index = min(first + most, len(self._reader.block))
        self._output += self._reader.block[first : self._reader.index]
        return self._reader.index - first

    def _go_behind(self, part: Part, run: Run) -> None:
        """Accept that an instant is saturated, and go on behind it."""
        self.story.saturations += 1
        check(self.server.saturates(part.range, run.page_size), f"{part.range} is not saturated")
        check(len(part.range) <= 1000, f"{part.range} is more than a second")
        check(
            all(part.range.start * 1000 <= micros_of(r.start_time) < part.range.end * 1000 for r in part.records),
            "seen",
        )
        self._skipped.append(part.range)
        self._place = self._reader.place_behind(part)
        left = _left_of(self._order(run), self._place)
        ahead = left.end <= part.range.start if self.case.newest_first else left.start >= part.range.end
        check(ahead or not len(left), f"{self._place} is not behind {part.range}")

    def _note_tie(self) -> None:
        """Count it if the place is between rows of one instant."""
        place = self._reader.place
        if place.id is not None:
            done = sum(micros_of(record.start_time) == place.at for record in self._output[-200:])
            there = [row for row in self.case.rows if row.at == place.at and row.born <= len(self.server.answered)]
            self.story.tie_resumes += 0 < done < len(there)

    def _tally(self, name: str) -> int:
        return int(getattr(getattr(self._planner, "tally", None), name, 0))

    def _count(self) -> None:
        for name in ("proofs", "spoiled", "withdrawn", "caps"):
            setattr(self.story, name, getattr(self.story, name) + self._tally(name))

    def _judge(self) -> None:
        came = [(micros_of(record.start_time), record.id, record.dst or "") for record in self._output]
        check_order([key[:2] for key in came], newest_first=self.case.newest_first)
        # A range that is saturated may end within an instant that is not: its rows may come or not.
        rows, must = [], []
        for row in self.case.rows:
            written = self.case.manners.write(row)
            if self.case.start <= written.at < self.case.end:
                rows.append(written)
                self.story.late += 0 < row.born < len(self.server.answered)
                if not self._is_skipped(written) and self.server.never_seen(row):
                    must.append(written)
        self.story.excused = self._excused
        if self._excused:
            must = []
        if self._is_cut_silently:
            # The contract takes such an answer for its whole window; most of them are found out, but that is no promise.
            lost = Counter(row.key for row in must) - Counter(came)
            self.story.cut_silently, must = lost.total(), []
        check_rows(Counter(came), must, rows)

    def _is_skipped(self, row: Row) -> bool:
        return any(where.start * 1000 <= row.at < where.end * 1000 for where in self._skipped)


def run(case: Case) -> Story:
    """Run a case, or raise `BrokenError`."""
    return Pull(case).run()
