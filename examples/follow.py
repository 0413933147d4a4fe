"""Follow the account's calls into SQLite, live; a crash neither loses a call nor writes one twice.

    UNLIMCALL_TOKEN=... python examples/follow.py calls.sqlite 2026-11-01

The script runs until Ctrl-C, or for `--seconds`; run it again, and the script goes on where it stopped. Calls and checkpoint are
written in one transaction, so the database always holds exactly the calls that its checkpoint covers. What is written of the
checkpoint is a text of the batch's size: `CheckpointJournal` makes the texts, and now and then one that replaces all before it.
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

from unlimcall_async import AsyncClient, CallRecord, CheckpointJournal, JournalEntry, UnlimCallError

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id TEXT, start_time TEXT, duration INTEGER, billsec INTEGER, src TEXT, dst TEXT, disposition TEXT, sell_price_cents INTEGER
);
CREATE TABLE IF NOT EXISTS follower (id INTEGER PRIMARY KEY CHECK (id = 1), start TEXT);
CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, text TEXT);
"""
# Seconds to wait after an error that outlasted the client's own retries.
PAUSE = 30


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, and create the tables if they do not exist."""
    os.umask(0o077)  # call records are for their owner
    database = sqlite3.connect(path)
    database.executescript(SCHEMA)
    return database


def first_start(database: sqlite3.Connection, start: datetime) -> datetime:
    """Return the start of the first run. In the first run that is the given start."""
    with database:
        database.execute("INSERT OR IGNORE INTO follower (id, start) VALUES (1, ?)", (start.isoformat(),))
    (text,) = database.execute("SELECT start FROM follower").fetchone()
    return datetime.fromisoformat(text)


def stored_journal(database: sqlite3.Connection) -> CheckpointJournal:
    """Return the journal of the checkpoints that were stored."""
    return CheckpointJournal(text for (text,) in database.execute("SELECT text FROM journal ORDER BY number"))


def store(database: sqlite3.Connection, batch: Sequence[CallRecord], entry: JournalEntry) -> None:
    """Write calls and checkpoint in one transaction."""
    rows = [
        (r.id, r.start_time.isoformat(), r.duration, r.billsec, r.src, r.dst, r.disposition, r.sell_price_cents)
        for r in batch
    ]
    with database:
        database.executemany("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if entry.is_base:
            database.execute("DELETE FROM journal")
        database.execute("INSERT INTO journal (text) VALUES (?)", (entry.text,))


async def follow_calls(database: sqlite3.Connection, start: datetime) -> None:
    """Follow the calls until the task is cancelled."""
    async with AsyncClient() as client:
        start = first_start(database, start)
        while True:
            journal = stored_journal(database)
            try:
                async with client.cdrs.follow(start, lookback=timedelta(hours=2), resume=journal.checkpoint) as calls:
                    async for batch in calls.batches():
                        with journal.storing(calls.checkpoint) as entry:
                            store(database, batch, entry)
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
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    with closing(open_database(arguments.database)) as database:
        with suppress(TimeoutError):
            async with asyncio.timeout(arguments.seconds):
                await follow_calls(database, arguments.start)
        (count,) = database.execute("SELECT count(*) FROM calls").fetchone()
        print(f"{count} calls in {arguments.database}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
