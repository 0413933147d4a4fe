"""What a follow with a million records in its lookback does in one step: no step holds the event loop up for long."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from tests.cdrs.simulated import record
from unlimcall_async import CheckpointJournal
from unlimcall_async.cdrs.follow_checkpoint import MARK_BYTES, Cell, FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import SECOND, Range

MINUTE = 60 * SECOND
START, LOOKBACK = 1_000_000 * MINUTE, 120 * MINUTE
NOW = START + LOOKBACK
RECORDS = 1_000_000
ALL = Range(START, NOW + MINUTE)


@contextmanager
def at_once(limit: float = 0.06) -> Iterator[None]:
    """Check that a step takes no more seconds of the processor: other processes do not count."""
    before = time.process_time()
    yield
    assert time.process_time() - before < limit


def place_of_a_million(cells: int) -> TailPlace:
    chance, width = random.Random(1), LOOKBACK // cells
    seen = [chance.randbytes(RECORDS // cells * MARK_BYTES) for _ in range(cells)]
    made = [Cell(START + at * width, START + (at + 1) * width, NOW - SECOND, marks) for at, marks in enumerate(seen)]
    return TailPlace(START, NOW, tuple(made))


@pytest.mark.parametrize("cells", [1, 25])
def test_no_step_with_a_million_records_takes_long(cells: int) -> None:
    place = place_of_a_million(cells)
    with at_once():
        tail = Tail(place, LOOKBACK)
    with at_once():
        wanted = tail.plan(NOW + MINUTE, 30)[-1]
    tail.begin(ALL, NOW + MINUTE)
    steps = tail.index()
    ended = False
    while not ended:
        with at_once(0.1):  # a dict of half a million keys that grows takes some 50 ms
            ended = next(steps, "ended") is not None
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
