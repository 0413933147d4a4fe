"""`unlimcall webhooks listen`, done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import attrs
from aiohttp import web

from unlimcall_async.cli.output import UnusableError, cell, fields_of, plain, tell, write, write_json
from unlimcall_async.cli.running import TerminatedError, run
from unlimcall_async.webhooks import Event, WebhookReceiver


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
        run(lambda: _served(host, port, secrets, as_json=as_json))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnusableError(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    except (KeyboardInterrupt, TerminatedError):
        return  # its ordinary end


async def _served(host: str, port: int, secrets: Sequence[str], *, as_json: bool) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    receiver = WebhookReceiver(secrets)
    # Not written by the handler: that nobody reads any longer must end the command, not fail a delivery.
    receiver.on(Event)(events.put_nowait)
    runner = web.AppRunner(receiver.aiohttp_app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        tell(f"Listening on {_address(runner)}")
        while True:
            _show(await events.get(), as_json=as_json)
    finally:
        await runner.cleanup()


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _show(event: Event, *, as_json: bool) -> None:
    fields = fields_of(event)
    if as_json:
        write_json(fields)
        return
    rest = "".join(f"  {name}={cell(value)}" for name, value in _rest(event, fields).items())
    write(f"{cell(event.occurred_at)}  {plain(event.type)}  {cell(event.id)}{rest}\n")


def _rest(event: Event, fields: dict[str, Any]) -> dict[str, Any]:
    """Give what an event has beyond what all events have, and only what was sent."""
    common = attrs.fields_dict(Event)
    own = {name: value for name, value in fields.items() if name not in common and value is not None}
    return own | dict(event.extra)
