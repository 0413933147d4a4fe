"""Spans of time as people write them: `30s`, `15m`, `2h`, `7d`, `4w`.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhdw])")


def is_span(text: str) -> bool:
    """Return whether a text has the form of a span of time."""
    return _SPAN.fullmatch(text) is not None


def span(text: str) -> timedelta:
    """Read a span of time, such as `30s` or `2h`.

    Raises:
        ValueError: `text` is not a span of time, or is too long.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span of time; write one like 30s, 15m, 2h, 7d or 4w")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None
