"""`python -m unlimcall_async.sandbox`: serve until Ctrl-C."""

import argparse
import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Sequence
from typing import cast, get_args

from unlimcall_async.sandbox.sandbox import Sandbox
from unlimcall_async.sandbox.settings import EndpointName, Order, check_endpoint
from unlimcall_async.sandbox.webhook_settings import WebhookSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the sandbox as the arguments say; return the exit status."""
    sandbox = configured(argv)
    try:
        asyncio.run(_serve(sandbox))
    except OSError as error:  # the port is taken
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:  # how Ctrl-C arrives where the loop cannot handle signals
        pass
    return 0


def configured(argv: Sequence[str] | None) -> Sandbox:
    """Return the sandbox that the arguments describe; exit with a usage message if they describe none."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return Sandbox(
            host=options.host,
            port=options.port,
            token=options.token,
            order=options.order,
            rate_limits=dict(options.rate_limit),
            latency=options.latency,
            deliver_to=dict(options.deliver_to),
            webhooks=WebhookSettings(call_seconds=options.call_seconds, speed=options.speed),
        )
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m unlimcall_async.sandbox", description="Serve a sandbox of the UnlimCall API until Ctrl-C."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--token", help="bearer token that opens every scope (default: a fixed one)")
    parser.add_argument(
        "--order", choices=get_args(Order), default="newest_first", help="order of /cdrs (default: %(default)s)"
    )
    parser.add_argument(
        "--rate-limit",
        type=_rate_limit,
        action="append",
        default=[],
        metavar="ENDPOINT=N",
        help="at most N requests per minute to an endpoint, as cdrs=60; may be repeated",
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer (default: %(default)s)")
    _add_webhook_options(parser)
    return parser


def _add_webhook_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deliver-to",
        type=_route,
        action="append",
        default=[],
        metavar="HTTPS_URL=LOCAL_URL",
        help="deliver what is subscribed for the one URL to the other, on this machine; may be repeated",
    )
    parser.add_argument(
        "--call-seconds", type=float, metavar="N", help="end each call after N seconds (default: calls do not end)"
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="N",
        help="let calls and the waits between deliveries pass N times as fast (default: %(default)s)",
    )


def _rate_limit(text: str) -> tuple[EndpointName, int]:
    name, _, per_minute = text.partition("=")
    try:
        check_endpoint(name)
        return cast("EndpointName", name), int(per_minute)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _route(text: str) -> tuple[str, str]:
    # Either URL may have `=` in its query; the second begins behind the first one that could be meant.
    match = re.fullmatch(r"(https:.*?)=(http:.*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not HTTPS_URL=LOCAL_URL")
    return match[1], match[2]


async def _serve(sandbox: Sandbox) -> None:
    stop = asyncio.Event()
    # Event loops on Windows take no signal handlers. There Ctrl-C arrives as KeyboardInterrupt, and a terminated process ends at
    # once, with or without them.
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sandbox:
        sys.stdout.write(
            f"url:   {sandbox.url}\ntoken: {sandbox.token}\n"
            f'try:   curl -H "Authorization: Bearer {sandbox.token}" {sandbox.url}/me\n'
        )
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
