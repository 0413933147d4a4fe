"""`client.cdrs.stream`: sends the planner's questions, and hands out its records.

A thin shell. The stream owns the requests under way; `planner` decides what to ask and what a page means, and `position` knows how
far the output was handed out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Final, cast

from attrs import evolve, frozen

from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import Checkpoint, Place, StreamCheckpoint
from unlimcall_async.cdrs.iteration import Iteration, OneAtATime
from unlimcall_async.cdrs.page_reading import read_page
from unlimcall_async.cdrs.planner.page import Page, RowOutsideError
from unlimcall_async.cdrs.planner.page_cap import PagesCutError
from unlimcall_async.cdrs.planner.parts import Done, Failed, Question, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.windows import HOUR
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.rows import BadRow, Row, UnplacedRow
from unlimcall_async.cdrs.stats import Progress, StreamStats
from unlimcall_async.cdrs.times import WIDEST, Range, to_datetime
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.errors import ResponseError, UnlimCallError, WindowSaturatedError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.exchange import CallCost
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import timestamp
from unlimcall_async.http.outcome import is_slow
from unlimcall_async.models import CallRecord, UnreadableRow

_logger = logging.getLogger("unlimcall_async")

# Rows that a page holds at most (reference: `GET /cdrs`, limit).
_MOST_ROWS: Final = 1000
# Attempts at a window that the server does not answer in time, before narrower ones are asked (contract, section 3).
_SLOW_ATTEMPTS: Final = 2

_HINT: Final = 'unreadable="keep" keeps such rows and goes on; resume_after skips this one'


@frozen
class StreamOptions:
    """The range and the direction of a stream, and how it is pulled."""

    start: datetime
    end: datetime
    newest_first: bool
    concurrency: int
    page_size: int
    seek: bool


class _StreamIteration(Iteration):
    """One iteration over a stream, and its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[None], Question] = {}
        self.task_ended = asyncio.Event()
        # An exception that escaped `_answer`, for example `KeyboardInterrupt`.
        self.failure: BaseException | None = None

    def check(self) -> None:
        """Raise an error if the iteration cannot go on."""
        if self.stopped:
            raise RuntimeError("this stream was closed while it was iterated")
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """End the requests, and wait until they have ended."""
        tasks = list(self.tasks)
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        self.task_ended.set()
        await asyncio.gather(*tasks, return_exceptions=True)


