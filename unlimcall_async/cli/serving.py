"""`unlimcall sandbox` and `unlimcall webhooks listen`: servers, until a signal comes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import click

from unlimcall_async.cli.options import read_by
from unlimcall_async.cli.private import read_private
from unlimcall_async.cli.running import Commands, as_json

ORDERS: Final = ("newest_first", "oldest_first", "insertion", "arbitrary")


def _limit(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z]+)=([0-9]{1,9})", text)
    if match is None:
        raise ValueError(f"{text!r} is not ENDPOINT=N, as cdrs=60")
    return match[1], int(match[2])


def _route(text: str) -> tuple[str, str]:
    # Either URL may have `=` in its query; the second begins behind the first one that could be meant.
    match = re.fullmatch(r"(https:.*?)=(http:.*)", text)
    if match is None:
        raise ValueError(f"{text!r} is not HTTPS_URL=LOCAL_URL")
    return match[1], match[2]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 for a free one."
)
@click.option("--token", help="The token that opens every scope; without it, one that is always the same.")
@click.option(
    "--calls",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Make up so many calls of the last 90 days.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other calls.")
@click.option(
    "--order", type=click.Choice(ORDERS), default=ORDERS[0], show_default=True, help="The order of GET /cdrs."
)
@click.option(
    "--rate-limit",
    "rate_limits",
    callback=read_by(_limit),
    multiple=True,
    metavar="ENDPOINT=N",
    help="At most N requests a minute to an endpoint, as cdrs=60; may be repeated.",
)
@click.option("--latency", type=float, default=0.0, show_default=True, help="Seconds before each answer.")
@click.option(
    "--deliver-to",
    "routes",
    callback=read_by(_route),
    multiple=True,
    metavar="HTTPS_URL=LOCAL_URL",
    help="Deliver what is subscribed for the one URL to the other, on this machine; may be repeated.",
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
def sandbox(as_json: bool, **options: Any) -> None:
    """Serve an API to test against.

    It is the sandbox, and serves until Ctrl-C. It opens every scope to a token that it prints. With --json, the URL and the
    token are a JSON object in a line.
    """
    from unlimcall_async.cli.sandboxing import serve  # noqa: PLC0415 # `--help` need not import a server

    serve(as_json=as_json, **options)


@click.group(cls=Commands)
def webhooks() -> None:
    """Receive webhooks, for development."""


@webhooks.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 for a free one."
)
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
    """Show the events that are delivered to this machine, until Ctrl-C.

    It takes deliveries on every path, and shows each event once, if its signature holds for the secret of a hook: that in
    $UNLIMCALL_WEBHOOK_SECRET, or those in files. What it refuses is told on standard error. It remembers nothing when it ends:
    an application uses WebhookReceiver.
    """
    secrets = [read_private(path) for path in secret_files]
    if own := os.environ.get("UNLIMCALL_WEBHOOK_SECRET", "").strip():
        secrets.append(own)
    if not secrets:
        raise click.UsageError("the secret is missing: give --secret-file, or set UNLIMCALL_WEBHOOK_SECRET")
    from unlimcall_async.cli.listening import serve  # noqa: PLC0415 # as above

    serve(host, port, secrets, as_json=as_json)
