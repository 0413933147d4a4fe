"""`unlimcall cdrs pull`, done."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import attrs
import click

from unlimcall_async import CallRecord, CdrStream, Checkpoint, CheckpointError, UnlimCallError
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import FORMATS, Format, encoded
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.output import UnwritableError, tell, write_json
from unlimcall_async.cli.pouring import pour
from unlimcall_async.cli.progress import shown_progress
from unlimcall_async.cli.pull_file import PullFile
from unlimcall_async.cli.report import many, size
from unlimcall_async.cli.running import Clients, TerminatedError, run


@attrs.frozen
class Wanted:
    """The range, as it was asked for."""

    start: str | None
    end: str | None
    zone: tzinfo

    def settled(self) -> tuple[datetime, datetime]:
        """Give the range of a pull that begins.

        Raises:
            click.UsageError: There is no start, or something is no time.
        """
        if self.start is None:
            raise click.UsageError("--from is missing: where does the range begin?")
        return options.window(self.start, self.end or "now", self.zone)

    def check(self, journal: Journal, out: Path) -> None:
        """See to it that what was asked for is what the file holds.

        Raises:
            click.UsageError: It is another range.
        """
        for option, text, held in (("--from", self.start, journal.start), ("--till", self.end, journal.end)):
            if text is not None and options.moment(option, text, self.zone) != held:
                raise click.UsageError(
                    f"{out} is a pull from {journal.start.isoformat()} till {journal.end.isoformat()}, and {option} {text} is "
                    f"another range; to go on with it leave {option} out"
                )


def pull_out(client: Clients, wanted: Wanted, form: Format, *, as_json: bool) -> None:
    """Pull to standard output."""
    if as_json and form.name != "ndjson":
        raise click.UsageError("--json and --format csv exclude each other where the records go to standard output")
    start, end = wanted.settled()

    async def pull() -> CdrStream:
        # Where both go to one terminal, the records are the progress.
        crowded = sys.stdout is not None and sys.stdout.isatty()
        async with client() as open_client, open_client.cdrs.stream(start, end) as stream:
            await pour(form.head)
            with nullcontext(None) if crowded else shown_progress() as show:
                async for batch in stream.batches():
                    await pour(form.encode(batch))
                    if show is not None:
                        show(stream)
        return stream

    stream = run(pull)
    tell(f"{many(stream.stats.records, 'record', 'records')}. {_cost(stream)}")


def pull_into(
    client: Clients, wanted: Wanted, form: Format, out: Path, *, resume: bool, force: bool, as_json: bool
) -> None:
    """Pull into a file."""
    with PullFile(out) as file:
        journal = _resumed(file, wanted, form, out) if resume else None
        if journal is None:
            journal = _begun(file, wanted, form, out, force=force, resume=resume)
        if journal.complete:
            file.finish(journal)
            _conclude(journal, None, out, as_json=as_json)
            return
        try:
            journal, stream = _pulled(client, file, journal)
        except (KeyboardInterrupt, TerminatedError, UnlimCallError, UnwritableError):
            tell(f"To go on: {_again(out, form)}")
            raise
    _conclude(journal, stream, out, as_json=as_json)


def _begun(file: PullFile, wanted: Wanted, form: Format, out: Path, *, force: bool, resume: bool) -> Journal:
    start, end = wanted.settled()
    if file.exists and not force:
        if resume:
            raise click.UsageError(f"{out} exists, and no checkpoint tells what it is; --force replaces it")
        raise click.UsageError(f"{out} exists, or a part of it: --resume goes on with it, --force replaces it")
    journal = Journal(start, end, form.name)
    file.begin(journal)
    return journal


def _resumed(file: PullFile, wanted: Wanted, form: Format, out: Path) -> Journal | None:
    journal = file.stored()
    if journal is None:
        return None
    wanted.check(journal, out)
    if journal.form != form.name:
        raise click.UsageError(f"{out} was begun as {journal.form}, not as {form.name}")
    if not journal.complete:
        file.go_on(journal)
    return journal


def _pulled(client: Clients, file: PullFile, journal: Journal) -> tuple[Journal, CdrStream]:
    form = FORMATS[journal.form]

    def appended(reached: Journal, records: Sequence[CallRecord], checkpoint: Checkpoint) -> Journal:
        text = encoded(f"{'' if reached.length else form.head}{form.encode(records)}")
        return file.append(text, reached.further(len(text), len(records), checkpoint))

    async def pull() -> tuple[Journal, CdrStream]:
        reached = journal
        async with (
            client() as open_client,
            open_client.cdrs.stream(journal.start, journal.end, resume=journal.checkpoint) as stream,
        ):
            with shown_progress() as show:
                async for batch in stream.batches():
                    reached = appended(reached, batch, stream.checkpoint)
                    show(stream)
        return reached if reached.length else appended(reached, [], stream.checkpoint), stream

    try:
        reached, stream = run(pull)
    except CheckpointError as error:
        raise click.UsageError(f"the checkpoint does not fit: {error}") from None
    file.finish(reached)
    return attrs.evolve(reached, complete=True), stream


def _conclude(journal: Journal, stream: CdrStream | None, out: Path, *, as_json: bool) -> None:
    """Tell what the file holds, and what it cost."""
    if as_json:
        facts: dict[str, Any] = {"file": str(out), "records": journal.records, "bytes": journal.length}
        facts |= {"start": journal.start, "end": journal.end}
        facts |= {} if stream is None else {"requests": stream.stats.requests, "retries": stream.stats.retries}
        write_json(facts)
        return
    cost = "It was whole already." if stream is None else _cost(stream)
    tell(f"{many(journal.records, 'record', 'records')} in {out}, {size(journal.length)}. {cost}")


def _cost(stream: CdrStream) -> str:
    stats = stream.stats
    ratio = stats.requests / max(stats.min_requests, 1)
    return f"{many(stats.requests, 'request', 'requests')}, {ratio:.2f} times the fewest possible."


def _again(out: Path, form: Format) -> str:
    """Give the command that goes on. It needs no range: that stands in the checkpoint."""
    named = [] if out.suffix == f".{form.name}" else ["--format", form.name]
    return shlex.join(["unlimcall", "cdrs", "pull", "--out", str(out), *named, "--resume"])
