"""A place in the output, from which a stream goes on with exactly the rest."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import expected, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.output_order import in_output_order, place_behind
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.times import MILLISECOND, Range, to_datetime, to_micros

pytestmark = pytest.mark.own_rules

# A dozen milliseconds. Records share milliseconds and instants, and some have the same id, or are the same.
instants = st.integers(0, 48).map(lambda quarter: quarter * MILLISECOND // 4)
records = st.lists(
    st.builds(
        lambda at, number, seconds: record(at, number, billsec=seconds), instants, st.integers(0, 2), st.integers(0, 1)
    ),
    max_size=15,
)


@frozen
class Stream:
    """A range of a server that holds these records, and how a reader goes through it."""

    held: list[CallRecord]
    wanted: Range
    newest: bool
    whole: list[CallRecord]

    def position(self, place: Place | None) -> Position:
        start, end = to_datetime(self.wanted.start), to_datetime(self.wanted.end)
        return Position(start, end, newest_first=self.newest, place=place)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Draw a stream. The ends of its range may cut a millisecond in two, and so have records on both sides."""
    held, newest = draw(records), draw(st.booleans())
    wanted = Range(*sorted((draw(instants), draw(instants))))
    return Stream(held, wanted, newest, expected(held, wanted, newest_first=newest))


def parts_of(left: Range, cuts: list[int], *, newest: bool) -> list[Range]:
    """Return the parts of a range in the order of the output, cut at some whole milliseconds."""
    edges = sorted({left.start, left.end, *(cut * MILLISECOND for cut in cuts if left.holds(cut * MILLISECOND))})
    parts = [Range(start, end) for start, end in pairwise(edges)]
    return parts[::-1] if newest else parts


def read(position: Position, stream: Stream, data: st.DataObject, most: int) -> list[CallRecord]:
    """Hand out at least `most` records if there are as many, in parts, batches and single records."""
    cuts = data.draw(st.lists(st.integers(0, 12), max_size=4))
    got: list[CallRecord] = []
    for part in parts_of(position.range_left, cuts, newest=stream.newest):
        # As a page gives them: all records of the part, also those that the ends of the range leave out.
        position.enter(part, expected(stream.held, part, newest_first=False))
        left = position.left
        singly = data.draw(st.integers(0, left))
        got += [next(position.records()) for _ in range(singly)]
        if singly < left and data.draw(st.booleans()):
            position.detach_iterator()
            assert position.left == left - singly
        if data.draw(st.booleans()):
            got += position.batch()
        elif position.left and len(got) >= most:
            break
        else:
            got += list(position.records())
        if len(got) >= most:
            break
    assert position.handed_out == len(got)
    return got


@given(streams(), st.data(), st.lists(st.integers(0, 6), max_size=4))
def test_resuming_goes_on_with_exactly_the_rest(stream: Stream, data: st.DataObject, stops: list[int]) -> None:
    got: list[CallRecord] = []
    place: Place | None = None
    for most in [*stops, 99]:
        position = stream.position(place)
        got += read(position, stream, data, most)
        place = position.place
        assert got == stream.whole[: len(got)]
    assert got == stream.whole


@given(streams(), st.data(), st.integers(0, 12), st.sets(st.integers(0, 14)), st.lists(st.integers(0, 14)))
def test_a_record_that_changes_before_the_stream_is_resumed_is_not_handed_out_again(
    stream: Stream, data: st.DataObject, most: int, rerated: set[int], more: list[int]
) -> None:
    """The legs of one call, told apart by what does not change: some of them get another price, and others appear."""
    position = stream.position(None)
    got = read(position, stream, data, most)
    held = [
        evolve(each, sell_price_cents=7, disposition="ANSWERED") if index in rerated else each
        for index, each in enumerate(stream.held)
    ]
    # Other legs of the record that was handed out last, if its instant is not done.
    amid = not position.place.is_edge
    legs = [evolve(got[-1], dst=f"leg {number}", billsec=number) for number in set(more)] if amid else []
    now = evolve(stream, held=held + legs)
    rest = read_all(now.position(position.place), now)
    assert Counter(map(call_of, got + rest)) == Counter(map(call_of, [*stream.whole, *legs]))
    assert rest == in_output_order(rest, newest_first=stream.newest)


