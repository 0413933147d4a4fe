"""A delivery as servers and frameworks hand it over: its headers in whatever form, and its body, packed or not.

Pure: no I/O. A delivery that is not understood would be refused for good. So all usual forms of headers are read: mappings, pairs,
texts and bytes, the environment of WSGI. Anything else is an error of the program, and not of the sender.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from email.header import Header
from typing import Any, Final, Protocol, TypeAlias

from attrs import frozen

from unlimcall_async.webhooks.signature import HEADER


class HasItems(Protocol):
    """A mapping, or an object that is not a mapping and has the pairs of one: werkzeug's `Headers`, or `email.message.Message`."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the pairs of names and values."""
        ...


Headers: TypeAlias = HasItems | Iterable[tuple[str | bytes, str | bytes]]


_NAMES: Final = (HEADER.lower(), "content-encoding", "content-length", "transfer-encoding")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class TooLargeError(Exception):
    """The body is larger than the limit, packed or unpacked."""


class AlteredError(Exception):
    """The body is not as it was sent, as far as the headers show, so that nothing can be said about the signature."""


@frozen
class Fields:
    """The headers of a delivery that count here; `None` for a header that the request does not have.

    Attributes:
        signature: `X-Unlimcall-Signature`.
        coding: `Content-Encoding`, in lower case; `None` also if it names no coding.
        length: `Content-Length`.
        chunked: Whether the body came in chunks.
    """

    signature: str | None
    coding: str | None
    length: int | None
    chunked: bool

    @classmethod
    def of(cls, headers: object) -> Fields:
        """Return the fields that are among the headers. By HTTP's rule, several values of one are joined with commas.

        Names may be in any case, and in the form of WSGI (`HTTP_X_UNLIMCALL_SIGNATURE`).

        Raises:
            TypeError: `headers` is not a mapping or an iterable of pairs of `str` or `bytes`.
        """
        found: dict[str, list[str]] = {name: [] for name in _NAMES}
        for raw_name, value in _pairs(headers):
            name = _text(raw_name).lower().replace("_", "-").removeprefix("http-")
            if name not in found:
                continue
            # Some frameworks give a length as a number.
            given = str(value) if type(value) is int and name == "content-length" else value
            for item in given if isinstance(given, (list, tuple)) else (given,):
                # Also by HTTP's rule, white space around a comma does not count. Some servers join with a comma and a space.
                found[name] += [] if item is None else [part.strip(" \t") for part in _text(item).split(",")]
        signature, coding, length, transfer = (",".join(found[name]) if found[name] else None for name in _NAMES)
        return cls(
            signature,
            None if coding is None or coding.lower() in {"", "identity"} else coding.lower(),
            int(length) if length is not None and _LENGTH.fullmatch(length) else None,
            transfer is not None,
        )

    def are_of_another_body(self, body: bytes) -> bool:
        """Return whether the length shows that the sender sent another body.

        Something on the way has read this body and has not kept all of it, or has written it anew.
        """
        if self.coding is not None:  # the length is of the packed body
            return False
        if self.length is None:
            return self.chunked and not body
        return self.length != len(body)


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
    if isinstance(value, str):
        return str.__str__(value)  # the `str()` of an enumeration's member is another text
    if isinstance(value, Header):  # which `email.message` makes of a value that is not ASCII
        return str(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")  # which decodes every byte
    raise TypeError(f"headers must hold str or bytes, not {type(value).__name__}")


# The codings, and the formats of zlib to try for each. "deflate" means the format of zlib; some senders leave its frame out.
_FORMATS: Final = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def unpacked(body: bytes, coding: str | None, limit: int) -> bytes | None:
    """Return a body without its content coding; `body` itself if the coding is `None`.

    Return `None` if the coding is not known, or if the body is not in this coding: some servers unpack a body and leave the header.

    Raises:
        TooLargeError: The body would have more than `limit` bytes. At most one byte more is unpacked.
    """
    if coding is None:
        return body
    for form in _FORMATS.get(coding, ()):
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
