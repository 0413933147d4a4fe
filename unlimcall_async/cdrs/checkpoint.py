"""Where a stream or a follow stands, in a form that another process can go on from.

Pure: no I/O. A stream's output is ordered, so a place in that order is all that has to be kept. A follow goes over the same ground
again and again, so it keeps what it has handed out of the ground that is still open.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, instance_of, optional

from unlimcall_async.cdrs.instants import Range
from unlimcall_async.errors import CheckpointError

VERSION: Final = 1
# What a follow keeps of a record: a digest of its start and id, and one of the rest.
KEY_BYTES: Final = 8
MARK_BYTES: Final = 4


def _check_whole(_instance: object, attribute: Any, value: int) -> None:
    if type(value) is not int:
        raise ValueError(f"{attribute.name} must be a whole number")


def _check_aware(_instance: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValueError(f"{attribute.name} must be a timezone-aware datetime")


class Checkpoint(ABC):
    """Everything handed out so far. Store `to_json()`, and pass what `from_json` makes of it as `resume`."""

    kind: ClassVar[str]

    def to_json(self) -> str:
        """Write the checkpoint. It holds no secret and no phone number."""
        return json.dumps({"version": VERSION, "kind": self.kind, **self._content()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            CheckpointError: It is no checkpoint, or of a version that this release does not know.
        """
        try:
            content: Any = json.loads(text)
            version, kind = content["version"], content["kind"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CheckpointError("this is no checkpoint") from None
        found = next((known for known in (StreamCheckpoint, FollowCheckpoint) if known.kind == kind), None)
        if version != VERSION or found is None:
            raise CheckpointError(f"this release does not know a checkpoint of {kind!r}, version {version!r}")
        try:
            checkpoint = found._of(content)  # noqa: SLF001 # its own kin
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise CheckpointError("this checkpoint is damaged") from None
        if not isinstance(checkpoint, cls):
            raise CheckpointError(f"this is a checkpoint of {kind!r}")
        return checkpoint

    @abstractmethod
    def _content(self) -> dict[str, Any]: ...

    @classmethod
    @abstractmethod
    def _of(cls, content: dict[str, Any]) -> Self: ...


def _check_count(_instance: object, attribute: Any, value: int) -> None:
    _check_whole(_instance, attribute, value)
    if value < 0:
        raise ValueError(f"{attribute.name} must not be negative")


@frozen
class Place:
    """A place in the order of the records: behind the record that these say, or, without an `id`, at the edge of an instant.

    Attributes:
        at: Microseconds since 1970.
        id: The id of the last record that was handed out; `None` for the edge: everything before `at` (after it, where the
            newest come first) is done.
        digest: Of that record, to tell it from others with its id and start.
        repeats: How many records with all of these were handed out.
    """

    at: int = field(validator=_check_whole)
    id: str | None = field(default=None, validator=optional(instance_of(str)))
    digest: str = field(default="", validator=instance_of(str))
    repeats: int = field(default=0, validator=_check_count)


@frozen
class StreamCheckpoint(Checkpoint):
    """Everything handed out so far, of a stream over `[start, end)`, in some 200 characters of JSON."""

    kind: ClassVar[str] = "cdrs.stream"

    start: datetime = field(validator=_check_aware)
    end: datetime = field(validator=_check_aware)
    newest_first: bool = field(validator=instance_of(bool))
    place: Place = field(repr=False)

    def _content(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "newest_first": self.newest_first,
            "place": [self.place.at, self.place.id, self.place.digest, self.place.repeats],
        }

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        start, end = (datetime.fromisoformat(content[name]) for name in ("start", "end"))
        at, last_id, digest, repeats = content["place"]
        return cls(start, end, content["newest_first"], Place(at, last_id, digest, repeats))


def _check_packed(_cell: Cell, attribute: Any, value: bytes) -> None:
    if len(value) % (KEY_BYTES + MARK_BYTES):
        raise ValueError(f"{attribute.name} must be whole digests")


@frozen
class Cell:
    """A stretch of time that may still get records.

    Attributes:
        index: Its place in a grid of equal cells that begins in 1970.
        asked_at: Since when it has not been asked, in milliseconds since 1970; `None` if it never was asked whole.
        seen: The digests of its records that were handed out.
    """

    index: int = field(validator=_check_whole)
    asked_at: int | None = field(validator=optional(_check_whole))
    seen: bytes = field(repr=False, validator=[instance_of(bytes), _check_packed])


@frozen
class TailPlace:
    """How far a follow is. All times are milliseconds since 1970.

    Attributes:
        width: Of a cell.
        frontier: Everything before it has been handed out, and nothing more is expected there.
        edge: Everything before it has been asked at least once.
        cells: What is open between the two.
        holes: What its user has given up.
    """

    width: int = field(validator=[_check_whole, ge(1)])
    frontier: int = field(validator=_check_whole)
    edge: int = field(validator=_check_whole)
    cells: tuple[Cell, ...] = field(default=(), repr=False)
    holes: tuple[Range, ...] = field(
        default=(), validator=deep_iterable(instance_of(Range), iterable_validator=instance_of(tuple))
    )


@frozen
class FollowCheckpoint(Checkpoint):
    """Everything that a follow from `start` has handed out, with 16 characters for each record that may still come again."""

    kind: ClassVar[str] = "cdrs.follow"

    start: datetime = field(validator=_check_aware)
    place: TailPlace = field(repr=False)

    def _content(self) -> dict[str, Any]:
        place = self.place
        return {
            "start": self.start.isoformat(),
            "width": place.width,
            "frontier": place.frontier,
            "edge": place.edge,
            "cells": [[cell.index, cell.asked_at, b64encode(cell.seen).decode()] for cell in place.cells],
            "holes": [[hole.start, hole.end] for hole in place.holes],
        }

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        cells = [Cell(index, asked_at, b64decode(seen, validate=True)) for index, asked_at, seen in content["cells"]]
        holes = [_range(*hole) for hole in content["holes"]]
        place = TailPlace(content["width"], content["frontier"], content["edge"], tuple(cells), tuple(holes))
        return cls(datetime.fromisoformat(content["start"]), place)


def _range(start: object, end: object) -> Range:
    if type(start) is not int or type(end) is not int or start > end:
        raise ValueError("a hole must be two whole numbers, in order")
    return Range(start, end)
