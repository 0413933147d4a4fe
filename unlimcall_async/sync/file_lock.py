"""A lock that the system holds for a process: it is gone when the process is, however that has ended, and whatever it forked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

from unlimcall_async import _platform
from unlimcall_async.sync.errors import SyncBusyError, SyncDestinationError
from unlimcall_async.sync.forks import close_own, own

_FLAGS: Final = os.O_RDWR | os.O_CREAT | _platform.NO_LINK
_BUSY: Final = "another run syncs this table and account"


class FileLock:
    """The lock of a file that is there for nothing else.

    Args:
        path: The name of the file. It is made, and removed again by the run that has the lock. One that a killed process has left
            locks nothing.

    Raises:
        BlockingIOError: Another run has the lock, in this process or in another one.
        OSError: The file cannot be made, or its file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._descriptor = own(partial(os.open, path, _FLAGS, 0o600))
            try:
                _platform.lock(self._descriptor)
                # The run that had the lock may have removed the file between the opening and the lock.
                if _platform.has_name(self._descriptor, path):
                    return
            except BaseException:
                close_own(self._descriptor)
                raise
            close_own(self._descriptor)

    def release(self) -> None:
        """Remove the file, and let go of the lock."""
        close = partial(close_own, self._descriptor)
        try:
            # Somebody may have removed the file by hand, and another run made its own.
            is_ours = _platform.has_name(self._descriptor, self._path)
        except OSError:  # the folder cannot be looked into any more
            is_ours = False
        if not is_ours:
            close()
            return
        with suppress(OSError):
            _platform.remove_and_close(self._path, close)


def locked(name: str, folder: Path, stem: str, run: Sequence[str]) -> FileLock:
    """Return the lock of a run by the name of the file that the run writes to.

    Args:
        name: The name of the destination.
        folder: The folder of the lock's file, without links.
        stem: What the name of the lock's file begins with: the name of the file that the run writes to.
        run: What tells the run from those that may go on at the same time.

    Raises:
        SyncBusyError: Another run has the lock.
        SyncDestinationError: There can be no lock.
    """
    try:
        return FileLock(folder / f"{stem}.{_digest(run)}.lock")
    except BlockingIOError:
        raise SyncBusyError(name, _BUSY) from None
    except OSError as error:
        raise SyncDestinationError(name, f"no lock can be made in {folder}: {error.strerror or error}") from error


def locked_by_itself(name: str, path: Path, run: Sequence[str]) -> list[FileLock]:
    """Return the lock of a run by the file that the run writes to, or by its folder: a file may have several names.

    The lock is a file for temporary ones, which this machine may not have. There is none then: the lock by name still holds.

    Args:
        name: The name of the destination.
        path: The file or folder, which is there.
        run: What tells the run from those that may go on at the same time.

    Raises:
        SyncBusyError: Another run has the lock.
    """
    try:
        found = path.stat()
        own = f"unlimcall-sync-{found.st_dev:x}-{found.st_ino:x}.{_digest(run)}.lock"
        return [FileLock(Path(tempfile.gettempdir(), own))]
    except BlockingIOError:
        raise SyncBusyError(name, _BUSY) from None
    except OSError:
        return []


def _digest(run: Sequence[str]) -> str:
    return blake2b(repr(tuple(run)).encode(), digest_size=6).hexdigest()
