"""The nightly job: keeps a DuckDB table of call records up to date, and asks the table what the last week cost.

    UNLIMCALL_TOKEN=... python examples/nightly.py calls.duckdb        (from cron, once a night)

The API writes a record when its call ends, and dates the record by the start of the call; a price may come later still. So each run
asks the last two days before the place that the last run has reached again. Rows that are as they were are not written.
The example needs the extra `duckdb`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta

import duckdb

from unlimcall_async import AsyncClient
from unlimcall_async.sync import SyncResult, sync_cdrs

# How far back the first run goes, and how far before its end each other run asks again.
FIRST, LOOKBACK = timedelta(days=30), timedelta(days=2)

WEEK = """
    SELECT CAST(start_time AS DATE) AS day, currency, count(*) AS calls, sum(sell_price_cents) AS cents
    FROM cdrs
    WHERE start_time >= now() - INTERVAL 7 DAY
    GROUP BY ALL
    ORDER BY ALL
"""


async def sync(client: AsyncClient, path: str) -> SyncResult:
    """Bring the table up to date."""
    return await sync_cdrs(client, f"duckdb:///{path}", datetime.now(UTC) - FIRST, lookback=LOOKBACK)


async def main() -> None:
    """Sync, and show the week."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="calls.duckdb")
    arguments = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    async with AsyncClient() as client:
        result = await sync(client, arguments.file)
    print(f"{result.inserted:,} inserted, {result.revised:,} revised, {result.removed:,} removed")
    with duckdb.connect(arguments.file, read_only=True) as table:
        print(table.sql(WEEK))


if __name__ == "__main__":
    asyncio.run(main())
