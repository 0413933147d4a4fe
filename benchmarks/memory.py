"""Peak memory of a pull by its number of records, with which the peak must not grow.

    python benchmarks/memory.py
    python benchmarks/memory.py --parquet
    python benchmarks/memory.py --parquet --process

tracemalloc measures the peak, in the client's process alone; the server is another process. The server sorts the newest first, and
the output is ascending. This is the harder direction: pages that arrive against the output's direction are held until the
pages before them are there. With `--parquet`, the records go to a Parquet file, and the peaks of Python and of Arrow are added up.

With `--process`, each pull is a process of its own, and the peak is the most memory that this process had (its `VmHWM`), with all
that Python and the packages need. For a Parquet file of a million records the target is 150 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import END, START, served
from benchmarks.stamp import stamp
from unlimcall_async import AsyncClient, RateLimits

# The highest peak that is allowed, as a multiple of the smallest pull's peak.
TARGET: Final = 1.05
# The most bytes that a process may have that writes a Parquet file.
PROCESS_TARGET: Final = 150e6
# Such a process has what a user's has, and not the server of this benchmark.
_PULL: Final = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from unlimcall_async import AsyncClient, RateLimits

async def pull(url, start, end, path):
    async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits.unlimited()) as client:
        stream = client.cdrs.stream(datetime.fromisoformat(start), datetime.fromisoformat(end))
        if path:
            from unlimcall_async.columns import write_parquet
            await write_parquet(stream, path)
        else:
            async for _ in stream.batches():
                pass
    print(stream.stats.records, stream.stats.requests)

asyncio.run(pull(*sys.argv[1:]))
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")))
"""


async def pull(url: str, parquet: Path | None = None) -> tuple[int, int]:
    """Pull all records, perhaps into a Parquet file, and return their number and the number of requests."""
    pulled = 0
    async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits.unlimited()) as client:
        stream = client.cdrs.stream(START, END, concurrency=4)
        if parquet is not None:
            from unlimcall_async.columns import write_parquet  # noqa: PLC0415 # pyarrow is of an extra

            return await write_parquet(stream, parquet), stream.stats.requests
        async for batch in stream.batches():
            pulled += len(batch)
    return pulled, stream.stats.requests


def peak_of(records: int, parquet: Path | None) -> tuple[int, int]:
    """Pull this many records, and return the peak in bytes and the number of requests."""
    with served(records) as url:
        gc.collect()
        tracemalloc.start()
        pulled, requests = asyncio.run(pull(url, parquet))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if parquet is not None:
        import pyarrow as pa  # type: ignore[import-untyped] # noqa: PLC0415 # an extra, without types

        # The file's own columns are in the pool of the system.
        peak += pa.default_memory_pool().max_memory() + pa.system_memory_pool().max_memory()
    if pulled != records:
        raise RuntimeError(f"received {pulled} of {records} records")
    return peak, requests


def peak_in_process(records: int, parquet: Path | None) -> tuple[int, int]:
    """Pull this many records in a process of its own, and return its peak in bytes and the number of requests."""
    with served(records) as url:
        command = [sys.executable, "-c", _PULL, url, START.isoformat(), END.isoformat(), str(parquet or "")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=sys.path[0])  # noqa: S603 # ours
    pulled, requests, kibibytes = map(int, done.stdout.split())
    if pulled != records:
        raise RuntimeError(f"received {pulled} of {records} records")
    return kibibytes * 1024, requests


def main() -> None:
    """Measure each size, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,300000,1000000", metavar="A,B")
    parser.add_argument("--parquet", action="store_true", help="write a Parquet file")
    parser.add_argument("--process", action="store_true", help="measure all memory of a process")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        _measure(given.sizes, Path(folder, "calls.parquet") if given.parquet else None, in_process=given.process)


def _measure(sizes: str, parquet: Path | None, *, in_process: bool) -> None:
    with served(1000) as url:
        asyncio.run(pull(url, parquet))  # imports on first use shall not count
    target = f"{PROCESS_TARGET / 1e6:.0f} MB" if in_process and parquet else f"{TARGET:.2f} of the first"
    print(f"{stamp()}, target at most {target}\n")
    first = 0
    for size in map(int, sizes.split(",")):
        peak, requests = (peak_in_process if in_process else peak_of)(size, parquet)
        first = first or peak
        is_met = peak <= (PROCESS_TARGET if in_process and parquet else TARGET * first)
        verdict = "ok" if is_met else "MISSED"
        print(
            f"{peak / first:5.2f} of the first  {size:>9,} records  {requests:>5} requests  peak {peak / 1e6:6.1f} MB  {verdict}"
        )


if __name__ == "__main__":
    main()
