"""Checkpoints: how far a stream or a follow is, in a form that another process can go on from.

Pure: no I/O. A stream's output is ordered, so a place in that order is all that has to be kept. What a follow keeps is in
`follow_checkpoint`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from attrs import Factory, field, frozen
from attrs.validators import deep_iterable, ge, instance_of, le, matches_re, optional

from unlimcall_async import _arguments, _json
from unlimcall_async._error_root import CheckpointError
from unlimcall_async.cdrs.times import FIRST, LAST, MILLISECOND, ceil, floor, to_micros

# The versions of the checkpoints of a stream. One that has nothing to do with rows that cannot be read is of version 1, so that
# older releases can go on from it. Nor can one that knows version 2 alone go on from a place that tells more than its row.
VERSION, VERSION_WITH_UNREADABLE, VERSION_WITH_SINCE = 1, 2, 3
# The bytes of a leg: see `legs`.
LEG_BYTES: Final = 10
_DIGEST: Final = re.compile("[0-9a-f]{16}")
_LEG: Final = re.compile(f"[0-9a-f]{{{2 * LEG_BYTES}}}")


def check_whole(_instance: object, attribute: Any, value: int) -> None:
    """Check that a field is a whole number: a validator of attrs."""
    if type(value) is not int:
        raise ValueError(f"{attribute.name} must be a whole number")


def utc_start(value: datetime) -> datetime:
    """Return a start in UTC: a converter of attrs."""
    return _arguments.utc("start", value)


def _end(value: datetime) -> datetime:
    return _arguments.utc("end", value)


class Checkpoint(ABC):
    """All that was handed out so far. Store `to_json()`, and pass the checkpoint that `from_json` returns as `resume`.

    Only the JSON is for other releases; a pickle of a checkpoint is for the release that wrote it.
    """

    kind: ClassVar[str]
    _versions: ClassVar[tuple[int, ...]]
    _kinds: ClassVar[dict[str, type[Checkpoint]]] = {}

    def __init_subclass__(cls) -> None:
        # A class with slots is made twice: the second one counts.
        cls._kinds[cls.kind] = cls

    def to_json(self) -> str:
        """Return the checkpoint as JSON, without a secret or a phone number."""
        return json.dumps({"version": self._version, "kind": self.kind, **self._content()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the checkpoint that `to_json` wrote.

        Raises:
            CheckpointError: `text` is not a checkpoint, is damaged, or has a version or a kind that this release does not know.
        """
        try:
            content = _json.read(text)
        except (_json.JsonError, TypeError):
            content = None
        return cls.of_content(content)

    @classmethod
    def of_content(cls, content: Any) -> Self:
        """Return the checkpoint that has this value in JSON. Otherwise like `from_json`."""
        try:
            version, kind = content["version"], content["kind"]
        except (KeyError, TypeError):
            raise CheckpointError("the text is not a checkpoint: a JSON object with version and kind") from None
        found = cls._kinds.get(kind) if isinstance(kind, str) else None
        if type(version) is not int or found is None or version not in found._versions:  # noqa: SLF001 # its own kin
            raise CheckpointError(f"this release does not know checkpoints of {kind!r}, version {version!r}")
        try:
            checkpoint = found._of(content)  # noqa: SLF001 # its own kin
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise CheckpointError(
                "the checkpoint is damaged: a field is missing, has a value that no checkpoint has, or contradicts another field"
            ) from None
        if not checkpoint._may_be_of(version):  # noqa: SLF001 # its own kin
            raise CheckpointError(f"the checkpoint is damaged: its content is not that of version {version}")
        if not isinstance(checkpoint, cls):
            raise CheckpointError(f"the text is a checkpoint of {kind!r}, not of {cls.kind!r}")
        return checkpoint

    @property
    @abstractmethod
    def _version(self) -> int: ...

    @abstractmethod
    def _may_be_of(self, version: int) -> bool:
        """Return whether a checkpoint of a version can have this content."""

    @abstractmethod
    def _content(self) -> dict[str, Any]: ...

    @classmethod
    @abstractmethod
    def _of(cls, content: dict[str, Any]) -> Self: ...


