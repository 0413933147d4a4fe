"""The records of a range, piece by piece, for a user who may accept two losses.

Rows that cannot be read are handed out beside the records, in place of an error. An instant with more records than a page can hold
is passed with the records that were received.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import attrs

from unlimcall_async import (
    AsyncClient,
    CallRecord,
    CdrStream,
    Checkpoint,
    ResponseError,
    StreamStats,
    UnlimCallError,
    UnreadableRow,
    WindowSaturatedError,
)
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.wording import many
from unlimcall_async.proof import Manifest

# Batches that come within so many seconds become one piece, up to so many records: to bring a piece to the disk, with its manifest
# and its journal, takes longer than a batch. If the next batch takes longer, nothing is held back for it.
_TOGETHER: Final = 0.2
_MOST_TOGETHER: Final = 4000


class Accepted(NamedTuple):
    """The losses that the user accepts: the file for rows that cannot be read, and whether saturated instants are passed."""

    rejects: Path | None
    saturated: bool


def losses(rows: int, rejects: Path | str | None, saturated: Sequence[Sequence[str]]) -> str:
    """Return what was lost, as the end of a line; empty if nothing was."""
    parts = [f" {many(rows, 'row', 'rows')} could not be read: see {rejects}."] if rows else []
    for start, end in saturated:
        parts.append(f" Records from {start} till {end} may be missing: the API does not show more.")
    return "".join(parts)


@attrs.frozen
class Piece:
    """What a stream has handed out next.

    Attributes:
        stream: The stream.
        records: Its records.
        rejects: Its rows that cannot be read.
        checkpoint: Where to continue behind them.
        saturated: The instant that holds more records than these: its start and its end.
        manifest: The manifest of the piece, if one is asked for. A saturated instant has none.
    """

    stream: CdrStream
    records: Sequence[CallRecord]
    rejects: Sequence[UnreadableRow]
    checkpoint: Checkpoint
    saturated: tuple[str, str] | None = None
    manifest: Manifest | None = None


@attrs.define
class Cost:
    """What the streams of a pull have cost."""

    records: int = 0
    requests: int = 0
    retries: int = 0
    min_requests: int = 0

    def add(self, stats: StreamStats) -> None:
        """Add a stream that has ended."""
        self.requests += stats.requests
        self.retries += stats.retries
        self.min_requests += stats.min_requests

    def __str__(self) -> str:
        ratio = self.requests / max(self.min_requests, 1)
        return f"{many(self.requests, 'request', 'requests')}, {ratio:.2f} times the fewest possible."


async def pieces(
    client: AsyncClient,
    start: datetime,
    end: datetime,
    checkpoint: Checkpoint | None = None,
    *,
    with_rejects: bool,
    skip_saturated: bool,
    cost: Cost,
    concurrency: int = 4,
    manifest: bool = False,
    begun: Callable[[CdrStream], object] | None = None,
) -> AsyncGenerator[Piece, None]:
    """Iterate over the range, with so many requests under way at once. The last piece has the checkpoint at its end.

    With `manifest`, each piece has its manifest, and those of all pieces touch. `begun` is called with each stream before its first
    request.

    Raises:
        UnlimCallError: As for a stream. What was handed out before is in the pieces.
    """
    written = time.monotonic()
    while True:
        records: list[CallRecord] = []
        rejects: list[UnreadableRow] = []
        unreadable: Literal["keep", "raise"] = "keep" if with_rejects else "raise"
        stream = client.cdrs.stream(
            start, end, concurrency=concurrency, unreadable=unreadable, resume=checkpoint, manifest=manifest
        )
        if begun is not None:
            begun(stream)
        take = stream.take_manifest if manifest else _nothing
        try:
            async with stream, aclosing(stream.batches()) as batches, aclosing(_with_pauses(batches)) as came:
                async for batch in came:
                    cost.records += len(batch)
                    records += batch
                    rejects += taken(stream.unreadable)
                    more = batch and time.monotonic() - written < _TOGETHER and len(records) < _MOST_TOGETHER
                    if more or not (records or rejects):
                        continue
                    yield Piece(stream, records, rejects, stream.checkpoint, manifest=take())
                    records, rejects, written = [], [], time.monotonic()
        except UnlimCallError as error:
            rejects += taken(stream.unreadable)
            if records or rejects:
                yield Piece(stream, records, rejects, stream.checkpoint, manifest=take())
            if not (skip_saturated and isinstance(error, WindowSaturatedError)):
                raise
            checkpoint = error.resume_after
            seen = sorted(error.seen, key=lambda record: (record.start_time, record.id))
            cost.records += len(seen)
            yield Piece(stream, seen, [], checkpoint, (text_of(error.start), text_of(error.end)))
            continue
        finally:
            cost.add(stream.stats)
        rejects += taken(stream.unreadable)
        yield Piece(stream, records, rejects, stream.checkpoint, manifest=take())
        return


async def _with_pauses(
    batches: AsyncGenerator[list[CallRecord], None],
) -> AsyncGenerator[list[CallRecord], None]:
    """Yield batches, and an empty list before a batch that is not there in time: a stream may wait for hours."""
    while True:
        following = asyncio.ensure_future(anext(batches, None))
        try:
            came, _ = await asyncio.wait({following}, timeout=_TOGETHER)
            if not came:
                yield []
            batch = await following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if batch is None:
            return
        yield batch


def _nothing() -> None:
    """Take no manifest."""


def taken(rows: list[UnreadableRow]) -> list[UnreadableRow]:
    """Take the rows out of a list of a stream, which keeps at most 10,000."""
    came = rows[:]
    rows.clear()
    return came


@contextmanager
def with_ways_out(*, with_rejects: bool) -> Iterator[None]:
    """Add to an error the option by which the command goes on behind the error."""
    try:
        yield
    except ResponseError as error:
        if error.where.startswith("calls[") and not with_rejects:
            error.add_note("To go on: --rejects FILE writes rows that cannot be read to a file.")
        raise
    except WindowSaturatedError as error:
        error.add_note("To go on: --skip-saturated accepts that records of such an instant are missing.")
        raise
