"""What `cdrs follow` writes: records on standard output, rows that cannot be read into a file, and the place in its checkpoint.

The order of the steps makes the command go on after any kill without a gap:

1. Records are written before the checkpoint that covers them. After a kill between the two, the next start repeats them.
2. Rejects are brought to the disk before the checkpoint that counts them. The next start cuts off what no checkpoint counts.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import attrs

from unlimcall_async import CdrFollow, Checkpoint, CheckpointError, _json
from unlimcall_async.cli.files import read_kept, store, without_detours
from unlimcall_async.cli.formats import ndjson
from unlimcall_async.cli.output import UnusableError, write_when_ready
from unlimcall_async.cli.part_file import KeptFile
from unlimcall_async.cli.pieces import taken
from unlimcall_async.cli.rejects import HEAD, Rejects, lines
from unlimcall_async.cli.sealed import sealed, unsealed

# Seconds between two looks for rejects that no record follows.
_LOOK: Final = 1.0


@attrs.frozen
class Stored:
    """The content of the checkpoint file of a follow.

    Attributes:
        start: The start of the follow.
        checkpoint: Where the follow continues.
        rejects: How much of the file of rejects counts, if there is one.
    """

    start: datetime
    checkpoint: Checkpoint
    rejects: Rejects | None = None

    def to_json(self) -> str:
        """Return the content as JSON."""
        return sealed(
            {
                "start": self.start.isoformat(),
                "checkpoint": _json.read(self.checkpoint.to_json()),
                "rejects": None if self.rejects is None else attrs.asdict(self.rejects),
            }
        )

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return the content of a file; `None` if there is no such file.

        Raises:
            UnusableError: The file cannot be read, or holds something else.
        """
        text = read_kept(path)
        if text is None:
            return None
        try:
            fields = unsealed(text)
            rejects = fields["rejects"]
            return cls(
                datetime.fromisoformat(fields["start"]).astimezone(UTC),
                Checkpoint.from_json(json.dumps(fields["checkpoint"])),
                None if rejects is None else Rejects(**rejects),
            )
        except (ValueError, KeyError, TypeError, OverflowError, CheckpointError):
            raise not_a_checkpoint(path) from None


def not_a_checkpoint(path: Path | None) -> UnusableError:
    """Return the error for a file that holds something else."""
    return UnusableError(
        f"{path} is not a checkpoint of a follow of this release, or was changed; move it away to start anew"
    )


class FollowOutput:
    """The outputs of a follow.

    Args:
        checkpoint: The checkpoint file, if there is one.
        rejects: The file for rows that cannot be read, if there is one.
        stored: What the checkpoint file holds.

    Attributes:
        rejected: The number of rows that were written to the file of rejects.

    Raises:
        UnusableError: The file of rejects is not as the checkpoint says, or another process writes it.
    """

    def __init__(self, checkpoint: Path | None, rejects: Path | None, stored: Stored | None) -> None:
        self.rejected: int = 0
        self._path = checkpoint
        self._file: KeptFile | None = None
        self._counted = None if stored is None else stored.rejects
        # Whether the file was there before, and is this command's own.
        self._is_own = stored is not None
        self._written = True
        if rejects is not None:
            self._file = KeptFile(rejects)
            try:
                self._counted = self._count(self._file, rejects)
            except BaseException:
                self._file.close()
                raise

    def _count(self, file: KeptFile, path: Path) -> Rejects:
        """Return how much of the file counts, and cut off the rest."""
        name, held = str(without_detours(path)), self._counted
        if held is None or held.file != name:
            # Lines of earlier follows, which go on. A follow without a checkpoint may have been killed within a line.
            if not file.begins_like(HEAD):
                raise UnusableError(f"{path} does not hold rows that cannot be read; give --rejects another name")
            file.cut_to_whole_lines()
            return Rejects(name, file.length, file.crc32())
        if not file.length:  # moved away, as logs are
            return Rejects(name)
        if not file.cut_to(held.length, held.crc32):
            raise UnusableError(f"{path} is not as {self._path} says; move one of the two away")
        return held

    async def write_all(self, follow: CdrFollow) -> None:
        """Write the records of a follow as they come, until the follow raises an error."""
        async with aclosing(follow.batches()) as batches:
            while True:
                step = asyncio.ensure_future(anext(batches))
                try:
                    # A row that cannot be read is written at once, also if no record comes behind it.
                    while not (await asyncio.wait({step}, timeout=_LOOK))[0]:
                        if follow.unreadable:
                            self.store(follow)
                finally:
                    if not step.done():
                        step.cancel()
                        await asyncio.wait({step})
                self._written = False
                await write_when_ready(ndjson(step.result()))
                self._written = True
                self.store(follow)

    def store(self, follow: CdrFollow) -> None:
        """Write the rejects and store the checkpoint, unless a batch is not written yet.

        Polls without new records have moved the checkpoint, too.
        """
        if self._written:
            self._store(follow.start, follow.checkpoint, follow)

    def skip(self, follow: CdrFollow, checkpoint: Checkpoint) -> None:
        """Store a checkpoint behind a range that the user gives up."""
        self._store(follow.start, checkpoint, follow)

    def _store(self, start: datetime, checkpoint: Checkpoint, follow: CdrFollow) -> None:
        if self._file is not None and self._counted is not None:
            rows = taken(follow.unreadable)
            text = lines(rows)
            self._file.append(text)
            self._counted = self._counted.after(text, len(rows))
            self.rejected += len(rows)
        if self._path is not None:
            store(self._path, Stored(start, checkpoint, self._counted).to_json(), replace=self._is_own)
            self._is_own = True

    def close(self) -> None:
        """Close the file of rejects."""
        if self._file is not None:
            self._file.close()
