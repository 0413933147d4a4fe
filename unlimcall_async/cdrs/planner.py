"""Which windows to ask, so that every record of a range comes once, in order.

Pure: no I/O, no clock, no asyncio. It is told of answers and says what to ask next.

Theory. The range is cut into parts. An answer that is not full is its whole window, so a part whose window was answered so is
done: its records are the rows within the part, and the rows around it, which the window's margins brought along, belong to other
parts. So overlapping windows yield nothing twice, and every instant is taken from exactly one answer. A full answer proves
nothing but that there is more: its part is cut in two. A part that cannot be cut, because its window would not become narrower, is
asked about its bounds (see `bounds`); if that leads nowhere, it is saturated, which is an error and never a loss.

Rules. Parts stand in the order of the output, and what is asked next is always the first that can be; so the output waits for as
little as possible, and what is held back for the order is bounded by the number of parts that may be under way or done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum

from attrs import define, field, frozen

from unlimcall_async.cdrs.bounds import Knowledge
from unlimcall_async.cdrs.instants import SECOND, WIDEST, Range, Window, micros_of
from unlimcall_async.models import CallRecord

# A window of the widest part, with its margins, still fits into what the API answers.
WIDEST_PART = WIDEST - 3 * SECOND
# Below that the instants of rows are remembered, to learn from them: only so small a part may need it.
_SMALL = 4 * SECOND


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
        records: Once it is done, its records, unsorted; once it is saturated, those that came.
        error: What became of it, once it has failed.
        window: The window to ask.
        tried: The windows whose answers were full, or told nothing.
        seen: The instants of rows in and around a small part, in microseconds.
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


class RowOutsideError(Exception):
    """A row lies outside its window by more than a second; `index` is its place in the answer."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Planner:
    """The plan for one range."""

    def __init__(self, wanted: Range, *, newest_first: bool) -> None:
        self._rest = wanted
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

    def next_question(self, ahead: int) -> Question | None:
        """Give the window to ask next, if there is one while no more than `ahead` parts are under way or done.

        The first part may always be asked, because all others wait for it.
        """
        busy = sum(part.state in {State.ASKED, State.DONE} for part in self._parts)
        if busy < ahead:
            self._cut_off_a_part_if_none_waits()
        for position, part in enumerate(self._parts):
            if part.state is State.WAITING and (busy < ahead or position == 0):
                part.state = State.ASKED
                return Question(part, part.window or self._knowledge.window_for(part.range))
        return None

    def _cut_off_a_part_if_none_waits(self) -> None:
        if not len(self._rest) or any(part.state is State.WAITING for part in self._parts):
            return
        rest, cut = self._rest, min(len(self._rest), WIDEST_PART)
        if self._newest_first:
            wanted, self._rest = Range(rest.end - cut, rest.end), Range(rest.start, rest.end - cut)
        else:
            wanted, self._rest = Range(rest.start, rest.start + cut), Range(rest.start + cut, rest.end)
        self._parts.append(Part(wanted))

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
        question.part.state, question.part.error = State.FAILED, error

    def put_back(self, question: Question) -> None:
        """Say that a question was not asked after all."""
        question.part.state = State.WAITING

    def forget(self) -> None:
        """Say that no question is under way any more, and that failures may be tried again."""
        for part in self._parts:
            if part.state in {State.ASKED, State.FAILED, State.SATURATED}:
                part.state, part.error = State.WAITING, None

    def answer(self, question: Question, rows: Sequence[CallRecord], *, complete: bool) -> None:
        """Take an answer.

        Raises:
            RowOutsideError: A row is not of that window. Nothing of the answer was used.
        """
        part, window = question.part, question.window
        instants = [micros_of(row.start_time) for row in rows]
        _check_inside(window, instants)
        missing = part.seen.difference(instants) if complete else ()
        self._knowledge.learn(window, instants, missing)
        within = [row for row, at in zip(rows, instants, strict=True) if _holds(part.range, at)]
        if complete and self._knowledge.surely_covers(window, part.range):
            part.state, part.records = State.DONE, within
            return
        part.tried.add(window)
        if not complete:
            part.records = within
        if len(part.range) <= _SMALL:
            part.seen |= set(instants)
        self._go_on(part)

    def _go_on(self, part: Part) -> None:
        """Find what to do with a part whose window was full."""
        part.window = next((window for window in self._options(part) if window not in part.tried), None)
        if part.window is not None:
            part.state = State.WAITING
        elif halves := self._halves(part.range):
            self._replace(part, [Part(half, seen=part.seen) for half in halves])
        else:
            part.window = next(
                (window for window in self._knowledge.telling([*part.seen]) if window not in part.tried), None
            )
            part.state = State.SATURATED if part.window is None else State.WAITING

    def _options(self, part: Part) -> Iterator[Window]:
        """The windows that cover a part, each narrower than, or beside, the one before."""
        yield self._knowledge.window_for(part.range)
        if part.seen and not any(at % 1000 for at in part.seen):
            yield self._knowledge.window_for(part.range, whole=True)
            # Where both bounds are included, a millisecond comes with a neighbour; it may be either.
            start = part.range.start
            beside = (Window(start, start + 1), Window(start - 1, start)) if len(part.range) == 1 else ()
            yield from (window for window in beside if self._knowledge.surely_covers(window, part.range))

    def _halves(self, whole: Range) -> list[Range]:
        """Cut a range in two, at a multiple of the step, so that the windows of both are narrower; or not at all."""
        step = self._knowledge.step
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


def _holds(wanted: Range, micros: int) -> bool:
    return wanted.start * 1000 <= micros < wanted.end * 1000


def _check_inside(window: Window, instants: Sequence[int]) -> None:
    first, last = (window.start - SECOND) * 1000, (window.till + SECOND) * 1000
    for index, at in enumerate(instants):
        if not first <= at <= last:
            raise RowOutsideError(index)
