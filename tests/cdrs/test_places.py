"""Places behind records and behind bad rows, and the rows that lie before them, case by case."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from msgspec.structs import replace

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint, UnplacedMark
from unlimcall_async.cdrs.legs import digest, leg_of
from unlimcall_async.cdrs.output import Output
from unlimcall_async.cdrs.output_order import (
    Sortedness,
    bad_rows_last,
    changes_of,
    handed_out_first,
    in_output_order,
    place_behind,
    place_behind_bad_row,
    sort_ties,
    sortedness_of,
)
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.rows import BadRow, Row, UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, to_datetime
from unlimcall_async.cdrs.unreadable import UnreadableRows

pytestmark = pytest.mark.own_rules


def bad(at: int, text: str = "x") -> BadRow:
    return BadRow(
        where="",
        reason="",
        body=text.encode(),
        window=Window(0, 9),
        before=0,
        start_time=to_datetime(at),
    )


def unplaced(text: str = "?") -> UnplacedRow:
    return UnplacedRow(where="", reason="", body=text.encode(), window=Window(0, 9), before=0)


def leg(at: int, number: int = 0, *, seconds: int = 1) -> CallRecord:
    return record(at, number, billsec=seconds)


def legs_in_order(at: int, count: int) -> list[CallRecord]:
    """Return records that share start and id, in the order of the output."""
    return in_output_order([leg(at, seconds=seconds) for seconds in range(count)], newest_first=False)


# --- the order --------------------------------------------------------------------------------------------------------


def test_legs_are_ordered_by_their_digests_and_equal_ones_by_their_other_fields() -> None:
    legs = [record(0, extra=extra) for extra in ({}, {"a": 1, "b": 2}, {"a": 2}, {"b": 0})]
    assert in_output_order(legs[::-1], newest_first=False) == legs[1:] + legs[:1]
    assert in_output_order([record(0, extra={"b": 2, "a": 1}), legs[2]], newest_first=False)[1] == legs[2]
    others = [leg(0, seconds=seconds) for seconds in range(5)]
    assert in_output_order(others, newest_first=False) == sorted(others, key=digest)


def test_ties_are_sorted_in_place_by_id_and_bad_rows_by_their_text() -> None:
    rows: list[Row] = [leg(0, 5), leg(1, 9), bad(1, "b"), leg(1, 1), bad(1, "a"), leg(2, 0)]
    expected = sorted(rows[1:5], key=lambda row: row.id)
    sort_ties(rows, changes_of([row.start_time for row in rows]))
    assert rows == [leg(0, 5), *expected, leg(2, 0)]
    same: list[Row] = [bad(0), bad(0)]
    sort_ties(same, bytes([0]))
    assert same == [bad(0), bad(0)]


def test_bad_rows_stand_behind_the_records_of_their_instant() -> None:
    rows: list[Row] = [bad(0), leg(0), bad(0, "y"), leg(0, 1), bad(1), leg(2), bad(2)]
    assert bad_rows_last(rows) == [leg(0), leg(0, 1), bad(0), bad(0, "y"), bad(1), leg(2), bad(2)]


@pytest.mark.parametrize(
    ("starts", "ascending", "descending", "changes"),
    [
        ([], True, True, []),
        ([3], True, True, []),
        ([3, 3], True, True, [0]),
        ([1, 2, 2, 3], True, False, [1, 0, 1]),
        ([3, 2, 2, 2, 1], False, True, [1, 0, 0, 1]),
        ([3, 1, 1], False, True, [0, 1]),
        ([1, 3, 2], False, False, [1, 1]),
        ([2, 3, 1, 1], False, False, [0, 1, 1]),
        ([1, 0, 0, 1], False, False, [0, 1, 0]),
    ],
)
def test_how_the_starts_of_a_page_follow_each_other(
    starts: list[int], ascending: bool, descending: bool, changes: list[int]
) -> None:
    found = sortedness_of([to_datetime(at) for at in starts])
    assert found == Sortedness(ascending, descending, [to_datetime(at) for at in sorted(starts)], bytes(changes))


# --- a place ----------------------------------------------------------------------------------------------------------


def test_a_place_behind_a_record_has_the_legs_before_it() -> None:
    one, two, three = legs_in_order(5, 3)
    records = [leg(4), one, two, three]
    assert place_behind(records, 1) == Place(4, "0", digest(leg(4)), 1, (leg_of(leg(4)).hex(),))
    assert place_behind(records, 3) == Place(5, "0", digest(two), 1, (leg_of(one).hex(), leg_of(two).hex()))
    twice = place_behind([one, one, two], 2)
    assert twice == Place(5, "0", digest(one), 2, (leg_of(one).hex(),) * 2)
    others = [leg(5, 1), leg(5, 2)]
    assert place_behind(others, 2) == Place(5, "2", digest(others[1]), 1, (leg_of(others[1]).hex(),))


def test_a_place_behind_a_bad_row_counts_those_with_its_text() -> None:
    row, edge = bad(5), Place(5)
    first = place_behind_bad_row(row, edge)
    assert first == Place(5, None, row.digest, 1)
    second = place_behind_bad_row(row, first)
    assert second == Place(5, None, row.digest, 2)
    assert place_behind_bad_row(row, second) == Place(5, None, row.digest, 3)
    assert place_behind_bad_row(bad(5, "y"), second) == Place(5, None, bad(5, "y").digest, 1)
    assert place_behind_bad_row(bad(6), second) == Place(6, None, row.digest, 1)
    assert place_behind_bad_row(row, Place(5, "0", row.digest, 4)) == first


ROWS: list[Row] = [leg(4), leg(5, 1), leg(5, 2), leg(5, 3), bad(5, "a"), bad(5, "b"), leg(6), bad(6)]
NEWEST: list[Row] = [leg(6), bad(6), leg(5, 3), leg(5, 2), leg(5, 1), bad(5, "b"), bad(5, "a"), leg(4)]
A, B = sorted([bad(5, "a"), bad(5, "b")], key=lambda row: row.digest)


@pytest.mark.parametrize(
    ("place", "before", "before_newest"),
    [
        (Place(4), 0, 8),
        (Place(5), 1, 7),
        (Place(6), 6, 2),
        (Place(7), 8, 0),
        (place_behind([leg(5, 2)], 1), 3, 4),
        (place_behind([leg(5, 0)], 1), 1, 5),
        (place_behind([leg(5, 4)], 1), 4, 2),
        (place_behind([leg(6)], 1), 7, 1),
        (Place(5, None, A.digest, 1), 5, 7),
        (Place(5, None, B.digest, 1), 6, 6),
        (Place(6, None, bad(6).digest, 1), 8, 2),
    ],
)
def test_a_place_lies_behind_the_rows_that_were_handed_out(place: Place, before: int, before_newest: int) -> None:
    rows = [*ROWS[:4], A, B, *ROWS[6:]]
    newest = [*NEWEST[:5], B, A, NEWEST[7]]
    assert handed_out_first(rows, place, newest_first=False) == (rows, before)
    assert handed_out_first(newest, place, newest_first=True) == (newest, before_newest)


def test_legs_that_were_handed_out_stand_first_although_they_have_changed() -> None:
    one, two, three = legs_in_order(5, 3)
    place = place_behind([one, two], 1)
    assert handed_out_first([leg(4), two, one, three, leg(6)], place, newest_first=False) == (
        [leg(4), one, two, three, leg(6)],
        2,
    )


def test_a_record_may_have_an_empty_id() -> None:
    rows = [leg(5, 1), replace(leg(5), id="")]
    assert handed_out_first(rows, place_behind(rows, 2), newest_first=True) == (rows, 2)
    assert handed_out_first(rows[::-1], place_behind(rows[::-1], 1), newest_first=False) == (rows[::-1], 1)


def test_a_place_of_an_earlier_release_counts_the_rows_up_to_its_digest() -> None:
    legs = legs_in_order(5, 3)
    middle = Place(5, "0", digest(legs[1]), 1)
    assert handed_out_first(legs, middle, newest_first=False) == (legs, 2)
    assert handed_out_first(legs[::-1], middle, newest_first=True) == (legs[::-1], 2)
    twice = [legs[0], legs[1], legs[1], legs[2]]
    assert handed_out_first(twice, middle, newest_first=False) == (twice, 2)
    assert handed_out_first(twice, Place(5, "0", digest(legs[1]), 2), newest_first=False) == (twice, 3)
    # A row has changed: not fewer count than were handed out, and not more than there are.
    assert handed_out_first(legs, Place(5, "0", "0" * 16, 2), newest_first=False) == (legs, 2)
    assert handed_out_first(legs, Place(5, "0", "0" * 16, 9), newest_first=False) == (legs, 3)


# --- parts with rows that cannot be read ------------------------------------------------------------------------------


def position_of(end: int, *, newest: bool = False, place: Place | None = None, handed_out: int = 0) -> Position:
    return Position(to_datetime(0), to_datetime(end), newest_first=newest, place=place, handed_out=handed_out)


def steps(position: Position) -> list[tuple[Sequence[CallRecord] | UnplacedRow, Place, int]]:
    """Read a part to its end. Return each run, and each row that cannot be read, with the place and the count behind it."""
    found = list[tuple[Sequence[CallRecord] | UnplacedRow, Place, int]]()
    while True:
        if position.left:
            assert position.unreadable is None
            found.append((position.batch(), position.place, position.handed_out))
        row = position.unreadable
        if row is None:
            return found
        behind = position.place_behind_unreadable
        position.pass_unreadable()
        found.append((row, behind, position.handed_out))


PART = Range(0, MILLISECOND)


def test_a_part_is_runs_of_records_with_a_row_that_cannot_be_read_behind_each() -> None:
    position, question = position_of(MILLISECOND), unplaced()
    position.enter_unreadable(PART, [bad(1), leg(1), leg(2), bad(2), bad(2), leg(3)], [question])
    one, two = place_behind([leg(1)], 1), place_behind([leg(2)], 1)
    three, end = place_behind([leg(3)], 1), Place(MILLISECOND)
    behind = Place(2, None, bad(2).digest, 1)
    assert steps(position) == [
        ([leg(1)], one, 1),
        (bad(1), Place(1, None, bad(1).digest, 1), 1),
        ([leg(2)], two, 2),
        (bad(2), behind, 2),
        (bad(2), Place(2, None, bad(2).digest, 2), 2),
        ([leg(3)], three, 3),
        (question, end, 3),
    ]
    assert position.place == end


def test_records_behind_the_last_row_that_cannot_be_read_end_at_the_end_of_the_part() -> None:
    position, questions = position_of(MILLISECOND), [unplaced("1"), unplaced("2")]
    position.enter_unreadable(PART, [bad(1), leg(2)], [])
    assert steps(position) == [(bad(1), Place(1, None, bad(1).digest, 1), 0), ([leg(2)], Place(MILLISECOND), 1)]
    position = position_of(MILLISECOND)
    position.enter_unreadable(PART, [], questions)
    assert steps(position) == [(questions[0], Place(0), 0), (questions[1], Place(MILLISECOND), 0)]


def test_with_the_newest_first_bad_rows_stand_behind_their_instant_too() -> None:
    position = position_of(MILLISECOND, newest=True)
    position.enter_unreadable(PART, [leg(1), bad(1), leg(2), bad(2)], [])
    found = [row for row, _, _ in steps(position)]
    assert found == [[leg(2)], bad(2), [leg(1)], bad(1)]
    assert position.place == Place(0)


@pytest.mark.parametrize(
    ("place", "rest", "handed_out"),
    [
        (place_behind([leg(2)], 1), [bad(2), [leg(3)], bad(3)], 7),
        (Place(2, None, bad(2).digest, 1), [[leg(3)], bad(3)], 7),
        (Place(1, None, bad(1).digest, 1), [[leg(2)], bad(2), [leg(3)], bad(3)], 7),
    ],
)
def test_a_stream_that_is_resumed_amid_such_a_part_goes_on_with_the_rest(
    place: Place, rest: list[object], handed_out: int
) -> None:
    position = position_of(MILLISECOND, place=place, handed_out=handed_out)
    position.enter_unreadable(PART, [leg(1), bad(1), leg(2), bad(2), leg(3), bad(3)], [])
    found = steps(position)
    assert [row for row, _, _ in found] == rest
    assert found[-1][2] == handed_out + sum(isinstance(row, list) for row in rest)


# Two milliseconds, between two others.
AMID = Range(MILLISECOND, 3 * MILLISECOND)


@pytest.mark.parametrize(("newest", "began", "ended"), [(False, MILLISECOND, 3), (True, 3 * MILLISECOND, 1)])
def test_as_long_as_a_row_without_a_start_is_ahead_the_place_tells_where_its_part_begins(
    newest: bool, began: int, ended: int
) -> None:
    rows: list[Row] = [leg(1600), leg(2500), bad(2500)]
    position = position_of(4 * MILLISECOND, newest=newest)
    position.enter_unreadable(AMID, rows, [unplaced("1"), unplaced("2")])
    places = list[Place]()
    while position.unreadable is not None or position.left:
        position.take(1) if position.left else position.pass_unreadable()
        places.append(position.place)
    assert places[-1] == Place(ended * MILLISECOND)
    # Of the part's first millisecond all is asked again in any case.
    assert [place.since for place in places[:-1]] == [
        None if place.at // MILLISECOND * MILLISECOND in {began, began - MILLISECOND} else began
        for place in places[:-1]
    ]
    assert any(place.since for place in places)


@pytest.mark.parametrize(("newest", "since"), [(False, 2 * MILLISECOND), (True, 9 * MILLISECOND)])
def test_before_its_first_part_a_stream_that_is_resumed_is_where_it_was(newest: bool, since: int) -> None:
    for place in (place_behind([leg(5500)], 1), evolve(place_behind([leg(5500)], 1), since=since)):
        position = position_of(10 * MILLISECOND, newest=newest, place=place)
        assert position.place == place
        position.enter(Range(2 * MILLISECOND, 9 * MILLISECOND), [leg(3500), leg(5500), leg(7500)])
        assert (position.place, position.left) == (evolve(place, since=None), 1)


def test_a_place_at_the_edge_of_a_part_is_behind_its_row_or_not() -> None:
    """Of all rows that start at an edge, those with the newest first lie before it."""
    for newest, part in ((False, Range(2000, 5000)), (True, Range(5000, 9000))):
        place = place_behind([leg(5000)], 1)
        position = position_of(10 * MILLISECOND, newest=newest, place=place)
        assert position.behind(part) == (Place(5000) if newest else place)


@pytest.mark.parametrize("newest", [False, True])
def test_behind_the_only_row_without_a_start_nothing_of_its_part_is_left(newest: bool) -> None:
    position = position_of(4 * MILLISECOND, newest=newest)
    position.enter_unreadable(AMID, [leg(1600), leg(2500)], [unplaced()])
    position.batch()
    assert position.place.since == (3 * MILLISECOND if newest else MILLISECOND)


@pytest.mark.parametrize("newest", [False, True])
def test_a_stream_that_is_resumed_amid_such_a_part_hands_out_its_row_without_a_start(newest: bool) -> None:
    place = evolve(place_behind([leg(5500)], 1), since=(9 if newest else 2) * MILLISECOND)
    parts = [Range(2000, 4000), Range(4000, 5000), Range(5000, 9000)]
    if newest:
        parts = [Range(7000, 9000), Range(6000, 7000), Range(2000, 6000)]
    records = [leg(at) for at in (2500, 3500, 4500, 5500, 6500, 7500, 8500)]
    held = [[row for row in records if part.holds(row.start_time.microsecond)] for part in parts]
    position = position_of(10 * MILLISECOND, newest=newest, place=place, handed_out=4)
    assert position.range_left == (Range(0, 9000) if newest else Range(2000, 10_000))
    edges = [part.start if newest else part.end for part in parts]
    # Another row is ahead: the place stays, and says what is left.
    position.enter_unreadable(parts[0], held[0], [unplaced("1"), unplaced("2")])
    assert position.place == place
    assert position.place_behind_unreadable == place
    position.pass_unreadable()
    assert position.place == place
    behind = evolve(place, since=edges[0])
    assert position.place_behind_unreadable == position.behind(parts[0]) == behind
    position.pass_unreadable()
    assert position.place == behind
    position.enter(parts[1], held[1])
    assert (position.left, position.place) == (0, evolve(place, since=None))
    assert position.handed_out == 4
    position.enter_unreadable(parts[2], held[2], [unplaced()])
    rest = [leg(4500), leg(3500), leg(2500)] if newest else [leg(6500), leg(7500), leg(8500)]
    assert steps(position)[0][0] == rest
    assert position.place == Place(edges[2])


@pytest.mark.parametrize("newest", [False, True])
def test_a_checkpoint_amid_such_a_part_knows_what_its_windows_show_again(newest: bool) -> None:
    # A row at an edge of a part of an hour, which its windows show, too.
    edge, hour = 3600 * SECOND, 3600 * SECOND
    shown = Window(edge - 2 * SECOND, edge + 2 * SECOND)
    part = Range(edge - hour, edge) if newest else Range(edge, edge + hour)
    unreadable = UnreadableRows(keep=True)
    assert unreadable.keep(evolve(unplaced("1"), window=shown))
    start, end = to_datetime(0), to_datetime(2 * hour)
    place = Place(edge)
    output = Output(start, end, unreadable, KnownServer(), newest_first=newest, place=place, limit=1000, manifest=None)
    records = [leg((part.start + part.end) // 2 + number * SECOND, number) for number in range(2)]
    output.enter_unreadable(part, records, [unplaced("2")], Basis(Window(part.start, part.end), 2, 2))
    output.position.take(1)
    checkpoint = output.checkpoint
    assert checkpoint.place.since == edge
    assert checkpoint.unplaced == (UnplacedMark(unplaced("1").digest, shown.start, shown.till),)
    assert StreamCheckpoint.from_json(checkpoint.to_json()) == checkpoint


def test_a_leg_that_comes_beside_the_last_one_is_handed_out_amid_rows_that_cannot_be_read() -> None:
    one, two = legs_in_order(2, 2)
    position = position_of(MILLISECOND, place=place_behind([one], 1))
    position.enter_unreadable(PART, [leg(1), one, two, bad(2)], [])
    assert position.run == [two]
    assert [row for row, _, _ in steps(position)] == [[two], bad(2)]


# --- how far a stream is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "place", "left", "left_newest"),
    [
        (1500, 4500, None, (1000, 5000), (1000, 5000)),
        (1500, 4500, Place(3000), (3000, 5000), (1000, 3000)),
        (1500, 4500, Place(4500), (5000, 5000), (1000, 5000)),
        (1500, 4500, Place(1500), (1000, 5000), (1000, 1000)),
        (1500, 4500, Place(3500), (3000, 5000), (1000, 4000)),
        (1500, 4500, Place(3500, "1", "0" * 16, 1), (3000, 5000), (1000, 4000)),
        (1500, 4500, Place(3000, "1", "0" * 16, 1), (3000, 5000), (1000, 4000)),
        (1500, 4500, Place(4500, "1", "0" * 16, 1), (4000, 5000), (1000, 5000)),
        (1500, 4500, Place(1500, "1", "0" * 16, 1), (1000, 5000), (1000, 2000)),
        (1500, 4500, Place(9000, "1", "0" * 16, 1), (5000, 5000), (1000, 5000)),
        (1500, 4500, Place(0, "1", "0" * 16, 1), (1000, 5000), (1000, 1000)),
        (1500, 4500, Place(3500, "1", "0" * 16, 1, since=2000), (2000, 5000), (1000, 2000)),
        (1500, 4500, Place(3500, "1", "0" * 16, 1, since=1000), (1000, 5000), (1000, 1000)),
        (1500, 4500, Place(3500, "1", "0" * 16, 1, since=5000), (5000, 5000), (1000, 5000)),
    ],
)
def test_the_range_that_is_left_begins_or_ends_at_the_place(
    start: int, end: int, place: Place | None, left: tuple[int, int], left_newest: tuple[int, int]
) -> None:
    for newest, expected in ((False, left), (True, left_newest)):
        position = Position(to_datetime(start), to_datetime(end), newest_first=newest, place=place)
        assert position.range_left == Range(*expected)


@pytest.mark.parametrize(("newest", "fraction"), [(False, 0.25), (True, 0.75)])
def test_the_fraction_is_the_share_of_the_range_behind(newest: bool, fraction: float) -> None:
    assert Position(to_datetime(1000), to_datetime(5000), newest_first=newest, place=Place(2000)).fraction == fraction
    assert Position(to_datetime(1000), to_datetime(1001), newest_first=newest, place=None).fraction == 0


def test_batches_and_single_records_count() -> None:
    position = position_of(MILLISECOND, handed_out=5)
    assert (position.handed_out, position.left, position.run, [*position.records()]) == (5, 0, [], [])
    records = [leg(at) for at in range(5)]
    position.enter(PART, records)
    assert (position.handed_out, position.left, position.place) == (5, 5, Place(0))
    assert next(position.records()) == leg(0)
    assert position.take(2) == [leg(1), leg(2)]
    assert (position.handed_out, position.left, position.run) == (8, 2, records)
    assert position.place == place_behind(records, 3)
    iterator = position.records()
    position.detach_iterator()
    assert (position.left, list(iterator)) == (2, [])
    assert position.take(2) == [leg(3), leg(4)]
    assert (position.handed_out, position.left, position.run, position.place) == (10, 0, [], Place(MILLISECOND))


def test_a_part_may_be_any_sequence_and_nothing_is_left_behind_its_batch() -> None:
    position, records = position_of(MILLISECOND), (leg(0), leg(1))
    position.enter(PART, records)
    assert position.batch() == [*records]
    assert [*position.records()] == []


def test_a_stream_that_is_resumed_amid_a_part_counts_the_rest_alone() -> None:
    records = [leg(at) for at in range(4)]
    position = position_of(MILLISECOND, place=place_behind(records, 2), handed_out=2)
    position.enter(PART, records)
    assert (position.handed_out, position.left, position.run) == (2, 2, records[2:])
    assert position.place == place_behind(records, 2)
    assert position.batch() == records[2:]
    assert (position.handed_out, position.place) == (4, Place(MILLISECOND))
