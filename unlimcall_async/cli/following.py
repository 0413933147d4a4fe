"""`unlimcall cdrs follow`, done."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import attrs
import click

from unlimcall_async import Checkpoint, CheckpointError
from unlimcall_async.cli import options
from unlimcall_async.cli.formats import ndjson
from unlimcall_async.cli.output import UnusableError, tell, unwritable
from unlimcall_async.cli.pouring import pour
from unlimcall_async.cli.report import many
from unlimcall_async.cli.running import Clients, TerminatedError, run
from unlimcall_async.cli.stored import replace


@attrs.frozen
class Tail:
    """What was asked for."""

    start: str | None
    zone: tzinfo
    interval: timedelta
    lookback: timedelta
    checkpoint: Path | None

    def settled(self) -> tuple[datetime, Checkpoint | None]:
        """Give where it begins, and where it goes on.

        Raises:
            click.UsageError: Something is no time, or the checkpoint is of another start, or none.
        """
        start = None if self.start is None else options.moment("--from", self.start, self.zone)
        if self.checkpoint is None or not self.checkpoint.exists():
            return start or options.now(), None
        if not self.checkpoint.is_file():
            raise UnusableError(f"{self.checkpoint} is no ordinary file")
        held, reached = _read(self.checkpoint)
        if start not in {None, held}:
            raise click.UsageError(
                f"{self.checkpoint} is of a follow from {held.isoformat()}; to go on with it leave --from out"
            )
        return held, reached


def follow_from(client: Clients, tail: Tail) -> None:
    """Write records until a signal comes."""
    start, resume = tail.settled()

    async def follow() -> None:
        async with (
            client() as open_client,
            open_client.cdrs.follow(start, interval=tail.interval, lookback=tail.lookback, resume=resume) as stream,
        ):
            # At once: a file that cannot be written shows before the first record, and `now` is settled for the next start.
            _keep(tail.checkpoint, start, stream.checkpoint)
            written = True
            try:
                async for batch in stream.batches():
                    written = False
                    await pour(ndjson(batch))
                    written = True
                    _keep(tail.checkpoint, start, stream.checkpoint)
            finally:
                if written:  # polls that found nothing new have come further, too
                    _keep(tail.checkpoint, start, stream.checkpoint)
                tell(
                    f"{many(stream.stats.records, 'record', 'records')}, {many(stream.stats.requests, 'request', 'requests')}."
                )

    try:
        run(follow)
    except TerminatedError:
        return
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _keep(path: Path | None, start: datetime, reached: Checkpoint) -> None:
    if path is None:
        return
    content = {"start": start.isoformat(), "checkpoint": json.loads(reached.to_json())}
    with unwritable(path):
        replace(path, json.dumps(content) + "\n")


def _read(path: Path) -> tuple[datetime, Checkpoint]:
    try:
        content = json.loads(path.read_text("utf-8"))
        return datetime.fromisoformat(content["start"]), Checkpoint.from_json(json.dumps(content["checkpoint"]))
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError, CheckpointError):
        raise UnusableError(f"{path} is no checkpoint of a follow of this release") from None
