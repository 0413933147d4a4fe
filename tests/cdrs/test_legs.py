"""The digests by which legs are known again, which checkpoints hold, and how rows are paired with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.payloads import RECORD
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.legs import are_equal, contents_of, digest, leg_of, new_of, pair
from unlimcall_async.cdrs.rows import BadRow
from unlimcall_async.cdrs.times import Window

BAD = BadRow(
    where="calls[0].src",
    reason="text",
    body=b"{}",
    window=Window(0, 1),
    before=0,
    start_time=datetime(2026, 1, 1, tzinfo=UTC),
)


# Checkpoints that users have stored hold these bytes, so no release may change them.
@pytest.mark.parametrize(
    ("fields", "known", "leg", "more"),
    [
        ({}, "87b0ff33a3bbe19e", "ad0d6c5a700e279487b0", "ff33a3"),
        ({"src": "\ud800"}, "9c09aee3bab0e5f3", "71fb835a700e27949c09", "aee3ba"),
        ({"extra": {"b": 1, "a": "é"}}, "87b0ff33a3bbe19e", "ad0d6c5a700e279487b0", "fd1a0d"),
        ({"extra": {"a": "é", "b": 1}}, "87b0ff33a3bbe19e", "ad0d6c5a700e279487b0", "fd1a0d"),
        ({"extra": {"b": "\ud800"}}, "87b0ff33a3bbe19e", "ad0d6c5a700e279487b0", "1cc01d"),
    ],
    ids=["documented", "half of a surrogate pair", "other fields", "in another order", "half of one in another field"],
)
def test_the_digests_of_a_record_are_those_of_every_release(
    fields: dict[str, Any], known: str, leg: str, more: str
) -> None:
    record = replace(RECORD, **fields)
    assert digest(record) == known
    assert leg_of(record).hex() == leg
    assert contents_of(record).hex() == leg + more


def test_the_leg_of_a_bad_row_is_made_of_the_digest_of_its_text() -> None:
    assert digest(BAD) == BAD.digest == "01e7b720ff566d53"
    assert leg_of(BAD).hex() == "01e7b720ff566d53" + "01e7"


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("duration", {0, 1, 2, 8, 9}),
        ("src", {0, 1, 2, 8, 9}),
        ("dst", {0, 1, 2, 8, 9}),
        ("sip_username", {3, 8, 9}),
        ("did", {3, 8, 9}),
        ("billsec", {4, 8, 9}),
        ("disposition", {5, 8, 9}),
        ("currency", {6, 8, 9}),
        ("country", {6, 8, 9}),
        ("sell_price_cents", {7, 8, 9}),
    ],
)
def test_each_field_changes_the_digest_of_its_group_and_that_of_all(field: str, changed: set[int]) -> None:
    value = 1 if isinstance(getattr(RECORD, field), int) else "other"
    before, after = leg_of(RECORD), leg_of(replace(RECORD, **{field: value}))
    assert {at for at in range(10) if before[at] != after[at]} == changed


CONTENTS = bytes(range(1, 14))
OLD = bytes(8) + CONTENTS[8:10]


@pytest.mark.parametrize(
    ("known", "equal"),
    [
        (CONTENTS, True),
        (CONTENTS[:10], True),
        (OLD, True),
        (OLD[:9] + b"x", False),
        (OLD[:8] + b"x" + OLD[9:], False),
        *((CONTENTS[:at] + b"x" + CONTENTS[at + 1 :], False) for at in range(13)),
        (bytes(7) + CONTENTS[7:], False),
    ],
)
def test_a_record_is_equal_as_far_as_what_is_known_of_it_tells(known: bytes, equal: bool) -> None:
    assert are_equal(CONTENTS, known) is equal


CALL, OTHER = b"one", b"two"
# Behind the call: a byte for each of five groups of fields, and two for all fields. An `X` is a byte that differs.


@pytest.mark.parametrize(
    ("rows", "legs", "pairs"),
    [
        ([CALL + b"abcde12"], [CALL + b"abcdX12", CALL + b"abcde12"], [(0, 1)]),
        ([CALL + b"abcde12"], [CALL + b"abXXX99", CALL + b"abcXX99"], [(0, 1)]),
        ([CALL + b"abcde12"], [CALL + b"XXXXX99"], [(0, 0)]),
        ([CALL + b"abcde12"], [OTHER + b"abcde12"], []),
        ([CALL + b"abcde12345"], [CALL + b"abcde12999", CALL + b"abcde12345"], [(0, 1)]),
        ([CALL + b"abcde12345"], [CALL + b"abcdX12345", CALL + b"abcde12"], [(0, 1)]),
        ([CALL + b"abcde12"], [CALL + b"XXXXX12", bytes(8) + b"12"], [(0, 1)]),
        ([CALL + b"abcde12"], [bytes(8) + b"13"], []),
        ([CALL + b"abcde12"] * 2, [CALL + b"abcde12"], [(0, 0)]),
        ([CALL + b"abcde12", OTHER + b"abcde34"], [OTHER + b"abcde34", CALL + b"abcde12"], [(0, 1), (1, 0)]),
    ],
    ids=[
        *("all fields first", "the most groups next", "the call alone at last", "no other call"),
        *(
            "all contents before the leg",
            "the leg before fewer groups",
            "an old leg by its digest alone",
            "no old leg of another",
        ),
        *("each leg once", "whatever the order"),
    ],
)
def test_rows_are_paired_with_the_legs_with_which_they_have_the_most_in_common(
    rows: list[bytes], legs: list[bytes], pairs: list[tuple[int, int]]
) -> None:
    found, left, places = pair([(row, at) for at, row in enumerate(rows)], legs)
    assert sorted(found) == pairs
    assert left == [at for at in range(len(rows)) if at not in dict(pairs)]
    assert places == [at for at in range(len(legs)) if at not in dict(pairs).values()]


def legs_to(*names: str) -> list[CallRecord]:
    return [replace(RECORD, dst=name) for name in names]


@pytest.mark.parametrize(
    ("rows", "handed_out", "new"),
    [
        ("", "", ""),
        ("a", "", "a"),
        ("a", "a", ""),
        ("a", "b", ""),
        ("a", "bc", ""),
        ("ab", "a", "b"),
        ("ab", "b", "a"),
        ("aab", "a", "ab"),
        ("abc", "x", "bc"),
        ("abc", "xb", "c"),
    ],
)
def test_the_rows_that_are_new_are_those_that_no_leg_is_left_for(rows: str, handed_out: str, new: str) -> None:
    assert new_of(legs_to(*rows), [leg_of(leg) for leg in legs_to(*handed_out)]) == legs_to(*new)
