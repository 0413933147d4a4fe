"""How a command runs: with which client, how a signal ends it, and with which status it ends.

What a user does wrong, or the API refuses, is a line on standard error and never a traceback.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from unlimcall_async import AsyncClient, UnlimCallError
from unlimcall_async.cli.output import plain, silence, tell
from unlimcall_async.cli.private import read_private, read_stdin

T = TypeVar("T")

# A check has failed. It is Python's, too, for what nobody has thought of. 2 is click's for wrong usage, and by who is to blame it
# goes on from 3.
FOUND: Final = 1
EXIT_STATUS: Final = {"application": 3, "provider": 4, "network": 5}
OUTCOME_UNKNOWN: Final = 6

# As a shell reports a process that these signals have ended: 128 and the signal's number.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
TERMINATED: Final = 143

as_json: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")


class TerminatedError(Exception):
    """SIGTERM came."""


class Commands(click.Group):
    """A group of commands, the end of each of which is told in a line and by the exit status."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; `--help` writes already here."""
        with _told_in_a_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        with _told_in_a_line():
            return super().invoke(ctx)


@contextmanager
def _told_in_a_line() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):  # the latter is what a prompt makes of Ctrl-C
        _end("Interrupted.", INTERRUPTED)
    except TerminatedError:
        _end("Terminated.", TERMINATED)
    except UnlimCallError as error:
        _end(told(error), EXIT_STATUS[error.category])
    except BrokenPipeError:  # `| head` has seen enough
        silence()
        raise SystemExit(PIPE_CLOSED) from None
    except OSError as error:
        silence()
        _end(f"Error: {error.strerror or error}", click.UsageError.exit_code)


def _end(line: str, status: int) -> NoReturn:
    tell(line)
    raise SystemExit(status) from None


def told(error: UnlimCallError) -> str:
    """Give an error as a line."""
    return f"Error: {plain(str(error))}"


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for the token, and, as `client`, what makes a client of it."""

    @click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read the token from a file that only its owner can read.",
    )
    @click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, token_file: Path | None, token_stdin: bool, **options: Any) -> None:
        if token_file is not None and token_stdin:
            raise click.UsageError("--token-file and --token-stdin exclude each other")
        token = read_private(token_file) if token_file else read_stdin() if token_stdin else None
        if token is None and not os.environ.get("UNLIMCALL_TOKEN", "").strip():
            raise click.UsageError("the token is missing: set UNLIMCALL_TOKEN, or give --token-file or --token-stdin")
        command(*arguments, client=lambda: _client(token), **options)

    return wrapped


Clients = Callable[[], AsyncClient]


def _client(token: str | None) -> AsyncClient:
    try:
        return AsyncClient(token)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def ask(client: Clients, question: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Ask one question.

    Raises:
        click.UsageError: The client finds an argument wrong.
    """

    async def asked() -> T:
        async with client() as open_client:
            return await question(open_client)

    try:
        return run(asked)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something to its end, which Ctrl-C and SIGTERM bring about too, in order.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        TerminatedError: SIGTERM came.
    """
    # Not `asyncio.run`: a Ctrl-C while it makes its loop would leave a coroutine that nobody awaits.
    with asyncio.Runner() as runner:
        return runner.run(_terminable(work))


async def _terminable(work: Callable[[], Awaitable[T]]) -> T:
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    # Event loops on Windows take no signal handlers; there a terminated process ends at once, with or without one.
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await work()
    except asyncio.CancelledError:
        if terminated:
            raise TerminatedError from None
        raise
