"""The rows that cannot be read: which of them are new, which were handed out, and whether to go on behind one.

Pure: no I/O.

Windows overlap by seconds. A row with a start belongs to one part of the range. A row whose start cannot be read belongs to the
first part, in the order of the output, whose window shows the row, but the windows beside that one may show the row again. So a row
with the same text, in a window that overlaps one that has shown such a row, is the same row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from unlimcall_async.cdrs.checkpoint import UnplacedMark
from unlimcall_async.cdrs.rows import BadRow, UnplacedRow
from unlimcall_async.cdrs.times import SECOND
from unlimcall_async.models import UnreadableRow

Unreadable: TypeAlias = Literal["raise", "keep"]

# How many rows are kept (contract of `unreadable="keep"`): a server that has changed its format shows after a few pages.
MOST_KEPT: Final = 10_000
# How far the windows behind a place reach back: they begin a second or two before it, and show rows of a second around them.
_REACH: Final = 5 * SECOND


class UnreadableRows:
    """The rows of one stream, or of one follow, that cannot be read.

    Args:
        keep: Whether to keep such rows and go on, in place of an error.
        marks: The rows without a start that were handed out before the stream was resumed.

    Attributes:
        kept: The rows that were kept.
        count: How many rows were kept so far.
    """

    def __init__(self, *, keep: bool, marks: Iterable[UnplacedMark] = ()) -> None:
        self.kept: list[UnreadableRow] = []
        self.count: int = 0
        self._keep = keep
        self._marks = list(marks)

    def keep(self, row: UnplacedRow) -> bool:
        """Keep a row whose turn has come. Return whether the stream may go on behind it."""
        if not self._keep or len(self.kept) >= MOST_KEPT:
            return False
        self.kept.append(row.shown())
        self.count += 1
        if not isinstance(row, BadRow):
            self._marks.append(mark_of(row))
        return True

    def new(self, rows: Sequence[BadRow]) -> Sequence[BadRow]:
        """Return the rows, of all bad rows of some instants, that were not handed out. A stream comes to each instant once."""
        return rows

    def new_unplaced(self, rows: Sequence[UnplacedRow]) -> list[UnplacedRow]:
        """Return the rows, of all rows without a start that some windows show, that were not handed out."""
        left, new = list(self._marks), list[UnplacedRow]()
        for row in rows:
            first, last = row.window.start - SECOND, row.window.till + SECOND
            same = (m for m in left if m.digest == row.digest and m.start <= last and first <= m.till)
            mark = next(same, None)
            if mark is None:
                new.append(row)
            else:
                left.remove(mark)
        return new

    def marks_behind(self, at: int, *, newest_first: bool = False) -> tuple[UnplacedMark, ...]:
        """Return the marks of the rows without a start that windows behind a place may show again."""
        return tuple(
            mark for mark in self._marks if (mark.start - _REACH <= at if newest_first else at <= mark.till + _REACH)
        )

    def forget_before(self, at: int) -> None:
        """Forget the marks of rows that no window shows again, because none begins before a time."""
        self._marks = list(self.marks_behind(at))


def mark_of(row: UnplacedRow) -> UnplacedMark:
    """Return what is kept of a row without a start that was handed out."""
    return UnplacedMark(row.digest, row.window.start, row.window.till)
