"""Rows that cannot be read, as lines of JSON. No I/O.

A line has `window` (two times), `where` and `reason`, and the row itself. `row` is the row as the server sent it, number for
number. A row that is not valid JSON by the package's own reader, for example with half of a surrogate pair, is `row_base64`: its
bytes.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import attrs

from unlimcall_async import UnreadableRow, _json
from unlimcall_async.cli.formats import text_of

# How each line begins.
HEAD: Final = b'{"window": ["'
# Marks the name of a file that is not UTF-8. JSON cannot hold such a name, so its bytes are stored, in hexadecimal. No name begins
# with this mark.
_BYTES: Final = "\0"


def count(_holder: object, attribute: Any, value: int) -> None:
    """Check a number of a stored state."""
    # JSON's `true` is an int in Python, and would pass for a length of 1.
    if type(value) is not int or value < 0:
        raise ValueError(f"{attribute.name} must be a whole number, and not negative")


@attrs.frozen
class Rejects:
    """How much of the file of rejects counts.

    Attributes:
        file: The file's name, as seen from the folder of the pull's file.
        length: The bytes that count.
        crc32: The CRC-32 of these bytes.
        rows: The number of rows that this pull, or this follow, wrote to the file.
        kept: The bytes that earlier pulls into the file wrote, if this pull continues their file.
    """

    file: str = attrs.field(validator=attrs.validators.instance_of(str))
    length: int = attrs.field(default=0, validator=count)
    crc32: int = attrs.field(default=0, validator=count)
    rows: int = attrs.field(default=0, validator=count)
    kept: int | None = attrs.field(default=None, validator=attrs.validators.optional(count))

    @property
    def fields(self) -> dict[str, Any]:
        """What is stored of it, as JSON can hold it."""
        stored = attrs.asdict(self)
        try:
            self.file.encode()
        except UnicodeEncodeError:
            stored["file"] = _BYTES + self.file.encode("utf-8", "surrogatepass").hex()
        return stored

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return what was stored as `fields`.

        Raises:
            ValueError, TypeError: The fields are others.
        """
        held = cls(**fields)
        if not held.file.startswith(_BYTES):
            return held
        name = bytes.fromhex(held.file.removeprefix(_BYTES)).decode("utf-8", "surrogatepass")
        return attrs.evolve(held, file=name)

    def after(self, text: bytes, rows: int) -> Self:
        """Return the same after `text`, which holds `rows` more rows."""
        crc32 = zlib.crc32(text, self.crc32)
        return attrs.evolve(self, length=self.length + len(text), crc32=crc32, rows=self.rows + rows)


def lines(rows: Iterable[UnreadableRow]) -> bytes:
    """Return one JSON object a line."""
    return b"".join(map(_line, rows))


def _line(row: UnreadableRow) -> bytes:
    known = {"window": [text_of(at) for at in row.window], "where": row.where, "reason": row.reason}
    try:
        _json.read(row.body)
    except _json.JsonError:
        name, value = b"row_base64", b'"' + b64encode(row.body) + b'"'
    else:
        # Not written anew: that would change numbers, and drop a name that comes twice. Outside of strings, which hold no end of a
        # line, such an end is white space.
        name, value = b"row", row.body.replace(b"\n", b" ").replace(b"\r", b" ")
    return json.dumps(known).encode()[:-1] + b', "' + name + b'": ' + value + b"}\n"
