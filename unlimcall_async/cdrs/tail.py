"""What a follow still has to ask of the time that it covers, and which of the rows that come are new.

Pure: no I/O, and time is an argument. All times are microseconds since 1970, and whole milliseconds.

Theory. A record is written when its call ends but dated by its start. So the range grows at its end and, for `lookback`, fills
up behind the end. Every stretch of time has to be asked until it was asked once at least `lookback` after its end: whatever may
appear in the stretch has appeared by then. Nothing else is needed to be complete, however late a poll comes, and in whatever
order stretches are asked. A poll that asks all that is open reaches back `lookback` from the start of the poll before it. Time
is divided into cells of a fixed grid, some two dozen to a lookback, each with the time at which it was last asked. Cells before
the `frontier` are closed; nothing behind the `edge` was ever asked.

What is open costs one request at most times, and far more after a burst of calls. Then a poll asks the newest cells, where most new
records appear. Of the older cells it asks those that have waited longest, so that each is asked in its turn.

Of the records that were handed out, two digests each are kept until their cell is closed. A row is new if more rows have its
start and id than were handed out. The second digest only shows which of these rows is the new one: the legs of one call may
share start and id, and a record whose price, for example, is filled in later must not count as another record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import groupby
from math import ceil as round_up
from typing import Final, Self, TypeVar

from attrs import define, evolve, field

from unlimcall_async.cdrs.checkpoint import KEY_BYTES, MARK_BYTES, Cell, TailPlace
from unlimcall_async.cdrs.output_order import digest
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, WIDEST, Range, floor, to_micros

# Cells to a lookback: the more, the less is asked again of a cell that a poll has covered in part, and the longer the checkpoint.
_CELLS: Final = 24
# Rows that were seen and still fit on a page of 1000 with those that may have come since. More rows take twice as many pages, if
# the server does not sort.
_PAGE: Final = 900
# The share of a poll's requests that its newest cells may take.
_NEWEST: Final = 0.5

T = TypeVar("T", bound=Row)


@define(eq=False)
class _OpenCell:
    """A cell that may still get records: when it was last asked, and the digests of its records that were handed out."""

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


class PollClock:
    """The times of polls, by clocks of which none can be trusted alone.

    The wall clock of this machine may be set at any moment. Spans go by the event loop's clock, so a wall clock that was set back
    does not make a follow wait. Nothing is known of the time that is still to come by the server's clock: see `Tail.limit`.
    """

    def __init__(self) -> None:
        # A time in microseconds, and the event loop's time in seconds at that moment: of the latest poll, and of the server.
        self._latest: tuple[int, float] | None = None
        self._server: tuple[int, float] | None = None

    def begin(self, wall: int, at: float) -> int:
        """Return the time up to which a poll asks that begins now."""
        now = wall if self._latest is None else max(wall, _later(self._latest, at))
        self._latest = now, at
        return now

    def note_server(self, server: int, at: float) -> None:
        """Record the server's time at a time of the event loop."""
        self._server = server, at
        if self._latest is not None and _later(self._latest, at) > server:
            # The wall clock was ahead. Once it is right again, the follow goes by it.
            self._latest = server, at

    def server_at(self, at: float) -> int | None:
        """Return the server's time at a time of the event loop, or `None` if no response has told the time."""
        return None if self._server is None else _later(self._server, at)

    def real(self, now: int, at: float) -> int:
        """Return the time by the server's clock, or by this machine's if that is earlier."""
        server = self.server_at(at)
        return now if server is None else min(now, server)


