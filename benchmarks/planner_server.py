"""A server for the planner alone: a million records, no sockets, no clock. It counts what it is asked.

What the reference leaves open is a habit of the server, which the planner is not told.
"""

from __future__ import annotations

from itertools import product
from operator import attrgetter
from typing import Final, Literal, cast

from attrs import define, frozen

from benchmarks.planner_traffic import durations, start_times
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.instants import SECOND, WIDEST, Window
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
    """The records of a year.

    Attributes:
        rows: By start and id: what must come out.
        index: Finds the numbers of the rows of a window; a row's number is its place in the order in which the calls ended.
        numbered: The rows by number.
        instants: Their start times by number, in microseconds.
    """

    def __init__(self, kind: str, records: int, seed: int) -> None:
        # Ids as Asterisk makes them: the second, and a counter. As text they do not sort as numbers do.
        calls = zip(start_times(kind, records, seed), durations(records, seed), strict=True)
        found, ends = list[Row](), list[int]()
        for count, (at, lasts) in enumerate(calls):
            found.append(Row(f"{at // SECOND}.{count}", at, lasts))
            ends.append(at + lasts)
        self.numbered = [found[place] for place in sorted(range(records), key=ends.__getitem__)]
        self.instants = [row.millis * 1000 for row in self.numbered]
        self.index = CallIndex()
        self.index.add([row.millis for row in self.numbered])
        self.rows = sorted(found, key=attrgetter("millis", "id"))
        for rank, row in enumerate(self.rows):
            row.rank = rank


@frozen
class Bounds:
    """How windows are compared: each bound included or not, times and bounds cut down to steps of so many milliseconds."""

    from_included: bool
    till_included: bool
    step: int

    def covered(self, window: Window) -> tuple[int, int]:
        """Give the first millisecond that the window covers, and the first behind it that it does not."""
        first, last = (at // self.step * self.step for at in (window.start, window.till))
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

    def answer(self, window: Window) -> Answer:
        """Answer a window, as the planner is told of it."""
        rows, instants, count = self.page(window)
        # It takes whole records for granted but looks at their ids and durations alone, and a million of them would only cost time.
        return Answer(cast("list[CallRecord]", rows), instants, count, len(rows) < PAGE and count <= len(rows))

    def page(self, window: Window) -> tuple[list[Row], list[int], int]:
        """Give the rows of a window, as many as fit on a page, their instants, and `count`."""
        if not 0 < len(window) <= WIDEST:
            raise ValueError(f"the API refuses a window of {len(window)} ms")
        self.requests += 1
        first, end = self.bounds.covered(window)
        numbers, matches = self.calls.index.find(first, end, order=self.order, limit=PAGE)
        rows = [self.calls.numbered[number] for number in numbers]
        instants = [self.calls.instants[number] for number in numbers]
        return rows, instants, matches if self.counts_matches else len(rows)
