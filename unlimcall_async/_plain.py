"""Models as plain values and as JSON.

Pure: no I/O. The plain form of a model has the names of its fields, in their order. What JSON cannot hold is text there: times as
the API writes them, money digit for digit, bytes in base64. Fields that the API has added stand together in `extra`, which is
left out if it is empty. So no name of the API can ever take the place of a field.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, Final, TypeAlias

import attrs
import msgspec
from msgspec.structs import asdict, astuple

_AS_THEY_ARE: Final = frozenset({str, int, bool, type(None)})
# Writes a `Decimal`, which only `extra` still holds when the encoder sees it, as a number with all its digits.
_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_sorting_encoder: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")


def to_dict(model: object) -> dict[str, Any]:
    """Return a model as plain values, which `json` can write: the names of its fields, in their order.

    Times and money are text. Fields that the API has added are in `extra`, which is left out if it is empty. A fraction in `extra`
    is a float if the float holds all its digits, else text, and so is what is not a number, for example NaN. The dict of a `Hook`
    holds its secret.

    Raises:
        TypeError: `model` is not a model.
        ValueError: A time of it has no zone, or is beyond the calendar in UTC. The API sends no such time.
    """
    return _plain_model(_checked(model), _as_float)


def to_json(model: object) -> bytes:
    """Return a model as JSON in UTF-8: one line, without an end of line. It holds what `to_dict` returns.

    A fraction in `extra` is a number with all its digits. No character in the text ends a line, for any reader of lines.

    Raises:
        TypeError: `model` is not a model.
        ValueError: As for `to_dict`.
    """
    return _escaped(_encoded(_plain_model(_checked(model), _as_it_is)))


def extra_to_json(extra: Mapping[str, Any]) -> str:
    """Return the fields that the API has added as one line of JSON, as `to_json` writes them."""
    return _escaped(_encoded(_plain(extra, _as_it_is))).decode()


def plain_field(value: Any) -> Any:
    """Return the value of a field in the form that it has in `to_dict`."""
    return str(value) if isinstance(value, Decimal) else _plain(value, _as_float)


def text_of(value: datetime) -> str:
    """Return a time as the API writes it, or raise a `ValueError` if the time is no instant of the calendar in UTC."""
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    if value.tzinfo is not UTC:
        # `astimezone` would take such a time for one in this machine's zone.
        if value.utcoffset() is None:
            raise ValueError(f"a time of a model must be timezone-aware: {value.isoformat()}")
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"a time of a model is out of range in UTC: {value.isoformat()}") from None
    return value.isoformat(timespec=precision).replace("+00:00", "Z")


# --- to plain values --------------------------------------------------------------------------------------------------

# Returns what stands for a `Decimal` in `extra`.
_Fraction: TypeAlias = Callable[[Decimal], object]


def _checked(model: object) -> object:
    if isinstance(model, type) or not attrs.has(type(model)):
        raise TypeError(f"expected a model, for example a CallRecord, not {type(model).__name__}")
    return model


@cache
def _names(model: Any) -> tuple[str, ...]:
    return tuple(each.name for each in attrs.fields(model) if each.name != "extra")


def _plain_model(model: Any, fraction: _Fraction) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name in _names(type(model)):  # type: ignore[arg-type] # a class has a hash
        value = getattr(model, name)
        if type(value) not in _AS_THEY_ARE:
            # Money is text, whatever stands for the fractions in `extra`.
            value = str(value) if isinstance(value, Decimal) else _plain(value, fraction)
        plain[name] = value
    extra = getattr(model, "extra", None)
    if extra:
        plain["extra"] = _plain(extra, fraction)
    return plain


def _plain(value: Any, fraction: _Fraction) -> Any:
    """Return a value of a model as JSON can hold it."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item, fraction) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, fraction) for item in value]
    return _plain_model(value, fraction) if attrs.has(type(value)) else _plain_leaf(value, fraction)


def _plain_leaf(value: Any, fraction: _Fraction) -> Any:
    match value:
        case Decimal():
            return fraction(value)
        case datetime():
            return text_of(value)
        case bytes():
            return b64encode(value).decode()
        case float():
            # Not null, as which msgspec writes what is not finite.
            return value if isfinite(value) else str(Decimal(value))
        case str() | int():  # a member of an enumeration, for example
            return value
    return str(value)


