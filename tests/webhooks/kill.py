"""A receiver that is killed (SIGKILL) again and again, amid deliveries: each event has its effect exactly once, and none is lost.

    python -m tests.webhooks.kill              30 kills
    python -m tests.webhooks.kill --kills 5

The receiver is a process of its own, an aiohttp server with an SQLite store. It is killed at random points of its work, counted in
answers and turns of the event loop, not in seconds. What was not answered 200 is sent again to the next one, whose clock is later
by more than the claim of a dead process lasts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiohttp

from tests.webhooks.oracle import SECRET, event_body, headers
from tests.webhooks.servers import aiohttp_server
from unlimcall_async.webhooks import CallEnded, SQLiteStore, WebhookReceiver

ROOT = Path(__file__).parents[2]
AT_ONCE = 8
RESTART_SECONDS = 20


async def serve(path: str, offset: float) -> None:
    """Be the receiver: print the URL, and serve until killed."""
    async with SQLiteStore(path) as store:
        receiver = WebhookReceiver(SECRET, store=store, clock=lambda: time.time() + offset)

        @receiver.on(CallEnded)
        async def record(event: CallEnded) -> None:
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (event.id,)))
            await asyncio.sleep(0)

        async with aiohttp_server(receiver.aiohttp_app()) as url:
            print(url, flush=True)
            await asyncio.Event().wait()


class Killing:
    """The sender, and the hand that kills."""

    def __init__(self, path: Path, events: int, kills: int, seed: int) -> None:
        self.path, self.kills = path, kills
        self.chance = random.Random(seed)
        self.open = [f"evt_{n}" for n in range(events)]
        self.each = max(1, events // (kills + 1))
        self.restarts = 0
        self.answered = 0
        self.unanswered = 0

    async def start(self) -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tests.webhooks.kill", "--serve", str(self.path)],
            *["--offset", str(self.restarts * RESTART_SECONDS)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        if process.stdout is None:
            raise RuntimeError("no pipe")
        self.restarts += 1
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise RuntimeError("the receiver did not start")
        return process, url

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while self.open:
                process, url = await self.start()
                killing = asyncio.create_task(self.kill(process, self.answered + self.chance.randrange(1, self.each)))
                self.chance.shuffle(self.open)
                # Twins too: each event is in the row twice.
                row = iter([event for event in self.open for _ in range(2)])
                try:
                    await asyncio.gather(*(self.send(session, url, row, process) for _ in range(AT_ONCE)))
                finally:
                    killing.cancel()
                    if process.returncode is None:
                        process.kill()
                    await asyncio.gather(killing, process.wait(), return_exceptions=True)

    async def kill(self, process: asyncio.subprocess.Process, after: int) -> None:
        if self.restarts > self.kills:
            return
        while self.answered < after:  # noqa: ASYNC110 # an answer sets no event
            await asyncio.sleep(0)
        for _ in range(self.chance.randrange(100)):
            await asyncio.sleep(0)
        process.kill()

    async def send(
        self, session: aiohttp.ClientSession, url: str, row: Iterator[str], process: asyncio.subprocess.Process
    ) -> None:
        for event in row:
            if process.returncode is not None:
                return
            body = event_body(event, callId=event)
            try:
                async with session.post(url, data=body, headers=headers(body, at=int(time.time()))) as answer:
                    delivered = answer.status == 200
            except aiohttp.ClientError:
                self.unanswered += 1
                continue
            self.answered += 1
            if delivered and event in self.open:
                self.open.remove(event)


async def run(events: int, kills: int, seed: int) -> tuple[Killing, list[str]]:
    """Deliver, kill, and say what is wrong with the effects."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seen.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE effects (event TEXT)")
        killing = Killing(path, events, kills, seed)
        expected = set(killing.open)
        await killing.run()
        with closing(sqlite3.connect(path)) as connection:
            effects = Counter(row[0] for row in connection.execute("SELECT event FROM effects"))
    return killing, [event for event in sorted(expected | set(effects)) if effects[event] != 1]


def main() -> int:
    """Serve, or run it and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", metavar="FILE", help="be the receiver that is killed")
    parser.add_argument("--offset", type=float, default=0.0)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.offset))
        return 0
    killing, wrong = asyncio.run(run(options.events, options.kills, options.seed))
    print(f"{killing.restarts} receivers, {killing.answered} answers, {killing.unanswered} deliveries without one")
    print(f"{options.events} events: {len(wrong)} without exactly one effect", *wrong[:20], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
