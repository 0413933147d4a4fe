"""Pull call records into a file of one JSON object a line. After any stop, a second run continues the file exactly.

    UNLIMCALL_TOKEN=... python examples/pull.py calls.ndjson 2026-01-01 2026-04-01

Kill the program at any time, and run it again: the file ends up the same as without the kill. The checkpoint stands in a second
file, together with the length of the records' file at that time. The next run cuts off what was written after this length, and
continues from the checkpoint. To start anew, delete both files. A file that has no checkpoint is not the program's, and stays.

The example needs nothing but the package. `unlimcall cdrs pull --out FILE --resume` does the same with more checks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import attrs

from unlimcall_async import AsyncClient, CallRecord, Checkpoint, CheckpointError


def line_of(record: CallRecord) -> bytes:
    """Return a record as a line of JSON."""
    fields = attrs.asdict(record)
    return json.dumps(fields, default=datetime.isoformat).encode() + b"\n"


def store(path: Path, checkpoint: Checkpoint, length: int) -> None:
    """Replace the stored checkpoint in one step. After a crash, the file holds the old checkpoint or the new one."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
        json.dump({"length": length, "checkpoint": checkpoint.to_json()}, file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def stored(path: Path) -> tuple[Checkpoint | None, int]:
    """Return the stored checkpoint, or `None`, and the length of the file at that time."""
    if not path.exists():
        return None, 0
    try:
        content = json.loads(path.read_text())
        checkpoint, length = Checkpoint.from_json(content["checkpoint"]), content["length"]
    except (ValueError, LookupError, TypeError):
        raise CheckpointError(f"{path} is damaged, or is not a checkpoint") from None
    if type(length) is not int or length < 0:
        raise CheckpointError(f"{path} is damaged: length")
    return checkpoint, length


async def pull(out: BinaryIO, place: Path, start: datetime, end: datetime) -> None:
    """Write all records of the range, batch by batch, and store a checkpoint after each batch.

    Each batch is on the disk before the checkpoint that counts it. A kill between the two leaves bytes that the next run cuts off.
    """
    resume, length = stored(place)
    size = out.seek(0, os.SEEK_END)
    if resume is None and size:
        raise CheckpointError(f"{out.name} has no checkpoint; delete the file, or give another name")
    if size < length:
        raise CheckpointError(f"{out.name} is shorter than it was when {place} was written")
    out.truncate(length)
    out.seek(length)
    async with AsyncClient() as client, client.cdrs.stream(start, end, resume=resume) as stream:
        store(place, stream.checkpoint, length)  # from here on, the file is the program's
        async for batch in stream.batches():
            out.writelines(map(line_of, batch))
            out.flush()
            os.fsync(out.fileno())
            store(place, stream.checkpoint, out.tell())
            if sys.stderr.isatty():
                print(
                    f"{stream.progress.fraction:4.0%} {stream.progress.records:12,} records", end="\r", file=sys.stderr
                )
        print(f"{stream.end:%Y-%m-%d} reached: {stream.stats}")


def moment(text: str) -> datetime:
    """Return a date or a time as a datetime, in UTC if the text has no offset."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def main() -> None:
    """Read the arguments, and pull."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path("calls.ndjson"))
    parser.add_argument("start", type=moment, nargs="?", default=datetime(2026, 1, 1, tzinfo=UTC))
    parser.add_argument("end", type=moment, nargs="?", default=datetime(2026, 4, 1, tzinfo=UTC))
    arguments = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    if arguments.file.is_symlink():
        parser.error(f"{arguments.file} is a symbolic link; name the file itself")
    if arguments.file.exists() and not arguments.file.is_file():
        parser.error(f"{arguments.file} is not an ordinary file")
    os.umask(0o077)  # call records are for their owner
    # "x" replaces nothing, and follows no link.
    with arguments.file.open("r+b" if arguments.file.exists() else "xb") as out:
        try:
            # Beside the whole name: `calls.csv` must not continue, and cut off, by the checkpoint of `calls.ndjson`.
            place = arguments.file.with_name(f"{arguments.file.name}.checkpoint")
            asyncio.run(pull(out, place, arguments.start, arguments.end))
        except CheckpointError as error:
            sys.exit(f"Cannot go on: {error}")
        except KeyboardInterrupt:
            sys.exit("\nInterrupted. Run the program again to go on.")


if __name__ == "__main__":
    main()
