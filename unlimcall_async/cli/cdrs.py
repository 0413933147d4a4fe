"""`unlimcall cdrs`: call records into a file or a pipe, and as they come."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from pathlib import Path

import click

from unlimcall_async.cli.formats import FORMATS, NDJSON, Format
from unlimcall_async.cli.options import range_options, read_by, tz
from unlimcall_async.cli.running import Clients, Commands, as_json, with_client
from unlimcall_async.cli.times import span


@click.group(cls=Commands)
def cdrs() -> None:
    """Pull or follow call detail records."""


@cdrs.command()
@range_options(start=None, end=None)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The file; without it, standard output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    help="The format; without it, what the file's name ends in, else ndjson.",
)
@click.option("--resume", is_flag=True, help="Go on with the file where a pull was stopped, whatever stopped it.")
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

    A pull with --out may be stopped by anything, Ctrl-C, a kill or a lost connection: the same with --resume goes on with exactly
    the rest, and --from and --till need not be repeated. Until it is whole the file is called FILE.part; how far it is stands in
    FILE.checkpoint. --till is now, unless it is given. With --json, what came of it is a JSON object on standard output.
    """
    if resume and force:
        raise click.UsageError("--resume and --force exclude each other")
    if out is None and (resume or force):
        raise click.UsageError(f"{'--resume' if resume else '--force'} needs --out")
    from unlimcall_async.cli.pulling import Wanted, pull_into, pull_out  # noqa: PLC0415 # `--help` need not import rich

    wanted = Wanted(start, end, zone)
    chosen = _chosen(form, out)
    if out is None:
        pull_out(client, wanted, chosen, as_json=as_json)
    else:
        pull_into(client, wanted, chosen, out, resume=resume, force=force, as_json=as_json)


def _chosen(form: str | None, out: Path | None) -> Format:
    """Give the format that was asked for, if only by the file's name."""
    if form is not None:
        return FORMATS[form]
    if out is None:
        return NDJSON
    if out.suffix[1:] not in FORMATS:
        raise click.UsageError("the name of --out must end in .ndjson or .csv, or --format must say what it is")
    return FORMATS[out.suffix[1:]]


@cdrs.command()
@click.option("--from", "start", metavar="TIME", help="The start, in any form that pull takes; without it, now.")
@tz
@click.option(
    "--interval",
    metavar="SPAN",
    default="30s",
    show_default=True,
    callback=read_by(span),
    help="From one poll to the next.",
)
@click.option(
    "--lookback",
    metavar="SPAN",
    callback=read_by(span),
    default="2h",
    show_default=True,
    help="How long after its start a record may appear: no shorter than the longest call.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep in this file how far it is, and go on from there where the file exists.",
)
@as_json
@with_client
def follow(
    *,
    client: Clients,
    start: str | None,
    zone: tzinfo,
    interval: timedelta,
    lookback: timedelta,
    checkpoint: Path | None,
    as_json: bool,  # noqa: ARG001 # there is no other form
) -> None:
    """Write call records as they appear, until Ctrl-C or SIGTERM.

    Each is a line of JSON on standard output, written at once; --json changes nothing. With --checkpoint, to start it again goes on
    where it was: no record is left out, and those of a batch that was being written when it ended come again.
    SIGTERM is its ordinary end: the exit status is 0.
    """
    from unlimcall_async.cli.following import Tail, follow_from  # noqa: PLC0415 # as above

    follow_from(client, Tail(start, zone, interval, lookback, checkpoint))
