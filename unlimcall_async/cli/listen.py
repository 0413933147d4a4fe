"""`unlimcall webhooks listen`: shows the events that are delivered to this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from unlimcall_async.cli.credentials import read_private
from unlimcall_async.cli.options import address_options, in_option_names
from unlimcall_async.cli.output import to_stderr, write_when_ready
from unlimcall_async.cli.running import as_json, serve
from unlimcall_async.cli.wording import cell, fields_of, json_line, plain

if TYPE_CHECKING:
    from unlimcall_async.webhooks import Event, WebhookReceiver

# Events that wait for the reader of standard output. Once this many wait, deliveries wait too, and the sender repeats them. The
# number only has to cover a pause of a reader that is watching.
WAITING: Final = 100
# Seconds that an incomplete request has left when the command is stopped.
_GRACE: Final = 1.0


@click.command()
@address_options(8090)
@click.option(
    "--secret-file",
    "secret_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A file with a hook's secret, which only its owner can read; may be repeated.",
)
@as_json
def listen(host: str, port: int, secret_files: tuple[Path, ...], as_json: bool) -> None:
    """Show the events that reach this machine, until Ctrl-C.

    The command takes deliveries on every path. It shows each event once, if the event's signature is valid for the secret of a
    hook: that in $UNLIMCALL_WEBHOOK_SECRET, or those in files. Refused deliveries are reported on standard error. Nothing is
    remembered after the end: an application uses WebhookReceiver.
    """
    secrets = [read_private(path) for path in secret_files]
    if own := os.environ.get("UNLIMCALL_WEBHOOK_SECRET", "").strip():
        secrets.append(own)
    if not secrets:
        raise click.UsageError("the secret is missing: give --secret-file, or set UNLIMCALL_WEBHOOK_SECRET")
    from unlimcall_async.webhooks import WebhookReceiver  # noqa: PLC0415 # `--help` must be quick

    with in_option_names({"secrets": "the secrets in --secret-file and UNLIMCALL_WEBHOOK_SECRET"}):
        receiver = WebhookReceiver(secrets)
    with _refusals_shown():
        serve(lambda: _serve(host, port, receiver, as_json=as_json), host, port)


@contextmanager
def _refusals_shown() -> Iterator[None]:
    """Write on standard error what the receiver logs about each delivery that it refuses."""
    import logging  # noqa: PLC0415 # `--help` must be quick

    logger = logging.getLogger("unlimcall_async")
    level = logger.level
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    try:
        yield
    finally:
        logger.setLevel(level)


async def _serve(host: str, port: int, receiver: WebhookReceiver, *, as_json: bool) -> None:
    from aiohttp import web  # noqa: PLC0415 # `--help` must be quick

    from unlimcall_async.webhooks import Event  # noqa: PLC0415 # as above

    events: asyncio.Queue[Event] = asyncio.Queue(WAITING)
    # The handler only queues an event. A reader that has left must end the command, and not fail a delivery.
    receiver.on(Event)(events.put)
    runner = web.AppRunner(receiver.aiohttp_app(), access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound, number = runner.addresses[0][:2]
        to_stderr(f"Listening on http://{f'[{bound}]' if ':' in bound else bound}:{number}/")
        common = set(attrs.fields_dict(Event))
        while True:
            event = await events.get()
            fields = fields_of(event)
            if as_json:
                await write_when_ready(json_line(fields))
                continue
            # The fields that not all events have, and of these only the ones that were sent.
            own = {name: value for name, value in fields.items() if name not in common and value is not None}
            rest = "".join(f"  {plain(name)}={cell(value)}" for name, value in {**own, **event.extra}.items())
            await write_when_ready(f"{cell(event.occurred_at)}  {plain(event.type)}  {cell(event.id)}{rest}\n")
    finally:
        await runner.cleanup()
