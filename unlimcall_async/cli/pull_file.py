"""The file of a pull, which any kill leaves in a state that `--resume` goes on from exactly.

It grows as `FILE.part`, and gets its name when it is whole. `FILE.checkpoint` says how far it is. All depends on the order of the
steps: what was written is on the disk before the checkpoint that counts it, so a kill between the two leaves bytes that do not
count, and to go on is to cut them off. The checkpoint is replaced in one step. It says "complete" before the file gets its name,
and stays afterwards, so that to resume a pull that was killed at its very end, or after it, finds that nothing is left to do.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from unlimcall_async.cli.journal import Journal, JournalError
from unlimcall_async.cli.output import UnusableError, UnwritableError, unwritable
from unlimcall_async.cli.stored import replace, target_of


class PullFile:
    """The file, open and locked. Leave `with` to let go of it.

    Args:
        path: The file's name when it is whole.

    Raises:
        UnwritableError: Something cannot be written; so do all methods.
        UnusableError: Another process writes it.
    """

    def __init__(self, path: Path) -> None:
        with unwritable(path):
            target = target_of(path)
        if target.exists() and not target.is_file():
            raise UnwritableError(path, "it is no ordinary file")
        self._path = path
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._beside = target.with_name(f"{target.name}.checkpoint")
        with unwritable(path):
            self._file = self._part.open("a+b")
        if not self._is_locked():
            self._file.close()
            raise UnusableError(f"another process is writing {path}")

    def _is_locked(self) -> bool:
        """See to it that this is the only process that writes the file; tell whether it is."""
        if sys.platform == "win32":
            return True
        import fcntl  # noqa: PLC0415 # Windows has none

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        # A process that has just ended may have given the file its name meanwhile.
        return self._is_in_place()

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._part.stat())
        except FileNotFoundError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):
            if self._is_in_place() and not self._part.stat().st_size:  # nothing to go on from
                self._part.unlink()
        with suppress(OSError):  # a full disk fails again here, and the first error is the one that counts
            self._file.close()

    @property
    def exists(self) -> bool:
        """Whether there is anything that a new pull would destroy."""
        return self._target.exists() or self._part.stat().st_size > 0

    def stored(self) -> Journal | None:
        """Read how far the pull is; `None` if nothing tells.

        Raises:
            UnusableError: It cannot be read.
        """
        try:
            return Journal.from_json(self._beside.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (JournalError, UnicodeDecodeError):
            raise UnusableError(f"{self._beside} is not what a pull of this release leaves") from None
        except OSError as error:
            raise UnusableError(f"cannot read {self._beside}: {error.strerror}") from None

    def begin(self, journal: Journal) -> None:
        """Start anew. A whole file of an earlier pull stays until this one is whole."""
        with unwritable(self._path):
            self._note(journal)  # first: from here on it is this pull that resumes
            self._file.truncate(0)

    def go_on(self, journal: Journal) -> None:
        """Have the file as it was when the journal was written.

        Raises:
            UnusableError: It is shorter than it was then.
        """
        with unwritable(self._path):
            if self._length() < journal.length:
                raise UnusableError(f"{self._part} is shorter than {self._beside} says; --force starts anew")
            self._file.truncate(journal.length)

    def append(self, text: bytes, journal: Journal) -> Journal:
        """Write some more, and then the journal that counts it."""
        with unwritable(self._path):
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._note(journal)
        return journal

    def finish(self, journal: Journal) -> None:
        """Give the file its name, as it is whole; also where a kill came in between, or after that.

        Raises:
            UnusableError: There is neither a whole file nor a whole part.
        """
        with unwritable(self._path):
            length = self._length()
            named = not length and self._is_whole(journal)
            if not named and length != journal.length:
                raise UnusableError(f"{self._path} is not as {self._beside} says; --force pulls it anew")
            self._note(attrs.evolve(journal, complete=True))
            if not named:
                if sys.platform == "win32":  # which renames no open file
                    self._file.close()
                self._part.replace(self._target)

    def _note(self, journal: Journal) -> None:
        replace(self._beside, journal.to_json())

    def _length(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _is_whole(self, journal: Journal) -> bool:
        return self._target.exists() and self._target.stat().st_size == journal.length
