"""How a command runs: its client, the signals that end it, and its exit status.

A user's mistake, or a refusal by the API, gives a line on standard error and never a traceback.
"""

from __future__ import annotations

import asyncio
import functools
import io
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import click
from attrs import fields

from unlimcall_async import AsyncClient, UnlimCallError, _log_setup
from unlimcall_async._platform import stop_signals
from unlimcall_async._secrets import without_tokens
from unlimcall_async.cli.access import (
    Access,
    AccessToAll,
    Given,
    access,
    access_to_all,
    config_file,
    with_token_source,
)
from unlimcall_async.cli.options import is_given, zone_of_settings
from unlimcall_async.cli.output import (
    UnusableError,
    UnwritableError,
    discard_broken_streams,
    note,
    quieted,
    to_stderr,
)
from unlimcall_async.cli.settings import MOST_REQUESTS
from unlimcall_async.cli.waits import log_is_on, told_waits
from unlimcall_async.cli.wording import plain, without_python

T = TypeVar("T")

# 1 is for a failed check, and is also Python's own status for an unexpected exception. 2 is click's, for wrong usage. The statuses
# from 3 on say who is to blame for an error.
FOUND: Final = 1
EXIT_STATUS: Final = {"application": 3, "provider": 4, "network": 5}
OUTCOME_UNKNOWN: Final = 6

# A shell reports a process that a signal has ended by these: 128 and the signal's number.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
TERMINATED: Final = 143

as_json: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")


