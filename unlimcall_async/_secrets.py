"""Tokens and secrets as people leave them in files and variables: without what stands around them, and refused if more is there.

Every message names the place of a text, and nothing of its content.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from typing import Final

from unlimcall_async._platform import is_of_another, others_can_write

# More bytes than any token or secret has. A longer file is the wrong file.
LONGEST: Final = 10_000
# The user who may change any file.
ROOT: Final = 0


def read_file(path: Path) -> tuple[str, str]:
    """Return the token or the secret in a file, and a warning if another user could have written the file; else an empty text.

    A file that other users can read is read, too: the secrets that Kubernetes and Docker mount are such files.

    Raises:
        ValueError: The file cannot be read, or it holds no text.
    """
    content, warning = read_bytes(path, LONGEST + 1)
    return decoded(content, str(path)), warning


def read_bytes(path: Path, most: int = -1) -> tuple[bytes, str]:
    """Return the content of a file, and the warning that `read_file` returns.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(most)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    warning = ""
    if is_of_another(found, ROOT):
        warning = f"{path} belongs to another user, who could have changed it."
    elif others_can_write(found):
        warning = f"other users can write {path}; run: chmod 600 {path}"
    return content, warning


def decoded(content: bytes, place: str) -> str:
    """Return the token or the secret of a file's content.

    Raises:
        ValueError: The text holds no token, or holds something else beside the token.
    """
    # Windows PowerShell writes the output of `echo` in UTF-16, and editors put a mark in front of UTF-8.
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = bare(content.decode(encoding))
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > LONGEST:
        raise ValueError(f"{place} does not hold a token or a secret") from None
    return sole(text, place)


# A line of a file of settings, of a shell, of PowerShell, of YAML or of JSON. A secret may end in `=`, as base64 does. The search
# crosses no empty lines before a line: with many of these, it would take time by the square of their number.
_ASSIGNMENT: Final = re.compile(
    r"""^[ \t\r\f\v]*(?:export\s+|set\s+|\$env:|\{\s*)?["']?(?:[A-Z][A-Z0-9_]*["']?\s*[=:]|(?i:token)["']?\s*[=:])\s*[^\s=]""",
    re.MULTILINE | re.ASCII,
)
_SCHEME: Final = re.compile(r"^(?:authorization\s*:\s*)?(?:bearer|token|basic)\s", re.IGNORECASE)
_INSIDE: Final = re.compile("(?<!^)unl_(?:live|test)_")


def sole(text: str, place: str) -> str:
    """Return a token or a secret, if nothing else stands beside it.

    Args:
        text: The token or the secret.
        place: Where it comes from, for people. The message names nothing else of the text.

    Raises:
        ValueError: There is something else, or a character that no token has.
    """
    if _SCHEME.match(text):
        word = re.match(r"[A-Za-z]+", text)
        fault = f"it begins with {word[0].title() if word else 'a word'}"
    elif _ASSIGNMENT.search(text):
        fault = "it has an assignment, NAME=VALUE, as a .env file or a shell script has"
    elif (lines := len(text.splitlines())) > 1:
        fault = f"it has {lines} lines"
    elif _INSIDE.search(text):
        fault = "it has more in front of the token"
    elif not (text.isascii() and text.isprintable()) or " " in text:
        fault = "it must be visible ASCII without spaces"
    else:
        return text
    raise ValueError(f"{place} is not a bare token or secret: {fault}")


def bare(text: str) -> str:
    """Return a secret without what editors, shells and files of settings leave around it: spaces, ends of lines, quotes."""
    text = text.strip().strip("\ufeff").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


_TOKEN: Final = re.compile(r"unl_(live|test)_[^\s'\"`,;:/()\[\]]+", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """Return a text with `***` in place of all that looks like a token of the API, but for its kind."""
    return _TOKEN.sub(r"unl_\1_***", text)
