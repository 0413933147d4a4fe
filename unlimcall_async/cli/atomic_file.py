"""A file that appears whole under its name, or not at all.

The content is written to a second file in the same folder, the part. Once the content is on the disk, the part takes the name in
one step. So a crash leaves the old file or the new file under the name, and never something in between.

Every file that a command replaces goes through this module. `replace` and `replacing` write a file from start to end, and remove
their part if they fail. A pull keeps its part from one process to the next: `PullFile` uses `AtomicFile` itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

import attrs

from unlimcall_async.cli.output import UnwritableError, unwritable


@attrs.frozen
class AtomicFile:
    """A file, and the part that takes its name.

    Attributes:
        target: The file itself, behind all symbolic links.
        part: The file beside the target in which the content is written.
    """

    target: Path
    part: Path

    @classmethod
    def at(cls, path: Path, suffix: str = ".new") -> Self:
        """Return the file that `path` leads to. The part has the file's name and `suffix`. Nothing is opened or written.

        Raises:
            UnwritableError: `path` leads to itself, or to a folder or a device.
        """
        with unwritable(path):
            target = _behind_links(path)
        if target.exists() and not target.is_file():
            raise UnwritableError(path, "it is not an ordinary file")
        return cls(target, target.with_name(f"{target.name}{suffix}"))

    def put_in_place(self) -> None:
        """Rename the part to the file, in one step. The caller has brought the part's content to the disk with `os.fsync`."""
        self.part.replace(self.target)


def _behind_links(path: Path) -> Path:
    """Return the path that symbolic links lead to, so that a link stays a link when the file is replaced.

    Raises:
        OSError: The path leads to itself.
    """
    with suppress(RuntimeError):  # raised by Python before 3.13 for a path that leads to itself
        target = path.resolve()
        # Python 3.13 returns such a path unchanged.
        if not target.is_symlink():
            return target
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


@contextmanager
def replacing(path: Path, suffix: str = ".new") -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends. If the block raises, the old file stays.

    Raises:
        UnwritableError: The file cannot be opened, brought to the disk or put in place.
    """
    atomic = AtomicFile.at(path, suffix)
    with unwritable(path):
        file = atomic.part.open("wb")
    try:
        yield file
        with unwritable(path):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            atomic.put_in_place()
    except BaseException:  # Ctrl-C too must leave no part behind
        with suppress(OSError):  # a full disk fails again on closing; the first error is the one that counts
            file.close()
        with suppress(OSError):
            atomic.part.unlink()
        raise


def replace(path: Path, text: str) -> None:
    """Replace the content of a small file by a text. The text is on the disk when this function returns.

    Raises:
        UnwritableError: The file cannot be written. It is as it was.
    """
    with replacing(path) as file, unwritable(path):
        file.write(text.encode())
