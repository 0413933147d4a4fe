"""Peak memory of a pull by its number of records, with which the peak must not grow.

    python benchmarks/memory.py

tracemalloc measures the peak, in the client's process alone; the server is another process. The server sorts the newest first, and
the output is ascending. This is the harder direction: pages that arrive against the output's direction are held until the
pages before them are there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import END, START, served
from unlimcall_async import AsyncClient, RateLimits

# The highest peak that is allowed, as a multiple of the smallest pull's peak.
TARGET: Final = 1.05


async def pull(url: str) -> tuple[int, int]:
    """Pull all records, and return their number and the number of requests."""
    pulled = 0
    async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits.unlimited()) as client:
        stream = client.cdrs.stream(START, END, concurrency=4)
        async for batch in stream.batches():
            pulled += len(batch)
    return pulled, stream.stats.requests


def peak_of(records: int) -> tuple[int, int]:
    """Pull this many records, and return the peak in bytes and the number of requests."""
    with served(records) as url:
        gc.collect()
        tracemalloc.start()
        pulled, requests = asyncio.run(pull(url))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if pulled != records:
        raise RuntimeError(f"received {pulled} of {records} records")
    return peak, requests


def main() -> None:
    """Measure each size, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,300000,1000000", metavar="A,B")
    given = parser.parse_args()
    with served(1000) as url:
        asyncio.run(pull(url))  # imports on first use shall not count
    print(f"{datetime.now(UTC):%Y-%m-%d}, target at most {TARGET:.2f} of the first\n")
    first = 0
    for size in map(int, given.sizes.split(",")):
        peak, requests = peak_of(size)
        first = first or peak
        verdict = "ok" if peak <= TARGET * first else "MISSED"
        print(
            f"{peak / first:5.2f} of the first  {size:>9,} records  {requests:>5} requests  peak {peak / 1e6:6.1f} MB  {verdict}"
        )


if __name__ == "__main__":
    main()
