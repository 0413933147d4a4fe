"""The requests of a stream: sends the planner's questions, and gives the planner each page or error.

A thin shell. `planner` decides what to ask and what a page means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attrs import evolve, frozen

from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import StreamCheckpoint
from unlimcall_async.cdrs.iteration import Iteration
from unlimcall_async.cdrs.page_reading import read_page
from unlimcall_async.cdrs.planner.page import Page, RowOutsideError
from unlimcall_async.cdrs.planner.page_cap import PagesCutError
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.windows import HOUR
from unlimcall_async.cdrs.times import Range, to_datetime
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.errors import ResponseError, UnlimCallError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.exchange import CallCost
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.messages import timestamp
from unlimcall_async.http.outcome import is_slow

_logger = logging.getLogger("unlimcall_async")

# Attempts at a window that the server does not answer in time, before narrower ones are asked (contract, section 3).
_SLOW_ATTEMPTS: Final = 2


@frozen
class StreamOptions:
    """The range and the direction of a stream, and how it is pulled."""

    start: datetime
    end: datetime
    newest_first: bool
    concurrency: int
    page_size: int
    seek: bool


class StreamIteration(Iteration):
    """One iteration over a stream, and its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[None], Question] = {}
        self.task_ended = asyncio.Event()
        # An exception that escaped `Asking`, for example `KeyboardInterrupt`.
        self.failure: BaseException | None = None

    def goes_on(self) -> bool:
        """Return whether the stream was not closed meanwhile, or raise what has escaped a request."""
        if self.failure is not None and not self.stopped:
            raise self.failure
        return not self.stopped

    async def stop(self) -> None:
        """End the requests, and wait until they have ended."""
        tasks = list(self.tasks)
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        self.task_ended.set()
        await asyncio.gather(*tasks, return_exceptions=True)


class Asking:
    """The requests of one stream.

    Attributes:
        requests: How many pages came.
        full_pages: How many of them were full.
        rows: The rows of all pages.
        any_bad: Whether a page had rows with a start that cannot be read.
        cost: What the requests cost.
        strategy: `"seek"` if the server order is proven, else `"divide"`.
        first_page_at: The `Date` of the first page, if the server sends one, and the event loop's time when the page came.
    """

    def __init__(
        self,
        caller: Caller,
        decoder: PageDecoder,
        options: StreamOptions,
        planner: Planner,
        unreadable: UnreadableRows,
        *,
        limiter: Limiter | None,
        checkpoint_behind: Callable[[Range], StreamCheckpoint],
    ) -> None:
        self._caller = caller
        self._decoder = decoder
        self._options = options
        self._planner = planner
        self._unreadable = unreadable
        self._limiter = limiter or caller.limiters.of(CDRS.bucket)
        self._checkpoint_behind = checkpoint_behind
        self._decoding = asyncio.Lock()
        self.requests: int = 0
        self.full_pages: int = 0
        self.rows: int = 0
        self.any_bad: bool = False
        self.cost: CallCost = CallCost()
        self.strategy: str = "divide"
        self.first_page_at: tuple[datetime, float] | None = None

    def send(self, iteration: StreamIteration) -> None:
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

    def _on_task_end(self, iteration: StreamIteration, task: asyncio.Task[None]) -> None:
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
        if strategy != self.strategy:
            self.strategy = strategy
            _logger.info("GET /cdrs: the strategy is now %s", strategy)

    async def _fetch(self, question: Question) -> Page:
        """Ask for one window."""
        window, limit = question.window, self._options.page_size
        first, last = (timestamp(to_datetime(at)) for at in (window.start, window.till))
        page = await self._caller.fetch(
            CDRS,
            partial(read_page, window=window, limit=limit, decoder=self._decoder),
            params={"from": first, "till": last, "limit": str(limit)},
            cost=self.cost,
            limiter=self._limiter,
            decoding=self._one_decoding,
            slow_attempts=_SLOW_ATTEMPTS if self._may_narrow(question) else None,
        )
        if self.requests == 0 and self.cost.server_time is not None:
            self.first_page_at = self.cost.server_time, asyncio.get_running_loop().time()
        self.requests += 1
        self.rows += page.size
        if not page.complete:
            self.full_pages += 1
        if page.unplaced:
            page = evolve(page, new_unplaced=self._unreadable.new_unplaced(page.unplaced))
        self.any_bad = self.any_bad or page.any_bad
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
            error.resume_after = self._checkpoint_behind(question.range)
        self._planner.fail(question, error)
