"""`unlimcall cdrs pull`: the call records of a range, into a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from unlimcall_async import CallRecord, CdrStream, Checkpoint, CheckpointError, UnlimCallError
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import FORMATS, NDJSON, Format, encoded
from unlimcall_async.cli.output import UnwritableError, to_stderr, write_json, write_when_ready
from unlimcall_async.cli.running import Clients, TerminatedError, as_json, run, with_client
from unlimcall_async.cli.wording import many, size

if TYPE_CHECKING:
    from unlimcall_async.cli.journal import Journal
    from unlimcall_async.cli.pull_file import PullFile


@click.command()
@options.range_options(start=None, end=None)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The file; without it, standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    help="The format; without it, the ending of the file's name, else ndjson.",
)
@click.option("--resume", is_flag=True, help="Continue the file of a pull that was stopped, for whatever reason.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@as_json
@with_client
def pull(
    *,
    client: Clients,
    start: str | None,
    end: str | None,
    zone: tzinfo,
    out: Path | None,
    form: str | None,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Pull all call records of a range, each once and in order.

    A pull with --out may be stopped by anything: Ctrl-C, a kill or a lost connection. The same command with --resume then pulls
    exactly the rest, and --from and --till need not be repeated. The file is called FILE.part until it is complete.
    FILE.checkpoint holds the place that the pull has reached. Without --till, the range ends now. With --json, a summary goes to
    standard output as a JSON object.
    """
    if resume and force:
        raise click.UsageError("--resume and --force exclude each other")
    if out is None and (resume or force):
        raise click.UsageError(f"{'--resume' if resume else '--force'} needs --out")
    wanted = _Range(start, end, zone)
    if form is not None:
        chosen = FORMATS[form]
    elif out is None:
        chosen = NDJSON
    elif out.suffix[1:] in FORMATS:
        chosen = FORMATS[out.suffix[1:]]
    else:
        raise click.UsageError("the name of --out must end in .ndjson or .csv; else give --format")
    if out is None:
        _pull_to_stdout(client, wanted, chosen, as_json=as_json)
    else:
        _pull_to_file(client, wanted, chosen, out, resume=resume, force=force, as_json=as_json)


class _Range(NamedTuple):
    """The range as the user wrote it."""

    start: str | None
    end: str | None
    zone: tzinfo

    def settled(self) -> tuple[datetime, datetime]:
        """Return the range of a pull that begins.

        Raises:
            click.UsageError: The start is missing, or a text is not a time.
        """
        if self.start is None:
            raise click.UsageError("--from is missing: give the start of the range, for example --from 7d")
        return options.window(self.start, self.end or "now", self.zone)

    def check(self, journal: Journal, out: Path) -> None:
        """Compare the range with that of the file.

        Raises:
            click.UsageError: An option names another range.
        """
        for option, text, held in (("--from", self.start, journal.start), ("--till", self.end, journal.end)):
            if text is not None and options.moment(option, text, self.zone) != held:
                raise click.UsageError(
                    f"{out} is a pull from {journal.start.isoformat()} till {journal.end.isoformat()}, and {option} {text} is "
                    f"another range; leave {option} out to continue the file"
                )


# --- to standard output ---------------------------------------------------------------------------------------------------


def _pull_to_stdout(client: Clients, wanted: _Range, form: Format, *, as_json: bool) -> None:
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich

    if as_json and form.name != "ndjson":
        raise click.UsageError("without --out, --json and --format csv exclude each other; leave one of them out")
    start, end = wanted.settled()

    async def pull() -> CdrStream:
        # A terminal that shows the records needs no progress between them.
        crowded = sys.stdout is not None and sys.stdout.isatty()
        async with client() as open_client, open_client.cdrs.stream(start, end) as stream:
            await write_when_ready(form.head)
            with nullcontext(None) if crowded else shown_progress() as show:
                async for batch in stream.batches():
                    await write_when_ready(form.encode(batch))
                    if show is not None:
                        show(stream)
        return stream

    stream = run(pull)
    to_stderr(f"{many(stream.stats.records, 'record', 'records')}. {_cost(stream)}")


