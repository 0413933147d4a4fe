"""The parts of a range: every state that a part can be in, and every transition between them.

Pure: no I/O. Whatever changes the state of a part stands here, and nobody else assigns a state.

A part is a piece of the range whose records come from one page. Each state is a class that has just what the state needs, so that
a combination that makes no sense cannot be built. A part that waits, and a part that was asked, have a task: what the page is for.

    state      what is known of the part                                  task, while the part waits or was asked
    ---------  ---------------------------------------------------------  -----------------------------------------------------
    Waiting    nothing is under way                                       Read     its records, in the window with margins
    Asked      a question is under way                                    Prove    that a claim holds just its records
    Claimed    a full page claims to hold all of its records              Probe    pieces of it: was its page cut short?
    Done       its records are known                                      Recheck  all of it: the probe found more rows
    Saturated  the finest window of it is still full                      Resolve  a second or less, in a window without margins
    Failed     its question got no answer                                 Gauge    how the server treats bounds, amid known rows

    transition  from                  to                 when
    ----------  --------------------  -----------------  -------------------------------------------------------------------
    ask         Waiting(task)         Asked(task)        its turn has come
                Claimed(claim)        Asked(Prove)       an order is to be proven by the claim
    put_back    Asked(task)           Waiting(task)      the question was not sent, or nobody waits for its answer any more
    fail        Asked(task)           Failed(task)       the question got an error
    finish      Asked                 Done               a page is complete for the part
    turn_to     Asked                 Waiting(new task)  the page was not enough, and another question is to follow
    repeat      Asked(task)           Waiting(task)      `count` is above the rows: the same window is asked once more
    clear       Waiting(Probe)        Done               another page has shown that the page was not cut short
    saturate    Asked                 Saturated          no window is left that could show more of it
    agree       Claimed               Claimed, agreed    the page behind it repeats the rows that both hold
    accept      Claimed               Done, by order     the claim agrees, and the server's order is proven
    doubt       Claimed               Waiting(Prove)     the page behind it disagrees, failed, or a proof is due
    ask_again   Waiting(any task),    Waiting(Read)      what the part had is dropped: its order was withdrawn, its page was cut
                Claimed, Done                            short, or it takes room that an earlier part needs
                Asked                 Asked(Read)        the same, while a question is under way: its page is that of any window
                Failed                Failed(Read)       the same, after a failure
    reset       Asked, Failed(task)   Waiting(task)      the iteration has ended: its questions are not under way any more
                Saturated             Waiting(Read)      the same: its records may fit by now. Other states stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Self, TypeAlias

from attrs import evolve, frozen

from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.page import Basis, Key, Page
from unlimcall_async.cdrs.planner.tasks import Claim, Gauge, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.rows import Row, UnplacedRow
from unlimcall_async.cdrs.times import SECOND, Range, Window

# --- seams and tasks ------------------------------------------------------------------------------------------------------


@frozen
class Seam:
    """What the page behind a claim must agree with.

    Attributes:
        claimed: The part that the claim stands for.
        descending: The server order that the claim rests on: true for the newest first.
        reach: How far the next window reaches into the page, in microseconds: the two overlap by 8 rows at least.
        edge: From here on (up to here, in ascending order) the page claims to hold all rows. In microseconds.
        near: The keys of the page's rows that the next window may hold, in the order of the output.
        others: How many rows the page has beside those of `near`.
        far_end: The other end of the window that was asked, in microseconds.
        total: How many rows that window holds, or `None` if the page does not tell.
    """

    claimed: Part
    descending: bool
    reach: int
    edge: int
    near: Sequence[Key]
    others: int
    far_end: int
    total: int | None


@frozen
class Read:
    """Ask for the records of the part. Behind a claim the window overlaps the page, and `seam` is what must agree there."""

    seam: Seam | None = None


Task: TypeAlias = Read | Prove | Probe | Recheck | Resolve | Gauge


# --- states ---------------------------------------------------------------------------------------------------------------


@frozen
class Question:
    """A window to ask: for a part, or for as much of a long part as a window covers, which is `range`.

    `repeats` is how often the window was asked before, because `count` was above the rows.
    """

    part: Part
    range: Range
    window: Window
    repeats: int = 0


@frozen
class Waiting:
    """Nothing is under way for the part. `repeat` is the question to ask once more, as it was, if there is one."""

    task: Task = Read()
    repeat: Question | None = None


@frozen
class Asked:
    """A question is under way for the part."""

    task: Task
    question: Question


@frozen
class Claimed:
    """A full page claims to hold all records of the part.

    `repeated` is how many of its rows the page behind it repeats, once the two agree.
    """

    claim: Claim
    repeated: int | None = None

    @property
    def agreed(self) -> bool:
        """Whether the page behind the claim repeats what both hold."""
        return self.repeated is not None


@frozen
class Done:
    """The records of the part are known.

    Attributes:
        records: The records, the oldest first.
        rows: How many rows the page had that they were taken from, or 0 for a claim that was accepted, and for a page that was
            checked and was not cut short.
        basis: The page that the records rest on.
        unplaced: The rows without a start that the page showed.
    """

    records: Sequence[Row]
    rows: int
    basis: Basis
    unplaced: Sequence[UnplacedRow] = ()

    @classmethod
    def of(cls, page: Page, wanted: Range, window: Window, *, checked: bool = False) -> Self:
        """Return the state of a part with this range, for which a page that is all of a window is complete."""
        basis = Basis(window, page.size, page.count)
        return cls(page.rows_of(wanted), 0 if checked else page.size, basis, page.own_unplaced)

    @property
    def by_order(self) -> bool:
        """Whether the records rest on a proven order, not on a page that is complete for the part."""
        return self.basis.repeated is not None


@frozen
class Saturated:
    """The finest window that the server tells apart is still full. `records` are the most that came in one page."""

    records: Sequence[Row]


@frozen
class Failed:
    """The part's question got an error."""

    task: Task
    error: Exception


