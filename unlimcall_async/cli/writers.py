"""Call records as a file. It has its name when it is whole, and not before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import attrs

from unlimcall_async import CallRecord
from unlimcall_async.cli.formats import FORMATS, Format
from unlimcall_async.cli.output import UnwritableError, unwritable
from unlimcall_async.cli.stored import target_of


@attrs.frozen
class RecordFile:
    """A file that is being written."""

    path: Path
    _file: TextIO
    _format: Format

    def write(self, records: Iterable[CallRecord]) -> None:
        """Write some records."""
        text = self._format.encode(records)
        with unwritable(self.path):
            self._file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[RecordFile]:
    """Write a file beside `path` that takes its place at the end; if the end is not reached, nothing is left.

    Raises:
        UnwritableError: It cannot be opened, written, or put in place.
    """
    with unwritable(path):
        target = target_of(path)
    if target.exists() and not target.is_file():
        raise UnwritableError(path, "it is no ordinary file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with unwritable(path):
        file = part.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    try:
        form = FORMATS[path.suffix[1:]]
        with unwritable(path):
            file.write(form.head)
        yield RecordFile(path, file, form)
        with unwritable(path):
            file.close()
            part.replace(target)
    finally:
        with suppress(OSError):  # a full disk fails again here, and the first error is the one that counts
            file.close()
        with suppress(OSError):
            part.unlink()
