"""Tokens and secrets from where they are kept: the environment, a file that nobody else can read, or standard input.

Never from the command line's arguments, which every user of the machine can see.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click

from unlimcall_async.cli.output import UnusableError

# More than any token has; a file that is longer is another one.
_LONGEST = 10_000


def read_private(path: Path) -> str:
    """Read a secret from a file.

    Raises:
        UnusableError: The file cannot be read, others can read it, or it holds no text.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UnusableError(f"{path} is open to others than its owner: chmod 600 {path}")
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None
    return _text(content, str(path))


def read_stdin() -> str:
    """Read a secret from standard input; at a terminal, ask for it and do not show it.

    Raises:
        UnusableError: There is nothing, or no text.
    """
    if sys.stdin is None:
        raise UnusableError("standard input is closed")
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True))
    return _text(sys.stdin.buffer.read(_LONGEST + 1), "standard input")


def _text(content: bytes, place: str) -> str:
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > _LONGEST:
        raise UnusableError(f"{place} does not hold a token or a secret") from None
    return text
