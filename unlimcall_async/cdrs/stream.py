"""`client.cdrs.stream`: hands out the records of the planner's parts, each once and in order.

A thin shell. `asking` has the requests under way, `planner` decides what to ask and what a page means, and `position` knows how
far the output was handed out.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from math import ceil
from typing import Final, cast

from unlimcall_async import _clock, _watched
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs import notebook
from unlimcall_async.cdrs.asking import Asking, StreamIteration, StreamOptions
from unlimcall_async.cdrs.checkpoint import Checkpoint, Place, ProvenOrder
from unlimcall_async.cdrs.output import Output
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.parts import Done, Failed, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.rows import BadRow, UnplacedRow
from unlimcall_async.cdrs.stats import Progress, StreamStats, Waiting
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range, to_datetime, to_micros
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.cdrs.views import StreamViews
from unlimcall_async.errors import ResponseError, WindowSaturatedError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.pull import Pull
from unlimcall_async.models import CallRecord, UnreadableRow
from unlimcall_async.proof.manifest import Evidence, Manifest

# Rows that a page holds at most (reference: `GET /cdrs`, limit).
_MOST_ROWS: Final = 1000


class CdrStream(StreamViews):
    """The call records of a range: each once, in order, as an async iterator.

    `async for record in stream` gives records, `async for batch in stream.batches()` lists of them, and `stream.arrow()` columns.
    `to_list` and `to_arrow` return all that is left. All of them go on from one position.
    Leave `async with stream`, or call `aclose()` from anywhere, to end what is under way: an iteration then ends as if all records
    were handed out, and `progress` shows how far the stream is. A bare `async for` to the end is fine too.

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
        unreadable: UnreadableRows,
        known: KnownServer,
        *,
        place: Place | None = None,
        pull: Pull | None = None,
    ) -> None:
        super().__init__(
            Output(
                options.start,
                options.end,
                unreadable,
                known,
                newest_first=options.newest_first,
                place=place,
                limit=options.page_size,
                manifest=options.manifest,
            )
        )
        # Without the stream itself, which would then hold itself, and its pages, until the next collection of garbage.
        output = self._output
        self.start: datetime = options.start
        self.end: datetime = options.end
        self._options = options
        self._known = known
        self._planner = self._new_planner()
        self._unreadable = unreadable
        self._asking = Asking(
            caller,
            decoder,
            options,
            self._planner,
            unreadable,
            pull=pull,
            checkpoint_behind=lambda part: output.checkpoint_at(output.position.behind(part)),
        )
        self._first_edge = self._planner.edge
        self._fraction = 0.0
        # Whether the reader waits for records.
        self._wanted = False
        # The event loop, its time when the reader first asked, and the fraction of that time.
        self._began: tuple[asyncio.AbstractEventLoop, float, float] | None = None
        # Since when the reader is busy with what it has, and how many seconds it was busy before.
        self._busy_since: float | None = None
        self._busy_s = 0.0

    def _new_planner(self) -> Planner:
        options, known = self._options, self._known
        return Planner(
            self._position.range_left,
            newest_first=options.newest_first,
            page_size=options.page_size,
            concurrency=options.concurrency,
            seek=options.seek,
            # Of what others have proven, a stream that divides uses the page cap alone.
            known=known if options.seek else KnownServer(known.cap),
        )

    @property
    def _position(self) -> Position:
        return self._output.position

    @property
    def first_page_at(self) -> tuple[datetime, float] | None:
        """The `Date` of the first page, if the server sends one, and the event loop's time when the page came."""
        return self._asking.first_page_at

    @property
    def row_ahead(self) -> UnplacedRow | None:
        """The row that cannot be read and comes next, if one does."""
        return self._position.unreadable

    @property
    def place(self) -> Place:
        """The place behind all that was handed out."""
        return self._position.place

    @property
    def proven_order(self) -> ProvenOrder | None:
        """The order in which the server is proven to sort."""
        return self._known.proven

    @property
    def unreadable(self) -> list[UnreadableRow]:
        """The rows before the position that cannot be read, with `unreadable="keep"`: at most 10,000, unless you take some out."""
        return self._unreadable.kept

    # --- iteration ----------------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._planner.reset()
        self._position.detach_iterator()

    def _ask_again(self) -> None:
        self._planner = self._new_planner()
        self._asking.go_on_with(self._planner)

    @property
    def _at_end(self) -> bool:
        return self._planner.finished and not self._position.left and self._position.unreadable is None

    async def _load(self, iteration: StreamIteration) -> bool:
        """Wait until there are records to hand out. Return `False` if none are left, or if the stream was closed."""
        self._wanted = True
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop, loop.time(), self._position.fraction
        if self._busy_since is not None:
            self._busy_s += loop.time() - self._busy_since
        try:
            return await self._next_part(iteration)
        finally:
            self._wanted, self._busy_since = False, loop.time()

    async def _next_part(self, iteration: StreamIteration) -> bool:
        # Many parts may be ready one after the other; others on the event loop run between them.
        await asyncio.sleep(0)
        if not iteration.goes_on():
            return False
        while not self._position.left:
            if (row := self._position.unreadable) is not None:
                self._keep(row)
                continue
            self._skipped = None
            part = self._planner.take_first()
            # Also while there is something to hand out, so that requests are under way while the reader is busy with it.
            self._asking.send(iteration)
            if part is None:
                if self._planner.finished:
                    return False
                await iteration.until_changed()
                if not iteration.goes_on():
                    return False
                continue
            match part.state:
                case Failed(error=error):
                    raise error
                case Saturated(records=records):
                    start, end = to_datetime(part.range.start), to_datetime(part.range.end)
                    came = [row for row in records if isinstance(row, CallRecord)]
                    seen = self._position.ahead(part.range, came)
                    raise WindowSaturatedError(
                        start, end, seen, self._output.checkpoint_at(self._position.behind(part.range))
                    )
                case Done() as done:
                    self._enter(part.range, done)
                    _watched.tell(self)
                case _:
                    raise AssertionError("the plan returns a part that is done, saturated or failed")
        return True

    def _enter(self, part: Range, done: Done) -> None:
        """Go on to the rows of the next part."""
        rows, unplaced = done.records, done.unplaced
        bad = [row for row in rows if isinstance(row, BadRow)] if self._asking.any_bad else []
        vanished = self._planner.vanished(part)
        self._output.rows_used += len(rows) + len(unplaced) + len(vanished)
        if unplaced or vanished:
            unplaced = self._unreadable.new_unplaced(unplaced, vanished)
        unplaced = self._planner.hand_out(part, unplaced)
        if not bad and not unplaced:
            self._output.enter(part, cast("list[CallRecord]", rows), done.basis)
            return
        handed_out = {id(row) for row in bad} - {id(row) for row in self._unreadable.new(bad)}
        left = [row for row in rows if id(row) not in handed_out]
        self._output.enter_unreadable(part, left, unplaced, done.basis)

    def _keep(self, row: UnplacedRow) -> None:
        """Keep the row that comes next and cannot be read, or raise its error."""
        if self._unreadable.keep(row):
            self._output.pass_unreadable(row)
            return
        self._skipped = row
        checkpoint = self._output.checkpoint_at(self._position.place_behind_unreadable, skipped=row)
        window = row.shown().window
        hint = self._unreadable.hint
        raise ResponseError(
            200, row.where, row.reason, "GET", "/cdrs", window=window, resume_after=checkpoint, hint=hint
        )

    # --- how far it is --------------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Checkpoint:
        """All that was handed out so far: `resume=checkpoint` goes on with exactly the rest, in another process too."""
        return self._output.checkpoint

    @property
    def manifest(self) -> Manifest:
        """What proves that all that was handed out so far is complete, with a digest of each day.

        Digests are made from the first read on, or with `manifest=True` from the first record on. The stream keeps its first 50,000
        records, so that `manifest` can be read later, too.

        Raises:
            RuntimeError: More records than that were handed out before the first read.
        """
        return self._output.manifest(self._skipped)

    def take_manifest(self) -> Manifest:
        """Return the manifest of what was handed out, and begin a new one: `manifest` then covers what comes next.

        A job that stores each piece with its checkpoint stores the manifest of that piece, too. Whatever ends the job, the sum of
        what was stored is the manifest of the whole. A row that has ended the stream is not part of it, as with `checkpoint`.

        Raises:
            RuntimeError: A view has taken records that it has not handed out yet. Or as for `manifest`.
        """
        return self._output.take_manifest()

    def evidence_from(self, number: int) -> list[Evidence]:
        """Return what the parts from a number on rest on, in the order of the output, up to the one that is handed out now.

        So a reader of a long stream takes each part's evidence once, and `manifest` need not be made again and again.
        """
        return self._output.evidence_from(number)

    @property
    def progress(self) -> Progress:
        """How far the stream is, and what it waits for."""
        position = self._position
        self._fraction = max(self._fraction, position.fraction)
        waiting_for, seconds = self._waiting()
        left = self._seconds_left(seconds or 0.0)
        return Progress(
            self._fraction,
            position.handed_out,
            self._asking.requests,
            to_datetime(position.place.at),
            waiting_for,
            None if seconds is None else _time_in(seconds),
            None if left is None else _time_in(left),
        )

    def _waiting(self) -> tuple[Waiting | None, float | None]:
        """Return what the stream waits for, and for how many seconds, if that is known."""
        if self._iteration is None or (self._planner.finished and not self._position.left):
            return None, None
        return self._asking.waiting() if self._wanted else ("reader", None)

    def _seconds_left(self, wait: float) -> float | None:
        """Return the seconds until the end, if the stream goes on as fast as so far; `None` if it stands, or nothing is known.

        Three things take time, at once, and the slowest of them decides. The rate limit knows itself when it lets requests out. The
        server and the network are measured while nothing waits for the limit. The third is the reader.
        """
        if self._began is None or self._iteration is None:
            return None
        loop, began, first = self._began
        done, left = self._fraction - first, 1 - self._fraction
        if done <= 0 or left <= 0:
            return None
        pull, now = self._asking.pull, loop.time()
        # Pages that are here and wait for their turn need no more requests.
        settled = min(left, self._planner.settled / (to_micros(self.end) - to_micros(self.start)))
        times_as_much = (left - settled) / (done + settled)
        by_limit = pull.limiter.seconds_for(self._asking.requests * times_as_much)
        by_server = wait + max(0.0, now - began - pull.cost.held_s(now)) * times_as_much
        by_reader = self._busy_s * left / done
        return max(by_limit, by_server, by_reader)

    @property
    def stats(self) -> StreamStats:
        """What the stream has done."""
        asking = self._asking
        months = ceil(abs(self._planner.edge - self._first_edge) / WIDEST)
        return StreamStats(
            requests=asking.requests,
            records=self._output.handed_out,
            duplicates=asking.rows - self._output.rows_used - self._planner.held,
            full_pages=asking.full_pages,
            retries=asking.pull.cost.retries,
            min_requests=max(ceil(self._output.rows_used / _MOST_ROWS), months),
            waited_s=asking.pull.cost.waited_s,
            strategy=asking.strategy,
            unreadable=self._unreadable.count,
            clock_skew_s=asking.pull.cost.skew_s,
        )

    def __repr__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"<{type(self).__name__} {span}, {self._position.handed_out} records so far>"

    def _repr_html_(self) -> str:
        """Return how far the stream is as a table, for notebooks."""
        return notebook.of_stream(self.start, self.end, self.progress, self.stats)


def _time_in(seconds: float) -> datetime:
    return to_datetime(to_micros(_clock.utc_now()) + int(seconds * SECOND))
