"""`unlimcall sandbox`: serves the sandbox until a signal comes; and `end-call`, which ends a call that a sandbox holds."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import click

from unlimcall_async import AsyncClient
from unlimcall_async.cli import options
from unlimcall_async.cli.output import to_stderr, write, write_json
from unlimcall_async.cli.running import Commands, as_json, run, serve
from unlimcall_async.cli.wording import many, plain

if TYPE_CHECKING:
    from unlimcall_async.sandbox import Sandbox

ORDERS: Final = ("newest_first", "oldest_first", "insertion", "arbitrary")

# Three windows of 31 days at most, so that a pull has to divide.
_DAYS: Final = 90
PORT: Final = 8080

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
    if not int(match[2]):
        raise ValueError(f"{text!r} must be at least 1 request per minute")
    return match[1], int(match[2])


def _route(text: str) -> tuple[str, str]:
    # Either URL may have `=` in its query. The second URL begins behind the first `=` that `http:` follows.
    match = re.fullmatch(r"(https:.*?)=(http:.*)", text)
    if match is None:
        raise ValueError(f"{text!r} is not HTTPS_URL=LOCAL_URL")
    return match[1], match[2]


@click.group(cls=Commands, invoke_without_command=True)
@options.address_options(PORT)
@click.option("--token", help="The token that opens every scope; without it, a token that is always the same.")
@click.option(
    "--calls", type=click.IntRange(min=0), default=0, show_default=True, help="Generate this number of calls."
)
@click.option(
    "--days",
    type=click.IntRange(1, 36_500),
    default=_DAYS,
    show_default=True,
    metavar="N",
    help="Spread the generated calls over the last N days.",
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
@click.option("--no-log", is_flag=True, help="Do not log requests and deliveries.")
@as_json
@click.pass_context
def sandbox(
    context: click.Context,
    /,
    *,
    calls: int,
    days: int,
    seed: int,
    rate_limits: Iterable[tuple[str, int]],
    routes: Iterable[tuple[str, str]],
    call_seconds: float | None,
    speed: float,
    no_log: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Serve an API to test against.

    The sandbox serves until Ctrl-C. It prints its URL and a token that opens every scope, as lines to paste into a shell, and logs
    each request and each delivery on standard error. With --json, the URL and the token are a JSON object in a line.
    """
    if context.invoked_subcommand:
        return
    from unlimcall_async.sandbox import Sandbox, WebhookSettings, generate_traffic  # noqa: PLC0415 # loads a server

    with options.in_option_names(_NAMES):
        server = Sandbox(
            rate_limits=dict(rate_limits),  # type: ignore[arg-type] # the sandbox checks the names
            deliver_to=dict(routes),
            webhooks=WebhookSettings(call_seconds=call_seconds, speed=speed),
            **settings,
        )
    if calls:
        span = "the last day" if days == 1 else f"the last {days:,} days"
        to_stderr(f"Generating {many(calls, 'call', 'calls')} of {span} ...")
        now = options.now()
        # From a midnight on, so that complete days are the same all day long.
        start = datetime.combine(now.date() - timedelta(days=days), time(), UTC)
        server.add_calls(generate_traffic(calls, start=start, end=now, seed=seed))
    elif options.is_given("days") or options.is_given("seed"):
        to_stderr("The account has no call records. To generate some, add --calls, for example --calls 1000.")
    with nullcontext() if no_log else _logged():
        serve(lambda: _serve(server, as_json=as_json), settings["host"], settings["port"])


@contextmanager
def _logged() -> Iterator[None]:
    """Write what the sandbox logs on standard error, each line with the time."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            to_stderr(f"{datetime.fromtimestamp(record.created):%H:%M:%S}  {plain(record.getMessage())}")  # noqa: DTZ006 # local

    logger, lines = logging.getLogger("unlimcall_sandbox"), Lines()
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


async def _serve(server: Sandbox, *, as_json: bool) -> None:
    async with server:
        if as_json:
            write_json({"url": server.url, "token": server.token})
        else:
            write(
                f"export UNLIMCALL_BASE_URL={shlex.quote(server.url)}\n"
                f"export UNLIMCALL_TOKEN={shlex.quote(server.token)}\n"
                f"# Try: unlimcall me, or {server.url.removesuffix('/api/v1')}/ in a browser\n"
            )
        await asyncio.Event().wait()


@sandbox.command("end-call")
@click.argument("call_id", metavar="ID")
@click.option(
    "--duration",
    type=click.IntRange(min=0),
    default=81,
    show_default=True,
    metavar="SECONDS",
    help="How long the call has lasted.",
)
@as_json
def end_call(*, call_id: str, duration: int, as_json: bool) -> None:
    """End a call that a running sandbox holds.

    The sandbox writes the call's record, and delivers call.ended. The ID is that of `unlimcall calls create`. The sandbox is that
    of $UNLIMCALL_BASE_URL and $UNLIMCALL_TOKEN, or else the one on its default port.
    """
    # The ID is a segment of the path.
    with options.in_option_names({"path": "ID"}), _path_in_log():
        ended = run(lambda: _end_call(call_id, duration))
    if as_json:
        write_json(ended)
    else:
        write(f"The call has ended; its event is {plain(str(ended['eventId']))}.\n")


async def _end_call(call_id: str, duration: int) -> Any:
    from unlimcall_async.sandbox import DEFAULT_TOKEN  # noqa: PLC0415 # `--help` must be quick

    url, token = os.environ.get("UNLIMCALL_BASE_URL", "").strip(), None
    if not url:
        # The token in the environment may be that of the real account.
        url, token = f"http://127.0.0.1:{PORT}/api/v1", DEFAULT_TOKEN
    elif not _is_local(url):
        raise click.UsageError("UNLIMCALL_BASE_URL must be the URL of a sandbox on this machine")
    with options.in_option_names({"token is missing: pass it, or set": "the token is missing: set"}):
        client = AsyncClient(token, base_url=url)
    async with client:
        path = f"/sandbox/calls/{quote(call_id, safe='', errors='surrogateescape')}/end"
        return (await client.request("POST", path, json={"duration": duration})).json()


@contextmanager
def _path_in_log() -> Iterator[None]:
    """Have the client's log name the path of the sandbox's own endpoint, which the reference does not describe."""

    def reword(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                each.replace("(other)", "/sandbox/calls/{id}/end") if isinstance(each, str) else each
                for each in record.args
            )
        return True

    logger = logging.getLogger("unlimcall_async")
    logger.addFilter(reword)
    try:
        yield
    finally:
        logger.removeFilter(reword)


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
