"""The requests of a stream: sends the planner's questions, and gives the planner each page or error.

A thin shell. `planner` decides what to ask and what a page means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attrs import define, evolve, frozen

from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import StreamCheckpoint
from unlimcall_async.cdrs.iteration import Iteration
from unlimcall_async.cdrs.page_reading import read_page
from unlimcall_async.cdrs.planner.page import Page, RowOutsideError
from unlimcall_async.cdrs.planner.page_cap import CountAboveRowsError, PagesCutError
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.windows import HOUR
from unlimcall_async.cdrs.times import Range, to_datetime
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.errors import ResponseError, UnlimCallError
from unlimcall_async.http.caller import Caller, Wanted
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.messages import timestamp
from unlimcall_async.http.outcome import is_slow
from unlimcall_async.http.pull import Pull, WaitingFor
from unlimcall_async.http.retry import STREAM_RATE_LIMITED_FOR, Patience

_logger = logging.getLogger("unlimcall_async")

# Attempts at a window that the server does not answer in time, before narrower ones are asked (contract, section 3).
_SLOW_ATTEMPTS: Final = 2


@frozen
class StreamOptions:
    """The range and the direction of a stream, and how it is pulled.

    `manifest` is whether a manifest is asked for, and `None` if nobody can ask for one later.
    """

    start: datetime
    end: datetime
    newest_first: bool = False
    concurrency: int = 4
    page_size: int = 1000
    seek: bool = True
    manifest: bool | None = None


class _NothingToAskError(Exception):
    """The planner has no question, now that there is a token for one. Never leaves this module."""


@define(eq=False)
class _Request:
    """A request of a stream. Without a question it holds the stream's place in the queue of the rate limit."""

    question: Question | None


