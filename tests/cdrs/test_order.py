"""The order of the output, and places in it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord, Checkpoint, CheckpointError
from unlimcall_async.cdrs.checkpoint import Cell, FollowCheckpoint, Place, StreamCheckpoint, TailPlace
from unlimcall_async.cdrs.instants import Range, moment_of
from unlimcall_async.cdrs.order import count_behind, in_order, place_behind

legs = st.builds(
    lambda millis, number, seconds, note: record(millis, number, billsec=seconds, extra={"note": note} if note else {}),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["", "a", "b"]),
)


@given(st.lists(legs), st.integers(0, 99), st.booleans())
def test_the_order_does_not_depend_on_the_servers(records: list[CallRecord], seed: int, newest: bool) -> None:
    shuffled = random.Random(seed).sample(records, len(records))
    ordered = in_order(shuffled, newest_first=newest)
    assert ordered == in_order(records, newest_first=newest)
    keys = [(each.start_time, each.id) for each in ordered]
    assert keys == sorted(keys, reverse=newest)
    assert ordered[::-1] == in_order(records, newest_first=not newest)


def test_ids_are_ordered_as_text() -> None:
    assert [each.id for each in in_order([record(0, 9), record(0, 10)], newest_first=False)] == ["10", "9"]


@given(st.lists(legs, min_size=1), st.data(), st.booleans())
def test_a_place_has_behind_it_what_was_handed_out(
    records: list[CallRecord], data: st.DataObject, newest: bool
) -> None:
    ordered = in_order(records, newest_first=newest)
    count = data.draw(st.integers(1, len(ordered)))
    assert count_behind(ordered, place_behind(ordered, count), newest_first=newest) == count


@given(st.lists(legs), st.integers(0, 4), st.booleans())
def test_an_edge_has_whole_instants_behind_it(records: list[CallRecord], millis: int, newest: bool) -> None:
    ordered = in_order(records, newest_first=newest)
    if newest:
        done = [each for each in ordered if each.start_time >= moment_of(millis)]
    else:
        done = [each for each in ordered if each.start_time < moment_of(millis)]
    assert ordered[: count_behind(ordered, Place(millis * 1000), newest_first=newest)] == done


def test_a_field_that_the_api_adds_moves_no_place() -> None:
    before, after = [record(5, 1)], [record(5, 1, extra={"new": 1})]
    assert count_behind(after, place_behind(before, 1), newest_first=False) == 1


def checkpoint() -> StreamCheckpoint:
    return StreamCheckpoint(moment_of(0), moment_of(1000), False, place_behind([record(5, 1, src="+14155550100")], 1))


def test_a_checkpoint_is_small_and_holds_no_number() -> None:
    text = checkpoint().to_json()
    assert Checkpoint.from_json(text) == Checkpoint.from_json(text.encode()) == checkpoint()
    assert len(text) < 300
    assert "4155550100" not in f"{text} {checkpoint()!r}"


def of_a_follow() -> FollowCheckpoint:
    cells = Cell(9, None, bytes(24)), Cell(10, 12_000, b"")
    return FollowCheckpoint(moment_of(0), TailPlace(1000, 9000, 11_000, cells, (Range(9500, 9600),)))


def test_a_checkpoint_of_a_follow_is_read_as_it_was_written() -> None:
    assert Checkpoint.from_json(of_a_follow().to_json()) == of_a_follow()
    with pytest.raises(CheckpointError, match=r"of 'cdrs\.follow'"):
        StreamCheckpoint.from_json(of_a_follow().to_json())


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


STREAM, FOLLOW = checkpoint().to_json(), of_a_follow().to_json()
DAMAGED = [
    *[
        "",
        "[]",
        "3",
        "null",
        "{}",
        "nonsense",
        '{"version": 1}',
        '{"version": 1, "kind": "cdrs.stream"}',
        "[" * 100_000,
    ],
    changed(STREAM, '"version": 1', '"version": 2'),
    changed(STREAM, "cdrs.stream", "cdrs.follow"),
    changed(STREAM, '"cdrs.stream"', '["cdrs.stream"]'),
    changed(STREAM, "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00"),
    changed(STREAM, "1970", "19,0"),
    changed(STREAM, "5000", '"5000"'),
    changed(STREAM, "5000", "true"),
    changed(STREAM, ", 1]", ", -1]"),
    changed(STREAM, ", 1]", ", 1, 1]"),
    changed(STREAM, '"1", ', "1, "),
    changed(STREAM, "false", "0"),
    changed(FOLLOW, "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00"),
    changed(FOLLOW, '"width": 1000', '"width": 0'),
    changed(FOLLOW, '"width": 1000', '"width": true'),
    changed(FOLLOW, "9000", "9000.5"),
    changed(FOLLOW, "11000", "null"),
    changed(FOLLOW, "[9, null", "[9.5, null"),
    changed(FOLLOW, "12000", '"12000"'),
    changed(FOLLOW, "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAA"),
    changed(FOLLOW, "AAAAAAAAAAAAAAAA", "*"),
    changed(FOLLOW, "[9500, 9600]", "[9600, 9500]"),
    changed(FOLLOW, "[9500, 9600]", "[9500]"),
    changed(FOLLOW, "[[9500, 9600]]", "7"),
]


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:40])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.category == "application"