def _check_count(_instance: object, attribute: Any, value: int) -> None:
    check_whole(_instance, attribute, value)
    if value < 0:
        raise ValueError(f"{attribute.name} must not be negative")


@frozen
class Place:
    """A place in the output's order: behind a row, or at the edge of an instant.

    Attributes:
        at: The start of the last row that was handed out, in microseconds since 1970. For an edge: everything before `at`, or, with
            the newest first, from `at` on is done.
        id: The id of that record, or `None` for an edge, and for a row that cannot be read.
        digest: The digest of that row, to distinguish rows that share start and id. An edge has none.
        repeats: How many rows with this start, id and digest were handed out.
        legs: The legs, in hexadecimal, of the records with this start and id that were handed out. A checkpoint of an earlier
            release has none.
        since: The time up to which (from which on, with the newest first) rows without a start were handed out, too, in
            microseconds since 1970. `None` if that is the case for all time before the row's own millisecond.
    """

    at: int = field(validator=check_whole)
    id: str | None = field(default=None, validator=optional(instance_of(str)))
    digest: str = field(default="", validator=instance_of(str))
    repeats: int = field(default=0, validator=_check_count)
    legs: tuple[str, ...] = field(default=(), validator=deep_iterable(matches_re(_LEG), instance_of(tuple)))
    since: int | None = field(default=None, validator=optional(check_whole))

    def __attrs_post_init__(self) -> None:
        if self.legs and (self.id is None or self.repeats > len(self.legs)):
            raise ValueError("the place is behind one of its legs")
        if self.is_edge:
            if self.repeats or self.since is not None:
                raise ValueError("an edge has no repeats, and all rows before an edge were handed out")
        elif not self.repeats or _DIGEST.fullmatch(self.digest) is None:
            raise ValueError("a place behind a row needs the row's digest, and its number")

    @property
    def is_edge(self) -> bool:
        """Whether the place is the edge of an instant, and not behind a row."""
        return self.id is None and not self.digest

    @property
    def settled(self) -> int:
        """The time up to which (from which on, with the newest first) all rows were handed out, those without a start included."""
        return self.at if self.since is None else self.since


@frozen
class ProvenOrder:
    """The order in which a server was found to sort: a stream that goes on presumes the order, and checks it.

    Attributes:
        descending: Whether the newest come first.
        pages: How many pages rest on the order since it was proven.
    """

    descending: bool = field(validator=instance_of(bool))
    pages: int = field(validator=_check_count)


def write_order(order: ProvenOrder | None) -> dict[str, Any]:
    """Return the field of a checkpoint's JSON that holds a proven order; no field without one."""
    return {} if order is None else {"order": ["newest_first" if order.descending else "oldest_first", order.pages]}


def read_order(content: dict[str, Any]) -> ProvenOrder | None:
    """Return the order that `write_order` wrote."""
    if "order" not in content:
        return None
    name, pages = array_of(content["order"])
    return ProvenOrder({"newest_first": True, "oldest_first": False}[name], pages)


@frozen
class UnplacedMark:
    """A row without a start that was handed out, as one that cannot be read, so that it is not handed out again.

    Attributes:
        digest: The digest of its text.
        start: The `from` of the window that showed the row, in microseconds since 1970.
        till: The `till` of that window.
        first: The `from` of a wider window: all rows with this text that it shows were handed out.
        last: The `till` of that window.
    """

    digest: str = field(validator=matches_re(_DIGEST))
    start: int = field(validator=[check_whole, ge(FIRST)])
    till: int = field(validator=[check_whole, le(LAST)])
    first: int = field(default=Factory(lambda self: self.start, takes_self=True), validator=[check_whole, ge(FIRST)])
    last: int = field(default=Factory(lambda self: self.till, takes_self=True), validator=[check_whole, le(LAST)])

    def __attrs_post_init__(self) -> None:
        if not self.first <= self.start < self.till <= self.last:
            raise ValueError("a window ends after its start, and a wider one holds it")

    @property
    def is_local(self) -> bool:
        """Whether no wider window is known."""
        return (self.first, self.last) == (self.start, self.till)


