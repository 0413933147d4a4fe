"""Pulls from servers with a bucket of their own, over HTTP and on virtual time: `run_limits` runs a case, and judges it.

    python -m tests.cdrs.hostile_limits                 500 cases, some minutes
    python -m tests.cdrs.hostile_limits --only 1000007  one of them again

The server's bucket may be smaller or slower than the client's, shared with another process, or empty for minutes. The server
refuses with 429, with the right `Retry-After`, a wrong one, or none; or with 503, if no other process takes its tokens. Each pull
must arrive with all records: no server here refuses for longer than the client waits (contract, section 3). Exits with 1 if a pull
did not arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final, Literal

import looptime
from aiohttp import web
from attrs import define, frozen

from tests.cdrs.hostile import BrokenError, check
from tests.cdrs.raw_server import Order, RawServer, evenly, ids, served
from unlimcall_async import AsyncClient, RateLimit, RateLimits, RetryPolicy

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Seconds. Far more than any pull here needs, twice over.
_PATIENCE: Final = 6 * 3600.0

RetryAfter = Literal["none", "0", "1", "right"]


@frozen
class LimitCase:
    """A server's bucket, how it refuses, and the pulls that run at once, each of a process of its own.

    Attributes:
        per_minute: How many tokens come in a minute.
        holds: How many tokens there are after a quiet time.
        status: The status of a refusal.
        retry_after: What a refusal says of the time to wait.
        closed: From when until when everything is refused, in seconds.
        rows: How many records there are.
        page_size: The `limit` of each request.
        concurrencies: The concurrency of each pull.
        order: The order of the answers.
    """

    per_minute: int
    holds: int
    status: int
    retry_after: RetryAfter
    closed: tuple[float, float]
    rows: int
    page_size: int
    concurrencies: tuple[int, ...]
    order: Order


@define
class LimitStory:
    """What happened in a case: answers, refusals, and how many seconds the pulls took."""

    answers: int = 0
    refused: int = 0
    seconds: float = 0


def make_limit_case(chance: random.Random) -> LimitCase:
    """Make a case from chance."""
    concurrencies = chance.choice(((1,), (4,), (16,), (4, 4), (4, 16), (1, 64)))
    status = 503 if len(concurrencies) == 1 and chance.random() < 0.5 else 429
    retry_after: tuple[RetryAfter, ...] = ("none", "none", "0", "1", "right")
    closed = 0.0, 0.0
    if status == 429 and chance.random() < 0.25:
        begin = chance.uniform(0, 60)
        closed = begin, begin + chance.choice((20, 90, 300, 600))
    return LimitCase(
        per_minute=chance.choice((60, 60, 60, 45, 30)),
        holds=chance.choice((1, 2, 5, 10, 20, 60)),
        status=status,
        retry_after=chance.choice(retry_after) if status == 429 else "none",
        closed=closed,
        rows=chance.choice((100, 400, 800)),
        page_size=chance.choice((8, 20)),
        concurrencies=concurrencies,
        order=chance.choice(("newest_first", "oldest_first", "arbitrary")),
    )


class _Gate:
    """The server's bucket: refuses a request that finds no token."""

    def __init__(self, case: LimitCase, story: LimitStory) -> None:
        self._case, self._story = case, story
        self._tokens, self._filled = float(case.holds), self._now()
        self._began = self._filled

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def answer(self, _first: datetime, _last: datetime) -> web.Response | None:
        case, now = self._case, self._now()
        each = 60 / case.per_minute
        self._tokens, self._filled = min(case.holds, self._tokens + (now - self._filled) / each), now
        opens, closes = self._began + case.closed[1], self._began + case.closed[0]
        if self._tokens >= 1 and not closes <= now < opens:
            self._tokens -= 1
            self._story.answers += 1
            return None
        self._story.refused += 1
        wait = max((1 - self._tokens) * each, opens - now if closes <= now < opens else 0)
        headers = {"none": {}, "right": {"Retry-After": str(ceil(wait))}}.get(
            case.retry_after, {"Retry-After": case.retry_after}
        )
        return web.Response(
            status=case.status, text="<html>slow down</html>", content_type="text/html", headers=headers
        )


async def _pull(client: AsyncClient, case: LimitCase, concurrency: int) -> list[str]:
    stream = client.cdrs.stream(START, START + timedelta(days=2), concurrency=concurrency, page_size=case.page_size)
    async with stream:
        return [record.id async for record in stream]


async def _run(case: LimitCase) -> LimitStory:
    story = LimitStory()
    server = RawServer(evenly(case.rows, START, timedelta(days=2)), order=case.order, answer=_Gate(case, story).answer)
    limits = RateLimits(cdrs=RateLimit(60))
    async with served(server, rate_limits=limits, retry=RetryPolicy(), max_connections=100) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        # A view with limits of its own is to the server what another process is.
        pulls = [
            asyncio.create_task(
                _pull(client.with_options(rate_limits=RateLimits(cdrs=RateLimit(60))), case, concurrency)
            )
            for concurrency in case.concurrencies
        ]
        _, late = await asyncio.wait(pulls, timeout=_PATIENCE)
        for task in late:
            task.cancel()
        outcomes = await asyncio.gather(*pulls, return_exceptions=True)
        story.seconds = loop.time() - began
    expected = ids(server.rows)
    check(not late, f"a pull had not arrived after {_PATIENCE:.0f} s")
    for came in outcomes:
        if isinstance(came, BaseException):
            raise BrokenError(
                f"a pull ended after {story.seconds:.0f} s, {story.answers} answers and {story.refused} refusals: {came!r}"
            )
        check(came == expected, f"{len(came)} records came of {len(expected)}")
    return story


def run_limits(case: LimitCase) -> LimitStory:
    """Run a case, or raise `BrokenError`."""
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(_run(case))


def _run_seed(seed: int) -> tuple[int, LimitCase, LimitStory | None, str]:
    case = make_limit_case(random.Random(seed))
    try:
        return seed, case, run_limits(case), ""
    except BrokenError as broken:
        return seed, case, None, str(broken)


def main() -> int:
    """Run the cases, and tell which did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    first = options.seed * 10**6
    seeds = range(first, first + options.cases) if options.only is None else [options.only]
    all_of, failed, answers, refused, worst = Counter[str](), Counter[str](), 0, 0, 0.0
    with ProcessPoolExecutor(options.jobs) as pool:
        for seed, case, story, wrong in pool.map(_run_seed, seeds, chunksize=5):
            name = f"{case.status}, Retry-After {case.retry_after}"
            all_of[name] += 1
            if story is None:
                failed[name] += 1
                if failed.total() <= 5 or options.only is not None:
                    print(f"--only {seed}: {wrong}\n  {case}")
                continue
            answers, refused = answers + story.answers, refused + story.refused
            worst = max(worst, story.refused / story.answers)
    for name, count in sorted(all_of.items()):
        print(f"{count:7}  {name}: {failed[name]} did not arrive")
    print(f"{answers} answers and {refused} refusals in those that arrived; at most {worst:.2f} refusals for an answer")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
