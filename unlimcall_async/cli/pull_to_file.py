"""A pull into a file, or into a folder: what is begun, what is continued, and what is refused."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import attrs
import click

from unlimcall_async import UnlimCallError
from unlimcall_async.cli import pull_manifest
from unlimcall_async.cli.files import without_detours
from unlimcall_async.cli.journal import Journal, Kept
from unlimcall_async.cli.made_file import check_installed
from unlimcall_async.cli.output import UnusableError, UnwritableError, is_quiet, note, to_stderr, write_json
from unlimcall_async.cli.pieces import losses
from unlimcall_async.cli.progress import shown_progress
from unlimcall_async.cli.pull_file import PullFile, stored_journal
from unlimcall_async.cli.pull_formats import EXCEL_CSV, MADE, NAMES, options_of
from unlimcall_async.cli.pull_job import Job, Order, length_of, summary_of
from unlimcall_async.cli.pull_place import Place
from unlimcall_async.cli.rejects import Rejects
from unlimcall_async.cli.running import TerminatedError, run
from unlimcall_async.cli.wording import many, size


def pull_to_file(order: Order) -> bool:
    """Pull, and return whether rows of the range are not among the records."""
    flawed = False
    with closing(jobs(order)) as todo:
        for job in todo:
            try:
                run(lambda job=job: _shown(job))  # type: ignore[misc] # the job of this turn
            except (KeyboardInterrupt, TerminatedError, UnlimCallError, UnwritableError):
                if not job.was_complete:
                    to_stderr(f"To continue: {order.again}")
                raise
            _report(job)
            flawed = flawed or job.journal.flawed
    return flawed


async def _shown(job: Job) -> None:
    with nullcontext(_no_show) if is_quiet() or job.journal.complete else shown_progress() as show:
        await job.run(show)


def jobs(order: Order) -> Generator[Job, None, None]:
    """Iterate over the files to pull: one, and before it perhaps one that an earlier pull has not finished.

    Each job is run before the next one is taken.

    Raises:
        click.UsageError: An option does not fit what is there.
        UnusableError: A file cannot be used.
    """
    place = Place(order.out, order.out.is_dir())
    if place.is_folder and not order.since_last:
        raise click.BadParameter(
            f"without --since-last, it must be the name of a file, and {order.out} is a folder", param_hint="'--out'"
        )
    check_installed(order.form)
    if not order.since_last:
        yield from _pull_alone(order, place)
        return
    with place.locked():
        yield from _finish_last(order, place)
        yield from _pull_next(order, place)


def _pull_alone(order: Order, place: Place) -> Generator[Job, None, None]:
    with PullFile(place.out, place.journal) as file:
        # Only --force replaces a FILE.checkpoint that no pull has left: such a file is the user's.
        journal = None if order.force else file.stored()
        # A job may always give --resume: if nothing is there yet, the pull begins.
        if journal is None or not order.resume:
            if file.exists and not order.force:
                raise click.UsageError(_in_the_way(order, file, journal))
            form, settled = _form_of_new(order), order.wanted.settled()
            new = Journal(
                settled.start,
                settled.end,
                form,
                replace=order.force,
                zone=str(order.wanted.zone),
                till=settled.till,
                begun=settled.at,
                rejects=_new_rejects(order, file, place.out, None),
            )
            yield _pull_new(order, file, place.out, new)
            return
        order.wanted.check(journal, place.out)
        _check_form(order, journal)
        yield _go_on(order, file, place.out, journal)


def _in_the_way(order: Order, file: PullFile, journal: Journal | None) -> str:
    """Return the message for a file that exists. It says what to type."""
    out = order.out
    if journal is not None and not journal.complete and (file.has_part or journal.kept is not None):
        return (
            f"{out}.part is a pull from {journal.start.isoformat()} till {journal.end.isoformat()} "
            f"that was not finished. --force starts anew. To continue: {order.again}"
        )
    if journal is not None and journal.complete and journal.form not in MADE:
        return f"{out} exists: --since-last continues it from its end, --force replaces it"
    if order.resume:
        return f"{out} exists, but {out}.checkpoint, which says how to continue it, does not; --force replaces the file"
    return f"{out} exists, or a part of it: --force replaces it"


# --- since the last pull --------------------------------------------------------------------------------------------------


def _finish_last(order: Order, place: Place) -> Generator[Job, None, None]:
    """Finish the last pull if it was stopped."""
    last = stored_journal(place.journal)
    if last is None:
        return
    path = place.file_of(last)
    with PullFile(path, place.journal) as file:
        # Under the lock of the part: another process may just have finished.
        if (last := file.stored()) is None or place.file_of(last) != path:
            raise UnusableError(f"another process is pulling into {order.out}")
        if last.complete and last.length and not (file.has_part or file.is_in_place):
            # Moved away, as logs are. A kill may have left the manifest to be made.
            file.manifest.finish(last)
        elif not last.complete or file.is_unfinished:
            yield _go_on(order, file, path, last)


def _pull_next(order: Order, place: Place) -> Generator[Job, None, None]:
    """Pull from where the last pull ended."""
    last = stored_journal(place.journal)
    if last is None and order.wanted.start is None:
        raise click.UsageError(
            f"no pull into {order.out} has ended yet: give the start of the first one with --from, for example --from 7d"
        )
    settled = order.wanted.settled(None if last is None else last.end)
    if last is not None and settled.end <= last.end:
        if order.as_json:
            write_json({"file": None if place.is_folder else str(order.out), "new": 0, "end": last.end})
        else:
            note(f"Nothing to pull: the last pull into {order.out} ended at {last.end.isoformat()}.")
        return
    form = _form_of_new(order) if last is None or (place.is_folder and order.form) else last.form
    if form in MADE and not place.is_folder:
        raise click.UsageError(
            f"--since-last cannot add to {MADE[form]}; name a folder with --out, for {MADE[form]} each"
        )
    check_installed(form)
    zone = order.wanted.zone if last is None else order.wanted.zone_of(last)
    new = Journal(settled.start, settled.end, form, zone=str(zone), till=settled.till, begun=settled.at)
    path = place.file_of(new)
    with PullFile(path, place.journal) as file:
        file.stored()
        if not place.is_folder:
            new = _added(order, file, last, new)
        new = attrs.evolve(new, rejects=_new_rejects(order, file, path, None if last is None else last.rejects))
        yield _pull_new(order, file, path, new)


def _added(order: Order, file: PullFile, last: Journal | None, new: Journal) -> Journal:
    """Return the journal of a pull that adds to the file of the last one, if that file is still there.

    Raises:
        click.UsageError: The file is not that of the last pull, or has other times.
    """
    if last is None:
        if file.exists:
            raise click.UsageError(
                f"{order.out} exists, but {order.out}.checkpoint, which says where it ends, does not; move the file away"
            )
        return new
    if not file.is_in_place:  # moved away, as logs are
        return new
    _check_form(order, last)
    order.wanted.check_zone(last, order.out)
    if not file.file_is(last.length, last.crc32):
        raise UnusableError(f"{order.out} is not as {order.out}.checkpoint says; move it away to begin a new file")
    kept = Kept(last.end, last.length, last.records, last.first_begun)
    return attrs.evolve(
        new, start=last.start, replace=True, kept=kept, length=last.length, crc32=last.crc32, records=last.records
    )


# --- the format and the rejects -------------------------------------------------------------------------------------------


def _form_of_new(order: Order) -> str:
    if order.form is not None:
        return order.form
    if order.out.is_dir():
        return "ndjson"
    raise click.UsageError(
        f"the name of --out must end in {', '.join(f'.{name}' for name in NAMES[:-1])} or .{NAMES[-1]}; else give --format"
    )


def _check_form(order: Order, journal: Journal) -> None:
    """Check that the user asks for no other format than that of the pull.

    Raises:
        click.UsageError: They differ.
    """
    # The ending of the name and `--format csv` say less than the journal, which also knows for whom the CSV is.
    if order.form is not None and order.form != journal.form and not _is_named(order.form, journal.form):
        held = options_of(journal.form)
        # `--for` makes CSV another format, so it is `--for` that is too much.
        advice = "leave --for out" if order.form == EXCEL_CSV and journal.form == "csv" else f"give --format {held}"
        raise click.UsageError(f"{order.out} was begun as {held}, not as {options_of(order.form)}; {advice}")


def _is_named(asked: str, held: str) -> bool:
    return held == f"{asked} for excel"


def _new_rejects(order: Order, file: PullFile, out: Path, last: Rejects | None) -> Rejects | None:
    """Open the file of rejects of a pull that begins.

    Args:
        order: What the user asks for.
        file: The pull's file.
        out: Its name.
        last: The file of rejects of the last pull, which goes on.

    Raises:
        click.UsageError: The file exists, and is not to be replaced or continued.
    """
    given = order.accepted.rejects
    folder = without_detours(out).parent
    if given is not None:
        path = without_detours(given)
    elif last is not None:
        path = folder / last.file
    else:
        return None
    exists = file.open_rejects(given or path)
    # Beside the pull's file only by its name, so that both can be moved to another folder.
    new = Rejects(path.name if path.parent == folder else str(path))
    if last is not None and path == without_detours(folder / last.file) and exists:
        if not file.rejects_are(last):
            raise UnusableError(f"{path} is not as the last pull has left it; move it away")
        return attrs.evolve(new, length=last.length, crc32=last.crc32, kept=last.length)
    if exists and not order.force:
        raise click.UsageError(f"{given} exists, or a part of it: give --rejects another name")
    return new


def _held_rejects(order: Order, file: PullFile, out: Path, journal: Journal) -> Journal:
    """Open the file of rejects of a pull that is continued. Return the journal, which names that file.

    Raises:
        click.UsageError: The file exists, or is not the one of the journal.
    """
    given, held = order.accepted.rejects, journal.rejects
    if held is None:
        if given is None or journal.complete:
            return journal
        return attrs.evolve(journal, rejects=_new_rejects(order, file, out, None))
    path = without_detours(out).parent / held.file
    if given is not None and without_detours(given) != without_detours(path):
        raise click.UsageError(f"{out} was begun with --rejects {held.file}; leave --rejects out to continue the file")
    file.open_rejects(path)
    return journal


# --- the work -------------------------------------------------------------------------------------------------------------


def _pull_new(order: Order, file: PullFile, path: Path, journal: Journal) -> Job:
    journal, lines_kept = pull_manifest.begun(path, journal, wanted=order.manifest)
    file.begin(journal, lines_kept)
    return Job(order, file, path, journal)


def _go_on(order: Order, file: PullFile, path: Path, journal: Journal) -> Job:
    check_installed(journal.form)
    journal = _held_rejects(order, file, path, journal)
    file.go_on(journal)
    return Job(order, file, path, pull_manifest.continued(file.manifest, path, journal, wanted=order.manifest))


def _no_show(_stream: Any) -> None:
    """Show nothing."""


def _report(job: Job) -> None:
    """Write the summary."""
    order, path, journal = job.order, job.path, job.journal
    if order.as_json:
        write_json(summary_of(job))
        return
    rows, name = (0, "") if journal.rejects is None else (journal.rejects.rows, journal.rejects.file)
    lost = losses(rows, name, journal.saturated)
    new = f", {journal.came:,} of them new" if journal.kept is not None else ""
    if job.was_complete and order.wanted.is_relative:
        note(f"The range of {path} ends at {journal.end.isoformat()}; --since-last goes on from there.")
    end = "The file was complete already." if job.was_complete else job.cost
    write_line = to_stderr if lost else note
    write_line(f"{many(journal.records, 'record', 'records')} in {path}{new}, {size(length_of(journal))}. {end}{lost}")
