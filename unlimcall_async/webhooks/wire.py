"""A delivery as servers and frameworks hand it over: its headers in whatever form, and its body, packed or not.

Pure: no I/O. A delivery that is not understood would be refused for good. So all usual forms of headers are read: mappings, pairs,
texts and bytes, the environment of WSGI. Anything else is an error of the program, and not of the sender.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from email.header import Header
from typing import Any, Final, Protocol, TypeAlias


class HasItems(Protocol):
    """A mapping, or an object that is not a mapping and has the pairs of one: werkzeug's `Headers`, or `email.message.Message`."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the pairs of names and values."""
        ...


Headers: TypeAlias = HasItems | Iterable[tuple[str | bytes, str | bytes]]


class TooLargeError(Exception):
    """The body is larger than the limit, packed or unpacked."""


class PackedError(Exception):
    """The body cannot be unpacked, so that its signature cannot be checked or its event cannot be read."""

    def __str__(self) -> str:
        return "the body is not in the form that its Content-Encoding names; does the server, or a middleware, unpack bodies?"


def field(headers: object, name: str) -> str | None:
    """Return the value of a header, or `None` if the request has none. By HTTP's rule, several values are joined with commas.

    Names may be in any case, and in the form of WSGI (`HTTP_X_UNLIMCALL_SIGNATURE`).

    Raises:
        TypeError: `headers` is not a mapping or an iterable of pairs of `str` or `bytes`.
    """
    wanted = name.lower()
    found: list[str] = []
    for each, value in _pairs(headers):
        if _text(each).lower().replace("_", "-").removeprefix("http-") == wanted:
            found += [
                _text(item) for item in (value if isinstance(value, (list, tuple)) else (value,)) if item is not None
            ]
    # Also by HTTP's rule, white space around a comma does not count. Some servers join with a comma and a space.
    return ",".join(part.strip(" \t") for value in found for part in value.split(",")) if found else None


def _pairs(headers: Any) -> Iterable[tuple[object, object]]:
    # Some classes with names and values are not mappings, and give only names or values if iterated.
    items = getattr(headers, "items", None)
    pairs = items() if callable(items) else headers
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise TypeError(f"headers must be a mapping or an iterable of pairs, not {type(headers).__name__}")
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"headers must be a mapping or an iterable of pairs, not of {type(pair).__name__}")
        yield pair[0], pair[1]


def _text(value: object) -> str:
    # `email.message` makes a `Header` of a value that is not ASCII.
    if isinstance(value, (str, Header)):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")  # which decodes every byte
    raise TypeError(f"headers must hold str or bytes, not {type(value).__name__}")


# The codings, and the formats of zlib to try for each. "deflate" means the format of zlib; some senders leave its frame out.
_FORMATS: Final = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def unpacked(body: bytes, coding: str | None, limit: int) -> bytes | None:
    """Return a body without its content coding: `body` itself if `coding`, from `Content-Encoding`, names none.

    Return `None` if the coding is not known, or if the body is not in this coding: some servers unpack a body and leave the header.

    Raises:
        TooLargeError: The body would have more than `limit` bytes. At most one byte more is unpacked.
    """
    name = (coding or "").lower()
    if name in {"", "identity"}:
        return body
    for form in _FORMATS.get(name, ()):
        reader = zlib.decompressobj(form)
        try:
            content = reader.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(content) > limit:
            raise TooLargeError
        # One piece from end to end. A stranger could make the unpacking of many pieces slow.
        if reader.eof and not reader.unused_data:
            return content
    return None
