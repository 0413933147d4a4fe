"""What a command writes: data on standard output, everything else on standard error.

The reader of a pipe may be slow, or pause for a while, as a pager does. A write that waits for such a reader stops the whole event
loop: requests under way would time out although their responses are there, and neither Ctrl-C nor SIGTERM would end the command. So
`write_when_ready`, which writes records and events, waits in the event loop until the pipe has room.

A terminal takes some characters for commands, and texts come from the server, from callers and from file names. So every text
passes `visible` on its way to a terminal. A pipe or a file gets data as they are. Standard error counts as a terminal.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from unlimcall_async._platform import has_room, is_broken_pipe, pipe_takes, terminal_takes_text
from unlimcall_async.cli.formats import encoded
from unlimcall_async.cli.wording import cell, fields_of, in_encoding, json_line, visible, visible_in_colour

if TYPE_CHECKING:
    from unlimcall_async.cli.tables import Cell

_STDOUT: Final = "standard output"


class UnusableError(click.ClickException):
    """A file, a port or another resource of this machine cannot be used. click shows the reason in one line."""

    exit_code = 2


class UnwritableError(UnusableError):
    """A file, or standard output, cannot be written."""

    def __init__(self, place: object, reason: str) -> None:
        super().__init__(f"cannot write {place}: {reason}")


@contextmanager
def unwritable(place: object) -> Iterator[None]:
    """Raise an `UnwritableError` with the name of the file in place of an `OSError`."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(place, error.strerror or str(error)) from error


@contextmanager
def unusable(act: str, place: object) -> Iterator[None]:
    """Raise an `UnusableError` that names the file, and what cannot be done with it, in place of an `OSError`."""
    try:
        yield
    except OSError as error:
        raise UnusableError(f"cannot {act} {place}: {error.strerror or error}") from error


# --- standard output ------------------------------------------------------------------------------------------------------


def write(text: str) -> None:
    """Write text on standard output at once, in UTF-8 whatever the locale.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        UnwritableError: Standard output cannot be written.
    """
    _write_bytes(encoded(visible(text) if at_terminal() else text))


def at_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _write_bytes(content: bytes) -> None:
    # Closed by the program that started this one. The loss must be reported: the content may be a secret that is shown once.
    if sys.stdout is None:
        raise UnwritableError(_STDOUT, "it is closed")
    try:
        _echo(content, err=False)
    except OSError as error:
        if is_broken_pipe(error):
            raise BrokenPipeError(*error.args) from None
        discard_broken_streams()
        raise UnwritableError(_STDOUT, error.strerror or str(error)) from None


def _echo(content: bytes, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is not None and stream.isatty() and terminal_takes_text():
        click.echo(in_encoding(content.decode(), stream.encoding), nl=False, err=err)
    else:
        click.echo(content, nl=False, err=err)


async def write_when_ready(text: str) -> None:
    """Write text on standard output as `write` does, and wait for its reader. If cancelled, whole lines have been written.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        UnwritableError: Standard output cannot be written.
    """
    content = encoded(visible(text) if at_terminal() else text)
    start = 0
    while start < len(content):
        # As many whole lines as a pipe takes at once. A longer line goes by itself, and blocks until the reader has taken it.
        end = content.rfind(b"\n", start, start + pipe_takes()) + 1 or content.find(b"\n", start) + 1 or len(content)
        await _wait_for_room()
        _write_bytes(content[start:end])
        start = end


async def _wait_for_room() -> None:
    if sys.stdout is None:  # closed, which the write reports
        return
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # replaced by a stream in memory, which always has room
        return
    # A file always has room. So has a pipe without a reader, and the write raises. The event loop takes no files, and sees neither.
    while not has_room(descriptor):
        loop, room = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(descriptor, room.set)
        try:
            await room.wait()
        finally:
            loop.remove_writer(descriptor)


def write_styled(text: str) -> None:
    """Write text with colours, which only a terminal gets. Data in it must be `plain`: data may look like a colour."""
    if not at_terminal():
        _write_bytes(encoded(click.unstyle(text)))
    else:
        _write_bytes(encoded(visible_in_colour(text) if _shows_colours() else visible(click.unstyle(text))))


def _shows_colours() -> bool:
    """Return whether a terminal shows colours, and its user wants them (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "").lower() in {"dumb", "unknown"}:
        return False
    from rich.console import Console  # noqa: PLC0415 # `--help` must be quick

    # An old console of Windows shows the codes of colours as text.
    return not Console().legacy_windows


def output_width() -> int | None:
    """Return the columns of the terminal that standard output is; `None` for a pipe or a file."""
    return shutil.get_terminal_size().columns if at_terminal() else None


def write_table(
    head: Sequence[str], rows: Sequence[Sequence[Cell]], *, sides: str = "", hints: Sequence[str] = ()
) -> None:
    """Write a table, as wide as the terminal at most; see `tables.table`."""
    from unlimcall_async.cli.tables import table  # noqa: PLC0415 # loads rich

    write_styled(table(head, rows, width=output_width(), sides=sides, hints=hints))


def write_json(value: Any) -> None:
    """Write a value as JSON in one line."""
    write(json_line(value))


def show(model: Any, *, as_json: bool) -> None:
    """Write a model of the package, field by field."""
    show_fields(fields_of(model), as_json=as_json)


def show_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Write some fields: a JSON object in one line, or one line for each."""
    if as_json:
        write_json(fields)
        return
    width = max(map(len, fields))
    write("".join(f"{name:<{width}}  {cell(value)}\n" for name, value in fields.items()))


# --- standard error -------------------------------------------------------------------------------------------------------


# Writes lines above a bar that is on the terminal at the moment.
_above_bar: list[Callable[[str], object]] = []


@contextmanager
def lines_above(write_line: Callable[[str], object]) -> Iterator[None]:
    """Write lines by this function meanwhile, because a bar is on the terminal."""
    _above_bar.append(write_line)
    try:
        yield
    finally:
        _above_bar.pop()


def to_stderr(text: str) -> None:
    """Write a line on standard error. If that fails, only the exit status is left to report anything."""
    if _above_bar:
        _above_bar[-1](visible(text))
        return
    try:
        _echo(encoded(f"{visible(text)}\n"), err=True)
    except OSError:
        discard_broken_streams()


# Whether the user wants nothing on standard error but errors.
_quiet: list[bool] = []


@contextmanager
def quieted() -> Iterator[None]:
    """Leave out all notes meanwhile."""
    _quiet.append(True)
    try:
        yield
    finally:
        _quiet.pop()


def is_quiet() -> bool:
    """Return whether notes are left out."""
    return bool(_quiet)


def note(text: str) -> None:
    """Write a line on standard error that is not about an error. `--quiet` leaves it out."""
    if not _quiet:
        to_stderr(text)


def discard_broken_streams() -> None:
    """Send the rest of each broken stream nowhere. Python flushes at its end, and would fail again with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        # A stream that works is left alone, because the reason is still to be written on it.
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
