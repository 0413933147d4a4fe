"""What `follow.changes()` hands out: records that are new, revised or removed.

Pure: no I/O.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self, cast

from attrs import field, frozen

from unlimcall_async._model import Model
from unlimcall_async.cdrs.marks import Found, Removed, Revised
from unlimcall_async.cdrs.times import to_datetime
from unlimcall_async.models import CallRecord


def _time(value: datetime) -> datetime:
    """Return the value as it is: a default `cattrs.Converter` refuses a time in a field that has no converter."""
    return value


@frozen
class CdrKey(Model):
    """What names a call record: its start and its id, which the legs of one call may share.

    Attributes:
        start_time: When the call started, in UTC.
        id: The call's id.
    """

    start_time: datetime = field(converter=_time)
    id: str

    @classmethod
    def of(cls, record: CallRecord) -> Self:
        """Return the key of a record."""
        return cls(record.start_time, record.id)


@frozen
class CdrChange(Model):
    """A change of the call records that the API holds.

    Attributes:
        kind: `added`, a record that was not handed out before; `revised`, a record that was handed out with other contents; or
            `removed`, a record that was handed out and that the API holds no longer.
        record: The record as it is now; `None` if the record is removed.
        key: The start and the id of the record; by default those of `record`.
    """

    kind: Literal["added", "revised", "removed"]
    record: CallRecord | None
    # msgspec does not read a model with a default that depends on another field.
    key: CdrKey = field(default=cast("CdrKey", None))

    def __attrs_post_init__(self) -> None:
        if self.key is None:
            if self.record is None:
                raise TypeError("a change without a record needs a key")
            object.__setattr__(self, "key", CdrKey.of(self.record))


def change_of(found: Found) -> CdrChange:
    """Return what a follow has found as users see it."""
    match found:
        case Revised(record=record):
            return CdrChange("revised", record)
        case Removed(name=(start, call_id)):
            return CdrChange("removed", None, CdrKey(to_datetime(start), call_id))
        case record:
            return CdrChange("added", record)
