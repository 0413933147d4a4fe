"""Files that grow over several processes.

Such a file is open and locked as long as a process writes it. How much of the file counts is written elsewhere: in a journal, which
is replaced after each piece. A `PartFile` is called `FILE.part` until it is complete.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from unlimcall_async import _durable
from unlimcall_async._platform import (
    close_to_rename,
    has_name,
    lock_if_possible,
    make_private,
    remove_and_close,
    reopened,
)
from unlimcall_async.cli.files import check_name, exists, new_beside, open_kept, open_ordinary, put_in_place
from unlimcall_async.cli.output import UnusableError, unwritable

# Bytes of a file that are in memory while its content is compared with a journal.
_PIECE: Final = 1 << 20


class KeptFile:
    """A file that this process, and others before it, append to. The file is open and locked until `close`.

    Args:
        path: The file's name.
        shown: The name in messages, if that is another one.

    Raises:
        UnwritableError: The file cannot be written. All methods raise this error too.
        UnusableError: Another process writes the file, or the file may be another user's work.
    """

    def __init__(self, path: Path, shown: Path | None = None) -> None:
        self._name = path
        self._shown = shown or path
        self._file = open_kept(path)
        # Another process may have ended between the opening and the lock, and have renamed or removed the file.
        if not lock_if_possible(self._file.fileno()) or not has_name(self._file.fileno(), path):
            self._file.close()
            raise self._busy()

    def _busy(self) -> UnusableError:
        return UnusableError(f"another process is writing {self._shown}")

    @property
    def length(self) -> int:
        """The bytes in the file."""
        return _length(self._file)

    def crc32(self) -> int:
        """Return the CRC-32 of the whole file."""
        with unwritable(self._shown):
            return _crc32(self._file, self.length) or 0

    def content(self) -> bytes:
        """Return the content of the whole file."""
        with unwritable(self._shown):
            self._file.seek(0)
            return self._file.read()

    def replace(self, text: bytes) -> None:
        """Replace the file in one step. No other process can take the new one meanwhile, where open files can be renamed."""
        old = self._file
        with unwritable(self._shown):
            make_private(old)
            try:
                new = self._put_new_in_place(text)
            except BaseException:
                with suppress(OSError):  # the first error is the one that counts
                    self._file = reopened(old, self._name)
                raise
            try:
                self._file = reopened(new, self._name)
            except BlockingIOError:
                raise self._busy() from None
        old.close()

    def _put_new_in_place(self, text: bytes) -> BinaryIO:
        """Replace the file by a new one, and return the new one. Where an open file cannot be replaced, both are closed."""
        with new_beside(self._name) as (new, part):
            # A lock belongs to what was opened, and not to a name. So the lock is there before the file has its name.
            lock_if_possible(new.fileno())
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            close_to_rename(new, self._file)
            put_in_place(part, self._name, replace=True)
        return new

    def cut_to_length(self, length: int) -> None:
        """Cut off what the file has behind a length."""
        if self.length > length:
            with unwritable(self._shown):
                make_private(self._file)
                self._file.truncate(length)

    def cut_to(self, length: int, crc32: int) -> bool:
        """Cut the file to a length. If its content up to there has another CRC, return False and change nothing."""
        with unwritable(self._shown):
            if _crc32(self._file, length) != crc32:
                return False
            make_private(self._file)
            self._file.truncate(length)
            return True

    def begins_like(self, head: bytes) -> bool:
        """Return whether the file begins with this text, or is a part of it."""
        with unwritable(self._shown):
            self._file.seek(0)
            return head.startswith(self._file.read(len(head)))

    def cut_to_whole_lines(self) -> None:
        """Cut off a last line that has no end, because a process was killed while it wrote the line."""
        with unwritable(self._shown):
            end = self.length
            while end:
                begin = max(0, end - _PIECE)
                self._file.seek(begin)
                last = self._file.read(end - begin).rfind(b"\n")
                if last >= 0:
                    end = begin + last + 1
                    break
                end = begin
            if end < self.length:
                make_private(self._file)
                self._file.truncate(end)

    def append(self, text: bytes) -> None:
        """Add a text to the file. The text is on the disk when this method returns."""
        if not text:
            return
        with unwritable(self._shown):
            make_private(self._file)
            _durable.append(self._file, text)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # a full disk fails again here; the first error is the one that counts
            self._file.close()


class PartFile(KeptFile):
    """A file whose part grows, and gets the file's name when it is complete.

    Args:
        path: The file's name when it is complete.
    """

    def __init__(self, path: Path) -> None:
        check_name(path)
        self.path = path
        self.part: Path = path.with_name(f"{path.name}.part")
        self._in_place = False
        self._drop_second_name()
        super().__init__(self.part, path)

    def _drop_second_name(self) -> None:
        """Remove the part's name if the file has both names: a process was killed while it put the file in place."""
        with unwritable(self.path), suppress(FileNotFoundError):
            if os.path.samestat(self.part.lstat(), self.path.lstat()):
                self.part.unlink()

    @property
    def exists(self) -> bool:
        """Whether there is a file, or a part with content."""
        return exists(self.path) or self.length > 0

    def clear(self) -> None:
        """Remove the part's content. The file of that name stays."""
        with unwritable(self.path):
            make_private(self._file)
            self._file.truncate(0)

    def fill_from_file(self, length: int, crc32: int) -> bool:
        """Make the part a copy of the file. If the file has another length or CRC, return False and leave the part empty."""
        self.clear()
        with unwritable(self.path):
            if not self.file_is(length, crc32):
                return False
            with open_ordinary(self.path) as file:
                shutil.copyfileobj(file, self._file, _PIECE)
            self._file.flush()
            os.fsync(self._file.fileno())
        return True

    def file_is(self, length: int, crc32: int) -> bool:
        """Return whether there is a file of the part's own name, with this length and this CRC."""
        if not exists(self.path):
            return False
        with unwritable(self.path), open_ordinary(self.path) as file:
            return _length(file) == length and _crc32(file, length) == crc32

    def part_is(self, length: int, crc32: int) -> bool:
        """Return whether the part has this length and this CRC."""
        with unwritable(self.path):
            return self.length == length and _crc32(self._file, length) == crc32

    def is_complete(self, length: int, crc32: int) -> bool:
        """Return whether the part, or the file if the part is empty, has this length and this CRC."""
        with unwritable(self.path):
            # An empty part beside the file: the file had got its name, and this process has opened a new part.
            if not self.length and exists(self.path):
                self._in_place = self.file_is(length, crc32)
            return self._in_place or self.part_is(length, crc32)

    @property
    def is_in_place(self) -> bool:
        """Whether `is_complete` has found the file in place."""
        return self._in_place

    def lines(self) -> Iterator[bytes]:
        """Iterate over the lines of the part."""
        with unwritable(self.path):
            self._file.seek(0)
            yield from self._file

    def opened(self) -> BinaryIO:
        """Return the open part, at its start. It is not to be closed."""
        with unwritable(self.path):
            self._file.seek(0)
            return self._file

    def put_in_place(self, *, replace: bool) -> None:
        """Move the part to the file's name, if `is_complete` has not found the file in place."""
        if self._in_place:
            return
        with unwritable(self.path):
            make_private(self._file)
            close_to_rename(self._file)
            put_in_place(self.part, self.path, replace=replace)

    def close(self) -> None:
        """Close the part. An empty part is removed, because there is nothing to continue from."""
        with suppress(OSError, ValueError):
            if has_name(self._file.fileno(), self.part) and not self.length:
                remove_and_close(self.part, self._file.close)
        super().close()


def _length(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _crc32(file: BinaryIO, length: int) -> int | None:
    """Return the CRC-32 of the first bytes of a file; `None` if the file is shorter."""
    found, left = 0, length
    file.seek(0)
    while left and (piece := file.read(min(left, _PIECE))):
        found = zlib.crc32(piece, found)
        left -= len(piece)
    return None if left else found
