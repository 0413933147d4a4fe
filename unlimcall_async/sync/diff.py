"""What a piece of time changes in a table: the rows that are there, against the rows that one complete answer holds.

Pure: no I/O. Both are multisets, because call records have no key: the legs of a call may share their id, and rows may be equal
in all fields. Equal rows cancel first. Of what is left, rows with the same start and id are pairs: the stored one is revised. A row
without a partner is inserted or removed.

Among rows that share start and id, those of one leg are pairs first. A leg is told by the fields that do not change when a record
is rated. So a user's own columns stay with their leg.

A piece in which rows cannot be read is doubtful: any stored row may be one of these. Nothing is removed from such a piece. Only
rows of one leg are pairs there: another pair may hide that the stored row is a leg that cannot be read.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Final, Generic, TypeVar

from attrs import field, frozen

from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.rows import COLUMNS, Row

A = TypeVar("A", bound=Hashable)

_place: Final = {column.name: place for place, column in enumerate(COLUMNS)}
_key: Final = itemgetter(_place["start_time"], _place["id"])
_LEG: Final = ("start_time", "id", "duration", "billsec", "src", "dst", "sip_username", "did")
_key_and_leg: Final = itemgetter(*(_place[name] for name in _LEG))


@frozen
class Change(Generic[A]):
    """What one transaction writes.

    Attributes:
        inserted: Rows to insert.
        revised: Stored rows that get other contents: the address of each, and its new contents.
        removed: The addresses of stored rows to delete.
        unchanged: How many stored rows are as they should be. They are not written.
        outdated: The starts of entries of the manifest to remove, before `entries` are stored.
        entries: Entries of the manifest to store.
    """

    inserted: Sequence[Row] = ()
    revised: Sequence[tuple[A, Row]] = ()
    removed: Sequence[A] = ()
    unchanged: int = field(default=0, eq=False)
    outdated: Sequence[datetime] = ()
    entries: Sequence[ManifestEntry] = ()

    def behind(self, stored: Sequence[tuple[A, Row]]) -> list[Row]:
        """Return the rows that are there once the change is written, given those that were there before."""
        gone = {*self.removed, *(address for address, _ in self.revised)}
        left = [row for address, row in stored if address not in gone]
        return [*left, *(row for _, row in self.revised), *self.inserted]


def compare(stored: Sequence[tuple[A, Row]], new: Sequence[Row], *, doubtful: bool = False) -> Change[A]:
    """Return the change that makes the stored rows of a piece of time the new ones.

    Args:
        stored: The rows of the piece in the table, each with its address there.
        new: The rows that a complete answer holds of the piece.
        doubtful: Whether the answer has rows that cannot be read.
    """
    if not stored:
        return Change(inserted=new)
    addresses = defaultdict[Row, list[A]](list)
    for address, row in reversed(stored):
        addresses[row].append(address)
    came = list[Row]()
    for row in new:
        same = addresses.get(row)
        if same:
            same.pop()
        else:
            came.append(row)
    # In the order in which they are stored.
    left = {address for rows in addresses.values() for address in rows}
    gone = [(address, row) for address, row in stored if address in left]
    unchanged = len(stored) - len(gone)
    revised, gone, came = _paired(gone, came, _key_and_leg)
    if doubtful:
        return Change(tuple(came), tuple(revised), unchanged=unchanged)
    others, gone, came = _paired(gone, came, _key)
    return Change(tuple(came), (*revised, *others), tuple(address for address, _ in gone), unchanged)


def _paired(
    gone: Sequence[tuple[A, Row]], came: Sequence[Row], key: Callable[[Row], object]
) -> tuple[list[tuple[A, Row]], list[tuple[A, Row]], list[Row]]:
    """Return the pairs of stored and new rows with the same key, in order, and the rows of either kind without a partner."""
    waiting = defaultdict[object, deque[Row]](deque)
    for row in came:
        waiting[key(row)].append(row)
    pairs, alone = list[tuple[A, Row]](), list[tuple[A, Row]]()
    for address, row in gone:
        partners = waiting.get(key(row))
        if partners:
            pairs.append((address, partners.popleft()))
        else:
            alone.append((address, row))
    return pairs, alone, [row for rows in waiting.values() for row in rows]
