"""A server for the planner alone that is as adversarial as the contract's assumptions allow, and pulls through it.

A `Case` says everything of a pull: the rows, the server's manners, when rows appear, what goes wrong, where the pull crashes and
goes on. `run` runs it and judges it. The oracle is the plain list of rows, and borrows nothing from what it judges.

What must come: each row that is there from the start, and each that appears before any window around it is answered. A row that
appears later may come. None may come twice or out of order. What a pull says is saturated must be, and may be missing.

Doubt. An order that is proven may be relied on, says the contract, on later pages that arrive sorted. So from its first proof on
a server that only seems to sort gives itself away: see `Page.as_proven`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

from attrs import Factory, define, evolve, frozen

from unlimcall_async import CallRecord
from unlimcall_async.cdrs.answer import Answer, RowOutsideError
from unlimcall_async.cdrs.caps import AnswersCutError
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.instants import WIDEST, Range, Window, micros_of, moment_of_micros
from unlimcall_async.cdrs.order import count_behind, in_order, place_behind
from unlimcall_async.cdrs.parts import Part, Question, Seam, State
from unlimcall_async.cdrs.planner import Planner
from unlimcall_async.cdrs.stream import Order as Ordered
from unlimcall_async.cdrs.stream import _left_of

Order = Literal[
    "newest_first",
    "oldest_first",
    "insertion",  # as calls end
    "insertion_backwards",
    "arbitrary",
    "by_blocks",  # the newest hour first, and in each the oldest call first
    "shuffled",  # another part of the window in each answer
    "sorted_after_limit",  # any rows of the window, and then newest first
]
HONEST: Final[tuple[Order, ...]] = ("newest_first", "oldest_first")
FIXED: Final[tuple[Order, ...]] = (*HONEST, "insertion", "insertion_backwards", "arbitrary", "by_blocks")
ORDERS: Final[tuple[Order, ...]] = (*FIXED, "shuffled", "sorted_after_limit")

HOUR: Final = 3600 * 1_000_000

# Nothing sane comes near it.
PATIENCE: Final = 10_000


@frozen(repr=False)
class Row:
    """A row: when it starts, in microseconds, its id and leg, how many seconds it lasts, and in which answer it can be first."""

    at: int
    number: int
    leg: int = 0
    lasts: int = 0
    born: int = 0

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells a row from others, in the order of the output."""
        return self.at, str(self.number), str(self.leg)

    def __repr__(self) -> str:
        rest = [self.leg, self.lasts, self.born]
        while rest and not rest[-1]:
            rest.pop()
        return f"Row({', '.join(map(str, (self.at, self.number, *rest)))})"

    def as_record(self) -> CallRecord:
        """Write the row as the client reads it."""
        return CallRecord(str(self.number), moment_of_micros(self.at), self.lasts, 0, dst=str(self.leg))