class StreamIteration(Iteration):
    """One iteration over a stream, and its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[None], _Request] = {}
        # The requests that were told to end.
        self.ending: list[asyncio.Task[None]] = []
        # Set if there may be a page, or room for another request.
        self.changed: asyncio.Event = asyncio.Event()
        # An exception that escaped `Asking`, for example `KeyboardInterrupt`.
        self.failure: BaseException | None = None

    def goes_on(self) -> bool:
        """Return whether the stream was not closed meanwhile, or raise what has escaped a request."""
        if self.failure is not None and not self.stopped:
            raise self.failure
        return not self.stopped

    async def until_changed(self) -> None:
        """Wait until there may be a page. An `AssertionError`, in place of a stream that stands still, if none is under way."""
        if not self.tasks:
            raise AssertionError("the planner neither asks nor goes on")
        self.changed.clear()
        await self.changed.wait()

    async def stop(self) -> None:
        """End the requests, and wait until they have ended."""
        for task in self.tasks:
            task.cancel()
        self.ending += self.tasks
        self.tasks.clear()
        self.changed.set()
        await asyncio.gather(*self.ending, return_exceptions=True)


class Asking:
    """The requests of one stream.

    Attributes:
        requests: How many pages came.
        full_pages: How many of them were full.
        rows: The rows of all pages.
        any_bad: Whether a page had rows with a start that cannot be read.
        pull: What the requests share: their limiter, and what they cost.
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
        pull: Pull | None,
        checkpoint_behind: Callable[[Range], StreamCheckpoint],
    ) -> None:
        self._caller = caller
        self._decoder = decoder
        self._options = options
        self._planner = planner
        self._unreadable = unreadable
        self.pull: Pull = pull or _pull_of(caller)
        self._checkpoint_behind = checkpoint_behind
        self._decoding = asyncio.Lock()
        self.requests: int = 0
        self.full_pages: int = 0
        self.rows: int = 0
        self.any_bad: bool = False
        self.strategy: str = "divide"
        self.first_page_at: tuple[datetime, float] | None = None

    def go_on_with(self, planner: Planner) -> None:
        """Ask for what another planner asks, now that no request is under way."""
        self._planner = planner

    def send(self, iteration: StreamIteration) -> None:
        """Send what the planner asks, as long as another request makes sense.

        If the rate limit lets no request out at once, one request waits for its turn without a question. So if the limit is the
        bottleneck, the planner decides as late as it can, by all that is known, and the stream keeps its place among others.
        """
        tasks = iteration.tasks
        while len(tasks) < self._options.concurrency:
            # A task that was made just now does not wait in the queue yet.
            not_queued = len(tasks) - len(self.pull.cost.under_way)
            question = None
            if self.pull.limiter.free() > not_queued:
                question = self._planner.next_question()
                if question is None:
                    return
            elif any(request.question is None for request in tasks.values()):
                return
            request = _Request(question)
            task = asyncio.create_task(self._answer(iteration, request))
            tasks[task] = request
            task.add_done_callback(partial(self._on_task_end, iteration))

    def _on_task_end(self, iteration: StreamIteration, task: asyncio.Task[None]) -> None:
        request = iteration.tasks.pop(task, None)
        if request is None:
            return  # the iteration itself has ended the task
        if not task.cancelled():
            iteration.failure = iteration.failure or task.exception()
        elif request.question is not None:
            self._planner.put_back(request.question)
        # Without a question nothing has changed, and another request would not get one either, before one of the others ends.
        if request.question is not None or not iteration.tasks:
            iteration.changed.set()

    async def _answer(self, iteration: StreamIteration, request: _Request) -> None:
        """Send a request, and give the planner its page or its error. An error is raised after every record before it."""
        try:
            page = await self._fetch(iteration, request)
        except _NothingToAskError:
            return
        except Exception as error:
            question = request.question or self._planner.next_question()
            if question is not None:
                self._fail(question, error)
            elif len(iteration.tasks) == 1:
                raise  # what has stopped the last request has no other place
            return
        if request.question is not None:
            self._receive(request.question, page)

    def _receive(self, question: Question, page: Page) -> None:
        """Have the planner use the page of a question."""
        try:
            self._planner.receive(question, page)
        except RowOutsideError as outside:
            where = f"calls[{outside.index}].startTime"
            reason = "outside the window that was asked, by more than a second"
            self._fail(question, ResponseError(200, where, reason, "GET", "/cdrs"))
        except PagesCutError as cut:
            reason = f"cut short at {cut.cap} rows, and so was an earlier answer; start anew with page_size={cut.cap}"
            self._fail(question, ResponseError(200, "calls", reason, "GET", "/cdrs"))
        except CountAboveRowsError as error:
            reason = f"is {error.count}, but {error.rows} rows came, however often the window was asked"
            self._fail(question, ResponseError(200, "count", reason, "GET", "/cdrs"))
        strategy = "seek" if self._planner.seeks else "divide"
        if strategy != self.strategy:
            self.strategy = strategy
            _logger.info("GET /cdrs: the strategy is now %s", strategy)

    async def _fetch(self, iteration: StreamIteration, request: _Request) -> Page:
        """Ask for one window."""

        def wanted() -> Wanted[Page]:
            if request.question is None:
                request.question = self._planner.next_question()
                if request.question is None:
                    raise _NothingToAskError
                iteration.changed.set()  # another request may now wait for its turn
            window, limit = request.question.window, self._options.page_size
            first, last = (timestamp(to_datetime(at)) for at in (window.start, window.till))
            return Wanted(
                {"from": first, "till": last, "limit": str(limit)},
                lambda body: self._read(read_page(body, window=window, limit=limit, decoder=self._decoder)),
                _SLOW_ATTEMPTS if self._may_narrow(request.question) else None,
            )

        page = await self._caller.pull(CDRS, self.pull, wanted)
        server_time = self.pull.cost.server_time
        if self.requests == 0 and server_time is not None:
            self.first_page_at = server_time, asyncio.get_running_loop().time()
        self.requests += 1
        self.rows += page.size
        if not page.complete:
            self.full_pages += 1
        if page.unplaced:
            page = evolve(page, new_unplaced=self._unreadable.new_unplaced(page.unplaced))
        self.any_bad = self.any_bad or page.any_bad
        return page

    # --- waits --------------------------------------------------------------------------------------------------------

    def waiting(self) -> tuple[WaitingFor | None, float | None]:
        """Return what the requests wait for, and for how many seconds, if that is known.

        If they wait for several things, this is what ends first: a response that is under way before any other.
        """
        calls = self.pull.cost.under_way
        if any(call.waiting_for == "server" for call in calls):
            return "server", None
        waits: list[tuple[float, WaitingFor]] = []
        if any(call.waiting_for == "rate limit" for call in calls):
            seconds = self.pull.limiter.wait_of(self.pull)
            waits.append((self.pull.limiter.wait() if seconds is None else seconds, "rate limit"))
        waits.extend((call.waits_to_retry_s, "retry") for call in calls if call.waiting_for == "retry")
        if not waits:
            return None, None
        seconds, waiting_for = min(waits)
        return waiting_for, seconds

    def _may_narrow(self, question: Question) -> bool:
        """Return whether a narrower window may be asked next. A policy without retries wants no question asked again."""
        return len(question.window) > HOUR and bool(self._caller.policy.delays)

    async def _read(self, turns: Generator[None, None, Page]) -> Page:
        """Read one page at a time, a turn of it at once, so that others on the event loop run between two turns."""
        async with self._decoding:
            while (page := _after_a_turn(turns)) is None:  # noqa: ASYNC110 # this is the work, not a wait for work elsewhere
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        return page

    def _fail(self, question: Question, error: Exception) -> None:
        """Have the planner ask for less, if the server was too slow. Else the error is raised after every record before it."""
        slow = isinstance(error, UnlimCallError) and is_slow(error) and self._may_narrow(question)
        width = self._planner.narrow(question) if slow else None
        if width is not None:
            wide = timedelta(microseconds=width)
            _logger.info("GET /cdrs: not answered in time; windows are %s wide from now on", wide)
            return
        if isinstance(error, ResponseError):
            error.window = to_datetime(question.window.start), to_datetime(question.window.till)
            error.resume_after = self._checkpoint_behind(question.range)
        self._planner.fail(question, error)


def _after_a_turn(turns: Generator[None, None, Page]) -> Page | None:
    """Take one turn of reading a page, and return the page if that was the last one."""
    try:
        next(turns)
    except StopIteration as done:
        page: Page = done.value
        return page
    return None


def _pull_of(caller: Caller) -> Pull:
    """Return what the requests of a stream share."""
    seconds = caller.policy.rate_limited_for
    patience = Patience(STREAM_RATE_LIMITED_FOR if seconds is None else seconds, of_pull=True)
    return Pull(limiter=caller.limiters.of(CDRS.bucket), patience=patience)
