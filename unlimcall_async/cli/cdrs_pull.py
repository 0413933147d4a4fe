"""`unlimcall cdrs pull`: the call records of a range, into a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import click

from unlimcall_async import CheckpointError, UnlimCallError
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import FORMATS, NDJSON, Format, encoded
from unlimcall_async.cli.output import UnwritableError, to_stderr, write_json, write_when_ready
from unlimcall_async.cli.pieces import Cost, Piece, pieces, with_ways_out
from unlimcall_async.cli.running import FOUND, Clients, TerminatedError, as_json, run, with_client
from unlimcall_async.cli.wording import many, size

if TYPE_CHECKING:
    from unlimcall_async.cli.journal import Journal
    from unlimcall_async.cli.pull_file import PullFile


@click.command()
@options.range_options(start=None, end=None)
@click.option("--out", type=options.FILE_NAME, metavar="FILE", help="The file; without it, standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    help="The format; without it, the ending of the file's name, else ndjson.",
)
@click.option("--resume", is_flag=True, help="Continue the file of a pull that was stopped, for whatever reason.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option(
    "--rejects",
    type=options.FILE_NAME,
    metavar="FILE",
    help="Write rows that cannot be read to this file, one JSON object a line, and go on.",
)
@click.option(
    "--skip-saturated",
    is_flag=True,
    help="Go on behind an instant that holds more records than the API shows, with those that it shows.",
)
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
    rejects: Path | None,
    skip_saturated: bool,
    as_json: bool,
) -> None:
    """Pull all call records of a range, each once and in order.

    A pull with --out may be stopped by anything: Ctrl-C, a kill or a lost connection. The same command with --resume then pulls
    exactly the rest, and --from and --till need not be repeated. The file is called FILE.part until it is complete.
    FILE.checkpoint holds the place that the pull has reached. Without --till, the range ends now. With --json, a summary goes to
    standard output as a JSON object.

    A row that cannot be read, or an instant with more records than the API shows, ends the pull. With --rejects or
    --skip-saturated the pull goes on, and if there were any, the exit status is 1.
    """
    if resume and force:
        raise click.UsageError("--resume and --force exclude each other")
    if out is None and (resume or (force and rejects is None)):
        raise click.UsageError(f"{'--resume' if resume else '--force'} needs --out")
    if out is not None and rejects is not None:
        _check_apart(out, rejects)
    wanted = _Range(start, end, zone)
    if form is not None:
        chosen = FORMATS[form]
    elif out is None:
        chosen = NDJSON
    elif out.suffix[1:] in FORMATS:
        chosen = FORMATS[out.suffix[1:]]
    else:
        raise click.UsageError("the name of --out must end in .ndjson or .csv; else give --format")
    accepted = _Accepted(rejects, skip_saturated)
    if out is None:
        flawed = _pull_to_stdout(client, wanted, chosen, accepted, force=force, as_json=as_json)
    else:
        flawed = _pull_to_file(client, wanted, chosen, accepted, out, resume=resume, force=force, as_json=as_json)
    if flawed:
        raise SystemExit(FOUND)


def _check_apart(out: Path, rejects: Path) -> None:
    """Check that the pull and its rejects share no file.

    Raises:
        click.UsageError: They do.
    """
    from unlimcall_async.cli.files import without_detours  # noqa: PLC0415 # `--help` must be quick

    own = {without_detours(out.with_name(f"{out.name}{ending}")) for ending in ("", ".part", ".checkpoint")}
    if own & {without_detours(rejects.with_name(f"{rejects.name}{ending}")) for ending in ("", ".part")}:
        raise click.UsageError("--rejects must name another file than --out and the files beside it")


class _Accepted(NamedTuple):
    """The losses that the user accepts: the file for rows that cannot be read, and whether saturated instants are passed."""

    rejects: Path | None
    saturated: bool


def _losses(rows: int, rejects: Path | str | None, saturated: Sequence[Sequence[str]]) -> str:
    """Return what was lost, as the end of a line; empty if nothing was."""
    parts = [f" {many(rows, 'row', 'rows')} could not be read: see {rejects}."] if rows else []
    for start, end in saturated:
        parts.append(f" Records from {start} till {end} may be missing: the API does not show more.")
    return "".join(parts)


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


def _pull_to_stdout(
    client: Clients, wanted: _Range, form: Format, accepted: _Accepted, *, force: bool, as_json: bool
) -> bool:
    """Pull, and return whether rows of the range are not among the records."""
    from unlimcall_async.cli.part_file import PartFile  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich
    from unlimcall_async.cli.rejects import lines  # noqa: PLC0415 # `--help` must be quick

    if as_json and form.name != "ndjson":
        raise click.UsageError("without --out, --json and --format csv exclude each other; leave one of them out")
    start, end = wanted.settled()
    cost, rejected, saturated = Cost(), 0, list[tuple[str, str]]()
    rejects = None if accepted.rejects is None else PartFile(accepted.rejects)

    async def pull() -> None:
        nonlocal rejected
        # A terminal that shows the records needs no progress between them.
        crowded = sys.stdout is not None and sys.stdout.isatty()
        async with (
            client() as open_client,
            aclosing(
                pieces(
                    open_client,
                    start,
                    end,
                    with_rejects=rejects is not None,
                    skip_saturated=accepted.saturated,
                    cost=cost,
                )
            ) as came,
        ):
            await write_when_ready(form.head)
            with nullcontext(None) if crowded else shown_progress() as show:
                async for piece in came:
                    await write_when_ready(form.encode(piece.records))
                    if rejects is not None:
                        rejects.append(lines(piece.rejects))
                    rejected += len(piece.rejects)
                    saturated.extend([piece.saturated] if piece.saturated else [])
                    if show is not None and piece.records:
                        show(piece.stream)

    try:
        if rejects is not None:
            if rejects.exists and not force:
                raise click.UsageError(f"{rejects.path} exists, or a part of it: --force replaces it")
            rejects.clear()
        with with_ways_out(with_rejects=rejects is not None):
            run(pull)
    finally:
        # The records before an error were written, and so were their rejects.
        if rejects is not None:
            if cost.requests:
                rejects.put_in_place(replace=force)
            rejects.close()
    lost = _losses(rejected, accepted.rejects, saturated)
    to_stderr(f"{many(cost.records, 'record', 'records')}. {cost}{lost}")
    return bool(lost)


# --- to a file ------------------------------------------------------------------------------------------------------------


def _pull_to_file(
    client: Clients,
    wanted: _Range,
    form: Format,
    accepted: _Accepted,
    out: Path,
    *,
    resume: bool,
    force: bool,
    as_json: bool,
) -> bool:
    """Pull, and return whether rows of the range are not among the records."""
    import shlex  # noqa: PLC0415 # `--help` must be quick

    from unlimcall_async.cli.pull_file import PullFile  # noqa: PLC0415 # as above

    with PullFile(out) as file:
        # Only --force replaces a FILE.checkpoint that no pull has left: such a file is the user's.
        journal = None if force else file.stored()
        # A job may always give --resume: if nothing is there yet, the pull begins.
        if journal is None or not resume:
            journal = _begun(file, wanted, form, accepted.rejects, out, force=force, resume=resume)
        else:
            wanted.check(journal, out)
            if journal.form != form.name:
                raise click.UsageError(
                    f"{out} was begun as {journal.form}, not as {form.name}; give --format {journal.form}"
                )
            journal = _with_rejects(file, journal, accepted.rejects, out)
            file.go_on(journal)
        cost, already_complete = Cost(), journal.complete
        if already_complete:
            file.finish(journal)
        else:
            try:
                with with_ways_out(with_rejects=journal.rejects is not None):
                    journal = _pulled(client, file, journal, out, skip_saturated=accepted.saturated, cost=cost)
            except (KeyboardInterrupt, TerminatedError, UnlimCallError, UnwritableError):
                # The command that continues needs no range, which stands in the checkpoint. Nor does it need --rejects.
                named = [] if out.suffix == f".{form.name}" else ["--format", form.name]
                named += ["--skip-saturated"] if accepted.saturated else []
                again = shlex.join(["unlimcall", "cdrs", "pull", "--out", str(out), *named, "--resume"])
                to_stderr(f"To continue: {again}")
                raise
    if as_json:
        summary: dict[str, Any] = {"file": str(out), "records": journal.records, "bytes": journal.length}
        summary |= {"start": journal.start, "end": journal.end}
        summary |= {} if already_complete else {"requests": cost.requests, "retries": cost.retries}
        if journal.rejects is not None:
            summary |= {"rejects": journal.rejects.file, "unreadable": journal.rejects.rows}
        summary |= {"saturated": journal.saturated} if journal.saturated else {}
        write_json(summary)
    else:
        rows, name = (0, "") if journal.rejects is None else (journal.rejects.rows, journal.rejects.file)
        end = "The file was complete already." if already_complete else cost
        to_stderr(
            f"{many(journal.records, 'record', 'records')} in {out}, {size(journal.length)}. {end}"
            f"{_losses(rows, name, journal.saturated)}"
        )
    return journal.flawed


def _begun(
    file: PullFile, wanted: _Range, form: Format, rejects: Path | None, out: Path, *, force: bool, resume: bool
) -> Journal:
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
    if rejects is not None:
        journal = _taking_rejects(file, journal, rejects, out, force=force)
    file.begin(journal)
    return journal


def _with_rejects(file: PullFile, journal: Journal, rejects: Path | None, out: Path) -> Journal:
    """Open the file of rejects of a pull that is continued. Return the journal, which names that file.

    Raises:
        click.UsageError: The file exists, or is not the one of the journal.
    """
    from unlimcall_async.cli.files import without_detours  # noqa: PLC0415 # `--help` must be quick

    held = journal.rejects
    if held is None:
        if rejects is None or journal.complete:
            return journal
        return _taking_rejects(file, journal, rejects, out, force=False)
    path = without_detours(out).parent / held.file
    if rejects is not None and without_detours(rejects) != without_detours(path):
        raise click.UsageError(f"{out} was begun with --rejects {held.file}; leave --rejects out to continue the file")
    file.open_rejects(path)
    return journal


def _taking_rejects(file: PullFile, journal: Journal, rejects: Path, out: Path, *, force: bool) -> Journal:
    """Open a new file of rejects. Return the journal with its name.

    Raises:
        click.UsageError: The file exists, and `force` is not set.
    """
    from unlimcall_async.cli.files import without_detours  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.rejects import Rejects  # noqa: PLC0415 # as above

    if file.open_rejects(rejects) and not force:
        raise click.UsageError(f"{rejects} exists, or a part of it: give --rejects another name")
    # Beside the pull's file only by its name, so that both can be moved to another folder.
    path = without_detours(rejects)
    beside = path.parent == without_detours(out).parent
    return attrs.evolve(journal, rejects=Rejects(path.name if beside else str(path)))


def _pulled(
    client: Clients, file: PullFile, journal: Journal, out: Path, *, skip_saturated: bool, cost: Cost
) -> Journal:
    """Pull the rest of the range, put the file in place, and return its last journal."""
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich
    from unlimcall_async.cli.rejects import lines  # noqa: PLC0415 # `--help` must be quick

    form = FORMATS[journal.form]

    def appended(reached: Journal, piece: Piece) -> Journal:
        text = encoded(f"{'' if reached.length else form.head}{form.encode(piece.records)}")
        rejects, rejected = reached.rejects, b""
        if rejects is not None:
            rejected = lines(piece.rejects)
            rejects = rejects.after(rejected, len(piece.rejects))
        saturated = [*reached.saturated, *([piece.saturated] if piece.saturated else [])]
        after = reached.after(text, len(piece.records), piece.checkpoint)
        return file.append(text, attrs.evolve(after, rejects=rejects, saturated=saturated), rejected)

    async def pull() -> Journal:
        reached = journal
        async with (
            client() as open_client,
            aclosing(
                pieces(
                    open_client,
                    journal.start,
                    journal.end,
                    journal.checkpoint,
                    with_rejects=journal.rejects is not None,
                    skip_saturated=skip_saturated,
                    cost=cost,
                )
            ) as came,
        ):
            with shown_progress() as show:
                async for piece in came:
                    reached = appended(reached, piece)
                    show(piece.stream)
        return reached

    try:
        reached = run(pull)
    except CheckpointError:  # the checkpoint is not of this range, or not of this release
        raise click.UsageError(f"{out}.checkpoint is damaged; --force starts anew") from None
    return file.finish(reached)
