"""The ground that a follow goes over, without a server and without a clock."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord, Checkpoint
from unlimcall_async.cdrs.checkpoint import FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, to_micros

MINUTE = 60 * SECOND
LOOKBACK = 24 * MINUTE
START = 1_000 * MINUTE


def start_of(each: CallRecord) -> int:
    return to_micros(each.start_time)


def told_again(tail: Tail, lookback: int = LOOKBACK) -> Tail:
    """Go on in another process."""
    checkpoint = Checkpoint.from_json(FollowCheckpoint(datetime(1970, 1, 1, tzinfo=UTC), tail.place()).to_json())
    assert isinstance(checkpoint, FollowCheckpoint)
    return Tail(checkpoint.place, lookback)


@define
class Ground:
    """Records with the time at which each appears, and what a follower has of them."""

    written: list[tuple[int, CallRecord]]
    tail: Tail
    got: list[CallRecord] = field(factory=list)

    def rows(self, wanted: Range, now: int) -> list[CallRecord]:
        held = [each for at, each in self.written if at <= now and wanted.start <= start_of(each) < wanted.end]
        return in_output_order(held, newest_first=False)

    def poll(self, now: int, budget: int | None = None, *, most: int | None = None) -> list[CallRecord]:
        """Ask what is due, and hand out all that is new, or stop after so many records."""
        came: list[CallRecord] = []
        for wanted in self.tail.plan(now, budget):
            for piece in self.tail.begin(wanted, now):
                for each in self.tail.fresh(self.rows(piece, now)):
                    if most is not None and len(came) >= most:
                        return came
                    self.tail.record(each)
                    self.got.append(each)
                    came.append(each)
                self.tail.reached(piece.end)
            self.tail.reached(wanted.end)
        return came


def ground(*written: tuple[int, CallRecord]) -> Ground:
    return Ground(list(written), Tail.from_start(START, LOOKBACK))


def moments(most: int, least: int = 0) -> st.SearchStrategy[int]:
    """Whole milliseconds, as all times of a tail are."""
    return st.integers(least, most // MILLISECOND).map(lambda millis: millis * MILLISECOND)


late_records = st.lists(
    st.tuples(moments(300 * MINUTE), moments(LOOKBACK) | st.sampled_from([0, LOOKBACK]), st.integers(1, 3)),
    max_size=40,
)
polls = st.lists(
    st.tuples(moments(20 * MINUTE, 1) | moments(200 * MINUTE, 1), st.none() | st.integers(2, 5), st.integers(0, 6)),
    max_size=40,
)


@given(late_records, polls, st.integers(1, 60))
def test_every_record_comes_once_however_late_and_whenever_the_follower_dies(
    records: list[tuple[int, int, int]], polls: list[tuple[int, int | None, int]], crowd: int
) -> None:
    written = [
        (START + at + late, record(START + at, number=legs % 2, src=f"{number} {leg}"))
        for number, (at, late, legs) in enumerate(records * crowd)
        for leg in range(legs)
    ]
    world, now = ground(*written), START
    for pause, budget, crash in polls:
        now += pause
        came = world.poll(now, budget, most=crash if crash < 6 else None)
        if budget is None:
            assert came == in_output_order(came, newest_first=False)
        open_records = sum(start_of(each) >= world.tail.frontier - LOOKBACK / 24 for each in world.got)
        assert world.tail.held <= open_records
        if crash < 6:
            world.tail = told_again(world.tail)
    end = max([now, *(at for at, _ in written)]) + LOOKBACK
    world.poll(end)
    assert Counter(each.src for each in world.got) == Counter(each.src for _, each in written)


def test_every_cell_has_its_turn_in_a_crowd() -> None:
    crowd = [(START + at, record(START + at, number=at)) for at in range(0, 20 * MINUTE, 100 * MILLISECOND)]
    world = ground(*crowd)
    now = START + 20 * MINUTE
    world.poll(now)
    late = record(START + 5 * MINUTE, number=-1)
    world.written.append((now, late))
    for number in range(1, 12):
        came = world.poll(now + number * MILLISECOND, 6)
        if late in came:
            break
        assert 1 <= len(world.tail.plan(now + number * MILLISECOND, 6)) <= 2
    assert late in world.got
    assert number > 1  # else nothing had to wait, and this test shows nothing
    assert world.tail.known_until >= now


def test_a_poll_in_a_crowd_keeps_to_its_budget_and_half_of_it_for_the_newest() -> None:
    world = ground(*((START + at, record(START + at, number=at)) for at in range(0, 20 * MINUTE, 100 * MILLISECOND)))
    now, budget = START + 20 * MINUTE, 12
    world.poll(now)
    older, newest = world.tail.plan(now + 1, budget)
    pages = budget / 2  # each page that is expected costs two requests, where the server does not sort
    assert 0 < len(world.rows(newest, now)) <= pages / 2 * 900
    assert 0 < len(world.rows(older, now)) + len(world.rows(newest, now)) <= pages * 900


def test_a_poll_takes_all_that_is_open_where_that_is_little() -> None:
    world = ground((START, record(START)))
    assert world.tail.plan(START, 2) == []
    for minutes in (10, 100):
        now = START + minutes * MINUTE
        world.poll(now)
        (wanted,) = world.tail.plan(now + MINUTE, 2)
        # It reaches back a lookback from the last poll, and at most a cell more.
        assert max(START, now - LOOKBACK - MINUTE) <= wanted.start <= max(START, now - LOOKBACK)
        assert wanted.end == now + MINUTE
    assert world.tail.held == 0


def test_what_can_get_no_more_is_not_kept() -> None:
    world = ground(*((START + at, record(START + at, number=at)) for at in range(0, 900 * MINUTE, SECOND)))
    world.poll(START + 1000 * MINUTE, most=30_000)
    assert world.tail.held <= 60 + 1  # a cell
    assert world.tail.frontier == START + 30_000 // 60 * MINUTE - MINUTE
    assert len(told_again(world.tail).place().cells) == 1


def test_a_leg_that_comes_later_is_told_from_the_one_that_came() -> None:
    first, second = record(START, 7, src="first"), record(START, 7, src="second")
    for legs in ([first, second], [second, first]):
        world = ground((START, legs[0]), (START + 2 * MILLISECOND, legs[1]))
        assert world.poll(START + MILLISECOND) == legs[:1]
        assert world.poll(START + 3 * MILLISECOND) == legs[1:]
        assert world.poll(START + 4 * MILLISECOND) == []


def test_legs_that_are_alike_are_counted() -> None:
    world = ground(
        (START, record(START, 7)),
        (START + 2 * MILLISECOND, record(START, 7)),
        (START + 2 * MILLISECOND, record(START, 7)),
    )
    assert [len(world.poll(START + after * MILLISECOND)) for after in (1, 3, 5)] == [1, 2, 0]


def test_a_record_that_is_changed_later_does_not_come_again() -> None:
    world = ground((START, record(START, 7)))
    world.poll(START + MILLISECOND)
    world.written = [(at, evolve(each, sell_price_cents=34)) for at, each in world.written]
    assert world.poll(START + 2 * MILLISECOND) == []
    world.written.append((START + 3 * MILLISECOND, record(START, 7, src="a second leg")))
    assert len(world.poll(START + 4 * MILLISECOND)) == 1


def test_a_hole_is_not_asked_and_holds_nothing_up() -> None:
    records = [(START + at, record(START + at, number=at)) for at in range(0, 60 * MINUTE, MINUTE)]
    world = ground(*records)
    world.poll(START + 5 * MINUTE + MILLISECOND)
    hole = Range(START + 2 * MINUTE, START + 10 * MINUTE)
    world.tail = told_again(Tail(world.tail.without(hole), LOOKBACK))
    now = START + 60 * MINUTE
    (wanted,) = world.tail.plan(now, None)
    assert world.tail.begin(wanted, now) == [Range(wanted.start, hole.start), Range(hole.end, now)]
    world.poll(now)
    assert len(world.got) == 60 - 4  # of the eight in the hole, four had come before
    assert world.tail.holes == []
    world.poll(now + 1)
    assert world.tail.edge == now + 1


def test_a_hole_hides_nothing_that_lies_beside_it() -> None:
    holes = Range(START + 50 * MINUTE, START + 60 * MINUTE), Range(START + 5 * MINUTE, START + 10 * MINUTE)
    tail, now = Tail(TailPlace(MINUTE, START, START, holes=holes), LOOKBACK), START + 70 * MINUTE
    later, sooner = holes
    # A poll may ask for an older slice alone: the hole behind it must not swallow the slice.
    assert tail.begin(Range(START, sooner.start), now) == [Range(START, sooner.start)]
    assert tail.begin(Range(sooner.end, later.start), now) == [Range(sooner.end, later.start)]
    assert tail.begin(Range(START, now), now) == [
        Range(START, sooner.start),
        Range(sooner.end, later.start),
        Range(later.end, now),
    ]
    within = Range(later.start + MINUTE, later.start + 2 * MINUTE)
    tail = Tail(TailPlace(MINUTE, START, START, holes=(later, within)), LOOKBACK)
    assert tail.begin(Range(later.start, now), now) == [Range(later.end, now)]


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    world = ground((START + 50 * MINUTE, record(START + 40 * MINUTE)))
    world.poll(START + 45 * MINUTE)
    world.poll(START + 42 * MINUTE)
    world.poll(START + 70 * MINUTE)
    assert len(world.got) == 1


@given(st.integers(0, 10**6), st.integers(0, 40))
def test_another_lookback_goes_on_from_a_stored_place(seed: int, minutes: int) -> None:
    chance = random.Random(seed)
    starts = sorted(START + chance.randrange(100 * 60_000) * MILLISECOND for _ in range(50))
    world = ground(*((at, record(at, number=number)) for number, at in enumerate(starts)))
    for now in range(START, START + 100 * MINUTE, 9 * MINUTE):
        world.poll(now)
        world.tail = told_again(world.tail, minutes * MINUTE)
    world.poll(START + 200 * MINUTE)
    assert len(world.got) == 50
