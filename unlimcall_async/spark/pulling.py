"""One task: the records of one range as Arrow columns, from an event loop in a thread of its own.

Spark takes columns from a plain iterator, as fast as the rest of its plan allows. The loop goes on meanwhile: no request under way
times out because Spark is slow, and the bounds of the stream stop the fetching.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, suppress
from datetime import datetime
from functools import cache
from queue import SimpleQueue
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped] # it has no types

from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.shared import SharedRateLimits
from unlimcall_async.spark.options import Options
from unlimcall_async.spark.ranges import Attempt, Piece, pace_of
from unlimcall_async.spark.tokens import redis_url_of, token_of

_logger: Final = logging.getLogger("unlimcall_async")

# Rows of a batch: as many as Spark's own batches have (`spark.sql.execution.arrow.maxRecordsPerBatch`).
_ROWS: Final = 10_000
# Batches that wait while Spark works on another.
_AHEAD: Final = 1


def pull(options: Options, piece: Piece, attempt: Attempt) -> Generator[pa.RecordBatch, None, None]:
    """Yield the records of a range as columns, with the schema `unlimcall_async.columns.SCHEMA`.

    Raises:
        ValueError: The executor has no token of the account.
        ResponseError: A page, or a row of it, cannot be read.
        UnlimCallError: Any other failure that the retry policy gives up on.

    A note on each error names the account and the range.
    """
    pulling = _Pulling(options, piece, attempt)
    # A daemon: the process of a task that Spark ends does not wait for it.
    thread = threading.Thread(target=pulling.run, name="unlimcall-spark", daemon=True)
    thread.start()
    try:
        while (item := pulling.came.get()) is not None:
            if isinstance(item, BaseException):
                # The API's errors name no account, and a job has many. Spark shows notes below the error.
                item.add_note(f"account {piece.account}, from {piece.start.isoformat()} to {piece.end.isoformat()}")
                raise item
            pulling.call(pulling.room.release)
            yield item
    finally:
        pulling.call(pulling.cancel)
        thread.join()


class _Pulling:
    """The side of the thread.

    Attributes:
        came: Batches, and behind them an error, or `None` for the end.
        room: Released for each batch that Spark has taken.
    """

    def __init__(self, options: Options, piece: Piece, attempt: Attempt) -> None:
        self.came = SimpleQueue[Any]()
        self.room = asyncio.Semaphore(_AHEAD)
        self._asked = options, piece, attempt
        # Without a factory, the runner would set its loop as that of this thread, which runs the user's functions afterwards.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Pull until all has come, an error has, or the task is cancelled."""
        with self._runner:
            self._runner.run(self._pull())

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the event loop, from another thread. Do nothing if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def cancel(self) -> None:
        """Cancel what is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _pull(self) -> None:
        self._task = asyncio.current_task()
        try:
            async with aclosing(_batches(*self._asked)) as batches:
                async for batch in batches:
                    self.came.put(batch)
                    await self.room.acquire()
        except BaseException as error:  # noqa: BLE001 # the thread of Spark raises it, and would wait for ever otherwise
            self.came.put(error)
        else:
            self.came.put(None)


async def _batches(options: Options, piece: Piece, attempt: Attempt) -> AsyncGenerator[pa.RecordBatch, None]:
    limits, wait = _limits(options, piece, attempt)
    if wait:
        # A token that is missing is named before the wait, and one that was replaced meanwhile is read behind the wait.
        token_of(options, piece.account)
        await asyncio.sleep(wait)
    async with AsyncClient(token_of(options, piece.account), base_url=options.base_url, rate_limits=limits) as client:
        # Another round only if the server's clock is behind that of the driver, or `settle` became longer after a batch had begun.
        while True:
            async with client.cdrs.stream(piece.start, piece.end) as stream, aclosing(stream.arrow(_ROWS)) as batches:
                batch = await anext(batches, None)
                early = _early(piece, stream.first_page_at)
                while batch is not None and not early:
                    yield batch
                    batch = await anext(batches, None)
            if not early:
                return
            _logger.warning("by the server's clock, the records of %s settle in %.0f s: waiting", piece.account, early)
            await asyncio.sleep(early)


def _limits(options: Options, piece: Piece, attempt: Attempt) -> tuple[RateLimits | SharedRateLimits, float]:
    """Return the rate limits of an attempt, and the seconds that it has to wait first."""
    url = redis_url_of(options)
    if url is None:
        per_minute, wait = pace_of(piece, attempt)
        return RateLimits(cdrs=RateLimit(per_minute=per_minute)), wait
    try:
        return _shared_limits(url, options.per_minute), 0.0
    except ValueError as error:
        # The driver has checked an option already.
        problem = f"redis_url_env: {options.redis_url_env} does not hold a valid URL: {error}"
    # The frames of a traceback may be shown with their variables, and this one may hold a password.
    del url
    raise ValueError(problem)


@cache
def _shared_limits(url: str, per_minute: int) -> SharedRateLimits:
    """Return limits that this process keeps for its later tasks, because they remember what was seen on the server."""
    return SharedRateLimits(url, RateLimits(cdrs=RateLimit(per_minute=per_minute)))


def _early(piece: Piece, first_page: tuple[datetime, float] | None) -> float:
    """Return the seconds by which the server's clock was short of the time at which the range has settled."""
    if piece.settled_at is None or first_page is None:
        return 0.0
    return max(0.0, (piece.settled_at - first_page[0]).total_seconds())
