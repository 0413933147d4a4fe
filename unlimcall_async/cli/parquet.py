"""A pull as Parquet. The part of a Parquet file is a stream of Arrow batches, which can grow, and of which the file is made.

Arrow's format for streams is a schema and then batches, one message behind the other. What is cut off between two messages is still
a stream. So the part of a pull that was killed goes on like any other part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from unlimcall_async import CallRecord
from unlimcall_async._extras import needs_extra
from unlimcall_async.cli.output import UnusableError, unwritable


def check_installed() -> None:
    """Check that the extra is installed.

    Raises:
        UnusableError: It is not.
    """
    if find_spec("pyarrow") is None:
        raise UnusableError(needs_extra("the format parquet", "arrow"))


def message(records: Sequence[CallRecord], *, first: bool) -> bytes:
    """Return what the part holds of some records: a message, and before the first one that of the schema."""
    from unlimcall_async._columns import FILE_POOL, SCHEMA, BatchInMaking  # noqa: PLC0415 # pyarrow is of an extra

    head = SCHEMA.serialize().to_pybytes() if first else b""
    if not records:
        return head
    making = BatchInMaking(FILE_POOL)
    making.add(records)
    return head + bytes(making.batch().serialize(FILE_POOL))


async def write_parquet(part: BinaryIO, path: Path, *, shown: Path) -> None:
    """Write the records of a part to a new file. The event loop runs now and then, so that signals are seen.

    Args:
        part: The part, opened at its start.
        path: The file's name.
        shown: The name in messages.

    Raises:
        UnwritableError: The file cannot be written.
    """
    from pyarrow import ipc  # type: ignore[import-untyped] # noqa: PLC0415 # an extra, without types

    from unlimcall_async._columns import ParquetWriter  # noqa: PLC0415 # pyarrow is of an extra

    with unwritable(shown), path.open("wb") as file, ipc.open_stream(part) as batches:
        writer = ParquetWriter(file)
        for batch in batches:
            writer.write(batch)
            await asyncio.sleep(0)
        writer.close()
