"""Deliveries by the thousand, with all that can befall them: the effect of each event must happen exactly once, and none be lost.

    python -m tests.webhooks.soak                        1,000 deliveries
    python -m tests.webhooks.soak --deliveries 10000

A sender as the reference describes it (retries for 24 hours with growing delays, 4xx final) delivers events in disorder, repeats
some, sends some twice at the same time, signs some attempts anew and keeps the first signature for others. It does so to two
receivers that share one SQLite file, as two processes would. Handlers fail, effects fail, requests are cut off, and now and then a
receiver is gone from one moment to the next, with the claims it had made. Time is the test's own: a day of retries takes seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import logging
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from attrs import define, field

from tests.webhooks.oracle import NOW, SECRET, event_body, headers
from unlimcall_async.webhooks import CallEnded, SQLiteStore, WebhookReceiver

AT_ONCE = 16
# A crash does not last longer than a claim of the dead process.
RESTART_SECONDS = 20.0


@define(order=True)
class Delivery:
    """One delivery, until it is delivered or given up."""

    due: float
    number: int
    event_id: str = field(order=False)
    first_at: float | None = field(default=None, order=False)
    attempts: int = field(default=0, order=False)


@define
class Tally:
    """What happened."""

    attempts: int = 0
    handled: int = 0
    crashes: int = 0
    cut_off: int = 0
    answers: Counter[int] = field(factory=Counter)
    lost: list[str] = field(factory=list)
    run: int = 0
    longest_run: int = 0

    def note(self, status: int) -> None:
        self.answers[status] += 1
        self.run = 0 if status == 200 else self.run + 1
        self.longest_run = max(self.longest_run, self.run)


class World:
    """The sender, two receivers on one file, and chance."""

    def __init__(self, path: Path, deliveries: int, seed: int, troubles: float, *, crashes: bool) -> None:
        self.path, self.troubles, self.crashes = path, troubles, crashes
        self.chance = random.Random(seed)
        self.now = float(NOW)
        self.tally = Tally()
        self.stores: list[SQLiteStore] = []
        self.receivers: list[WebhookReceiver] = []
        events = [f"evt_{n}" for n in range(max(1, deliveries * 2 // 3))]
        sent = events + [self.chance.choice(events) for _ in range(deliveries - len(events))]
        self.queue = [Delivery(NOW + self.chance.uniform(0, 3600), n, event) for n, event in enumerate(sent)]
        heapq.heapify(self.queue)
        self.events = set(events)

    def start(self, place: int) -> None:
        store = SQLiteStore(self.path)
        receiver = WebhookReceiver(SECRET, store=store, clock=lambda: self.now)

        @receiver.on(CallEnded)
        async def record(event: CallEnded) -> None:
            if self.trouble(0.05):
                raise KeyError
            effect = "INSERT INTO missing VALUES (?)" if self.trouble(0.02) else "INSERT INTO effects VALUES (?)"
            store.at_commit(lambda db: db.execute(effect, (event.id,)))
            for _ in range(self.chance.randrange(20)):
                await asyncio.sleep(0)
            self.tally.handled += 1

        @receiver.on(CallEnded)
        def sometimes_fail(_event: CallEnded) -> None:
            if self.trouble(0.05):
                raise ValueError

        self.stores[place : place + 1] = [store]
        self.receivers[place : place + 1] = [receiver]

    def trouble(self, share: float) -> bool:
        return self.chance.random() < share * self.troubles

    async def run(self) -> None:
        """Deliver until nothing is left to deliver."""
        for place in range(2):
            self.start(place)
        batches = 0
        while self.queue:
            batch = [heapq.heappop(self.queue) for _ in range(min(AT_ONCE, len(self.queue)))]
            self.now = max(self.now, batch[-1].due)
            sending = asyncio.gather(*(self.attempt(delivery) for delivery in batch))
            batches += 1
            if self.crashes and batches % int(30 / self.troubles) == 0:
                await self.crash()
            await sending
        for store in self.stores:
            await store.aclose()

    async def crash(self) -> None:
        """Have a receiver gone: what it does from now on, giving up its claims included, does not reach the file."""
        for _ in range(self.chance.randrange(200)):
            await asyncio.sleep(0)
        place = self.chance.randrange(2)
        gone = self.stores[place]
        closing_down = asyncio.create_task(gone.aclose())
        await asyncio.sleep(0)
        self.now += RESTART_SECONDS
        self.start(place)
        await closing_down
        self.tally.crashes += 1

    async def attempt(self, delivery: Delivery) -> None:
        delivery.first_at = delivery.first_at or self.now
        delivery.attempts += 1
        body = event_body(delivery.event_id, callId=delivery.event_id)
        signed = delivery.first_at if self.chance.random() < 0.5 else self.now
        copies = 2 if self.chance.random() < 0.1 else 1
        statuses = await asyncio.gather(*(self.post(body, int(signed)) for _ in range(copies)))
        if 200 in statuses:
            return
        delay = 60 * 2 ** (delivery.attempts - 1)
        if self.now + delay - delivery.first_at > 86400 or any(400 <= status < 500 for status in statuses):
            self.tally.lost.append(delivery.event_id)
            return
        delivery.due = self.now + delay
        heapq.heappush(self.queue, delivery)

    async def post(self, body: bytes, signed_at: int) -> int:
        self.tally.attempts += 1
        request = asyncio.create_task(self.chance.choice(self.receivers).handle(body, headers(body, at=signed_at)))
        if self.crashes and self.trouble(0.03):
            for _ in range(self.chance.randrange(60)):
                await asyncio.sleep(0)
            request.cancel()
        await asyncio.wait([request])
        if request.cancelled():
            self.tally.cut_off += 1
            return 599
        status, _ = request.result()
        self.tally.note(status)
        return status


async def run(deliveries: int, seed: int, *, troubles: float = 1.0, crashes: bool = True) -> tuple[Tally, list[str]]:
    """Deliver, and say what is wrong with the effects: the events without one, and those with several."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seen.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # a quarter of the waits for the disk
            connection.execute("CREATE TABLE effects (event TEXT)")
        world = World(path, deliveries, seed, troubles, crashes=crashes)
        await world.run()
        with closing(sqlite3.connect(path)) as connection:
            effects = Counter(row[0] for row in connection.execute("SELECT event FROM effects"))
    wrong = [
        f"{event}: {effects[event]} effects" for event in sorted(world.events | set(effects)) if effects[event] != 1
    ]
    return world.tally, wrong


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable()  # failures are what this is about
    tally, wrong = asyncio.run(run(options.deliveries, options.seed))
    print(tally)
    print(f"{options.deliveries:,} deliveries: {len(wrong)} events without exactly one effect", *wrong[:20], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
