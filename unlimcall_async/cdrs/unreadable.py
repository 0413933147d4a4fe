"""The rows that cannot be read: which of them are new, which were handed out, and whether to go on behind one.

Pure: no I/O.

Windows overlap by seconds. A row with a start belongs to one part of the range. A row whose start cannot be read belongs to the
first part, in the order of the output, whose window shows the row, but the windows beside that one may show the row again. So a row
with the same text, in a window of seconds that overlaps one that has shown such a row, is the same row. In a wide window it is the
same row if the window shows all of the other one; else narrower windows tell.

A server may show a row without a start in all windows. In the complete page of a wide window such a row is one row, and so are all
rows with its text in the windows within. If one of these lies apart from the place of the row, the row has no place: wherever it
comes again, it is the same row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from attrs import evolve

from unlimcall_async.cdrs.checkpoint import UnplacedMark
from unlimcall_async.cdrs.rows import BadRow, UnplacedRow
from unlimcall_async.cdrs.times import FIRST, LAST, SECOND, Window
from unlimcall_async.models import UnreadableRow

Unreadable: TypeAlias = Literal["raise", "keep"]

# How many rows are kept (contract of `unreadable="keep"`): a server that has changed its format shows after a few pages.
MOST_KEPT: Final = 10_000
# How far the windows behind a place reach back: they begin two or three seconds before it, and show rows of a second around them.
_REACH: Final = 6 * SECOND
# The widest window of a part of one second: with its margins, and with its ends moved to whole seconds.
_NARROW: Final = 5 * SECOND
# A window surely shows what another one has shown that lies inside it by so much.
_INSIDE: Final = 2 * SECOND
# Marks with a wider window, so that a checkpoint stays small. An older one costs requests.
_MOST_SCOPES: Final = 100


class UnreadableRows:
    """The rows of one stream, or of one follow, that cannot be read.

    Args:
        keep: Whether to keep such rows and go on, in place of an error.
        marks: The rows without a start that were handed out before the stream was resumed.

    Attributes:
        kept: The rows that were kept.
        count: How many rows were kept so far.

    While the output is held (`output`), rows are kept apart, and join the others when it is handed out.
    """

    def __init__(self, *, keep: bool, marks: Iterable[UnplacedMark] = ()) -> None:
        self.kept: list[UnreadableRow] = []
        self.count: int = 0
        self._keep = keep
        self._marks = list(marks)
        # The rows that were kept while the output is held, and the marks from before; `None` if it is not held.
        self._held: tuple[list[UnreadableRow], list[UnplacedMark]] | None = None

    @property
    def hint(self) -> str:
        """What the user can do about a row that was not kept."""
        if self._keep:
            return f"unreadable holds {MOST_KEPT:,} such rows, and takes more once it is cleared; resume_after skips this one"
        return 'unreadable="keep" keeps such rows and goes on; resume_after skips this one'

    def hold(self) -> None:
        """Keep rows apart from now on."""
        self._held = [], list(self._marks)

    def hand_out(self) -> None:
        """Add the rows that were kept apart to the others."""
        if self._held is not None:
            self.kept += self._held[0]
            self.count += len(self._held[0])
            self._held = None

    def take_back(self) -> None:
        """Forget the rows that were kept apart."""
        if self._held is not None:
            self._marks = self._held[1]
            self._held = None

    def keep(self, row: UnplacedRow) -> bool:
        """Keep a row whose turn has come. Return whether the stream may go on behind it."""
        held = self._held[0] if self._held is not None else []
        if not self._keep or len(self.kept) + len(held) >= MOST_KEPT:
            return False
        if self._held is not None:
            held.append(row.shown())
        else:
            self.kept.append(row.shown())
            self.count += 1
        if not isinstance(row, BadRow):
            self._marks = self._marks_with(row)
        return True

    def new(self, rows: Sequence[BadRow]) -> Sequence[BadRow]:
        """Return the rows, of all bad rows of some instants, that were not handed out. A stream comes to each instant once."""
        return rows

    def new_unplaced(self, rows: Sequence[UnplacedRow], vanished: Sequence[UnplacedRow] = ()) -> list[UnplacedRow]:
        """Return the rows, of all rows without a start that some windows show, that were not handed out.

        Args:
            rows: The rows.
            vanished: Rows that a wide window has shown, and narrower ones have not. They may lie beside it.
        """
        left, new = list(self._marks), list[UnplacedRow]()
        for row in rows:
            same = [mark for mark in left if mark.digest == row.digest]
            mark = next((m for m in same if _is_beside(m, row.window)), None)
            if mark is None and (within := [m for m in same if _is_within(m, row.window)]):
                mark = next((m for m in within if _overlap(m, row.window)), within[0])
                self._note_again(mark, row.window)
            if mark is None:
                new.append(row)
            else:
                left.remove(mark)
        beside = Counter(row.digest for row in rows)
        beside += Counter(mark.digest for mark in left if any(_overlap(mark, row.window) for row in vanished))
        for row in vanished:
            if beside[row.digest] <= 0:
                new.append(row)
            beside[row.digest] -= 1
        return new

    def stretches_of(self, rows: Sequence[UnplacedRow], new: Sequence[UnplacedRow]) -> Iterator[Window]:
        """Yield, for rows without a start that are handed out or known, a window in which each of them lies.

        Args:
            rows: The rows.
            new: Those that were not handed out, as `new_unplaced` returns them.
        """
        are_new = {*map(id, new)}
        for row in rows:
            inside = (
                m for m in self._marks if m.digest == row.digest and m.first != FIRST and _is_beside(m, row.window)
            )
            if len(row.window) <= _NARROW:
                yield row.window
            elif (mark := next(inside, None)) is not None:
                yield Window(mark.start, mark.till)
            elif id(row) not in are_new:
                yield row.window
            # A new row in a wide window: the window is cut until a narrow one shows the row.

    def _note_again(self, mark: UnplacedMark, window: Window) -> None:
        """Record that a window, in which all rows with the text of a mark were handed out, shows one."""
        if not _overlap(mark, window):
            # Windows apart from each other show the row.
            self._marks[self._marks.index(mark)] = evolve(mark, first=FIRST, last=LAST)

    def marks_behind(
        self, at: int, *, newest_first: bool = False, skipped: UnplacedRow | None = None
    ) -> tuple[UnplacedMark, ...]:
        """Return the marks of the rows without a start that windows behind a place may show again.

        Args:
            at: The place.
            newest_first: The direction of the output.
            skipped: A row that counts as handed out.
        """
        marks = self._marks if skipped is None or isinstance(skipped, BadRow) else self._marks_with(skipped)
        return tuple(m for m in marks if (m.first - _REACH <= at if newest_first else at <= m.last + _REACH))

    def forget_before(self, at: int) -> None:
        """Forget the marks of rows that no window shows again, because none begins before a time."""
        self._marks = list(self.marks_behind(at))

    def _marks_with(self, row: UnplacedRow) -> list[UnplacedMark]:
        """Return the marks once a row was handed out."""
        mark = UnplacedMark(row.digest, row.window.start, row.window.till)
        marks = [*self._marks, mark]
        if (scope := row.scope) is not None:
            marks = [
                evolve(m, first=min(m.first, scope.start), last=max(m.last, scope.till))
                if m.digest == mark.digest and scope.start <= m.start and m.till <= scope.till
                else m
                for m in marks
            ]
        scoped = [place for place, m in enumerate(marks) if not m.is_local]
        for place in scoped[:-_MOST_SCOPES]:
            marks[place] = UnplacedMark(marks[place].digest, marks[place].start, marks[place].till)
        return marks


def _overlap(mark: UnplacedMark, window: Window) -> bool:
    return mark.start <= window.till + SECOND and window.start - SECOND <= mark.till


def _is_beside(mark: UnplacedMark, window: Window) -> bool:
    """Return whether a window surely shows the row of a mark, or shows so little that a row with its text is that row."""
    if len(window) <= _NARROW:
        return _overlap(mark, window)
    return window.start + _INSIDE <= mark.start and mark.till + _INSIDE <= window.till


def _is_within(mark: UnplacedMark, window: Window) -> bool:
    """Return whether all rows of a window with the text of a mark were handed out."""
    return not mark.is_local and mark.first <= window.start and window.till <= mark.last
