"""`client.cdrs.follow`: the live tail, as polls that ask again for the time that may still get records.

A thin shell. The follow waits, and pulls each range by a `CdrStream`, which gives the range whole and in order; `tail` decides
what to ask, and which of the rows are new.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from unlimcall_async import _clock, _watched
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs import notebook
from unlimcall_async.cdrs.asking import StreamOptions
from unlimcall_async.cdrs.changes import CdrChange, change_of
from unlimcall_async.cdrs.checkpoint import Checkpoint, StreamCheckpoint
from unlimcall_async.cdrs.follow_checkpoint import FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.iteration import OneAtATime
from unlimcall_async.cdrs.marks import Found, Revised
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.poll_clock import PollClock
from unlimcall_async.cdrs.polls import FollowIteration, Poll, position_of, seconds_per_request
from unlimcall_async.cdrs.rows import BadRow
from unlimcall_async.cdrs.stats import FollowStats
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.tail import RowsOfTail, Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, ceil, floor, to_datetime, to_micros
from unlimcall_async.cdrs.unreadable import Unreadable
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.pull import Pull
from unlimcall_async.http.retry import Patience
from unlimcall_async.models import CallRecord, UnreadableRow

# The share of the rate limit that polls may take; the rest is left to others that use the client.
SHARE: Final = 0.5
# That of a stream: the history is pulled as a stream pulls it.
_CONCURRENCY: Final = 4
# The share of `lookback` beyond which a record that comes late is a warning. The next one may be a quarter later, and is lost.
_NEAR: Final = 0.8

_logger = logging.getLogger("unlimcall_async")


class CdrFollow(OneAtATime[FollowIteration]):
    """The call records from a start on, without an end: each once, as an async iterator that waits for more.

    `async for record in follow` gives records, `async for batch in follow.batches()` lists of them. `async for change in
    follow.changes()` also gives the changes of records that were handed out. All of them go on from one position.
    Leave `async with follow`, or call `aclose()` from anywhere: the iteration then ends, also while it waits.

    Attributes:
        start: The start.
    """

    def __init__(
        self,
        caller: Caller,
        decoder: PageDecoder,
        known: KnownServer,
        start: datetime,
        place: TailPlace | None = None,
        *,
        interval: timedelta,
        lookback: timedelta,
        unreadable: Unreadable,
    ) -> None:
        super().__init__(FollowIteration)
        self.start: datetime = start
        self._caller = caller
        self._decoder = decoder
        self._known = known
        self._interval = interval.total_seconds()
        self._lookback = ceil(lookback // timedelta(microseconds=1), MILLISECOND)
        first = floor(to_micros(start), MILLISECOND)
        self._tail = Tail.from_start(first, self._lookback) if place is None else Tail(place, self._lookback)
        self._unreadable = RowsOfTail(
            self._tail, keep=unreadable == "keep", marks=() if place is None else place.unplaced
        )
        self._whole_limit = caller.limiters.of(CDRS.bucket)
        self._poll_limit = caller.limiters.share_of("cdrs", SHARE)
        # From the start of the last poll to that of the next: the share may not allow for a poll at each interval.
        self._pause = max(self._interval, seconds_per_request(self._poll_limit))
        # The poll that a cancellation has left, and when the next one is to begin by the event loop's clock.
        self._left: Poll | None = None
        self._next_at = 0.0
        self._clock = PollClock()
        self._polls = self._records = self._new = self._revised = self._removed = 0
        # What the streams that have ended cost, and the stream that is under way.
        self._requests = self._rows = self._full_pages = self._retries = 0
        self._waited = 0.0
        self._skew: float | None = None
        self._warned = False
        self._stream: CdrStream | None = None

    @property
    def unreadable(self) -> list[UnreadableRow]:
        """The rows that cannot be read, with `unreadable="keep"`: at most 10,000, unless you take some out."""
        return self._unreadable.kept

    # --- iteration ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._iterator(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, as they come; none is empty.

        Raises:
            RuntimeError: Two iterations at once.
            WindowSaturatedError: An instant holds more records than a page can; some of `seen` may have been handed out.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure that the retry policy gives up on. A new iteration goes on from the position.
        """
        return self._iterator(self._iterate_batches)

    def changes(self) -> AsyncGenerator[CdrChange, None]:
        """Iterate over changes, as they come: records that are new, revised or removed, by start and id within a poll.

        A record is revised if any field has changed since it was handed out, `extra` included. It is removed if a complete answer
        no longer holds it. If its start or its id changes, it is removed, and another one is added. Changes come as long as the
        record is asked for: until `lookback` after its start. Changes that another view has passed over come, too.

        Raises:
            RuntimeError: Two iterations at once.
            WindowSaturatedError: As for `batches`.
            ResponseError: As for `batches`.
            UnlimCallError: As for `batches`.
        """
        return self._iterator(self._iterate_changes)

    async def _iterate_records(self, iteration: FollowIteration) -> AsyncGenerator[CallRecord, None]:
        async with aclosing(self._poll(iteration, owed=False)) as batches:
            async for batch in batches:
                for each in batch:
                    if iteration.stopped:
                        return
                    self._settle(each, handed_out=False)
                    if isinstance(each, CallRecord):
                        yield each

    async def _iterate_batches(self, iteration: FollowIteration) -> AsyncGenerator[list[CallRecord], None]:
        async with aclosing(self._poll(iteration, owed=False)) as batches:
            async for batch in batches:
                for each in batch:
                    self._settle(each, handed_out=False)
                if records := [each for each in batch if isinstance(each, CallRecord)]:
                    yield records

    async def _iterate_changes(self, iteration: FollowIteration) -> AsyncGenerator[CdrChange, None]:
        async with aclosing(self._poll(iteration, owed=True)) as batches:
            async for batch in batches:
                for each in batch:
                    if iteration.stopped:
                        return
                    self._settle(each, handed_out=True)
                    yield change_of(each)

    def _settle(self, found: Found, *, handed_out: bool) -> None:
        """Record that a record is about to be handed out, or that its change is, or is passed over."""
        if isinstance(found, CallRecord):
            self._tail.record(found)
            self._records += 1
            return
        self._tail.settle(found, handed_out=handed_out)
        if found.is_counted:
            return
        if isinstance(found, Revised):
            self._revised += 1
        else:
            self._removed += 1

    def _reset(self) -> None:
        """Keep nothing: what was not handed out is asked again."""

    # --- polls --------------------------------------------------------------------------------------------------------

    async def _poll(self, iteration: FollowIteration, *, owed: bool) -> AsyncGenerator[list[Found], None]:
        """Poll until the iteration is stopped, and yield what is found: also what was passed over, if that is wanted."""
        clock = asyncio.get_running_loop().time
        poll, next_at = self._left, self._next_at
        self._left, self._next_at = None, 0.0
        if not iteration.resumes:
            # Another iterator begins with a poll of its own.
            if poll is not None:
                self._end_stream(poll)
            poll, next_at = None, 0.0
        try:
            await self._begin(iteration)
            while not iteration.stopped:
                if poll is None:
                    await iteration.wait_until(next_at)
                    if iteration.stopped:
                        break
                    poll = self._begin_poll(clock())
                async with aclosing(self._pull(iteration, poll, owed=owed)) as batches:
                    async for found in batches:
                        yield found
                if iteration.stopped:
                    break
                self._polls += 1
                self._pause = max(self._interval, 0.0 if poll.late else (self._requests - poll.requests) * poll.pace)
                next_at, poll = poll.began + self._pause, None
                _watched.tell(self)
        except asyncio.CancelledError:
            # The next step goes on with what has come. What was under way has to be asked again.
            self._left, self._next_at = poll, next_at
            raise
        finally:
            if poll is not None and self._left is None:
                self._end_stream(poll)
            iteration.exhausted = iteration.stopped
            await self._finish(iteration)

    async def _pull(self, iteration: FollowIteration, poll: Poll, *, owed: bool) -> AsyncGenerator[list[Found], None]:
        """Pull what is left of a poll, and yield what is found."""
        while (stream := poll.stream or self._next_stream(poll)) is not None:
            poll.stream = self._stream = iteration.stream = stream
            # Before anything is asked: what has come is not to wait, or a cancellation would lose it.
            await self._index(iteration)
            if iteration.stopped:
                return
            async with aclosing(self._ask(iteration, poll, stream, owed=owed)) as answers:
                async for found in answers:
                    yield found
            if iteration.stopped:
                return  # the stream has ended because the follow was closed, and perhaps not at the end of its range
            self._heed_server_time(poll, stream)
            self._end_stream(poll)

    async def _ask(
        self, iteration: FollowIteration, poll: Poll, stream: CdrStream, *, owed: bool
    ) -> AsyncGenerator[list[Found], None]:
        """Pull the range that a poll asks, and yield what is found."""
        failed: WindowSaturatedError | ResponseError | None = None
        try:
            async with aclosing(stream.batches()) as batches:
                async for batch in batches:
                    self._heed_server_time(poll, stream)
                    if found := self._found(stream, batch, poll.take(), owed=owed):
                        yield found
                    if iteration.stopped:
                        return  # the tail may belong to another iteration by now
                    self._tail.reached(position_of(stream))
                    self._heed_lateness()
                    _watched.tell(self)
        except (WindowSaturatedError, ResponseError) as error:
            failed = error
        if iteration.stopped:
            return
        # What is gone of the time behind the last record, and before an error.
        if found := self._found(stream, [], poll.take(all_of_it=failed is None), owed=owed):
            yield found
        if failed is not None and not iteration.stopped:
            self._skip_in_checkpoint(failed, stream)
            raise failed

    async def _index(self, iteration: FollowIteration) -> None:
        for _ in self._tail.index():
            await asyncio.sleep(0)
            if iteration.stopped:
                return

    def _found(self, stream: CdrStream, batch: Sequence[CallRecord], within: Range, *, owed: bool) -> list[Found]:
        self._tail.settled = position_of(stream)
        found = self._tail.found(batch, within, owed=owed)
        # All that was found before has been handed out, or was dropped as its iteration was left, and comes again.
        self._new = max(self._new, self._records + sum(isinstance(each, CallRecord) for each in found))
        return found

    def _begin_poll(self, began: float) -> Poll:
        """Return a new poll, which begins at this time of the event loop."""
        now = self._clock.begin(floor(to_micros(_clock.utc_now()), MILLISECOND), began)
        self._unreadable.forget_before(self._tail.frontier)
        # The history, and what an outage has left, get all of the limit; a poll that is in time gets its share.
        late = self._clock.real(now, began) - self._tail.edge > self._lookback + 2 * self._pause * SECOND
        limiter = self._whole_limit if late else self._poll_limit
        pace = seconds_per_request(limiter)
        budget = max(2, int(self._interval / pace)) if pace else None
        return Poll(began, late, limiter, pace, self._tail.ranges(now, budget), self._requests)

    def _next_stream(self, poll: Poll) -> CdrStream | None:
        wanted = next(poll.ranges, None)
        if wanted is None:
            return None
        poll.left = wanted
        return self._stream_over(wanted, poll.limiter)

    def _heed_server_time(self, poll: Poll, stream: CdrStream) -> None:
        """Take nothing for known that lies behind the time that the server had when the poll began."""
        if stream.first_page_at is not None:
            server_time, at = stream.first_page_at
            self._clock.note_server(to_micros(server_time), at)
        # If this response does not tell the time, an earlier one has.
        known = self._clock.server_at(poll.began)
        if known is not None:
            self._tail.limit(known)

    def _heed_lateness(self) -> None:
        """Warn, once, if a record came so late that others may come too late."""
        latest = self._tail.lateness.latest
        if self._warned or latest <= _NEAR * self._lookback:
            return
        self._warned = True
        _logger.warning(
            "a call record appeared %.0f s after its start, and lookback is %.0f s: a record that appears later is lost; "
            "follow with a longer lookback",
            latest / SECOND,
            self._lookback / SECOND,
        )

    def _end_stream(self, poll: Poll) -> None:
        """Add what the poll's stream has cost, once it has ended."""
        if poll.stream is None:
            return
        stats = poll.stream.stats
        poll.stream = self._stream = None
        self._requests += stats.requests
        self._rows += stats.records + stats.duplicates
        self._full_pages += stats.full_pages
        self._retries += stats.retries
        self._waited += stats.waited_s
        self._skew = self._skew if stats.clock_skew_s is None else stats.clock_skew_s

    def _stream_over(self, wanted: Range, limiter: Limiter) -> CdrStream:
        """Return a stream over a range of the plan."""
        last = to_datetime(wanted.end)
        first = min(max(self.start, to_datetime(wanted.start)), last)
        options = StreamOptions(first, last, concurrency=_CONCURRENCY)
        pull = Pull(limiter=limiter, patience=Patience(math.inf, of_pull=True))
        return CdrStream(self._caller, self._decoder, options, self._unreadable, self._known, pull=pull)

    def _skip_in_checkpoint(self, error: WindowSaturatedError | ResponseError, stream: CdrStream) -> None:
        """Have the follow's own checkpoint skip what the checkpoint of the stream skips: a row, or a range."""
        reached = position_of(stream)
        self._tail.reached(reached)
        if not isinstance(error.resume_after, StreamCheckpoint):
            return
        row = stream.row_ahead
        marks = self._unreadable.marks_behind(self._tail.frontier, skipped=row)
        if isinstance(row, BadRow):
            place = self._tail.behind(row)
        elif row is not None:
            place = self._tail.place()
        else:
            place = self._tail.without(Range(reached, floor(error.resume_after.place.at, MILLISECOND)))
        error.resume_after = FollowCheckpoint(self.start, evolve(place, unplaced=marks), self._known.proven)

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Checkpoint:
        """All that was handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        marks = self._unreadable.marks_behind(self._tail.frontier)
        return FollowCheckpoint(self.start, evolve(self._tail.place(), unplaced=marks), self._known.proven)

    @property
    def stats(self) -> FollowStats:
        """What the follow has done."""
        now = None if self._stream is None else self._stream.stats
        wait = None if self._stream is None else self._stream.progress
        lag = (to_micros(_clock.utc_now()) - self._tail.known_until) / SECOND
        lateness = self._tail.lateness
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
            unreadable=self._unreadable.count,
            clock_skew_s=now.clock_skew_s if now is not None and now.clock_skew_s is not None else self._skew,
            late=lateness.count,
            latest_s=lateness.latest / SECOND if lateness.count else None,
            late_p99_s=lateness.within(0.99),
            waiting_for=None if wait is None else wait.waiting_for,
            waiting_until=None if wait is None else wait.waiting_until,
            revised=self._revised,
            removed=self._removed,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.start.isoformat()}, {self._records} records so far>"

    def _repr_html_(self) -> str:
        """Return how far the follow is as a table, for notebooks."""
        return notebook.of_follow(self.start, self.stats)
