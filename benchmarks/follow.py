"""What a follow costs with many records in its lookback: the longest steps, and what is stored for a batch.

    python benchmarks/follow.py                     100,000 and 1,000,000 records
    python benchmarks/follow.py --records 100000

No server is asked. The times are those of this process, and each is the longest of its kind.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from unlimcall_async import CallRecord, Checkpoint, CheckpointFile
from unlimcall_async.cdrs.follow_checkpoint import HELD_BYTES, NAMED, Cell, FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import EPOCH, SECOND, Range

LOOKBACK: Final = 7200 * SECOND
START: Final = 10**6 * 60 * SECOND
NOW: Final = START + LOOKBACK
_CELLS: Final = 24

T = TypeVar("T")


def measured(label: str, step: Callable[[], T]) -> T:
    """Run a step, and print how long it took."""
    before = time.perf_counter()
    result = step()
    print(f"  {label:42}{1000 * (time.perf_counter() - before):9.1f} ms")
    return result


def tail_of(records: int) -> Tail:
    """Return the tail of a follow that has handed out so many records within its lookback."""
    chance, width, count = random.Random(1), LOOKBACK // _CELLS, records // _CELLS  # noqa: S311 # no secret
    cells = list[Cell]()
    for first in range(START, NOW, width):
        starts = [first + width * number // count for number in range(count)]
        named = b"".join(NAMED.pack(start, chance.randbytes(HELD_BYTES - 2) + bytes(2)) for start in starts)
        ids = tuple(f"{start // SECOND}.{number % 100:02}" for number, start in enumerate(starts))
        cells.append(Cell(first, first + width, NOW, b"", named, ids))
    return Tail(TailPlace(START, NOW, tuple(cells)), LOOKBACK)


def batch(count: int, at: int) -> list[CallRecord]:
    """Return a batch of records that start at a time."""
    start = EPOCH + timedelta(microseconds=at)
    return [CallRecord(f"{at}-{number}", start + timedelta(milliseconds=number), 60, 50) for number in range(count)]


def run(records: int) -> None:
    """Measure the steps of a follow with so many records."""
    print(f"{records:,} records in lookback")
    tail, start = tail_of(records), datetime(1970, 1, 1, tzinfo=UTC)

    def checkpoint() -> FollowCheckpoint:
        return FollowCheckpoint(start, tail.place())

    measured("plan of a poll", lambda: tail.plan(NOW + 30 * SECOND, 30))
    tail.begin(Range(START, NOW + 30 * SECOND), NOW + 30 * SECOND)
    steps, longest, before = tail.index(), 0.0, time.perf_counter()
    for _ in steps:
        longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
    print(f"  {'index after a start, the longest step':42}{1000 * longest:9.1f} ms")
    measured("checkpoint", checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        with CheckpointFile(path) as file:
            measured("store the first checkpoint", lambda: file.store(checkpoint()))
            size = path.stat().st_size
            print(f"  {'':42}{size:9,} bytes")
            for count in (0, 10, 1000):
                rows = batch(count, NOW - (count + 1) * SECOND)
                measured(f"new of a batch of {count}", partial(tail.found, rows, Range(NOW, NOW)))
                for row in rows:
                    tail.record(row)
                measured(f"store the checkpoint behind a batch of {count}", lambda: file.store(checkpoint()))
                print(f"  {'':42}{path.stat().st_size - size:9,} bytes")
                size = path.stat().st_size
        with measured("open the file in another process", lambda: CheckpointFile(path)) as file:
            resumed = file.checkpoint
    if resumed != checkpoint() or Checkpoint.from_json(checkpoint().to_json()) != resumed:
        raise AssertionError("the file holds another checkpoint")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000])
    for records in parser.parse_args().records:
        run(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
