"""Follow the account's calls into SQLite, for as long as the service runs. A crash neither loses a call nor doubles one.

    UNLIMCALL_TOKEN=... python examples/follow.py calls.sqlite 2026-11-01

The calls and the checkpoint are written in one transaction, so whatever stops this program, the database holds exactly the calls
that its checkpoint covers; run it again, and it goes on from there. End it with Ctrl-C, or with `--seconds` after some time.
"""

from __future__ import annotations

import argparse
import asyncio
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
# What the client's own retries have given up on is tried again after so many seconds.
PAUSE = 30


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, and make the tables where there are none."""
    database = sqlite3.connect(path)
    database.executescript(SCHEMA)
    return database


def stored_place(database: sqlite3.Connection, start: datetime) -> tuple[datetime, Checkpoint | None]:
    """Read where to go on: from the start that was given the first time."""
    row = database.execute("SELECT start, checkpoint FROM follower").fetchone()
    return (start, None) if row is None else (datetime.fromisoformat(row[0]), Checkpoint.from_json(row[1]))


def store(database: sqlite3.Connection, batch: Sequence[CallRecord], start: datetime, checkpoint: Checkpoint) -> None:
    """Write calls and checkpoint, both or neither."""
    rows = [
        (r.id, r.start_time.isoformat(), r.duration, r.billsec, r.src, r.dst, r.disposition, r.sell_price_cents)
        for r in batch
    ]
    with database:
        database.executemany("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("REPLACE INTO follower VALUES (1, ?, ?)", (start.isoformat(), checkpoint.to_json()))


async def serve(database: sqlite3.Connection, start: datetime) -> None:
    """Follow until somebody cancels this."""
    async with AsyncClient() as client:
        while True:
            start, checkpoint = stored_place(database, start)
            try:
                async with client.cdrs.follow(start, lookback=timedelta(hours=2), resume=checkpoint) as follow:
                    async for batch in follow.batches():
                        store(database, batch, start, follow.checkpoint)
                        print(f"{len(batch)} calls, the last of {batch[-1].start_time:%Y-%m-%d %H:%M:%S}")
            except UnlimCallError as error:
                if error.category == "application":
                    raise
                print(f"{error}; again in {PAUSE} s", file=sys.stderr)
                await asyncio.sleep(PAUSE)


def moment(text: str) -> datetime:
    """Read a date or a time; it is in UTC where it does not say."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


async def main() -> None:
    """Read the arguments, and follow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", default=Path("calls.sqlite"))
    parser.add_argument("start", type=moment, nargs="?", default=datetime.now(UTC) - timedelta(days=1))
    parser.add_argument("--seconds", type=float, default=None, help="end after so long")
    arguments = parser.parse_args()
    with closing(open_database(arguments.database)) as database:
        with suppress(TimeoutError):
            async with asyncio.timeout(arguments.seconds):
                await serve(database, arguments.start)
        (count,) = database.execute("SELECT count(*) FROM calls").fetchone()
        print(f"{count} calls in {arguments.database}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
