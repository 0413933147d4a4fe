"""What one transaction writes: the rows and the entries of a piece of time, or of a portion of one.

Pure: no I/O. A piece begins and ends wherever the stream was, and so within entries that are stored. Their other rows, those around
the piece, are read with its own, because what is left of such an entry needs the digest of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve, frozen

from unlimcall_async.sync.destination import Address
from unlimcall_async.sync.diff import Change, compare
from unlimcall_async.sync.entries import Entry, Proof, replaced
from unlimcall_async.sync.pieces import Piece
from unlimcall_async.sync.rows import Row, between, start_of


@frozen
class Portion:
    """A portion of a piece, or all of one, and what is stored of its time.

    Attributes:
        piece: The piece.
        start: The start of the portion.
        end: Its end.
        first: The stored rows are all of those from here on: from the start of the portion, or of the entry that begins before it.
        last: They go up to here: to the end of the portion, or of the entry that ends behind it.
        stored: The stored rows, each with its address.
        entries: The entries that overlap with the portion, by time; `None` if the destination keeps no manifest.
    """

    piece: Piece
    start: datetime
    end: datetime
    first: datetime
    last: datetime
    stored: Sequence[tuple[Address, Row]]
    entries: Sequence[Entry] | None

    def change(self, ends: datetime, cuts: Sequence[datetime]) -> Change[Address]:
        """Return what the transaction writes.

        Args:
            ends: Where the table's interval ends then. The manifest does not go on behind it.
            cuts: Other times at which an entry has to end.
        """
        piece = self.piece
        own, around = self.stored, list[Row]()
        if (self.first, self.last) != (self.start, self.end):
            own = [(address, row) for address, row in self.stored if self.start <= start_of(row) < self.end]
            around = [row for _, row in self.stored if not self.start <= start_of(row) < self.end]
        is_whole = (self.start, self.end) == (piece.start, piece.end)
        new = piece.rows if is_whole else between(piece.rows, self.start, self.end)
        change = compare(own, new, doubtful=piece.doubtful)
        if self.entries is None:
            return change
        proven = min(self.end, max(ends, self.start))
        unread = [each for each in piece.unread if each.may_lie_in(self.start, self.end)]
        outdated, entries = replaced(
            Proof(self.start, proven, piece.windows, unread, cuts),
            self.entries,
            [*around, *(change.behind(own) if piece.doubtful else new)],
            self.first,
            max(self.last, proven),
        )
        return evolve(change, outdated=outdated, entries=entries)
