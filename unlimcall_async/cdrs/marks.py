"""What a follow keeps of each record that it has handed out, and which of the rows that come are new by that.

Pure: no I/O. A *mark* is a key and a leg. The key stands for start and id, which the legs of one call may share. A row is new if
more rows have its key than were handed out. The leg only decides which of these rows is the new one: see `legs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from struct import iter_unpack
from typing import Any, Final, TypeVar

from unlimcall_async.cdrs.checkpoint import LEG_BYTES
from unlimcall_async.cdrs.follow_checkpoint import KEY_BYTES, MARK_BYTES
from unlimcall_async.cdrs.legs import leg_of, new_of
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.cdrs.times import to_micros

# Marks that are indexed in one step, which takes some 15 ms (`tests/cdrs/test_follow_costs.py`).
_PIECE: Final = 20_000

T = TypeVar("T", bound=Row)


def key_of(row: Row) -> bytes:
    """Return what stands for start and id."""
    text = f"{to_micros(row.start_time)} {row.id}".encode()
    # A bad row and a record have different keys, even if the record's id is the digest of the bad row.
    return blake2b(text, digest_size=KEY_BYTES, person=b"bad row" if isinstance(row, BadRow) else b"").digest()


class Marks:
    """The marks of the records of some time that were handed out, in the order in which they were.

    The marks that a checkpoint brings are indexed piece by piece, because a million of them take longer than others on the event
    loop should wait.

    Args:
        packed: The marks, one behind the other.
    """

    def __init__(self, packed: bytes = b"") -> None:
        self._packed = packed
        # Those that were added since `packed` was asked for.
        self._more = bytearray()
        # The legs of all marks with a key, and how many marks are in the index.
        self._index: dict[bytes, bytes] = {}
        self._indexed = 0

    def __len__(self) -> int:
        return (len(self._packed) + len(self._more)) // MARK_BYTES

    @property
    def packed(self) -> bytes:
        """The marks, one behind the other. As long as none is added, this is the same object."""
        if self._more:
            self._packed += self._more
            self._more.clear()
        return self._packed

    def add(self, row: Row) -> None:
        """Add the mark of a row."""
        key, leg = key_of(row), leg_of(row)
        if self._indexed == len(self):
            self._index[key] = self._index.get(key, b"") + leg
            self._indexed += 1
        self._more += key + leg

    def index(self) -> Iterator[None]:
        """Index the marks that are not in the index yet: some of them at each step."""
        while self._indexed < len(self):
            first = self._indexed * MARK_BYTES
            piece = self.packed[first : first + _PIECE * MARK_BYTES]
            marks: Iterator[Any] = iter_unpack(f"{KEY_BYTES}s{LEG_BYTES}s", piece)
            for key, leg in marks:
                self._index[key] = self._index.get(key, b"") + leg
            self._indexed += len(piece) // MARK_BYTES
            yield

    def new(self, rows: Sequence[T]) -> Sequence[T]:
        """Return the rows, of all that share start and id, that were not handed out."""
        for _ in self.index():
            pass
        held = self._index.get(key_of(rows[0]), b"")
        if not held:
            return rows
        return new_of(rows, [held[at : at + LEG_BYTES] for at in range(0, len(held), LEG_BYTES)])
