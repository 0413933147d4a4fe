"""The ground that a follow goes over, without a server and without a clock."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord, Checkpoint
from unlimcall_async.cdrs.follow_checkpoint import Cell, FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.legs import contents_of
from unlimcall_async.cdrs.marks import key_of
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, to_micros

pytestmark = pytest.mark.own_rules

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
                self.tail.settled = piece.end
                for each in self.tail.found(self.rows(piece, now), piece):
                    if most is not None and len(came) >= most:
                        return came
                    if not isinstance(each, CallRecord):
                        self.tail.settle(each, handed_out=False)
                        continue
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


# What distinguishes the legs of a call, and what may change of them: each field changes for itself, at any time.
IDENTITIES = ("src", "dst", "duration", "sip_username", "did", "billsec", "disposition")
RATED = ("sell_price_cents", "currency", "country", "disposition")


def leg(number: int, identity: str) -> CallRecord:
    """Return a leg. All legs share start and id, and one field distinguishes them."""
    value: Any = number if identity in {"duration", "billsec"} else f"leg {number}"
    return evolve(record(START, number=1, src="+1"), **{identity: value})


def rated(each: CallRecord, name: str, value: int) -> CallRecord:
    new: Any = value if name == "sell_price_cents" else f"{value}"
    return evolve(each, **{name: new})


@pytest.mark.parametrize(("identity", "name"), [(i, name) for i in IDENTITIES for name in RATED if i != name])
def test_a_leg_that_was_rated_is_told_from_one_that_came_beside_it(identity: str, name: str) -> None:
    for first, second in permutations([leg(number, identity) for number in range(5)], 2):
        world = ground((START, first))
        assert world.poll(START + MINUTE) == [first]
        world.written = [(START, rated(first, name, 7)), (START, second)]
        assert world.poll(START + 2 * MINUTE) == [second]


@given(
    st.sampled_from(IDENTITIES),
    st.lists(st.integers(0, 5), min_size=2, max_size=6),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5), st.sampled_from(RATED), st.integers(0, 3)), min_size=5),
    st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
def test_legs_that_come_late_and_are_rated_again_come_once(
    identity: str, legs: list[int], ratings: list[tuple[int, int, str, int]], crashes: list[int]
) -> None:
    """Each leg shows before some poll, and is rated before others. The follow dies after some, or amid them."""
    held = {number: leg(number, identity) for number in range(len(legs))}
    world, got = ground(), list[object]()
    for poll in range(7):
        for _, number, name, value in [rating for rating in ratings if rating[0] == poll]:
            if number in held and name != identity:
                held[number] = rated(held[number], name, value)
        world.written = [(START, each) for number, each in held.items() if legs[number] <= poll]
        crash = crashes[poll] if poll < 6 else 3
        came = world.poll(START + (poll + 1) * MINUTE, most=crash if crash < 3 else None)
        got += [getattr(each, identity) for each in came]
        if crash < 3:
            world.tail = told_again(world.tail)
    assert Counter(got) == Counter(getattr(each, identity) for each in held.values())


def test_a_leg_of_an_earlier_release_is_known_by_all_its_fields() -> None:
    first, second = record(START, 7, src="first"), record(START, 7, src="second")
    world = ground((START, first), (START + MINUTE, second))
    world.poll(START + MILLISECOND)
    place = world.tail.place()
    (cell,) = place.cells
    old = key_of(first) + bytes(8) + contents_of(first)[8:10]
    world.tail = Tail(evolve(place, cells=(evolve(cell, seen=old, named=b"", ids=()),)), LOOKBACK)
    assert world.poll(START + 2 * MINUTE) == [second]


def test_a_row_that_vanishes_and_comes_back_is_not_new() -> None:
    first, second, third = (record(START, 7, src=name) for name in ("first", "second", "third"))
    world = ground((START, first), (START, second))
    assert world.poll(START + MILLISECOND) == [first, second]
    for written, new in [([second], []), ([second, third], [third]), ([first, second, third], [])]:
        world.written = [(START, each) for each in written]
        assert world.poll(world.tail.edge + MILLISECOND) == new


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
    tail, now = Tail(TailPlace(START, START, holes=holes), LOOKBACK), START + 70 * MINUTE
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
    tail = Tail(TailPlace(START, START, holes=(later, within)), LOOKBACK)
    assert tail.begin(Range(later.start, now), now) == [Range(later.end, now)]


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    world = ground((START + 50 * MINUTE, record(START + 40 * MINUTE)))
    world.poll(START + 45 * MINUTE)
    world.poll(START + 42 * MINUTE)
    world.poll(START + 70 * MINUTE)
    assert len(world.got) == 1


@pytest.mark.slow
@given(st.integers(0, 10**6), st.lists(moments(40 * MINUTE) | st.sampled_from([0, MINUTE, 1440 * MINUTE]), min_size=1))
def test_another_lookback_goes_on_from_a_stored_place(seed: int, lookbacks: list[int]) -> None:
    chance = random.Random(seed)
    starts = sorted(START + chance.randrange(100 * 60_000) * MILLISECOND for _ in range(50))
    world = ground(*((at, record(at, number=number)) for number, at in enumerate(starts)))
    for number, now in enumerate(range(START, START + 100 * MINUTE, 9 * MINUTE)):
        world.poll(now, chance.choice([None, 2]))
        world.tail = told_again(world.tail, lookbacks[number % len(lookbacks)])
        assert len(world.tail.place().cells) <= 3 * 24
    world.poll(START + 200 * MINUTE)
    assert Counter(each.id for each in world.got) == Counter(f"{number}" for number in range(50))


def of_narrow_cells(count: int) -> Tail:
    """Return the tail that an earlier release left of a follow with a lookback of a minute, and then of a day."""
    width = 2500 * MILLISECOND
    cells = [
        Cell(START + at * width, START + (at + 1) * width, START + MINUTE + at * MILLISECOND, bytes(18 * (at % 2)))
        for at in range(count)
    ]
    end = cells[-1].end
    return Tail(TailPlace(START, end, tuple(cells)), 1440 * MINUTE)


def test_narrow_cells_are_put_together_once() -> None:
    tail = of_narrow_cells(34_560)
    cells = tail.place().cells
    assert (len(cells), tail.held) == (24, 17_280)
    assert (cells[0].start, cells[0].asked_at, len(cells[0].seen)) == (START, START + MINUTE, 720 * 18)
    assert tail.known_until == START + MINUTE
    assert told_again(tail, 1440 * MINUTE).place() == tail.place()


def test_wide_cells_are_not_divided_and_close_in_their_turn() -> None:
    world = ground(*((START + at, record(START + at, number=at)) for at in range(0, 60 * MINUTE, MINUTE)))
    world.tail = told_again(world.tail, 1440 * MINUTE)
    world.poll(START + 90 * MINUTE)
    world.tail = told_again(world.tail, MINUTE)
    assert {cell.end - cell.start for cell in world.tail.place().cells} == {60 * MINUTE}
    world.written.append((START + 90 * MINUTE, record(START + 30 * MINUTE, number=-1)))
    assert len(world.poll(START + 91 * MINUTE)) == 0  # a lookback of a minute has closed the first hour
    world.poll(START + 150 * MINUTE)
    assert {cell.end - cell.start for cell in world.tail.place().cells} == {2500 * MILLISECOND}


def test_the_lateness_of_records_is_known_where_they_were_not_before() -> None:
    world = ground((START, record(START)))
    world.poll(START + 10 * MINUTE)
    assert world.tail.lateness.count == 0  # the first poll over this time
    world.written += [(START + 20 * MINUTE, record(START + 4 * MINUTE, 1)), (START, record(START + 25 * MINUTE, 2))]
    world.poll(START + 30 * MINUTE)
    assert (world.tail.lateness.count, world.tail.lateness.latest) == (1, 6 * MINUTE)
    world.tail = told_again(world.tail)
    world.written.append((START, record(START + 29 * MINUTE, 3)))
    world.poll(START + 31 * MINUTE)
    assert (world.tail.lateness.count, world.tail.lateness.latest) == (1, MINUTE)
