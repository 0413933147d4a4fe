"""The ground that a follow goes over again and again: what of it to ask next, and which of the rows that come are new.

Pure: no I/O, and time is an argument. All times are milliseconds since 1970.

Theory. A record is written when its call ends but dated by its start, so the range grows at its end and, for `lookback`, fills up
behind it. Every stretch has to be asked until it was asked once at least `lookback` after its end: whatever may appear in it has
appeared by then. That is all there is to being complete, however late a poll comes, and in whatever order stretches are asked; a
poll that asks everything open reaches back `lookback` from the start of the poll before it. Time is put into cells of a fixed grid,
some two dozen to a lookback, each with the time at which it was last asked. Those before the `frontier` are closed; behind the
`edge` nothing was ever asked.

What is open costs one request at most times, and far more after a burst of calls. Then a poll asks the newest cells, where most new
records appear, and of the older ones those that have waited longest, so that each has its turn.

Of what was handed out, two digests for each record are kept until its cell is closed: a row is new if there are more rows with its
start and id than were handed out. The second digest only tells which of them is the new one: the legs of one call may share both,
and a record whose price, say, is filled in later must not count as another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import groupby
from math import ceil
from typing import Final, Self

from attrs import define, field

from unlimcall_async.cdrs.checkpoint import KEY_BYTES, MARK_BYTES, Cell, TailPlace
from unlimcall_async.cdrs.instants import SECOND, WIDEST, Range, micros_of
from unlimcall_async.cdrs.order import digest
from unlimcall_async.models import CallRecord

_CELLS: Final = 24  # to a lookback
# What a page may be expected to hold of rows that were seen; more of them take twice as many pages, where the server does not sort.
_PAGE: Final = 900
# The share of a poll's requests that its newest cells may take.
_NEWEST: Final = 0.5


@define(eq=False)
class _Open:
    """A cell that may still get records."""

    asked_at: int | None = None
    seen: dict[bytes, list[bytes]] = field(factory=dict)
    rows: int = 0

    def add(self, key: bytes, mark: bytes) -> None:
        self.seen.setdefault(key, []).append(mark)
        self.rows += 1

    def packed(self) -> bytes:
        return b"".join(key + mark for key, marks in self.seen.items() for mark in marks)

    @classmethod
    def of(cls, cell: Cell) -> Self:
        opened, step = cls(cell.asked_at), KEY_BYTES + MARK_BYTES
        for at in range(0, len(cell.seen), step):
            opened.add(cell.seen[at : at + KEY_BYTES], cell.seen[at + KEY_BYTES : at + step])
        return opened


class Tail:
    """What a follow knows of its ground.

    A poll plans, and for each range that comes of it begins, hands out records in order, each taken down first, and says how far it
    is. Whatever is left undone is planned again.

    Attributes:
        frontier: Everything before it is closed.
        edge: Everything before it was asked at least once.
        holes: What is not to be asked.
        held: For how many records digests are kept.
    """

    def __init__(self, place: TailPlace, lookback: int) -> None:
        self.frontier: int = place.frontier
        self.edge: int = place.edge
        self.holes: list[Range] = list(place.holes)
        self._width = place.width
        self._lookback = lookback
        self._cells = {cell.index: _Open.of(cell) for cell in place.cells}
        # The range that is being asked, since when, and the first of its cells that is not behind it.
        self._range = Range(self.frontier, self.frontier)
        self._asked_at = self._next = 0
        # The cell of the last record that was taken down.
        self._taken: int | None = None
        self._close()

    @classmethod
    def from_start(cls, start: int, lookback: int) -> Self:
        """Begin where nothing was asked yet."""
        return cls(TailPlace(max(SECOND, lookback // _CELLS), start, start), lookback)

    def place(self) -> TailPlace:
        """Tell where it is, in a form that can be stored."""
        cells = (Cell(index, cell.asked_at, cell.packed()) for index, cell in sorted(self._cells.items()))
        return TailPlace(self._width, self.frontier, self.edge, tuple(cells), tuple(self.holes))

    @property
    def held(self) -> int:
        """For how many records digests are kept."""
        return sum(cell.rows for cell in self._cells.values())

    @property
    def known_until(self) -> int:
        """The time at which the API held nothing that was not handed out by now."""
        return min([self.edge, *(cell.asked_at for cell in self._cells.values() if cell.asked_at is not None)])

    # --- what to ask ----------------------------------------------------------------------------------------------------

    def plan(self, now: int, budget: int | None) -> list[Range]:
        """Choose what to ask up to now, for about so many requests; `None` for all that is open. In order."""
        if now <= self.frontier:
            return []
        first, last = self._index(self.frontier), self._index(now - 1)
        if budget is None or self._cost(first, last) <= budget:
            return [Range(self.frontier, now)]
        newest = self._newest(first, last, budget)
        if newest == first:
            return [Range(self.frontier, now)]
        stalest, behind = self._stalest(first, newest, budget - self._cost(newest, last))
        older = self._range_of(stalest, behind)
        if behind == newest:
            return [Range(older.start, now)]
        return [older, Range(newest * self._width, now)]

    def _newest(self, first: int, last: int, budget: int) -> int:
        """The first of the newest cells that are asked each time: all that was never asked, and what goes with it at the price."""
        newest = max(first, min(last, self._index(self.edge)))
        while newest > first and self._cost(newest - 1, last) <= budget * _NEWEST:
            newest -= 1
        return newest

    def _stalest(self, first: int, newest: int, budget: int) -> tuple[int, int]:
        """The cells that have waited longest, as many as the budget allows, and one at least."""
        stalest = min(range(first, newest), key=self._asked)
        behind = stalest + 1
        while behind < newest and self._cost(stalest, behind) <= budget:
            behind += 1
        return stalest, behind

    def _asked(self, index: int) -> float:
        cell = self._cells.get(index)
        return float("-inf") if cell is None or cell.asked_at is None else cell.asked_at

    def _cost(self, first: int, last: int) -> int:
        """About how many requests some cells take."""
        rows = sum(cell.rows for index, cell in self._cells.items() if first <= index <= last)
        months = ceil((last + 1 - first) * self._width / WIDEST)
        return months if rows <= _PAGE else max(months, 2 * ceil(rows / _PAGE))

    def _index(self, at: int) -> int:
        return at // self._width

    def _range_of(self, first: int, behind: int) -> Range:
        return Range(max(self.frontier, first * self._width), behind * self._width)

    # --- what came ------------------------------------------------------------------------------------------------------

    def begin(self, wanted: Range, now: int) -> list[Range]:
        """Begin to ask a range of the plan; give its pieces, without the holes. In order."""
        self._range, self._asked_at, self._next = wanted, now, self._index(wanted.start)
        self._taken = None
        pieces = []
        at = wanted.start
        for hole in sorted(hole for hole in self.holes if hole.start < wanted.end):
            if at < hole.start:
                pieces.append(Range(at, hole.start))
            at = max(at, hole.end)
        return [*pieces, Range(at, wanted.end)] if at < wanted.end else pieces

    def fresh(self, records: Sequence[CallRecord]) -> list[CallRecord]:
        """Choose those that were not handed out, of ordered records that hold all rows of each of their instants."""
        new: list[CallRecord] = []
        for _, rows in groupby(records, key=lambda record: (record.start_time, record.id)):
            new += self._fresh_of(list(rows))
        return new

    def _fresh_of(self, rows: list[CallRecord]) -> list[CallRecord]:
        """Choose of rows that share start and id."""
        cell = self._cells.get(self._index(micros_of(rows[0].start_time) // 1000))
        known = cell.seen.get(_key(rows[0]), []) if cell is not None else []
        count = len(rows) - len(known)
        if not known or count <= 0:
            return rows[: max(0, count)]
        marks = Counter(known)
        unknown = []
        for row in rows:
            mark = _mark(row)
            if marks[mark]:
                marks[mark] -= 1
            else:
                unknown.append(row)
        return unknown[-count:]

    def take(self, record: CallRecord) -> None:
        """Take down a record that is about to be handed out: everything before it was."""
        at = micros_of(record.start_time) // 1000
        index = self._index(at)
        if index != self._taken:
            self._taken = index
            self.reached(at)
        self._cells.setdefault(index, _Open()).add(_key(record), _mark(record))

    def reached(self, at: int) -> None:
        """Say that everything of the range before an instant has been handed out."""
        at = min(at, self._range.end)
        if self._range.start <= self.edge:
            self.edge = max(self.edge, at)
        if self._range.start <= self.frontier:
            # Nothing is expected there any more, so that no cell has to be kept of it.
            self.frontier = max(self.frontier, min(at, self._asked_at - self._lookback))
        self._next = max(self._next, self._index(self.frontier))
        whole = self._index(at) if at < self._asked_at else self._index(at - 1) + 1  # the last cell reaches beyond now
        for index in range(self._next, whole):
            self._cells.setdefault(index, _Open()).asked_at = self._asked_at
        self._next = max(self._next, whole)
        self._close()

    def _close(self) -> None:
        """Move the frontier over the cells to which nothing can come any more."""
        index = self._index(self.frontier)
        while self._asked(index) >= (index + 1) * self._width + self._lookback:
            del self._cells[index]
            index += 1
            self.frontier = index * self._width
        for old in [old for old in self._cells if old < index]:
            del self._cells[old]
        self.holes = [hole for hole in self.holes if hole.end > self.frontier]

    def without(self, hole: Range) -> TailPlace:
        """Tell where it would be if a range were given up."""
        place = self.place()
        return TailPlace(place.width, place.frontier, place.edge, place.cells, (*place.holes, hole))


def _key(record: CallRecord) -> bytes:
    text = f"{micros_of(record.start_time)} {record.id}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _mark(record: CallRecord) -> bytes:
    return bytes.fromhex(digest(record))[:MARK_BYTES]
