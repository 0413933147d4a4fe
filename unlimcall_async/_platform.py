"""What differs between operating systems: locks, names and modes of files, pipes, consoles and signals.

No other module asks which system this is. The question is asked at each use, in the form that type checkers understand. What
differs:

|                                | POSIX                           | Windows                                                  |
|--------------------------------|---------------------------------|----------------------------------------------------------|
| the lock of a file             | advisory, of the whole file     | of bytes, which nobody else can read or write            |
| an open file                   | can be renamed, removed         | keeps its name                                           |
| a folder                       | can be opened, locked, synced   | cannot be opened                                         |
| a rename to a name             | replaces a file of that name    | fails if the name is taken, unless it is told to replace |
| who may read a file            | its mode                        | access lists, which a new file has from its folder       |
| names                          | all but `/` and NUL             | see `name_fault`                                         |
| a pipe whose reader has left   | `BrokenPipeError`               | also "invalid argument"                                  |
| a terminal                     | takes bytes                     | takes text                                               |
| the polite end of a process    | SIGTERM, by the event loop      | Ctrl-Break, by a plain handler                           |
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

# What is written is what is read, and no program that this process starts has the file. Only some systems have each flag.
OPEN_FLAGS: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# The same, and a last name that is a link is refused.
NO_LINK: Final = OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0)
# To open a pipe does not wait for its other end.
NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
# Bytes of a file's name that leave room for more, and how many characters of a longer one are shown. A character may take four of
# the 255 bytes that most file systems give a name.
_NOT_LONG: Final = 200
_BEGINNING: Final = 40

# How file systems refuse to sync a folder, or to open one that this user cannot list.
_NO_SYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM}
# Far behind the end of all files that this package writes: a byte that Windows has locked cannot be read by anybody else.
_LOCKED_BYTE: Final = 1 << 42
# The file that stands for its folder where folders cannot be locked.
_FOLDER_LOCK: Final = ".unlimcall.lock"
# The longest name of most file systems.
_NAME_MAX: Final = 255
# What POSIX promises that a pipe takes at once, on any system.
_PIPE_MIN: Final = 512

# Names that Windows keeps for devices, with any ending.
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?=[.:]|$)", re.IGNORECASE)
_REFUSED: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


# --- locks ----------------------------------------------------------------------------------------------------------------


def lock(descriptor: int) -> None:
    """Lock an open file without waiting. The lock ends when the file is closed.

    Raises:
        BlockingIOError: The file is locked already, in this process or in another one.
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 # Windows alone has it

        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
        return
    import fcntl  # noqa: PLC0415 # Windows has none

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_if_possible(descriptor: int) -> bool:
    """Lock an open file, and return whether nobody else has locked it. A file system without locks locks nothing."""
    try:
        lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder meanwhile. Yield whether nobody else has locked it.

    Raises:
        OSError: The folder cannot be opened.
    """
    if sys.platform == "win32":
        path = folder / _FOLDER_LOCK
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
        with ExitStack() as opened:
            opened.callback(close_and_remove, path, lambda: os.close(descriptor))
            yield lock_if_possible(descriptor)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield lock_if_possible(descriptor)
    finally:
        os.close(descriptor)


# --- the names of files ---------------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, if the system and the file system can.

    Raises:
        OSError: The disk has failed.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def has_name(descriptor: int, path: Path) -> bool:
    """Return whether an open file still has its name. Another process may have renamed, replaced or removed the file."""
    if sys.platform == "win32":  # where an open file keeps its name
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def rename_to_free_name(part: Path, path: Path) -> None:
    """Rename a file in one step, unless the name is taken.

    Raises:
        FileExistsError: The name is taken.
        OSError: The file cannot be renamed.
    """
    if sys.platform == "win32":
        part.rename(path)
        return
    # POSIX has no rename that replaces nothing. A second name has this property.
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links, which has one of many errors for them: the name may be taken between the two lines.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(path)
    else:
        part.unlink(missing_ok=True)  # a second process may have seen the two names, and removed this one


def close_to_rename(*files: BinaryIO | None) -> None:
    """Close open files where an open file cannot be renamed or replaced. Elsewhere they stay open and locked."""
    if sys.platform == "win32":
        for file in files:
            if file is not None:
                file.close()


def reopened(file: BinaryIO, path: Path) -> BinaryIO:
    """Return a file that `close_to_rename` may have closed: open for reading and appending, and locked.

    Raises:
        BlockingIOError: Another process has locked the file while it was closed.
        OSError: The file cannot be opened.
    """
    if not file.closed:
        return file
    again = os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | NO_LINK), "a+b")
    if not lock_if_possible(again.fileno()):
        again.close()
        raise BlockingIOError(errno.EAGAIN, "another process has opened the file")
    return again


def remove_and_close(path: Path, close: Callable[[], object]) -> None:
    """Remove the name of an open file, and close the file. Nobody can lock a file whose name is about to go.

    Raises:
        OSError: The name cannot be removed. The file is closed.
    """
    if sys.platform == "win32":
        close_and_remove(path, close)
        return
    try:
        path.unlink()
    finally:
        close()


def close_and_remove(path: Path, close: Callable[[], object]) -> None:
    """Close a file, and remove its name unless another process has opened the file by then: an open file keeps its name."""
    close()
    with suppress(OSError):
        path.unlink()


def name_fault(name: str) -> str:
    """Return why this system cannot have a file of a name; an empty text if it can.

    Windows takes such a name for another file: `calls:a.csv` for a stream of the file `calls`, and `nul.csv` for no file at all.
    """
    return _windows_name_fault(name) if sys.platform == "win32" else ""


def _windows_name_fault(name: str) -> str:
    if found := _REFUSED.search(name):
        return f"a name on Windows cannot have {found[0]!r}"
    if found := _DEVICE.match(name):
        return f"Windows keeps the name {found[0].strip()} for a device"
    if name.endswith((".", " ")):
        return "a name on Windows cannot end in a dot or a space"
    return ""


def is_device(name: str) -> bool:
    """Return whether Windows takes a name for a device. All systems are told: a file may be copied to Windows."""
    return _DEVICE.match(name) is not None


def longest_name(folder: Path) -> int:
    """Return how many bytes a name in a folder may have."""
    if sys.platform == "win32":
        return _NAME_MAX
    return os.pathconf(folder, "PC_NAME_MAX")


def name_of_one_use(path: Path) -> str:
    """Return how a name for one use beside a file begins. With another 20 bytes, the name fits wherever that of the file does."""
    name = os.fsencode(path.name)
    if len(name) <= _NOT_LONG:
        return path.name
    return f"{path.name[:_BEGINNING]}.{blake2b(name, digest_size=8).hexdigest()}"


# --- whose a file is ------------------------------------------------------------------------------------------------------


def make_private(file: BinaryIO) -> None:
    """Take from all others the right to read an open file. Windows has such rights in lists, which are left as they are."""
    if sys.platform == "win32":
        return
    if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        with suppress(PermissionError):  # a file system without modes of its own, for example on a memory card
            os.fchmod(file.fileno(), 0o600)


def is_of_another(found: os.stat_result, *trusted: int) -> bool:
    """Return whether a file belongs to another user, who is not one of those that are trusted. Windows tells no users."""
    return sys.platform != "win32" and found.st_uid not in {os.geteuid(), *trusted}


def others_can_write(found: os.stat_result) -> bool:
    """Return whether the mode of a file lets other users write it. Modes of Windows tell nothing of other users."""
    return sys.platform != "win32" and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) != 0


# --- pipes and terminals --------------------------------------------------------------------------------------------------


def pipe_takes() -> int:
    """Return how many bytes a pipe that has room takes at once."""
    if sys.platform == "win32":
        return _PIPE_MIN
    return select.PIPE_BUF


def has_room(descriptor: int) -> bool:
    """Return whether a write would not wait. Windows cannot ask a pipe, so there a write may wait."""
    return sys.platform == "win32" or bool(select.select([], [descriptor], [], 0)[1])


def is_broken_pipe(error: OSError) -> bool:
    """Return whether a write has failed because the reader of a pipe has left."""
    # Windows reports ERROR_NO_DATA, which its C library translates to "invalid argument".
    return isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL)


def terminal_takes_text() -> bool:
    """Return whether a terminal is to get text, and not bytes in UTF-8: consoles of Windows may have another encoding."""
    return sys.platform == "win32"


# --- the machine ----------------------------------------------------------------------------------------------------------


def has_certificate_store() -> bool:
    """Return whether certificate authorities come from the system itself, and not from files."""
    return sys.platform == "win32"


def has_unix_sockets() -> bool:
    """Return whether sockets can have the names of files."""
    return sys.platform != "win32" and hasattr(socket, "AF_UNIX")


@contextmanager
def stop_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Have the polite signals to end this process call a function in the running event loop: SIGTERM, on Windows Ctrl-Break.

    Ctrl-C is left to `asyncio.Runner`, which knows it on each system. In a thread, no signal is handled.
    """
    loop = asyncio.get_running_loop()
    with ExitStack() as handled:
        # Event loops on Windows take no handlers. A loop elsewhere removes its own when it is closed.
        # In a thread, a loop elsewhere raises another `RuntimeError`.
        try:
            loop.add_signal_handler(signal.SIGTERM, stop)
        except RuntimeError:  # also `NotImplementedError`
            for name in ("SIGTERM", "SIGBREAK"):
                if (number := getattr(signal, name, None)) is not None:
                    with suppress(ValueError):  # a thread handles no signals
                        before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
                        handled.callback(signal.signal, number, before)
        yield
