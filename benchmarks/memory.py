"""Peak memory of a pull, by its number of records: it must not grow with them.

    python benchmarks/memory.py

Measured as Python sees it (tracemalloc), in the client's process alone; the server is another. It gives the newest first, and the
output is ascending: the harder way, because chains of pages against the order are held until they reach its near end.
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

# The peak of the largest pull, as a multiple of that of the smallest.
TARGET: Final = 1.05


async def pull(url: str) -> tuple[int, int]:
    """Pull all records, and give how many came, and in how many requests."""
    pulled = 0
    async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits.unlimited()) as client:
        stream = client.cdrs.stream(START, END, concurrency=4)
        async for batch in stream.batches():
            pulled += len(batch)
    return pulled, stream.stats.requests


def peak_of(records: int) -> tuple[int, int]:
    """Pull so many records, and give the peak in bytes and the number of requests."""
    with served(records) as url:
        gc.collect()
        tracemalloc.start()
        pulled, requests = asyncio.run(pull(url))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if pulled != records:
        raise RuntimeError(f"{pulled} of {records} records came")
    return peak, requests


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,300000,1000000", metavar="A,B")
    given = parser.parse_args()
    with served(1000) as url:
        asyncio.run(pull(url))  # so that what is imported on first use counts for none
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
