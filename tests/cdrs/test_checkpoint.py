"""Checkpoints: read as they were written, small, without a phone number, and refused if they are damaged."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from tests.cdrs.simulated import record
from unlimcall_async import Checkpoint, CheckpointError
from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint, UnplacedMark
from unlimcall_async.cdrs.follow_checkpoint import NAMED, Cell, FollowCheckpoint, TailPlace
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
    cells = Cell(9 * SECOND, 10 * SECOND, None, bytes(36)), Cell(10 * SECOND, 14 * SECOND, 12 * SECOND)
    hole = Range(9500 * MILLISECOND, 9600 * MILLISECOND)
    return FollowCheckpoint(to_datetime(0), TailPlace(9 * SECOND, 11 * SECOND, cells, (hole,)))


def test_a_checkpoint_of_a_follow_is_read_as_it_was_written() -> None:
    assert Checkpoint.from_json(of_a_follow().to_json()) == of_a_follow()
    with pytest.raises(CheckpointError, match=r"of 'cdrs\.follow'"):
        StreamCheckpoint.from_json(of_a_follow().to_json())


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


DIGEST = "0123456789abcdef"
MARK = UnplacedMark(DIGEST, 4 * SECOND, 7 * SECOND)
BEHIND_A_BAD_ROW = StreamCheckpoint(
    to_datetime(0),
    to_datetime(9 * SECOND),
    newest_first=True,
    place=Place(5 * SECOND, None, DIGEST, 2),
    unplaced=(MARK,),
)
# The range begins and ends amid a millisecond.
AMID_A_PART = StreamCheckpoint(
    to_datetime(2500), to_datetime(999_500), newest_first=False, place=evolve(PLACE, since=2 * MILLISECOND)
)


@pytest.mark.parametrize(
    ("known", "version"),
    [
        (BEHIND_A_BAD_ROW, 2),
        (AMID_A_PART, 3),
        (evolve(AMID_A_PART, newest_first=True, place=evolve(AMID_A_PART.place, since=1000 * MILLISECOND)), 3),
        (evolve(of_a_follow(), place=evolve(of_a_follow().place, unplaced=(MARK,))), 3),
    ],
)
def test_rows_that_cannot_be_read_are_remembered(known: Checkpoint, version: int) -> None:
    text = known.to_json()
    assert Checkpoint.from_json(text) == known
    # A release that knows no such rows would hand records out again.
    assert text.startswith(f'{{"version": {version}')


# What earlier releases wrote: a width, cells by their number, and marks of eight bytes for start and id, and four for all fields.
OLD_FOLLOW = (
    '{"version": 1, "kind": "cdrs.follow", "start": "1970-01-01T00:00:00+00:00", "width": 1000, "frontier": 9000, "edge": 11000, '
    '"cells": [[9, null, "AAECAwQFBgcICQoLAAECAwQFBgcMDQ4P"], [10, 12000, ""]], "holes": [[9500, 9600]]}'
)


def test_the_checkpoint_of_a_follow_of_an_earlier_release_is_read() -> None:
    marks = bytes(range(8)) + bytes(8) + bytes((8, 9)) + bytes(range(8)) + bytes(8) + bytes((12, 13))
    cells = Cell(9 * SECOND, 10 * SECOND, None, marks), Cell(10 * SECOND, 11 * SECOND, 12 * SECOND)
    assert Checkpoint.from_json(OLD_FOLLOW) == evolve(of_a_follow(), place=evolve(of_a_follow().place, cells=cells))
    unplaced = f', "unplaced": [["{DIGEST}", 4000, 7000]]}}'
    with_marks = OLD_FOLLOW.replace('"version": 1', '"version": 2').replace("}", unplaced)
    assert Checkpoint.from_json(with_marks) == evolve(
        of_a_follow(), place=evolve(of_a_follow().place, cells=cells, unplaced=(MARK,))
    )


def with_names() -> FollowCheckpoint:
    named = NAMED.pack(9 * SECOND, bytes(range(15))) + NAMED.pack(9 * SECOND + 1, bytes(15))
    cell = Cell(9 * SECOND, 10 * SECOND, None, bytes(18), named, ("1747852442.42", '"ü"\n'))
    return evolve(of_a_follow(), place=evolve(of_a_follow().place, cells=(cell,)))


def test_a_checkpoint_with_names_is_read_as_it_was_written() -> None:
    text = with_names().to_json()
    assert Checkpoint.from_json(text) == with_names()
    # A release that knows no names would hand the records out again. One without names can go on from the other checkpoints.
    assert [json.loads(each.to_json())["version"] for each in (with_names(), of_a_follow())] == [4, 3]


NAMES = with_names().to_json()
STREAM, FOLLOW, BAD = checkpoint().to_json(), of_a_follow().to_json(), BEHIND_A_BAD_ROW.to_json()
SINCE = AMID_A_PART.to_json()
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
    changed(OLD_FOLLOW, '"width": 1000', '"width": 0'),
    changed(OLD_FOLLOW, '"width": 1000', '"width": true'),
    changed(OLD_FOLLOW, "[9, null", "[9.5, null"),
    changed(OLD_FOLLOW, "[9, null", "[8, null"),
    changed(OLD_FOLLOW, "[9, null", "[10, null"),
    changed(OLD_FOLLOW, "[10, 12000", "[1" + 30 * "0" + ", 12000"),
    changed(OLD_FOLLOW, "AAECAwQFBgcICQoLAAECAwQFBgcMDQ4P", "AAECAwQFBgcICQoLAAECAwQFBgcMDQ=="),
    changed(OLD_FOLLOW, '"version": 1', '"version": 2'),
    changed(OLD_FOLLOW, '"version": 1', '"version": 4'),
    changed(FOLLOW, '"version": 3', '"version": 1'),
    changed(FOLLOW, '"version": 3', '"version": 4'),
    changed(NAMES, '"version": 4', '"version": 3'),
    changed(NAMES, '"1747852442.42"', "1747852442"),
    changed(NAMES, '"1747852442.42", ', ""),
    changed(NAMES, '["1747852442.42"', '"1747852442.42", ["x"'),
    changed(FOLLOW, '"frontier": 9000', '"frontier": 9000.5'),
    changed(FOLLOW, '"edge": 11000', '"edge": null'),
    changed(FOLLOW, "[9000, 10000, null", "[9000.5, 10000, null"),
    changed(FOLLOW, "12000", '"12000"'),
    changed(FOLLOW, "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAA"),
    changed(FOLLOW, "AAAAAAAAAAAAAAAA", "*"),
    changed(FOLLOW, "[9500, 9600]", "[9600, 9500]"),
    changed(FOLLOW, "[9500, 9600]", "[9500]"),
    changed(FOLLOW, "[[9500, 9600]]", "7"),
    # Fields that contradict each other.
    *(changed(STREAM, "[5000, ", f"[{at}, ") for at in (-1, SECOND, SECOND + 1, 10**18, -(10**18))),
    changed(STREAM, '"end": "1970-01-01T00:00:01', '"end": "1969-12-31T23:59:59'),
    changed(STREAM, '"start": "1970-01-01T00:00:00+00:00"', '"start": "0001-01-01T00:00:00+09:00"'),
    changed(STREAM, '"end": "1970-01-01T00:00:01+00:00"', '"end": "9999-12-31T23:59:59-09:00"'),
    changed(STREAM, ", 1]", ", 0]"),
    changed(STREAM, f'"{PLACE.digest}"', '""'),
    changed(STREAM, f'"{PLACE.digest}"', '"0123456789abcdeF"'),
    changed(STREAM, '"1", ', "null, "),
    changed(BAD, '"version": 2', '"version": 1'),
    changed(BAD, ", 2]", ", 0]"),
    changed(BAD, "[5000000, null", "[9000000, null"),
    changed(BAD, "4000, 7000", "7000, 4000"),
    changed(BAD, "4000, 7000", "4000"),
    changed(BAD, "4000, 7000", "4000, true"),
    changed(BAD, f'[["{DIGEST}"', '[["x"'),
    changed(SINCE, '"version": 3', '"version": 2'),
    *(changed(SINCE, '"since": 2', f'"since": {at}') for at in ("1", "5", "6", "2.0", "true", "null", '"2"')),
    *(changed(changed(SINCE, '"since": 2', f'"since": {at}'), "false", "true") for at in (2, 5, 1001)),
    changed(changed(SINCE, PLACE.digest, ""), '"1", "", 1]', 'null, "", 0]'),
    changed(FOLLOW, '"frontier": 9000', '"frontier": -1'),
    changed(FOLLOW, '"frontier": 9000', '"frontier": 11001'),
    changed(FOLLOW, '"edge": 11000', '"edge": 8000'),
    changed(FOLLOW, "[9000, 10000, null", "[8000, 9000, null"),
    changed(FOLLOW, "[9000, 10000, null", "[9000, 9000, null"),
    changed(FOLLOW, "[9000, 10000, null", "[9000, 10001, null"),
    changed(FOLLOW, "14000, 12000", "1" + 20 * "0" + ", 12000"),
    changed(FOLLOW, "[[9500, 9600]]", '""'),
    changed(BAD, f'[["{DIGEST}", 4000, 7000]]', "{}"),
    changed(FOLLOW, "12000", "1" + 20 * "0"),
]


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:40])
def test_a_text_that_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.category == "application"
