"""`unlimcall demo`: a year of a call centre, pulled from the sandbox over real HTTP and checked against its store.

Client and sandbox share a process and an event loop, yet nothing else: what is pulled has been through a socket.

The rate limit is a real account's, with a minute that lasts two seconds. The sandbox knows such minutes. The client does not:
it is told as many requests per real minute as make a little less than 60 in two seconds.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from unlimcall_async import AsyncClient, CdrStream, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.cli.comparison import Check
from unlimcall_async.cli.output import tell, write_json, write_styled
from unlimcall_async.cli.progress import shown_progress
from unlimcall_async.cli.report import Pull, RateScale, Totals, facts, many, size, summary
from unlimcall_async.cli.running import run as run_to_end
from unlimcall_async.cli.writers import RecordFile, writing
from unlimcall_async.sandbox import (
    Fault,
    Injection,
    ResetAfter,
    ResetBefore,
    Sandbox,
    SandboxCall,
    Status,
    Truncate,
    generate_traffic,
)

# A year that is over, so that the same seed gives the same file whenever it is run.
START: Final = datetime(2025, 1, 1, tzinfo=UTC)
END: Final = datetime(2026, 1, 1, tzinfo=UTC)

# How much faster than in life the minute goes. The client has no more than a core to work with, of which the sandbox takes half;
# at thirty times it is the rate limit that it waits for, as in life, and not the processor.
_FASTER: Final = 30
SCALE: Final = RateScale(per_minute=60, minute=60 / _FASTER)

# The sandbox counts arrivals, which may lie closer together than the requests were sent. In two seconds no more than 52 and a burst
# of 4 are sent, and no more than the stream's 4 can be on their way when they begin: 60 arrive at most, and none is refused.
_CLIENT_LIMIT: Final = RateLimit(per_minute=52 * _FASTER, burst=4)
_RETRY: Final = RetryPolicy(delays=tuple(delay / _FASTER for delay in (1, 2, 4)))

# In this order, so that a small pull meets several kinds, too.
_FAULTS: Final[tuple[tuple[str, Fault], ...]] = (
    ("reset", ResetBefore()),
    ("503", Status(503)),
    ("truncated body", Truncate()),
    ("429", Status(429, headers={"Retry-After": "1"})),
    ("reset", ResetAfter()),
    ("500", Status(500)),
    ("truncated body", Truncate()),
    ("502", Status(502)),
    ("reset", ResetBefore()),
    ("truncated body", Truncate()),
    ("reset", ResetAfter()),
    ("truncated body", Truncate()),
)

# Requests between two faults: more than pass before one is tried again, or four faults in a row could meet the same one.
_APART: Final = 7


def run(calls: int, seed: int, out: Path, *, newest_first: bool, as_json: bool) -> bool:
    """Show what the client can do; tell whether it did.

    Raises:
        UnwritableError: The file cannot be written.
        UnlimCallError: The pull failed.
    """
    with writing(out) as file:
        tell(f"Generating {many(calls, 'call', 'calls')} of {START.year} ...")
        store = generate_traffic(calls, start=START, end=END, seed=seed)
        check = Check(store, newest_first=newest_first)
        gc.freeze()  # they stay to the end, and need not be looked through again and again meanwhile
        pull = run_to_end(lambda: _pull(store, file, check, newest_first=newest_first))
    comparison = check.result()
    if as_json:
        write_json(facts(pull, comparison, file=str(out)))
    else:
        write_styled(summary(pull, comparison, scale=SCALE, file=f"{out}, {size(out.stat().st_size)}") + "\n")
    return comparison.same


async def _pull(store: Sequence[SandboxCall], file: RecordFile, check: Check, *, newest_first: bool) -> Pull:
    limits = RateLimits(cdrs=_CLIENT_LIMIT)
    async with Sandbox(rate_limits={"cdrs": SCALE.per_minute}, minute=SCALE.minute) as sandbox:
        sandbox.add_calls(store)
        faults = _inject(sandbox, len(store))
        async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=_RETRY, rate_limits=limits) as client:
            tell("Pulling them from the sandbox ...")
            started = time.perf_counter()
            stream = client.cdrs.stream(START, END, newest_first=newest_first)
            totals = await _drain(stream, file, check)
            seconds = time.perf_counter() - started
    met = Counter(kind for kind, fault in faults if not fault.remaining)
    refused = sum(request.status == 429 for request in sandbox.requests) - met["429"]
    return Pull(totals, stream.stats, seconds, len(sandbox.requests), refused, +met)


async def _drain(stream: CdrStream, file: RecordFile, check: Check) -> Totals:
    """Do with each batch all that is to be done, and keep none."""
    totals = Totals()
    with shown_progress() as show:
        async with stream:
            async for batch in stream.batches():
                file.write(batch)
                check.add(batch)
                totals.add(batch)
                show(stream)
    return totals


def _inject(sandbox: Sandbox, calls: int) -> list[tuple[str, Injection]]:
    """Spread the faults over as many requests as the pull needs at the least."""
    fewest = calls // 1000
    apart = max(_APART, fewest // len(_FAULTS))
    return [
        (kind, sandbox.inject(fault, endpoint="cdrs", skip=apart // 2 + apart * place))
        for place, (kind, fault) in enumerate(_FAULTS)
    ]
