"""A process that asks an API for ever through shared limits. Its minute may be shorter than others'."""

from __future__ import annotations

import asyncio
import sys
import time

from unlimcall_async import AsyncClient, RateLimit, RateLimitedError, RateLimits, RetryPolicy
from unlimcall_async.shared import SharedRateLimits, server

SPANS = "local MINUTE, DAY, MARGIN = 60, 86400, 0.5"


def spans_of(minute: str, margin: str) -> str:
    """Return the spans of a script whose minute is so many seconds long, and whose day has ten minutes."""
    return f"local MINUTE, DAY, MARGIN = {minute}, {10 * float(minute)}, {margin}"


async def ask_for_ever(url: str, api: str, token: str, limit: RateLimit) -> None:
    shared = SharedRateLimits(url, RateLimits(me=limit))
    async with AsyncClient(token, base_url=api, rate_limits=shared, retry=RetryPolicy(delays=())) as client:

        async def ask() -> None:
            while True:
                try:
                    await client.me()
                except RateLimitedError:
                    print("refused", flush=True)

        await asyncio.gather(ask(), ask())


def main() -> None:
    url, api, token, per_minute, per_day, minute, margin, ahead = sys.argv[1:]
    assert server._SCRIPT.count(SPANS) == 1
    server._SCRIPT = server._SCRIPT.replace(SPANS, spans_of(minute, margin))  # type: ignore[misc] # in this process alone
    real, by = time.time, float(ahead)
    time.time = lambda: real() + by
    asyncio.run(ask_for_ever(url, api, token, RateLimit(int(per_minute), per_day=int(per_day) or None)))


if __name__ == "__main__":
    main()
