"""The nightly pull: each run writes a file with the calls since the last one, and no call falls between two nights.

    UNLIMCALL_TOKEN=... python examples/nightly.py calls/        (from cron, once a night)

A record is written when its call ends but dated by its start: a call that spans midnight is not there yet when a job that runs at
midnight asks for the day. So every run stays `SETTLE` behind, longer than the longest call, and the next one goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from unlimcall_async import AsyncClient, CallRecord

SETTLE = timedelta(hours=4)
# How far back the very first run goes.
FIRST = timedelta(days=1)


def write(path: Path, records: Iterable[CallRecord]) -> None:
    """Write a file in one step: a run that is stopped half-way leaves none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    with fresh.open("w") as file:
        for record in records:
            file.write(json.dumps(attrs.asdict(record), default=datetime.isoformat) + "\n")
    fresh.replace(path)


def reached(folder: Path) -> datetime | None:
    """Tell where the last run ended. The names of the files say it, so that there is nothing that could disagree with them."""
    ends = [path.stem.split("_")[1] for path in folder.glob("*_*.ndjson")]
    return max((datetime.strptime(end, "%Y%m%dT%H%M%S.%f%z") for end in ends), default=None)


async def pull(client: AsyncClient, folder: Path) -> tuple[Path, int]:
    """Pull what has settled since the last run; give the file, and how many calls it holds."""
    start = reached(folder) or datetime.now(UTC) - SETTLE - FIRST
    async with client.cdrs.stream(start, settle=SETTLE) as stream:
        records = [record async for record in stream]
        path = folder / f"{stream.start:%Y%m%dT%H%M%S.%f%z}_{stream.end:%Y%m%dT%H%M%S.%f%z}.ndjson"
    write(path, records)
    return path, len(records)


async def main() -> None:
    """Read the arguments, and pull."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("calls"))
    arguments = parser.parse_args()
    async with AsyncClient() as client:
        path, count = await pull(client, arguments.folder)
    print(f"{count} calls in {path}")


if __name__ == "__main__":
    asyncio.run(main())
