"""The content of `FILE.checkpoint`: which range a pull's file holds, and how far the pull is. No I/O."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError, _json
from unlimcall_async.cli.formats import FORMATS, text_of
from unlimcall_async.cli.rejects import Rejects, count
from unlimcall_async.cli.sealed import sealed, unsealed

VERSION: Final = 2


class JournalError(ValueError):
    """The text is not a journal, was changed, or is the journal of another release."""


def _pairs(value: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((start, end) for start, end in value)


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
        rejects: The file of rows that cannot be read, if there is one.
        saturated: The instants that hold more records than the API shows: start and end of each, as text.
        checkpoint: Where the stream continues; `None` at its start.
    """

    start: datetime
    end: datetime
    form: str = attrs.field(validator=attrs.validators.in_(FORMATS))
    replace: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    length: int = attrs.field(default=0, validator=count)
    crc32: int = attrs.field(default=0, validator=count)
    records: int = attrs.field(default=0, validator=count)
    complete: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    rejects: Rejects | None = None
    saturated: Sequence[tuple[str, str]] = attrs.field(default=(), converter=_pairs)
    checkpoint: Checkpoint | None = None

    def __attrs_post_init__(self) -> None:
        """Check the fields against each other."""
        if self.start > self.end:
            raise ValueError("start must not be after end")
        if self.checkpoint is None and (self.length or self.records or self.complete):
            raise ValueError("a pull without a checkpoint has no records")
        if self.records and not self.length:
            raise ValueError("records take bytes")

    @property
    def flawed(self) -> bool:
        """Whether rows of the range are not among the records."""
        return bool(self.saturated or (self.rejects and self.rejects.rows))

    def to_json(self) -> str:
        """Return the journal as JSON."""
        fields = {name: getattr(self, name) for name in attrs.fields_dict(Journal)}
        fields["start"], fields["end"] = text_of(self.start), text_of(self.end)
        if self.rejects is not None:
            fields["rejects"] = attrs.asdict(self.rejects)
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
            rejects = fields["rejects"]
            fields["rejects"] = None if rejects is None else Rejects(**rejects)
            fields["start"], fields["end"] = (_moment(fields[name]) for name in ("start", "end"))
            return cls(**fields)
        except (ValueError, KeyError, TypeError, OverflowError, CheckpointError):
            raise JournalError("the text is not a journal of this release") from None

    def after(self, text: bytes, records: int, checkpoint: Checkpoint) -> Self:
        """Return the journal after `text` in the file, which holds `records` more records."""
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
