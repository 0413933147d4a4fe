"""What a pull makes of a rate limit: its requests, when they were granted, against the fastest schedule that the limit allows.

    python benchmarks/limits.py
    python benchmarks/limits.py --per-minute 120 --records 500000 --picture limits.png

The clock of the client's event loop runs faster than the real one, so an hour passes in a minute; the server is another process and
answers at once. Grants are what the limiter takes note of, at the moment of sending. The fastest schedule sends all that a minute
allows at once, and again a minute later; nobody can be faster in any span.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest import mock

from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pictures import check_matplotlib, draw_grants
from benchmarks.records_server import END, START, served
from benchmarks.stamp import stamp
from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.rate_limits import MINUTE

# Faster than this, and the work of the client itself takes a noticeable share of a minute.
SPEED: Final = 30.0
# In steady state, of what the limit allows.
TARGET: Final = 0.97


class _FastSelector(selectors.DefaultSelector):
    """Waits for a part of the time that it is told."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is fast."""

    def __init__(self) -> None:
        super().__init__(_FastSelector())

    def time(self) -> float:
        """Give the time, in seconds that pass sooner."""
        return super().time() * SPEED


async def grants_of(url: str, limit: RateLimit, records: int) -> list[float]:
    """Pull all records, and give the times of the grants, from the first on."""
    granted: list[float] = []
    take, give_back = TokenBucket.take, TokenBucket.give_back

    def noted(bucket: TokenBucket, now: float) -> None:
        granted.append(now)
        take(bucket, now)

    def taken_out(bucket: TokenBucket, taken_at: float) -> None:
        # A request that waited for its turn may have nothing to ask by then.
        granted.remove(taken_at)
        give_back(bucket, taken_at)

    got = 0
    with mock.patch.object(TokenBucket, "take", noted), mock.patch.object(TokenBucket, "give_back", taken_out):
        async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits(cdrs=limit)) as client:
            async for batch in client.cdrs.stream(START, END).batches():
                got += len(batch)
    if got != records:
        raise RuntimeError(f"{got} of {records} records came")
    return [at - granted[0] for at in granted]


@frozen
class Outcome:
    """What a pull made of its limit.

    Attributes:
        burst: How many requests may go out at once, `None` for a sixth of a minute's.
        grants: When they were granted, in seconds.
        steady: The share of the limit that was used after the first minute.
        most: The most grants in any 60 seconds.
        whole: The time of the last grant by the fastest schedule, as a share of the real one.
    """

    burst: int | None
    grants: Sequence[float]
    steady: float
    most: int
    whole: float


def outcome_of(grants: Sequence[float], limit: RateLimit) -> Outcome:
    """Judge the grants."""
    count = limit.per_minute
    most = max(sum(start <= at < start + MINUTE for at in grants[place:]) for place, start in enumerate(grants))
    # Whole turns of the limit: between a grant and the one so many places behind it a minute must pass, and should not be longer.
    turns = (len(grants) - 1) // count
    if turns < 2:
        raise SystemExit("too few requests for a steady state: give more records, or fewer a minute")
    last = grants[turns * count]
    steady = (turns - 1) * MINUTE / (last - grants[count])
    return Outcome(limit.burst, grants, steady, most, turns * MINUTE / last)


def table(outcomes: Sequence[Outcome], limit: int) -> Iterator[str]:
    """Yield a line for each: ratios first."""
    yield f"{'burst':>8}{'steady state':>14}{'whole pull':>12}{'most in 60 s':>14}{'allowed':>9}{'requests':>10}{'minutes':>9}"
    for each in outcomes:
        burst = RateLimit(limit, burst=each.burst).at_once()
        costs = f"{each.most:>14}{limit:>9}{len(each.grants):>10}{each.grants[-1] / MINUTE:>9.2f}"
        verdict = "ok" if each.steady >= TARGET and each.most <= limit else "MISSED"
        yield f"{burst:>8}{each.steady:>14.3f}{each.whole:>12.3f}{costs}  {verdict}"


def main() -> int:
    """Measure, and tell. The exit code is 1 if a span held more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--per-minute", type=int, default=60)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw it, too")
    given = parser.parse_args()
    if given.picture:
        check_matplotlib()
    outcomes = []
    with served(given.records) as url, asyncio.Runner(loop_factory=FastLoop) as runner:
        for burst in (None, given.per_minute):
            limit = RateLimit(given.per_minute, burst=burst)
            outcomes.append(outcome_of(runner.run(grants_of(url, limit, given.records)), limit))
    print(f"{given.records:,} records, {given.per_minute} requests a minute, {stamp()}\n")
    print(*table(outcomes, given.per_minute), sep="\n")
    if given.picture:
        draw_grants(given.picture, outcomes[0].grants, given.per_minute, f"a pull of {given.records:,} records")
    return int(any(each.most > given.per_minute for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
