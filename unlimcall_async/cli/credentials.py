"""Tokens and secrets, from a file that only its owner can read or from standard input.

They never come from the command line's arguments, which every user of the machine can see.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click

from unlimcall_async.cli.output import UnusableError

# More characters than any token or secret has. A longer file is the wrong file.
_LONGEST = 10_000


def read_private(path: Path) -> str:
    """Read a token or a secret from a file.

    Raises:
        UnusableError: The file cannot be read, other users can read it, or it holds no text.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UnusableError(f"{path} is open to other users than its owner; run: chmod 600 {path}")
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None
    return _text(content, str(path))


def read_stdin() -> str:
    """Read a token from standard input. At a terminal, ask for the token and do not show it.

    Raises:
        UnusableError: Standard input is closed, or holds no text.
    """
    if sys.stdin is None:
        raise UnusableError("standard input is closed; give the token in UNLIMCALL_TOKEN or by --token-file")
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
