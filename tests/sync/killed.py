"""The process that `tests.sync.kill` kills: one sync, with as few imports as can be. Its argument is a JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime, timedelta
from typing import Any, Final

from unlimcall_async import AsyncClient, RateLimits, RetryPolicy
from unlimcall_async.sync import SyncBusyError, pieces, sync_cdrs

BUSY: Final = 17


async def run(order: dict[str, Any]) -> None:
    """Sync. The pieces are small, so that there are many transactions."""
    pieces.MOST_ROWS = 50  # type: ignore[misc] # it is smaller here
    async with AsyncClient(
        "token", base_url=order["server"], rate_limits=RateLimits.unlimited(), retry=RetryPolicy(delays=())
    ) as client:
        start, end = map(datetime.fromisoformat, order["range"])
        lookback = timedelta(days=order["lookback"])
        await sync_cdrs(
            client, order["url"], start, end=end, lookback=lookback, account=order["account"], table=order["table"]
        )


if __name__ == "__main__":
    try:
        asyncio.run(run(json.loads(sys.argv[1])))
    except SyncBusyError:
        sys.exit(BUSY)
