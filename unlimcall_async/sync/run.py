"""One run of a sync or of a repair: asks stretches of time, and makes the table hold what the API holds of them.

A thin shell. `pieces` cuts what a stream hands out, `portions` finds what a transaction writes, and a destination writes that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from attrs import define, field, frozen

from unlimcall_async._model import Model
from unlimcall_async.cdrs.page_reading import start_in
from unlimcall_async.cdrs.stats import Waiting
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.times import FIRST, to_datetime
from unlimcall_async.client import AsyncClient
from unlimcall_async.models import UnreadableRow
from unlimcall_async.sync.destination import Address, Destination, ManifestDestination
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import midnight, overlapping
from unlimcall_async.sync.errors import SyncConflictError
from unlimcall_async.sync.pieces import Piece, pieces_of
from unlimcall_async.sync.portions import Portion
from unlimcall_async.sync.rows import between, start_of
from unlimcall_async.sync.state import Stretch, SyncState, resumable

# Stored rows that are compared at once. A piece of time with more, whose rows the API no longer has, is cut.
_MOST_STORED: Final = 50_000
# How often the rows of a piece of time are compared again, because another program has changed one of them meanwhile.
_MOST_CONFLICTS: Final = 10
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
# Clocks that follow a time server agree within a second, and the server writes its time in whole seconds.
_AGREED: Final = timedelta(seconds=2)


@frozen
class SyncProgress(Model):
    """How far a sync is.

    Attributes:
        fraction: The share of the time to ask that is done, from 0 to 1. It never falls.
        records: Records that came.
        requests: Answers to CDR requests.
        position: The place that was reached.
        waiting_for: What the sync waits for, as in `Progress`; `"reader"` while the destination writes.
        waiting_until: When that wait is over; `None` if that is not known.
        eta: When the range that is asked will be done, if the rest of it is like the part so far; `None` if that is not known.
        inserted: Rows that were inserted so far.
        revised: Rows that got other contents.
        removed: Rows that were removed.
        unchanged: Rows that were as they should be.
    """

    fraction: float
    records: int
    requests: int
    position: datetime
    waiting_for: Waiting | None
    waiting_until: datetime | None
    eta: datetime | None
    inserted: int
    revised: int
    removed: int
    unchanged: int


@frozen
class SyncResult(Model):
    """What a sync has done.

    Attributes:
        start: The start of the time that the table holds.
        end: The end of the range that was asked.
        inserted: Rows that were inserted.
        revised: Rows that got other contents: their start and id were there.
        removed: Rows that were removed, because the API no longer has them.
        unchanged: Rows that were asked again, and were as they should be. They were not written.
        unreadable: The rows that cannot be read, and those that the destination cannot hold. They are not in the table.
        requests: Answers to CDR requests.
        watermark: The end of the time that the table holds. The next run goes on there.
    """

    start: datetime
    end: datetime
    inserted: int
    revised: int
    removed: int
    unchanged: int
    unreadable: list[UnreadableRow] = field(repr=False)
    requests: int
    watermark: datetime


OnProgress: TypeAlias = Callable[[SyncProgress], object]


def now_of(client: AsyncClient) -> datetime:
    """Return the present, by the client's own rule."""
    return client.cdrs.stream(to_datetime(FIRST)).end


def known_end(end: datetime, stream: CdrStream, began: float, settle: timedelta) -> datetime:
    """Return up to where the answers of a stream may hold all that a range holds that ends at `end`.

    If this machine's clock is ahead, the range goes on behind the time that the server had when it was asked. By the time at which
    a piece is written, more time has passed than its answers hold.

    Args:
        end: The end of the range.
        stream: The stream, which has told the server's time if its first page has.
        began: The event loop's time before the stream has asked anything.
        settle: How far the range stays behind the present.
    """
    if stream.first_page_at is None:
        return end
    server_time, at = stream.first_page_at
    known = server_time - timedelta(seconds=at - began) - settle
    return known if end - known > _AGREED else end


def _are_beside(one: UnreadableRow, other: UnreadableRow) -> bool:
    """Return whether two windows may show the same row: the API shows what lies within a second of a window, too."""
    (first, last), (start, end) = one.window, other.window
    return start - _SECOND <= last and first - _SECOND <= end