def quiet(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--quiet` to a command, which then writes nothing on standard error but errors."""

    @click.option("--quiet", is_flag=True, help="Write nothing on standard error but errors.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, quiet: bool, **options: Any) -> None:
        with quieted() if quiet else nullcontext():
            command(*arguments, **options)

    return wrapped


# --- how a command ends ---------------------------------------------------------------------------------------------------


class TerminatedError(Exception):
    """SIGTERM came."""


class Commands(click.Group):
    """A group of commands. An error or a signal ends each command with one line and an exit status."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments. `--help` already writes here."""
        with _errors_as_status():
            typed = [*args]
            try:
                return super().make_context(info_name, args, parent, **extra)
            except click.NoSuchOption as error:
                raise self._misplaced(error, typed) or error from None

    def _misplaced(self, error: click.NoSuchOption, typed: Sequence[str]) -> click.UsageError | None:
        """Return the error for an option that stands before its command, or `None` if it is not one of a command."""
        path = error.ctx.command_path if error.ctx is not None else ""
        for name in typed:
            command = self.commands.get(name)
            if command is not None and any(error.option_name in option.opts for option in command.params):
                right = f"{path} {name} ... {error.option_name}"
                return click.UsageError(f"{error.option_name} goes behind the command: {right}", error.ctx)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the arguments name."""
        with _errors_as_status(), nullcontext() if ctx.parent else _log_lines():
            return super().invoke(ctx)


@contextmanager
def _log_lines() -> Iterator[None]:
    """Write log records from WARNING on, or from the level of `$UNLIMCALL_LOG` on, as lines on standard error.

    Python's own handler would write them as they are.
    """

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if is_on and record.levelno < logging.WARNING:
                note(plain(dated.format(record)))
                return
            failure = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            write_line = to_stderr if record.levelno >= logging.ERROR else note
            write_line("\n".join(filter(None, (plain(record.getMessage()), failure))))

    is_on = False
    handler, dated = Lines(), logging.Formatter(_log_setup.FORM)
    logging.root.addHandler(handler)
    # Now, and not with the first client: by then the waits that the command itself tells have changed the level.
    _log_setup.heed_environment()
    is_on = log_is_on()
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


@contextmanager
def _errors_as_status() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):  # a prompt turns Ctrl-C into the latter
        _end("Interrupted.", INTERRUPTED)
    except TerminatedError:
        _end("Terminated.", TERMINATED)
    except UnlimCallError as error:
        _end(error_line(error), EXIT_STATUS[error.category])
    except click.ClickException as error:
        # click would write the message as it is. It may hold a name, or a text of an option.
        message = io.StringIO()
        error.show(message)
        text = message.getvalue().rstrip("\n")
        shown = without_tokens(text)
        _end(text if shown == text else f"{shown}\n{_NO_ARGUMENT}", error.exit_code)
    except BrokenPipeError:  # for example `| head`, which has read enough
        discard_broken_streams()
        raise SystemExit(PIPE_CLOSED) from None
    except OSError as error:
        discard_broken_streams()
        _end(f"Error: {error.strerror or error}", click.UsageError.exit_code)


# For a token that was typed as an argument, which the error would repeat.
_NO_ARGUMENT: Final = (
    "A token is never an argument, because every user of the machine can see arguments, and the shell keeps them. Give the "
    "token by --token-stdin, by --token-file, or at the prompt of `unlimcall login`."
)


def _end(line: str, status: int) -> NoReturn:
    to_stderr(without_tokens(line))
    raise SystemExit(status) from None


def error_line(error: UnlimCallError) -> str:
    """Return the line for an error of the package, and a line for each of its notes."""
    text = without_python(plain(str(error)))
    # A note names the option that helps.
    return "\n".join([f"Error: {text}", *getattr(error, "__notes__", ())])


@contextmanager
def with_doubt(doubt: str) -> Iterator[None]:
    """Write `doubt` if the block ends without an answer to the question whether its POST had an effect."""
    try:
        yield
    except UnlimCallError as error:
        if not error.outcome_unknown:
            raise
        _end(f"{error_line(error)}\n{doubt}", OUTCOME_UNKNOWN)
    except (KeyboardInterrupt, TerminatedError):
        to_stderr(doubt)
        raise


@contextmanager
def with_line_if_unshown(line: str) -> Iterator[None]:
    """Write `line` on standard error if the block cannot write its output: the call or the hook exists all the same."""
    try:
        yield
    except (UnwritableError, BrokenPipeError):
        to_stderr(plain(line))
        raise


# --- the client -----------------------------------------------------------------------------------------------------------

Clients: TypeAlias = Access


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what to ask with to a command, which receives its `Access` as `client`.

    A command that has `--accounts` receives an `AccessToAll` if that option was given.
    """
    for option in reversed(ACCESS_OPTIONS):
        command = option(command)

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        given = Given(**{each.name: options.pop(each.name) for each in fields(Given) if each.name in options})
        accounts: Path | None = options.pop("accounts", None)
        if accounts is not None:
            every = access_to_all(given, accounts)
            _set_zone(every, options)
            command(*arguments, client=every, **options)
            return
        if "at_once" in options and is_given("at_once"):
            raise click.UsageError("--at-once needs --accounts")
        client = access(given)
        _set_zone(client, options)
        with with_token_source(client.token_source):
            command(*arguments, client=client, **options)

    return wrapped


def _set_zone(client: Access | AccessToAll, options: dict[str, Any]) -> None:
    """Set the zone of the settings, unless the user has given one."""
    zone = client.settings.tz
    if zone is not None and "zone" in options and not is_given("zone"):
        options["zone"] = zone_of_settings(zone, config_file())


# The options of every command that asks the API.
ACCESS_OPTIONS: Final = (
    click.option(
        "--profile", metavar="NAME", help="Use the token and the settings of this profile; see `unlimcall login`."
    ),
    click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Read the token from a file."),
    click.option("--token-stdin", is_flag=True, help="Read the token from standard input."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Seconds for each attempt of a request; else 30."),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the token to another machine without encryption, if the base URL is http.",
    ),
)
# Those of commands that pull call records.
rate_option: Callable[[Any], Any] = click.option(
    "--rate",
    type=click.IntRange(1, MOST_REQUESTS),
    metavar="N",
    help="At most N requests a minute for call records; else 60.",
)
concurrency_option: Callable[[Any], Any] = click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most N requests under way at once; else 4, and 2 for each account of --accounts.",
)


# Those of commands that serve many accounts.
accounts_option: Callable[[Any], Any] = click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do this for each account of a TOML file, which has a table [accounts.NAME] for each.",
)
the_accounts_option: Callable[[Any], Any] = click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="A TOML file, which has a table [accounts.NAME] for each account.",
)
at_once_option: Callable[[Any], Any] = click.option(
    "--at-once",
    type=click.IntRange(min=1),
    metavar="N",
    default=16,
    show_default=True,
    help="Work on N accounts at once, with --accounts.",
)


def ask(client: Clients, question: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Make one call with a client that is open for this call only, and return its result."""

    async def asked() -> T:
        async with client() as open_client:
            return await question(open_client)

    return run(asked)


# --- the event loop and signals -------------------------------------------------------------------------------------------


def run(work: Callable[[], Coroutine[Any, Any, T]], *, tells_waits: bool = True) -> T:
    """Run a coroutine to its end. Ctrl-C and SIGTERM (on Windows: Ctrl-Break) cancel the coroutine, which can still clean up.

    Args:
        work: Returns the coroutine.
        tells_waits: Whether long waits of the client are lines on standard error.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        TerminatedError: SIGTERM came, or Ctrl-Break.
    """
    # Not `asyncio.run`: a Ctrl-C while it makes its loop would leave a coroutine that nobody awaits.
    with asyncio.Runner() as runner:
        return runner.run(_terminable(work, tells_waits=tells_waits))


async def _terminable(work: Callable[[], Awaitable[T]], *, tells_waits: bool) -> T:
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    try:
        with stop_signals(terminate):
            async with told_waits() if tells_waits else nullcontext():
                return await work()
    except asyncio.CancelledError:
        if terminated:
            raise TerminatedError from None
        raise


def serve(work: Callable[[], Coroutine[Any, Any, None]], host: str, port: int) -> None:
    """Run a server until Ctrl-C or SIGTERM, which are its ordinary end.

    Raises:
        BrokenPipeError: The reader of standard output has closed the pipe.
        UnusableError: The server cannot listen on this host and port.
    """
    try:
        # A server has no client that could wait.
        run(work, tells_waits=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        # asyncio puts the address before the reason, as Python writes it.
        reason = (error.strerror or str(error)).rpartition(": ")[2]
        raise UnusableError(f"cannot listen on {host}, port {port}: {reason}") from None
    except UnicodeError:  # raised by the encoding of host names, which has rules of its own
        raise UnusableError(f"cannot listen on {plain(host)}: this is not a valid host name") from None
    except (KeyboardInterrupt, TerminatedError):
        return
