"""Pull the call records of a range into a SQLite table. After any stop, a second run continues the table exactly.

    UNLIMCALL_TOKEN=... python examples/pull.py calls.db 2026-01-01

Kill the program at any time, and run it again: the table ends up the same as without the kill. Run it tomorrow, and it adds what is
new since, and what appeared late. The example needs nothing but the package. `unlimcall cdrs sync` does the same from a shell.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime

from unlimcall_async import AsyncClient
from unlimcall_async.sync import SyncProgress, sync_cdrs


def moment(text: str) -> datetime:
    """Return a date or a time as a datetime, in UTC if the text has no offset."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def show(progress: SyncProgress) -> None:
    """Show how far the sync is, on a terminal."""
    if sys.stderr.isatty():
        print(f"{progress.fraction:4.0%} {progress.records:12,} records", end="\r", file=sys.stderr)


async def pull(path: str, start: datetime) -> None:
    """Bring the table up to date."""
    async with AsyncClient() as client:
        result = await sync_cdrs(client, f"sqlite:///{path}", start, on_progress=show)
    print(f"{result.inserted:,} inserted, {result.revised:,} revised, up to {result.watermark:%Y-%m-%d %H:%M}")


def main() -> None:
    """Read the arguments, and pull."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="calls.db")
    parser.add_argument("start", type=moment, nargs="?", default=datetime(2026, 1, 1, tzinfo=UTC))
    arguments = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    try:
        asyncio.run(pull(arguments.file, arguments.start))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the program again to go on.")


if __name__ == "__main__":
    main()
