"""Small files that are replaced in one step, so that a crash leaves the old one or the new one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Put a text in place of what a file holds; it is on the disk when this returns.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    target = path.resolve()  # a link stays a link
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