State: TypeAlias = Waiting | Asked | Claimed | Done | Saturated | Failed

# The table of the module's docstring: the state that a transition leads to, by its name and the state that it leaves.
_TRANSITIONS: Final[dict[tuple[str, type], type]] = {
    ("ask", Waiting): Asked,
    ("ask", Claimed): Asked,
    ("put_back", Asked): Waiting,
    ("fail", Asked): Failed,
    ("finish", Asked): Done,
    ("turn_to", Asked): Waiting,
    ("repeat", Asked): Waiting,
    ("clear", Waiting): Done,
    ("saturate", Asked): Saturated,
    ("agree", Claimed): Claimed,
    ("accept", Claimed): Done,
    ("doubt", Claimed): Waiting,
    ("ask_again", Waiting): Waiting,
    ("ask_again", Claimed): Waiting,
    ("ask_again", Done): Waiting,
    ("ask_again", Asked): Asked,
    ("ask_again", Failed): Failed,
    ("reset", Asked): Waiting,
    ("reset", Failed): Waiting,
    ("reset", Saturated): Waiting,
}

# A piece that is this long is asked with margins of whole seconds at first: they are little of it.
_LONG: Final = 60 * SECOND


class IllegalTransitionError(Exception):
    """A part was to make a transition that its table does not have: a fault of the planner."""


