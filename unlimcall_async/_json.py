"""The one reader of JSON that comes from outside: responses, deliveries of webhooks, stored states, options of the command.

Pure: no I/O. All readers of the package refuse the same texts, because all of them call `read`. Only `_pages` decodes by itself,
for speed, with the same library. The reader takes JSON as RFC 8259 defines it. Where the RFC leaves a choice:

- The text is UTF-8 without a byte order mark. Other readers guess at UTF-16.
- Half of a surrogate pair is refused, escaped or not. Python can hold such a half, but no file, socket or database takes it.
- No number changes when it is read: integers are `int`, and numbers with a fraction or an exponent are `Decimal`. A number that
  these cannot hold is refused.
- Nesting that Python's stack cannot hold is refused.
- If an object has a name twice, the last value counts.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from math import isinf
from typing import Any, Final

import msgspec


class JsonError(ValueError):
    """A text is refused by `read`. The error does not show the text, which may hold phone numbers."""

    def __init__(self) -> None:
        super().__init__("the text is not JSON in UTF-8 that can be read exactly")


def read(text: str | bytes, *, fractions: type[Decimal | float] = Decimal) -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text, or its bytes.
        fractions: The type of numbers with a fraction or an exponent. `float` is for values that users pass to other code, or that
            are written as JSON again; a number beyond its range is refused.

    Raises:
        JsonError: The text is refused.
        TypeError: `text` is neither text nor bytes.
    """
    if isinstance(text, str):
        # msgspec takes no subclass of `str`, for example a member of an enumeration.
        text = str.__str__(text)
    try:
        return (_exact if fractions is Decimal else _floating).decode(text)
    except (msgspec.DecodeError, DecimalException, RecursionError, ValueError):
        # ValueError: bytes that are not UTF-8, a `str` that UTF-8 cannot hold, and an integer of more digits than Python is set to
        # read. A chained error would quote the text.
        raise JsonError from None


def _decimal(number: str) -> Decimal:
    value = Decimal(number)
    # For an exponent beyond its limits, Decimal raises an error, or returns NaN if the user's context has no trap for that.
    if not value.is_finite():
        raise JsonError
    return value


def _float(number: str) -> float:
    value = float(_decimal(number))
    if isinf(value):
        raise JsonError
    return value


_exact: Final = msgspec.json.Decoder(float_hook=_decimal)
_floating: Final = msgspec.json.Decoder(float_hook=_float)
