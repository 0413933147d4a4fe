"""How late the event loop is for other tasks while pages of 1000 rows are decoded and handed out.

    python benchmarks/records_lag.py

A tick is scheduled each millisecond. It notes how late it is, and how much CPU time the process has used since the last tick: the
latter is how long the loop was busy, whatever else runs on the machine. Ticks run beside each way in turn, beside plain dicts, and
beside nothing at all, which shows the machine's own delays. The server is another process. All ticks of a way count together.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Final

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import served
from benchmarks.records_ways import WAYS, result_of
from benchmarks.stamp import stamp

_TICK: Final = 0.001
TARGET: Final = 0.003
_WAYS: Final = ("nothing", "dicts", "batches", "each", "newest", "novel")
_JUDGED: Final = {"batches", "each", "newest"}


class Ticks:
    """Runs ticks on the event loop until it is stopped.

    Attributes:
        late: How late each tick was, in seconds.
        busy: The CPU time between each tick and the one before, in seconds.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self.busy: list[float] = []
        self._cpu = time.process_time()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + _TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        self.late.append(now - self._due)
        cpu, self._cpu = self._cpu, time.process_time()
        self.busy.append(self._cpu - cpu)
        self._due = now + _TICK
        self._handle = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Cancel the next tick."""
        self._handle.cancel()


async def ticks_beside(way: str, url: str, records: int) -> Ticks:
    """Run a way, and return the ticks that ran beside it."""
    ticks = Ticks()
    if way == "nothing":
        await asyncio.sleep(1)
    else:
        await result_of(WAYS[way].run(url, records))
    ticks.stop()
    return ticks


def _figures(seconds: list[float]) -> tuple[float, str]:
    parts = quantiles(seconds, n=100)
    return parts[98], f"{parts[98] * 1000:>9.2f}{parts[49] * 1000:>9.2f}{max(seconds) * 1000:>9.2f}"


def table(seen: dict[str, list[Ticks]]) -> Iterator[str]:
    """Yield the lines of the table, one for each way."""
    yield f"{'':34}{'milliseconds late':>27}{'CPU milliseconds between':>27}"
    yield f"{'':34}{'99 %':>9}{'median':>9}{'worst':>9}{'99 %':>9}{'median':>9}{'worst':>9}{'ticks':>9}"
    for way, runs in seen.items():
        late, busy = ([at for run in runs for at in series(run)] for series in (_late, _busy))
        (_, lateness), (high, business) = _figures(late), _figures(busy)
        verdict = "ok" if high <= TARGET else "MISSED"
        name = WAYS[way].name if way in WAYS else way
        yield f"{name:34}{lateness}{business}{len(late):>9,}   {verdict if way in _JUDGED else ''}"


def _late(ticks: Ticks) -> list[float]:
    return ticks.late


def _busy(ticks: Ticks) -> list[float]:
    return ticks.busy


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    seen: dict[str, list[Ticks]] = {way: [] for way in _WAYS}
    with served(given.records, others=True) as url:
        for _ in range(given.rounds):
            for way, runs in seen.items():
                runs.append(asyncio.run(ticks_beside(way, url, given.records)))
    print(f"{given.records:,} records, concurrency 4, {given.rounds} rounds, {stamp()}\n")
    print(*table(seen), sep="\n")


if __name__ == "__main__":
    main()