def _as_float(value: Decimal) -> float | str:
    """Return a float if the float holds all digits, else text."""
    number = float(value)
    return number if isfinite(number) and Decimal(repr(number)) == value else str(value)


def _as_it_is(value: Decimal) -> Decimal | str:
    """Return the value, which the encoder writes as a number, or the text of what is not a number in JSON."""
    sign, digits, exponent = value.as_tuple()
    if exponent == 0:
        # `5e0` of the API: as `5`, a reader would take the number for an integer.
        return Decimal((sign, (*digits, 0), -1))
    return value if value.is_finite() else str(value)


# --- to JSON ----------------------------------------------------------------------------------------------------------

# What msgspec does not write: half of a surrogate pair, and an integer beyond 64 bits.
_REFUSALS: Final = (UnicodeEncodeError, OverflowError)
# The length of a time without a fraction.
_WHOLE_SECONDS: Final = len("2026-01-01T00:00:00Z")
_BREAKS: Final = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


class _Line(msgspec.Struct, gc=False):
    """What the line of a call record holds."""

    id: str
    start_time: str
    duration: int
    billsec: int
    src: str | None
    dst: str | None
    disposition: str | None
    sip_username: str | None
    sell_price_cents: int | None
    currency: str | None
    country: str | None
    did: str | None


class _ExtendedLine(_Line, gc=False):
    """What the line of a call record with additional fields holds."""

    extra: dict[str, Any]


def to_json_lines(records: Sequence[Any]) -> bytes:
    """Return `to_json` of call records, each with an end of line. For many records, this is much faster."""
    times = texts_of([record.start_time for record in records])
    # To write records as they are, and to change the text then, takes twice as long.
    lines = [
        _Line(
            each.id, time, each.duration, each.billsec, each.src, each.dst, each.disposition, each.sip_username,
            each.sell_price_cents, each.currency, each.country, each.did,
        )
        for each, time in zip(records, times, strict=True)
    ]  # fmt: skip
    for place, extra in enumerate([record.extra for record in records]):
        if extra:
            lines[place] = _ExtendedLine(**asdict(lines[place]), extra=_plain(extra, _as_it_is))
    with suppress(*_REFUSALS):
        return _escaped(_encoder.encode_lines(lines))
    return b"".join([to_json(record) + b"\n" for record in records])


def texts_of(times: Sequence[datetime]) -> Sequence[str]:
    """Return times as the API writes them. For many times in UTC, this is much faster than `text_of` for each."""
    if not times or any([time.tzinfo is not UTC for time in times]):  # noqa: C419 # a list takes half the time of a generator
        return [text_of(time) for time in times]
    # msgspec writes no fraction, or six digits. No quote, and no other `Z`, stands in a time.
    text = _encoder.encode(times).decode()[2:-2]
    if "." not in text:
        return text.replace("Z", ".000Z").split('","')
    return [
        f"{time[:-1]}.000Z" if len(time) == _WHOLE_SECONDS else f"{time[:-4]}Z" if time.endswith("000Z") else time
        for time in text.split('","')
    ]


def add_fields(values: list[Any], records: Iterable[msgspec.Struct]) -> None:
    """Add the fields of call records to a list, one record behind the other, in the order of the fields."""
    # The fastest way to take fields out of records: no Python code runs for a record, and a tuple is gone before the next one is
    # made, so that the garbage collector has nothing to look at.
    deque(map(values.extend, map(astuple, records)), maxlen=0)


def json_of(extra: Mapping[str, Any]) -> str:
    """Return the fields that the API has added as JSON in one line, with the names of each object in order."""
    return _encoded(_plain(extra, _as_it_is), in_order=True).decode()


def _encoded(plain: dict[str, Any], *, in_order: bool = False) -> bytes:
    try:
        return (_sorting_encoder if in_order else _encoder).encode(plain)
    except _REFUSALS:
        # UTF-8 cannot hold half of a surrogate pair: it is written as JSON's escape.
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=_as_float, sort_keys=in_order)
        return text.encode("utf-8", "backslashreplace")


def _escaped(text: bytes) -> bytes:
    """Return JSON with escapes for the characters beyond ASCII that end a line to some readers, for example `str.splitlines`."""
    if not text.isascii():
        for character, escape in _BREAKS:
            text = text.replace(character, escape)
    return text
