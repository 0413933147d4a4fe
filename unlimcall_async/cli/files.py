"""How commands write files: no link is followed, no file is replaced without leave, and a file is whole or not there.

A folder may be open to other users, who can plant links, pipes and files under names that a command is going to use. So this
module, which makes every file of every command, keeps four rules:

1. A new file is created exclusively, with mode 0600: files hold call records, secrets, or places to continue from.
2. The last name of a path is never a link. A file that a process left for the next one must be an ordinary file of this user that
   nobody else can write. If the next process writes into the file, the file must have one name.
3. The content is written under another name, in the same folder. Once the content is on the disk, the file takes its own name in
   one step. Unless the caller replaces an old file, that step fails if the name is taken by then.
4. Names for one use are random. A name that others can foretell could be taken, and what is there could be a user's.

`writing` and `store` write a file from start to end, and remove what they began if they fail. A pull keeps its part from one
process to the next: `PartFile` uses `open_kept` and `put_in_place` itself.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from unlimcall_async import _platform
from unlimcall_async.cli.output import UnusableError, UnwritableError, unusable, unwritable

_FLAGS: Final = _platform.NO_LINK | _platform.NO_WAIT


def is_same(first: Path, second: Path) -> bool:
    """Return whether both names are of one file or folder, which need not exist."""
    return first.resolve() == second.resolve() or (first.exists() and second.exists() and first.samefile(second))


def exists(path: Path) -> bool:
    """Return whether the name is taken, also by a link that leads nowhere."""
    return os.path.lexists(path)


def check_name(path: Path) -> None:
    """Check that a file of this name can be written: the name is free, or that of an ordinary file.

    Raises:
        UnwritableError: The name is that of a link, a folder, a pipe or a device, or this system cannot have the name.
    """
    with unwritable(path):
        fault = _name_fault(path)
    if fault:
        raise UnwritableError(path, fault)


def _name_fault(path: Path) -> str:
    """Return why a name cannot be that of a file; an empty text if the name is free, or that of an ordinary file."""
    if fault := _platform.name_fault(path.name):
        return fault
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    if stat.S_ISLNK(mode):
        return "it is a symbolic link, which this command does not follow; name the file itself"
    return "" if stat.S_ISREG(mode) else "it is not an ordinary file"


def without_detours(path: Path) -> Path:
    """Return another path of the same file, or of the same free name, without links or `..` among its folders."""
    return Path(os.path.realpath(path.parent), path.name)


def open_new(path: Path) -> BinaryIO:
    """Create a file that only its owner can read, and open it for writing.

    Raises:
        OSError: The name is taken, or the file cannot be created.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "wb")


def open_kept(path: Path) -> BinaryIO:
    """Open the file that an earlier process left, or a new one, for reading and for appending.

    Raises:
        UnwritableError: The file cannot be opened.
        UnusableError: The file may be another user's work.
    """
    check_name(path)
    flags = os.O_RDWR | os.O_APPEND | _FLAGS
    with unwritable(path):
        try:
            return os.fdopen(os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), "a+b")
        except FileExistsError:
            file = os.fdopen(os.open(path, flags), "a+b")
    return _own(file, path, one_name=True)


def open_ordinary(path: Path) -> BinaryIO:
    """Open an ordinary file for reading.

    Raises:
        UnusableError: The name is that of something else.
        OSError: The file cannot be opened.
    """
    if fault := _name_fault(path):
        raise UnusableError(f"cannot read {path}: {fault}")
    return os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb")


def read_kept(path: Path) -> bytes | None:
    """Return the content of the file that an earlier process left; `None` if there is no such file.

    Raises:
        UnusableError: The file cannot be read, or may be another user's work.
    """
    with unusable("read", path):
        try:
            with _own(open_ordinary(path), path) as file:
                return file.read()
        except FileNotFoundError:
            return None


def _own(file: BinaryIO, path: Path, *, one_name: bool = False) -> BinaryIO:
    """Return the file. Close it if its content may not be this user's.

    Args:
        file: The open file.
        path: Its name.
        one_name: Whether a second name, by a hard link, is refused. What is written would show under that name, too.

    Raises:
        UnusableError: The file may be another user's work.
    """
    found = os.fstat(file.fileno())
    reason = ""
    if not stat.S_ISREG(found.st_mode):
        reason = "it is not an ordinary file"
    elif _platform.is_of_another(found):
        reason = "it belongs to another user"
    elif one_name and found.st_nlink > 1:
        reason = "it has a second name, by a hard link"
    elif _platform.others_can_write(found):
        reason = "other users can write it"
    if reason:
        file.close()
        raise UnusableError(f"{path} may not be what this command left there: {reason}; move it away")
    return file


def put_in_place(part: Path, path: Path, *, replace: bool) -> None:
    """Move a file that is on the disk to its name, in one step.

    Args:
        part: The file's present name.
        path: The file's own name.
        replace: Whether a file of this name is replaced. A link of this name is never followed.

    Raises:
        UnwritableError: The name is taken, and `replace` is not set.
        OSError: The file cannot be renamed.
    """
    try:
        if replace:
            part.replace(path)
        else:
            _platform.rename_to_free_name(part, path)
    except FileExistsError:
        raise UnwritableError(path, "a file of this name has appeared meanwhile") from None
    _platform.sync_folder(path.parent)


@contextmanager
def writing(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Open a new file that is called `path` when the block ends. If the block raises, nothing has changed.

    Raises:
        UnwritableError: The file cannot be opened, brought to the disk or put in place.
    """
    with new_beside(path) as (file, part):
        yield file
        with unwritable(path):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            put_in_place(part, path, replace=replace)


@contextmanager
def new_beside(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a new file that another one is going to be replaced by, and yield the file with its name. It stays open.

    If the block raises, the new file is closed and removed.

    Raises:
        UnwritableError: The file cannot be opened.
    """
    check_name(path)
    part = path.with_name(f"{_platform.name_of_one_use(path)}.{secrets.token_hex(4)}.new")
    with unwritable(path):
        file = open_new(part)
    try:
        yield file, part
    except BaseException:  # Ctrl-C too must leave no part behind
        with suppress(OSError):  # a full disk fails again on closing; the first error is the one that counts
            file.close()
        with suppress(OSError):
            part.unlink()
        raise


def store(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a small file, which by default replaces the old one. The text is on the disk when this function returns.

    Raises:
        UnwritableError: The file cannot be written. It is as it was.
    """
    with writing(path, replace=replace) as file, unwritable(path):
        file.write(text.encode())
