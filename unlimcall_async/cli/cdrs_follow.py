"""`unlimcall cdrs follow`: call records as they appear."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import click

from unlimcall_async import CdrFollow, Checkpoint, CheckpointError, UnlimCallError, _json
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import ndjson
from unlimcall_async.cli.outage import Outage, may_pass
from unlimcall_async.cli.output import UnusableError, to_stderr, write_when_ready
from unlimcall_async.cli.running import Clients, TerminatedError, as_json, run, with_client
from unlimcall_async.cli.times import span
from unlimcall_async.cli.wording import many, plain


@click.command()
@click.option("--from", "start", metavar="TIME", help="The start, in any form that pull takes; without it, now.")
@options.tz
@click.option(
    "--interval",
    metavar="SPAN",
    default="30s",
    show_default=True,
    callback=options.read_by(span),
    help="The time from one poll to the next.",
)
@click.option(
    "--lookback",
    metavar="SPAN",
    callback=options.read_by(span),
    default="2h",
    show_default=True,
    help="How long after its start a record may appear: no shorter than the longest call.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the place that was reached in this file. If the file exists, continue from that place.",
)
@click.option(
    "--give-up-after",
    metavar="SPAN",
    callback=options.read_by(span),
    help="End if the API gives no valid response for this long; without it, never.",
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
    give_up_after: timedelta | None,
    as_json: bool,  # noqa: ARG001 # there is no other format
) -> None:
    """Write call records as they appear, until Ctrl-C or SIGTERM.

    Each record is a line of JSON on standard output, written at once; --json changes nothing. With --checkpoint, a second start
    continues where the first one ended. No record is left out. The records of a batch that was being written come again.
    An outage does not end the command, which then asks again after pauses of up to a minute. A refusal by the API does.
    SIGTERM is the ordinary end: the exit status is 0.
    """
    begin, resume = _begin(start, zone, checkpoint)

    async def work() -> None:
        with options.in_option_names({"interval": "--interval", "lookback": "--lookback"}):
            open_client = client()
            stream = open_client.cdrs.follow(begin, interval=interval, lookback=lookback, resume=resume)
        outage = Outage(give_up_after)
        async with open_client, stream:
            output = _Output(stream, checkpoint)
            # At once: a file that cannot be written shows before the first record, and the next start has the same `now`.
            output.store(replace=resume is not None)
            try:
                while True:
                    try:
                        await output.write_all()
                    except UnlimCallError as error:
                        stats = stream.stats
                        pause = outage.pause(now=time.monotonic(), progress=(stats.polls, stats.records))
                        if pause is None or not may_pass(error):
                            raise
                        output.store()
                        to_stderr(f"{plain(str(error))}. The next attempt is in {pause:.0f} s.")
                        await asyncio.sleep(pause)
            finally:
                output.store()
                stats = stream.stats
                to_stderr(f"{many(stats.records, 'record', 'records')}, {many(stats.requests, 'request', 'requests')}.")

    try:
        run(work)
    except TerminatedError:
        return
    except CheckpointError:  # for example of a pull, and not of a follow
        raise _not_a_checkpoint(checkpoint) from None


class _Output:
    """Writes the records of a follow, and stores how far they were written."""

    def __init__(self, stream: CdrFollow, path: Path | None) -> None:
        self._stream = stream
        self._path = path
        self._written = True

    async def write_all(self) -> None:
        """Write the records as they come, until the follow raises an error."""
        async for batch in self._stream.batches():
            self._written = False
            await write_when_ready(ndjson(batch))
            self._written = True
            self.store()

    def store(self, *, replace: bool = True) -> None:
        """Store the checkpoint, unless a batch is not written yet. Polls without new records have moved the checkpoint too."""
        from unlimcall_async.cli.files import store  # noqa: PLC0415 # `--help` must be quick
        from unlimcall_async.cli.sealed import sealed  # noqa: PLC0415 # as above

        if self._path is not None and self._written:
            reached = _json.read(self._stream.checkpoint.to_json())
            store(self._path, sealed({"start": self._stream.start.isoformat(), "checkpoint": reached}), replace=replace)


def _begin(start: str | None, zone: tzinfo, path: Path | None) -> tuple[datetime, Checkpoint | None]:
    """Return the start of the follow, and the checkpoint to continue from.

    Raises:
        click.UsageError: `start` is not a time, or not the start of the checkpoint.
        UnusableError: The checkpoint cannot be read.
    """
    from unlimcall_async.cli.files import read_kept  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.sealed import unsealed  # noqa: PLC0415 # as above

    wanted = None if start is None else options.moment("--from", start, zone)
    text = None if path is None else read_kept(path)
    if text is None:
        return wanted or options.now(), None
    try:
        fields = unsealed(text)
        held = datetime.fromisoformat(fields["start"]).astimezone(UTC)
        reached = Checkpoint.from_json(json.dumps(fields["checkpoint"]))
    except (ValueError, KeyError, TypeError, OverflowError, CheckpointError):
        raise _not_a_checkpoint(path) from None
    if wanted not in {None, held}:
        raise click.UsageError(f"{path} is of a follow from {held.isoformat()}; leave --from out to continue it")
    return held, reached


def _not_a_checkpoint(path: Path | None) -> UnusableError:
    return UnusableError(
        f"{path} is not a checkpoint of a follow of this release, or was changed; move it away to start anew"
    )
