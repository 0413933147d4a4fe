"""What PostgreSQL and libpq read: URLs, statements, names in them, and the numbers of locks.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


def check_url(given: Mapping[str, Any]) -> None:
    """Refuse a URL whose password has a character that libpq takes for the end of it: the rest would stand in messages.

    Raises:
        ValueError: The URL is of that kind.
    """
    port, host, name = (str(given.get(key) or "") for key in ("port", "host", "dbname"))
    ports = port.replace(",", "")
    if (ports and not (ports.isascii() and ports.isdigit())) or "@" in host or any(mark in name for mark in "@:="):
        raise ValueError(
            "destination is not a URL that PostgreSQL can read: "
            "in a user name or a password, write %2F for /, %40 for @ and %3A for :"
        )


def lock_key(*words: str) -> int:
    """Return the number of an advisory lock."""
    return int.from_bytes(blake2b(repr(words).encode(), digest_size=8).digest(), "big", signed=True)


def sql(text: str) -> bytes:
    """Return a statement of quoted names as the driver takes it: as bytes, because a `str` must be a literal to type checkers."""
    return text.encode()


def beside_values(name: str) -> str:
    """Return a quoted name as it stands in a statement with values, in which the driver takes a single `%` for one of them."""
    return name.replace("%", "%%")
