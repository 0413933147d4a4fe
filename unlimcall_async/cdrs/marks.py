"""What a follow keeps of each record that it has handed out, and which of the rows that come are new by that.

Pure: no I/O. A *mark* is a key and some digests. The key stands for start and id, which the legs of one call may share. A row is
new if more rows have its key than were handed out. The digests only decide which of these rows is the new one. A record may be
rated again between two polls: its price is filled in, its disposition or its currency changes. So each group of fields has a digest
of its own, in the order of how little the group changes. Rows and marks are paired by what they have in common: by all fields
first, then by fewer and fewer groups. That is the assignment in which the least has changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from operator import attrgetter
from struct import iter_unpack
from typing import Any, Final, TypeVar
from zlib import crc32

from unlimcall_async.cdrs.follow_checkpoint import DIGEST_BYTES, KEY_BYTES, MARK_BYTES
from unlimcall_async.cdrs.output_order import digest
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.cdrs.times import to_micros

# Of the digests of a mark: which call the record is of, on three bytes; then a byte for each group that may change, the one that
# changes least first; then two bytes for all fields. A byte is enough, because the legs of one call alone are compared by it.
_CALL: Final = attrgetter("duration", "src", "dst")
_GROUPS: Final = (
    attrgetter("sip_username", "did"),
    attrgetter("billsec"),
    attrgetter("disposition"),
    attrgetter("currency", "country"),
    attrgetter("sell_price_cents"),
)
_CALL_BYTES: Final = 3
_GROUPED: Final = _CALL_BYTES + len(_GROUPS)
# Which of the digests must agree, and whether that is asked of marks of earlier releases: all, then those of a group less each
# time.
_STAGES: Final = (
    (slice(DIGEST_BYTES), False),
    (slice(_GROUPED, DIGEST_BYTES), True),
    *((slice(length), False) for length in range(_GROUPED - 1, _CALL_BYTES - 1, -1)),
)
# Marks that are indexed in one step. It takes some 5 ms (`tests/cdrs/test_follow_costs.py`).
_PIECE: Final = 20_000

T = TypeVar("T", bound=Row)


def key_of(row: Row) -> bytes:
    """Return what stands for start and id."""
    text = f"{to_micros(row.start_time)} {row.id}".encode()
    # A bad row and a record have different keys, even if the record's id is the digest of the bad row.
    return blake2b(text, digest_size=KEY_BYTES, person=b"bad row" if isinstance(row, BadRow) else b"").digest()


def digests_of(row: Row) -> bytes:
    """Return the digests of a row's fields."""
    whole = bytes.fromhex(digest(row))
    if isinstance(row, BadRow):  # whose one field is its text
        return whole[:_GROUPED] + whole[: DIGEST_BYTES - _GROUPED]
    call = _crc(_CALL(row)).to_bytes(4, "big")[:_CALL_BYTES]
    groups = bytes(_crc(group(row)) >> 24 for group in _GROUPS)
    return call + groups + whole[: DIGEST_BYTES - _GROUPED]


def _crc(values: object) -> int:
    return crc32(repr(values).encode("utf-8", "surrogatepass"))


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
        # The digests of all marks with a key, and how many marks are in the index.
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
        key, digests = key_of(row), digests_of(row)
        if self._indexed == len(self):
            self._index[key] = self._index.get(key, b"") + digests
            self._indexed += 1
        self._more += key + digests

    def index(self) -> Iterator[None]:
        """Index the marks that are not in the index yet: some of them at each step."""
        while self._indexed < len(self):
            first = self._indexed * MARK_BYTES
            piece = self.packed[first : first + _PIECE * MARK_BYTES]
            marks: Iterator[Any] = iter_unpack(f"{KEY_BYTES}s{DIGEST_BYTES}s", piece)
            for key, digests in marks:
                self._index[key] = self._index.get(key, b"") + digests
            self._indexed += len(piece) // MARK_BYTES
            yield

    def new(self, rows: Sequence[T]) -> Sequence[T]:
        """Return the rows, of all that share start and id, that were not handed out."""
        for _ in self.index():
            pass
        held = self._index.get(key_of(rows[0]), b"")
        count = len(rows) - len(held) // DIGEST_BYTES
        if count <= 0 or not held:
            return rows[: max(0, count)]
        return _new_of(rows, [held[at : at + DIGEST_BYTES] for at in range(0, len(held), DIGEST_BYTES)])


def _new_of(rows: Sequence[T], marks: list[bytes]) -> list[T]:
    """Return the rows that are paired with none of the fewer marks."""
    left = [(digests_of(row), row) for row in rows]
    for common, of_old in _STAGES:
        by_common = defaultdict[bytes, list[bytes]](list)
        others, unpaired = list[bytes](), list[tuple[bytes, T]]()
        for mark in marks:
            (by_common[mark[common]] if _is_old(mark) == of_old else others).append(mark)
        for digests, row in left:
            if same := by_common.get(digests[common]):
                same.pop()
            else:
                unpaired.append((digests, row))
        left, marks = unpaired, [*others, *chain.from_iterable(by_common.values())]
    # Nothing tells which of these rows the other marks are of. In the order of the output the new ones are the last.
    return [row for _, row in left[len(marks) :]]


def _is_old(mark: bytes) -> bool:
    """Return whether a mark is that of an earlier release, which has only the digest of all fields."""
    return not any(mark[:_GROUPED])
