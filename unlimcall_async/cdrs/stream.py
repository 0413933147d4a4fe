"""`client.cdrs.stream`: the planner's questions, asked.

A thin shell. It owns the requests under way, and knows how far the output was handed out; what to ask, and what an answer means,
the planner decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from math import ceil
from operator import length_hint
from typing import Final

from attrs import frozen

from unlimcall_async._codec import decode_rows
from unlimcall_async._rows import Reader, Rows
from unlimcall_async.cdrs.answer import Answer, Instants, RowOutsideError
from unlimcall_async.cdrs.caps import AnswersCutError
from unlimcall_async.cdrs.checkpoint import Checkpoint, Place, StreamCheckpoint
from unlimcall_async.cdrs.instants import WIDEST, Range, Window, micros_of, moment_of, moment_of_micros
from unlimcall_async.cdrs.iteration import OneAtATime, Turn
from unlimcall_async.cdrs.order import count_behind, place_behind
from unlimcall_async.cdrs.parts import Part, Question, State
from unlimcall_async.cdrs.planner import Planner
from unlimcall_async.cdrs.progress import Progress, StreamStats
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.exchange import Tally
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import timestamp
from unlimcall_async.models import CallRecord

_logger = logging.getLogger("unlimcall_async")

# Rows that an answer can hold (reference: `GET /cdrs`, limit).
_PAGE: Final = 1000


@frozen
class Order:
    """What was ordered: the range, the direction, and how to get it."""

    start: datetime
    end: datetime
    newest_first: bool
    concurrency: int
    page_size: int
    seek: bool


class _Turn(Turn):
    """One iteration, and its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[None], Question] = {}
        self.news = asyncio.Event()
        # What a request has ended with that is no error of its call, as what a test runner raises.
        self.failure: BaseException | None = None

    def check(self) -> None:
        """Raise an error if it cannot go on."""
        if self.stopped:
            raise RuntimeError("this stream was closed while it was iterated")
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """End the requests, and wait until they have left."""
        tasks = list(self.tasks)
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        self.news.set()
        await asyncio.gather(*tasks, return_exceptions=True)


