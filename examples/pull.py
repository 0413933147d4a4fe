"""Pull call records into a file of one JSON object a line, and go on where it stopped, whatever stopped it.

    UNLIMCALL_TOKEN=... python examples/pull.py calls.ndjson 2026-01-01 2026-04-01

Kill it at any time, and run it again: the file ends up as if nothing had happened. The checkpoint stands in a file beside it,
together with the length that the records' file had then; what was written behind that is cut off before going on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs

from unlimcall_async import AsyncClient, CallRecord, Checkpoint


def line_of(record: CallRecord) -> bytes:
    """Write a record as a line of JSON."""
    fields = attrs.asdict(record)
    return json.dumps(fields, default=datetime.isoformat).encode() + b"\n"


def store(path: Path, checkpoint: Checkpoint, length: int) -> None:
    """Replace the stored checkpoint in one step, so that a crash leaves the old one or the new one."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps({"length": length, "checkpoint": checkpoint.to_json()}))
    os.replace(fresh, path)  # noqa: PTH105 # as plain as it can be


def stored(path: Path) -> tuple[Checkpoint | None, int]:
    """Read the stored checkpoint, if there is one."""
    if not path.exists():
        return None, 0
    content = json.loads(path.read_text())
    return Checkpoint.from_json(content["checkpoint"]), content["length"]


async def pull(out: BinaryIO, place: Path, start: datetime, end: datetime) -> None:
    """Write all records of the range, batch by batch, and a checkpoint after each."""
    resume, length = stored(place)
    out.truncate(length)
    out.seek(length)
    async with AsyncClient() as client, client.cdrs.stream(start, end, resume=resume) as stream:
        async for batch in stream.batches():
            out.writelines(map(line_of, batch))
            out.flush()
            os.fsync(out.fileno())
            store(place, stream.checkpoint, out.tell())
        print(f"{stream.end:%Y-%m-%d} reached: {stream.stats}")


def main() -> None:
    """Read the arguments, and pull."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("calls.ndjson"))
    parser.add_argument("start", type=datetime.fromisoformat, nargs="?", default=datetime(2026, 1, 1))  # noqa: DTZ001
    parser.add_argument("end", type=datetime.fromisoformat, nargs="?", default=datetime(2026, 4, 1))  # noqa: DTZ001
    arguments = parser.parse_args()
    start, end = arguments.start.replace(tzinfo=UTC), arguments.end.replace(tzinfo=UTC)
    arguments.file.touch()
    with arguments.file.open("r+b") as out:
        asyncio.run(pull(out, arguments.file.with_suffix(".checkpoint"), start, end))


if __name__ == "__main__":
    main()
