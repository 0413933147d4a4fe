"""The canonical bytes of a call record, of which its hash is made: equal records, and no others, have equal bytes.

Pure: no I/O. `docs/digest.md` specifies the bytes, so that another language can make them. msgspec writes the documented fields, a
page at a time. This module writes `extra`, in which 1, 1.0 and true are three values, as they are not to Python.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import repeat
from typing import Any, Final, cast

import msgspec
from msgspec.structs import asdict, astuple

from unlimcall_async import _arguments
from unlimcall_async.models import CallRecord


def _as_dict(value: object) -> dict[Any, Any]:
    """Return a mapping of another type as msgspec can write it: an `extra` without fields may be one."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"its type is {type(value).__name__}")


_encode: Final = msgspec.json.Encoder(enc_hook=_as_dict).encode
_NESTED: Final = (dict, list, tuple, Mapping)
# The levels of `extra`. The API's JSON is read down to 100; of a record that a user made, a value that holds itself has no end.
_DEEPEST: Final = 10_000


def hashes(records: Sequence[CallRecord]) -> Iterable[int]:
    """Yield the hash of each record, a whole number below 2**512. The starts of the records are in UTC.

    Raises:
        ValueError: A record holds a value that JSON does not have, for example `NaN` in `extra`, or half of a surrogate pair.
    """
    return map(cast("Callable[[bytes, str], int]", int.from_bytes), _digests(records), repeat("little"))


def sum_of_hashes(records: Sequence[CallRecord]) -> int:
    """Return the sum of the hashes of records, up to a multiple of 2**256. The starts of the records are in UTC.

    Raises:
        ValueError: As for `hashes`.
    """
    # The low four words of each hash, which has eight. To add words takes fewer steps than to add integers of 512 bits.
    words = zip(*struct.iter_unpack("<4Q32x", b"".join(_digests(records))), strict=True)
    return sum(sum(each) << 64 * place for place, each in enumerate(words))


def _digests(records: Sequence[CallRecord]) -> Iterable[bytes]:
    return map(blake2b.digest, map(blake2b, canonical_lines(records)))


def canonical_lines(records: Sequence[CallRecord]) -> list[bytes]:
    """Return the canonical bytes of each record.

    Raises:
        ValueError: As for `hashes`.
    """
    try:
        # One tuple at a time: the garbage collector would look at a list of them.
        rows: Iterable[tuple[Any, ...]] = map(astuple, records)
        if any([record.extra for record in records]):  # noqa: C419 # a list takes half the time of a generator or of `attrgetter`
            rows = ((*row[:-1], msgspec.Raw(_json(row[-1]))) if row[-1] else row for row in rows)
        return list(map(_encode, rows))
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        raise ValueError(f"{_unfit(records)} of a record is not a JSON value: {error}") from None


def _unfit(records: Sequence[CallRecord]) -> str:
    """Return the name of the first field that JSON cannot hold."""
    for record in records:
        # `extra` is the last field, and is the one if no other is.
        for name, value in [*asdict(record).items()][:-1]:
            try:
                _encode(value)
            except (UnicodeEncodeError, TypeError, OverflowError):
                return name
    return "extra"


def in_utc(record: object) -> CallRecord:
    """Return a record whose start is in UTC.

    Raises:
        TypeError: `record` is not a call record, or its start is not a datetime.
        ValueError: The start has no zone, or is beyond the calendar in UTC.
    """
    if not isinstance(record, CallRecord):
        raise TypeError(f"each record must be a CallRecord, not {type(record).__name__}")
    start = record.start_time
    # A record that a user made may hold anything.
    if type(start) is datetime and start.tzinfo is UTC:
        return record
    return msgspec.structs.replace(record, start_time=_arguments.utc("start_time of a record", start))


class _Text(bytes):
    """JSON that is written already."""

    __slots__ = ()


def _json(value: Any) -> bytes:
    """Return a JSON value in its one form: names sorted, no spaces, and numbers that are not whole in powers of ten.

    Raises:
        ValueError: The value is not one that JSON has.
    """
    text = list[bytes]()
    # What is left of each value that is open. A stack, because a record may nest more deeply than Python may call.
    left: list[Iterator[Any]] = [iter((value,))]
    while left:
        for part in left[-1]:
            if isinstance(part, _Text):
                text.append(part)
            elif isinstance(part, _NESTED):
                if len(left) > _DEEPEST:
                    raise ValueError(f"extra is nested more than {_DEEPEST:,} levels deep")
                left.append(_members(part) if isinstance(part, Mapping) else _elements(part))
                break
            else:
                text.append(_scalar(part))
        else:
            left.pop()
    return b"".join(text)


def _members(value: Mapping[Any, Any]) -> Iterator[Any]:
    """Yield the text of an object, and the values of its members where they belong."""
    if unfit := [name for name in value if not isinstance(name, str)]:
        raise ValueError(f"{unfit[0]!r} in extra is not a name that JSON has")
    before = b"{"
    for name in sorted(value):
        yield _Text(b"%b%b:" % (before, _encode(name)))
        yield value[name]
        before = b","
    yield _Text(b"}" if value else b"{}")


def _elements(value: Sequence[Any]) -> Iterator[Any]:
    """Yield the text of an array, and its elements where they belong."""
    before = b"["
    for element in value:
        yield _Text(before)
        yield element
        before = b","
    yield _Text(b"]" if value else b"[]")


def _scalar(value: Any) -> bytes:
    match value:
        case None | bool() | str():
            return _encode(value)
        case int():
            return b"%d" % value
        case float():
            return _number(Decimal(repr(value)))
        case Decimal():
            return _number(value)
        case _:
            raise ValueError(f"a {type(value).__name__} in extra is not a JSON value")


def _number(value: Decimal) -> bytes:
    """Return a number that JSON writes with a fraction or an exponent: its digits without zeros at the end, `E`, the exponent."""
    if not value.is_finite():
        raise ValueError(f"{value} in extra is not a JSON value")
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    whole = text.rstrip("0")
    if not whole:
        return b"0E0"
    return b"%b%bE%d" % (b"-" * sign, whole.encode(), int(exponent) + len(text) - len(whole))
