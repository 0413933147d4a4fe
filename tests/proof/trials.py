"""`client.cdrs.verify` must name each difference, and nothing else.

    python -m tests.proof.trials                                     a few trials
    python -m tests.proof.trials --trials 1000 --records 1000000     1,000 trials of each kind

There are three kinds of trials:

- core: one of all records is deleted, altered in one field, doubled, or moved across midnight. The comparison that `verify` makes
  gets the days that the change touches, in pages, and in some trials all days. The digests of all days are made once, before.
- wire: the same changes of a server that is asked over HTTP, by `client.cdrs.verify`, for a manifest or for records.
- alarm: nothing changes, but all else does: range, order of the server, its bounds and its `count`, page size, direction, strategy,
  concurrency, up to five resumptions, a manifest or records, all or `counts_only`. By `client.cdrs.verify` over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any, Final

from attrs import define, field, frozen
from msgspec.structs import asdict

from tests.cdrs.raw_server import ORDERS, RawServer, served
from tests.proof.changes import BEGIN, DAY, Change, change_of, row_of, some_records
from unlimcall_async import AsyncClient, CallRecord, RateLimits
from unlimcall_async.proof import DayDigest, Manifest
from unlimcall_async.proof.comparison import Comparison, by_day
from unlimcall_async.sandbox import Sandbox, SandboxCall

# The days of the records on the wire, and those without a server.
DAYS: Final = 60
END: Final = BEGIN + DAYS * DAY
YEAR: Final = 365
# Of so many trials without a server, two compare all records, and the others the days that the change touches.
WHOLE: Final = 200
PAGE: Final = 1000
# Ranges of the trials on the wire: pulled once, and verified many times.
RANGES: Final = 8


@define
class Tally:
    """The trials of a kind, and those that failed."""

    name: str
    trials: Counter[str] = field(factory=Counter)
    failed: list[str] = field(factory=list)
    requests: int = 0

    def enter(self, what: str, story: str, *, passed: bool) -> None:
        self.trials[what] += 1
        if not passed:
            self.failed.append(f"{what}: {story}")

    def lines(self) -> list[str]:
        each = ", ".join(f"{count} {what}" for what, count in sorted(self.trials.items()))
        total = f"{self.trials.total():,} trials, {len(self.failed)} failed, {self.requests:,} requests ({each})"
        return [f"{self.name:6} {total}", *(f"       {story}" for story in self.failed[:10])]


# --- changes, without a server --------------------------------------------------------------------------------------------


def core_trials(trials: int, records: int, seed: int) -> Tally:
    """Change one record at a time, and compare."""
    chance, tally, end = random.Random(seed), Tally("core"), BEGIN + YEAR * DAY
    held = by_day(some_records(chance, records, YEAR), BEGIN, end)
    digests = {day: DayDigest.of(some) for day, some in held.items()}
    for number in range(trials):
        record = chance.choice(held[chance.choice([*held])])
        change = change_of(chance, record, BEGIN, end)
        now = {day: _changed(held.get(day, []), change, day) for day in change.days}
        given = held if number % 2 else None
        whole = number % WHOLE < 2
        days = sorted({*held, *change.days}) if whole else change.days
        expected = {day: digests[day] for day in days if day in digests}
        comparison = Comparison(expected, given)
        found = [record for day in days for record in (now[day] if day in now else held[day])]
        for first in range(0, len(found), PAGE):
            comparison.add(found[first : first + PAGE])
        named = change.is_named_by(comparison.differences(), with_records=given is not None)
        tally.enter(f"{change.kind}{' of all days' if whole else ''}", f"{change}", passed=named)
    return tally


def _changed(records: Sequence[CallRecord], change: Change, day: object) -> list[CallRecord]:
    """Return the records of a day after a change, the oldest first."""
    left = list(records)
    for record in change.gone:
        if record.start_time.date() == day:
            left.remove(record)
    left += [record for record in change.came if record.start_time.date() == day]
    return sorted(left, key=lambda record: record.start_time)


# --- changes of a server --------------------------------------------------------------------------------------------------


@frozen
class Pulled:
    """A range that was pulled before the changes."""

    start: datetime
    end: datetime
    records: list[CallRecord]
    manifest: Manifest


async def wire_trials(trials: int, records: int, seed: int) -> Tally:
    """Change one row of a server at a time, and verify what was pulled before."""
    chance, tally = random.Random(seed), Tally("wire")
    rows = [row_of(record) for record in some_records(chance, records, DAYS)]
    server = RawServer(rows)
    async with served(server) as client:
        pulls = [await _pull(client, *_range_of(chance, whole=not number)) for number in range(RANGES)]
        pulls = [pull for pull in pulls if pull.records]
        for number in range(trials):
            pulled = chance.choice(pulls)
            change = change_of(chance, chance.choice(pulled.records), pulled.start, pulled.end)
            server.order = chance.choice(ORDERS)
            server.rows = list(rows)
            for record in change.gone:
                server.rows.remove(row_of(record))
            server.rows += map(row_of, change.came)
            given = _given(pulled, chance) if number % 2 else (pulled.manifest,)
            result = await client.cdrs.verify(*given)
            tally.requests += result.requests
            named = not result.ok and change.is_named_by(result.differences, with_records=bool(number % 2))
            tally.enter(change.kind, f"{change}", passed=named)
    return tally


def _given(pulled: Pulled, chance: random.Random) -> tuple[list[CallRecord], datetime, datetime]:
    return chance.sample(pulled.records, len(pulled.records)), pulled.start, pulled.end


async def _pull(client: AsyncClient, start: datetime, end: datetime) -> Pulled:
    stream = client.cdrs.stream(start, end)
    records = await stream.to_list()
    return Pulled(start, end, records, stream.manifest)


def _range_of(chance: random.Random, *, whole: bool = False) -> tuple[datetime, datetime]:
    """Return a range with a midnight on each side of each of its days, some of them at midnight, and some short."""
    if whole:
        return BEGIN, END
    length = 2 + (DAYS - 2) * chance.random() ** 3
    start = BEGIN + (DAYS - length) * chance.random() * DAY
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    if chance.random() < 0.5:
        start = datetime.combine(start.date(), datetime.min.time(), start.tzinfo)
    return start, start + timedelta(seconds=int(length * 86_400) if chance.random() < 0.5 else int(length) * 86_400)


# --- nothing changes ------------------------------------------------------------------------------------------------------


async def alarm_trials(trials: int, records: int, seed: int) -> Tally:
    """Change all but the records, and verify."""
    chance, tally = random.Random(seed), Tally("alarm")
    calls = [SandboxCall(**asdict(record)) for record in some_records(chance, records, DAYS)]
    chance.shuffle(calls)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls)
        for _ in range(trials):
            # A client of its own: a page cap may begin between two trials, and a client knows a server that it has pulled from.
            sandbox.settings.cap = chance.choice([1000, 1000, 500])
            async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
                await _alarm_trial(client, sandbox, chance, tally)
    return tally


async def _alarm_trial(client: AsyncClient, sandbox: Sandbox, chance: random.Random, tally: Tally) -> None:
    start, end = _range_of(chance)
    settings = [_vary(sandbox, chance)]
    manifest, found, how = await _pulled_somehow(client, chance, start, end)
    settings.append(_vary(sandbox, chance))
    chance.shuffle(found)
    by_records, by_counts = chance.random() < 0.3, chance.random() < 0.3
    given: tuple[Any, ...] = (found, start, end) if by_records else (manifest,)
    options: dict[str, Any] = {"concurrency": chance.randint(1, 6), "strategy": chance.choice(["auto", "divide"])}
    result = await client.cdrs.verify(*given, counts_only=by_counts, **options)
    tally.requests += result.requests
    same = manifest.total == DayDigest.of(found) and not manifest.gaps()
    passed = same and result.ok and not result.differences and result.days == len(manifest.days)
    kind = f"{'records' if by_records else 'manifest'}{' by counts' if by_counts else ''}"
    tally.enter(kind, f"{start} to {end}, {how}, {settings}, {by_counts=}, {options}: {result}", passed=passed)


def _vary(sandbox: Sandbox, chance: random.Random) -> str:
    """Change the server, and return how it is now."""
    settings = sandbox.settings
    settings.order = chance.choice(["newest_first", "oldest_first", "insertion", "arbitrary"])
    settings.from_inclusive, settings.till_inclusive = chance.random() < 0.7, chance.random() < 0.5
    settings.resolution = chance.choice(["ms", "ms", "s"])
    settings.count = chance.choice(["rows", "matches"])
    bounds = f"{'[' if settings.from_inclusive else '('}from, till{']' if settings.till_inclusive else ')'}"
    return f"{settings.order}, {bounds}, {settings.resolution}, count of {settings.count}, cap {settings.cap}"


async def _pulled_somehow(
    client: AsyncClient, chance: random.Random, start: datetime, end: datetime
) -> tuple[Manifest, list[CallRecord], str]:
    """Pull, resumed up to five times. Return the sum of the manifests, and the records."""
    options: dict[str, Any] = {
        "newest_first": chance.random() < 0.5, "page_size": chance.choice([200, 499, 1000]),
        "strategy": chance.choice(["auto", "divide"]), "concurrency": chance.randint(1, 6),
    }  # fmt: skip
    records, manifests, resume = list[CallRecord](), list[Manifest](), None
    cuts = [chance.randint(0, 900) for _ in range(chance.choice([0, 0, 1, 5]))]
    for cut in [*cuts, None]:
        stream = client.cdrs.stream(start, end, resume=resume, **options)
        async with stream:
            if cut != 0:
                came = 0
                async for record in stream:
                    records.append(record)
                    came += 1
                    if came == cut:
                        break
            manifests.append(stream.manifest)
            resume = stream.checkpoint
    return reduce(add, manifests), records, f"{options}, cut at {cuts}"


# --- the command ----------------------------------------------------------------------------------------------------------


@frozen
class Amounts:
    trials: int
    records: int
    wire_trials: int
    wire_records: int
    seed: int


def run(amounts: Amounts) -> list[Tally]:
    """Make all trials, and print what came of them."""
    wire = amounts.wire_trials, amounts.wire_records, amounts.seed
    makers: list[Callable[[], Tally]] = [
        lambda: core_trials(amounts.trials, amounts.records, amounts.seed),
        lambda: asyncio.run(wire_trials(*wire)),
        lambda: asyncio.run(alarm_trials(*wire)),
    ]
    tallies = list[Tally]()
    for make in makers:
        began = time.monotonic()
        tallies.append(make())
        print("\n".join(tallies[-1].lines()), f"[{time.monotonic() - began:.0f} s]", flush=True)
    return tallies


SMALL: Final = Amounts(trials=40, records=20_000, wire_trials=12, wire_records=3_000, seed=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=SMALL.trials, help="trials without a server")
    parser.add_argument("--records", type=int, default=SMALL.records, help="records of these")
    parser.add_argument("--wire-trials", type=int, help="trials of each kind over HTTP (default: as --trials, at most)")
    parser.add_argument("--wire-records", type=int, default=20_000, help="records of these")
    parser.add_argument("--seed", type=int, default=SMALL.seed)
    given = parser.parse_args()
    wire = given.trials if given.wire_trials is None else given.wire_trials
    tallies = run(Amounts(given.trials, given.records, wire, given.wire_records, given.seed))
    sys.exit(any(tally.failed for tally in tallies))


if __name__ == "__main__":
    main()
