"""The file of a pull. After any kill, `--resume` continues it exactly.

The file grows as `FILE.part`, and gets its name when it is complete. `FILE.checkpoint` holds the journal: how much of the part
counts, and where the stream continues. Everything depends on the order of the steps:

1. Records are written to the part and brought to the disk before the journal that counts them. A kill between the two leaves bytes
   that no journal counts; to continue is to cut them off.
2. The journal is replaced in one step.
3. The journal says "complete" before the file gets its name, and stays afterwards. So if a pull was killed at its very end or after
   its end, `--resume` finds nothing left to do.

The rows that cannot be read go to a file of rejects, if the user wants one. That file grows and is counted in the same way.

Before a pull is continued, the journal is compared with the part, or with the file. Both must hold just what the journal counts.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from unlimcall_async.cli.files import check_name, exists, read_kept, store
from unlimcall_async.cli.journal import Journal, JournalError
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.part_file import PartFile


class PullFile:
    """The part and the journal of a pull. The part is open and locked until the `with` block ends.

    Args:
        path: The file's name when it is complete.

    Raises:
        UnwritableError: A file cannot be written. All methods raise this error too.
        UnusableError: Another process writes the file, or the part may be another user's work.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal = path.with_name(f"{path.name}.checkpoint")
        check_name(self._journal)
        self._file = PartFile(path)
        self._rejects: PartFile | None = None
        self._has_journal = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if self._rejects is not None:
            self._rejects.close()

    def open_rejects(self, path: Path) -> bool:
        """Open the part of the file of rejects. Return whether there is such a file, or a part of it with content."""
        self._rejects = PartFile(path)
        return self._rejects.exists

    @property
    def exists(self) -> bool:
        """Whether a new pull would destroy records."""
        return self._file.exists

    def stored(self) -> Journal | None:
        """Return the journal in `FILE.checkpoint`; `None` if there is no such file.

        Raises:
            UnusableError: The file cannot be read, or does not hold a journal.
        """
        text = read_kept(self._journal)
        self._has_journal = text is not None
        try:
            return None if text is None else Journal.from_json(text)
        except JournalError:
            raise UnusableError(
                f"{self._journal} is not what a pull of this release leaves, or was changed; --force starts anew"
            ) from None

    def begin(self, journal: Journal) -> None:
        """Start anew. The complete file of an earlier pull stays until this pull is complete."""
        # First: from here on, --resume continues this pull.
        store(self._journal, journal.to_json(), replace=journal.replace or self._has_journal)
        self._file.clear()
        if self._rejects is not None:
            self._rejects.clear()

    def go_on(self, journal: Journal) -> None:
        """Prepare to continue: cut off what the journal does not count.

        Raises:
            UnusableError: The part, or the file, is not as the journal says.
        """
        extents = [(self._file, journal.length, journal.crc32)]
        if self._rejects is not None and journal.rejects is not None:
            extents.append((self._rejects, journal.rejects.length, journal.rejects.crc32))
        for file, length, crc32 in extents:
            if journal.complete:  # the pull may have been killed before the file got its name
                if not file.is_complete(length, crc32):
                    raise UnusableError(f"{file.path} is not as {self._journal} says; --force pulls it anew")
                continue
            if exists(file.path) and not journal.replace:
                raise UnusableError(f"{file.path} has appeared since the pull began; move it away")
            if file.length < length:
                raise UnusableError(f"{file.part} is shorter than {self._journal} says; --force starts anew")
            if not file.cut_to(length, crc32):
                raise UnusableError(f"{file.part} is not as {self._journal} says; --force starts anew")

    def append(self, text: bytes, journal: Journal, rejects: bytes = b"") -> Journal:
        """Append records to the part, and rejects to theirs, and then store the journal that counts them."""
        self._file.append(text)
        if self._rejects is not None:
            self._rejects.append(rejects)
        store(self._journal, journal.to_json())
        return journal

    def finish(self, journal: Journal) -> Journal:
        """Move the complete parts to the names of the files, and return the last journal.

        A pull that was killed during or after this step is finished, too.
        """
        complete = attrs.evolve(journal, complete=True)
        store(self._journal, complete.to_json())
        self._file.put_in_place(replace=journal.replace)
        if self._rejects is not None:
            self._rejects.put_in_place(replace=journal.replace)
        return complete
