"""Whether records have come or gone, as far as the `count` of answers tells, in about one request for each 31 days.

Pure: no I/O. A server whose `count` counts all rows of a window tells how many there are in an answer of a few rows. If there are
as many as were expected, none has come and none has gone. Else the window is halved, down to single days, and these days are
pulled. A `count` cannot tell that a record was revised, nor that as many came as went.

A record at a bound of a window makes a count differ, or worse, agree, if the server takes the bound in another way than expected.
So a few further requests show whether the server includes rows that start at `from` and at `till`, and windows are asked such that
they hold just their own days. Even then a count is only a reason to pull a day, and never a difference.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

from attrs import frozen

from unlimcall_async.models import CdrPage

# The start and the end of a request, and its `limit`.
Request: TypeAlias = tuple[datetime, datetime, int]
# Yields requests, receives their answers, `None` for one that cannot be read, and returns what to pull.
Counting: TypeAlias = Generator[Request, CdrPage | None, list[tuple[datetime, datetime]]]

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
# The finest step of the API's times. A server that compares whole seconds rounds a bound down, and thereby to the second before.
_STEP: Final = timedelta(milliseconds=1)
_WIDEST: Final = 31
# About the most rows to ask for. A window that holds fewer is counted also by a server whose `count` counts the rows of the answer.
_LIMIT: Final = 10
# The most rows of an answer: all of those that start within one second.
_ALL: Final = 1000


@frozen
class Bounds:
    """Whether the server includes rows that start exactly at `from` and at `till`."""

    from_included: bool = True
    till_included: bool = False

    def around(self, first: datetime, last: datetime) -> tuple[datetime, datetime] | None:
        """Return the bounds with which the server selects `[first, last)`, or `None` if no request has such bounds.

        A server may compare whole seconds, and a request may not exceed 31 days.
        """
        start = first if self.from_included else _earlier(first, _STEP)
        till = last - _STEP if self.till_included else last
        possible = not first.microsecond and not last.microsecond and till - start <= _WIDEST * _DAY
        return (start, till) if possible else None


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_USUAL: Final = Bounds()


def days_to_pull(expected: Mapping[date, int], start: datetime, end: datetime) -> Counting:
    """Yield requests that count whole days, and return the days to pull, each as its start and its end.

    Args:
        expected: The number of records of each UTC day.
        start: The start of the time, in UTC.
        end: Its end, which is not part of it.
    """
    if start == end:
        return []
    bounds: Bounds | None = None
    different = list[tuple[datetime, datetime]]()
    stop = (end - timedelta(microseconds=1)).date()
    days = [start.date() + each * _DAY for each in range(0, (stop - start.date()).days + 1, _WIDEST)]
    spans = [(day, min(_WIDEST, (stop - day).days + 1)) for day in days]
    while spans:
        day, length = spans.pop(0)
        wanted = sum(expected.get(day + each * _DAY, 0) for each in range(length))
        final = day + (length - 1) * _DAY
        first, last = max(start, _midnight(day)), end if final == stop else _midnight(final + _DAY)
        asked = (bounds or _USUAL).around(first, last)
        if asked is None and length > 1:
            spans[:0] = _halves(day, length)
            continue
        limit = wanted + 1 if wanted <= _LIMIT else _LIMIT
        page = None if asked is None else (yield *asked, limit)
        if bounds is None and page is not None:
            # A row at the very start of a window may be all that the window holds, and may not be included.
            shown = _whole_start(page if page.calls else (yield *_around(first), _ALL))
            if shown is not None and (bounds := (yield from _bounds(shown))) != _USUAL:
                spans.insert(0, (day, length))
                continue
        # A server's `count` may be below the rows that it shows, and those are there all the same.
        count = None if page is None else max(page.count, len(page.calls))
        # A `count` of `limit` may be the number of rows in the answer: it tells nothing of a window that holds more.
        if count is None or count == limit or (count != wanted and length == 1):
            different.append((first, last))
        elif count != wanted:
            spans[:0] = _halves(day, length)
    return different


def _halves(day: date, length: int) -> list[tuple[date, int]]:
    half = length // 2
    return [(day, half), (day + half * _DAY, length - half)]


def _whole_start(page: CdrPage | None) -> datetime | None:
    """Return a start that a bound of a request can name: the API's bounds have milliseconds."""
    starts = (record.start_time for record in page.calls) if page is not None else iter(())
    return next((start for start in starts if start.microsecond % 1000 == 0), None)


def _bounds(start: datetime) -> Generator[Request, CdrPage | None, Bounds]:
    """Yield two requests with a bound at the start of a row, and return what they show."""
    first, last = _around(start)
    before = yield first, start, _ALL
    behind = yield start, last, _ALL
    return Bounds(from_included=behind is None or _shows(behind, start), till_included=_shows(before, start))


def _shows(page: CdrPage | None, start: datetime) -> bool:
    return page is not None and any(record.start_time == start for record in page.calls)


def _around(at: datetime) -> tuple[datetime, datetime]:
    return _earlier(at, _SECOND), at + min(_SECOND, _LAST - at)


def _earlier(at: datetime, by: timedelta) -> datetime:
    return at - min(by, at - _FIRST)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