def write_marks(marks: Iterable[UnplacedMark]) -> dict[str, Any]:
    """Return the field of a checkpoint's JSON that holds the marks; no field without marks."""
    written = [[mark.digest, *(at // MILLISECOND for at in _times_of(mark))] for mark in marks]
    return {"unplaced": written} if written else {}


def _times_of(mark: UnplacedMark) -> tuple[int, ...]:
    wider = () if mark.is_local else (mark.first, mark.last)
    return (mark.start, mark.till, *wider)


def read_marks(content: dict[str, Any]) -> tuple[UnplacedMark, ...]:
    """Return the marks that `write_marks` wrote."""
    marks = array_of(content.get("unplaced", []))
    return tuple(UnplacedMark(digest, *map(micros_of, times)) for digest, *times in marks)


@frozen
class StreamCheckpoint(Checkpoint):
    """All that a stream over `[start, end)` has handed out so far, in some 250 characters of JSON."""

    kind: ClassVar[str] = "cdrs.stream"
    _versions: ClassVar[tuple[int, ...]] = (VERSION, VERSION_WITH_UNREADABLE, VERSION_WITH_SINCE)

    start: datetime = field(converter=utc_start)
    end: datetime = field(converter=_end)
    newest_first: bool = field(validator=instance_of(bool))
    place: Place = field(repr=False)
    # Those that a window behind the place may show again.
    unplaced: tuple[UnplacedMark, ...] = field(default=(), repr=False)
    # What is presumed of the server is no part of the position: two checkpoints of one position are equal.
    order: ProvenOrder | None = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        first, at, end = to_micros(self.start), self.place.at, to_micros(self.end)
        if not first <= at <= end or (at == end and not self.place.is_edge):
            raise ValueError("the place must lie in the range")
        if (since := self.place.since) is None:
            return
        if not (at < since <= ceil(end, MILLISECOND) if self.newest_first else floor(first, MILLISECOND) <= since < at):
            raise ValueError("what the place has left out must lie before the place, in the range")

    @property
    def _version(self) -> int:
        if self.place.since is not None:
            return VERSION_WITH_SINCE
        has_unreadable = bool(self.unplaced) or (self.place.id is None and not self.place.is_edge)
        return VERSION_WITH_UNREADABLE if has_unreadable else VERSION

    def _may_be_of(self, version: int) -> bool:
        return version == self._version

    def _content(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "newest_first": self.newest_first,
            "place": [self.place.at, self.place.id, self.place.digest, self.place.repeats],
            # Earlier releases ignore the fields behind.
            **({"legs": self.place.legs} if self.place.legs else {}),
            **({} if self.place.since is None else {"since": min(self.place.since, LAST) // MILLISECOND}),
            **write_marks(self.unplaced),
            **write_order(self.order),
        }

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        start, end = (datetime.fromisoformat(content[name]) for name in ("start", "end"))
        at, last_id, digest, repeats = content["place"]
        since = micros_of(content["since"]) if "since" in content else None
        place = Place(at, last_id, digest, repeats, tuple(array_of(content.get("legs", []))), since)
        return cls(start, end, content["newest_first"], place, read_marks(content), read_order(content))


def array_of(value: object) -> list[Any]:
    """Return an array of JSON, or raise an error for any other value."""
    # An empty text and an empty object are as long as an empty array.
    if not isinstance(value, list):
        raise TypeError("an array is expected")
    return value


def micros_of(millis: object) -> int:
    """Return a time of a checkpoint's JSON in microseconds."""
    # Not isinstance: a bool is an int.
    if type(millis) is not int or not FIRST <= millis * MILLISECOND <= LAST:
        raise ValueError("a time must be a whole number of milliseconds, in the years 1 to 9999")
    return millis * MILLISECOND
