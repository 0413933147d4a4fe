"""Which windows to ask, so that every record of a range comes once, in order.

Pure: no I/O, no clock, no asyncio. It is told of answers and says what to ask next.

Theory. The range is cut into parts. A part is asked for with margins of a second or more on either side, which makes it
irrelevant whether the server includes its bounds and how it compares them. An answer that is not full is its whole window, so
the part is done: its records are the rows within it, and the rows of the margins belong to other parts. So overlapping windows
yield nothing twice, and every instant is taken from exactly one answer. A full answer proves nothing but that there is more:
its part is cut in two. A single second that is still full is taken apart by what can be learned of the server's bounds (see
`bounds`); a part that cannot be taken apart any further is saturated, which is an error and never a loss.

Rules. Parts stand in the order of the output, and what is asked next is always the first that can be; so the output waits for
as little as possible, and what is held back for the order is bounded by the number of parts that may be under way or done.
Nothing is asked behind a part that has failed: nobody could use it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from attrs import define, field, frozen

from unlimcall_async.cdrs.bounds import Knowledge
from unlimcall_async.cdrs.instants import SECOND, WIDEST, Range, Window
from unlimcall_async.models import CallRecord

# A window of the widest part, with its margins of up to two seconds, still fits into what the API answers.
WIDEST_PART = WIDEST - 4 * SECOND
# Questions about a single part: far more than any server takes that can be told apart, so that none is asked without end.
_PATIENCE = 40


class State(Enum):
    """How far a part is."""

    WAITING = "waiting"
    ASKED = "asked"
    DONE = "done"
    SATURATED = "saturated"
    FAILED = "failed"


@define(eq=False)
class Part:
    """A part of the range.

    Attributes:
        range: The milliseconds that it stands for.
        state: How far it is.
        records: Its records, unsorted, once it is done; until then the most of them that came in one answer.
        error: What became of it, once it has failed.
        window: The window to ask; `None` for the one with margins.
        tried: The windows that were asked without the margins.
        seen: The instants of rows in and around a second that is taken apart, in microseconds.
    """

    range: Range
    state: State = State.WAITING
    records: list[CallRecord] = field(factory=list)
    error: Exception | None = None
    window: Window | None = None
    tried: set[Window] = field(factory=set)
    seen: frozenset[int] = frozenset()


@frozen
class Question:
    """A window to ask, for a part."""

    part: Part
    window: Window


@frozen
class Answer:
    """What came for a question.

    Attributes:
        rows: The rows, as they came.
        instants: When each of them starts, in microseconds.
        count: What the answer says of their number.
        complete: Whether there are fewer rows than were asked for, and `count` is no more than they are.
    """

    rows: Sequence[CallRecord]
    instants: Sequence[int]
    count: int
    complete: bool


class RowOutsideError(Exception):
    """A row lies outside its window by more than a second; `index` is its place in the answer."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Planner:
    """The plan for one range."""

    def __init__(
        self, wanted: Range, *, newest_first: bool, page_size: int = 1000, concurrency: int = 4, seek: bool = True
    ) -> None:
        self._rest = wanted
        self._ahead = 2 * concurrency
        self._newest_first = newest_first
        self._parts: deque[Part] = deque()
        self._knowledge = Knowledge()

    @property
    def finished(self) -> bool:
        """Whether all parts were taken."""
        return not self._parts and not len(self._rest)

    @property
    def edge(self) -> int:
        """The millisecond up to which (from which on, with the newest first) all parts were taken."""
        part = self._parts[0].range if self._parts else self._rest
        return part.end if self._newest_first else part.start

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return sum(len(part.records) for part in self._parts if part.state is State.DONE)

    def next_question(self) -> Question | None:
        """Give the window to ask next, if there is one while no more than `ahead` parts are under way or done.

        The first part may always be asked, because all others wait for it.
        """
        ahead = self._ahead
        busy = sum(part.state in {State.ASKED, State.DONE} for part in self._parts)
        for position, part in enumerate(self._parts):
            if part.state in {State.FAILED, State.SATURATED}:
                return None
            if part.state is State.WAITING:
                return self._ask(part) if busy < ahead or position == 0 else None
        return self._ask(self._cut_off()) if len(self._rest) and busy < ahead else None

    def _ask(self, part: Part) -> Question:
        part.state = State.ASKED
        return Question(part, part.window or _with_margins(part.range))

    def _cut_off(self) -> Part:
        """Cut the next part off the rest."""
        rest, cut = self._rest, min(len(self._rest), WIDEST_PART)
        if self._newest_first:
            wanted, self._rest = Range(rest.end - cut, rest.end), Range(rest.start, rest.end - cut)
        else:
            wanted, self._rest = Range(rest.start, rest.start + cut), Range(rest.start + cut, rest.end)
        self._parts.append(Part(wanted))
        return self._parts[-1]

    def take_first(self) -> Part | None:
        """Give the first part, if it is done or can go no further. A part that is done is taken off the plan."""
        if not self._parts or self._parts[0].state in {State.WAITING, State.ASKED}:
            return None
        part = self._parts[0]
        if part.state is State.DONE:
            self._parts.popleft()
        return part

    def fail(self, question: Question, error: Exception) -> None:
        """Say that a question got no answer: the error is for when all before it has been put out."""
        if question.part.state is State.ASKED:
            question.part.state, question.part.error = State.FAILED, error

    def put_back(self, question: Question) -> None:
        """Say that a question was not asked after all."""
        question.part.state = State.WAITING

    def forget(self) -> None:
        """Say that no question is under way any more, and that failures may be tried again."""
        for part in self._parts:
            if part.state is not State.DONE:
                part.state, part.error = State.WAITING, None

    def answer(self, question: Question, answer: Answer) -> None:
        """Take an answer.

        Raises:
            RowOutsideError: A row is not of that window. Nothing of the answer was used.
        """
        part, window = question.part, question.window
        if part.state is not State.ASKED:
            return  # it came too late: the part was given back
        rows, instants, complete = answer.rows, answer.instants, answer.complete
        _check_inside(window, instants)
        self._knowledge.finer = self._knowledge.finer or any(at % 1000 for at in instants)
        within = [row for row, at in zip(rows, instants, strict=True) if _holds(part.range, at)]
        if self._is_whole(part, window, instants, complete=complete):
            part.state, part.records = State.DONE, within
            return
        part.records = max(part.records, within, key=len)
        halves = self._halves(part.range, SECOND) if part.window is None else []
        if halves:
            self._replace(part, [Part(half) for half in halves])
        else:
            part.seen |= set(instants)
            part.tried.add(window)
            self._take_apart(part)

    def _is_whole(self, part: Part, window: Window, instants: Sequence[int], *, complete: bool) -> bool:
        """Whether an answer holds all of a part."""
        if part.window is None:
            return complete
        missing = part.seen.difference(instants) if complete else set()
        self._knowledge.learn(window, instants, missing)
        if not complete or self._knowledge.lost or not self._knowledge.surely_covers(window, part.range):
            return False
        # It must hold the rows that are known. If it does not, the server is like no hypothesis.
        self._knowledge.lost = any(_holds(part.range, at) for at in missing)
        return not self._knowledge.lost

    def _take_apart(self, part: Part) -> None:
        """Find what to ask next about a second, or less, that does not fit on a page."""
        part.state, part.window = State.WAITING, None
        if not self._knowledge.lost and len(part.tried) < _PATIENCE:
            part.window = _first_untried(part, self._options(part))
            if part.window is None and (halves := self._halves(part.range, self._knowledge.step)):
                self._replace(part, [self._piece(part, half) for half in halves])
                return
            part.window = part.window or _first_untried(part, self._knowledge.telling([*part.seen]))
        if part.window is None:
            part.state = State.SATURATED

    def _piece(self, part: Part, wanted: Range) -> Part:
        piece = Part(wanted, seen=part.seen)
        piece.window = next(self._options(piece))
        return piece

    def _options(self, part: Part) -> Iterator[Window]:
        """The windows that cover a part: first one with a margin, and without it only where nothing can be cut any more.

        For a millisecond there may be one on either side, if both bounds are included.
        """
        narrowest = self._knowledge.window_for(part.range)
        yield Window(narrowest.start - 1, narrowest.till + 1)
        if not self._halves(part.range, self._knowledge.step):
            yield narrowest
        if len(part.range) == 1:
            start = part.range.start
            either = (Window(start, start + 1), Window(start - 1, start))
            yield from (window for window in either if self._knowledge.surely_covers(window, part.range))

    def _halves(self, whole: Range, step: int) -> list[Range]:
        """Cut a range in two, at a multiple of the step; or not at all."""
        middle = max((whole.start + whole.end) // 2 // step * step, whole.start // step * step + step)
        if not whole.start < middle < whole.end:
            return []
        halves = [Range(whole.start, middle), Range(middle, whole.end)]
        return halves[::-1] if self._newest_first else halves

    def _replace(self, part: Part, parts: list[Part]) -> None:
        position = self._parts.index(part)
        del self._parts[position]
        for offset, new in enumerate(parts):
            self._parts.insert(position + offset, new)


def _first_untried(part: Part, windows: Iterable[Window]) -> Window | None:
    return next((window for window in windows if window not in part.tried), None)


def _with_margins(wanted: Range) -> Window:
    """The window that holds a range whichever way the server reads its bounds, if its times are right to a second."""
    return Window(wanted.start // SECOND * SECOND - SECOND, -(-wanted.end // SECOND) * SECOND + SECOND)


def _holds(wanted: Range, micros: int) -> bool:
    return wanted.start * 1000 <= micros < wanted.end * 1000


def _check_inside(window: Window, instants: Sequence[int]) -> None:
    first, last = (window.start - SECOND) * 1000, (window.till + SECOND) * 1000
    for index, at in enumerate(instants):
        if not first <= at <= last:
            raise RowOutsideError(index)