# --- to a file ------------------------------------------------------------------------------------------------------------


def _pull_to_file(
    client: Clients, wanted: _Range, form: Format, out: Path, *, resume: bool, force: bool, as_json: bool
) -> None:
    import shlex  # noqa: PLC0415 # `--help` must be quick

    from unlimcall_async.cli.pull_file import PullFile  # noqa: PLC0415 # as above

    with PullFile(out) as file:
        # Only --force replaces a FILE.checkpoint that no pull has left: such a file is the user's.
        journal = None if force else file.stored()
        # A job may always give --resume: if nothing is there yet, the pull begins.
        if journal is None or not resume:
            journal = _begun(file, wanted, form, out, force=force, resume=resume)
        else:
            wanted.check(journal, out)
            if journal.form != form.name:
                raise click.UsageError(
                    f"{out} was begun as {journal.form}, not as {form.name}; give --format {journal.form}"
                )
            file.go_on(journal)
        stream = None
        if journal.complete:
            file.finish(journal)
        else:
            try:
                journal, stream = _pulled(client, file, journal, out)
            except (KeyboardInterrupt, TerminatedError, UnlimCallError, UnwritableError):
                # The command that continues needs no range, which stands in the checkpoint.
                named = [] if out.suffix == f".{form.name}" else ["--format", form.name]
                again = shlex.join(["unlimcall", "cdrs", "pull", "--out", str(out), *named, "--resume"])
                to_stderr(f"To continue: {again}")
                raise
    if as_json:
        summary: dict[str, Any] = {"file": str(out), "records": journal.records, "bytes": journal.length}
        summary |= {"start": journal.start, "end": journal.end}
        summary |= {} if stream is None else {"requests": stream.stats.requests, "retries": stream.stats.retries}
        write_json(summary)
    else:
        cost = "The file was complete already." if stream is None else _cost(stream)
        to_stderr(f"{many(journal.records, 'record', 'records')} in {out}, {size(journal.length)}. {cost}")


def _begun(file: PullFile, wanted: _Range, form: Format, out: Path, *, force: bool, resume: bool) -> Journal:
    """Begin a new pull, and return its journal.

    Raises:
        click.UsageError: The file exists, and `force` is not set.
    """
    from unlimcall_async.cli.journal import Journal  # noqa: PLC0415 # `--help` must be quick

    start, end = wanted.settled()
    if file.exists and not force:
        if resume:
            raise click.UsageError(
                f"{out} exists, but {out}.checkpoint, which says how to continue it, does not; --force replaces the file"
            )
        raise click.UsageError(f"{out} exists, or a part of it: --resume continues it, --force replaces it")
    journal = Journal(start, end, form.name, replace=force)
    file.begin(journal)
    return journal


def _pulled(client: Clients, file: PullFile, journal: Journal, out: Path) -> tuple[Journal, CdrStream]:
    """Pull the rest of the range, put the file in place, and return its last journal."""
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich

    form = FORMATS[journal.form]

    def appended(reached: Journal, records: Sequence[CallRecord], checkpoint: Checkpoint) -> Journal:
        text = encoded(f"{'' if reached.length else form.head}{form.encode(records)}")
        return file.append(text, reached.after(text, len(records), checkpoint))

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
        # A range without records gives no batch. Its file still needs the head.
        return reached if reached.length else appended(reached, [], stream.checkpoint), stream

    try:
        reached, stream = run(pull)
    except CheckpointError:  # the checkpoint is not of this range, or not of this release
        raise click.UsageError(f"{out}.checkpoint is damaged; --force starts anew") from None
    return file.finish(reached), stream


def _cost(stream: CdrStream) -> str:
    stats = stream.stats
    ratio = stats.requests / max(stats.min_requests, 1)
    return f"{many(stats.requests, 'request', 'requests')}, {ratio:.2f} times the fewest possible."
