"""Which windows to ask, so that every record of a range comes once, in order, in few requests.

Pure: no I/O, no clock, no asyncio. It is told of answers and says what to ask next.

Theory. The range is cut into parts. A part is asked for with margins of a second or more on either side, which makes it
irrelevant whether the server includes its bounds and how it compares them. An answer that is not full is its whole window, so
the part is done: its records are the rows within it, and the rows of the margins belong to other parts. So overlapping windows
yield nothing twice, and every instant is taken from exactly one answer.

A full answer proves nothing but that there is more. If it is sorted, it claims one end of its part, and the rest is asked next, in
a window that overlaps the claim: thus a chain of pages goes through a part. What a claim is worth, and how it is proven, `seams`
and `ordering` say. If it is not sorted, or of no use as a claim, its part is cut where the answer's rows suggest (`cutting`). A
single second that is still full is taken apart by what can be learned of the server's bounds (`narrow`); a part that cannot be
taken apart any further is saturated, which is an error and never a loss.

Assumptions (contract: section 2). An answer with fewer rows than the limit, whose `count` is not above them, is its whole window;
a row lies within a second of its window; bounds are compared at one second or finer; rows may appear but do not vanish or move;
and an order that was proven on a page holds on later pages that arrive sorted and agree at the seam. The last is not used where
`seek` is false.

Rules. Parts stand in the order of the output (`line`), and what is asked next is the first that can be, so that the output waits
for as little as possible; but a claim that is to prove the order, or a part that is to show how long calls last, goes before, and
a part that is better cut by an answer under way waits for it. What is held for the order is bounded: behind a part that waits for
the reader nothing is asked once the buffer is full. Chains against the output's order hold all their pages until they reach the
near end, so they are kept short, and cut where they turn out to be longer than was expected. Nothing is asked behind a part that
has failed: nobody could use it. When a proof is withdrawn, whatever rests on it and was not yet handed out is asked again.

Doubts. A server that sorts but for a few rows is taken for one that sorts until one of those rows shows, in a proof, at a seam, or
as a page that goes back and forth. `seek=False` is for such a server. See also `bounds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.answer import Answer, check_inside
from unlimcall_async.cdrs.caps import AnswersCutError, Caps
from unlimcall_async.cdrs.cutting import BUFFER, Cutter, Sizes
from unlimcall_async.cdrs.instants import Range, Window
from unlimcall_async.cdrs.line import Line
from unlimcall_async.cdrs.narrow import Narrow, is_narrow
from unlimcall_async.cdrs.ordering import Ordering
from unlimcall_async.cdrs.parts import Check, Part, Question, Seam, State, widest_of
from unlimcall_async.cdrs.seams import Verdict, claim_of, verdict
from unlimcall_async.models import CallRecord

# Compared one by one: a set would have to work out a hash.
_UNDER_WAY: Final = (State.WAITING, State.ASKED, State.CLAIMED)
_ENDS: Final = (State.FAILED, State.SATURATED)


@frozen
class Tally:
    """How often something has happened: orders proven, claims that were not as claimed, proofs withdrawn, caps found."""

    proofs: int
    spoiled: int
    withdrawn: int
    caps: int


class Planner:
    """The plan for one range."""

    def __init__(
        self,
        wanted: Range,
        *,
        newest_first: bool,
        page_size: int = 1000,
        concurrency: int = 4,
        seek: bool = True,
        buffer: int = BUFFER,
    ) -> None:
        self._newest_first = newest_first
        self._sizes = Sizes.of(page_size, concurrency, buffer)
        self._line = Line(wanted, self._sizes, newest_first=newest_first)
        self._ordering = Ordering(seek=seek)
        self._caps = Caps(page_size)
        self._narrow = Narrow()
        self._cutter = Cutter(self._sizes, self._ordering, newest_first=newest_first)
        self._largest_taken = self._answers = 0

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all parts were taken."""
        return self._line.first is None

    @property
    def edge(self) -> int:
        """The millisecond up to which (from which on, with the newest first) all parts were taken."""
        return self._line.edge

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return self._line.held

    @property
    def seeks(self) -> bool:
        """Whether an order is proven."""
        return self._ordering.newest_first is not None

    @property
    def tally(self) -> Tally:
        """How often something has happened."""
        order = self._ordering
        return Tally(order.proofs, order.spoiled, order.withdrawn, self._caps.found)

    def take_first(self) -> Part | None:
        """Give the first part, if it is done or can go no further. A part that is done is taken off the plan."""
        part = self._line.first
        if part is None or part.state in _UNDER_WAY:
            return None
        if part.state is State.DONE:
            self._line.take_first()
            self._largest_taken = max(self._largest_taken, part.size)
        return part

    # --- what to ask ----------------------------------------------------------------------------------------------------

    def next_question(self) -> Question | None:
        """Give the window to ask next, if there is one and there is room for its answer.

        What all others wait for may always be asked.
        """
        part = self._to_prove() or self._to_learn() or self._first_waiting()
        if part is None:
            return None
        part.state, part.question = State.ASKED, Question(part, *part.to_ask(newest_first=self._newest_first))
        return part.question

    def _to_prove(self) -> Part | None:
        """Give the claim to prove, if no order is proven, one at a time."""
        if self.seeks or any(part.claim is not None for part in self._asked()):
            return None
        return next((part for part in self._line if part.state is State.CLAIMED), None)

    def _to_learn(self) -> Part | None:
        """Give the first part that will show how long calls last, if that is not known: others are cut by it."""
        if not self._cutter.curious:
            return None
        first = next((part for part in self._line if part.expected or part.state in _ENDS), None)
        return first if first is not None and first.state is State.WAITING else None

    def _first_waiting(self) -> Part | None:
        # There may be a hundred parts, most of them claimed or done, and this is done before each question.
        claimed, done = State.CLAIMED, State.DONE
        first = True
        for part in self._line:
            if part.state is claimed:
                continue
            if part.state is not done:
                if part.state in _ENDS:
                    return None
                if part.state is State.WAITING and not self._cutter.better_later(part, self._asked()):
                    room = self._line.room
                    enough = first or room >= self._sizes.page + self._sizes.kept
                    return self._cut(part, room, first=first) if enough else None
            first = False
        return None

    def _asked(self) -> Iterator[Part]:
        return (part for part in self._line if part.state is State.ASKED)

    def _cut(self, part: Part, room: int, *, first: bool) -> Part:
        """Cut a part, and give the piece to ask: the one that stands in its place."""
        if part.window is not None or part.claim is not None or part.check is not None:
            return part
        if first and part.seam is not None and part.seam.newest_first == self._newest_first:
            self._extend(part, part.seam)
        while self._cutter.falls_short(part):
            if not self._line.extend(part):
                break
        at = self._cutter.before_asking(part, room, first=first)
        if at is None:
            return part
        pieces = part.cut(at)
        self._line.replace(part, pieces)
        return pieces[self._newest_first]

    def _extend(self, part: Part, seam: Seam) -> None:
        """Let the rest of a window that was full reach as far as a window can."""
        if self._line.extend(part, widest_of(part.range, seam) - len(part.range)):
            part.sample = part.density = None  # they say nothing of what has come to it

    def put_back(self, question: Question) -> None:
        """Say that a question was not asked after all."""
        if question.part.question is question:
            question.part.state, question.part.question = State.WAITING, None

    def fail(self, question: Question, error: Exception) -> None:
        """Say that a question got no answer: the error is for when all before it has been put out."""
        part = question.part
        if part.question is not question:
            return
        part.question = None
        if part.check is not None and not part.check.again:
            # The answer that was to be checked is whole by assumption: its records do not fail with a question beyond it.
            self._finish(part, part.check.records, part.check.size)
            return
        part.state, part.error = State.FAILED, error
        if part.seam is not None and part.seam.claim.state is State.CLAIMED:
            part.seam.claim.state = State.WAITING  # it may stand before this part, and does not have to fail with it

    def forget(self) -> None:
        """Say that no question is under way any more, and that failures may be tried again."""
        self._line.forget()

    # --- what came ------------------------------------------------------------------------------------------------------

    def answer(self, question: Question, answer: Answer) -> None:
        """Take an answer.

        Raises:
            RowOutsideError: A row is not of that window. Nothing of the answer was used.
            AnswersCutError: Earlier answers were cut short, and it is too late to ask again.
        """
        part, window = question.part, question.window
        if part.question is not question:
            return  # it came too late: the part was given back
        check_inside(window, answer)
        self._answers += 1
        if self._ordering.see(answer):
            self._ask_again()
        self._narrow.see(answer)
        whole = self._caps.whole(answer)
        if part.seam is not None and part.check is None:
            self._judge(part.seam, window, answer, whole=whole)
            part.seam = None
        if part.claim is not None:
            self._prove(part, part.claim, answer, whole=whole)
            part.claim = None
        if part.check is not None:
            self._check(part.check, question, answer, whole=whole)
        elif part.window is not None:
            self._take_apart(part, window, answer, whole=whole)
        elif not whole:
            self._full(question, answer)
        else:
            self._whole(question, answer)
        part.question = None

    def _whole(self, question: Question, answer: Answer) -> None:
        part, size = question.part, len(answer.rows)
        self._line.keep_to(part, question.range)
        if self._caps.stands_out(size):
            part.check = self._caps.check_of(question, answer, newest_first=self._ordering.direction)
            if part.check is not None:
                part.state = State.WAITING
                return
        self._finish(part, answer.rows_of(part.range), size)

    def _finish(self, part: Part, records: list[CallRecord], size: int) -> None:
        self._cutter.learn(part, records)
        part.finish(records, size)

    def _check(self, check: Check, question: Question, answer: Answer, *, whole: bool) -> None:
        """Take the answer for a piece of a part whose own answer may have been cut short, or for the whole of it again."""
        part = question.part
        if not check.again:
            part.check, part.state = self._caps.settle(check, answer, whole=whole), State.WAITING
            if part.check is None:
                self._finish(part, check.records, check.size)
            return
        part.check = None
        if self._caps.confirm(check, answer):
            self._heed_cap(check.size)
            self._full(question, answer)
        elif whole:
            self._finish(part, answer.rows_of(part.range), len(answer.rows))
        else:
            self._full(question, answer)

    def _heed_cap(self, cap: int) -> None:
        """Ask again what may have been cut short, now that the cap is known."""
        for part in self._line:
            if part.state is State.DONE and not part.rests and part.size >= cap:
                part.ask_again()
        if self._largest_taken >= cap:
            raise AnswersCutError(cap)

    def _take_apart(self, part: Part, window: Window, answer: Answer, *, whole: bool) -> None:
        records = answer.rows_of(part.range)
        if self._narrow.is_whole(part, window, answer, whole=whole):
            part.finish(records, len(answer.rows))
            return
        part.records = max(part.records, records, key=len)
        self._line.replace(part, self._narrow.next(part, window, answer))

    def _full(self, question: Question, answer: Answer) -> None:
        """Claim one end of a part and go on with the rest, or cut it."""
        part, order = question.part, self._ordering
        found = None
        if order.direction is not None:
            found = claim_of(question, answer, newest_first=order.direction, proving=order.due)
        if found is not None:
            self._claim(part, *found)
            return
        self._line.keep_to(part, question.range)
        if is_narrow(part.range):
            part.records = max(part.records, answer.rows_of(part.range), key=len)
            self._line.replace(part, self._narrow.next(part, question.window, answer))
        else:
            part.state = State.WAITING
            self._line.replace(part, self._cutter.divide(part, answer))

    def _claim(self, part: Part, rest: Range, seam: Seam) -> None:
        claim, left = seam.claim, Part(rest, seam=seam, depth=part.depth + 1)
        claim.came = self._answers
        claim.state = State.WAITING if self._ordering.due and self.seeks else State.CLAIMED
        self._ordering.claimed()
        self._cutter.learn(claim, claim.records)
        self._line.replace(part, [claim, left])
        if seam.newest_first != self._newest_first:
            self._line.replace(left, self._cutter.chain(left, claim, self._line.make_room(claim)))

    # --- claims ---------------------------------------------------------------------------------------------------------

    def _judge(self, seam: Seam, window: Window, answer: Answer, *, whole: bool) -> None:
        """Take what an answer says of the claim that it overlaps."""
        claim, found = seam.claim, verdict(seam, window, answer, whole=whole)
        if found is Verdict.REFUTED:
            self._refute(newest_first=seam.newest_first)
        elif found is Verdict.AGREES:
            claim.agreed = True
            if claim.state is State.CLAIMED and self._ordering.newest_first == seam.newest_first:
                claim.accept()
        else:
            if claim.state is State.CLAIMED:
                claim.state = State.WAITING
            if self._ordering.spoil():
                self._ask_again()

    def _refute(self, *, newest_first: bool) -> None:
        self._ordering.refute(newest_first=newest_first)
        self._ask_again()

    def _prove(self, part: Part, claim: Answer, answer: Answer, *, whole: bool) -> None:
        """Take the answer for a claim: it must hold exactly what was claimed."""
        direction = self._ordering.direction
        if direction is None:
            return
        claimed, came = claim.keys_of(part.range), answer.keys_of(part.range)
        same = claimed == came
        if whole and not same and Counter(claimed) - Counter(came):
            self._refute(newest_first=direction)
            return
        if not whole or not same:
            if self._ordering.spoil():
                self._ask_again()
            return
        sought = self.seeks
        self._ordering.prove(len(part.records), part.came, newest_first=direction)
        if self.seeks and not sought:
            self._rely_on_order()

    def _rely_on_order(self) -> None:
        """Accept the claims that agree; but the order holds from the page on that proved it, so what came earlier is asked."""
        for part in self._line:
            if part.state is State.CLAIMED and part.came < self._ordering.proven_on:
                part.state = State.WAITING
            elif part.state is State.CLAIMED and part.agreed:
                part.accept()

    def _ask_again(self) -> None:
        """Drop all that rests on an order."""
        for part in self._line:
            if part.state is State.CLAIMED or part.rests:
                part.ask_again()
            part.claim = None