def _later(known: tuple[int, float], at: float) -> int:
    moment, then = known
    return moment + floor(int((at - then) * SECOND), MILLISECOND)


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
    """

    def __init__(self, place: TailPlace, lookback: int) -> None:
        self.frontier: int = place.frontier
        self.edge: int = place.edge
        self.holes: list[Range] = list(place.holes)
        self._width = place.width
        self._lookback = lookback
        self._cells = {cell.index: _OpenCell.of(cell) for cell in place.cells}
        # The range that is being asked, since when, and the first of its cells that was not handed out whole.
        self._range = Range(self.frontier, self.frontier)
        self._asked_at = self._next = 0
        # The cell of the last record that was recorded.
        self._last_cell: int | None = None
        self._close_cells()

    @classmethod
    def from_start(cls, start: int, lookback: int) -> Self:
        """Return a tail of which nothing was asked yet."""
        return cls(TailPlace(max(SECOND, floor(lookback // _CELLS, MILLISECOND)), start, start), lookback)

    def place(self) -> TailPlace:
        """Return what a checkpoint has to hold."""
        cells = (Cell(index, cell.asked_at, cell.packed()) for index, cell in sorted(self._cells.items()))
        return TailPlace(self._width, self.frontier, self.edge, tuple(cells), tuple(self.holes))

    @property
    def held(self) -> int:
        """How many records have digests that are kept."""
        return sum(cell.rows for cell in self._cells.values())

    @property
    def known_until(self) -> int:
        """The time at which the API held nothing that was not handed out by now."""
        return min([self.edge, *(cell.asked_at for cell in self._cells.values() if cell.asked_at is not None)])

    # --- what to ask ----------------------------------------------------------------------------------------------------

    def plan(self, now: int, budget: int | None) -> list[Range]:
        """Return what to ask up to now, in order.

        Args:
            now: The time, in microseconds since 1970.
            budget: About how many requests to spend, or `None` to ask all that is open.
        """
        if now <= self.frontier:
            return []
        first, last = self._index(self.frontier), self._index(now - 1)
        if budget is None or self._cost(first, last) <= budget:
            return [Range(self.frontier, now)]
        # Each poll asks the newest cells: all that were never asked, and those beside them that half of the budget allows.
        newest = max(first, min(last, self._index(self.edge)))
        while newest > first and self._cost(newest - 1, last) <= budget * _NEWEST:
            newest -= 1
        if newest == first:
            return [Range(self.frontier, now)]
        # The rest of the budget goes to the cells that have waited longest: one at least.
        rest = budget - self._cost(newest, last)
        stalest = min(range(first, newest), key=self._asked_at_or_never)
        behind = stalest + 1
        while behind < newest and self._cost(stalest, behind) <= rest:
            behind += 1
        older = Range(max(self.frontier, stalest * self._width), behind * self._width)
        if behind == newest:
            return [Range(older.start, now)]
        return [older, Range(newest * self._width, now)]

    def _asked_at_or_never(self, index: int) -> float:
        cell = self._cells.get(index)
        return float("-inf") if cell is None or cell.asked_at is None else cell.asked_at

    def _cost(self, first: int, last: int) -> int:
        """Return about how many requests the cells from `first` to `last` take."""
        rows = sum(cell.rows for index, cell in self._cells.items() if first <= index <= last)
        months = round_up((last + 1 - first) * self._width / WIDEST)
        return months if rows <= _PAGE else max(months, 2 * round_up(rows / _PAGE))

    def _index(self, at: int) -> int:
        return at // self._width

    # --- what came ------------------------------------------------------------------------------------------------------

    def ranges(self, now: int, budget: int | None) -> Iterator[Range]:
        """Yield the ranges that `plan` chooses, in order and without the holes. Taking the next one reports the last as asked."""
        for wanted in self.plan(now, budget):
            yield from self.begin(wanted, now)
            self.reached(wanted.end)

    def begin(self, wanted: Range, now: int) -> list[Range]:
        """Begin to ask a range of the plan, and return its pieces between the holes, in order."""
        self._range, self._asked_at, self._next = wanted, now, self._index(wanted.start)
        self._last_cell = None
        pieces = []
        at = wanted.start
        for hole in sorted(hole for hole in self.holes if hole.start < wanted.end):
            if at < hole.start:
                pieces.append(Range(at, hole.start))
            at = max(at, hole.end)
        return [*pieces, Range(at, wanted.end)] if at < wanted.end else pieces

    def fresh(self, rows: Sequence[T]) -> list[T]:
        """Return the rows that were not handed out, of ordered rows: all records, or all bad rows, of each of their instants."""
        new: list[T] = []
        for _, same_id in groupby(rows, key=lambda row: (row.start_time, row.id)):
            same = list(same_id)
            cell = self._cells.get(self._index(to_micros(same[0].start_time)))
            marks = Counter(cell.seen.get(_key(same[0]), ())) if cell is not None else Counter[bytes]()
            count = len(same) - marks.total()
            if not marks or count <= 0:
                new += same[: max(0, count)]
                continue
            # Some legs of a call were handed out: the others are those with another second digest.
            unknown = []
            for row in same:
                mark = _mark(row)
                if marks[mark]:
                    marks[mark] -= 1
                else:
                    unknown.append(row)
            new += unknown[-count:]
        return new

    def record(self, row: Row) -> None:
        """Record that a row is about to be handed out, and that all before it were."""
        at = floor(to_micros(row.start_time), MILLISECOND)
        index = self._index(at)
        if index != self._last_cell:
            self._last_cell = index
            self.reached(at)
        self._cells.setdefault(index, _OpenCell()).add(_key(row), _mark(row))

    def limit(self, asked_at: int) -> None:
        """Record that it was no later than this when the poll began, whatever the clock of this machine says, or has said."""
        self._asked_at = min(self._asked_at, asked_at)
        self.edge = max(self.frontier, min(self.edge, asked_at))
        for cell in self._cells.values():
            if cell.asked_at is not None:
                cell.asked_at = min(cell.asked_at, asked_at)

    def reached(self, at: int) -> None:
        """Record that everything of the range before a time has been handed out."""
        # Of the time that was still to come nothing is known, however far the range reaches.
        at = min(at, self._range.end, self._asked_at)
        if self._range.start <= self.edge:
            self.edge = max(self.edge, at)
        if self._range.start <= self.frontier:
            # Nothing is expected there any more, so that no cell has to be kept of it.
            self.frontier = max(self.frontier, min(at, self._asked_at - self._lookback))
        self._next = max(self._next, self._index(self.frontier))
        # The last cell reaches beyond now.
        whole = self._index(at) if at < self._asked_at else self._index(at - 1) + 1
        for index in range(self._next, whole):
            self._cells.setdefault(index, _OpenCell()).asked_at = self._asked_at
        self._next = max(self._next, whole)
        self._close_cells()

    def _close_cells(self) -> None:
        """Move the frontier over the cells that no record can come to any more."""
        index = self._index(self.frontier)
        while self._asked_at_or_never(index) >= (index + 1) * self._width + self._lookback:
            del self._cells[index]
            index += 1
            self.frontier = index * self._width
        for old in [old for old in self._cells if old < index]:
            del self._cells[old]
        self.holes = [hole for hole in self.holes if hole.end > self.frontier]

    def behind(self, row: BadRow) -> TailPlace:
        """Return the place of a follow that skips a bad row."""
        index = self._index(to_micros(row.start_time))
        cells = {cell.index: cell for cell in self.place().cells}
        cell = cells.get(index, Cell(index, None, b""))
        cells[index] = evolve(cell, seen=cell.seen + _key(row) + _mark(row))
        return evolve(self.place(), cells=tuple(cell for _, cell in sorted(cells.items())))

    def without(self, hole: Range) -> TailPlace:
        """Return the place of a follow that gives up a range."""
        place = self.place()
        return TailPlace(place.width, place.frontier, place.edge, place.cells, (*place.holes, hole))


def _key(row: Row) -> bytes:
    text = f"{to_micros(row.start_time)} {row.id}".encode()
    # A bad row and a record have different keys, even if the record's id is the digest of the bad row.
    return blake2b(text, digest_size=KEY_BYTES, person=b"bad row" if isinstance(row, BadRow) else b"").digest()


def _mark(row: Row) -> bytes:
    return bytes.fromhex(digest(row))[:MARK_BYTES]
