"""A `cdrs pull` that is killed again and again, and resumed, must leave the file of one that was not.

    python -m tests.cli.kill              50 kills
    python -m tests.cli.kill --kills 5

It kills (SIGKILL, and now and then SIGINT or SIGTERM) at random points of its work, counted in requests that the sandbox has
seen and turns of the event loop, not in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl  # type: ignore[import-untyped] # it has no types
from pyarrow import parquet  # type: ignore[import-untyped] # it has no types

from tests.cli.support import names_in, running, until
from unlimcall_async.proof import DayDigest, Manifest
from unlimcall_async.sandbox import Sandbox, generate_traffic

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
RECORDS = 6000
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM]


async def one_pull(
    sandbox: Sandbox, out: Path, number: signal.Signals | None, chance: random.Random, *options: str
) -> int:
    """Pull, or go on; give the status, which is below 0 where a signal ended it without a word."""
    # Without a rate of its own, a pull would wait a second for most of its requests.
    span = ["--from", START.isoformat(), "--till", END.isoformat()]
    arguments = [*span, "--out", str(out), "--resume", "--rate", "60000"]
    async with running(sandbox, "cdrs", "pull", *arguments, *options) as process:
        ended = asyncio.create_task(process.communicate())
        if number is not None:
            # A resumed pull asks some 20 times; most kills fall into its first part, so that there is something left to kill.
            last = len(sandbox.requests) + chance.randrange(1, 9)
            await until(lambda: len(sandbox.requests) >= last or ended.done())
            for _ in range(chance.randrange(3000)):
                await asyncio.sleep(0)
            if not ended.done():
                process.send_signal(number)
        _, err = await ended
    if process.returncode not in {0, -9, 130, 143}:
        raise RuntimeError(err.decode())
    return process.returncode or 0


async def killed_pull(sandbox: Sandbox, out: Path, kills: int, chance: random.Random, *options: str) -> bytes:
    """Pull into a file, killed so many times, and give what it holds."""
    done = 0
    while done < kills:
        if await one_pull(sandbox, out, chance.choice(SIGNALS), chance, *options):
            done += 1
        else:  # it came to its end before its kills did: once more, from the start
            clear(out.parent)
    if await one_pull(sandbox, out, None, chance, *options):
        raise RuntimeError("a pull that was left in peace ended otherwise")
    return content_of(out)


def clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def content_of(path: Path) -> bytes:
    return path.read_bytes()


async def run(kills: int, seed: int, suffix: str) -> bool:
    """Compare a killed pull with one that is left in peace."""
    chance = random.Random(seed)
    ending, *options = suffix.split()
    async with Sandbox(order="arbitrary", latency=0.005) as sandbox:
        sandbox.add_calls(generate_traffic(RECORDS // 2, start=START, end=END, kind="legs", seed=seed))
        sandbox.add_calls(generate_traffic(RECORDS // 2, start=START, end=END, kind="ties", seed=seed))
        with tempfile.TemporaryDirectory() as peace, tempfile.TemporaryDirectory() as war:
            whole = await killed_pull(sandbox, Path(peace) / f"calls.{ending}", 0, chance, *options)
            survived = await killed_pull(sandbox, Path(war) / f"calls.{ending}", kills, chance, *options)
            complete = lines_of(Path(peace) / f"calls.{ending}") == RECORDS + (ending in {"csv", "xlsx"})
            left = [name for name in names_in(Path(war)) if not name.endswith(".new")]
            same_days = days_in(Path(peace) / f"calls.{ending}") == days_in(Path(war) / f"calls.{ending}")
    names = [f"calls.{ending}{more}" for more in ("", ".checkpoint", ".manifest.json")]
    return whole == survived and complete and same_days and left == names


def days_in(path: Path) -> dict[date, DayDigest]:
    """The digests of the days in the manifest of a file."""
    manifest = Manifest.from_json((path.parent / f"{path.name}.manifest.json").read_bytes())
    if (manifest.start, manifest.end, manifest.total.records) != (START, END, RECORDS):
        raise RuntimeError("the manifest is not that of the whole pull")
    return dict(manifest.days)


def lines_of(path: Path) -> int:
    """The lines of a text, or the rows of a workbook or a Parquet file."""
    if path.suffix == ".parquet":
        return int(parquet.read_metadata(path).num_rows)
    if path.suffix != ".xlsx":
        return path.read_bytes().count(b"\n")
    return int(openpyxl.load_workbook(path, read_only=True).worksheets[0].max_row)


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--suffix", choices=["ndjson", "csv", "parquet", "xlsx", "csv --for excel"], default="ndjson")
    options = parser.parse_args()
    same = asyncio.run(run(options.kills, options.seed, options.suffix))
    print(f"{options.kills} kills: the files are {'identical' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