class CdrStream(OneAtATime[_Turn]):
    """The call records of a range: each once, in order, as an async iterator.

    `async for record in stream` gives records, `async for batch in stream.batches()` lists of them; both go on from one position.
    Leave `async with stream`, or call `aclose()`, to end what is under way; a bare `async for` to the end is fine too.

    At most `23 x concurrency` pages are under way or held, however slow the reader is.

    Attributes:
        start: The start of the range.
        end: The end of the range, which is not part of it.
    """

    def __init__(
        self, caller: Caller, reader: Reader, order: Order, place: Place | None = None, limiter: Limiter | None = None
    ) -> None:
        super().__init__(_Turn)
        self.start: datetime = order.start
        self.end: datetime = order.end
        self._caller = caller
        self._limiter = limiter or caller.limiters.of(CDRS.bucket)
        self._order = order
        self._reader = reader
        self._decoding = asyncio.Lock()
        self._planner = Planner(
            _left_of(order, place),
            newest_first=order.newest_first,
            page_size=order.page_size,
            concurrency=order.concurrency,
            seek=order.seek,
        )
        # The records of the part that is being handed out, in order; how many of them had been handed out when the stream resumed;
        # and those that are left, whose number is all that is kept of how far it is.
        self._block: list[CallRecord] = []
        self._skipped = 0
        self._rest = iter(self._block)
        # The places before and behind that part.
        self._before = self._behind = place or _start_of(order)
        self._first_edge = self._planner.edge
        self._fraction = 0.0
        self._strategy = "divide"
        self._tally = Tally()
        self._requests = self._full_pages = self._earlier = self._received = self._taken = 0

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # whoever iterates by hand can close it
        return self._watched(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, at most a page each, as ranges become final; none is empty.

        Raises:
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
            WindowSaturatedError: An instant holds more records than a page can.
            ResponseError: An answer, or a row in it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure. To iterate again goes on from the position.
        """
        return self._watched(self._iterate_batches)

    async def _iterate_records(self, turn: _Turn) -> AsyncGenerator[CallRecord, None]:
        try:
            await self._begin(turn)
            while await self._load(turn):
                for record in self._rest:
                    yield record
        finally:
            await self._finish(turn)

    async def _iterate_batches(self, turn: _Turn) -> AsyncGenerator[list[CallRecord], None]:
        try:
            await self._begin(turn)
            while await self._load(turn):
                yield self._hand_over()
        finally:
            await self._finish(turn)

    def _hand_over(self) -> list[CallRecord]:
        """Give the rest of the block, and keep nothing of it: the list is the reader's, to change or to let go of."""
        rest = list(self._rest) if self._index else self._block
        self._earlier += len(self._block) - self._skipped
        self._block, self._skipped = [], 0
        self._rest = iter(self._block)
        return rest

    def _forget(self) -> None:
        self._planner.forget()
        # The old one is empty then: an iteration that was ended, and goes on all the same, takes no record from the next one.
        self._rest = iter(list(self._rest))

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _load(self, turn: _Turn) -> bool:
        """See to it that there are records to hand out, or tell that there are no more."""
        # Many parts may be ready one after the other; others on the event loop get their turn between them.
        await asyncio.sleep(0)
        turn.check()
        while not self._left:
            part = self._planner.take_first()
            # Also while there is something to hand out, so that requests are under way while the reader is busy with it.
            self._ask(turn)
            if part is not None:
                self._put_out(part)
            elif self._planner.finished:
                return False
            else:
                turn.news.clear()
                await turn.news.wait()
                turn.check()
        return True

    def _ask(self, turn: _Turn) -> None:
        while self._may_ask(turn) and (question := self._planner.next_question()):
            task = asyncio.create_task(self._answer(question))
            turn.tasks[task] = question
            task.add_done_callback(partial(self._clear_up, turn))

    def _may_ask(self, turn: _Turn) -> bool:
        """Tell whether another request makes sense: behind others only if it can go out at once.

        So where the rate limit is the bottleneck, the planner decides as late as it can, by all that is known.
        """
        busy = len(turn.tasks)
        return busy == 0 or (busy < self._order.concurrency and not self._limiter.wait())

    def _clear_up(self, turn: _Turn, task: asyncio.Task[None]) -> None:
        question = turn.tasks.pop(task, None)
        if question is None:
            return  # the turn itself has ended it
        if task.cancelled():
            self._planner.put_back(question)
        else:
            turn.failure = turn.failure or task.exception()
        turn.news.set()

    async def _answer(self, question: Question) -> None:
        try:
            page = await self._fetch(question.window)
            complete = page.is_whole(self._order.page_size)
            self._requests += 1
            self._received += len(page.calls)
            self._full_pages += not complete
            answer = Answer(page.calls, Instants(page.moments, finer=page.finer), page.count, complete)
            self._planner.answer(question, answer)
            self._note_strategy()
        except RowOutsideError as outside:
            where = f"calls[{outside.index}].startTime"
            reason = "outside the window that was asked, by more than a second"
            self._planner.fail(question, self._told(ResponseError(200, where, reason, "GET", "/cdrs"), question))
        except AnswersCutError as cut:
            reason = f"cut short at {cut.cap} rows, and so was an earlier answer; start anew with this as page_size"
            self._planner.fail(question, self._told(ResponseError(200, "calls", reason, "GET", "/cdrs"), question))
        except ResponseError as error:
            self._planner.fail(question, self._told(error, question))
        except Exception as error:  # noqa: BLE001 # it is raised where it is due: after every record before it
            self._planner.fail(question, error)

    def _note_strategy(self) -> None:
        now = "seek" if self._planner.seeks else "divide"
        if now != self._strategy:
            self._strategy = now
            _logger.info("GET /cdrs: the strategy is now %s", now)

    async def _fetch(self, window: Window) -> Rows:
        first, last = (timestamp(moment_of(at)) for at in (window.start, window.till))
        params = {"from": first, "till": last, "limit": str(self._order.page_size)}
        decode = partial(decode_rows, reader=self._reader)
        return await self._caller.fetch(
            CDRS, decode, params=params, tally=self._tally, limiter=self._limiter, turn=self._turn_to_decode()
        )

    @asynccontextmanager
    async def _turn_to_decode(self) -> AsyncGenerator[None, None]:
        """Let others on the event loop have their turn between one page and the next: several may come at once."""
        async with self._decoding:
            yield
            await asyncio.sleep(0)

    def _told(self, error: ResponseError, question: Question) -> ResponseError:
        error.window = moment_of(question.window.start), moment_of(question.window.till)
        error.resume_after = self._checkpoint_behind(question.part)
        return error

    def _put_out(self, part: Part) -> None:
        """Make the records of the first part the block, or raise what has become of it."""
        if part.state is State.SATURATED:
            start, end = moment_of(part.range.start), moment_of(part.range.end)
            raise WindowSaturatedError(start, end, list(self._ordered(part)), self._checkpoint_behind(part))
        if part.error is not None:
            raise part.error
        self._earlier += self._index - self._skipped
        self._block = self._ordered(part)
        self._before, self._behind = self._behind, self._edge_of(part)
        self._taken += len(part.records)
        # Only in the very first part of a stream that resumes is there anything before the place.
        self._skipped = count_behind(self._block, self._before, newest_first=self._order.newest_first)
        self._rest = iter(self._block)
        for _ in range(self._skipped):
            next(self._rest)

    def _ordered(self, part: Part) -> list[CallRecord]:
        rows = part.records
        if part.range.start * 1000 < micros_of(self.start) or micros_of(self.end) < part.range.end * 1000:
            # The ends of the range may cut a millisecond in two.
            rows = [row for row in rows if self.start <= row.start_time < self.end]
        return rows[::-1] if self._order.newest_first else rows

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def _left(self) -> int:
        """How many records of the block were not handed out yet."""
        return length_hint(self._rest)

    @property
    def _index(self) -> int:
        """How many records of the block were handed out, or skipped."""
        return len(self._block) - self._left

    @property
    def _records(self) -> int:
        """How many records were handed out."""
        return self._earlier + self._index - self._skipped

    @property
    def checkpoint(self) -> Checkpoint:
        """Everything handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        return StreamCheckpoint(self.start, self.end, self._order.newest_first, self._place())

    def _place(self) -> Place:
        if self._index >= len(self._block):
            return self._behind
        return place_behind(self._block, self._index) if self._index > self._skipped else self._before

    def _edge_of(self, part: Part) -> Place:
        edge = (part.range.start if self._order.newest_first else part.range.end) * 1000
        return Place(min(max(edge, micros_of(self.start)), micros_of(self.end)))

    def _checkpoint_behind(self, part: Part) -> Checkpoint:
        return StreamCheckpoint(self.start, self.end, self._order.newest_first, self._edge_of(part))

    @property
    def progress(self) -> Progress:
        """How far the stream is."""
        place = self._place()
        whole = micros_of(self.end) - micros_of(self.start)
        done = place.at - micros_of(self.start)
        if self._order.newest_first:
            done = whole - done
        share = min(1.0, max(0.0, done / whole)) if whole else 1.0
        self._fraction = max(self._fraction, share)
        return Progress(self._fraction, self._records, self._requests, moment_of_micros(place.at))

    @property
    def stats(self) -> StreamStats:
        """What the stream has done."""
        months = ceil(abs(self._planner.edge - self._first_edge) / WIDEST)
        return StreamStats(
            requests=self._requests,
            records=self._records,
            duplicates=self._received - self._taken - self._planner.held,
            full_pages=self._full_pages,
            retries=self._tally.retries,
            min_requests=max(ceil(self._taken / _PAGE), months),
            waited_s=self._tally.waited,
            strategy=self._strategy,
        )

    def __repr__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"<{type(self).__name__} {span}, {self._records} records so far>"


def _start_of(order: Order) -> Place:
    """The place before everything."""
    return Place(micros_of(order.end if order.newest_first else order.start))


def _left_of(order: Order, place: Place | None) -> Range:
    """The milliseconds that a place leaves to be asked."""
    start, end = micros_of(order.start) // 1000, -(-micros_of(order.end) // 1000)
    if place is None:
        return Range(start, end)
    if not order.newest_first:
        # An edge at the end leaves nothing, also of a millisecond that the end cuts in two; the same holds for the start below.
        behind = end if place.id is None and place.at >= micros_of(order.end) else place.at // 1000
        return Range(min(max(start, behind), end), end)
    if place.id is None and place.at <= micros_of(order.start):
        return Range(start, start)
    # A record's own millisecond may hold more of them; at an edge all that is left lies before it.
    last = place.at // 1000 + 1 if place.id is not None else -(-place.at // 1000)
    return Range(start, max(min(end, last), start))