class Part:
    """A part of the range.

    Attributes:
        range: The time that it stands for.
        hints: What is known of how its records lie.
        held: How many records it keeps for their turn.
        state: The state. Only the transitions below assign it.
        task: What the next page is for, or `None` for a part that neither waits nor was asked.
        watcher: Called with the part and -1 before its state changes, and with 1 afterwards; or `None`.
    """

    # The plan looks at the states and tasks of its parts for each request: hence attributes, and not properties.
    state: State
    task: Task | None
    held: int
    watcher: Callable[[Part, int], None] | None = None

    def __init__(self, wanted: Range, state: Waiting | Claimed | None = None, hints: Hints | None = None) -> None:
        self.range: Range = wanted
        self.hints: Hints = hints or Hints()
        self._enter(state or Waiting())

    # --- what the state says ------------------------------------------------------------------------------------------

    @property
    def question(self) -> Question | None:
        """The question that is under way."""
        return self.state.question if isinstance(self.state, Asked) else None

    @property
    def repeat(self) -> Question | None:
        """The question that is to be asked once more, as it was."""
        return self.state.repeat if isinstance(self.state, Waiting) else None

    @property
    def seam(self) -> Seam | None:
        """What the next page must agree with."""
        task = self.task
        return task.seam if isinstance(task, Read) else None

    @property
    def records(self) -> Sequence[Row]:
        """The records of a part that is done, or those that are known of a part that is saturated; the oldest first."""
        return self.state.records if isinstance(self.state, (Done, Saturated)) else []

    @property
    def untouched(self) -> bool:
        """Whether nothing is known of this part alone, so that its edges may be moved."""
        reads = self.state == Waiting()
        return reads and self.hints.sample is None and not (self.hints.expected or self.hints.searched)

    # --- transitions --------------------------------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        self.state = state
        self.task = state.task if isinstance(state, (Waiting, Asked)) else None
        # A part keeps the records of its state, or of the task that it waits for, was asked for, or failed at.
        match state.task if isinstance(state, (Waiting, Asked, Failed)) else state:
            case Read():  # first of all, because most parts are only to be read
                self.held = 0
            case Done(records=held) | Probe(records=held) | Claimed(Claim(records=held)) | Prove(Claim(records=held)):
                self.held = len(held)
            case Gauge(page=page):
                self.held = len(page.rows)
            case _:
                self.held = 0

    def _move(self, transition: str, state: State) -> None:
        if _TRANSITIONS.get((transition, type(self.state))) is not type(state):
            raise IllegalTransitionError(f"{transition}: {type(self.state).__name__} to {type(state).__name__}")
        watch = self.watcher
        if watch is not None:
            watch(self, -1)
        self._enter(state)
        if watch is not None:
            watch(self, 1)

    def ask(self, question: Question) -> None:
        """Note that a question is under way. A part that is claimed is asked to prove the claim."""
        state = self.state
        task = Prove(state.claim) if isinstance(state, Claimed) else self.task or Read()
        self._move("ask", Asked(task, question))

    def put_back(self) -> None:
        """Note that the question is not under way any more."""
        self._move("put_back", Waiting(self.task or Read()))

    def fail(self, error: Exception) -> None:
        """Note that the question got an error."""
        self._move("fail", Failed(self.task or Read(), error))

    def finish(self, done: Done) -> None:
        """Enter `Done` with what a page that is complete for the part holds of the part."""
        self._move("finish", done)

    def turn_to(self, task: Task) -> None:
        """Have another question follow the page that came."""
        self._move("turn_to", Waiting(task))

    def ask_once_more(self) -> None:
        """Have the same window asked again: `count` was above the rows that came."""
        question = self.question
        again = None if question is None else evolve(question, repeats=question.repeats + 1)
        self._move("repeat", Waiting(self.task or Read(), again))

    def clear(self) -> None:
        """Enter `Done` with the records of a page that waited to be checked."""
        task = self.task
        if not isinstance(task, Probe):
            raise IllegalTransitionError(f"clear: {type(self.state).__name__} to Done")
        self._move("clear", Done(task.records, task.rows, task.basis))

    def saturate(self, records: Sequence[Row]) -> None:
        """Note that no window tells more of the part than these records."""
        self._move("saturate", Saturated(list(records)))

    def agree(self, repeated: int) -> None:
        """Note that the page behind the claim repeats what both hold, which is so many rows."""
        if isinstance(self.state, Claimed):
            self._move("agree", Claimed(self.state.claim, repeated))

    def accept(self) -> None:
        """Enter `Done` with the records that were claimed."""
        if isinstance(self.state, Claimed):
            claim, repeated = self.state.claim, self.state.repeated or 0
            basis = Basis(claim.window, claim.page.size, claim.page.count, repeated)
            self._move("accept", Done(claim.records, 0, basis))

    def doubt(self) -> None:
        """Have the claim asked, if it still rests on its page alone."""
        if isinstance(self.state, Claimed):
            self._move("doubt", Waiting(Prove(self.state.claim)))

    def ask_again(self) -> None:
        """Drop what the part has. A question that is under way goes on as that of any window."""
        if self.seam is not None:
            # No page will repeat the rows of the claim any more.
            self.seam.claimed.doubt()
        match self.state:
            case Asked(question=question):
                self._move("ask_again", Asked(Read(), question))
            case Failed(error=error):
                self._move("ask_again", Failed(Read(), error))
            case _:
                self._move("ask_again", Waiting())

    def reset(self) -> None:
        """Return the part to waiting if it was asked, has failed or is saturated."""
        match self.state:
            case Asked(task=task) | Failed(task=task):
                self._move("reset", Waiting(task))
            case Saturated():
                # The window with margins, which the part began with.
                self._move("reset", Waiting())
            case _:
                pass

    # --- its range ----------------------------------------------------------------------------------------------------

    def cut(self, at: int) -> list[Part]:
        """Return two parts for this one: the earlier, and the later. The seam goes with the piece that has it at its edge."""
        seam, hints = self.seam, self.hints

        def piece(wanted: Range, *, at_seam: bool) -> Part:
            # What lies beyond the rows that are known need not be dense: finer margins would only raise doubts there.
            known = at_seam if seam is not None else hints.sample is None or hints.sample.count(wanted) > 0
            dense = hints.dense and (known or len(wanted) < _LONG)
            kept = Hints(hints.sample, hints.density, dense=dense, doubts=hints.doubts, doubted=hints.doubted)
            return Part(wanted, Waiting(Read(seam)) if at_seam else None, kept)

        # A server in descending order claims the later end of its window, so its seam lies at the later edge.
        at_later_edge = seam is not None and seam.descending
        return [
            piece(Range(self.range.start, at), at_seam=seam is not None and not at_later_edge),
            piece(Range(at, self.range.end), at_seam=at_later_edge),
        ]

    def take_in(self, other: Range) -> None:
        """Extend the part by a range that lies beside it, of which a page that was doubted says nothing. The doubts still count."""
        self.range = Range(min(self.range.start, other.start), max(self.range.end, other.end))
        self.hints = evolve(self.hints, doubted=None)
