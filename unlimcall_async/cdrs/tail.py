"""What a follow still has to ask of the time that it covers, and what is new in the answers: records, and changes of records.

Pure: no I/O, and time is an argument. All times are microseconds since 1970, and whole milliseconds.

Theory. A record is written when its call ends but dated by its start. So the range grows at its end and, for `lookback`, fills
up behind the end. Every stretch of time has to be asked until it was asked once at least `lookback` after its end: whatever may
appear in the stretch has appeared by then. Nothing else is needed to be complete, however late a poll comes, and in whatever
order stretches are asked. A poll that asks all that is open reaches back `lookback` from the start of the poll before it. Time
is divided into cells, some two dozen to a lookback, each with the time at which it was last asked. Cells before the `frontier` are
closed; nothing behind the `edge` was ever asked.

What is open costs one request at most times, and far more after a burst of calls. Then a poll asks the newest cells, where most new
records appear. Of the older cells it asks those that have waited longest, so that each is asked in its turn.

A mark of each record that was handed out is kept until its cell is closed: see `marks`. A short mark does not tell the time of its
record more finely than its cell. So cells that a follow with another lookback has left may be put together, and are never divided.

A record is gone if a complete answer for its instant does not hold the record. A record that cannot be read any more is not gone.
So nothing counts as gone at the start of a bad row, and in the windows that have shown a row without a start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import accumulate, groupby
from math import ceil as round_up
from operator import attrgetter
from typing import Final, Self

from attrs import evolve

from unlimcall_async.cdrs.cells import OpenCell, open_cells
from unlimcall_async.cdrs.checkpoint import UnplacedMark
from unlimcall_async.cdrs.follow_checkpoint import Cell, TailPlace
from unlimcall_async.cdrs.lateness import Lateness
from unlimcall_async.cdrs.marks import Found, Marks, Name, Removed, Revised, name_of
from unlimcall_async.cdrs.rows import BadRow, Row, UnplacedRow
from unlimcall_async.cdrs.times import FIRST, LAST, MILLISECOND, SECOND, WIDEST, Range, floor, to_micros
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.models import CallRecord

# Cells to a lookback: the more, the less is asked again of a cell that a poll has covered in part, and the longer the checkpoint.
_CELLS: Final = 24
# Rows that were seen and still fit on a page of 1000 with those that may have come since. More rows take twice as many pages, if
# the server does not sort.
_PAGE: Final = 900
# The share of a poll's requests that its newest cells may take.
_NEWEST: Final = 0.5

# The last whole millisecond that a datetime holds.
_LAST: Final = floor(LAST, MILLISECOND)

_start = attrgetter("start")
_start_and_id = attrgetter("start_time", "id")


class Tail:
    """What a follow knows of the time that it covers.

    A poll plans. For each range of the plan the caller begins, hands out records in order, each of them recorded first, and reports
    how far it is. Whatever is left undone is planned again.

    Args:
        place: The place that a checkpoint holds.
        lookback: How long after its start a record may appear, in microseconds.

    Attributes:
        frontier: Everything before it is closed.
        edge: Everything before it was asked at least once.
        holes: Ranges that are not to be asked.
        lateness: How late records came.
        settled: Up to here no row without a start is left that belongs before the records that are being handed out.
    """

    def __init__(self, place: TailPlace, lookback: int) -> None:
        self.frontier: int = place.frontier
        self.edge: int = place.edge
        self.holes: list[Range] = list(place.holes)
        self.lateness: Lateness = Lateness()
        self._lookback = lookback
        self._width = max(SECOND, floor(lookback // _CELLS, MILLISECOND))
        # In order, without gaps, from the one that holds the frontier on.
        self._cells = list(open_cells(place.cells, self._width, self.frontier))
        # The range that is being asked, since when, and up to where its cells were handed out whole.
        self._range = Range(self.frontier, self.frontier)
        self._asked_at = self._next = 0
        self.settled: int = 0
        # The cell of the last record that was recorded.
        self._last_cell: OpenCell | None = None
        # Where a row of the range cannot be read, so that no record counts as gone.
        self._doubtful: list[Range] = []
        self._known_until: int | None = None
        self._close_cells()

    @classmethod
    def from_start(cls, start: int, lookback: int) -> Self:
        """Return a tail of which nothing was asked yet."""
        return cls(TailPlace(start, start), lookback)

    def place(self) -> TailPlace:
        """Return what a checkpoint has to hold. The marks of a cell are the same object as before, unless some were added."""
        cells = (
            Cell(cell.start, cell.end, cell.asked_at, *cell.marks.packed)
            for cell in self._cells
            if cell.asked_at is not None or len(cell.marks)
        )
        return TailPlace(self.frontier, self.edge, tuple(cells), tuple(self.holes))

    @property
    def held(self) -> int:
        """How many rows have marks that are kept."""
        return sum(len(cell.marks) for cell in self._cells)

    @property
    def known_until(self) -> int:
        """The time at which the API held nothing that was not handed out by now."""
        if self._known_until is None:
            asked = (cell.asked_at for cell in self._cells if cell.asked_at is not None)
            self._known_until = min(self.edge, min(asked, default=self.edge))
        return self._known_until

    # --- what to ask ----------------------------------------------------------------------------------------------------

    def plan(self, now: int, budget: int | None) -> list[Range]:
        """Return what to ask up to now, in order.

        Args:
            now: The time, in microseconds since 1970.
            budget: About how many requests to spend, or `None` to ask all that is open.
        """
        if now <= self.frontier:
            return []
        cells = self._cells[: self._place_of(now - 1) + 1]
        if not cells or cells[-1].end < now:
            cells.append(OpenCell(cells[-1].end if cells else self.frontier, now))
        rows = [0, *accumulate(len(cell.marks) for cell in cells)]

        def cost(first: int, behind: int) -> int:
            months = round_up((cells[behind - 1].end - cells[first].start) / WIDEST)
            seen = rows[behind] - rows[first]
            return months if seen <= _PAGE else max(months, 2 * round_up(seen / _PAGE))

        if budget is None or cost(0, len(cells)) <= budget:
            return [Range(self.frontier, now)]
        # Each poll asks the newest cells: all that were never asked, and those beside them that half of the budget allows.
        newest = max(0, bisect_right(cells, self.edge, key=_start) - 1)
        while newest and cost(newest - 1, len(cells)) <= budget * _NEWEST:
            newest -= 1
        if not newest:
            return [Range(self.frontier, now)]
        # The rest of the budget goes to the cells that have waited longest: one at least.
        rest = budget - cost(newest, len(cells))
        stalest = min(range(newest), key=lambda place: _asked_at_or_never(cells[place]))
        behind = stalest + 1
        while behind < newest and cost(stalest, behind + 1) <= rest:
            behind += 1
        older = Range(max(self.frontier, cells[stalest].start), cells[behind - 1].end)
        if behind == newest:
            return [Range(older.start, now)]
        return [older, Range(cells[newest].start, now)]

    def _place_of(self, at: int) -> int:
        """Return the place, among the cells, of the last one that begins before a time, or at that time; -1 if none does."""
        return bisect_right(self._cells, at, key=_start) - 1

    # --- what came ------------------------------------------------------------------------------------------------------

    def ranges(self, now: int, budget: int | None) -> Iterator[Range]:
        """Yield the ranges that `plan` chooses, in order and without the holes. Taking the next one reports the last as asked."""
        for wanted in self.plan(now, budget):
            yield from self.begin(wanted, now)
            self.reached(wanted.end)

    def begin(self, wanted: Range, now: int) -> list[Range]:
        """Begin to ask a range of the plan, and return its pieces between the holes, in order."""
        self._range, self._asked_at, self._next = wanted, now, wanted.start
        self.settled = wanted.start
        self._last_cell, self._doubtful = None, []
        pieces = []
        at = wanted.start
        for hole in sorted(hole for hole in self.holes if hole.start < wanted.end):
            if at < hole.start:
                pieces.append(Range(at, hole.start))
            at = max(at, hole.end)
        return [*pieces, Range(at, wanted.end)] if at < wanted.end else pieces

    def index(self) -> Iterator[None]:
        """Prepare, step by step, for the rows of the range that was begun: `found` does in one step what is left of this."""
        for cell in self._cells_of(self._range):
            yield from cell.marks.index()

    def found(self, records: Sequence[CallRecord], within: Range, *, owed: bool = False) -> list[Found]:
        """Return which records are new or have changed, and which others are gone, by start and id.

        Args:
            records: All records of each of their instants, ordered.
            within: The stretch of time that the answer covers, in microseconds.
            owed: Whether to return changes that were passed over, too.
        """
        found, came = list[Found](), set[Name]()
        for _, same_name in groupby(records, key=_start_and_id):
            same = list(same_name)
            cell = self._known_cell(to_micros(same[0].start_time))
            if cell is None:
                found += same
            else:
                came.add(name_of(same[0]))
                found += cell.marks.compare(same, owed=owed)
        gone = [each for cell in self._cells_of(within) for each in cell.marks.absent(within, came, owed=owed)]
        gone = [each for each in gone if not any(doubt.holds(each.name[0]) for doubt in self._doubtful)]
        return [*merge(found, gone, key=_name_of)] if gone else found

    def _cells_of(self, stretch: Range) -> Iterator[OpenCell]:
        for cell in self._cells[max(0, self._place_of(stretch.start)) :]:
            if cell.start >= stretch.end:
                break
            yield cell

    def new_bad(self, rows: Sequence[BadRow]) -> list[BadRow]:
        """Return the rows that were not handed out, of all bad rows of some instants, ordered."""
        new = list[BadRow]()
        for _, same_name in groupby(rows, key=_start_and_id):
            same = list(same_name)
            cell = self._known_cell(to_micros(same[0].start_time))
            new += same if cell is None else cell.marks.new_bad(same)
        return new

    def doubt(self, stretch: Range) -> None:
        """Record that a row of the range cannot be read, and was somewhere in a stretch of time."""
        self._doubtful.append(stretch)

    def _known_cell(self, at: int) -> OpenCell | None:
        place = self._place_of(at)
        return self._cells[place] if place >= 0 and self._cells[place].holds(at) else None

    def record(self, row: Row) -> None:
        """Record that a row is about to be handed out, and that all before it were."""
        at = floor(to_micros(row.start_time), MILLISECOND)
        cell = self._last_cell
        if cell is None or not cell.holds(at):
            self.reached(min(at, self.settled))
            cell = self._last_cell = self._cell_at(at)
        cell.marks.add(row)
        if cell.asked_at is not None:
            # It was not there when the cell was asked before.
            self.lateness.add(cell.asked_at - at)

    def settle(self, change: Revised | Removed, *, handed_out: bool) -> None:
        """Record that a change is about to be handed out, or is passed over, and that all before it were."""
        self.reached(min(floor(change.name[0], MILLISECOND), self.settled))
        # A cell that has been closed meanwhile gets no more changes.
        if (cell := self._known_cell(change.name[0])) is not None:
            cell.marks.settle(change, handed_out=handed_out)

    def _cell_at(self, at: int) -> OpenCell:
        """Return the cell of a time. New cells go on from the last one, or from the frontier."""
        if not self._cells:
            self._cells.append(self._new_cell(min(at, floor(self.frontier, self._width))))
        while self._cells[-1].end <= at:
            self._cells.append(self._new_cell(self._cells[-1].end))
        return self._cells[max(0, self._place_of(at))]

    def _new_cell(self, start: int) -> OpenCell:
        # A checkpoint holds the years 1 to 9999. A lookback may be longer.
        return OpenCell(max(FIRST, start), min(start + self._width, max(_LAST, start + MILLISECOND)))

    def limit(self, asked_at: int) -> None:
        """Record that it was no later than this when the poll began, whatever the clock of this machine says, or has said."""
        self._known_until = None
        self._asked_at = min(self._asked_at, asked_at)
        self.edge = max(self.frontier, min(self.edge, asked_at))
        for cell in self._cells:
            if cell.asked_at is not None:
                cell.asked_at = min(cell.asked_at, asked_at)

    def reached(self, at: int) -> None:
        """Record that everything of the range before a time has been handed out."""
        self._known_until = None
        # Of the time that was still to come nothing is known, however far the range reaches.
        at = min(at, self._range.end, self._asked_at)
        if self._range.start <= self.edge:
            self.edge = max(self.edge, at)
        if self._range.start <= self.frontier:
            # Nothing is expected there any more, so that no cell has to be kept of it.
            self.frontier = max(self.frontier, min(at, self._asked_at - self._lookback))
            self._close_cells()
        self._next = max(self._next, self.frontier)
        while self._next < at:
            cell = self._cell_at(self._next)
            # The last cell reaches beyond now.
            if cell.end > at < self._asked_at:
                break
            cell.asked_at, self._next = self._asked_at, cell.end
        self._close_cells()

    def _close_cells(self) -> None:
        """Move the frontier over the cells that no record can come to any more."""
        closed = 0
        for cell in self._cells:
            if _asked_at_or_never(cell) >= cell.end + self._lookback:
                self.frontier = max(self.frontier, cell.end)
            if cell.end > self.frontier:
                break
            closed += 1
        if closed:
            del self._cells[:closed]
            self._last_cell = None
        self.edge = max(self.edge, self.frontier)
        self.holes = [hole for hole in self.holes if hole.end > self.frontier]

    def behind(self, row: BadRow) -> TailPlace:
        """Return the place of a follow that skips a bad row."""
        at, place, marks = floor(to_micros(row.start_time), MILLISECOND), self.place(), Marks()
        marks.add(row)
        skipping = self._cell_at(at)
        cells = [cell for cell in place.cells if cell.start != skipping.start]
        seen, named, ids = skipping.marks.packed
        cells.append(Cell(skipping.start, skipping.end, skipping.asked_at, seen + marks.packed[0], named, ids))
        return evolve(place, cells=tuple(sorted(cells, key=_start)))

    def without(self, hole: Range) -> TailPlace:
        """Return the place of a follow that gives up a range."""
        place = self.place()
        return evolve(place, holes=(*place.holes, hole))


def _name_of(found: Found) -> Name:
    return name_of(found) if isinstance(found, CallRecord) else found.name


def _asked_at_or_never(cell: OpenCell) -> float:
    return float("-inf") if cell.asked_at is None else cell.asked_at


class RowsOfTail(UnreadableRows):
    """The rows of a follow that cannot be read: the tail knows those that have a start."""

    def __init__(self, tail: Tail, *, keep: bool, marks: Iterable[UnplacedMark]) -> None:
        super().__init__(keep=keep, marks=marks)
        self._tail = tail

    def new(self, rows: Sequence[BadRow]) -> Sequence[BadRow]:
        """Return the rows, of all bad rows of some instants, that were not handed out."""
        for at in {to_micros(row.start_time) for row in rows}:
            self._tail.doubt(Range(at, at + 1))
        return self._tail.new_bad(rows)

    def new_unplaced(self, rows: Sequence[UnplacedRow], vanished: Sequence[UnplacedRow] = ()) -> list[UnplacedRow]:
        """Return the rows, of all rows without a start that some windows show, that were not handed out."""
        new = super().new_unplaced(rows, vanished)
        for window in {*self.stretches_of(rows, new), *(row.window for row in vanished)}:
            # A server may show a row whose start is a second beside the window.
            self._tail.doubt(Range(window.start - SECOND, window.till + SECOND + 1))
        return new

    def keep(self, row: UnplacedRow) -> bool:
        """Keep a row whose turn has come. Return whether the follow may go on behind it."""
        kept = super().keep(row)
        if kept and isinstance(row, BadRow):
            self._tail.record(row)
        return kept
