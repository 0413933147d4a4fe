"""`unlimcall cdrs pull`: the call records of a range, into a file or a pipe."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from pathlib import Path
from typing import NoReturn

import click

from unlimcall_async._spans import span
from unlimcall_async.cli import options
from unlimcall_async.cli.access import AccessToAll
from unlimcall_async.cli.pieces import Accepted
from unlimcall_async.cli.pull_formats import MADE, NAMES, READERS, form_of
from unlimcall_async.cli.pull_range import Wanted
from unlimcall_async.cli.repeating import Repeatable, again
from unlimcall_async.cli.running import (
    FOUND,
    Clients,
    accounts_option,
    as_json,
    at_once_option,
    concurrency_option,
    quiet,
    rate_option,
    with_client,
)

# What a command that continues a pull leaves out: the pull's journal has it, or the user would not mean it again.
_NOT_AGAIN = {"start", "end", "settle", "zone", "form", "reader", "rejects", "resume", "force"}


@click.command(cls=Repeatable)
@options.range_options(start=None, end=None)
@click.option(
    "--settle",
    metavar="SPAN",
    callback=options.read_by(span),
    help="End the range this long ago, so that long calls are over: no shorter than the longest call.",
)
@click.option("--out", type=options.FILE_OR_FOLDER, metavar="FILE", help="The file; without it, standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(NAMES),
    help="The format; without it, the ending of the file's name, else ndjson.",
)
@click.option(
    "--for", "reader", type=click.Choice(READERS), help="Write CSV that this program opens as it is meant, by a click."
)
@click.option("--resume", is_flag=True, help="Continue the file of a pull that was stopped, for whatever reason.")
@click.option(
    "--since-last",
    is_flag=True,
    help="Begin where the last pull into the file ended, and add to the file; --out may be a folder.",
)
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
@click.option(
    "--no-manifest",
    "manifest",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Write no FILE.manifest.json, which takes about as much CPU time as the records.",
)
@accounts_option
@at_once_option
@rate_option
@concurrency_option
@quiet
@as_json
@with_client
@click.pass_context
def pull(
    context: click.Context,
    *,
    client: Clients | AccessToAll,
    at_once: int,
    start: str | None,
    end: str | None,
    zone: tzinfo,
    settle: timedelta | None,
    out: Path | None,
    form: str | None,
    reader: str | None,
    resume: bool,
    since_last: bool,
    force: bool,
    rejects: Path | None,
    skip_saturated: bool,
    manifest: bool,
    as_json: bool,
) -> None:
    """Pull all call records of a range, each once and in order.

    A pull with --out may be stopped by anything: Ctrl-C, a kill or a lost connection. The same command with --resume then pulls
    exactly the rest, and --from and --till need not be repeated. The file is called FILE.part until it is complete.
    FILE.checkpoint holds the place that the pull has reached. FILE.manifest.json is what `unlimcall cdrs verify` and `unlimcall
    cdrs prove` read. Without --till, the range ends now. With --json, a summary goes to
    standard output as a JSON object.

    With --since-last, each pull begins where the last one ended. It adds its records to FILE, or writes a new file into the folder.
    The first such pull needs --from. If the last pull was stopped, that pull is finished first.

    With --accounts, --out is a folder, which gets a file for each account by its name. So is --rejects. The failure of one account
    stops no other. The exit status is that of the first account that failed.

    A row that cannot be read, or an instant with more records than the API shows, ends the pull. With --rejects or
    --skip-saturated the pull goes on, and if there were any, the exit status is 1.
    """
    _check(out=out, end=end, settle=settle, rejects=rejects, resume=resume, since_last=since_last, force=force)
    try:
        asked = form_of(form, reader, out)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    zone_given = context.get_parameter_source("zone") is click.core.ParameterSource.COMMANDLINE
    wanted = Wanted(start, end, settle, zone, zone_given)
    accepted = Accepted(rejects, skip_saturated)
    if out is None:
        if asked in MADE:
            raise click.UsageError(f"--format {asked} needs --out")
        if isinstance(client, AccessToAll):
            raise click.UsageError("--accounts needs --out, the folder for the files")
        from unlimcall_async.cli.pull_to_stdout import pull_to_stdout  # noqa: PLC0415 # `--help` must be quick

        flawed = pull_to_stdout(client, wanted, asked or "ndjson", accepted, force=force, as_json=as_json)
        raise SystemExit(FOUND if flawed else 0)
    from unlimcall_async.cli.pull_job import Order  # noqa: PLC0415 # as above

    # A pull since the last one first finishes that, and then goes on: it needs all that was typed.
    without, more = ({"resume"}, []) if since_last else (_NOT_AGAIN, ["--resume"])
    if isinstance(client, AccessToAll):
        # The names of the files depend on the format, and no journal has the rejects of an account that was not begun.
        without = without - {"form", "reader", "rejects"}
    command = again(context, "unlimcall cdrs pull", without=without, more=more)
    flags = (resume, since_last, force, as_json, manifest)
    if isinstance(client, AccessToAll):
        from unlimcall_async.cli.accounts_pull import pull_accounts  # noqa: PLC0415 # as above

        order = Order(_of_an_account, wanted, asked, accepted, out, *flags, command, client.concurrency)
        raise SystemExit(pull_accounts(order, client, at_once))
    from unlimcall_async.cli.pull_to_file import pull_to_file  # noqa: PLC0415 # as above

    order = Order(client, wanted, asked, accepted, out, *flags, command, client.concurrency)
    raise SystemExit(FOUND if pull_to_file(order) else 0)


def _of_an_account() -> NoReturn:
    """Stand for the client in the order of all accounts. The order of each account has its own."""
    raise AssertionError("an order of all accounts has no client")


def _check(
    *,
    out: Path | None,
    end: str | None,
    settle: timedelta | None,
    rejects: Path | None,
    resume: bool,
    since_last: bool,
    force: bool,
) -> None:
    """Check that the options go together.

    Raises:
        click.UsageError: They do not.
    """
    if settle is not None and end is not None:
        raise click.UsageError("--settle and --till exclude each other: both say where the range ends")
    for option, given in (("--resume", resume), ("--since-last", since_last)):
        if given and force:
            raise click.UsageError(f"{option} and --force exclude each other")
        if given and out is None:
            raise click.UsageError(f"{option} needs --out")
    if out is None and force and rejects is None:
        raise click.UsageError("--force needs --out")
    if out is not None and rejects is not None:
        _check_apart(out, rejects)


def _check_apart(out: Path, rejects: Path) -> None:
    """Check that the pull and its rejects share no file.

    Raises:
        click.UsageError: They do.
    """
    from unlimcall_async.cli.files import without_detours  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.pull_place import FOLDER_JOURNAL  # noqa: PLC0415 # as above

    if out.is_dir():
        own = {without_detours(out / FOLDER_JOURNAL)}
    else:
        endings = ("", ".part", ".checkpoint", ".manifest.json", ".manifest.json.part")
        own = {without_detours(out.with_name(f"{out.name}{ending}")) for ending in endings}
    if own & {without_detours(rejects.with_name(f"{rejects.name}{ending}")) for ending in ("", ".part")}:
        raise click.UsageError("--rejects must name another file than --out and the files beside it")
