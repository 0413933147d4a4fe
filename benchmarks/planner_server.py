"""A server for the planner alone: a million records, no sockets, no clock. It counts what it is asked.

What the reference leaves open is a habit of the server, which the planner is not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import product
from operator import attrgetter
from typing import Final, Literal, cast

from attrs import define, frozen

from benchmarks.planner_traffic import SECOND, durations, start_times
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.times import MILLISECOND, WIDEST, Window, to_datetime
from unlimcall_async.sandbox.call_index import CallIndex

Order = Literal["newest_first", "oldest_first", "insertion", "arbitrary"]
ORDERS: Final[tuple[Order, ...]] = ("newest_first", "oldest_first", "insertion", "arbitrary")

# The most that a page holds, and what is asked for (reference: `GET /cdrs`, limit).
PAGE: Final = 1000


class Row:
    """As much of a call record as the planner looks at, and its rank among all records by start and id."""

    __slots__ = ("duration", "id", "millis", "rank")

    def __init__(self, call_id: str, millis: int, lasts: int) -> None:
        self.id = call_id
        self.millis = millis
        # In whole seconds, as the API writes it; the calls end when they do.
        self.duration = lasts // SECOND
        self.rank = 0


class Calls:
    """The records of a year, or of a shorter range.

    Args:
        calls: Of each call, when it starts and how long it lasts, in milliseconds, the earliest first.

    Attributes:
        rows: By start and id: what must come out.
        index: Finds the numbers of the rows of a window; a row's number is its place in the order in which the calls ended.
        numbered: The rows by number.
        starts: When they start, by number.
    """

    def __init__(self, calls: Iterable[tuple[int, int]]) -> None:
        # Ids as Asterisk makes them: the second, and a counter. As text they do not sort as numbers do.
        found, ends = list[Row](), list[int]()
        for count, (at, lasts) in enumerate(calls):
            found.append(Row(f"{at // SECOND}.{count}", at, lasts))
            ends.append(at + lasts)
        self.numbered = [found[place] for place in sorted(range(len(found)), key=ends.__getitem__)]
        self.starts = [to_datetime(row.millis * MILLISECOND) for row in self.numbered]
        self.index = CallIndex()
        self.index.add([row.millis for row in self.numbered])
        self.rows = sorted(found, key=attrgetter("millis", "id"))
        for rank, row in enumerate(self.rows):
            row.rank = rank

    @classmethod
    def of_year(cls, kind: str, records: int, seed: int) -> Calls:
        """Make so many records of a kind of traffic."""
        return cls(zip(start_times(kind, records, seed), durations(records, seed), strict=True))


@frozen
class Bounds:
    """How windows are compared: each bound included or not, times and bounds cut down to steps of so many milliseconds."""

    from_included: bool
    till_included: bool
    step: int

    def covered(self, window: Window) -> tuple[int, int]:
        """Return the first millisecond that the window covers, and the first behind it that it does not."""
        first, last = (at // MILLISECOND // self.step * self.step for at in (window.start, window.till))
        return first if self.from_included else first + self.step, last + self.step if self.till_included else last


ALL_BOUNDS: Final = tuple(Bounds(*each) for each in product((True, False), (True, False), (1, SECOND)))


@define
class Server:
    """Answers windows as its habits are.

    Attributes:
        calls: What it holds.
        order: The order of the rows of an answer.
        bounds: How it compares.
        counts_matches: Whether `count` is that of all matches, instead of that of the rows.
        requests: How many windows it was asked for.
    """

    calls: Calls
    order: Order
    bounds: Bounds
    counts_matches: bool = False
    requests: int = 0

    def answer(self, window: Window) -> Page:
        """Return the page of a window, as the planner receives it."""
        rows, starts, count = self.page(window)
        # It takes whole records for granted but looks at their ids and durations alone, and a million of them would only cost time.
        return Page(cast("list[CallRecord]", rows), starts, count, len(rows) < PAGE and count <= len(rows))

    def page(self, window: Window) -> tuple[list[Row], list[datetime], int]:
        """Return the rows of a window, as many as fit on a page, their starts, and `count`."""
        if not 0 < len(window) <= WIDEST:
            raise ValueError(f"the API refuses a window of {len(window)} µs")
        self.requests += 1
        first, end = self.bounds.covered(window)
        numbers, matches = self.calls.index.find(first, end, order=self.order, limit=PAGE)
        rows = [self.calls.numbered[number] for number in numbers]
        starts = [self.calls.starts[number] for number in numbers]
        return rows, starts, matches if self.counts_matches else len(rows)
