"""The nightly pull: each run writes one file with the calls since the last run, and no call falls between two nights.

    UNLIMCALL_TOKEN=... python examples/nightly.py calls/        (from cron, once a night)

The API writes a record when its call ends, and dates it by the start of the call, so a call that spans midnight is missing at
midnight. Each run therefore ends `SETTLE` ago, longer than the longest call, and the next run goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import attrs

from unlimcall_async import AsyncClient, CallRecord

SETTLE = timedelta(hours=4)
# How far back the first run goes.
FIRST = timedelta(days=1)
# Of the times in the names of the files.
FORMAT = "%Y%m%dT%H%M%S.%f%z"


def write(path: Path, records: Iterable[CallRecord]) -> None:
    """Write the file in one step: a run that is stopped half-way leaves no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A new name that nobody can foretell, for its owner only: the file holds call records.
    with NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        for record in records:
            file.write(json.dumps(attrs.asdict(record), default=datetime.isoformat) + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def last_end(folder: Path) -> datetime | None:
    """Return the end of the last run, from the names of the files, so that no separate state can disagree with them."""
    ends = []
    for path in folder.glob("*_*.ndjson"):
        with suppress(ValueError):  # a file of another program
            ends.append(datetime.strptime(path.stem.split("_")[1], FORMAT))  # noqa: DTZ007 # the format has an offset
    return max(ends, default=None)


async def pull(client: AsyncClient, folder: Path) -> tuple[Path, int]:
    """Pull the calls since the last run into a file; return its path and the number of calls."""
    start = last_end(folder) or datetime.now(UTC) - SETTLE - FIRST
    async with client.cdrs.stream(start, settle=SETTLE) as stream:
        records = [record async for record in stream]
        path = folder / f"{stream.start.strftime(FORMAT)}_{stream.end.strftime(FORMAT)}.ndjson"
    write(path, records)
    return path, len(records)


async def main() -> None:
    """Parse the arguments, and pull."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("calls"))
    arguments = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    async with AsyncClient() as client:
        path, count = await pull(client, arguments.folder)
    print(f"{count} calls in {path}")


if __name__ == "__main__":
    asyncio.run(main())
