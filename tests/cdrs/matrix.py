"""The whole matrix: every kind of server, traffic and reader. A pull must give exactly what the server holds, in order.

    python -m tests.cdrs.matrix            the planner in memory, some two minutes
    python -m tests.cdrs.matrix --http     the stream, over HTTP, some ten minutes

Exits with 1 if one of them fails. The suite runs seeded picks of it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from datetime import UTC, datetime
from itertools import product
from typing import Final, get_args

from tests.cdrs.simulated import ALL_HABITS, Habits, Pull, Server, Stopped, expected
from unlimcall_async import AsyncClient, CallRecord, RateLimits
from unlimcall_async.cdrs.times import MILLISECOND, Range, to_micros
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic
from unlimcall_async.sandbox.traffic import TrafficKind

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
WANTED: Final = Range(to_micros(START), to_micros(END))
KINDS: Final[tuple[TrafficKind | None, ...]] = ("uniform", "call_centre", "bursts", "ties", "legs", "sparse", None)


def traffic(kind: TrafficKind | None, calls: int) -> list[SandboxCall]:
    """Generate calls; none for the empty kind."""
    return [] if kind is None else generate_traffic(calls, start=START, end=END, kind=kind, seed=3)


def as_record(call: SandboxCall) -> CallRecord:
    """Say of a call what its record says."""
    fields = ("id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username")
    more = ("sell_price_cents", "currency", "country", "did")
    return CallRecord(**{name: getattr(call, name) for name in (*fields, *more)})


def in_memory(records: list[CallRecord], habits: Habits, concurrency: int, *, newest_first: bool, limit: int) -> bool:
    """Pull from a simulated server, answers in any order."""
    pull = Pull(Server(records, habits), WANTED, limit, newest_first, concurrency, random.Random(concurrency))
    outcome = pull.run()
    return not isinstance(outcome, Stopped) and outcome == expected(records, WANTED, newest_first=newest_first)


async def over_http(calls: list[SandboxCall], habits: Habits, concurrency: int, *, newest_first: bool) -> bool:
    """Pull from the sandbox."""
    async with (
        Sandbox(
            order=habits.order,
            from_inclusive=habits.from_included,
            till_inclusive=habits.till_included,
            resolution="ms" if habits.step == MILLISECOND else "s",
            count="matches" if habits.counts_matches else "rows",
        ) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client,
    ):
        sandbox.add_calls(calls)
        stream = client.cdrs.stream(START, END, newest_first=newest_first, concurrency=concurrency)
        got = [record async for record in stream]
    return got == expected(map(as_record, calls), WANTED, newest_first=newest_first)


def main() -> int:
    """Run the matrix, and tell what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", action="store_true", help="the stream over HTTP, not the planner in memory")
    http = parser.parse_args().http
    assert set(KINDS) - {None} <= set(get_args(TrafficKind))
    ran, failed = 0, []
    for kind in KINDS:
        calls = traffic(kind, 3000 if http else 1500)
        records = [as_record(call) for call in calls]
        # "ties" puts up to 850 rows on an instant: a page must hold them.
        limit = 1000 if kind == "ties" else 100
        for habits, concurrency, newest_first in product(ALL_HABITS, (1, 4), (False, True)):
            ran += 1
            if http:
                fine = asyncio.run(over_http(calls, habits, concurrency, newest_first=newest_first))
            else:
                fine = in_memory(records, habits, concurrency, newest_first=newest_first, limit=limit)
            if not fine:
                failed.append((kind, habits, concurrency, newest_first))
        print(f"{kind or 'empty'}: {ran} ran so far, {len(failed)} failed", flush=True)
    for each in failed:
        print("FAILED", *each)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
