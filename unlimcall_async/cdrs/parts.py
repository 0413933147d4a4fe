"""The parts of a range, and the windows that are asked for them.

Pure: no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import define, field, frozen

from unlimcall_async.cdrs.answer import Answer, Key
from unlimcall_async.cdrs.estimates import Density, Sample
from unlimcall_async.cdrs.instants import SECOND, WIDEST, Range, Window
from unlimcall_async.models import CallRecord

# A window of the widest part, with its margins of up to two seconds, still fits into what the API answers.
WIDEST_PART: Final = WIDEST - 4 * SECOND


class State(Enum):
    """How far a part is."""

    WAITING = "waiting"
    ASKED = "asked"
    CLAIMED = "claimed"
    DONE = "done"
    SATURATED = "saturated"
    FAILED = "failed"


@define(eq=False)
class Part:
    """A part of the range.

    Attributes:
        range: The milliseconds that it stands for.
        state: How far it is.
        records: Its records, in the order of the output with the oldest first: once it is done, or as they are claimed. Where there
            is no end of them, the most of them that came in one answer.
        error: What became of it, once it has failed.
        question: What was asked for it last.
        size: The rows of the answer that it was taken from.
        claim: The full page that claims to show all of it, as long as that is neither accepted nor proven.
        came: The number of the answer that claims it.
        agreed: Whether the answer behind them agrees.
        rests: Whether its records rest on a proven order, not on an answer that is complete for it.
        seam: What its answer must agree with.
        check: What is held while it is asked whether its answer was cut short.
        sample: Rows of an answer that was not whole, which tell how its records lie.
        density: What its neighbours held, where that says more than what was covered lately.
        expected: How many records it should hold, where it was cut to fill a page; else 0.
        depth: How many pages are held behind it, in the chain that it goes on with.
        gaps: How many gaps were left behind it, because there were too many.
        window: The window to ask, where a second is taken apart; `None` for the one with margins.
        tried: The windows that were asked without the margins.
        seen: The instants of rows in and around a second that is taken apart, in microseconds.
    """

    range: Range
    state: State = State.WAITING
    records: list[CallRecord] = field(factory=list)
    error: Exception | None = None
    question: Question | None = None
    size: int = 0
    claim: Answer | None = None
    came: int = 0
    agreed: bool = False
    rests: bool = False
    seam: Seam | None = None
    check: Check | None = None
    sample: Sample | None = None
    density: Density | None = None
    expected: float = 0.0
    depth: int = 0
    gaps: int = 0
    window: Window | None = None
    tried: set[Window] = field(factory=set)
    seen: frozenset[int] = frozenset()

    @property
    def untouched(self) -> bool:
        """Whether nothing is known of it alone, so that its edges may be moved."""
        known = self.seam, self.claim, self.check, self.sample, self.window
        return self.state is State.WAITING and known == (None,) * len(known) and not self.expected

    @property
    def held(self) -> int:
        """How many records it holds for their turn."""
        if self.check is not None:
            return len(self.check.records)
        return len(self.records) if self.state is State.DONE or self.claim is not None else 0

    def to_ask(self, *, newest_first: bool) -> tuple[Range, Window]:
        """What to ask of it next, and the window, where the output is to have the newest or the oldest first."""
        if self.check is not None:
            wanted = self.range if self.check.again else self.check.range
            return wanted, with_margins(wanted)
        wanted = far_end(self.range, self.seam, newest_first=newest_first)
        return wanted, self.window or with_margins(wanted, self.seam)

    def cut(self, at: int) -> list[Part]:
        """Cut it in two: the earlier piece, and the later one. The seam goes with the piece that has it at its edge."""
        ranges = Range(self.range.start, at), Range(at, self.range.end)
        pieces = [Part(each, sample=self.sample, density=self.density) for each in ranges]
        if self.seam is not None:
            pieces[self.seam.newest_first].seam = self.seam
        return pieces

    def take_in(self, other: Range) -> None:
        """Take in a range that lies beside it."""
        self.range = Range(min(self.range.start, other.start), max(self.range.end, other.end))

    def finish(self, records: list[CallRecord], size: int) -> None:
        """Take the records from an answer that is complete for it."""
        self.state, self.records, self.size = State.DONE, records, size
        self.claim, self.check, self.rests = None, None, False

    def accept(self) -> None:
        """Take what was claimed of it."""
        self.state, self.claim, self.rests = State.DONE, None, True

    def ask_again(self) -> None:
        """Drop what it has."""
        self.state, self.records, self.claim, self.agreed, self.rests = State.WAITING, [], None, False, False


@frozen
class Check:
    """What is held of an answer while a piece of its range is asked again, to tell whether it was cut short.

    Attributes:
        range: The piece.
        records: The answer's records.
        keys: The instants and ids of its rows.
        size: Its rows.
        known: How many rows its window is known to hold; more than it had, once the piece held more.
        again: Whether the whole range is to be asked again.
    """

    range: Range
    records: list[CallRecord]
    keys: Counter[Key]
    size: int
    known: int
    again: bool = False


@frozen
class Question:
    """A window to ask, for a part, or for as much of a long one as a window covers."""

    part: Part
    range: Range
    window: Window


@frozen
class Seam:
    """What the answer for the rest of a window must agree with: the page that came before it, and the part it stands for.

    Attributes:
        claim: The part whose records that page claims to be.
        newest_first: Which rows the page claims to be the first of.
        reach: How far the next window reaches into the page, in milliseconds: it overlaps it by 8 rows at least.
        edge: From here on (up to here, with the oldest first) the page claims to hold all rows. In milliseconds.
        near: The instants and ids of the page's rows that the next window may hold, in order.
        others: How many rows the page has besides.
        far_end: The other end of the window that was asked.
        total: How many rows that window holds, if the answer told.
    """

    claim: Part
    newest_first: bool
    reach: int
    edge: int
    near: Sequence[Key]
    others: int
    far_end: int
    total: int | None


def far_end(wanted: Range, seam: Seam | None, *, newest_first: bool) -> Range:
    """As much of the end of a range that is put out last as fits into a window: that is where a chain against the order begins."""
    widest = widest_of(wanted, seam)
    if newest_first:
        return Range(wanted.start, min(wanted.end, wanted.start + widest))
    return Range(max(wanted.start, wanted.end - widest), wanted.end)


def widest_of(wanted: Range, seam: Seam | None) -> int:
    """How much of a range fits into a window, with its margins and its seam."""
    if seam is None:
        return WIDEST_PART
    return WIDEST_PART - max(0, seam.reach - wanted.end if seam.newest_first else wanted.start - seam.reach)


def with_margins(wanted: Range, seam: Seam | None = None) -> Window:
    """The window that holds a range whichever way the server reads its bounds, if its times are right to a second."""
    start, till = wanted.start // SECOND * SECOND - SECOND, -(-wanted.end // SECOND) * SECOND + SECOND
    if seam is None:
        return Window(start, till)
    return Window(start, max(till, seam.reach)) if seam.newest_first else Window(min(start, seam.reach), till)
