"""A JSON object that shows if it was changed: what a command stores in order to continue later. No I/O.

Each field of such a file depends on the others: a place without its length doubles records, and a length without its place loses
them. So the file has a checksum over all its fields. A text that was cut off, or a field that was changed, is found before
anything is built on it. The checksum protects from accidents and hand-made changes, not from a forger.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from unlimcall_async import _json

_SEAL: Final = "checksum"


def sealed(fields: Mapping[str, Any]) -> str:
    """Return the fields and their checksum as JSON, in one line."""
    return json.dumps({**fields, _SEAL: _checksum(fields)}) + "\n"


def unsealed(text: str | bytes) -> dict[str, Any]:
    """Return the fields of a text that `sealed` wrote.

    Raises:
        ValueError: The text is something else, or was changed.
    """
    # No field has a fraction. One that was changed to a fraction needs only a checksum of its own.
    fields = _json.read(text, fractions=float)
    if not isinstance(fields, dict) or fields.pop(_SEAL, None) != _checksum(fields):
        raise ValueError("the text has no checksum, or another one")
    return fields


def _checksum(fields: Mapping[str, Any]) -> str:
    # Of the content and not of the text: a tool that writes the same content in another way has changed nothing.
    return f"{zlib.crc32(json.dumps(fields, sort_keys=True).encode()):08x}"
