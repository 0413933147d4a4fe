"""What stands in the file beside a pull's file: how far it is, and of what. No I/O."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError
from unlimcall_async.cli.formats import FORMATS, text_of

VERSION: Final = 1


class JournalError(ValueError):
    """It is no journal, or of another release."""


@attrs.frozen
class Journal:
    """How far a pull is.

    Attributes:
        start: Where its range begins.
        end: Where it ends, settled when the pull began.
        form: The format's name.
        length: Bytes of the file that count. What is behind them was written after this was.
        records: How many records they are.
        complete: Whether that is all.
        checkpoint: Where the stream goes on; `None` at its start.
    """

    start: datetime
    end: datetime
    form: str
    length: int = 0
    records: int = 0
    complete: bool = False
    checkpoint: Checkpoint | None = None

    def to_json(self) -> str:
        """Write it."""
        fields = {name: getattr(self, name) for name in attrs.fields_dict(Journal)}
        if self.checkpoint is not None:
            fields["checkpoint"] = json.loads(self.checkpoint.to_json())
        return json.dumps({"version": VERSION, **fields}, default=text_of) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            JournalError: It is something else.
        """
        try:
            return cls._of(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError, CheckpointError):
            raise JournalError("is not what a pull of this release leaves") from None

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
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
        numbers = (journal.length, journal.records)
        sound = all(type(number) is int and number >= 0 for number in numbers) and isinstance(journal.complete, bool)
        if content["version"] != VERSION or journal.form not in FORMATS or not sound:
            raise ValueError
        if journal.start.tzinfo is None or journal.end.tzinfo is None:
            raise ValueError
        return journal

    def further(self, written: int, records: int, checkpoint: Checkpoint | None) -> Self:
        """Give the journal after some more."""
        return attrs.evolve(self, length=self.length + written, records=self.records + records, checkpoint=checkpoint)
