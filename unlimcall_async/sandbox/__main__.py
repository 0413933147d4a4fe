"""`python -m unlimcall_async.sandbox`: serve until Ctrl-C."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import cast, get_args

from unlimcall_async.sandbox.sandbox import Sandbox
from unlimcall_async.sandbox.settings import EndpointName, Order, check_endpoint


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
    return parser


def _rate_limit(text: str) -> tuple[EndpointName, int]:
    name, _, per_minute = text.partition("=")
    try:
        check_endpoint(name)
        return cast("EndpointName", name), int(per_minute)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def _serve(sandbox: Sandbox) -> None:
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows
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
