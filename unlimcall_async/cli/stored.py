"""Small files that are replaced in one step, so that a crash leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Put a text in place of what a file holds; it is on the disk when this returns.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    target = target_of(path)
    fresh = target.with_name(f"{target.name}.new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def target_of(path: Path) -> Path:
    """Give what a path leads to, so that a link stays a link when the file is replaced.

    Raises:
        OSError: It leads to itself.
    """
    with suppress(RuntimeError):  # what Python below 3.13 says of a circle
        target = path.resolve()
        if not target.is_symlink():
            return target
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
