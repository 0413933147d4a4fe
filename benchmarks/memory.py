"""Peak memory of a pull, by its number of records: it must not grow with them.

    python benchmarks/memory.py

Measured as Python sees it (tracemalloc), from the moment that the sandbox in the same process holds its calls; what the sandbox
needs to answer a page is part of it, and is the same for each.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from datetime import UTC, datetime

from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.sandbox import Sandbox, generate_traffic

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


async def peak_of(calls: int) -> tuple[int, int]:
    """Pull so many records, and give the peak in bytes and the number of requests."""
    async with (
        Sandbox() as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client,
    ):
        sandbox.add_calls(generate_traffic(calls, start=START, end=END, kind="uniform"))
        gc.collect()
        tracemalloc.start()
        pulled = 0
        stream = client.cdrs.stream(START, END)
        async for batch in stream.batches():
            pulled += len(batch)
            # The sandbox remembers what it was asked; that is not the client's memory.
            sandbox.requests.clear()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if pulled != calls:
        raise RuntimeError(f"{pulled} of {calls} records came")
    return peak, stream.stats.requests


def main() -> None:
    """Print a line for each size."""
    first = 0
    for calls in (50_000, 100_000, 400_000):
        peak, requests = asyncio.run(peak_of(calls))
        first = first or peak
        print(
            f"{calls:>8,} records  {requests:>5} requests  peak {peak / 1e6:6.1f} MB  {peak / first:5.2f} of the first"
        )


if __name__ == "__main__":
    main()
