"""What `cdrs follow` writes: records on standard output, rows that cannot be read into a file, and the place in its checkpoint.

The order of the steps makes the command go on after any kill without a gap:

1. Records are written before the checkpoint that covers them. After a kill between the two, the next start repeats them.
2. Rejects are brought to the disk before the checkpoint that counts them. The next start cuts off what no checkpoint counts.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final

from unlimcall_async import CdrFollow, Checkpoint
from unlimcall_async.cli.files import without_detours
from unlimcall_async.cli.follow_place import PlaceFile, Stored
from unlimcall_async.cli.formats import ndjson
from unlimcall_async.cli.output import UnusableError, write_when_ready
from unlimcall_async.cli.part_file import KeptFile
from unlimcall_async.cli.pieces import taken
from unlimcall_async.cli.rejects import HEAD, Rejects, lines

# Seconds between two looks for rejects that no record follows.
_LOOK: Final = 1.0


class FollowOutput:
    """The outputs of a follow.

    Args:
        place: The checkpoint file, if there is one.
        rejects: The file for rows that cannot be read, if there is one.
        checkpoint: The name of the checkpoint file, for messages.

    Attributes:
        rejected: The number of rows that were written to the file of rejects.

    Raises:
        UnusableError: The file of rejects is not as the checkpoint says, or another process writes it.
    """

    def __init__(self, place: PlaceFile | None, rejects: Path | None, checkpoint: Path | None) -> None:
        self.rejected: int = 0
        self._path = checkpoint
        self._place = place
        self._file: KeptFile | None = None
        self._counted = None if place is None or place.stored is None else place.stored.rejects
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
                batch = step.result()
                self._written = False
                await write_when_ready(ndjson(batch))
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
        if self._place is not None:
            self._place.store(Stored(start, checkpoint, self._counted))

    def close(self) -> None:
        """Close the file of rejects."""
        if self._file is not None:
            self._file.close()
