"""What a follow with a million records in its lookback does in one step: no step holds the event loop up for long."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from attrs import evolve

from tests.cdrs.simulated import record
from unlimcall_async import CheckpointJournal
from unlimcall_async.cdrs.follow_checkpoint import HELD_BYTES, MARK_BYTES, NAMED, Cell, FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.marks import Removed
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import SECOND, Range

pytestmark = pytest.mark.own_rules

MINUTE = 60 * SECOND
START, LOOKBACK = 1_000_000 * MINUTE, 120 * MINUTE
NOW = START + LOOKBACK
RECORDS = 1_000_000
ALL = Range(START, NOW + MINUTE)


@contextmanager
def at_once(limit: float = 0.15) -> Iterator[None]:
    """Check that a step takes no more seconds of the processor: a loop over a million records takes several times as many."""
    before = time.process_time()
    yield
    assert time.process_time() - before < limit


def place_of_a_million(cells: int) -> TailPlace:
    chance, width = random.Random(1), LOOKBACK // cells
    seen = [chance.randbytes(RECORDS // cells * MARK_BYTES) for _ in range(cells)]
    made = [Cell(START + at * width, START + (at + 1) * width, NOW - SECOND, marks) for at, marks in enumerate(seen)]
    return TailPlace(START, NOW, tuple(made))


def named(place: TailPlace) -> TailPlace:
    """Return the place of a follow that knows the names of its records."""
    cells = list[Cell]()
    for cell in place.cells:
        count = len(cell.seen) // MARK_BYTES
        starts = range(cell.start, cell.end, (cell.end - cell.start) // count)
        marks = b"".join(NAMED.pack(start, bytes(HELD_BYTES)) for start in starts[:count])
        cells.append(evolve(cell, seen=b"", named=marks, ids=tuple(f"1747852442.{number}" for number in range(count))))
    return evolve(place, cells=tuple(cells))


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "names"), [(1, False), (25, False), (25, True)])
def test_no_step_with_a_million_records_takes_long(cells: int, names: bool) -> None:
    place = named(place_of_a_million(cells)) if names else place_of_a_million(cells)
    with at_once():
        tail = Tail(place, LOOKBACK)
    with at_once():
        wanted = tail.plan(NOW + MINUTE, 30)[-1]
    tail.begin(ALL, NOW + MINUTE)
    steps = tail.index()
    ended = False
    while not ended:
        with at_once(0.25):  # a dict of half a million keys that grows takes some 50 ms
            ended = next(steps, "ended") is not None
    # A collection looks at each name once, which is no step of the follow.
    gc.collect()
    rows = [record(START + number, number=number) for number in range(1000)]
    with at_once():
        found = tail.found(rows, Range(START, START))
    assert found == rows
    with at_once():
        for row in rows:
            tail.record(row)
    with at_once():
        for _ in range(1000):
            assert (tail.held, tail.known_until > START) == (RECORDS + 1000, True)
    with at_once():
        tail.place()
    before = tail.place().cells
    tail.record(record(START + 2000, number=2000))
    assert sum(new.named is not old.named for new, old in zip(tail.place().cells, before, strict=True)) == 1
    assert wanted.end == NOW + MINUTE
    with at_once():
        gone = tail.found([], Range(START + 4 * MINUTE, START + 4 * MINUTE + SECOND))
    assert bool(gone) == names
    for removed in gone[:1]:
        assert isinstance(removed, Removed)
        with at_once():
            tail.settle(removed, handed_out=True)
        with at_once():
            assert tail.place() != place


@pytest.mark.slow
def test_what_is_stored_for_a_batch_takes_as_long_as_the_batch() -> None:
    tail = Tail(place_of_a_million(25), LOOKBACK)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    journal = CheckpointJournal()
    with journal.storing(FollowCheckpoint(start, tail.place())) as base:
        assert len(base.text) > RECORDS * 24
    tail.begin(ALL, NOW + MINUTE)
    tail.record(record(START + SECOND))
    with at_once(), journal.storing(FollowCheckpoint(start, tail.place())) as entry:
        assert len(entry.text) < 1000
