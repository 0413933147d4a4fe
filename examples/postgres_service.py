"""A service that keeps a PostgreSQL table of call records up to date, every quarter of an hour, for as long as it runs.

    UNLIMCALL_TOKEN=... DATABASE_URL=postgresql://... python examples/postgres_service.py

Stop it by Ctrl-C or SIGTERM, or kill it: nothing is half-way in the table, and the next run goes on. While the database or the API
is down, the service tries again at each turn. `unlimcall cdrs sync --every 15m` is this service as a command.
The example needs the extra `postgres`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from unlimcall_async import AsyncClient, UnlimCallError
from unlimcall_async.sync import SyncBusyError, SyncDestinationError, sync_cdrs

EVERY, FIRST, LOOKBACK = timedelta(minutes=15), timedelta(days=90), timedelta(days=2)

log = logging.getLogger("calls")


async def turn(client: AsyncClient, url: str) -> None:
    """Bring the table up to date. A failure that may pass costs this turn alone."""
    try:
        result = await sync_cdrs(client, url, datetime.now(UTC) - FIRST, lookback=LOOKBACK)
    except (UnlimCallError, SyncDestinationError, SyncBusyError) as error:
        log.warning("not this time: %s", error)
    else:
        log.info("%s inserted, %s revised, up to %s", result.inserted, result.revised, result.watermark)


async def serve(url: str) -> None:
    """Sync again and again, until the task is cancelled."""
    async with AsyncClient() as client:
        while True:
            await turn(client, url)
            await asyncio.sleep(EVERY.total_seconds())


async def main() -> None:
    """Serve until a signal comes."""
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("Set DATABASE_URL, for example to postgresql://localhost/calls.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    serving = asyncio.create_task(serve(url))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":
    asyncio.run(main())
