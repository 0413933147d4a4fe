"""A server for the planner alone: no sockets, no clock, and as odd as the reference allows. Its records are a plain list."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, Literal

from attrs import define, field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Question, Saturated
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import MILLISECOND, WIDEST, Range, Window, to_datetime, to_micros

Order = Literal["newest_first", "oldest_first", "insertion", "arbitrary"]
ORDERS: Final[tuple[Order, ...]] = ("newest_first", "oldest_first", "insertion", "arbitrary")


@frozen
class Habits:
    """What the reference leaves open. `step` is in microseconds."""

    order: Order = "newest_first"
    from_included: bool = True
    till_included: bool = False
    step: int = MILLISECOND
    counts_matches: bool = False
    cap: int = 1000


ALL_HABITS: Final = tuple(
    Habits(order, first, last, step, matches)
    for order, first, last, step, matches in product(
        ORDERS, (True, False), (True, False), (MILLISECOND, 1000 * MILLISECOND), (True, False)
    )
)


@define
class Server:
    """Answers windows as its habits are."""

    records: list[CallRecord]
    habits: Habits
    asked: list[Window] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        rows = [(to_micros(record.start_time), index, record) for index, record in enumerate(self.records)]
        if self.habits.order == "arbitrary":
            random.Random(7).shuffle(rows)
        elif self.habits.order != "insertion":
            rows.sort(key=lambda row: row[:2], reverse=self.habits.order == "newest_first")
        self._rows = rows
        self._places = sorted((at, place) for place, (at, _, _) in enumerate(rows))

    _rows: list[tuple[int, int, CallRecord]] = field(init=False, factory=list)
    # Where in `_rows` each start is, by time: a search, because a look at every row for each window takes most of a test's time.
    _places: list[tuple[int, int]] = field(init=False, factory=list)

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        """Return the rows of a window, and whether the page is complete."""
        assert 0 < len(window) <= WIDEST, "the API would refuse this window"
        self.asked.append(window)
        step = self.habits.step
        first, last = window.start // step, window.till // step
        low, high = first + (not self.habits.from_included), last - (not self.habits.till_included)
        begin, end = bisect_left(self._places, (low * step,)), bisect_left(self._places, ((high + 1) * step,))
        matches = [self._rows[place][2] for place in sorted(place for _, place in self._places[begin:end])]
        rows = matches[: min(limit, self.habits.cap)]
        count = len(matches) if self.habits.counts_matches else len(rows)
        return rows, len(rows) < limit and count <= len(rows)


@frozen
class Stopped:
    """An instant holds as many rows as a page can."""

    where: Range
    seen: list[CallRecord]
    before: list[CallRecord]


@define
class Pull:
    """A pull of a range through the planner, with as many questions under way as `concurrency` says, answered in any order."""

    server: Server
    wanted: Range
    limit: int
    newest_first: bool = False
    concurrency: int = 4
    chance: random.Random = field(factory=lambda: random.Random(1))
    most_held: int = 0
    seek: bool = True

    def run(self) -> list[CallRecord] | Stopped:
        """Pull everything, or up to where an instant is saturated."""
        planner = Planner(
            self.wanted,
            newest_first=self.newest_first,
            page_size=self.limit,
            concurrency=self.concurrency,
            seek=self.seek,
        )
        under_way: list[Question] = []
        output: list[CallRecord] = []
        while not planner.finished:
            while len(under_way) < self.concurrency and (question := planner.next_question()):
                under_way.append(question)
            if under_way:
                question = under_way.pop(self.chance.randrange(len(under_way)))
                rows, complete = self.server.answer(question.window, self.limit)
                planner.receive(question, page_of(rows, complete=complete))
            self.most_held = max(self.most_held, planner.held)
            while part := planner.take_first():
                if isinstance(part.state, Saturated):
                    return Stopped(part.range, readable(part.records), output)
                output += in_output_order(readable(part.records), newest_first=self.newest_first)
        return output


def page_of(rows: list[CallRecord], *, complete: bool) -> Page:
    """Return the page that has these rows, and counts them."""
    starts = [row.start_time for row in rows]
    return Page(rows, starts, len(rows), complete, any(to_micros(start) % MILLISECOND for start in starts))


def record(micros: int, number: int = 0, **changes: object) -> CallRecord:
    """Make a record that starts so many microseconds after 1970."""
    fields: dict[str, object] = {"id": f"{number}", "duration": 1, "billsec": 1} | changes
    return CallRecord(start_time=to_datetime(micros), **fields)  # type: ignore[arg-type] # a record is made of mixed types


def readable(rows: Sequence[Row]) -> list[CallRecord]:
    """The records among rows."""
    return [row for row in rows if isinstance(row, CallRecord)]


def expected(records: Iterable[CallRecord], wanted: Range, *, newest_first: bool) -> list[CallRecord]:
    """What a pull must give, from the plain list."""
    within = [r for r in records if wanted.holds(to_micros(r.start_time))]
    return in_output_order(within, newest_first=newest_first)
