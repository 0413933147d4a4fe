"""A program that pulls call records into a file of one JSON object a line, and keeps its checkpoint in a second file: see `kill`.

The checkpoint stands together with the length of the records' file at that time. The next run cuts off what was written after this
length, and continues from the checkpoint.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import attrs

from unlimcall_async import AsyncClient, CallRecord, Checkpoint, RateLimits

FILE, PLACE = Path("calls.ndjson"), Path("calls.ndjson.checkpoint")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def line_of(record: CallRecord) -> bytes:
    """Return a record as a line of JSON."""
    fields = attrs.asdict(record)
    return json.dumps(fields, default=datetime.isoformat).encode() + b"\n"


def store(checkpoint: Checkpoint, length: int) -> None:
    """Replace the stored checkpoint in one step. After a crash, the file holds the old checkpoint or the new one."""
    with NamedTemporaryFile("w", dir=".", suffix=".tmp", delete=False) as file:
        json.dump({"length": length, "checkpoint": checkpoint.to_json()}, file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(PLACE)


def stored() -> tuple[Checkpoint | None, int]:
    """Return the stored checkpoint, or `None`, and the length of the file at that time."""
    if not PLACE.exists():
        return None, 0
    content = json.loads(PLACE.read_text())
    return Checkpoint.from_json(content["checkpoint"]), content["length"]


async def pull(out: BinaryIO) -> None:
    """Write all records of the range, batch by batch, and store a checkpoint after each batch.

    Each batch is on the disk before the checkpoint that counts it. A kill between the two leaves bytes that the next run cuts off.
    """
    resume, length = stored()
    out.truncate(length)
    out.seek(length)
    async with (
        AsyncClient(rate_limits=RateLimits.unlimited()) as client,
        client.cdrs.stream(START, END, resume=resume) as stream,
    ):
        async for batch in stream.batches():
            out.writelines(map(line_of, batch))
            out.flush()
            os.fsync(out.fileno())
            store(stream.checkpoint, out.tell())


if __name__ == "__main__":
    with FILE.open("r+b" if FILE.exists() else "xb") as out:
        asyncio.run(pull(out))
