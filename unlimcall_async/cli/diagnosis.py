"""What the server turns out to be like where the reference is silent: the questions, and what the answers show. No I/O.

`examine` is a generator: it yields windows to ask, is sent the pages that came, and returns what they showed. A point that the
account's calls cannot show stays `None`.

The main page is the 31 days up to an hour ago: of the last hour, calls may still be written, and a row that appears between two
questions looks like one that was left out before. One row of it, with few others near, is then looked for in windows that begin or
end on it. To see how finely times are compared, a bound is moved off the row by a millisecond within its second: a server that
compares seconds does not notice. Which bound, depends on whether bounds are included; where `from` is not, `till` is, and the row
starts on a whole second, both kinds of server answer alike, and nothing can be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import attrs

from unlimcall_async import CallRecord, CdrPage

# The questions that one examination asks at the most.
MOST: Final = 7

_WIDEST: Final = timedelta(days=31)
_SETTLED: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LIMIT: Final = 1000

# Of fewer rows, one order in a few hundred would look sorted by chance.
_ENOUGH: Final = 6

Order: TypeAlias = Literal["newest first", "oldest first", "not sorted"]


@attrs.frozen
class Question:
    """A window to ask, as `client.cdrs.list` takes it."""

    start: datetime
    end: datetime
    limit: int = _LIMIT


@attrs.frozen
class Server:
    """What was found out; `None` where nothing was.

    Attributes:
        rows: The rows of the main page.
        order: Their order.
        from_included: Whether a row that starts exactly at `from` is in the window.
        till_included: Whether one that starts exactly at `till` is.
        resolution: How finely bounds and times are compared.
        count: Whether `count` counts the rows of the page or all that match.
        cap: How many rows an answer holds at the most.
    """

    rows: int = 0
    order: Order | None = None
    from_included: bool | None = None
    till_included: bool | None = None
    resolution: Literal["ms", "s"] | None = None
    count: Literal["rows", "matches"] | None = None
    cap: int | None = None


Examination: TypeAlias = Generator[Question, CdrPage, Server]
_Found = Generator[Question, CdrPage, bool | None]


def examine(now: datetime) -> Examination:
    """Ask for the main page, and then for what it leaves open."""
    whole = Question(now - _SETTLED - _WIDEST, now - _SETTLED)
    page = yield whole
    server = Server(rows=len(page.calls), order=order_of(page.calls))
    if (row := telling_row(page.calls, whole)) is not None:
        server = yield from _bounds(server, row)
    server = yield from _count(server, page, whole)
    return (yield from _cap(server, page, whole))


def order_of(rows: Sequence[CallRecord]) -> Order | None:
    """Tell the order of a page, if it has enough rows to tell it from chance."""
    starts = [row.start_time for row in rows]
    if len(set(starts)) < _ENOUGH:
        return None
    if all(one <= next_one for one, next_one in pairwise(starts)):
        return "oldest first"
    return "newest first" if all(one >= next_one for one, next_one in pairwise(starts)) else "not sorted"


def telling_row(rows: Sequence[CallRecord], window: Question) -> datetime | None:
    """Give the start of the row that shows the most: within the window, and within its second; else with the fewest others near."""
    near = Counter(_second(row.start_time) for row in rows)
    margin = 2 * _SECOND
    starts = [
        row.start_time
        for row in rows
        if window.start + margin < row.start_time < window.end - margin and row.start_time.microsecond < 999_000
    ]

    def worth(start: datetime) -> tuple[bool, int]:
        second = _second(start)
        return start.microsecond < 1000, sum(near[second + step] for step in (-1, 0, 1))

    return min(starts, key=worth, default=None)


def _second(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def _bounds(server: Server, row: datetime) -> Examination:
    begin = yield from _holds(row, Question(row, row + _SECOND))
    end = yield from _holds(row, Question(row - _SECOND, row))
    server = attrs.evolve(server, from_included=begin, till_included=end)
    if begin is None or end is None:
        return server
    if begin:
        coarse = yield from _holds(row, Question(row + _MILLISECOND, row + _SECOND + _MILLISECOND))
    elif not end:
        coarse = yield from _lacks(row, Question(row - _SECOND, row + _MILLISECOND))
    elif row.microsecond >= 1000:
        coarse = yield from _lacks(row, Question(row - _MILLISECOND, row + _SECOND))
    else:
        return server
    return attrs.evolve(server, resolution=None if coarse is None else "s" if coarse else "ms")


def _holds(row: datetime, question: Question) -> _Found:
    """Tell whether a row is in the answer; `None` where it may have been cut off."""
    page = yield question
    if any(call.start_time == row for call in page.calls):
        return True
    return False if page.complete else None


def _lacks(row: datetime, question: Question) -> _Found:
    held = yield from _holds(row, question)
    return None if held is None else not held


def _count(server: Server, page: CdrPage, whole: Question) -> Examination:
    if page.count > len(page.calls):
        return attrs.evolve(server, count="matches")
    if len(page.calls) < 2:
        return server
    short = yield attrs.evolve(whole, limit=1)
    if len(short.calls) != 1 or short.count < 1:
        return server
    return attrs.evolve(server, count="rows" if short.count == 1 else "matches")


def _cap(server: Server, page: CdrPage, whole: Question) -> Examination:
    """Find out whether the main page was cut: a part of its window then holds rows that it does not."""
    rows = len(page.calls)
    if not page.complete:  # it is full, or says that there are more
        return attrs.evolve(server, cap=rows)
    starts = sorted({row.start_time for row in page.calls})
    if len(starts) < 2 or server.count == "matches":
        return server
    seen, middle = set(page.calls), starts[len(starts) // 2]
    for part in (attrs.evolve(whole, end=middle), attrs.evolve(whole, start=middle)):
        answer = yield part
        if not seen.issuperset(answer.calls):
            return attrs.evolve(server, cap=rows)
    return server
