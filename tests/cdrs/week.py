"""A week of following, on virtual time, over HTTP: every record must come once, whatever happens.

    python -m tests.cdrs.week                       seven days, a poll each 30 s, some two minutes
    python -m tests.cdrs.week --interval 300        the same with fewer polls

Calls come in bursts and by the clock, at a rate of a million a year. Each is written when it ends, some as late as `lookback` after
its start. The follower is killed 20 times, loses what it had not stored, and goes on from what it had; the server is away for three
hours, limits the rate, and fails now and then. Exits with 1 if a record is missing or came twice, if the state grows, or if a
minute took more than the share of the rate limit that the documentation states.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from unittest import mock

import looptime
from attrs import define, field

from unlimcall_async import AsyncClient, CallRecord, Checkpoint, RateLimit, RateLimits, UnlimCallError
from unlimcall_async.cdrs.follow import SHARE
from unlimcall_async.sandbox import Fault, ResetAfter, ResetBefore, Sandbox, SandboxCall, Status, generate_traffic

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)
LOOKBACK: Final = timedelta(hours=2)
PER_MINUTE: Final = 60
_HISTORY: Final = timedelta(days=1)
_OUTAGE: Final = timedelta(hours=3)


class _KilledError(Exception):
    """The follower is killed."""


@define(slots=False)
class Week:
    """What is to happen, and what came of it.

    Attributes:
        length: How long it is.
        interval: From poll to poll.
        crashes: How often the follower is killed.
        seed: Of everything that is left to chance.
        calls: How many records there are, history included.
        got: The records that the follower has stored.
        sizes: Of its checkpoints, each time that it stored one: when, characters, and digests.
        requests: When requests arrived, in seconds of the loop's clock; those that came to catch up are left out.
        killed: How often the follower was killed.
        failed: How often it gave up.
    """

    length: timedelta = timedelta(days=7)
    interval: timedelta = timedelta(seconds=30)
    crashes: int = 20
    seed: int = 1
    calls: int = 22_000
    got: list[CallRecord] = field(factory=list)
    sizes: list[tuple[float, int, int]] = field(factory=list)
    requests: list[float] = field(factory=list)
    killed: int = 0
    failed: int = 0

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        start, end = BEGIN - _HISTORY, BEGIN + self.length
        self._written = self._write_times(
            generate_traffic(self.calls // 2, start=start, end=end, kind="bursts", seed=self.seed)
            + generate_traffic(self.calls // 4, start=start, end=end, kind="call_centre", seed=self.seed)
            + generate_traffic(self.calls // 4, start=start, end=end, kind="legs", seed=self.seed)
        )
        self._stored: str | None = None
        self._kills = sorted(self._chance.uniform(0, self.length.total_seconds()) for _ in range(self.crashes))

    def _write_times(self, calls: list[SandboxCall]) -> list[tuple[datetime, SandboxCall]]:
        """Say when each record appears: when the call ends, or at any time up to the last at which it may."""
        times = []
        for call in calls:
            late = self._chance.choice([timedelta(0), timedelta(0), LOOKBACK * self._chance.random(), LOOKBACK])
            ended = call.start_time + min(timedelta(seconds=call.duration), LOOKBACK)
            times.append((max(ended, call.start_time + late), call))
        return sorted(times, key=lambda each: each[0])

    @property
    def _end(self) -> datetime:
        """When everything has been written, and polled once more."""
        return max(self._written[-1][0], BEGIN + self.length) + LOOKBACK + 4 * self.interval

    # --- the world ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let it happen."""
        with _wall_clock():
            async with Sandbox(
                rate_limits={"cdrs": PER_MINUTE}, order=self._chance.choice(["insertion", "newest_first"])
            ) as sandbox:
                tasks = [asyncio.create_task(self._write(sandbox)), asyncio.create_task(self._disturb(sandbox))]
                try:
                    await self._follow(sandbox)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, sandbox: Sandbox) -> None:
        for moment, call in self._written:
            if (wait := (moment - _now()).total_seconds()) > 0:
                await asyncio.sleep(wait)
            sandbox.add_calls([call])

    async def _disturb(self, sandbox: Sandbox) -> None:
        outage = self.length.total_seconds() * 0.6
        while True:
            await asyncio.sleep(self._chance.uniform(600, 7200))
            faults: list[Fault] = [Status(503), Status(500), Status(429), ResetBefore(), ResetAfter()]
            fault = self._chance.choice(faults)
            sandbox.inject(fault, endpoint="cdrs", times=self._chance.choice([1, 1, 2, 5]))
            if (_now() - BEGIN).total_seconds() > outage:
                outage = float("inf")
                await sandbox.stop()
                await asyncio.sleep(_OUTAGE.total_seconds())
                await sandbox.start()

    # --- the follower ---------------------------------------------------------------------------------------------------

    async def _follow(self, sandbox: Sandbox) -> None:
        """Be started anew after each crash and each failure, as a service is."""
        limits = RateLimits(cdrs=RateLimit(PER_MINUTE))
        while _now() < self._end:
            caught_up = len(sandbox.requests)
            try:
                async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
                    await self._serve(client)
            except _KilledError:
                self.killed += 1
            except UnlimCallError:
                self.failed += 1
                await asyncio.sleep(self._chance.uniform(1, 300))
            self._note_requests(sandbox, caught_up)

    async def _serve(self, client: AsyncClient) -> None:
        resume = None if self._stored is None else Checkpoint.from_json(self._stored)
        kill_at = BEGIN + timedelta(seconds=self._kills[self.killed]) if self.killed < self.crashes else None
        loop = asyncio.get_running_loop()
        new: list[CallRecord] = []
        async with client.cdrs.follow(
            BEGIN - _HISTORY, interval=self.interval, lookback=LOOKBACK, resume=resume
        ) as follow:
            end = loop.call_later((self._end - _now()).total_seconds(), lambda: loop.create_task(follow.aclose()))
            async for record in follow:
                new.append(record)
                if kill_at is not None and _now() >= kill_at and self._chance.random() < 0.2:
                    if self._chance.random() < 0.5:
                        self._store(new, follow.checkpoint, follow.stats.held)
                    raise _KilledError
                if self._chance.random() < 0.1:
                    self._store(new, follow.checkpoint, follow.stats.held)
            end.cancel()
            self._store(new, follow.checkpoint, follow.stats.held)

    def _store(self, new: list[CallRecord], checkpoint: Checkpoint, held: int) -> None:
        """Store what came together with the checkpoint."""
        self._stored = checkpoint.to_json()
        self.got += new
        new.clear()
        self.sizes.append((_seconds(), len(self._stored), held))

    def _note_requests(self, sandbox: Sandbox, first: int) -> None:
        """Keep the times of the requests that were polls: those behind the first five minutes after a start."""
        times = [request.received_at for request in sandbox.requests[first:]]
        self.requests += [at for at in times if at > times[0] + 300]

    # --- the verdict ----------------------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Say what went wrong."""
        found = []
        want = Counter(_key(call) for _, call in self._written)
        got = Counter(_key(record) for record in self.got)
        if missing := want - got:
            found.append(f"{missing.total()} records are missing")
        if doubled := got - want:
            found.append(f"{doubled.total()} records came more often than they are")
        if self.killed < self.crashes:
            found.append(f"killed {self.killed} times only")
        if self.busiest_minute > PER_MINUTE * SHARE:
            found.append(f"{self.busiest_minute} requests in a minute")
        if self.most_held > self.most_open:
            found.append(
                f"{self.most_held} digests were held, although no more than {self.most_open} records were open at once"
            )
        return found

    @property
    def busiest_minute(self) -> int:
        """The most requests in any 60 seconds."""
        times, most, first = sorted(self.requests), 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - 60:
                first += 1
            most = max(most, last - first + 1)
        return most

    @property
    def most_held(self) -> int:
        """The most digests that were held."""
        return max(held for _, _, held in self.sizes)

    @property
    def most_open(self) -> int:
        """The most records in what is open at any time: a lookback, a cell more, and what comes while a poll is waited for."""
        starts = sorted(call.start_time for _, call in self._written)
        span, most, first = LOOKBACK * (1 + 1 / 24) + self.interval * 2 + timedelta(minutes=10), 0, 0
        for last, at in enumerate(starts):
            while starts[first] < at - span:
                first += 1
            most = max(most, last - first + 1)
        return most


def _key(call: SandboxCall | CallRecord) -> tuple[object, ...]:
    return call.id, call.start_time, call.duration, call.src, call.dst, call.disposition, call.sip_username


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _now() -> datetime:
    return BEGIN + timedelta(seconds=_seconds())


@contextmanager
def _wall_clock() -> Iterator[None]:
    with mock.patch("unlimcall_async._clock.utc_now", _now):
        yield


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--interval", type=float, default=30, help="seconds")
    parser.add_argument("--calls", type=int, default=22_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    week = Week(
        timedelta(days=arguments.days),
        timedelta(seconds=arguments.interval),
        seed=arguments.seed,
        calls=arguments.calls,
    )
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(week.run())
    print(f"{len(week.got):,} records stored; {week.killed} crashes, {week.failed} failures survived")
    print(
        f"busiest minute {week.busiest_minute} requests; digests at most {week.most_held:,} of {week.most_open:,} open records"
    )
    print(f"largest checkpoint {max(size for _, size, _ in week.sizes):,} characters")
    for fault in week.faults():
        print("WRONG:", fault)
    return bool(week.faults())


if __name__ == "__main__":
    sys.exit(main())
