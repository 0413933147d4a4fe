"""Whether records have come or gone, as far as the `count` of answers tells, in about one request for each 31 days.

Pure: no I/O. A server whose `count` counts all rows of a window tells how many there are in an answer of a few rows. If there are
as many as were expected, none has come and none has gone. Else the window is halved, down to single days, and these days are
pulled. A `count` cannot tell that a record was revised, nor that as many came as went.

Whether the server includes the bounds of a window is not known. A record at such a bound may make a count differ that should not.
So a count is only a reason to pull a day, and never a difference.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

# Yields the start, the end and the `limit` of a request, receives the `count` of its answer, and returns what to pull.
Counting: TypeAlias = Generator[tuple[datetime, datetime, int], int | None, list[tuple[datetime, datetime]]]

_DAY: Final = timedelta(days=1)
_WIDEST: Final = 31
# The most rows to ask for: they are not looked at.
_LIMIT: Final = 10


def days_to_pull(expected: Mapping[date, int], start: datetime, end: datetime) -> Counting:
    """Yield windows of whole days to count, and return the days to pull, each as its start and its end.

    Send the `count` of the answer to a request for the window, or `None` if the answer cannot be read.

    Args:
        expected: The number of records of each UTC day.
        start: The start of the time.
        end: Its end, which is not part of it.
    """
    begin, stop = start.astimezone(UTC).date(), (end - timedelta(microseconds=1)).astimezone(UTC).date()
    days = [begin + each * _DAY for each in range(0, (stop - begin).days + 1, _WIDEST)]
    spans = [(day, min(_WIDEST, (stop - day).days + 1)) for day in days]
    different = list[tuple[datetime, datetime]]()
    while spans:
        day, length = spans.pop(0)
        wanted = sum(expected.get(day + each * _DAY, 0) for each in range(length))
        first, last = max(start, _midnight(day)), min(end, _midnight(day + length * _DAY))
        limit = min(wanted + 1, _LIMIT)
        count = yield first, last, limit
        # A `count` of `limit` may be the number of rows in the answer: it tells nothing of a window that holds more.
        tells = count is not None and count != limit
        if not tells or (count != wanted and length == 1):
            different.append((first, last))
        elif count != wanted:
            half = length // 2
            spans[:0] = [(day, half), (day + half * _DAY, length - half)]
    return different


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