class CdrStream(OneAtATime[_StreamIteration]):
    """The call records of a range: each once, in order, as an async iterator.

    `async for record in stream` gives records, `async for batch in stream.batches()` lists of them; both go on from one position.
    Leave `async with stream`, or call `aclose()`, to end what is under way; a bare `async for` to the end is fine too.

    At most `23 x concurrency` pages are under way or held, however slow the reader is.

    Attributes:
        start: The start of the range.
        end: The end of the range, which is not part of it.
        first_page_at: The `Date` of the first page, if the server sends one, and the event loop's time when the page came.
    """

    def __init__(
        self,
        caller: Caller,
        decoder: PageDecoder,
        options: StreamOptions,
        unreadable: UnreadableRows,
        *,
        place: Place | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        super().__init__(_StreamIteration)
        self.start: datetime = options.start
        self.end: datetime = options.end
        self._caller = caller
        self._limiter = limiter or caller.limiters.of(CDRS.bucket)
        self._options = options
        self._decoder = decoder
        self._decoding = asyncio.Lock()
        self._position = Position(options.start, options.end, newest_first=options.newest_first, place=place)
        self._planner = Planner(
            self._position.range_left,
            newest_first=options.newest_first,
            page_size=options.page_size,
            concurrency=options.concurrency,
            seek=options.seek,
        )
        self._first_edge = self._planner.edge
        self._fraction = 0.0
        self._strategy = "divide"
        self._cost = CallCost()
        self._unreadable = unreadable
        # Whether a page had rows with a start that cannot be read.
        self._any_bad = False
        # Pages, those of them that were full, and the rows of all pages.
        self._requests = self._full_pages = self._rows = 0
        # The time that the server had at the first page, and that of the event loop.
        self.first_page_at: tuple[datetime, float] | None = None
        # Rows that became records of a part that was entered.
        self._rows_used = 0

    @property
    def row_ahead(self) -> UnplacedRow | None:
        """The row that cannot be read and comes next, if one does."""
        return self._position.unreadable

    @property
    def unreadable(self) -> list[UnreadableRow]:
        """The rows before the position that cannot be read, with `unreadable="keep"`: at most 10,000, unless you take some out."""
        return self._unreadable.kept

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._iterator(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, at most a page each, as ranges become final; none is empty.

        Raises:
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
            WindowSaturatedError: An instant holds more records than a page can.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure. A new iteration goes on from the position.
        """
        return self._iterator(self._iterate_batches)

    async def _iterate_records(self, iteration: _StreamIteration) -> AsyncGenerator[CallRecord, None]:
        try:
            await self._begin(iteration)
            while await self._load(iteration):
                for record in self._position.records():
                    yield record
            iteration.exhausted = True
        finally:
            await self._finish(iteration)

    async def _iterate_batches(self, iteration: _StreamIteration) -> AsyncGenerator[list[CallRecord], None]:
        try:
            await self._begin(iteration)
            while await self._load(iteration):
                yield self._position.batch()
            iteration.exhausted = True
        finally:
            await self._finish(iteration)

    def _reset(self) -> None:
        self._planner.reset()
        self._position.detach_iterator()

    async def _load(self, iteration: _StreamIteration) -> bool:
        """Wait until there are records to hand out, and return whether there are any left."""
        # Many parts may be ready one after the other; others on the event loop run between them.
        await asyncio.sleep(0)
        iteration.check()
        while not self._position.left:
            if (row := self._position.unreadable) is not None:
                self._keep(row)
                continue
            part = self._planner.take_first()
            # Also while there is something to hand out, so that requests are under way while the reader is busy with it.
            self._send_questions(iteration)
            if part is None:
                if self._planner.finished:
                    return False
                iteration.task_ended.clear()
                await iteration.task_ended.wait()
                iteration.check()
                continue
            match part.state:
                case Failed(error=error):
                    raise error
                case Saturated(records=records):
                    start, end = to_datetime(part.range.start), to_datetime(part.range.end)
                    seen = [row for row in self._position.within(part.range, records) if isinstance(row, CallRecord)]
                    raise WindowSaturatedError(start, end, seen, self._checkpoint_at(self._position.behind(part.range)))
                case Done(records=rows, unplaced=unplaced):
                    self._enter(part.range, rows, unplaced)
                case _:
                    raise AssertionError("the plan returns a part that is done, saturated or failed")
        return True

    def _enter(self, part: Range, rows: Sequence[Row], unplaced: Sequence[UnplacedRow]) -> None:
        """Go on to the rows of the next part."""
        bad = [row for row in rows if isinstance(row, BadRow)] if self._any_bad else []
        vanished = self._planner.vanished(part)
        self._rows_used += len(rows) + len(unplaced) + len(vanished)
        if unplaced or vanished:
            unplaced = self._unreadable.new_unplaced(unplaced, vanished)
        unplaced = self._planner.hand_out(part, unplaced)
        if not bad and not unplaced:
            self._position.enter(part, cast("list[CallRecord]", rows))
            return
        handed_out = {id(row) for row in bad} - {id(row) for row in self._unreadable.new(bad)}
        self._position.enter_unreadable(part, [row for row in rows if id(row) not in handed_out], unplaced)

    def _keep(self, row: UnplacedRow) -> None:
        """Keep the row that comes next and cannot be read, or raise its error."""
        if self._unreadable.keep(row):
            self._position.pass_unreadable()
            return
        checkpoint = self._checkpoint_at(self._position.place_behind_unreadable, skipped=row)
        window = row.shown().window
        raise ResponseError(
            200, row.where, row.reason, "GET", "/cdrs", window=window, resume_after=checkpoint, hint=_HINT
        )

    # --- requests -----------------------------------------------------------------------------------------------------

    def _send_questions(self, iteration: _StreamIteration) -> None:
        """Send what the planner asks, as long as another request makes sense.

        Behind others a request makes sense only if the rate limit lets it out at once. So if the limit is the bottleneck, the
        planner decides as late as it can, by all that is known.
        """
        while not iteration.tasks or (len(iteration.tasks) < self._options.concurrency and not self._limiter.wait()):
            question = self._planner.next_question()
            if question is None:
                return
            task = asyncio.create_task(self._answer(question))
            iteration.tasks[task] = question
            task.add_done_callback(partial(self._on_task_end, iteration))

    def _on_task_end(self, iteration: _StreamIteration, task: asyncio.Task[None]) -> None:
        question = iteration.tasks.pop(task, None)
        if question is None:
            return  # the iteration itself has ended the task
        if task.cancelled():
            self._planner.put_back(question)
        else:
            iteration.failure = iteration.failure or task.exception()
        iteration.task_ended.set()

    async def _answer(self, question: Question) -> None:
        """Send a question, and give the planner its page or its error. An error is raised after every record before it."""
        try:
            self._planner.receive(question, await self._fetch(question))
        except RowOutsideError as outside:
            where = f"calls[{outside.index}].startTime"
            reason = "outside the window that was asked, by more than a second"
            self._fail(question, ResponseError(200, where, reason, "GET", "/cdrs"))
        except PagesCutError as cut:
            reason = f"cut short at {cut.cap} rows, and so was an earlier answer; start anew with page_size={cut.cap}"
            self._fail(question, ResponseError(200, "calls", reason, "GET", "/cdrs"))
        except Exception as error:  # noqa: BLE001 # it is raised in its turn
            slow = isinstance(error, UnlimCallError) and is_slow(error) and self._may_narrow(question)
            width = self._planner.narrow(question) if slow else None
            if width is None:
                self._fail(question, error)
            else:
                _logger.info(
                    "GET /cdrs: not answered in time; windows are %s wide from now on", timedelta(microseconds=width)
                )
        strategy = "seek" if self._planner.seeks else "divide"
        if strategy != self._strategy:
            self._strategy = strategy
            _logger.info("GET /cdrs: the strategy is now %s", strategy)

    async def _fetch(self, question: Question) -> Page:
        """Ask for one window."""
        window, limit = question.window, self._options.page_size
        first, last = (timestamp(to_datetime(at)) for at in (window.start, window.till))
        page = await self._caller.fetch(
            CDRS,
            partial(read_page, window=window, limit=limit, decoder=self._decoder),
            params={"from": first, "till": last, "limit": str(limit)},
            cost=self._cost,
            limiter=self._limiter,
            decoding=self._one_decoding,
            slow_attempts=_SLOW_ATTEMPTS if self._may_narrow(question) else None,
        )
        if self._requests == 0 and self._cost.server_time is not None:
            self.first_page_at = self._cost.server_time, asyncio.get_running_loop().time()
        self._requests += 1
        self._rows += page.size
        if not page.complete:
            self._full_pages += 1
        if page.unplaced:
            page = evolve(page, new_unplaced=self._unreadable.new_unplaced(page.unplaced))
        self._any_bad = self._any_bad or page.any_bad
        return page

    def _may_narrow(self, question: Question) -> bool:
        """Return whether a narrower window may be asked next. A policy without retries wants no question asked again."""
        return len(question.window) > HOUR and bool(self._caller.policy.delays)

    @asynccontextmanager
    async def _one_decoding(self) -> AsyncGenerator[None, None]:
        """Decode one page at a time, so that others on the event loop run between two pages: several may come at once."""
        async with self._decoding:
            yield
            await asyncio.sleep(0)

    def _fail(self, question: Question, error: Exception) -> None:
        if isinstance(error, ResponseError):
            error.window = to_datetime(question.window.start), to_datetime(question.window.till)
            error.resume_after = self._checkpoint_at(self._position.behind(question.range))
        self._planner.fail(question, error)

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Checkpoint:
        """All that was handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        return self._checkpoint_at(self._position.place)

    def _checkpoint_at(self, place: Place, *, skipped: UnplacedRow | None = None) -> StreamCheckpoint:
        newest_first = self._options.newest_first
        marks = self._unreadable.marks_behind(place.at, newest_first=newest_first, skipped=skipped)
        return StreamCheckpoint(self.start, self.end, newest_first, place, marks)

    @property
    def progress(self) -> Progress:
        """How far the stream is."""
        position = self._position
        self._fraction = max(self._fraction, position.fraction)
        return Progress(self._fraction, position.handed_out, self._requests, to_datetime(position.place.at))

    @property
    def stats(self) -> StreamStats:
        """What the stream has done."""
        months = ceil(abs(self._planner.edge - self._first_edge) / WIDEST)
        return StreamStats(
            requests=self._requests,
            records=self._position.handed_out,
            duplicates=self._rows - self._rows_used - self._planner.held,
            full_pages=self._full_pages,
            retries=self._cost.retries,
            min_requests=max(ceil(self._rows_used / _MOST_ROWS), months),
            waited_s=self._cost.waited_s,
            strategy=self._strategy,
            unreadable=self._unreadable.count,
            clock_skew_s=self._cost.skew_s,
        )

    def __repr__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"<{type(self).__name__} {span}, {self._position.handed_out} records so far>"
