"""`unlimcall sandbox`: serves the sandbox until a signal comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import to_stderr, write, write_json
from unlimcall_async.cli.running import as_json, serve

if TYPE_CHECKING:
    from unlimcall_async.sandbox import Sandbox

ORDERS: Final = ("newest_first", "oldest_first", "insertion", "arbitrary")

# Generated calls are of the days before now: two windows of 31 days at most, and some more, so that a pull has to divide.
_DAYS: Final = 90

# The options that the sandbox's messages name by its own arguments.
_NAMES: Final = {
    "rate_limits": "--rate-limit",
    "endpoint": "--rate-limit: the endpoint",
    "deliver_to": "--deliver-to",
    "latency": "--latency",
    "speed": "--speed",
    "call_seconds": "--call-seconds",
    "token": "--token",
}


def _limit(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z]+)=([0-9]{1,9})", text)
    if match is None:
        raise ValueError(f"{text!r} is not ENDPOINT=N; write it like cdrs=60")
    return match[1], int(match[2])


def _route(text: str) -> tuple[str, str]:
    # Either URL may have `=` in its query. The second URL begins behind the first `=` that `http:` follows.
    match = re.fullmatch(r"(https:.*?)=(http:.*)", text)
    if match is None:
        raise ValueError(f"{text!r} is not HTTPS_URL=LOCAL_URL")
    return match[1], match[2]


@click.command()
@options.address_options
@click.option("--token", help="The token that opens every scope; without it, a token that is always the same.")
@click.option(
    "--calls",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Generate this number of calls of the last 90 days.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of the generated calls: another seed gives other calls.",
)
@click.option(
    "--order", type=click.Choice(ORDERS), default=ORDERS[0], show_default=True, help="The order of GET /cdrs."
)
@click.option(
    "--rate-limit",
    "rate_limits",
    callback=options.read_by(_limit),
    multiple=True,
    metavar="ENDPOINT=N",
    help="At most N requests a minute to an endpoint, for example cdrs=60; may be repeated.",
)
@click.option("--latency", type=float, default=0.0, show_default=True, help="Seconds before each response.")
@click.option(
    "--deliver-to",
    "routes",
    callback=options.read_by(_route),
    multiple=True,
    metavar="HTTPS_URL=LOCAL_URL",
    help="Deliver the events of a hook with the first URL to the second, on this machine; may be repeated.",
)
@click.option(
    "--call-seconds", type=float, metavar="N", help="End each call after N seconds; without it, calls do not end."
)
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    metavar="N",
    help="Let calls, and waits between deliveries, pass N times as fast.",
)
@as_json
def sandbox(
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
    """Serve an API to test against.

    The sandbox serves until Ctrl-C, and prints its URL and a token that opens every scope. With --json, the URL and the token are
    a JSON object in a line.
    """
    from unlimcall_async.sandbox import Sandbox, WebhookSettings, generate_traffic  # noqa: PLC0415 # loads a server

    with options.in_option_names(_NAMES):
        server = Sandbox(
            rate_limits=dict(rate_limits),  # type: ignore[arg-type] # the sandbox checks the names
            deliver_to=dict(routes),
            webhooks=WebhookSettings(call_seconds=call_seconds, speed=speed),
            **settings,
        )
    if calls:
        to_stderr(f"Generating {calls:,} calls of the last {_DAYS} days ...")
        now = options.now()
        # From a midnight on, so that complete days are the same all day long.
        start = datetime.combine(now.date() - timedelta(days=_DAYS), time(), UTC)
        server.add_calls(generate_traffic(calls, start=start, end=now, seed=seed))
    serve(lambda: _serve(server, as_json=as_json), settings["host"], settings["port"])


async def _serve(server: Sandbox, *, as_json: bool) -> None:
    async with server:
        if as_json:
            write_json({"url": server.url, "token": server.token})
        else:
            write(
                f"url:   {server.url}\ntoken: {server.token}\n"
                f'try:   curl -H "Authorization: Bearer {server.token}" {server.url}/me\n'
            )
        await asyncio.Event().wait()
