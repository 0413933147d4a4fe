"""The pull of one file: what the user asks for, and the work itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any

import attrs
import click

from unlimcall_async import AsyncClient, CdrStream, CheckpointError
from unlimcall_async.cli import pull_manifest
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.made_file import make
from unlimcall_async.cli.parquet import message
from unlimcall_async.cli.pieces import Accepted, Cost, Piece, pieces, with_ways_out
from unlimcall_async.cli.pull_file import PullFile
from unlimcall_async.cli.pull_formats import MADE, PARQUET, part_format
from unlimcall_async.cli.pull_range import Wanted
from unlimcall_async.cli.rejects import lines


@attrs.frozen
class Order:
    """What the user asks for.

    Attributes:
        client: Makes the client; so does `Access`.
        wanted: The range.
        form: The name of the format; `None` if no option and no ending names one.
        accepted: The losses that the user accepts.
        out: The file, or the folder.
        resume: Whether to continue a pull that was stopped.
        since_last: Whether to begin where the last pull ended.
        force: Whether to replace a file.
        as_json: Whether the summary is JSON.
        manifest: Whether the file gets a manifest.
        again: The command that continues the pull if this one is stopped.
        concurrency: How many requests may be under way at once.
    """

    client: Callable[[], AbstractAsyncContextManager[AsyncClient]]
    wanted: Wanted
    form: str | None
    accepted: Accepted
    out: Path
    resume: bool
    since_last: bool
    force: bool
    as_json: bool
    manifest: bool
    again: str
    concurrency: int = 4


@attrs.define
class Job:
    """The pull of one file, which is open and locked until the next job.

    Attributes:
        order: What the user asks for.
        file: The file.
        path: Its name.
        journal: How far the file is.
        cost: What the pull has cost.
        was_complete: Whether the file was complete before.
    """

    order: Order
    file: PullFile
    path: Path
    journal: Journal
    cost: Cost = attrs.field(factory=Cost)
    was_complete: bool = False

    async def run(
        self, show: Callable[[CdrStream], object], begun: Callable[[CdrStream], object] | None = None
    ) -> None:
        """Pull what is left, and put the file in place. Call `begun` with the stream, and `show` after each piece."""
        self.was_complete = self.journal.complete and not self.file.unmade
        if self.was_complete:
            self.journal = self.file.finish(self.journal)
            return
        with with_ways_out(with_rejects=self.journal.rejects is not None):
            self.journal = await _pulled(self, show, begun)


async def _pulled(
    job: Job, show: Callable[[CdrStream], object], begun: Callable[[CdrStream], object] | None
) -> Journal:
    """Pull the rest of the range, put the file in place, and return its last journal."""
    order, file, path, reached = job.order, job.file, job.path, job.journal
    zone = order.wanted.zone_of(reached)
    part = message if reached.form == PARQUET else part_format(reached.form, zone).part

    def appended(reached: Journal, piece: Piece) -> Journal:
        text = part(piece.records, first=not reached.length)
        rejects, rejected = reached.rejects, b""
        if rejects is not None:
            rejected = lines(piece.rejects)
            rejects = rejects.after(rejected, len(piece.rejects))
        saturated = [*reached.saturated, *([piece.saturated] if piece.saturated else [])]
        after = reached.after(text, len(piece.records), piece.checkpoint)
        after, manifest = pull_manifest.after(file.manifest, path, after, piece)
        return file.append(text, attrs.evolve(after, rejects=rejects, saturated=saturated), rejected, manifest)

    if not reached.complete:
        try:
            async with order.client() as client, aclosing(_pieces(job, client, begun)) as came:
                async for piece in came:
                    reached = appended(reached, piece)
                    show(piece.stream)
        except CheckpointError:  # the checkpoint is not of this range, or not of this release
            raise click.UsageError(f"{path}.checkpoint is damaged; --force starts anew") from None
    if reached.form not in MADE:
        return file.finish(reached)
    with file.workshop() as folder:
        made = folder / f"calls.{reached.form}"
        await make(reached.form, file, made, zone, shown=path, records=reached.records)
        return file.finish(reached, made)


def _pieces(job: Job, client: AsyncClient, begun: Callable[[CdrStream], object] | None) -> AsyncGenerator[Piece, None]:
    journal = job.journal
    return pieces(
        client,
        journal.begin,
        journal.end,
        journal.checkpoint,
        with_rejects=journal.rejects is not None,
        skip_saturated=job.order.accepted.saturated,
        cost=job.cost,
        concurrency=job.order.concurrency,
        manifest=journal.manifest is not None,
        begun=begun,
    )


def length_of(journal: Journal) -> int:
    """Return the length of a complete file."""
    return journal.length if journal.made is None else journal.made.length


def summary_of(job: Job) -> dict[str, Any]:
    """Return the summary for programs."""
    order, journal, cost = job.order, job.journal, job.cost
    summary: dict[str, Any] = {"file": str(job.path), "records": journal.records, "bytes": length_of(journal)}
    summary |= {"new": journal.came} if order.since_last else {}
    summary |= {"start": journal.start, "end": journal.end}
    summary |= {} if job.was_complete else {"requests": cost.requests, "retries": cost.retries}
    if journal.rejects is not None:
        summary |= {"rejects": journal.rejects.file, "unreadable": journal.rejects.rows}
    return summary | ({"saturated": journal.saturated} if journal.saturated else {})