@frozen
class Manners:
    """What the reference leaves open.

    Attributes:
        order: The order at first.
        then: The order from the answer with the number `turn` on.
        turn: When the order changes.
        step: Bounds are compared in steps of so many microseconds.
        grain: Sorting goes by steps of so many microseconds.
        unstable: Rows of one grain come in another order each time.
        cap: The most rows of an answer, whatever is asked for.
        written: Times are written in steps of so many microseconds, though they are compared as they are.
        nearest: They are rounded, not cut.
        stragglers: The share of rows, in percent, that a sorted server gives behind all others.
        tidy: Whether they stand in their places where an answer is whole.
        betrays: Whether it skips rows where nobody can see it, once the order is proven, and then shows that it does not sort.
        slips: The share of pages, in percent, that skip rows though they arrive sorted, one of them where they must repeat it.
    """

    order: Order = "newest_first"
    then: Order = "newest_first"
    turn: int = PATIENCE
    from_included: bool = True
    till_included: bool = False
    step: int = 1000
    grain: int = 1
    unstable: bool = False
    counts_matches: bool = False
    cap: int = 1000
    written: int = 1
    nearest: bool = False
    stragglers: int = 0
    tidy: bool = False
    betrays: bool = False
    slips: int = 0

    def write(self, row: Row) -> Row:
        """Say of a row what the answers say."""
        late = self.written // 2 if self.nearest else 0
        return evolve(row, at=(row.at + late) // self.written * self.written)


@frozen
class Run:
    """One process of a pull: it ends after so many records, or so many answers, or never before the pull is over."""

    page_size: int
    concurrency: int
    records: int = PATIENCE
    answers: int = PATIENCE


@frozen
class Case:
    """A pull of `[start, end)`, in microseconds. `trouble` is the share of answers, in percent, that go wrong."""

    rows: tuple[Row, ...]
    manners: Manners
    start: int
    end: int
    newest_first: bool
    seek: bool
    runs: tuple[Run, ...]
    trouble: int = 0
    seed: int = 0


@define
class Story:
    """What happened in a case."""

    answers: int = 0
    full_pages: int = 0
    saturations: int = 0
    tie_resumes: int = 0
    late: int = 0
    proofs: int = 0
    spoiled: int = 0
    withdrawn: int = 0
    caps: int = 0
    gave_up: int = 0
    void: int = 0
    excused: int = 0
    cut_silently: int = 0
    most_held: int = 0


class BrokenError(AssertionError):
    """A promise was broken."""


class VoidError(Exception):
    """Rows were handed out before the server showed that it does not sort: nothing was promised."""


def check(promise: object, otherwise: str) -> None:
    """Insist on a promise, `python -O` or not."""
    if not promise:
        raise BrokenError(otherwise)


@define(eq=False)
class Held:
    """A row as the server keeps it: in a place of its own, and as a record with the time as it is written."""

    at: int
    born: int
    ended: int
    rank: float
    written: int
    record: CallRecord

    @classmethod
    def of(cls, row: Row, rank: float, manners: Manners) -> Held:
        """Take a row in."""
        written = manners.write(row)
        return cls(row.at, row.born, row.at + row.lasts * 1_000_000, rank, written.at, written.as_record())

    @property
    def key(self) -> tuple[int, str]:
        """What the planner tells it by."""
        return self.written, self.record.id

    @property
    def second(self) -> int:
        """The second that it is said to start in."""
        return self.written // 1_000_000


@frozen
class Page:
    """The rows of an answer, the other rows of its window, and the limit that it was asked with."""

    rows: list[Held]
    left: list[Held]
    limit: int
    counts_matches: bool

    def as_answer(self) -> Answer:
        """Write the page as the planner is told of it."""
        records = [held.record for held in self.rows]
        count = len(records) + (len(self.left) if self.counts_matches else 0)
        complete = len(records) < self.limit and count <= len(records)
        return Answer(records, [held.written for held in self.rows], count, complete)

    def _seems(self, *, newest_first: bool) -> bool:
        """Whether the page looks like the first of its window in that direction, but is not."""
        sign = -1 if newest_first else 1
        seconds = [sign * held.second for held in self.rows]
        return (
            bool(seconds)
            and all(a <= b for a, b in pairwise(seconds))
            and any(sign * held.second < seconds[-1] for held in self.left)
        )

    def slipped(self, seam: Seam, chance: random.Random) -> Page:
        """Skip rows, one of them surely where the page before it has it too: whoever compares the two sees it."""
        sign = -1 if seam.newest_first else 1
        rows = sorted(self.rows + self.left, key=lambda held: sign * held.at)
        first = seam.reach * 1000 + sign * 2_000_000
        times = Counter(held.key for held in rows)
        repeated = {key for key, count in seam.near.items() if count == times[key]}
        seen = [held for held in rows if held.key in repeated and sign * held.written > sign * first][:8]
        if not self.left or not seen:
            return self
        others = chance.sample(rows, min(3, len(self.left) - 1))
        skipped = {id(held) for held in (chance.choice(seen), *others)}
        rows = [held for held in rows if id(held) not in skipped][: len(self.rows)]
        shown = {id(held) for held in rows}
        left = [held for held in self.rows + self.left if id(held) not in shown]
        return evolve(self, rows=rows, left=left)

    def skipping(self, chance: random.Random) -> Page:
        """Skip rows far from the ends of the page, where no other page shows it."""
        newest_first = self.rows[0].at > self.rows[-1].at
        rows = sorted(self.rows + self.left, key=lambda held: held.at, reverse=newest_first)
        size = len(self.rows)
        middle = rows[size // 4 : size // 2]
        skipped = {id(held) for held in chance.sample(middle, min(3, len(middle), len(self.left)))}
        rows = [held for held in rows if id(held) not in skipped][:size]
        shown = {id(held) for held in rows}
        return evolve(self, rows=rows, left=[held for held in self.rows + self.left if id(held) not in shown])

    def as_proven(self) -> Page:
        """Turn the page so that it does not arrive sorted, if it is not what a sorted page would be.

        Rows of a single second cannot be turned: they show no order, and nothing may be concluded from them.
        """
        return self.turned() if self.seems_sorted else self

    @property
    def seems_sorted(self) -> bool:
        """Whether the page arrives sorted, and is not what it seems to be."""
        return self._seems(newest_first=True) or self._seems(newest_first=False)

    @property
    def is_turned(self) -> bool:
        """Whether the rows go back and forth."""
        seconds = [held.second for held in self.rows]
        return sorted(seconds) != seconds != sorted(seconds, reverse=True)

    def turned(self) -> Page:
        """Have the rows go back and forth."""
        if len(self.rows) < 3:
            return self
        low, *others, high = sorted(self.rows, key=lambda held: held.second)
        ups_and_downs = [low, high, *others] if others and others[0].second < high.second else [high, low, *others]
        return evolve(self, rows=ups_and_downs)


class Server:
    """Answers windows as its manners are, and keeps what it answered."""

    def __init__(self, case: Case) -> None:
        self.manners = case.manners
        self._chance = random.Random(case.seed)
        ranks = [self._chance.random() for _ in case.rows]
        self._all = [Held.of(row, rank, case.manners) for row, rank in zip(case.rows, ranks, strict=True)]
        self._finer = any(row.at % 1000 for row in case.rows)
        self.answered: list[Window] = []
        self.full_pages = 0

    def span(self, window: Window) -> tuple[int, int]:
        """Give the microseconds that the window holds: from the first up to, but not including, the second."""
        step = self.manners.step
        low = window.start * 1000 // step + (not self.manners.from_included)
        high = window.till * 1000 // step + self.manners.till_included
        return low * step, high * step

    def page(self, window: Window, limit: int) -> Page:
        """Answer a window."""
        check(0 < len(window) <= WIDEST, "the API would refuse the window")
        now, size = len(self.answered), min(limit, self.manners.cap)
        self.answered.append(window)
        check(now < PATIENCE, "it asks without end")
        low, high = self.span(window)
        there = [held for held in self._all if low <= held.at < high and held.born <= now]
        order = self.manners.order if now < self.manners.turn else self.manners.then
        there.sort(key=self._key(order))
        rows, left = there[:size], there[size:]
        if order == "sorted_after_limit":
            rows.sort(key=self._key("newest_first"))
        if self.manners.tidy and not left and order in HONEST:
            rows.sort(key=lambda held: held.at, reverse=order == "newest_first")
        self.full_pages += bool(left) or len(rows) >= limit
        return Page(rows, left, limit, self.manners.counts_matches)

    def _key(self, order: Order) -> Callable[[Held], Any]:
        grain, chance = self.manners.grain, self._chance.random

        def rank(held: Held) -> float:
            return chance() if self.manners.unstable else held.rank

        def straggles(held: Held) -> bool:
            return held.rank * 100 < self.manners.stragglers

        keys: dict[Order, Callable[[Held], Any]] = {
            "newest_first": lambda held: (straggles(held), -(held.at // grain), rank(held)),
            "oldest_first": lambda held: (straggles(held), held.at // grain, rank(held)),
            "insertion": lambda held: (held.born, held.ended, held.rank),
            "insertion_backwards": lambda held: (-held.born, -held.ended, held.rank),
            "arbitrary": lambda held: held.rank,
            "by_blocks": lambda held: (-(held.at // HOUR), held.at // grain, rank(held)),
            "shuffled": lambda _: chance(),
            "sorted_after_limit": rank,
        }
        return keys[order]

    def never_seen(self, row: Row) -> bool:
        """Whether no window around the row was answered before it was there."""
        spans = (self.span(window) for window in self.answered[: row.born])
        return not any(low <= row.at < high for low, high in spans)

    def saturates(self, where: Range, limit: int) -> bool:
        """Whether around some instant in, or beside, a range every window holds as many rows as a page."""
        size = min(limit, self.manners.cap)
        near = [held.at for held in self._all if where.start - 1000 <= held.at // 1000 <= where.end + 1000]
        return any(self._fewest(at, near) >= size for at in set(near))

    def _fewest(self, at: int, near: Sequence[int]) -> int:
        """The rows of the window around an instant that has the fewest.

        Where times are finer than milliseconds, of that around its second, because what is known may lie at whole seconds alone:
        then nothing tells how finely times are compared, and a window must hold a second's last microsecond too.
        """
        millis, step = at // 1000, max(1, self.manners.step // 1000)
        if self._finer:
            first = at // 1_000_000 * 1_000_000
            return sum(first - 1000 <= each <= first + 1_001_000 for each in near)
        cut = millis // step * step
        edges = sorted({edge for base in (millis, cut, cut + step) for edge in (base - 1, base, base + 1)})
        spans = {self.span(Window(start, till)) for start in edges for till in edges if start < till}
        return min(sum(low <= each < high for each in near) for low, high in spans if low <= at < high)


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
    return here == part.claim.keys_of(part.range)


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
        self._came.clear()
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

    def _page(self, asked: Asked, run: Run) -> Page:
        page = asked.page or self.server.page(asked.question.window, run.page_size)
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
            self._planner.answer(late.question, self._page(late, run).as_answer())

    def _leave(self) -> None:
        """Have all questions under way cancelled, as when the stream is left and iterated again."""
        self._under_way.clear()
        self._planner.forget()

    def _answer_outside(self, asked: Asked, run: Run) -> None:
        """Answer with a row that is more than a second away from the window: nothing of it may be used."""
        answer, window = self._page(asked, run).as_answer(), asked.question.window
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


def check_order(keys: Sequence[tuple[int, str]], *, newest_first: bool) -> None:
    """Insist on the order of the output."""
    for former, latter in pairwise(keys):
        ordered = former >= latter if newest_first else former <= latter
        check(ordered, f"{former} came before {latter}")


def check_rows(came: Counter[tuple[int, str, str]], must: Iterable[Row], may: Iterable[Row]) -> None:
    """Insist on all that must come, and nothing but what may."""
    lost = Counter(row.key for row in must) - came
    check(not lost, f"lost {lost.total()}: {sorted(lost)[:3]}")
    more = came - Counter(row.key for row in may)
    check(not more, f"{more.total()} came too often: {sorted(more)[:3]}")


def run(case: Case) -> Story:
    """Run a case, or raise `BrokenError`."""
    return Pull(case).run()
