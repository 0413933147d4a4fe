"""The checkpoint of a follow: how far the follow is, and marks of what may come again.

Pure: no I/O. A follow asks for the same time again and again, so it keeps a mark of each record that it has handed out of the time
that is still asked: see `marks`. That time is divided into cells, each with the time at which it was last asked: see `tail`.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from struct import Struct
from typing import Any, ClassVar, Final, Self

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, instance_of, le, optional

from unlimcall_async.cdrs.checkpoint import (
    LEG_BYTES,
    VERSION,
    VERSION_WITH_UNREADABLE,
    Checkpoint,
    ProvenOrder,
    UnplacedMark,
    array_of,
    check_whole,
    micros_of,
    read_marks,
    read_order,
    utc_start,
    write_marks,
    write_order,
)
from unlimcall_async.cdrs.times import FIRST, LAST, MILLISECOND, Range, floor, to_micros

# Versions 1 and 2 are those of the checkpoints of a stream. Version 3 has cells of any length, and longer marks; version 4 has
# named marks.
VERSION_WITH_CELLS, VERSION_WITH_NAMES = 3, 4
# The bytes of a short mark, which bad rows have, and the records in a checkpoint of an earlier release: a digest of start and id,
# and a leg. With a million records in a lookback, two of them share the first by chance once in some 40 million follows.
KEY_BYTES: Final = 8
MARK_BYTES: Final = KEY_BYTES + LEG_BYTES
# The bytes of a named mark: the start, the leg, more of the digest of all fields, and a state. The id stands beside them. By chance
# a changed price goes unnoticed once in 2 ** 48 times: the byte of its group, two more of the leg and these three must agree.
MORE_BYTES: Final = 3
HELD_BYTES: Final = LEG_BYTES + MORE_BYTES + 2
NAMED: Final = Struct(f">q{HELD_BYTES}s")
# The values of a cell in version 3: three times, and the short marks.
_OF_VERSION_3: Final = 4
# In version 1 and 2: the bytes of the digest of all fields. It was the only one.
_OLD_DIGEST_BYTES: Final = 4


def _check_packed(_cell: Cell, attribute: Any, value: bytes) -> None:
    if len(value) % MARK_BYTES:
        raise ValueError(f"{attribute.name} must be whole marks")


@frozen
class Cell:
    """A stretch of time that may still get records.

    Attributes:
        start: The start of the cell.
        end: The end of the cell, which is not part of it.
        asked_at: When the cell was asked last, in microseconds since 1970; `None` if it never was asked whole.
        seen: The short marks of its rows that were handed out.
        named: The named marks of its records that were handed out.
        ids: The ids of these records.
    """

    start: int = field(validator=[check_whole, ge(FIRST)])
    end: int = field(validator=[check_whole, le(LAST)])
    asked_at: int | None = field(default=None, validator=optional(check_whole))
    seen: bytes = field(default=b"", repr=False, validator=[instance_of(bytes), _check_packed])
    named: bytes = field(default=b"", repr=False, validator=instance_of(bytes))
    ids: tuple[str, ...] = field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError("a cell must end after its start")
        if len(self.named) != NAMED.size * len(self.ids):
            raise ValueError("named must be whole marks, one for each id")


@frozen
class TailPlace:
    """How far a follow is. All times are microseconds since 1970, and whole milliseconds.

    Attributes:
        frontier: Everything before it has been handed out, and nothing more is expected there.
        edge: Everything before it has been asked at least once.
        cells: The cells that were begun, in order. The first one may begin before the frontier.
        holes: The ranges that the user has given up.
        unplaced: The rows without a start that were handed out, as long as their windows are still asked.
    """

    frontier: int = field(validator=check_whole)
    edge: int = field(validator=check_whole)
    cells: tuple[Cell, ...] = field(default=(), repr=False)
    holes: tuple[Range, ...] = field(
        default=(), validator=deep_iterable(instance_of(Range), iterable_validator=instance_of(tuple))
    )
    unplaced: tuple[UnplacedMark, ...] = field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        if not FIRST <= self.frontier <= self.edge <= LAST:
            raise ValueError("the frontier must not lie behind the edge")
        if self.cells and self.cells[0].end <= self.frontier:
            raise ValueError("cells must lie behind the frontier")
        if any(cell.end > after.start for cell, after in pairwise(self.cells)):
            raise ValueError("cells must follow each other")
        if any(hole.start > hole.end for hole in self.holes):
            raise ValueError("a hole must end after its start")


@frozen
class FollowCheckpoint(Checkpoint):
    """All that a follow from `start` has handed out so far, with 35 characters and its id for each record that may come again."""

    kind: ClassVar[str] = "cdrs.follow"
    _versions: ClassVar[tuple[int, ...]] = (VERSION, VERSION_WITH_UNREADABLE, VERSION_WITH_CELLS, VERSION_WITH_NAMES)

    start: datetime = field(converter=utc_start)
    place: TailPlace = field(repr=False)
    # As in the checkpoint of a stream.
    order: ProvenOrder | None = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.place.frontier < floor(to_micros(self.start), MILLISECOND):
            raise ValueError("the frontier must not lie before the start")

    @property
    def _version(self) -> int:
        return VERSION_WITH_NAMES if any(cell.ids for cell in self.place.cells) else VERSION_WITH_CELLS

    def _may_be_of(self, version: int) -> bool:
        if version >= VERSION_WITH_CELLS:
            return version == self._version
        return (version == VERSION_WITH_UNREADABLE) == bool(self.place.unplaced)

    def to_json(self) -> str:
        """Return the checkpoint as JSON, without a secret or a phone number."""
        return f'{super().to_json()[:-1]}, "cells": [{", ".join(map(_cell_to_json, self.place.cells))}]}}'

    def _content(self) -> dict[str, Any]:
        return self.fields()

    def fields(self) -> dict[str, Any]:
        """Return the content in JSON, but for the cells. There all times of a follow are whole milliseconds."""
        place = self.place
        return {
            "start": self.start.isoformat(),
            "frontier": place.frontier // MILLISECOND,
            "edge": place.edge // MILLISECOND,
            "holes": [[hole.start // MILLISECOND, hole.end // MILLISECOND] for hole in place.holes],
            **write_marks(place.unplaced),
            **write_order(self.order),
        }

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        is_old = content["version"] < VERSION_WITH_CELLS
        return cls.of_fields(content, _read_old_cells(content) if is_old else _read_cells(content))

    @classmethod
    def of_fields(cls, fields: dict[str, Any], cells: Iterable[Cell]) -> Self:
        """Return the checkpoint with these fields, as `fields` returns them, and cells."""
        holes = [Range(micros_of(start), micros_of(end)) for start, end in array_of(fields["holes"])]
        frontier, edge = micros_of(fields["frontier"]), micros_of(fields["edge"])
        place = TailPlace(frontier, edge, tuple(cells), tuple(holes), read_marks(fields))
        return cls(datetime.fromisoformat(fields["start"]), place, read_order(fields))


def times_of(cell: Cell) -> list[int | None]:
    """Return the times of a cell in milliseconds."""
    asked_at = None if cell.asked_at is None else cell.asked_at // MILLISECOND
    return [cell.start // MILLISECOND, cell.end // MILLISECOND, asked_at]


def cell_of(times: Iterable[object], seen: bytes, named: bytes = b"", ids: Iterable[object] = ()) -> Cell:
    """Return the cell with these times in milliseconds, as `times_of` returns them, and these marks."""
    start, end, asked_at = times
    # An id that is not text is left out, so that one is missing.
    texts = tuple(each for each in ids if isinstance(each, str))
    return Cell(micros_of(start), micros_of(end), None if asked_at is None else micros_of(asked_at), seen, named, texts)


def values_of(cell: Cell) -> list[Any]:
    """Return a cell as JSON holds it: `read_cell` reads it. A cell without named marks is as in version 3."""
    named = [b64encode(cell.named).decode(), cell.ids] if cell.ids else []
    return [*times_of(cell), b64encode(cell.seen).decode(), *named]


def _cell_to_json(cell: Cell) -> str:
    # To look for characters to escape in a million marks would take longer than all the rest.
    named = f', "{b64encode(cell.named).decode()}", {json.dumps(cell.ids)}' if cell.ids else ""
    return f'[{json.dumps(times_of(cell))[1:-1]}, "{b64encode(cell.seen).decode()}"{named}]'


def _read_cells(content: dict[str, Any]) -> list[Cell]:
    return [read_cell(cell) for cell in array_of(content["cells"])]


def read_cell(cell: Any) -> Cell:
    """Return the cell with these values."""
    *times, seen, named, ids = cell if len(array_of(cell)) > _OF_VERSION_3 else (*cell, "", [])
    return cell_of(times, b64decode(seen, validate=True), b64decode(named, validate=True), array_of(ids))


def _read_old_cells(content: dict[str, Any]) -> list[Cell]:
    """Return the cells of a checkpoint of version 1 or 2, in which all cells have one width."""
    width = micros_of(content["width"])
    if width < MILLISECOND:
        raise ValueError("width must be above zero")
    cells = list[Cell]()
    for index, asked_at, seen in array_of(content["cells"]):
        if type(index) is not int:
            raise ValueError("index must be a whole number")
        start = index * width
        # The last cell may reach beyond the last time.
        first, last = max(start, FIRST) // MILLISECOND, min(start + width, LAST) // MILLISECOND
        cells.append(cell_of((first, last, asked_at), _read_old_marks(b64decode(seen, validate=True))))
    return cells


def _read_old_marks(packed: bytes) -> bytes:
    """Return marks of version 1 or 2 as those of version 3. Only the digest of all fields is known of them."""
    step = KEY_BYTES + _OLD_DIGEST_BYTES
    if len(packed) % step:
        raise ValueError("a cell holds whole marks")
    unknown, known = bytes(LEG_BYTES - 2), KEY_BYTES + 2
    rows = (packed[at : at + known] for at in range(0, len(packed), step))
    return b"".join(row[:KEY_BYTES] + unknown + row[KEY_BYTES:] for row in rows)
