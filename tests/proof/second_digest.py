"""The digest of call records, written a second time from `docs/digest.md` alone.

Nothing here is shared with the package: a record is anything with the attributes of a `CallRecord`. The writer of JSON is this
module's own, and does everything one character, one digit and one member at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def canonical(record: Any) -> bytes:
    """Section 1 of the page."""
    values = [
        string(record.id),
        string(time(record.start_time)),
        integer(record.duration),
        integer(record.billsec),
        *map(string_or_null, (record.src, record.dst, record.disposition, record.sip_username)),
        "null" if record.sell_price_cents is None else integer(record.sell_price_cents),
        *map(string_or_null, (record.currency, record.country, record.did)),
        json(record.extra),
    ]
    return ("[" + ",".join(values) + "]").encode()


def record_hash(canonical_bytes: bytes) -> int:
    """Section 2 of the page."""
    hashed = hashlib.blake2b(canonical_bytes, digest_size=64).digest()
    return sum(byte << (8 * place) for place, byte in enumerate(hashed[:32]))


def digest(records: Iterable[Any]) -> str:
    """Section 3 of the page."""
    return written(sum(record_hash(canonical(record)) for record in records))


def written(total: int) -> str:
    digits = f"{total % 2**256:x}"
    return "0" * (64 - len(digits)) + digits


def string(text: str) -> str:
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if ord(character) < 0x20:
        return "\\u00" + "01"[ord(character) // 16] + "0123456789abcdef"[ord(character) % 16]
    return character


def string_or_null(text: str | None) -> str:
    return "null" if text is None else string(text)


def integer(number: int) -> str:
    return str(number)


def time(start: datetime) -> str:
    utc = start.astimezone(UTC)
    day = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
    fraction = f".{utc.microsecond:06}" if utc.microsecond else ""
    return f"{day}T{utc.hour:02}:{utc.minute:02}:{utc.second:02}{fraction}Z"


def json(value: Any) -> str:
    """Return a value of the object, which holds all other fields."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return string(value)
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, Decimal):
        return fraction(value)
    if isinstance(value, Mapping):
        # Python compares strings by code points.
        return "{" + ",".join(string(name) + ":" + json(value[name]) for name in sorted(value)) + "}"
    assert isinstance(value, Sequence)
    return "[" + ",".join(json(each) for each in value) + "]"


def fraction(number: Decimal) -> str:
    negative, digits, power = number.as_tuple()
    assert isinstance(power, int), "JSON has no such number"
    significant = "".join(map(str, digits)).lstrip("0")
    while significant.endswith("0"):
        significant, power = significant[:-1], power + 1
    if not significant:
        return "0E0"
    return f"{'-' * negative}{significant}E{power}"
