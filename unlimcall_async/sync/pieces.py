"""The pieces of time of a stream: each with exactly the rows that one complete answer, or several that touch, hold of it.

A thin shell around `Gathering`, which does no I/O. A stream hands out part after part. Between two parts its place is an edge: all
that lies on one side of it was handed out. So what comes between two edges is a piece. Pieces are gathered, because a transaction
costs the same for ten rows as for a thousand. If the stream has to wait, or fails, what was gathered becomes a piece as it is.

A row that cannot be read makes its piece doubtful. Such a piece is not gathered with others, so that the doubt stays small. If the
row has no start that can be read, it may lie anywhere in its window. So the pieces up to the window's end are doubtful, too. It
does not lie in the pieces before: the stream hands such a row out with the first piece whose window shows the row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, TypeAlias

from attrs import frozen

from unlimcall_async._plain import to_json
from unlimcall_async.cdrs.page_reading import start_in
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.times import to_datetime
from unlimcall_async.models import CallRecord, UnreadableRow
from unlimcall_async.proof.manifest import Evidence, UnreadRow
from unlimcall_async.sync.entries import Unread
from unlimcall_async.sync.rows import Row, row_of

# Rows of a transaction: beyond some 10,000, a transaction for each piece costs no destination a measurable share of its time.
MOST_ROWS: Final = 20_000
# Seconds that a stream may wait before what was gathered is written.
PATIENCE: Final = 1.0
# Seconds between two looks at a stream that waits: a countdown of seconds must not skip one.
LOOK: Final = 0.25
# Rows lie within a second of the window that shows them (contract, section 2).
_BESIDE: Final = timedelta(seconds=1)

# Returns the rows that a destination cannot hold: the place of each, the column, and the reason.
Unfit: TypeAlias = Callable[[Sequence[Row]], Sequence[tuple[int, str, str]]]


@frozen
class Piece:
    """A piece of time, and all that one complete answer holds of it.

    Attributes:
        start: Its start.
        end: Its end, which is not part of it.
        rows: The rows.
        unreadable: The rows that cannot be read, and those that the destination cannot hold.
        doubtful: Whether such a row may lie in this piece.
        windows: What the rows rest on, by time, without a gap.
        unread: The rows of `unreadable`, as the manifest lists them.
    """

    start: datetime
    end: datetime
    rows: Sequence[Row]
    unreadable: Sequence[UnreadableRow] = ()
    doubtful: bool = False
    windows: Sequence[Evidence] = ()
    unread: Sequence[Unread] = ()


class Gathering:
    """Makes pieces of what a stream hands out between its edges.

    Args:
        edge: The place at which the stream begins.
        newest_first: The direction of the stream.
        unfit: Returns the rows that the destination cannot hold.
    """

    def __init__(self, edge: datetime, *, newest_first: bool, unfit: Unfit) -> None:
        self._newest_first = newest_first
        self._unfit = unfit
        # Where the rows that are gathered begin, and how far they go.
        self._begin = self._edge = edge
        self._rows = list[Row]()
        # What they rest on, and what is left of the last window behind the edge, in the direction of the stream.
        self._windows = list[Evidence]()
        # How far a row may lie whose start cannot be read.
        self._doubt_ends = edge

    def add(
        self,
        edge: datetime,
        records: Sequence[CallRecord],
        unreadable: Sequence[UnreadableRow],
        windows: Sequence[Evidence] = (),
    ) -> list[Piece]:
        """Take in what lies between the last edge and this one. Return the pieces that shall be written now.

        Args:
            edge: The next place at which all that lies on one side was handed out.
            records: All records between the two edges.
            unreadable: The rows between them that cannot be read.
            windows: What lies between them rests on these, and on the last ones before. The last one may go on behind the edge.
        """
        rows = [row_of(record) for record in records]
        unfit = self._unfit(rows)
        if not unfit and not unreadable and not self._in_doubt:
            self._rows += rows
            self._windows += windows
            self._edge = edge
            return self.cut() if len(self._rows) >= MOST_ROWS else []
        self._extend_doubt(unreadable)
        pieces = self.cut()
        start, end = sorted((self._edge, edge))
        window = (start, end)
        found = [UnreadableRow(window, column, reason, to_json(records[at])) for at, column, reason in unfit]
        unread = [unread_of(row, start_in(row.body)) for row in unreadable]
        unread += [unread_of(row, records[at].start_time) for row, (at, _, _) in zip(found, unfit, strict=True)]
        left_out = {at for at, _, _ in unfit}
        rows = [row for at, row in enumerate(rows) if at not in left_out]
        self._windows += windows
        self._begin = self._edge = edge
        proof = self._taken_windows(start, end)
        return [*pieces, Piece(start, end, rows, [*unreadable, *found], doubtful=True, windows=proof, unread=unread)]

    def cut(self) -> list[Piece]:
        """Return what was gathered as a piece, if anything was."""
        if self._begin == self._edge:
            return []
        (start, end), rows = sorted((self._begin, self._edge)), self._rows
        self._begin, self._rows = self._edge, []
        return [Piece(start, end, rows, windows=self._taken_windows(start, end))]

    def _taken_windows(self, start: datetime, end: datetime) -> list[Evidence]:
        """Return the windows of a piece, by time. Those that go on behind it are kept."""
        windows = self._windows
        self._windows = [each for each in windows if (each.start < start if self._newest_first else each.end > end)]
        return sorted(windows, key=lambda each: each.start)

    @property
    def _in_doubt(self) -> bool:
        return self._edge > self._doubt_ends if self._newest_first else self._edge < self._doubt_ends

    def _extend_doubt(self, rows: Sequence[UnreadableRow]) -> None:
        for row in rows:
            first, last = row.window
            if start_in(row.body) is not None:
                continue
            if self._newest_first:
                self._doubt_ends = min(self._doubt_ends, first - _BESIDE)
            else:
                self._doubt_ends = max(self._doubt_ends, last + _BESIDE)


def unread_of(row: UnreadableRow, start: datetime | None) -> Unread:
    """Return a row as the manifest lists it, given its start, or `None` if that cannot be read."""
    first, last = row.window
    digest = blake2b(row.body, digest_size=8).hexdigest()
    listed = UnreadRow(first, last, row.where, row.reason, digest)
    return Unread(listed, first - _BESIDE, last + _BESIDE) if start is None else Unread(listed, start, start)


async def pieces_of(
    stream: CdrStream, *, newest_first: bool, unfit: Unfit, look: Callable[[], object]
) -> AsyncGenerator[Piece, None]:
    """Iterate over the pieces of a stream that keeps the rows that cannot be read. `look` is called while the stream waits.

    An error of the stream comes behind all pieces before it.
    """
    gathering = Gathering(stream.end if newest_first else stream.start, newest_first=newest_first, unfit=unfit)
    # What came since the last edge.
    records, kept, parts = list[CallRecord](), 0, 0

    def taken() -> list[Piece]:
        nonlocal records, kept, parts
        place = stream.place
        if not place.is_edge:
            return []
        unreadable = stream.unreadable[kept:]
        windows = stream.evidence_from(parts)
        came, records, kept, parts = records, [], kept + len(unreadable), parts + len(windows)
        return gathering.add(to_datetime(place.at), came, unreadable, windows)

    async with aclosing(stream.batches()) as batches:
        step = asyncio.create_task(_next(batches))
        try:
            while True:
                while not await _has_come(step, look):
                    for piece in [*taken(), *gathering.cut()]:
                        yield piece
                failure = step.exception()
                records += (failure is None and step.result()) or []
                is_last = failure is not None or step.result() is None
                for piece in [*taken(), *(gathering.cut() if is_last else [])]:
                    yield piece
                if failure is not None:
                    raise failure
                if is_last:
                    return
                step = asyncio.create_task(_next(batches))
        finally:
            while not step.done():
                step.cancel()
                with suppress(asyncio.CancelledError):  # another cancellation: the one before is on its way
                    await asyncio.wait({step})


async def _next(batches: AsyncGenerator[list[CallRecord], None]) -> list[CallRecord] | None:
    return await anext(batches, None)


async def _has_come(step: asyncio.Task[object], look: Callable[[], object]) -> bool:
    """Wait for a step, for as long as what was gathered may wait. Return whether the step is done."""
    for _ in range(int(PATIENCE / LOOK)):
        if (await asyncio.wait({step}, timeout=LOOK))[0]:
            return True
        look()
    return False
