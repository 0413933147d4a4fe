"""Tokens and secrets, from a file or from standard input.

They never come from the command line's arguments, which every user of the machine can see.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from unlimcall_async import _secrets
from unlimcall_async._secrets import bare
from unlimcall_async.cli.output import UnusableError, to_stderr


@contextmanager
def _unusable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UnusableError(str(error)) from None


def read_private(path: Path) -> str:
    """Return the token or the secret in a file. If another user could have written the file, a line on standard error says so.

    Raises:
        UnusableError: The file cannot be read, or it holds no text.
    """
    with _unusable():
        text, warning = _secrets.read_file(path)
    if warning:
        to_stderr(f"Warning: {warning}")
    return text


def read_stdin() -> str:
    """Return the token on standard input. At a terminal, ask for the token and do not show it.

    Raises:
        UnusableError: Standard input is closed, or holds no text.
    """
    if sys.stdin is None:
        raise UnusableError("standard input is closed; give the token in UNLIMCALL_TOKEN or by --token-file")
    if sys.stdin.isatty():
        return sole(bare(click.prompt("Token", hide_input=True, err=True)), "what was typed")
    with _unusable():
        return _secrets.decoded(sys.stdin.buffer.read(_secrets.LONGEST + 1), "standard input")


def sole(text: str, place: str) -> str:
    """Return a token or a secret, if nothing else stands beside it.

    Raises:
        UnusableError: There is something else, or a character that no token has.
    """
    with _unusable():
        return _secrets.sole(text, place)
