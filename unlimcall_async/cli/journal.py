"""The content of `FILE.checkpoint`: which range a pull's file holds, and how far the pull is. No I/O."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError, _json
from unlimcall_async.cli.formats import FORMATS, text_of

VERSION: Final = 1


class JournalError(ValueError):
    """The text is not a journal, or is the journal of another release."""


@attrs.frozen
class Journal:
    """How far a pull is.

    Attributes:
        start: The start of its range.
        end: The end of its range, settled when the pull began.
        form: The format's name.
        length: The bytes of the file that count. Bytes behind them were written after this journal.
        records: The number of records in these bytes.
        complete: Whether they are all records of the range.
        checkpoint: Where the stream continues; `None` at its start.
    """

    start: datetime
    end: datetime
    form: str
    length: int = 0
    records: int = 0
    complete: bool = False
    checkpoint: Checkpoint | None = None

    def to_json(self) -> str:
        """Return the journal as JSON."""
        fields = {name: getattr(self, name) for name in attrs.fields_dict(Journal)}
        if self.checkpoint is not None:
            fields["checkpoint"] = _json.read(self.checkpoint.to_json())
        return json.dumps({"version": VERSION, **fields}, default=text_of) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a journal that `to_json` wrote.

        Raises:
            JournalError: The text is something else.
        """
        try:
            content = _json.read(text)
            checkpoint = content["checkpoint"]
            journal = cls(
                start=datetime.fromisoformat(content["start"]),
                end=datetime.fromisoformat(content["end"]),
                form=content["form"],
                length=content["length"],
                records=content["records"],
                complete=content["complete"],
                checkpoint=None if checkpoint is None else Checkpoint.from_json(json.dumps(checkpoint)),
            )
            known = content["version"] == VERSION and journal.form in FORMATS
        except (ValueError, KeyError, TypeError, RecursionError, CheckpointError):
            raise JournalError("the text is not a journal of this release") from None
        numbers = (journal.length, journal.records)
        # JSON's `true` is an int in Python, and would pass for a length of 1.
        typed = all(type(number) is int and number >= 0 for number in numbers) and isinstance(journal.complete, bool)
        aware = journal.start.tzinfo is not None and journal.end.tzinfo is not None
        if not (known and typed and aware):
            raise JournalError("the text is not a journal of this release")
        return journal

    def after(self, length: int, records: int, checkpoint: Checkpoint | None) -> Self:
        """Return the journal after `length` more bytes, which hold `records` records."""
        return attrs.evolve(self, length=self.length + length, records=self.records + records, checkpoint=checkpoint)