def call_of(record: CallRecord) -> tuple[object, ...]:
    return record.start_time, record.id, record.billsec, record.dst


@pytest.mark.parametrize(("newest", "legs"), [*product([False, True], [1, 2, 3])])
def test_a_place_of_an_earlier_release_is_behind_as_many_records(newest: bool, legs: int) -> None:
    """An earlier release kept the digest of the last record alone."""
    held = [record(0, 1, billsec=leg) for leg in range(legs)]
    stream = Stream(held, Range(0, MILLISECOND), newest, expected(held, Range(0, MILLISECOND), newest_first=newest))
    for count in range(1, legs + 1):
        place = evolve(place_behind(stream.whole, count), legs=())
        assert read_all(stream.position(place), stream) == stream.whole[count:]
    rerated = Stream([evolve(held[0], sell_price_cents=7)], stream.wanted, newest, [])
    assert read_all(rerated.position(evolve(place_behind(held, 1), legs=())), rerated) == []


@given(streams(), st.data(), st.integers(0, 15))
def test_the_range_that_is_left_has_every_record_that_was_not_handed_out(
    stream: Stream, data: st.DataObject, most: int
) -> None:
    position = stream.position(None)
    got = read(position, stream, data, most)
    left = stream.position(position.place).range_left
    assert all(left.holds(to_micros(each.start_time)) for each in stream.whole[len(got) :])
    assert left.start % MILLISECOND == left.end % MILLISECOND == 0


@given(streams(), st.integers(0, 12), st.integers(0, 12))
def test_a_part_that_cannot_be_had_may_be_passed(stream: Stream, one: int, other: int) -> None:
    part = Range(*sorted((one * MILLISECOND, other * MILLISECOND)))
    position = stream.position(stream.position(None).behind(part))
    got = read_all(position, stream)
    beyond = [
        each
        for each in stream.whole
        if (to_micros(each.start_time) < part.start if stream.newest else to_micros(each.start_time) >= part.end)
    ]
    assert got == beyond


def read_all(position: Position, stream: Stream) -> list[CallRecord]:
    position.enter(position.range_left, expected(stream.held, position.range_left, newest_first=False))
    return position.batch()


@given(streams(), st.data())
def test_the_fraction_goes_from_none_to_all_of_the_range(stream: Stream, data: st.DataObject) -> None:
    position = stream.position(None)
    assert position.fraction == (0 if len(stream.wanted) else 1)
    read(position, stream, data, data.draw(st.integers(0, 15)))
    assert 0 <= position.fraction <= 1
    position = stream.position(position.place)
    read_all(position, stream)
    assert position.fraction == 1


@given(streams())
def test_only_records_of_the_range_are_within_it_in_the_order_of_the_output(stream: Stream) -> None:
    left = stream.position(None).range_left
    assert stream.position(None).within(left, expected(stream.held, left, newest_first=False)) == stream.whole


@pytest.mark.parametrize("newest", [False, True])
def test_a_range_that_cuts_milliseconds_in_two_has_its_start_and_not_its_end(newest: bool) -> None:
    rows = [record(at, 1) for at in (1249, 1250, 2249, 2250)]
    position = Position(to_datetime(1250), to_datetime(2250), newest_first=newest, place=None)
    assert [*position.within(position.range_left, rows)] == (rows[2:0:-1] if newest else rows[1:3])


@pytest.mark.parametrize("newest", [False, True])
def test_a_part_of_which_nothing_was_handed_out_leaves_the_place_before_it(newest: bool) -> None:
    held = [record(at * MILLISECOND, at) for at in range(4)]
    stream = Stream(held, Range(0, 4 * MILLISECOND), newest, held[::-1] if newest else held)
    first, second = parts_of(stream.wanted, [2], newest=newest)
    position = stream.position(None)
    position.enter(first, expected(held, first, newest_first=False))
    assert position.place == stream.position(None).place
    got = position.batch()
    position.enter(second, expected(held, second, newest_first=False))
    rest = stream.position(position.place)
    assert got + read_all(rest, stream) == stream.whole
