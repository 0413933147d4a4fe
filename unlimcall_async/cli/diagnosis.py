"""What `doctor` asks the server about call records, and what the responses show. No I/O.

`examine` is a generator. It yields windows to ask, is sent the pages, and returns how the server does what the reference leaves
open. A point that the account's calls cannot show stays `None`.

The main page covers the 31 days up to an hour ago. Calls of the last hour may still be written, and a row that appears between two
questions looks like a row that was left out before. The examination then takes one row of the main page that has few others near,
and asks for windows that begin or end on this row.

To see how finely times are compared, one bound is moved off the row by a millisecond, within the row's second. A server that
compares seconds gives the same page. Which bound is moved depends on which bounds are included. If `from` is not included, `till`
is, and the row starts on a whole second, both kinds of server give the same pages, and the point stays unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import attrs

from unlimcall_async import CallRecord, CdrPage

# The most questions that one examination asks.
MOST: Final = 7

# The longest window that the API allows, and its documented page cap.
_LONGEST: Final = timedelta(days=31)
_LIMIT: Final = 1000
_SETTLED: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)

# A page of 6 instants in random order looks sorted once in 360 times (2 / 6!), a page of 5 already once in 60.
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
    """How the server behaves. A point that is not known is `None`.

    Attributes:
        rows: The number of rows of the main page.
        order: The server order.
        from_included: Whether a row that starts exactly at `from` is in the window.
        till_included: Whether a row that starts exactly at `till` is in the window.
        resolution: How finely bounds and times are compared.
        count: Whether `count` counts the rows of the page or all rows that match.
        cap: The page cap, if a page met it.
    """

    rows: int = 0
    order: Order | None = None
    from_included: bool | None = None
    till_included: bool | None = None
    resolution: Literal["ms", "s"] | None = None
    count: Literal["rows", "matches"] | None = None
    cap: int | None = None


Examination: TypeAlias = Generator[Question, CdrPage, Server]


def examine(now: datetime) -> Examination:
    """Ask for the main page, and then ask the questions that the page leaves open."""
    whole = Question(now - _SETTLED - _LONGEST, now - _SETTLED)
    page = yield whole
    server = Server(rows=len(page.calls), order=order_of(page.calls))
    if (row := lonely_row(page.calls, whole)) is not None:
        server = yield from _bounds(server, row)

    # `count`: the main page shows its meaning if it counts more than it holds. Else a page of one row does.
    if page.count > len(page.calls):
        server = attrs.evolve(server, count="matches")
    elif len(page.calls) >= 2:
        short = yield attrs.evolve(whole, limit=1)
        if len(short.calls) == 1 and short.count >= 1:
            server = attrs.evolve(server, count="rows" if short.count == 1 else "matches")

    # The page cap: a full page has met it. A page that looks complete may have met a lower cap; then the halves of its window hold
    # rows that the page does not. A server that counts all matches has said already that the page is complete.
    if not page.complete:
        return attrs.evolve(server, cap=len(page.calls))
    starts = sorted({row.start_time for row in page.calls})
    if len(starts) < 2 or server.count == "matches":
        return server
    seen, middle = set(page.calls), starts[len(starts) // 2]
    for half in (attrs.evolve(whole, end=middle), attrs.evolve(whole, start=middle)):
        half_page = yield half
        if not seen.issuperset(half_page.calls):
            return attrs.evolve(server, cap=len(page.calls))
    return server


def order_of(rows: Sequence[CallRecord]) -> Order | None:
    """Return the order of a page; `None` if the page has too few instants to tell an order from chance."""
    starts = [row.start_time for row in rows]
    if len(set(starts)) < _ENOUGH:
        return None
    if all(one <= next_one for one, next_one in pairwise(starts)):
        return "oldest first"
    return "newest first" if all(one >= next_one for one, next_one in pairwise(starts)) else "not sorted"


def lonely_row(rows: Sequence[CallRecord], window: Question) -> datetime | None:
    """Return the start of the row that shows the most: with room in the window, within its second, with the fewest rows near."""
    near = Counter(_second(row.start_time) for row in rows)
    margin = 2 * _SECOND
    starts = [
        row.start_time
        for row in rows
        # A row in the last millisecond of its second would leave the second when a bound moves.
        if window.start + margin < row.start_time < window.end - margin and row.start_time.microsecond < 999_000
    ]

    def rank(start: datetime) -> tuple[bool, int]:
        second = _second(start)
        return start.microsecond < 1000, sum(near[second + step] for step in (-1, 0, 1))

    return min(starts, key=rank, default=None)


def _second(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def _bounds(server: Server, row: datetime) -> Examination:
    """Ask whether bounds are included, and how finely times are compared."""
    begin = yield from _holds(row, Question(row, row + _SECOND))
    end = yield from _holds(row, Question(row - _SECOND, row))
    server = attrs.evolve(server, from_included=begin, till_included=end)
    if begin is None or end is None:
        return server
    # In each case, a server that compares milliseconds gives the other page than a server that compares seconds.
    if begin:  # `from` behind the row: only a server that compares seconds still gives the row
        moved, coarse_holds = Question(row + _MILLISECOND, row + _SECOND + _MILLISECOND), True
    elif not end:  # `till` behind the row: only a server that compares seconds still leaves the row out
        moved, coarse_holds = Question(row - _SECOND, row + _MILLISECOND), False
    elif row.microsecond >= 1000:  # `from` before the row, within its second: the same
        moved, coarse_holds = Question(row - _MILLISECOND, row + _SECOND), False
    else:
        return server
    held = yield from _holds(row, moved)
    if held is None:
        return server
    return attrs.evolve(server, resolution="s" if held is coarse_holds else "ms")


def _holds(row: datetime, question: Question) -> Generator[Question, CdrPage, bool | None]:
    """Return whether the page holds the row; `None` if the page may have been cut before the row."""
    page = yield question
    if any(call.start_time == row for call in page.calls):
        return True
    return False if page.complete else None


def skew(date: str | None, before: datetime, after: datetime) -> float | None:
    """Return by how many seconds the server's clock is ahead, at least.

    The server's `Date` is cut to the second, and was written at some time between the request and the response. The result is 0 if
    both clocks may agree.
    """
    try:
        server = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if server.tzinfo is None:
        return None
    least, most = server - after, server - before + timedelta(seconds=1)
    if least <= timedelta(0) <= most:
        return 0.0
    return (least if least > timedelta(0) else most).total_seconds()
