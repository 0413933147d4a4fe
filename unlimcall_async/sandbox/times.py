"""Times that a user passes to the sandbox.

Pure: no I/O. A subclass of `datetime` may subtract and format in its own way, as that of pendulum does. A plain datetime takes its
place.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def plain_time(name: str, value: object) -> datetime:
    """Require a timezone-aware datetime. Return a datetime as it is, and one of a subclass as a plain datetime in UTC."""
    if not isinstance(value, datetime):
        raise TypeError(
            f"{name} must be a datetime, not {type(value).__name__}: write, for example, datetime(2026, 5, 24, tzinfo=UTC)"
        )
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"{name} must be timezone-aware: write, for example, datetime(2026, 5, 24, tzinfo=UTC)")
    if type(value) is datetime:
        return value
    wall = datetime(  # noqa: DTZ001 # the offset is subtracted next
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    )
    return (wall - timedelta.__pos__(offset)).replace(tzinfo=UTC)
