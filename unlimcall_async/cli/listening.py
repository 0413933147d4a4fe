"""`unlimcall webhooks listen`, done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

import attrs
import click
from aiohttp import web

from unlimcall_async.cli.output import UnusableError, cell, fields_of, json_line, plain, tell
from unlimcall_async.cli.pouring import pour
from unlimcall_async.cli.running import TerminatedError, run
from unlimcall_async.webhooks import Event, WebhookReceiver

# Events that wait for the reader of standard output. While there are so many, deliveries wait too, and the sender tries again.
WAITING: Final = 100
# Seconds that a request which is not all here has left when the command is stopped.
_GRACE: Final = 1.0


class _Told(logging.Handler):
    """Shows what the receiver says of a delivery that it refuses."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(plain(record.getMessage()))


def serve(host: str, port: int, secrets: Sequence[str], *, as_json: bool) -> None:
    """Show events until a signal comes."""
    logger = logging.getLogger("unlimcall_async")
    logger.addHandler(_Told())
    logger.setLevel(logging.INFO)
    try:
        receiver = WebhookReceiver(secrets)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        run(lambda: _served(host, port, receiver, as_json=as_json))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnusableError(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    except UnicodeError:  # of the name's encoding, by its own rules
        raise UnusableError(f"cannot listen on {host}: it is no name of a host") from None
    except (KeyboardInterrupt, TerminatedError):
        return  # its ordinary end


async def _served(host: str, port: int, receiver: WebhookReceiver, *, as_json: bool) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue(WAITING)
    # Not written by the handler: that nobody reads any longer must end the command, not fail a delivery.
    receiver.on(Event)(events.put)
    runner = web.AppRunner(receiver.aiohttp_app(), access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        tell(f"Listening on {_address(runner)}")
        while True:
            await pour(_shown(await events.get(), as_json=as_json))
    finally:
        await runner.cleanup()


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _shown(event: Event, *, as_json: bool) -> str:
    fields = fields_of(event)
    if as_json:
        return json_line(fields)
    rest = "".join(f"  {name}={cell(value)}" for name, value in _rest(event, fields).items())
    return f"{cell(event.occurred_at)}  {plain(event.type)}  {cell(event.id)}{rest}\n"


def _rest(event: Event, fields: dict[str, Any]) -> dict[str, Any]:
    """Give what an event has beyond what all events have, and only what was sent."""
    common = attrs.fields_dict(Event)
    own = {name: value for name, value in fields.items() if name not in common and value is not None}
    return own | dict(event.extra)
