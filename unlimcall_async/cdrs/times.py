"""Times as whole microseconds since 1970, in UTC: the only unit in which windows are cut, widened and compared.

Pure: no I/O. Datetimes compare and add by the wall clock within one zone, which is wrong across a change of its offset, and floats
round. A microsecond is the finest time that a datetime holds. Windows begin and end at whole milliseconds, the finest time that the
API writes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

MILLISECOND: Final = 1000
SECOND: Final = 1000 * MILLISECOND
# The widest window that the API answers (reference: `GET /cdrs`, till).
WIDEST: Final = 31 * 24 * 3600 * SECOND

# The first and the last time that a datetime holds.
FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND


def to_micros(moment: datetime) -> int:
    """Return the microseconds from 1970 to an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def to_datetime(micros: int) -> datetime:
    """Return the UTC datetime of a number of microseconds since 1970, or the nearest one that a datetime holds."""
    return EPOCH + min(max(micros, FIRST), LAST) * _MICROSECOND


def floor(micros: int, step: int) -> int:
    """Return the last multiple of `step` that is not after a time."""
    return micros // step * step


def ceil(micros: int, step: int) -> int:
    """Return the first multiple of `step` that is not before a time."""
    return -(-micros // step) * step


@frozen(order=True)
class Range:
    """The microseconds from `start` up to, but not including, `end`. Both are whole milliseconds, except in tests."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def holds(self, micros: int) -> bool:
        """Return whether a time lies in the range."""
        return self.start <= micros < self.end


@frozen
class Window:
    """The `from` and `till` of one request, in microseconds. Only the server shows whether it includes either bound."""

    start: int
    till: int

    def __len__(self) -> int:
        return self.till - self.start
