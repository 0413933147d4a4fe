"""A follow that is killed (SIGKILL) again and again must have each record once, or once at least on standard output.

    python -m tests.cdrs.follow_kill                  50 kills of a program that stores by `CheckpointFile`
    python -m tests.cdrs.follow_kill --command        of `unlimcall cdrs follow --checkpoint`, which may repeat a batch
    python -m tests.cdrs.follow_kill --kills 5

Records appear late between the kills, and some share start and id. A base is made every few batches, so that kills fall into the
making of one, too. Kills come at random points, counted in requests and in turns of the event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cli.support import until
from unlimcall_async.sandbox import Sandbox, generate_traffic

RECORDS = 6000
# The program of `docs/client.md`, with a base as soon as the entries are a page long.
PROGRAM = """
import asyncio, json, os, sys
from datetime import datetime, timedelta
from unlimcall_async import AsyncClient, CheckpointFile, RateLimits
from unlimcall_async.cdrs import checkpoint_journal

checkpoint_journal._LEAST_CHARACTERS = 2000

async def main():
    start, interval = datetime.fromisoformat(sys.argv[1]), timedelta(milliseconds=10)
    with CheckpointFile("follow.checkpoint") as stored, open("out", "ab") as file:
        file.truncate(stored.note or 0)
        file.seek(0, os.SEEK_END)
        async with AsyncClient(rate_limits=RateLimits.unlimited()) as client:
            async with client.cdrs.follow(start, interval=interval, resume=stored.checkpoint) as follow:
                async for batch in follow.batches():
                    file.writelines(json.dumps([r.id, r.src, r.dst, r.duration]).encode() + b"\\n" for r in batch)
                    file.flush()
                    os.fsync(file.fileno())
                    stored.store(follow.checkpoint, note=file.tell())

asyncio.run(main())
"""
COMMAND = """
import sys
from datetime import timedelta
from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.cdrs import checkpoint_journal
from unlimcall_async.cdrs.resource import Cdrs
from unlimcall_async.cli import access
from unlimcall_async.cli.commands import unlimcall

checkpoint_journal._LEAST_CHARACTERS = 2000
follow = Cdrs.follow
Cdrs.follow = lambda self, start, **more: follow(self, start, **{**more, "interval": timedelta(milliseconds=10)})
access.AsyncClient = lambda *given, **more: AsyncClient(*given, **{**more, "rate_limits": RateLimits.unlimited()})
unlimcall(["cdrs", "follow", "--from", sys.argv[1], "--checkpoint", "follow.checkpoint"], prog_name="unlimcall")
"""


async def killed_follow(
    sandbox: Sandbox, folder: Path, start: datetime, waits: list[tuple[int, int]], code: str
) -> None:
    """Start a follow and kill it, as often as there are waits: for so many requests, and so many turns of the event loop."""
    environment = {**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    for requests, turns in waits:
        with (folder / "out").open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-c", code, start.isoformat()], cwd=folder, env=environment, stdout=out
            )
        last = len(sandbox.requests) + requests
        await until(lambda: len(sandbox.requests) >= last or process.returncode is not None)  # noqa: B023 # ends in this turn
        for _ in range(turns):
            await asyncio.sleep(0)
        if process.returncode is not None:
            raise RuntimeError("the follow has ended by itself")
        process.kill()
        await process.wait()


async def run(kills: int, seed: int, *, command: bool) -> bool:
    """Return whether a follow that is killed has every record as often as it should."""
    chance = random.Random(seed)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    calls = generate_traffic(RECORDS, start=start, end=start + timedelta(minutes=50), kind="legs", seed=seed)
    chance.shuffle(calls)  # the later ones appear late
    step = RECORDS // 2 // kills
    async with Sandbox(latency=0.002) as sandbox:
        with tempfile.TemporaryDirectory() as name:
            folder, code = Path(name), COMMAND if command else PROGRAM
            sandbox.add_calls(calls[: RECORDS - step * kills])
            for number in range(kills):
                waits = [(chance.randrange(1, 30), chance.randrange(2000))]
                await killed_follow(sandbox, folder, start, waits, code)
                sandbox.add_calls(calls[RECORDS - step * (kills - number) :][:step])
            await killed_follow(sandbox, folder, start, [(60, 0)], code)
            lines = [
                json.loads(line) for line in (folder / "out").read_text().splitlines() if line.endswith(("]", "}"))
            ]
    keys = ("id", "src", "dst", "duration")
    found = Counter(tuple(line[key] for key in keys) if command else tuple(line) for line in lines)
    expected = Counter((call.id, call.src, call.dst, call.duration) for call in calls)
    return expected <= found if command else expected == found


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", action="store_true")
    options = parser.parse_args()
    complete = asyncio.run(run(options.kills, options.seed, command=options.command))
    print(f"{options.kills} kills: the records are {'those of the server' if complete else 'WRONG'}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
