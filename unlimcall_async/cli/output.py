"""What a command writes: data on standard output, all else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
import click

from unlimcall_async.cli.formats import encoded, text_of

_PLACE: Final = "standard output"


class UnusableError(click.ClickException):
    """A file, a port or another thing of this machine cannot be used; click shows why in one line."""

    exit_code = 2


class UnwritableError(UnusableError):
    """A file, or standard output, cannot be written."""

    def __init__(self, place: object, reason: str) -> None:
        super().__init__(f"cannot write {place}: {reason}")


def write(text: str) -> None:
    """Write on standard output, in UTF-8 whatever the locale, and at once.

    Raises:
        BrokenPipeError: Nobody reads any longer.
        UnwritableError: It cannot be written.
    """
    write_bytes(encoded(text))


def write_bytes(content: bytes) -> None:
    """Write what is encoded already; else as `write` does."""
    if sys.stdout is None:
        # Closed by whoever started the command. What is lost may be a secret that is shown this once.
        raise UnwritableError(_PLACE, "it is closed")
    try:
        click.echo(content, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise UnwritableError(_PLACE, error.strerror or str(error)) from None


def write_styled(text: str) -> None:
    """Write text with colours, which only a terminal gets. Not for data: it may hold what looks like one."""
    write(text if sys.stdout is not None and sys.stdout.isatty() else click.unstyle(text))


@contextmanager
def unwritable(place: object) -> Iterator[None]:
    """Turn what goes wrong with a file into an `UnwritableError`."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(place, error.strerror or str(error)) from error


def tell(text: str) -> None:
    """Write a line on standard error. If that cannot be, there is nobody to tell, and what counts is the exit status."""
    try:
        click.echo(text, err=True)
    except OSError:
        silence()


def silence() -> None:
    """Let what Python itself writes at the end go nowhere: what could not be written would fail again, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        # A stream that works is left alone, as the reason is still to be told on it.
        if stream is not None and _is_broken(stream):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _is_broken(stream: Any) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    return False


def show(answer: Any, *, as_json: bool) -> None:
    """Write what the API answered: a model of the package, by its fields."""
    show_fields(fields_of(answer), as_json=as_json)


def fields_of(answer: Any) -> dict[str, Any]:
    """Give the fields of a model. `extra` is among them only where the API has sent something that it does not document."""
    fields = {name: getattr(answer, name) for name in attrs.fields_dict(type(answer))}
    if not fields["extra"]:
        del fields["extra"]
    return fields


def show_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Write some facts: as a JSON object in a line, or a line each."""
    if as_json:
        write_json(fields)
        return
    width = max(map(len, fields))
    write("".join(f"{name:<{width}}  {cell(value)}\n" for name, value in fields.items()))


def write_json(value: Any) -> None:
    """Write JSON in a line."""
    write(json_line(value))


def json_line(value: Any) -> str:
    """Give JSON in a line. Money and times are text: a number in JSON would be read as a float."""
    return json.dumps(value, ensure_ascii=False, default=text_of) + "\n"


def cell(value: Any) -> str:
    """Give a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return plain(json.dumps(dict(value), ensure_ascii=False, default=text_of))
    return plain(value if isinstance(value, str) else text_of(value))


def plain(text: str) -> str:
    """Replace what a terminal could take for a command. Names and error texts come from elsewhere."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
