"""The checkpoint file of `cdrs follow`: a base and its entries, one a line, as `CheckpointJournal` makes them.

Each batch appends a line that is as long as the batch is worth. A new base replaces the file in one step. So after any kill the
file holds the last place that was stored, or the one that was being stored.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import attrs

from unlimcall_async import Checkpoint, CheckpointError, CheckpointJournal
from unlimcall_async.cli.files import exists, store
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.part_file import KeptFile
from unlimcall_async.cli.rejects import Rejects
from unlimcall_async.cli.sealed import unsealed


@attrs.frozen
class Stored:
    """The place that a file holds.

    Attributes:
        start: The start of the follow.
        checkpoint: Where the follow continues.
        rejects: How much of the file of rejects counts, if there is one.
    """

    start: datetime
    checkpoint: Checkpoint
    rejects: Rejects | None = None

    @property
    def note(self) -> dict[str, Any]:
        """What is stored with the checkpoint."""
        rejects = None if self.rejects is None else self.rejects.fields
        return {"start": self.start.isoformat(), "rejects": rejects}

    @classmethod
    def of(cls, checkpoint: Checkpoint | None, note: Any) -> Self:
        """Return the place with this checkpoint and this note.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: The two are not those of a follow.
        """
        if checkpoint is None or note["start"] is None:
            raise ValueError("a place has a checkpoint and a start")
        rejects = None if note["rejects"] is None else Rejects.of(note["rejects"])
        return cls(datetime.fromisoformat(note["start"]).astimezone(UTC), checkpoint, rejects)


def not_a_checkpoint(path: Path | None, error: Exception) -> UnusableError:
    """Return the error for a file that holds something else, or a checkpoint of a later release."""
    reason = f": {error}" if isinstance(error, CheckpointError) else ""
    return UnusableError(
        f"{path} is not a checkpoint of a follow of this release, or was changed{reason}; move it away to start anew"
    )


class PlaceFile:
    """The checkpoint file of a follow. A file that is there is open and locked until `close`.

    Args:
        path: The file's name.

    Attributes:
        stored: The place that the file holds; `None` if there is no such file.

    Raises:
        UnusableError: The file cannot be read, holds something else, or is written by another process.
    """

    def __init__(self, path: Path) -> None:
        self.stored: Stored | None = None
        self._path = path
        self._journal = CheckpointJournal()
        self._file: KeptFile | None = None
        # The bytes of the file that count. Behind them may be a line that was cut off.
        self._length = 0
        if exists(path):
            self._file = KeptFile(path)
            try:
                self.stored = self._read(self._file.content())
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                self.close()
                raise not_a_checkpoint(path, error) from None
            except BaseException:
                self.close()
                raise

    def _read(self, content: bytes) -> Stored:
        try:
            # What earlier releases wrote: one object with a checksum of its own.
            fields = unsealed(content)
        except ValueError:
            self._journal, self._length = CheckpointJournal.from_lines(content)
            return Stored.of(self._journal.checkpoint, self._journal.note)
        return Stored.of(Checkpoint.from_json(json.dumps(fields["checkpoint"])), fields)

    def store(self, place: Stored) -> None:
        """Store a place, which is on the disk when this method returns.

        Raises:
            UnwritableError: The file cannot be written. It holds what it held.
            UnusableError: Another process has made a file of this name.
        """
        with self._journal.storing(place.checkpoint, place.note) as entry:
            line = f"{entry.text}\n".encode()
            if self._file is None:
                store(self._path, line.decode(), replace=False)
                self._file = KeptFile(self._path)
            elif entry.is_base:
                self._file.replace(line)
            else:
                # An earlier attempt, which failed, may have left a part of its line.
                self._file.cut_to_length(self._length)
                self._file.append(line)
            self._length = len(line) if entry.is_base else self._length + len(line)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
