"""`unlimcall sandbox`, done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import UnusableError, tell, write, write_json
from unlimcall_async.cli.running import TerminatedError, run
from unlimcall_async.sandbox import Sandbox, WebhookSettings, generate_traffic

_DAYS: Final = 90


def serve(
    *,
    calls: int,
    seed: int,
    rate_limits: Iterable[tuple[str, int]],
    routes: Iterable[tuple[str, str]],
    call_seconds: float | None,
    speed: float,
    as_json: bool,
    **settings: Any,
) -> None:
    """Serve until a signal comes."""
    try:
        sandbox = Sandbox(
            rate_limits=dict(rate_limits),  # type: ignore[arg-type] # it checks the names
            deliver_to=dict(routes),
            webhooks=WebhookSettings(call_seconds=call_seconds, speed=speed),
            **settings,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if calls:
        tell(f"Generating {calls:,} calls of the last {_DAYS} days ...")
        sandbox.add_calls(_recent(calls, seed))
    try:
        run(lambda: _served(sandbox, as_json=as_json))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnusableError(f"cannot listen: {error.strerror}") from None
    except UnicodeError:  # of the name's encoding, by its own rules
        raise UnusableError(f"cannot listen on {settings['host']}: it is no name of a host") from None
    except (KeyboardInterrupt, TerminatedError):
        return  # its ordinary end


def _recent(calls: int, seed: int) -> Any:
    """Make up calls up to now, of which whole days are the same all day long."""
    now = options.now()
    start = datetime.combine(now.date() - timedelta(days=_DAYS), time(), UTC)
    return generate_traffic(calls, start=start, end=now, seed=seed)


async def _served(sandbox: Sandbox, *, as_json: bool) -> None:
    async with sandbox:
        if as_json:
            write_json({"url": sandbox.url, "token": sandbox.token})
        else:
            write(
                f"url:   {sandbox.url}\ntoken: {sandbox.token}\n"
                f'try:   curl -H "Authorization: Bearer {sandbox.token}" {sandbox.url}/me\n'
            )
        await asyncio.Event().wait()
