"""The file of a pull. After any kill, `--resume` continues it exactly.

The file grows as `FILE.part`, and gets its name when it is complete. `FILE.checkpoint` holds the journal: how much of the part
counts, and where the stream continues. Everything depends on the order of the steps:

1. Records are written to the part and brought to the disk before the journal that counts them. A kill between the two leaves bytes
   that no journal counts; to continue is to cut them off.
2. The journal is replaced in one step.
3. The journal says "complete" before the file gets its name, and stays afterwards. So if a pull was killed at its very end or after
   its end, `--resume` finds nothing left to do.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from unlimcall_async.cli.atomic_file import AtomicFile, replace
from unlimcall_async.cli.journal import Journal, JournalError
from unlimcall_async.cli.output import UnusableError, unwritable


class PullFile:
    """The part and the journal of a pull. The part is open and locked until the `with` block ends.

    Args:
        path: The file's name when it is complete.

    Raises:
        UnwritableError: A file cannot be written. All methods raise this error too.
        UnusableError: Another process writes the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._atomic = AtomicFile.at(path, ".part")
        self._journal = self._atomic.target.with_name(f"{self._atomic.target.name}.checkpoint")
        with unwritable(path):
            self._file = self._atomic.part.open("a+b")
        if not self._lock():
            self._file.close()
            raise UnusableError(f"another process is writing {path}")

    def _lock(self) -> bool:
        """Lock the part, and return whether this process is the only one that writes it."""
        if sys.platform == "win32":
            return True
        import fcntl  # noqa: PLC0415 # Windows has none

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        # Another process may have ended between the opening and the lock, and have given the part its name.
        return self._is_in_place()

    def _is_in_place(self) -> bool:
        """Return whether the open file is still the one that is called `FILE.part`."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._atomic.part.stat())
        except FileNotFoundError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):
            if self._is_in_place() and not self._atomic.part.stat().st_size:  # nothing to continue from
                self._atomic.part.unlink()
        with suppress(OSError):  # a full disk fails again here; the first error is the one that counts
            self._file.close()

    @property
    def exists(self) -> bool:
        """Whether a new pull would destroy anything."""
        return self._atomic.target.exists() or self._atomic.part.stat().st_size > 0

    def stored(self) -> Journal | None:
        """Return the journal in `FILE.checkpoint`; `None` if there is no such file.

        Raises:
            UnusableError: The file cannot be read, or does not hold a journal.
        """
        try:
            return Journal.from_json(self._journal.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (JournalError, UnicodeDecodeError):
            raise UnusableError(
                f"{self._journal} is not what a pull of this release leaves; --force starts anew"
            ) from None
        except OSError as error:
            raise UnusableError(f"cannot read {self._journal}: {error.strerror}") from None

    def begin(self, journal: Journal) -> None:
        """Start anew. The complete file of an earlier pull stays until this pull is complete."""
        replace(self._journal, journal.to_json())  # first: from here on, --resume continues this pull
        with unwritable(self._path):
            self._file.truncate(0)

    def cut_to(self, journal: Journal) -> None:
        """Cut the part to the length that the journal counts.

        Raises:
            UnusableError: The part is shorter than this length.
        """
        with unwritable(self._path):
            if self._length() < journal.length:
                raise UnusableError(f"{self._atomic.part} is shorter than {self._journal} says; --force starts anew")
            self._file.truncate(journal.length)

    def append(self, text: bytes, journal: Journal) -> Journal:
        """Append records to the part, and then store the journal that counts them."""
        with unwritable(self._path):
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())
        replace(self._journal, journal.to_json())
        return journal

    def finish(self, journal: Journal) -> None:
        """Rename the complete part to the file. A pull that was killed during or after the rename is finished, too.

        Raises:
            UnusableError: Neither the part nor the file has the length that the journal counts.
        """
        target = self._atomic.target
        with unwritable(self._path):
            length = self._length()
            # An empty part beside a file of the right length: the file had got its name, and this process has opened a new part.
            named = not length and target.exists() and target.stat().st_size == journal.length
            if not named and length != journal.length:
                raise UnusableError(f"{self._path} is not as {self._journal} says; --force pulls it anew")
            replace(self._journal, attrs.evolve(journal, complete=True).to_json())
            if not named:
                if sys.platform == "win32":  # which renames no open file
                    self._file.close()
                self._atomic.put_in_place()

    def _length(self) -> int:
        return os.fstat(self._file.fileno()).st_size
