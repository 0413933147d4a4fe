"""Call records as Arrow columns, and in a Parquet file. This module needs pyarrow, which is in the extra `arrow`.

`stream.arrow()` and `stream.to_arrow()` return the records of a stream as columns, which polars, pandas and duckdb read without a
copy. `write_parquet` writes them to a file.
"""

from __future__ import annotations

import errno
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from unlimcall_async import _columns
from unlimcall_async._argument_kinds import file_path
from unlimcall_async._columns import SCHEMA, ParquetWriter, to_batch
from unlimcall_async._platform import name_of_one_use
from unlimcall_async._threads import in_thread
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.tracking import Tracked, TrackedIterator

__all__ = ["SCHEMA", "to_batch", "write_parquet"]

# Rows that a thread takes at once: enough that its start does not count.
_PIECE_ROWS: Final = 10_000


async def write_parquet(stream: CdrStream | Tracked, path: str | os.PathLike[str]) -> int:
    """Write all records that are left to a Parquet file, and return their number. The stream may be one that `track` shows.

    The file appears when it is whole, and replaces an existing file only then. Until then it has another name in the same folder.
    If anything fails, nothing of the file is left, no record was handed out, and `stream.checkpoint` is as before: another call
    begins where this one began. The same holds for a call that is cancelled when the file has its name already, but the whole file
    is there then. The file has the columns of `SCHEMA`, compressed with zstd, in row groups of 100,000 rows.

    Raises:
        TypeError: `stream` is not a stream.
        OSError: The file cannot be written.
        RuntimeError: The stream is being iterated over, or was closed meanwhile.
        UnlimCallError: As for `stream.arrow`.
    """
    inner: Any = stream._stream if isinstance(stream, Tracked) else stream  # noqa: SLF001 # of this package
    if not isinstance(inner, CdrStream):
        raise TypeError(f"stream must be a CdrStream, not {type(inner).__name__}")
    target = file_path("path", path)
    rows = 0
    async with inner._handing_out_at_once():  # noqa: SLF001 # of this package
        file = _NewFile(target)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-parquet")
        try:
            await in_thread(thread, file.open)
            items = inner._arrow(_PIECE_ROWS, _columns.GROUP_BYTES, _columns.FILE_POOL)  # noqa: SLF001 # of this package
            async with aclosing(items if inner is stream else TrackedIterator(inner, items)) as batches:
                async for batch in batches:
                    await in_thread(thread, partial(file.write, batch))
                    rows += len(batch)
            inner._check_at_end()  # noqa: SLF001 # of this package
            await in_thread(thread, file.put_in_place)
        except BaseException:
            await in_thread(thread, file.remove)
            raise
        finally:
            thread.shutdown()  # it has nothing left to do, and ends at once
    return rows


class _NewFile:
    """A Parquet file that has another name until it is whole. Its methods block.

    Args:
        path: The file's name.
    """

    def __init__(self, path: Path) -> None:
        # A link stays a link, as for `open`.
        self._path = Path(os.path.realpath(path))
        if self._path.is_dir():
            raise IsADirectoryError(f"path must be the name of a file, and {path} is a folder")
        if not self._path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "path must be in a folder that exists", str(path))
        # No reader takes a file of this name for a Parquet file.
        self._part = self._path.with_name(f"{name_of_one_use(self._path)}.{secrets.token_hex(4)}.new")
        self._file: BinaryIO | None = None
        self._writer: ParquetWriter | None = None

    def open(self) -> None:
        """Make the file, under its other name."""
        self._file = self._part.open("xb")
        self._writer = ParquetWriter(self._file)

    def write(self, batch: Any) -> None:
        """Write a row group."""
        self._opened[1].write(batch)

    def put_in_place(self) -> None:
        """Bring the file to the disk, and then to its name."""
        file, writer = self._opened
        writer.close()
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self._part.replace(self._path)

    def remove(self) -> None:
        """Remove what was written."""
        # A full disk fails again here; the first error is the one that counts.
        for each in (self._writer, self._file):
            if each is not None:
                with suppress(OSError):
                    each.close()
        self._part.unlink(missing_ok=True)

    @property
    def _opened(self) -> tuple[BinaryIO, ParquetWriter]:
        if self._file is None or self._writer is None:
            raise RuntimeError("the file is not open")
        return self._file, self._writer
