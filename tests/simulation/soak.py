"""Runs seeds in one process for a long time, and watches what the process holds.

    python -m tests.simulation.soak                          four hours
    python -m tests.simulation.soak --minutes 10 --start 500000

All programs of a seed run in this process. The exit status is 1 if a seed fails, if the process holds more files or threads at the
end than after the first seeds, or if the memory in use has grown since a quarter of the time: the blocks of Python by more than a
twentieth, or all of it by half. A seed that takes much at once leaves memory with the process that nothing uses.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.simulation.__main__ import outcome_of
from tests.simulation.plan import plan_of

# Seeds between two looks.
_BETWEEN: Final = 50
# By how much each may grow since a quarter of the time.
_GROWTH: Final = {"blocks": 1.05, "memory": 1.5}
_DAY: Final = 86_400.0


@frozen
class Held:
    """What the process holds.

    Attributes:
        memory: The bytes that are in memory.
        blocks: The blocks of memory, of up to 512 bytes each, that Python has handed out.
        objects: The objects that the garbage collector knows.
        files: The files and sockets that are open.
        threads: The threads.
    """

    memory: int
    blocks: int
    objects: int
    files: int
    threads: int


def held() -> Held:
    """Return what this process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE"),
        sys.getallocatedblocks(),
        len(gc.get_objects()),
        files,
        threading.active_count(),
    )


def faults_of(looks: list[Held]) -> list[str]:
    """Return what grows, given what the process held from time to time."""
    first, last = looks[0], looks[-1]
    faults = [
        f"{name}: {getattr(first, name)} became {getattr(last, name)}"
        for name in ("files", "threads")
        if getattr(last, name) > getattr(first, name)
    ]
    before = looks[len(looks) // 4]
    faults += [
        f"{name}: {getattr(before, name):,} became {getattr(last, name):,}"
        for name, growth in _GROWTH.items()
        if getattr(last, name) > growth * getattr(before, name)
    ]
    return faults


def main() -> int:
    """Run seeds until the time is over, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.soak", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=240)
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="the first seed")
    args = parser.parse_args()
    began, seed, failures = time.monotonic(), args.start, 0
    reached, virtual, looks = Counter[str](), 0.0, list[Held]()
    print(
        f"{'minutes':>8} {'seeds':>7} {'virtual days':>13} {'MB':>7} {'blocks':>9} {'objects':>9} {'files':>6} {'threads':>8}"
    )
    while time.monotonic() - began < 60 * args.minutes or len(looks) < 2:  # the first look and the last
        for _ in range(_BETWEEN):
            outcome = outcome_of(plan_of(seed))
            if outcome.failure is not None:
                failures += 1
                print(f"seed {seed} fails: {outcome.failure}")
            reached += outcome.reached
            virtual += outcome.elapsed
            seed += 1
        looks.append(now := held())
        minutes, memory = (time.monotonic() - began) / 60, now.memory / 1e6
        print(
            f"{minutes:>8.1f} {seed - args.start:>7,} {virtual / _DAY:>13.1f} {memory:>7.1f} {now.blocks:>9,} "
            f"{now.objects:>9,} {now.files:>6} {now.threads:>8}",
            flush=True,
        )
    faults = faults_of(looks)
    survived = sum(times for state, times in reached.items() if state.startswith("kill"))
    print(f"{seed - args.start:,} seeds, {failures} failed")
    print(
        f"survived: {survived:,} kills, {reached['the power goes']:,} losses of power, {reached['the API goes down']:,} outages"
    )
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if failures or faults else 0


if __name__ == "__main__":
    sys.exit(main())
