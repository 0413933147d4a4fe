"""Time as whole numbers, in UTC: the only form in which windows are cut, widened and compared.

Pure: no I/O. Datetimes compare and add by the wall clock within one zone, which is wrong across a change of its offset, and floats
round. Instants are microseconds since 1970, as fine as a datetime; windows are asked in milliseconds, as fine as the API writes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND

SECOND: Final = 1000
# The widest window that the API answers (reference: `GET /cdrs`, till).
WIDEST: Final = 31 * 24 * 3600 * SECOND


def micros_of(moment: datetime) -> int:
    """Give the microseconds since 1970 of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def moment_of_micros(micros: int) -> datetime:
    """Give the UTC datetime of so many microseconds since 1970, or the nearest that a datetime can hold."""
    return EPOCH + min(max(micros, _FIRST), LAST) * _MICROSECOND


def moment_of(millis: int) -> datetime:
    """Give the UTC datetime of so many milliseconds since 1970."""
    return moment_of_micros(millis * 1000)


@frozen(order=True)
class Range:
    """The milliseconds from `start` up to, but not including, `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@frozen
class Window:
    """What is asked: `from` and `till` in milliseconds. Whether either is included is for the server to show."""

    start: int
    till: int

    def __len__(self) -> int:
        return self.till - self.start
