"""`unlimcall cdrs follow`: call records as they appear."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import attrs
import click

from unlimcall_async import (
    AsyncClient,
    CdrFollow,
    CheckpointError,
    RateLimitedError,
    UnlimCallError,
    WindowSaturatedError,
)
from unlimcall_async._spans import span
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.outage import Outage, Refusals, may_pass, wait_asked
from unlimcall_async.cli.output import note, to_stderr
from unlimcall_async.cli.pieces import with_ways_out
from unlimcall_async.cli.running import FOUND, Clients, TerminatedError, as_json, quiet, rate_option, run, with_client
from unlimcall_async.cli.times import is_relative
from unlimcall_async.cli.wording import many, plain

if TYPE_CHECKING:
    from unlimcall_async.cli.follow_output import FollowOutput
    from unlimcall_async.cli.follow_place import Stored

# Seconds between two looks whether the API refuses requests.
_LOOK: Final = 1.0


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
    type=options.FILE_NAME,
    metavar="FILE",
    help="Keep the place that was reached in this file. If the file exists, continue from that place.",
)
@click.option(
    "--give-up-after",
    metavar="SPAN",
    callback=options.read_by(span),
    help="End if the API gives no valid response for this long; without it, never.",
)
@click.option(
    "--rejects",
    type=options.FILE_NAME,
    metavar="FILE",
    help="Append rows that cannot be read to this file, one JSON object a line, and go on.",
)
@click.option(
    "--skip-saturated",
    is_flag=True,
    help="Go on behind an instant that holds more records than the API shows.",
)
@rate_option
@quiet
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
    rejects: Path | None,
    skip_saturated: bool,
    as_json: bool,  # noqa: ARG001 # there is no other format
) -> None:
    """Write call records as they appear, until Ctrl-C or SIGTERM.

    Each record is a line of JSON on standard output, written at once; --json changes nothing. With --checkpoint, a second start
    continues where the first one ended, also with the same relative --from. No record is left out. The records of a batch that was
    being written come again.
    An outage does not end the command, which then asks again after pauses of up to a minute. A refusal by the API does.
    SIGTERM is the ordinary end: the exit status is 0.

    A row that cannot be read, or an instant with more records than the API shows, ends the command. With --rejects or
    --skip-saturated the command goes on, and the exit status after SIGTERM is 1 if there were any.
    """
    from unlimcall_async.cli.files import without_detours  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.follow_output import FollowOutput  # noqa: PLC0415 # as above
    from unlimcall_async.cli.follow_place import PlaceFile, not_a_checkpoint  # noqa: PLC0415 # as above

    with ExitStack() as opened:
        place = None if checkpoint is None else opened.enter_context(closing(PlaceFile(checkpoint)))
        stored = None if place is None else place.stored
        begin = _start(start, zone, checkpoint, stored)
        if rejects is not None and checkpoint is not None and without_detours(rejects) == without_detours(checkpoint):
            raise click.UsageError("--rejects must name another file than --checkpoint")
        output = opened.enter_context(closing(FollowOutput(place, rejects, checkpoint)))
        follower: _Follower | None = None

        async def work() -> None:
            nonlocal follower
            with options.in_option_names({"interval": "--interval", "lookback": "--lookback"}):
                open_client = client()
                unreadable: Literal["raise", "keep"] = "raise" if rejects is None else "keep"
                follow_from = partial(
                    open_client.cdrs.follow, begin, interval=interval, lookback=lookback, unreadable=unreadable
                )
                first = follow_from(resume=None if stored is None else stored.checkpoint)
            refusals = Refusals(give_up_after)
            outage = Outage(give_up_after)
            follower = _Follower(
                open_client, follow_from, output, outage, refusals, first, skip_saturated=skip_saturated
            )
            async with open_client:
                await follower.run()

        try:
            with with_ways_out(with_rejects=rejects is not None), _warnings_in_option_names():
                run(work)
        except TerminatedError:
            if output.rejected or (follower is not None and follower.saturated):
                raise SystemExit(FOUND) from None
        except CheckpointError as error:  # for example of a pull, and not of a follow
            raise not_a_checkpoint(checkpoint, error) from None


@attrs.define
class _Follower:
    """Goes on after outages, and behind the instants that the user gives up.

    Attributes:
        saturated: The number of these instants.
    """

    _client: AsyncClient
    _follow_from: Callable[..., CdrFollow]
    _output: FollowOutput
    _outage: Outage
    _refusals: Refusals
    _follow: CdrFollow
    _skip_saturated: bool = attrs.field(kw_only=True, alias="skip_saturated")
    saturated: int = attrs.field(default=0, init=False)
    # Of the follows before the present one.
    _records: int = attrs.field(default=0, init=False)
    _requests: int = attrs.field(default=0, init=False)

    async def run(self) -> None:
        """Follow until an error that no wait can mend, or a signal."""
        # At once: a file that cannot be written shows before the first record, and the next start has the same `now`.
        self._output.store(self._follow)
        try:
            while True:
                try:
                    async with self._follow:
                        await self._write_all()
                except WindowSaturatedError as error:
                    self._output.store(self._follow)
                    if not self._skip_saturated:
                        raise
                    self._go_behind(error)
                except UnlimCallError as error:
                    await self._wait(error)
        finally:
            self._output.store(self._follow)
            self._count()
            rows = self._output.rejected
            lost = f" {many(rows, 'row', 'rows')} could not be read." if rows else ""
            write_line = to_stderr if lost else note
            write_line(
                f"{many(self._records, 'record', 'records')}, {many(self._requests, 'request', 'requests')}.{lost}"
            )

    async def _write_all(self) -> None:
        """Write records until the follow raises an error, or the API has refused requests for too long.

        Raises:
            RateLimitedError: The API has refused requests for too long. The follow itself would go on for ever.
        """
        writing = asyncio.ensure_future(self._output.write_all(self._follow))
        try:
            while not (await asyncio.wait({writing}, timeout=_LOOK))[0]:
                paused = self._client.limits()["cdrs"].paused_for_s
                if self._refusals.too_long(time.monotonic(), self._follow.stats.requests, paused):
                    raise RateLimitedError(429, None, None, "GET", "/cdrs", retry_after=paused)
        finally:
            if not writing.done():
                writing.cancel()
                await asyncio.wait({writing})
        writing.result()

    async def _wait(self, error: UnlimCallError) -> None:
        """Wait before the next attempt.

        Raises:
            UnlimCallError: The error, if no wait can mend it, or the outage was too long.
        """
        stats = self._follow.stats
        progress = (stats.polls, stats.records)
        pause = self._outage.pause(now=time.monotonic(), progress=progress, asked=wait_asked(error))
        if pause is None or not may_pass(error):
            raise error
        self._output.store(self._follow)
        to_stderr(f"{plain(str(error))}. The next attempt is in {pause:.0f} s.")
        await asyncio.sleep(pause)

    def _go_behind(self, error: WindowSaturatedError) -> None:
        """Begin a new follow behind an instant with too many records."""
        self.saturated += 1
        self._output.skip(self._follow, error.resume_after)
        to_stderr(_gap(error))
        self._count()
        self._follow = self._follow_from(resume=error.resume_after)

    def _count(self) -> None:
        self._records += self._follow.stats.records
        self._requests += self._follow.stats.requests


@contextmanager
def _warnings_in_option_names() -> Iterator[None]:
    """Have the client's warnings name the options, and not the arguments, of a follow."""

    def reword(record: logging.LogRecord) -> bool:
        record.msg = str(record.msg).replace("lookback", "--lookback")
        return True

    logger = logging.getLogger("unlimcall_async")
    logger.addFilter(reword)
    try:
        yield
    finally:
        logger.removeFilter(reword)


def _gap(error: WindowSaturatedError) -> str:
    """Return the line for an instant that is passed. Some of its records may have been written before it was full."""
    start, end = text_of(error.start), text_of(error.end)
    return (
        f"Records from {start} till {end} may be missing. To get those that the API shows: "
        f"unlimcall cdrs pull --from {start} --till {end} --skip-saturated"
    )


def _start(start: str | None, zone: tzinfo, path: Path | None, stored: Stored | None) -> datetime:
    """Return the start of the follow. If a follow is continued, a relative `start` was for its first start.

    Raises:
        click.UsageError: `start` is not a time, or not the start of the checkpoint.
    """
    wanted = None if start is None else options.moment("--from", start, zone)
    if stored is None:
        return wanted or options.now()
    if start is not None and is_relative(start):
        if wanted != stored.start:
            note(
                f"Continuing the follow of {path}, which is from {stored.start.isoformat()}; "
                f"--from {start} counts for a new follow only."
            )
    elif wanted not in {None, stored.start}:
        raise click.UsageError(
            f"{path} is of a follow from {stored.start.isoformat()}; leave --from out to continue it"
        )
    return stored.start
