"""Times and spans as people write them. No I/O, no clock.

A time is `now`, `today`, `yesterday`, a span such as `7d` that counts back from now, a date, or a date and a time in ISO 8601. A
time without an offset is in the given time zone. When clocks are set back, such a time occurs twice: the first is meant, and the
second needs its offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from unlimcall_async._spans import is_span, span

_DAYS_AGO: Final = {"today": 0, "yesterday": 1}
# Python reads other forms too, such as weeks, or dates without hyphens. They are more often a slip than meant.
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)

TIME_FORMS: Final = (
    "2026-05-01, 2026-05-01T12:30, with an offset or Z, 7d (ago; s, m, h, d, w), now, today or yesterday"
)


def is_relative(text: str) -> bool:
    """Return whether a text means another time whenever it is read."""
    return text == "now" or text in _DAYS_AGO or is_span(text)


def moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Read a time, and return it in UTC.

    Raises:
        ValueError: `text` is not a time, or is out of range.
    """
    try:
        if text == "now":
            read = now
        elif text in _DAYS_AGO:
            day = now.astimezone(zone).date() - timedelta(days=_DAYS_AGO[text])
            read = datetime(day.year, day.month, day.day, tzinfo=zone)
        elif is_span(text):
            read = now - span(text)
        else:
            read = _iso(text, zone)
        return read.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def _iso(text: str, zone: tzinfo) -> datetime:
    try:
        read = datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:  # for example the thirtieth of February
        read = None
    if read is None:
        raise ValueError(f"{text!r} is not a time; write {TIME_FORMS}")
    return read if read.tzinfo else read.replace(tzinfo=zone)
