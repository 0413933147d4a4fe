"""What a follow keeps of each row that it has handed out, and what has become of these rows by that.

Pure: no I/O. A *mark* tells a row that comes again from a new one. The mark of a record is *named*: it holds the start and the id,
which the legs of one call may share, and digests of the contents in which the record was handed out last. The marks of bad rows,
and those of records in the checkpoints of earlier releases, are *short*: a digest stands for start and id. When the record of a
short mark comes again, the mark becomes a named one.

Of all rows with one start and id, `compare` finds which are new, which have changed and which are gone. A row is new if more rows
come than were handed out; `legs` decides which of them. Only a named mark can tell that a row is gone.

A view that hands out additions alone passes changes over: the mark still has the contents that were handed out last, and
`changes()` hands the changes out later. The mark also has a state, so that each change is counted once. The state tells the
contents that came last, and whether the record is *gone*: such a record is not new if it comes back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from struct import iter_unpack
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from attrs import frozen

from unlimcall_async.cdrs.checkpoint import LEG_BYTES
from unlimcall_async.cdrs.follow_checkpoint import HELD_BYTES, KEY_BYTES, MARK_BYTES, MORE_BYTES, NAMED
from unlimcall_async.cdrs.legs import are_equal, contents_of, leg_of, new_of, pair
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.cdrs.times import Range, to_micros
from unlimcall_async.models import CallRecord

# Marks that are indexed in one step, which takes some 15 ms (`tests/cdrs/test_follow_costs.py`).
_PIECE: Final = 20_000
# What is held of a named mark: the contents, and the state on two bytes. The state has a bit for records that are gone, and a
# digest of the contents that came last, which is 0 if these were handed out. A second revision that is passed over is not counted
# by chance once in 32,767 times. `changes()` hands it out all the same.
_CONTENTS: Final = LEG_BYTES + MORE_BYTES
_AS_HANDED_OUT, _GONE = 0, 0x8000
_encode: Final = msgspec.json.Encoder().encode

T = TypeVar("T", bound=Row)
# The start, in microseconds since 1970, and the id of a record: the order of the output.
Name: TypeAlias = tuple[int, str]


@frozen
class Revised:
    """A record that was handed out with other contents.

    Attributes:
        record: The record as it is now.
        was: What is held of its mark.
        is_counted: Whether the revision was passed over before, so that it is not another one.
    """

    record: CallRecord
    was: bytes
    is_counted: bool = False

    @property
    def name(self) -> Name:
        """The start and the id of the record."""
        return name_of(self.record)


@frozen
class Removed:
    """A record that was handed out and is gone.

    Attributes:
        name: The start and the id of the record.
        was: What is held of its mark.
        is_counted: Whether the removal was passed over before, so that it is not another one.
    """

    name: Name
    was: bytes
    is_counted: bool = False


# A record that was not handed out, or a change of one that was.
Found: TypeAlias = CallRecord | Revised | Removed


def name_of(record: CallRecord) -> Name:
    """Return the start and the id of a record."""
    return to_micros(record.start_time), record.id


def key_of(row: Row) -> bytes:
    """Return what stands for start and id in a short mark."""
    text = f"{to_micros(row.start_time)} {row.id}".encode()
    # A bad row and a record have different keys, even if the record's id is the digest of the bad row.
    return blake2b(text, digest_size=KEY_BYTES, person=b"bad row" if isinstance(row, BadRow) else b"").digest()


def _pieces_of(packed: bytes, size: int) -> Iterator[bytes]:
    return (packed[at : at + size] for at in range(0, len(packed), size))


class Marks:
    """The marks of the rows of some time that were handed out, in the order in which they were.

    The marks that a checkpoint brings are indexed piece by piece, because a million of them take longer than others on the event
    loop should wait.

    Args:
        seen: Short marks, one behind the other.
        named: Named marks, one behind the other.
        ids: The ids that belong to the named marks.
    """

    def __init__(self, seen: bytes = b"", named: bytes = b"", ids: tuple[str, ...] = ()) -> None:
        self._seen, self._named, self._ids = seen, named, ids
        # Those that were added since the above were packed.
        self._more_seen, self._more_named, self._more_ids = bytearray(), bytearray(), list[str]()
        # Whether a mark has changed, so that all have to be packed anew.
        self._changed = False
        # The legs of all short marks with a key, and what is held of all marks with a name.
        self._legs: dict[bytes, bytes] = {}
        self._held: dict[Name, bytes] = {}
        self._index = self._indexing()
        self._count = len(seen) // MARK_BYTES + len(ids)
        # The names in order, unless one was added or removed. And what `_hash_of` returned of the records with a name when
        # nothing was found of them: to compare that takes a tenth of the time.
        self._ordered: list[Name] | None = None
        self._unchanged: dict[Name, int] = {}

    def __len__(self) -> int:
        return self._count

    # --- packed -------------------------------------------------------------------------------------------------------

    @property
    def packed(self) -> tuple[bytes, bytes, tuple[str, ...]]:
        """The short marks, the named ones, and their ids. As long as no mark changes, these are the same objects."""
        if self._changed:
            self._changed = False
            self._seen = b"".join(key + leg for key, legs in self._legs.items() for leg in _pieces_of(legs, LEG_BYTES))
            # Nearly every name has one mark.
            each = [
                (name, held)
                for name, all_held in self._held.items()
                for held in ((all_held,) if len(all_held) == HELD_BYTES else _pieces_of(all_held, HELD_BYTES))
            ]
            self._named = b"".join([NAMED.pack(start, held) for (start, _), held in each])
            self._ids = tuple([call_id for (_, call_id), _ in each])
        else:
            if self._more_seen:
                self._seen += self._more_seen
            if self._more_ids:
                self._named += self._more_named
                self._ids += tuple(self._more_ids)
        self._more_seen.clear()
        self._more_named.clear()
        self._more_ids.clear()
        return self._seen, self._named, self._ids

    def index(self) -> Iterator[None]:
        """Index the marks that are not in the index yet: some of them at each step."""
        return self._index

    def _indexing(self) -> Iterator[None]:
        for at in range(0, len(self._seen), _PIECE * MARK_BYTES):
            marks: Iterator[Any] = iter_unpack(f"{KEY_BYTES}s{LEG_BYTES}s", self._seen[at : at + _PIECE * MARK_BYTES])
            for key, leg in marks:
                self._legs[key] = self._legs.get(key, b"") + leg
            yield
        for at in range(0, len(self._ids), _PIECE):
            named = NAMED.iter_unpack(self._named[at * NAMED.size : (at + _PIECE) * NAMED.size])
            for call_id, (start, held) in zip(islice(self._ids, at, at + _PIECE), named, strict=True):
                name = start, call_id
                self._held[name] = self._held[name] + held if name in self._held else held
            yield

    def _finish_index(self) -> None:
        for _ in self._index:
            pass

    # --- changes of the marks -------------------------------------------------------------------------------------------

    def add(self, row: Row) -> None:
        """Add the mark of a row."""
        self._finish_index()
        if isinstance(row, BadRow):
            key, leg = key_of(row), leg_of(row)
            self._legs[key] = self._legs.get(key, b"") + leg
            self._more_seen += key + leg
            self._count += 1
            return
        name, held = name_of(row), _held(contents_of(row), _AS_HANDED_OUT)
        if name in self._held:
            self._held[name] += held
            self._unchanged.pop(name, None)
        else:
            self._held[name] = held
            self._ordered = None
        self._more_named += NAMED.pack(name[0], held)
        self._more_ids.append(row.id)
        self._count += 1

    def settle(self, change: Revised | Removed, *, handed_out: bool) -> None:
        """Record that a change was handed out, or was passed over."""
        if isinstance(change, Removed):
            gone = _held(change.was[:_CONTENTS], _state_of(change.was) | _GONE)
            self._replace(change.name, change.was, b"" if handed_out else gone)
        elif handed_out:
            self._name(change.record, change.was, _held(contents_of(change.record), _AS_HANDED_OUT))
        else:
            # Of a short mark, all that is known of the contents that were handed out is the leg.
            was = change.was[:_CONTENTS].ljust(_CONTENTS, b"\0")
            self._name(change.record, change.was, _held(was, _passed(contents_of(change.record), was)))

    def _name(self, record: CallRecord, was: bytes, held: bytes) -> None:
        """Replace a mark of a record, which may be a short one, by a named one."""
        if len(was) == LEG_BYTES:
            key = key_of(record)
            legs = [*_pieces_of(self._legs[key], LEG_BYTES)]
            legs.remove(was)
            self._legs[key] = b"".join(legs)
            if not legs:
                del self._legs[key]
            self._count -= 1
        self._replace(name_of(record), was, held)

    def _replace(self, name: Name, was: bytes, held: bytes) -> None:
        """Remove the named mark `was`, if there is one, and hold `held` in its place, unless that is empty."""
        self._changed = True
        self._unchanged.pop(name, None)
        # What has changed stands at the end, so that a journal stores this alone.
        all_held = [*_pieces_of(self._held.pop(name, b""), HELD_BYTES)]
        before = len(all_held)
        if was in all_held:
            all_held.remove(was)
        if held:
            all_held.append(held)
        if all_held:
            self._held[name] = b"".join(all_held)
        if not (before and all_held):
            self._ordered = None
        self._count += len(all_held) - before

    # --- what came ------------------------------------------------------------------------------------------------------

    def new_bad(self, rows: Sequence[T]) -> Sequence[T]:
        """Return the bad rows, of all that share start and text, that were not handed out."""
        self._finish_index()
        held = self._legs.get(key_of(rows[0]), b"")
        return new_of(rows, [*_pieces_of(held, LEG_BYTES)]) if held else rows

    def compare(self, rows: Sequence[CallRecord], *, owed: bool) -> list[Found]:
        """Return which of all records that share start and id are new or have changed, and which others are gone.

        Args:
            rows: The records, in the order of the output.
            owed: Whether to return changes that were passed over, too.
        """
        self._finish_index()
        name = name_of(rows[0])
        all_held = self._held.get(name, b"")
        legs = self._legs.get(key_of(rows[0]), b"") if self._legs else b""
        if not (all_held or legs):
            return [*rows]
        known = 0 if legs else _hash_of(rows, all_held, owed=owed)
        if known and self._unchanged.get(name) == known:
            return []
        # Nearly every record is as it was, and the only one with its name.
        as_handed_out = len(rows) == 1 and all_held == _held(contents_of(rows[0]), _AS_HANDED_OUT) and not legs
        found = [] if as_handed_out else self._compare_legs(name, rows, all_held, legs, owed=owed)
        if known and not found:
            self._unchanged[name] = known
        return found

    def _compare_legs(
        self, name: Name, rows: Sequence[CallRecord], all_held: bytes, legs: bytes, *, owed: bool
    ) -> list[Found]:
        marks = [*_pieces_of(all_held, HELD_BYTES), *_pieces_of(legs, LEG_BYTES)]
        contents = [contents_of(row) for row in rows]
        known = [mark[:_CONTENTS] for mark in marks]
        pairs, left, places = pair([*zip(contents, range(len(rows)), strict=True)], known)
        # Nothing tells which of the rows that are left the other marks are. In the order of the output the new ones are the last.
        # To a view that passes changes over, a record that is gone is back only if its fields show that: a new one comes at once.
        present = [place for place in places if owed or not _state_of(marks[place]) & _GONE]
        pairs += zip(left, present, strict=False)
        mark_of = {row: marks[place] for row, place in pairs}
        unpaired = set(places).difference(present[: len(left)])
        found = list[Found]()
        for at, row in enumerate(rows):
            if at not in mark_of:
                found.append(row)
            elif (change := self._change(row, contents[at], mark_of[at], owed=owed)) is not None:
                found.append(change)
        # A short mark stays: `settle` could not say of it that its record is gone.
        gone = [marks[place] for place in sorted(unpaired) if len(marks[place]) == HELD_BYTES]
        return found + [removed for was in gone for removed in _removed(name, was, owed=owed)]

    def _change(self, row: CallRecord, contents: bytes, was: bytes, *, owed: bool) -> Revised | None:
        """Return how a record has changed since its mark, or `None` if there is nothing to hand out or to count."""
        state = _state_of(was)
        if are_equal(contents, was[:_CONTENTS]):
            if state & ~_GONE and not owed:
                return Revised(row, was)  # back to the contents that were handed out
            if len(was) == LEG_BYTES or state:
                self._name(row, was, _held(contents, _AS_HANDED_OUT))
            return None
        is_counted = _passed(contents, was) == state & ~_GONE
        if owed or not is_counted:
            return Revised(row, was, is_counted)
        if state & _GONE:
            self._name(row, was, _held(was[:_CONTENTS], state & ~_GONE))
        return None

    def absent(self, stretch: Range, came: set[Name], *, owed: bool) -> list[Removed]:
        """Return the records of a stretch of time that were handed out and are gone.

        Args:
            stretch: The stretch of time.
            came: The names of all records that came of the stretch.
            owed: Whether to return removals that were passed over, too.
        """
        self._finish_index()
        if self._ordered is None:
            self._ordered = sorted(self._held)
        first, behind = (bisect_left(self._ordered, (at, "")) for at in (stretch.start, stretch.end))
        names = [name for name in self._ordered[first:behind] if name not in came]
        return [
            gone
            for name in names
            for held in _pieces_of(self._held[name], HELD_BYTES)
            for gone in _removed(name, held, owed=owed)
        ]


def _hash_of(rows: Sequence[CallRecord], all_held: bytes, *, owed: bool) -> int:
    """Return a number that stands for records with one name, or 0 if they have to be compared each time."""
    # What was passed over is unchanged only to a view that passes it over. `extra` may hold what the encoder refuses.
    if any(row.extra for row in rows) or (owed and any(map(_state_of, _pieces_of(all_held, HELD_BYTES)))):
        return 0
    return hash(_encode(rows))


def _removed(name: Name, was: bytes, *, owed: bool) -> list[Removed]:
    """Return the removal of a record, unless that was passed over, and is not wanted."""
    is_counted = bool(_state_of(was) & _GONE)
    return [Removed(name, was, is_counted)] if owed or not is_counted else []


def _held(contents: bytes, state: int) -> bytes:
    return contents + state.to_bytes(2, "big")


def _state_of(held: bytes) -> int:
    """Return the state of a mark; a short one has none."""
    return int.from_bytes(held[_CONTENTS:], "big")


def _passed(contents: bytes, was: bytes) -> int:
    """Return the state of a mark with some contents behind which a record with other contents was passed over."""
    if are_equal(contents, was[:_CONTENTS]):
        return _AS_HANDED_OUT
    return 1 + int.from_bytes(contents[LEG_BYTES - 2 :], "big") % (_GONE - 1)
