"""Where a stream stands, in a form that another process can go on from.

Pure: no I/O. Output is ordered, so a place in that order is all that has to be kept.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, Self

from attrs import field, frozen
from attrs.validators import instance_of, optional

from unlimcall_async.errors import CheckpointError

VERSION: Final = 1
_KIND: Final = "cdrs.stream"


def _check_whole(_place: Place, attribute: Any, value: int) -> None:
    if type(value) is not int or (value < 0 and attribute.name == "repeats"):
        raise ValueError(f"{attribute.name} must be a whole number")


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
    repeats: int = field(default=0, validator=_check_whole)


def _check_aware(_checkpoint: Checkpoint, attribute: Any, value: datetime) -> None:
    if value.utcoffset() is None:
        raise ValueError(f"{attribute.name} must be timezone-aware")


@frozen
class Checkpoint:
    """Everything handed out so far, of a stream over `[start, end)`. Store `to_json()`; pass the checkpoint as `resume`."""

    start: datetime = field(validator=_check_aware)
    end: datetime = field(validator=_check_aware)
    newest_first: bool = field(validator=instance_of(bool))
    place: Place = field(repr=False)

    def to_json(self) -> str:
        """Write the checkpoint, in some 200 characters. It holds no secret and no phone number."""
        content = {
            "version": VERSION,
            "kind": _KIND,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "newest_first": self.newest_first,
            "place": [self.place.at, self.place.id, self.place.digest, self.place.repeats],
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            CheckpointError: It is no checkpoint of a stream, or of a version that this release does not know.
        """
        try:
            content: Any = json.loads(text)
            version, kind = content["version"], content["kind"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CheckpointError("this is no checkpoint") from None
        if version != VERSION or kind != _KIND:
            raise CheckpointError(
                f"this is a checkpoint of {kind!r}, version {version!r}; expected {_KIND!r}, {VERSION}"
            )
        try:
            start, end = (datetime.fromisoformat(content[name]) for name in ("start", "end"))
            at, last_id, digest, repeats = content["place"]
            checkpoint = cls(start, end, content["newest_first"], Place(at, last_id, digest, repeats))
        except (ValueError, KeyError, TypeError):
            raise CheckpointError("this checkpoint is damaged") from None
        return checkpoint
