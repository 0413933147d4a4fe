"""A pull that is killed (SIGKILL) again and again, and goes on from its stored checkpoint, must leave the file of one that was not.

    python -m tests.cdrs.kill              50 kills
    python -m tests.cdrs.kill --kills 5

It kills `pull_to_file.py` at random points of its work, counted in requests that the sandbox has seen, not in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.cli.support import until
from unlimcall_async.sandbox import Sandbox, generate_traffic

PROGRAM = Path(__file__).with_name("pull_to_file.py")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


async def start_pull(sandbox: Sandbox, folder: Path) -> asyncio.subprocess.Process:
    """Start the program as a process of its own."""
    environment = {**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    return await asyncio.create_subprocess_exec(
        *[sys.executable, str(PROGRAM)],
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )


async def killed_pull(sandbox: Sandbox, folder: Path, kills: int, chance: random.Random) -> bytes:
    """Pull into a folder, killed so many times, and give the file."""
    done = 0
    while True:
        process = await start_pull(sandbox, folder)
        ended = asyncio.create_task(process.wait())
        if done < kills:
            # A resumed pull asks some 40 times; most kills fall into its first part, so that there is something left to kill.
            last = len(sandbox.requests) + chance.randrange(1, 9)
            await until(lambda: len(sandbox.requests) >= last or ended.done())  # noqa: B023 # ends in this turn
            for _ in range(chance.randrange(2000)):
                await asyncio.sleep(0)
            if not ended.done():
                process.kill()
                done += 1
                await ended
                continue
        if await ended != 0:
            raise RuntimeError("the pull failed")
        if done < kills:
            # It came to its end before its kills did: once more, from the start.
            (folder / "calls.ndjson.checkpoint").unlink()
            (folder / "calls.ndjson").unlink()
            continue
        return (folder / "calls.ndjson").read_bytes()


async def run(kills: int, seed: int) -> bool:
    """Compare a killed pull with one that is left in peace."""
    chance = random.Random(seed)
    async with Sandbox(order="arbitrary", latency=0.005) as sandbox:
        sandbox.add_calls(generate_traffic(6000, start=START, end=END, kind="legs", seed=seed))
        sandbox.add_calls(generate_traffic(6000, start=START, end=END, kind="ties", seed=seed))
        with tempfile.TemporaryDirectory() as peace, tempfile.TemporaryDirectory() as war:
            whole = await killed_pull(sandbox, Path(peace), 0, chance)
            survived = await killed_pull(sandbox, Path(war), kills, chance)
    return whole == survived and whole.count(b"\n") == 12000


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    same = asyncio.run(run(options.kills, options.seed))
    print(f"{options.kills} kills: the files are {'identical' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
