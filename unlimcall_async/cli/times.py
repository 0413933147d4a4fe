"""Times and spans as people write them. No I/O, no clock.

A time is `now`, `today`, `yesterday`, a span such as `7d` for so long ago, a date, or a date and a time, in ISO 8601. One that does
not say its offset is in the zone that is given. Where a change of clocks makes it two, it is the first; write the offset for the
second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_DAYS_AGO: Final = {"today": 0, "yesterday": 1}
# What Python reads beyond these, such as weeks, or dates without hyphens, is more often a slip than meant.
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)

TIME_FORMS: Final = (
    "2026-05-01, 2026-05-01T12:30, with an offset or Z, 7d (ago; s, m, h, d, w), now, today or yesterday"
)


def span(text: str) -> timedelta:
    """Read a span, such as `30s` or `2h`.

    Raises:
        ValueError: It is none.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no span of time, as 30s, 15m, 2h, 7d or 4w")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Read a time, and give it in UTC.

    Raises:
        ValueError: It is none.
    """
    try:
        return _read(text, now, zone).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def _read(text: str, now: datetime, zone: tzinfo) -> datetime:
    if text == "now":
        return now
    if text in _DAYS_AGO:
        day = now.astimezone(zone).date() - timedelta(days=_DAYS_AGO[text])
        return datetime(day.year, day.month, day.day, tzinfo=zone)
    if _SPAN.fullmatch(text):
        return now - span(text)
    try:
        read = datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:  # the thirtieth of February
        read = None
    if read is None:
        raise ValueError(f"{text!r} is no time; write {TIME_FORMS}")
    return read if read.tzinfo else read.replace(tzinfo=zone)
