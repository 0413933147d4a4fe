"""A journal of checkpoints in a file: a thin shell around `CheckpointJournal`.

The file holds a base and its entries, one a line. An entry is appended. A base is written beside the file, and takes its name in
one step. So whenever the process is killed, the file holds the last checkpoint that was stored, or the one that was being stored.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from unlimcall_async import _durable, _platform
from unlimcall_async._argument_kinds import file_path
from unlimcall_async._error_root import CheckpointError
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal

_FLAGS: Final = os.O_RDWR | os.O_APPEND | _platform.NO_LINK
_BUSY: Final = "another process has the file open"


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
        # Absolute, because a process may change its folder, for example when it becomes a daemon.
        self._path = file_path("path", path).absolute()
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
        file = os.fdopen(os.open(self._path, _FLAGS), "a+b")
        try:
            self._take_lock(file)
            # Another process may have replaced the file between the opening and the lock.
            if not _platform.has_name(file.fileno(), self._path):
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
        if not _platform.lock_if_possible(file.fileno()):
            raise CheckpointError(_BUSY)

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
            TypeError: `checkpoint` is not a checkpoint, or `note` holds something that JSON does not have.
            ValueError: The file is closed; or `note` holds what a journal does not read, such as a NaN, or text that UTF-8 cannot
                hold.
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
        if not _platform.has_name(file.fileno(), self._path):
            raise CheckpointError(f"{self._path} was removed or replaced while it was open")

    def _append(self, file: BinaryIO, line: bytes) -> None:
        if os.fstat(file.fileno()).st_size > self._length:
            file.truncate(self._length)
        _durable.append(file, line)
        self._length += len(line)

    def _replace(self, line: bytes) -> None:
        part = self._path.with_name(f"{_platform.name_of_one_use(self._path)}.{os.getpid()}.new")
        part.unlink(missing_ok=True)  # of a process that was killed, and had the same number
        file = os.fdopen(os.open(part, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600), "a+b")
        try:
            # Before the file gets its name: no other process can come between.
            self._take_lock(file)
            _durable.append(file, line)
            _platform.close_to_rename(file, self._file)
            self._put_in_place(part)
        except BaseException:
            file.close()
            if self._file is not None and self._file.closed:
                self._file = None
            with suppress(OSError):
                part.unlink()
            raise
        self._release()
        self._begun = False
        try:
            self._file = _platform.reopened(file, self._path)
        except BlockingIOError:
            raise CheckpointError(f"{self._path}: {_BUSY}") from None
        self._begun, self._length = True, len(line)
        with suppress(OSError):  # the file has its name all the same
            _platform.sync_folder(self._path.parent)

    def _put_in_place(self, part: Path) -> None:
        if self._begun:
            part.replace(self._path)
            return
        # Two processes may both have found no file.
        try:
            _platform.rename_to_free_name(part, self._path)
        except FileExistsError:
            raise CheckpointError(f"{self._path} was begun by another process meanwhile") from None

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
