"""The cells of a follow: stretches of time that may still get records, with the marks of those that were handed out.

Pure: no I/O. All times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Self

from attrs import define, field

from unlimcall_async.cdrs.follow_checkpoint import Cell
from unlimcall_async.cdrs.marks import Marks


@define(eq=False)
class OpenCell:
    """A cell that may still get records.

    Attributes:
        start: The start of the cell.
        end: The end of the cell, which is not part of it.
        asked_at: When the cell was asked last; `None` if it never was asked whole.
        marks: The marks of its rows that were handed out.
    """

    start: int
    end: int
    asked_at: int | None = None
    marks: Marks = field(factory=Marks)

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Return the cell that a checkpoint holds."""
        return cls(cell.start, cell.end, cell.asked_at, Marks(cell.seen, cell.named, cell.ids))

    def holds(self, at: int) -> bool:
        """Return whether a time lies in the cell."""
        return self.start <= at < self.end


def open_cells(cells: Sequence[Cell], width: int, frontier: int) -> Iterator[OpenCell]:
    """Yield the cells of a checkpoint, without gaps from the frontier on. Cells that are narrow for a width are put together."""
    together, at = list[Cell](), frontier
    for cell in cells:
        if at < cell.start:
            yield from _joined(together)
            together = []
            yield OpenCell(at, cell.start)
        elif together and not _fits(together, cell, width):
            yield from _joined(together)
            together = []
        together.append(cell)
        at = cell.end
    yield from _joined(together)


def _fits(together: Sequence[Cell], cell: Cell, width: int) -> bool:
    # One that was never asked is asked soon, and need not bring others along.
    same = (together[0].asked_at is None) == (cell.asked_at is None)
    return same and cell.end - together[0].start <= width


def _joined(cells: Sequence[Cell]) -> Iterator[OpenCell]:
    if len(cells) == 1:
        yield OpenCell.of(cells[0])
    elif cells:
        asked_at = min((cell.asked_at for cell in cells if cell.asked_at is not None), default=None)
        seen, named = b"".join(cell.seen for cell in cells), b"".join(cell.named for cell in cells)
        marks = Marks(seen, named, tuple(chain.from_iterable(cell.ids for cell in cells)))
        yield OpenCell(cells[0].start, cells[-1].end, asked_at, marks)
