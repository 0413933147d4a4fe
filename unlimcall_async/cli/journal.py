"""The content of `FILE.checkpoint`: which range a pull's file holds, and how far the pull is. No I/O."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError, _json
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.pull_formats import FORMS
from unlimcall_async.cli.rejects import Rejects, count
from unlimcall_async.cli.sealed import sealed, unsealed
from unlimcall_async.cli.sums import Lines

VERSION: Final = 2


class JournalError(ValueError):
    """The text is not a journal, was changed, or is the journal of another release. The message goes on behind the file's name."""


def _pairs(value: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((start, end) for start, end in value)


@attrs.frozen
class Made:
    """The file that was made of a complete part, if the part itself does not become the file.

    Attributes:
        length: Its bytes.
        crc32: Their CRC-32.
    """

    length: int = attrs.field(validator=count)
    crc32: int = attrs.field(validator=count)


@attrs.frozen
class Kept:
    """What earlier pulls into the file left, which this pull goes on behind.

    Attributes:
        end: The end of their range, where this pull begins.
        length: The bytes of the file.
        records: The number of records in these bytes.
        begun: When the first of these pulls began. Earlier releases have not stored it.
    """

    end: datetime
    length: int = attrs.field(validator=count)
    records: int = attrs.field(validator=count)
    begun: datetime | None = None


@attrs.frozen
class Journal:
    """How far a pull is.

    Attributes:
        start: The start of the file's range.
        end: The end of its range, settled when the pull began.
        form: The format's name.
        replace: Whether the file replaces one that was there when the pull began.
        length: The bytes of the part that count. Bytes behind them were written after this journal.
        crc32: The CRC-32 of these bytes.
        records: The number of records in these bytes.
        complete: Whether they are all records of the range.
        rejects: The file of rows that cannot be read, if there is one.
        saturated: The instants that hold more records than the API shows: start and end of each, as text.
        checkpoint: Where the stream continues; `None` at its start.
        zone: The name of the time zone that the pull began with. Earlier releases have not stored it.
        till: The end that the user asked for, if that was in the future when the pull began.
        kept: What earlier pulls into the file left, if this pull continues the file of a pull that has ended.
        made: The file that was made of the part, if the format cannot grow.
        begun: When the pull began: relative times of its command count back from then. Earlier releases have not stored it.
        manifest: How much of the manifest's part counts. Without it, the file gets no manifest: earlier releases have made none.
    """

    start: datetime
    end: datetime
    form: str = attrs.field(validator=attrs.validators.in_(FORMS))
    replace: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    length: int = attrs.field(default=0, validator=count)
    crc32: int = attrs.field(default=0, validator=count)
    records: int = attrs.field(default=0, validator=count)
    complete: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    rejects: Rejects | None = None
    saturated: Sequence[tuple[str, str]] = attrs.field(default=(), converter=_pairs)
    checkpoint: Checkpoint | None = None
    zone: str | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.instance_of(str)))
    till: datetime | None = None
    kept: Kept | None = None
    made: Made | None = None
    begun: datetime | None = None
    manifest: Lines | None = None

    def __attrs_post_init__(self) -> None:
        """Check the fields against each other."""
        if self.start > self.end:
            raise ValueError("start must not be after end")
        if self.kept is not None and not self.start <= self.kept.end <= self.end:
            raise ValueError("a pull continues within its range")
        before = (0, 0) if self.kept is None else (self.kept.length, self.kept.records)
        if self.checkpoint is None and ((self.length, self.records) != before or self.complete):
            raise ValueError("a pull without a checkpoint has no records")
        if self.length < before[0] or self.records < before[1]:
            raise ValueError("nothing is taken out of a file")
        if self.made is not None and not self.complete:
            raise ValueError("a file is made of all records")
        if self.records and not self.length:
            raise ValueError("records take bytes")

    @property
    def begin(self) -> datetime:
        """The start of the range that this pull itself asks for."""
        return self.start if self.kept is None else self.kept.end

    @property
    def first_begun(self) -> datetime | None:
        """When the first pull into the file began, which has settled the start."""
        return self.begun if self.kept is None else self.kept.begun

    @property
    def came(self) -> int:
        """The number of records that this pull itself has written."""
        return self.records - (0 if self.kept is None else self.kept.records)

    @property
    def flawed(self) -> bool:
        """Whether rows of the range are not among the records."""
        return bool(self.saturated or (self.rejects and self.rejects.rows))

    def to_json(self) -> str:
        """Return the journal as JSON."""
        fields = {name: getattr(self, name) for name in attrs.fields_dict(Journal)}
        fields["start"], fields["end"] = text_of(self.start), text_of(self.end)
        fields["till"], fields["begun"] = _text(self.till), _text(self.begun)
        if self.kept is not None:
            times = {"end": text_of(self.kept.end), "begun": _text(self.kept.begun)}
            fields["kept"] = attrs.asdict(self.kept) | times
        for name in ("made", "manifest"):
            if fields[name] is not None:
                fields[name] = attrs.asdict(fields[name])
        fields["rejects"] = None if self.rejects is None else self.rejects.fields
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
            version = fields.pop("version")
        except (ValueError, KeyError):
            raise JournalError("is not what a pull leaves, or was changed") from None
        if type(version) is not int or version != VERSION:
            raise JournalError(f"is of version {version!r}, and this release continues pulls of version {VERSION} only")
        try:
            checkpoint = fields["checkpoint"]
            fields["checkpoint"] = None if checkpoint is None else Checkpoint.from_json(json.dumps(checkpoint))
            rejects = fields["rejects"]
            fields["rejects"] = None if rejects is None else Rejects.of(rejects)
            fields["start"], fields["end"] = (_moment(fields[name]) for name in ("start", "end"))
            # Earlier releases have not written these.
            fields["till"], fields["begun"] = _moment_or_none(fields.get("till")), _moment_or_none(fields.get("begun"))
            if (kept := fields.get("kept")) is not None:
                times = {"end": _moment(kept["end"]), "begun": _moment_or_none(kept.get("begun"))}
                fields["kept"] = Kept(**{**kept, **times})
            if (made := fields.get("made")) is not None:
                fields["made"] = Made(**made)
            if (manifest := fields.get("manifest")) is not None:
                fields["manifest"] = Lines(**manifest)
            return cls(**fields)
        except CheckpointError as error:
            raise JournalError(f"cannot be continued: {error}") from None
        except (ValueError, KeyError, TypeError, OverflowError):
            raise JournalError("is not what a pull leaves, or was changed") from None

    def after(self, text: bytes, records: int, checkpoint: Checkpoint) -> Self:
        """Return the journal after `text` in the file, which holds `records` more records."""
        return attrs.evolve(
            self,
            length=self.length + len(text),
            crc32=zlib.crc32(text, self.crc32),
            records=self.records + records,
            checkpoint=checkpoint,
        )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else text_of(moment)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _moment(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("a time must have an offset")
    return read.astimezone(UTC)
