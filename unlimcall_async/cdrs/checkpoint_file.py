"""A journal of checkpoints in a file: a thin shell around `CheckpointJournal`.

The file holds a base and its entries, one a line. An entry is appended. A base is written beside the file, and takes its name in
one step. So whenever the process is killed, the file holds the last checkpoint that was stored, or the one that was being stored.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from unlimcall_async._error_root import CheckpointError
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal

# Windows has neither links that need care, nor this flag, but has text files.
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | os.O_APPEND


class CheckpointFile:
    """Stores checkpoints in a file that only its owner can read. To store one costs what its batch is worth, not its own size.

    The file is locked as long as it is open. Use `with`, or call `close`. A new base of a million records takes some tenths of a
    second: `await asyncio.to_thread(file.store, checkpoint)` keeps the event loop free.

    Args:
        path: The name of the file. Without such a file, nothing was stored yet, and `store` makes one.

    Raises:
        CheckpointError: The file is damaged or holds something else, or another process has it open.
        OSError: The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._busy = Lock()
        self._journal = CheckpointJournal()
        self._file: BinaryIO | None = None
        self._closed = False
        # Whether the file is this object's: it was found, or made.
        self._begun = False
        # The bytes of the file that count. Behind them may be a line that was cut off.
        self._length = 0
        with suppress(FileNotFoundError):
            self._open()

    def _open(self) -> None:
        file = os.fdopen(os.open(self._path, os.O_RDWR | _FLAGS), "a+b")
        try:
            self._take_lock(file)
            # Another process may have replaced the file between the opening and the lock.
            if not os.path.samestat(os.fstat(file.fileno()), self._path.lstat()):
                file.close()
                self._open()
                return
            file.seek(0)
            self._journal, self._length = CheckpointJournal.from_lines(file.read())
        except CheckpointError as error:
            file.close()
            raise CheckpointError(f"{self._path}: {error}; move the file away to start anew") from None
        except BaseException:
            file.close()
            raise
        self._file, self._begun = file, True

    def _take_lock(self, file: BinaryIO) -> None:
        if sys.platform == "win32":
            return
        import fcntl  # noqa: PLC0415 # Windows has none

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError("another process has the file open") from None
        except OSError:  # a file system without locks
            return

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that was stored; `None` before the first one."""
        return self._journal.checkpoint

    @property
    def note(self) -> Any:
        """What was stored with that checkpoint; `None` if nothing was."""
        return self._journal.note

    def store(self, checkpoint: Checkpoint, note: Any = None) -> None:
        """Store a checkpoint, which is on the disk when this method returns.

        Args:
            checkpoint: The checkpoint.
            note: Any JSON value that belongs to it, for example the length of a file.

        Raises:
            CheckpointError: The file was removed or replaced meanwhile, or another process has begun it. Nothing was stored.
            OSError: The file cannot be written. It holds what it held.
            ValueError: The file is closed.
        """
        with self._busy, self._journal.storing(checkpoint, note) as entry:
            if self._closed:
                raise ValueError("the file is closed")
            line = f"{entry.text}\n".encode()
            if self._file is not None:
                self._check_still_there(self._file)
            if entry.is_base or self._file is None:
                self._replace(line)
            else:
                self._append(self._file, line)

    def _check_still_there(self, file: BinaryIO) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), self._path.lstat()):
                return
        raise CheckpointError(f"{self._path} was removed or replaced while it was open")

    def _append(self, file: BinaryIO, line: bytes) -> None:
        if os.fstat(file.fileno()).st_size > self._length:
            file.truncate(self._length)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        self._length += len(line)

    def _replace(self, line: bytes) -> None:
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        part.unlink(missing_ok=True)  # of a process that was killed, and had the same number
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "a+b")
        try:
            # Before the file gets its name: no other process can come between.
            self._take_lock(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":  # which renames no open file
                file.close()
                self._release()
            self._put_in_place(part)
        except BaseException:
            file.close()
            with suppress(OSError):
                part.unlink()
            raise
        self._release()
        if sys.platform == "win32":
            file = os.fdopen(os.open(self._path, os.O_RDWR | _FLAGS), "a+b")
        self._file, self._length = file, len(line)
        self._sync_folder()

    def _put_in_place(self, part: Path) -> None:
        if self._begun:
            part.replace(self._path)
            return
        # Two processes may both have found no file. A second name is made only if it is free, which a new name by renaming is not.
        try:
            self._path.hardlink_to(part)
        except FileExistsError:
            raise CheckpointError(f"{self._path} was begun by another process meanwhile") from None
        except OSError:  # a file system without hard links
            part.replace(self._path)
        else:
            part.unlink()
        self._begun = True

    def _sync_folder(self) -> None:
        """Bring the file's name to the disk, where the file system can."""
        if sys.platform == "win32":
            return
        with suppress(OSError):
            descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Close the file, which another process may open then. Nothing can be stored any more."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self._path)!r}>"
