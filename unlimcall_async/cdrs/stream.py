"""`client.cdrs.stream`: sends the planner's questions, and hands out its records.

A thin shell. The stream owns the requests under way; `planner` decides what to ask and what a page means, and `position` knows how
far the output was handed out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from math import ceil
from typing import Final

from attrs import frozen

from unlimcall_async._codec import decode_cdr_page
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import Checkpoint, Place, StreamCheckpoint
from unlimcall_async.cdrs.iteration import Iteration, OneAtATime
from unlimcall_async.cdrs.planner.page import Page, RowOutsideError
from unlimcall_async.cdrs.planner.page_cap import PagesCutError
from unlimcall_async.cdrs.planner.parts import Failed, Question, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.stats import Progress, StreamStats
from unlimcall_async.cdrs.times import WIDEST, Window, to_datetime
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.exchange import CallCost
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import timestamp
from unlimcall_async.models import CallRecord

_logger = logging.getLogger("unlimcall_async")

# Rows that a page holds at most (reference: `GET /cdrs`, limit).
_MOST_ROWS: Final = 1000


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
    """

    def __init__(
        self,
        caller: Caller,
        decoder: PageDecoder,
        options: StreamOptions,
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
        # Pages, those of them that were full, and the rows of all pages.
        self._requests = self._full_pages = self._rows = 0
        # Rows that became records of a part that was entered.
        self._rows_used = 0

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._watched(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, at most a page each, as ranges become final; none is empty.

        Raises:
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
            WindowSaturatedError: An instant holds more records than a page can.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure. A new iteration goes on from the position.
        """
        return self._watched(self._iterate_batches)

    async def _iterate_records(self, iteration: _StreamIteration) -> AsyncGenerator[CallRecord, None]:
        try:
            await self._begin(iteration)
            while await self._load(iteration):
                for record in self._position.records():
                    yield record
        finally:
            await self._finish(iteration)

    async def _iterate_batches(self, iteration: _StreamIteration) -> AsyncGenerator[list[CallRecord], None]:
        try:
            await self._begin(iteration)
            while await self._load(iteration):
                yield self._position.batch()
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
                    seen = self._position.within(part.range, records)
                    raise WindowSaturatedError(
                        start, end, list(seen), self._checkpoint_at(self._position.behind(part.range))
                    )
                case _:
                    self._rows_used += len(part.records)
                    self._position.enter(part.range, part.records)
        return True

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
            self._planner.receive(question, await self._fetch(question.window))
        except RowOutsideError as outside:
            where = f"calls[{outside.index}].startTime"
            reason = "outside the window that was asked, by more than a second"
            self._fail(question, ResponseError(200, where, reason, "GET", "/cdrs"))
        except PagesCutError as cut:
            reason = f"cut short at {cut.cap} rows, and so was an earlier answer; start anew with page_size={cut.cap}"
            self._fail(question, ResponseError(200, "calls", reason, "GET", "/cdrs"))
        except Exception as error:  # noqa: BLE001 # it is raised in its turn
            self._fail(question, error)
        strategy = "seek" if self._planner.seeks else "divide"
        if strategy != self._strategy:
            self._strategy = strategy
            _logger.info("GET /cdrs: the strategy is now %s", strategy)

    async def _fetch(self, window: Window) -> Page:
        """Ask for one window."""
        first, last = (timestamp(to_datetime(at)) for at in (window.start, window.till))
        params = {"from": first, "till": last, "limit": str(self._options.page_size)}
        decode = partial(decode_cdr_page, decoder=self._decoder)
        decoded = await self._caller.fetch(
            CDRS, decode, params=params, cost=self._cost, limiter=self._limiter, decoding=self._one_decoding()
        )
        complete = decoded.is_complete(self._options.page_size)
        page = Page(decoded.records, decoded.starts, decoded.count, complete, decoded.finer_than_millis)
        self._requests += 1
        self._rows += len(page.rows)
        if not page.complete:
            self._full_pages += 1
        return page

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

    def _checkpoint_at(self, place: Place) -> Checkpoint:
        return StreamCheckpoint(self.start, self.end, self._options.newest_first, place)

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
        )

    def __repr__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"<{type(self).__name__} {span}, {self._position.handed_out} records so far>"
