"""The content of `FILE.checkpoint`: which range a pull's file holds, and how far the pull is. No I/O."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from typing import Any, Final, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError, _json
from unlimcall_async.cli.formats import FORMATS, text_of
from unlimcall_async.cli.sealed import sealed, unsealed

VERSION: Final = 2


class JournalError(ValueError):
    """The text is not a journal, was changed, or is the journal of another release."""


def _count(_journal: object, attribute: Any, value: int) -> None:
    # JSON's `true` is an int in Python, and would pass for a length of 1.
    if type(value) is not int or value < 0:
        raise ValueError(f"{attribute.name} must be a whole number, and not negative")


@attrs.frozen
class Journal:
    """How far a pull is.

    Attributes:
        start: The start of its range.
        end: The end of its range, settled when the pull began.
        form: The format's name.
        replace: Whether the file replaces one that was there when the pull began.
        length: The bytes of the file that count. Bytes behind them were written after this journal.
        crc32: The CRC-32 of these bytes.
        records: The number of records in these bytes.
        complete: Whether they are all records of the range.
        checkpoint: Where the stream continues; `None` at its start.
    """

    start: datetime
    end: datetime
    form: str = attrs.field(validator=attrs.validators.in_(FORMATS))
    replace: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    length: int = attrs.field(default=0, validator=_count)
    crc32: int = attrs.field(default=0, validator=_count)
    records: int = attrs.field(default=0, validator=_count)
    complete: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    checkpoint: Checkpoint | None = None

    def __attrs_post_init__(self) -> None:
        """Check the fields against each other."""
        if self.start > self.end:
            raise ValueError("start must not be after end")
        if self.checkpoint is None and (self.length or self.records or self.complete):
            raise ValueError("a pull without a checkpoint has no records")
        if self.records and not self.length:
            raise ValueError("records take bytes")

    def to_json(self) -> str:
        """Return the journal as JSON."""
        fields = {name: getattr(self, name) for name in attrs.fields_dict(Journal)}
        fields["start"], fields["end"] = text_of(self.start), text_of(self.end)
        if self.checkpoint is not None:
            fields["checkpoint"] = _json.read(self.checkpoint.to_json())
        return sealed({"version": VERSION, **fields})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a journal that `to_json` wrote.

        Raises:
            JournalError: The text is something else.
        """
        try:
            fields = unsealed(text)
            if fields.pop("version") != VERSION:
                raise JournalError("the text is a journal of another release")
            checkpoint = fields["checkpoint"]
            fields["checkpoint"] = None if checkpoint is None else Checkpoint.from_json(json.dumps(checkpoint))
            fields["start"], fields["end"] = (_moment(fields[name]) for name in ("start", "end"))
            return cls(**fields)
        except (ValueError, KeyError, TypeError, OverflowError, CheckpointError):
            raise JournalError("the text is not a journal of this release") from None

    def after(self, text: bytes, records: int, checkpoint: Checkpoint) -> Self:
        """Return the journal after `text`, which holds `records` more records."""
        return attrs.evolve(
            self,
            length=self.length + len(text),
            crc32=zlib.crc32(text, self.crc32),
            records=self.records + records,
            checkpoint=checkpoint,
        )


def _moment(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("a time must have an offset")
    return read.astimezone(UTC)
