"""Checkpoints: read as they were written, small, without a phone number, and refused if they are damaged."""

from __future__ import annotations

import pytest

from tests.cdrs.simulated import record
from unlimcall_async import Checkpoint, CheckpointError
from unlimcall_async.cdrs.checkpoint import Cell, FollowCheckpoint, StreamCheckpoint, TailPlace
from unlimcall_async.cdrs.output_order import place_behind
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, to_datetime

PLACE = place_behind([record(5 * MILLISECOND, 1, src="+14155550100")], 1)


def checkpoint() -> StreamCheckpoint:
    return StreamCheckpoint(to_datetime(0), to_datetime(SECOND), newest_first=False, place=PLACE)


def test_a_checkpoint_is_small_and_holds_no_number() -> None:
    text = checkpoint().to_json()
    assert Checkpoint.from_json(text) == Checkpoint.from_json(text.encode()) == checkpoint()
    assert len(text) < 300
    assert "4155550100" not in f"{text} {checkpoint()!r}"


def of_a_follow() -> FollowCheckpoint:
    cells = Cell(9, None, bytes(24)), Cell(10, 12 * SECOND, b"")
    hole = Range(9500 * MILLISECOND, 9600 * MILLISECOND)
    return FollowCheckpoint(to_datetime(0), TailPlace(SECOND, 9 * SECOND, 11 * SECOND, cells, (hole,)))


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
def test_a_text_that_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.category == "application"
