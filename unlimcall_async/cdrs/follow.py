"""`client.cdrs.follow`: the live tail, as polls that ask again for the time that may still get records.

A thin shell. The follow waits, and pulls each range by a `CdrStream`, which gives the range whole and in order; `tail` decides
what to ask, and which of the rows are new.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Final

from unlimcall_async import _clock
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import Checkpoint, FollowCheckpoint, StreamCheckpoint, TailPlace
from unlimcall_async.cdrs.iteration import Iteration, OneAtATime
from unlimcall_async.cdrs.stats import FollowStats
from unlimcall_async.cdrs.stream import CdrStream, StreamOptions
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, ceil, floor, to_datetime, to_micros
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.bucket import DAY, MINUTE
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.models import CallRecord

# The share of the rate limit that polls may take; the rest is left to others that use the client.
SHARE: Final = 0.5
# That of a stream: the history is pulled as a stream pulls it.
_CONCURRENCY: Final = 4


class _FollowIteration(Iteration):
    """One iteration over a follow, and the stream that it pulls."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()
        self.stream: CdrStream | None = None

    async def stop(self) -> None:
        """End the wait, and the requests of the stream."""
        self.ended.set()
        if self.stream is not None:
            await self.stream.aclose()

    async def wait_until(self, moment: float) -> None:
        """Wait for a time of the event loop's clock, or for the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self.ended.wait()


class CdrFollow(OneAtATime[_FollowIteration]):
    """The call records from a start on, without an end: each once, as an async iterator that waits for more.

    `async for record in follow` gives records, `async for batch in follow.batches()` lists of them; both go on from one position.
    Leave `async with follow`, or call `aclose()` from anywhere: the iteration then ends, also while it waits.

    Attributes:
        start: The start.
    """

    def __init__(
        self,
        caller: Caller,
        decoder: PageDecoder,
        start: datetime,
        place: TailPlace | None = None,
        *,
        interval: timedelta,
        lookback: timedelta,
    ) -> None:
        super().__init__(_FollowIteration)
        self.start: datetime = start
        self._caller = caller
        self._decoder = decoder
        self._interval = interval.total_seconds()
        self._lookback = ceil(lookback // timedelta(microseconds=1), MILLISECOND)
        first = floor(to_micros(start), MILLISECOND)
        self._tail = Tail.from_start(first, self._lookback) if place is None else Tail(place, self._lookback)
        self._whole_limit = caller.limiters.of(CDRS.bucket)
        self._poll_limit = caller.limiters.share_of("cdrs", SHARE)
        # From the start of the last poll to that of the next: the share may not allow for a poll at each interval.
        self._pause = max(self._interval, _seconds_per_request(self._poll_limit))
        self._polls = self._records = self._new = 0
        # What the streams that have ended cost, and the stream that is under way.
        self._requests = self._rows = self._full_pages = self._retries = 0
        self._waited = 0.0
        self._stream: CdrStream | None = None

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._watched(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, as they come; none is empty.

        Raises:
            RuntimeError: Two iterations at once.
            WindowSaturatedError: An instant holds more records than a page can; some of `seen` may have been handed out.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure that the retry policy gives up on. A new iteration goes on from the position.
        """
        return self._watched(self._iterate_batches)

    async def _iterate_records(self, iteration: _FollowIteration) -> AsyncGenerator[CallRecord, None]:
        async with aclosing(self._poll(iteration)) as batches:
            async for batch in batches:
                for record in batch:
                    if iteration.stopped:
                        return
                    self._record(record)
                    yield record

    async def _iterate_batches(self, iteration: _FollowIteration) -> AsyncGenerator[list[CallRecord], None]:
        async with aclosing(self._poll(iteration)) as batches:
            async for batch in batches:
                for record in batch:
                    self._record(record)
                yield batch

    def _record(self, record: CallRecord) -> None:
        self._tail.record(record)
        self._records += 1

    def _reset(self) -> None:
        """Keep nothing: what was not handed out is asked again."""

    # --- polls --------------------------------------------------------------------------------------------------------

    async def _poll(self, iteration: _FollowIteration) -> AsyncGenerator[list[CallRecord], None]:
        """Poll until the iteration is stopped, and yield what is new."""
        clock = asyncio.get_running_loop().time
        try:
            await self._begin(iteration)
            while not iteration.stopped:
                began, requests = clock(), self._requests
                now = floor(to_micros(_clock.utc_now()), MILLISECOND)
                # The history, and what an outage has left, get all of the limit; a poll that is in time gets its share.
                late = now - self._tail.edge > self._lookback + 2 * self._pause * SECOND
                limiter = self._whole_limit if late else self._poll_limit
                pace = _seconds_per_request(limiter)
                budget = max(2, int(self._interval / pace)) if pace else None
                for wanted in self._tail.ranges(now, budget):
                    stream = self._stream = iteration.stream = self._stream_over(wanted, limiter)
                    try:
                        async with aclosing(stream.batches()) as batches:
                            async for batch in batches:
                                fresh = self._tail.fresh(batch)
                                self._new += len(fresh)
                                if fresh:
                                    yield fresh
                                if iteration.stopped:
                                    return  # the tail may belong to another iteration by now
                                self._tail.reached(_position_of(stream))
                    except (WindowSaturatedError, ResponseError) as error:
                        self._skip_in_checkpoint(error, _position_of(stream))
                        raise
                    except RuntimeError:
                        if not iteration.stopped:  # else the stream reports that it was closed, as it was meant to be
                            raise
                    finally:
                        self._add_up(stream)
                    if iteration.stopped:
                        return
                self._polls += 1
                self._pause = max(self._interval, 0.0 if late else (self._requests - requests) * pace)
                await iteration.wait_until(began + self._pause)
        finally:
            await self._finish(iteration)

    def _stream_over(self, wanted: Range, limiter: Limiter) -> CdrStream:
        """Return a stream over a range of the plan."""
        last = to_datetime(wanted.end)
        first = min(max(self.start, to_datetime(wanted.start)), last)
        options = StreamOptions(first, last, newest_first=False, concurrency=_CONCURRENCY, page_size=1000, seek=True)
        return CdrStream(self._caller, self._decoder, options, limiter=limiter)

    def _skip_in_checkpoint(self, error: WindowSaturatedError | ResponseError, reached: int) -> None:
        """Turn the range that the stream's checkpoint skips into a hole of the follow's own checkpoint."""
        self._tail.reached(reached)
        if isinstance(error.resume_after, StreamCheckpoint):
            hole = Range(reached, floor(error.resume_after.place.at, MILLISECOND))
            error.resume_after = FollowCheckpoint(self.start, self._tail.without(hole))

    def _add_up(self, stream: CdrStream) -> None:
        """Add what a stream has cost, once it has ended."""
        if self._stream is stream:
            self._stream = None
        stats = stream.stats
        self._requests += stats.requests
        self._rows += stats.records + stats.duplicates
        self._full_pages += stats.full_pages
        self._retries += stats.retries
        self._waited += stats.waited_s

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Checkpoint:
        """All that was handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        return FollowCheckpoint(self.start, self._tail.place())

    @property
    def stats(self) -> FollowStats:
        """What the follow has done."""
        now = None if self._stream is None else self._stream.stats
        lag = (to_micros(_clock.utc_now()) - self._tail.known_until) / SECOND
        return FollowStats(
            requests=self._requests + (now.requests if now else 0),
            records=self._records,
            duplicates=self._rows + (now.records + now.duplicates if now else 0) - self._new,
            full_pages=self._full_pages + (now.full_pages if now else 0),
            retries=self._retries + (now.retries if now else 0),
            polls=self._polls,
            waited_s=self._waited + (now.waited_s if now else 0.0),
            lag_s=max(0.0, lag),
            held=self._tail.held,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.start.isoformat()}, {self._records} records so far>"


def _seconds_per_request(limiter: Limiter) -> float:
    """Return the seconds that a request takes of a limit, in the long run; 0 without a limit."""
    if limiter.limit is None:
        return 0.0
    per_day = limiter.limit.per_day
    return max(MINUTE / limiter.limit.per_minute, DAY / per_day if per_day is not None else 0.0)


def _position_of(stream: CdrStream) -> int:
    return floor(to_micros(stream.progress.position), MILLISECOND)