@define
class Run:
    """One run, and what it has done."""

    client: AsyncClient
    destination: Destination
    state: SyncState | None
    on_progress: OnProgress | None
    # Compares, which takes tenths of a second for many rows: other tasks of the event loop go on meanwhile.
    thread: ThreadPoolExecutor
    # How far the watermark stays behind the present.
    settle: timedelta = timedelta(0)
    inserted: int = 0
    revised: int = 0
    removed: int = 0
    unchanged: int = 0
    # Of the streams before the present one.
    requests: int = 0
    records: int = 0
    unreadable: list[UnreadableRow] = field(factory=list)
    # Those of earlier stretches that have no start, and that the present stretch has not shown again.
    _shown_before: list[UnreadableRow] = field(factory=list, init=False)

    async def ask(self, stretches: Sequence[Stretch]) -> None:
        """Ask all stretches, one after the other."""
        whole = sum((stretch.end - stretch.start for stretch in stretches), timedelta(0)) or _MICROSECOND
        done = timedelta(0)
        for stretch in stretches:
            length = stretch.end - stretch.start
            await self._ask(stretch, done / whole, length / whole)
            done += length

    async def _ask(self, stretch: Stretch, done: float, share: float) -> None:
        """Ask a stretch, given the share of all time that is done, and that of this stretch."""
        began = asyncio.get_running_loop().time()
        self._shown_before = [row for row in self.unreadable if start_in(row.body) is None]
        stream = self.client.cdrs.stream(
            stretch.start,
            stretch.end,
            newest_first=stretch.newest_first,
            unreadable="keep",
            resume=resumable(stretch, None if self.state is None else self.state.order),
        )

        def look() -> None:
            if self.on_progress is not None:
                self.on_progress(self._progress(stream, done, share))

        pieces = pieces_of(stream, newest_first=stretch.newest_first, unfit=self.destination.unfit, look=look)
        try:
            async with stream, aclosing(pieces):
                async for piece in pieces:
                    await self._write(piece, stream, began)
                    look()
        finally:
            self.requests += stream.stats.requests
            self.records += stream.stats.records

    async def _write(self, piece: Piece, stream: CdrStream, began: float) -> None:
        """Make the table hold a piece of time."""
        start, conflicts = piece.start, 0
        while True:
            portion = await self._portion(piece, start)
            # Of a piece that is cut, the state is written with the last portion: until then, a next run asks the whole piece again.
            state = self._state_behind(piece, stream, began) if portion.end == piece.end else self.state
            change = await self._change(portion, state)
            stored_now = state.to_json() if state is not None and state != self.state else None
            try:
                await self.destination.write(change, stored_now)
            except SyncConflictError:
                conflicts += 1
                if conflicts > _MOST_CONFLICTS:
                    raise
                continue
            self.state = state
            self.inserted += len(change.inserted)
            self.revised += len(change.revised)
            self.removed += len(change.removed)
            self.unchanged += change.unchanged
            start = portion.end
            if start == piece.end:
                self.unreadable += (row for row in piece.unreadable if not self._was_shown(row))
                return

    def _was_shown(self, row: UnreadableRow) -> bool:
        """Return whether an earlier stretch has shown a row. Two that touch may both show a row without a start."""
        same = (old for old in self._shown_before if old.body == row.body and _are_beside(old, row))
        if (old := next(same, None)) is None:
            return False
        self._shown_before.remove(old)
        return True

    async def _portion(self, piece: Piece, start: datetime) -> Portion:
        """Return the portion of a piece from a time on: up to its end, or to an earlier time if many rows are stored."""
        destination, end, entries = self.destination, piece.end, None
        if isinstance(destination, ManifestDestination):
            # Nobody else writes them. So they need not be read in the transaction.
            entries = overlapping(await destination.entries(midnight(start), end), start, end)
        first = min([start, *(entry.start for entry in entries or ())])
        last = max([end, *(entry.end for entry in entries or ())])
        stored = await destination.rows(first, last, _MOST_STORED)
        if len(stored) < _MOST_STORED:
            return Portion(piece, start, end, first, last, stored, entries)
        if first < start and start_of(stored[-1][1]) <= start:
            first = start
            stored = await destination.rows(first, last, _MOST_STORED)
            if len(stored) < _MOST_STORED:
                return Portion(piece, start, end, first, last, stored, entries)
        cut = min(start_of(stored[-1][1]), end)
        if cut > start:
            # At the end of an entry, if there is one: of the next one, not all rows are there.
            cut = max((entry.end for entry in entries or () if start < entry.end <= cut), default=cut)
            stored = [(address, row) for address, row in stored if start_of(row) < cut]
        else:
            # One instant holds so many, and cannot be cut.
            first, cut = start, min(start + _MICROSECOND, end)
            stored = await destination.rows(first, cut, None)
        held = None if entries is None else [entry for entry in entries if entry.start < cut]
        return Portion(piece, start, cut, first, cut, stored, held)

    async def _change(self, portion: Portion, state: SyncState | None) -> Change[Address]:
        if portion.entries is None and not portion.stored:
            return Change(between(portion.piece.rows, portion.start, portion.end))
        held = [each for each in (self.state, state) if each is not None]
        ends = state.watermark if state is not None else portion.end
        work = partial(portion.change, ends, [at for each in held for at in (each.first, each.watermark)])
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    def _state_behind(self, piece: Piece, stream: CdrStream, began: float) -> SyncState:
        state = self.state or SyncState(piece.start, piece.start)
        # The answers have shown if this machine's clock is ahead: time that the API has not reached is to be asked again.
        end = known_end(min(piece.end, now_of(self.client)), stream, began, self.settle)
        return SyncState(min(state.first, piece.start), max(state.watermark, end), stream.proven_order)

    def _progress(self, stream: CdrStream, done: float, share: float) -> SyncProgress:
        progress = stream.progress
        return SyncProgress(
            done + share * progress.fraction,
            self.records + progress.records,
            self.requests + progress.requests,
            progress.position,
            progress.waiting_for,
            progress.waiting_until,
            progress.eta,
            self.inserted,
            self.revised,
            self.removed,
            self.unchanged,
        )

    def result(self, start: datetime, end: datetime) -> SyncResult:
        """Return what the run has done."""
        held = self.state or SyncState(start, start)
        return SyncResult(
            held.first,
            end,
            self.inserted,
            self.revised,
            self.removed,
            self.unchanged,
            self.unreadable,
            self.requests,
            held.watermark,
        )
