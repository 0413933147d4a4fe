"""`client.cdrs.follow`: the live tail, as polls that go over the open ground.

A thin shell. It waits, and pulls each range by a `CdrStream`, which gives it whole and in order; what to ask, and which of the rows
are new, the tail decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from unlimcall_async import _clock
from unlimcall_async._rows import Reader
from unlimcall_async.cdrs.checkpoint import Checkpoint, FollowCheckpoint, StreamCheckpoint, TailPlace
from unlimcall_async.cdrs.instants import Range, micros_of, moment_of
from unlimcall_async.cdrs.iteration import OneAtATime, Turn
from unlimcall_async.cdrs.stream import CdrStream, Order
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.bucket import DAY, MINUTE
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.models import CallRecord

# The share of the rate limit that polls may take; the rest is left to others that use the client.
SHARE: Final = 0.5
_CONCURRENCY: Final = 4
_MILLISECOND: Final = timedelta(milliseconds=1)


@frozen
class FollowStats:
    """What a follow has done.

    Attributes:
        requests: Answers to requests; further attempts do not count.
        records: Records handed out.
        duplicates: Rows that came again.
        full_pages: Answers that were not their whole window.
        retries: Further attempts.
        polls: Polls that were gone through to their end.
        waited_s: Seconds that requests waited for the rate limit, added up.
        lag_s: Seconds; every record that the API held so long ago has been handed out.
        held: Records of which a digest is kept, because their time is still asked.
    """

    requests: int
    records: int
    duplicates: int
    full_pages: int
    retries: int
    polls: int
    waited_s: float
    lag_s: float
    held: int


class _Turn(Turn):
    """One iteration, and the stream that it pulls."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()
        self.stream: CdrStream | None = None

    async def stop(self) -> None:
        """End the wait, or the requests of the stream."""
        self.ended.set()
        if self.stream is not None:
            await self.stream.aclose()

    async def wait_until(self, moment: float) -> None:
        """Wait for a time of the event loop's clock, or for the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self.ended.wait()


class CdrFollow(OneAtATime[_Turn]):
    """The call records from a start on, without an end: each once, as an async iterator that waits for more.

    `async for record in follow` gives records, `async for batch in follow.batches()` lists of them; both go on from one position.
    Leave `async with follow`, or call `aclose()` from anywhere: the iteration then ends, also while it waits.

    Attributes:
        start: The start.
    """

    def __init__(
        self,
        caller: Caller,
        reader: Reader,
        start: datetime,
        place: TailPlace | None = None,
        *,
        interval: timedelta,
        lookback: timedelta,
    ) -> None:
        super().__init__(_Turn)
        self.start: datetime = start
        self._caller = caller
        self._reader = reader
        self._interval = interval.total_seconds()
        self._lookback = -(-lookback // _MILLISECOND)
        first = micros_of(start) // 1000
        self._tail = Tail.from_start(first, self._lookback) if place is None else Tail(place, self._lookback)
        self._whole = caller.limiters.of(CDRS.bucket)
        self._share = caller.limiters.share_of("cdrs", SHARE)
        # From the start of the last poll to that of the next, as planned: the share may not allow for one at each interval.
        self._pause = max(self._interval, _pace(self._share))
        self._polls = self._records = self._new = 0
        # Of the streams that are done with, and the one that is not.
        self._requests = self._rows = self._full_pages = self._retries = 0
        self._waited = 0.0
        self._stream: CdrStream | None = None

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # whoever iterates by hand can close it
        return self._watched(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, as they come; none is empty.

        Raises:
            RuntimeError: Two iterations at once.
            WindowSaturatedError: An instant holds more records than a page can; some of `seen` may have been handed out.
            ResponseError: An answer, or a row in it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure that the retry policy gives up on. To iterate again goes on from the position.
        """
        return self._watched(self._iterate_batches)

    async def _iterate_records(self, turn: _Turn) -> AsyncGenerator[CallRecord, None]:
        try:
            await self._begin(turn)
            async with aclosing(self._blocks(turn)) as blocks:
                async for block in blocks:
                    for record in block:
                        if turn.stopped:
                            return
                        self._hand_out(record)
                        yield record
        finally:
            await self._finish(turn)

    async def _iterate_batches(self, turn: _Turn) -> AsyncGenerator[list[CallRecord], None]:
        try:
            await self._begin(turn)
            async with aclosing(self._blocks(turn)) as blocks:
                async for block in blocks:
                    for record in block:
                        self._hand_out(record)
                    yield block
        finally:
            await self._finish(turn)

    def _hand_out(self, record: CallRecord) -> None:
        self._tail.take(record)
        self._records += 1

    def _forget(self) -> None:
        """Keep nothing: what was not handed out is asked again."""

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _blocks(self, turn: _Turn) -> AsyncGenerator[list[CallRecord], None]:
        """Poll, and give what is new, for as long as nobody ends it."""
        loop = asyncio.get_running_loop()
        while not turn.stopped:
            began, asked, now = loop.time(), self._requests, micros_of(_clock.utc_now()) // 1000
            limiter = self._limiter(now)
            pace = _pace(limiter)
            budget = max(2, int(self._interval / pace)) if pace else None
            for wanted in self._tail.plan(now, budget):
                async with aclosing(self._ask(turn, wanted, now, limiter)) as blocks:
                    async for block in blocks:
                        yield block
                if turn.stopped:
                    return
            self._polls += 1
            spent = self._requests - asked if limiter is self._share else 0
            self._pause = max(self._interval, spent * pace)
            await turn.wait_until(began + self._pause)

    def _limiter(self, now: int) -> Limiter:
        """Give all of the limit to the history, and to what an outage has left; polls have their share of it."""
        late = now - self._tail.edge > self._lookback + 2000 * self._pause
        return self._whole if late else self._share

    async def _ask(
        self, turn: _Turn, wanted: Range, now: int, limiter: Limiter
    ) -> AsyncGenerator[list[CallRecord], None]:
        """Ask a range of the plan."""
        for piece in self._tail.begin(wanted, now):
            async with aclosing(self._pull(turn, piece, limiter)) as blocks:
                async for block in blocks:
                    yield block
            if turn.stopped:
                return
        self._tail.reached(wanted.end)

    async def _pull(self, turn: _Turn, piece: Range, limiter: Limiter) -> AsyncGenerator[list[CallRecord], None]:
        """Pull a piece without holes, and give what is new in it."""
        first, last = max(self.start, moment_of(piece.start)), moment_of(piece.end)
        if first >= last:
            return
        order = Order(first, last, newest_first=False, concurrency=_CONCURRENCY, page_size=1000, seek=True)
        stream = self._stream = turn.stream = CdrStream(self._caller, self._reader, order, limiter=limiter)
        try:
            async with aclosing(stream.batches()) as batches:
                async for batch in batches:
                    fresh = self._tail.fresh(batch)
                    self._new += len(fresh)
                    if fresh:
                        yield fresh
                    if turn.stopped:  # and the tail may be in another iteration's hands
                        return
                    self._tail.reached(_reached_by(stream))
        except (WindowSaturatedError, ResponseError) as error:
            self._offer_the_rest(error, _reached_by(stream))
            raise
        except RuntimeError:
            if not turn.stopped:  # else the stream says that it was closed, as it was meant to be
                raise
        finally:
            self._add_up(stream)

    def _offer_the_rest(self, error: WindowSaturatedError | ResponseError, reached: int) -> None:
        """Let `resume_after` lead a follow behind what cannot be had."""
        self._tail.reached(reached)
        if isinstance(error.resume_after, StreamCheckpoint):
            hole = Range(reached, error.resume_after.place.at // 1000)
            error.resume_after = FollowCheckpoint(self.start, self._tail.without(hole))

    def _add_up(self, stream: CdrStream) -> None:
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
        """Everything handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        return FollowCheckpoint(self.start, self._tail.place())

    @property
    def stats(self) -> FollowStats:
        """What the follow has done."""
        now = None if self._stream is None else self._stream.stats
        lag = micros_of(_clock.utc_now()) / 1e6 - self._tail.known_until / 1e3
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


def _pace(limiter: Limiter) -> float:
    """Give the seconds that a request takes of a limit, in the long run."""
    if limiter.limit is None:
        return 0.0
    per_day = limiter.limit.per_day
    return max(MINUTE / limiter.limit.per_minute, DAY / per_day if per_day is not None else 0.0)


def _reached_by(stream: CdrStream) -> int:
    return micros_of(stream.progress.position) // 1000
