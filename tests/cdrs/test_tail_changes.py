"""Which changes a tail finds, without a server and without a clock: a mirror that is kept by them stays like the API."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.changing import Held, Mirror, World
from unlimcall_async import CallRecord, Checkpoint
from unlimcall_async.cdrs.changes import change_of
from unlimcall_async.cdrs.follow_checkpoint import FollowCheckpoint
from unlimcall_async.cdrs.marks import Found
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range

MINUTE = 60 * SECOND
LOOKBACK = 24 * MINUTE
START = 1_000 * MINUTE
# A start of the follow that is far before all records.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_another_process(tail: Tail) -> Tail:
    checkpoint = Checkpoint.from_json(FollowCheckpoint(EPOCH, tail.place()).to_json())
    assert isinstance(checkpoint, FollowCheckpoint)
    return Tail(checkpoint.place, LOOKBACK)


@define
class Reader:
    """A follow over a world whose reader keeps a mirror, and is killed now and then.

    Attributes:
        world: The calls of the API.
        chance: Where choices come from.
        now: The time.
        tail: The tail of the follow.
        mirror: What the reader has.
    """

    world: World
    chance: random.Random
    now: int = START
    tail: Tail = field(factory=lambda: Tail.from_start(START, LOOKBACK))
    mirror: Mirror = field(factory=Mirror)
    # What was stored last: the mirror, and the tail of the process that goes on from there.
    _stored: tuple[Mirror, Tail] = field(factory=lambda: (Mirror(), Tail.from_start(START, LOOKBACK)))

    def store(self) -> None:
        self._stored = self.mirror.copy(), in_another_process(self.tail)

    def crash(self) -> None:
        self.mirror, self.tail = self._stored
        self.store()

    def poll(self, most: int, *, tells: bool) -> bool:
        """Poll, and take so many changes at most. Return whether the poll came to its end."""
        held = self.world.held()
        for wanted in self.tail.ranges(self.now, None):
            for at in held.doubtful:
                self.tail.doubt(Range(at, at + 1))
            for within in self._pieces(wanted):
                rows = [call.record for call in self.world.calls if call.readable and within.holds(call.name[0])]
                for found in self.tail.found(in_output_order(rows, newest_first=False), within, owed=tells):
                    if not most:
                        return False
                    most -= 1
                    self._take(found, held, tells=tells)
                self.tail.reached(within.end)
        return True

    def _take(self, found: Found, held: Held, *, tells: bool) -> None:
        if isinstance(found, CallRecord):
            self.tail.record(found)
        else:
            self.tail.settle(found, handed_out=tells)
        if tells:
            self.mirror.apply(change_of(found), held)
        elif isinstance(found, CallRecord):
            self.mirror.add(found)
        if self.chance.random() < 0.1:
            self.store()

    def _pieces(self, wanted: Range) -> list[Range]:
        cuts = sorted({wanted.start, wanted.end, *(self.chance.randrange(wanted.start, wanted.end) for _ in range(3))})
        return [Range(first, last) for first, last in pairwise(cuts)]


@pytest.mark.slow
@given(st.integers(0, 10**9), st.integers(1, 60), st.booleans())
def test_a_reader_is_told_of_each_change_once_over_crashes_and_views(seed: int, polls: int, mixed: bool) -> None:
    chance = random.Random(seed)
    reader = Reader(World(chance, lambda: START), chance)
    reader.world.new_start = lambda: max(START, reader.now - chance.randrange(LOOKBACK // MILLISECOND) * MILLISECOND)
    for number in range(polls + 1):
        reader.now += chance.choice((1, 30, 200)) * SECOND
        for _ in range(chance.randrange(8)):
            reader.world.change()
        is_last = number == polls
        most = 10**6 if is_last or chance.random() < 0.6 else chance.randrange(8)
        tells = is_last or not mixed or chance.random() < 0.5
        asked = Range(reader.tail.frontier, reader.now)
        if reader.poll(most, tells=tells) and tells:
            reader.mirror.compare(reader.world.held(), asked.holds)
        if chance.random() < 0.2:
            reader.crash()
