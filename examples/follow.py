"""Follow the account's calls into SQLite, live; a crash neither loses a call nor writes one twice.

    UNLIMCALL_TOKEN=... python examples/follow.py calls.sqlite 2026-11-01

The script runs until Ctrl-C, or for `--seconds`; run it again, and the script goes on where it stopped. Calls and checkpoint are
written in one transaction, so the database always holds exactly the calls that its checkpoint covers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unlimcall_async import AsyncClient, CallRecord, Checkpoint, UnlimCallError

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id TEXT, start_time TEXT, duration INTEGER, billsec INTEGER, src TEXT, dst TEXT, disposition TEXT, sell_price_cents INTEGER
);
CREATE TABLE IF NOT EXISTS follower (id INTEGER PRIMARY KEY CHECK (id = 1), start TEXT, checkpoint TEXT);
"""
# Seconds to wait after an error that outlasted the client's own retries.
PAUSE = 30


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, and create the tables if they do not exist."""
    os.umask(0o077)  # call records are for their owner
    database = sqlite3.connect(path)
    database.executescript(SCHEMA)
    return database


def stored_progress(database: sqlite3.Connection, start: datetime) -> tuple[datetime, Checkpoint | None]:
    """Return the start of the first run and the last checkpoint. The first run gets the given start and `None`."""
    row = database.execute("SELECT start, checkpoint FROM follower").fetchone()
    return (start, None) if row is None else (datetime.fromisoformat(row[0]), Checkpoint.from_json(row[1]))


def store(database: sqlite3.Connection, batch: Sequence[CallRecord], start: datetime, checkpoint: Checkpoint) -> None:
    """Write calls and checkpoint in one transaction."""
    rows = [
        (r.id, r.start_time.isoformat(), r.duration, r.billsec, r.src, r.dst, r.disposition, r.sell_price_cents)
        for r in batch
    ]
    with database:
        database.executemany("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("REPLACE INTO follower VALUES (1, ?, ?)", (start.isoformat(), checkpoint.to_json()))


async def follow_calls(database: sqlite3.Connection, start: datetime) -> None:
    """Follow the calls until the task is cancelled."""
    async with AsyncClient() as client:
        while True:
            start, checkpoint = stored_progress(database, start)
            try:
                async with client.cdrs.follow(start, lookback=timedelta(hours=2), resume=checkpoint) as calls:
                    async for batch in calls.batches():
                        store(database, batch, start, calls.checkpoint)
                        print(f"{len(batch)} calls, the last of {batch[-1].start_time:%Y-%m-%d %H:%M:%S}")
            except UnlimCallError as error:
                # An error of the program or of the token, for example a missing scope, does not pass by itself.
                if error.category == "application":
                    raise
                print(f"{error}; again in {PAUSE} s", file=sys.stderr)
                await asyncio.sleep(PAUSE)


def moment(text: str) -> datetime:
    """Parse a date or a time, in UTC if it has no offset."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


async def main() -> None:
    """Parse the arguments, and follow the calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", default=Path("calls.sqlite"))
    parser.add_argument("start", type=moment, nargs="?", default=datetime.now(UTC) - timedelta(days=1))
    parser.add_argument("--seconds", type=float, default=None, help="stop after this time")
    arguments = parser.parse_args()
    with closing(open_database(arguments.database)) as database:
        with suppress(TimeoutError):
            async with asyncio.timeout(arguments.seconds):
                await follow_calls(database, arguments.start)
        (count,) = database.execute("SELECT count(*) FROM calls").fetchone()
        print(f"{count} calls in {arguments.database}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
