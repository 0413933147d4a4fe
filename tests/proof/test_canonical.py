"""The canonical bytes of records, character by character. `test_digest` compares them with a second implementation."""

from __future__ import annotations

import math
from collections import UserDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.payloads import RECORD
from unlimcall_async.proof.canonical import canonical_lines, hashes, in_utc, sum_of_hashes

PLAIN = (
    b'["1747852442.42","2026-05-24T18:14:02Z",81,80,"+14155550100","+442071838750","ANSWERED","unl_001",34,"USD",'
    b'"United Kingdom",null,'
)
ZONE = timezone(timedelta(hours=2))


def extra_as_written(extra: Mapping[Any, Any]) -> str:
    (line,) = canonical_lines([replace(RECORD, extra=extra)])
    assert line.startswith(PLAIN)
    return line[len(PLAIN) : -1].decode()


def nested(levels: int) -> dict[str, Any]:
    """Return other fields in which objects and arrays stand so many levels deep."""
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"x": value}


def test_each_record_is_one_line() -> None:
    assert canonical_lines([]) == []
    plain, other = PLAIN + b"{}]", PLAIN + b'{"a":1}]'
    assert canonical_lines([RECORD]) == [plain]
    assert canonical_lines([RECORD, replace(RECORD, extra={"a": 1}), RECORD]) == [plain, other, plain]


@pytest.mark.parametrize("extra", [{}, MappingProxyType({}), UserDict[str, Any]()], ids=repr)
def test_records_without_other_fields_have_equal_lines_whatever_holds_none(extra: Mapping[str, Any]) -> None:
    record = replace(RECORD, extra=extra)
    assert record == RECORD
    assert canonical_lines([record]) == canonical_lines([RECORD])


@pytest.mark.parametrize("number", [0, 1, 2, 50])
def test_the_sum_of_hashes_is_right_up_to_a_multiple_of_two_to_the_256(number: int) -> None:
    records = [replace(RECORD, id=f"{each}") for each in range(number)]
    assert (sum_of_hashes(records) - sum(hashes(records))) % 2**256 == 0


def test_the_hash_of_a_record_is_that_of_its_line_with_the_least_significant_byte_first() -> None:
    records = [RECORD, replace(RECORD, id="2")]
    assert list(hashes(records)) == [
        int.from_bytes(blake2b(line).digest(), "little") for line in canonical_lines(records)
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ("é\n", r'"é\n"'),
        (-7, "-7"),
        (10**30, "1" + "0" * 30),
        (1.0, "1E0"),
        (-0.0, "0E0"),
        (0.001, "1E-3"),
        (-12.5, "-125E-1"),
        (Decimal("1200.00"), "12E2"),
        (Decimal("0012.0300"), "1203E-2"),
        (Decimal("0E+7"), "0E0"),
        (Decimal("5E+9"), "5E9"),
        ([], "[]"),
        ([1], "[1]"),
        ([1, [2, []], 3], "[1,[2,[]],3]"),
        ((1, 2), "[1,2]"),
        ({}, "{}"),
        ({"b": 1, "a": {"d": [], "c": {}}}, '{"a":{"c":{},"d":[]},"b":1}'),
        (MappingProxyType({"b": 1, "a": 2}), '{"a":2,"b":1}'),
    ],
    ids=repr,
)
def test_a_value_has_one_form(value: Any, text: str) -> None:
    assert extra_as_written({"x": value}) == f'{{"x":{text}}}'


def test_ten_thousand_levels_are_written_and_no_more() -> None:
    assert extra_as_written(nested(10_000)) == '{"x":' + "[" * 9_999 + "1" + "]" * 9_999 + "}"
    with pytest.raises(ValueError, match=r"^extra is nested more than 10,000 levels deep$"):
        canonical_lines([replace(RECORD, extra=nested(10_001))])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"extra": {"x": math.nan}}, "NaN in extra is not a JSON value$"),
        ({"extra": {"x": Decimal("-Infinity")}}, "-Infinity in extra is not a JSON value$"),
        ({"extra": {"x": b"text"}}, "a bytes in extra is not a JSON value$"),
        ({"extra": {"x": {1: 2}}}, "1 in extra is not a name that JSON has$"),
        ({"extra": {"y": 0, None: 2}}, "None in extra is not a name that JSON has$"),
        ({"extra": {"x": "\ud800"}}, "extra of a record is not a JSON value: .*surrogates not allowed$"),
        ({"extra": {"\ud800": 1}}, "extra of a record is not a JSON value: .*surrogates not allowed$"),
        ({"id": "\ud800"}, "id of a record is not a JSON value: .*surrogates not allowed$"),
        ({"country": "\ud800"}, "country of a record is not a JSON value: .*surrogates not allowed$"),
        ({"did": object()}, "did of a record is not a JSON value: its type is object$"),
    ],
)
def test_a_value_that_json_does_not_have_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        canonical_lines([RECORD, replace(RECORD, **fields)])
    assert type(caught.value) is ValueError


def test_the_start_of_a_record_is_in_utc() -> None:
    there = replace(RECORD, start_time=datetime(2026, 5, 24, 20, 14, 2, tzinfo=ZONE))
    assert in_utc(RECORD) is RECORD
    assert in_utc(there) == RECORD
    assert in_utc(there).start_time.tzinfo is UTC
    assert there.start_time.tzinfo is ZONE


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (datetime(2026, 5, 24), ValueError, "must be timezone-aware"),  # noqa: DTZ001 # that is the point
        (datetime.min.replace(tzinfo=ZONE), ValueError, "is out of range in UTC"),
        (date(2026, 5, 24), TypeError, "must be a datetime, not date"),
        ("2026-05-24T00:00:00Z", TypeError, "must be a datetime, not str"),
        (None, TypeError, "must be a datetime, not NoneType"),
    ],
)
def test_a_record_that_starts_at_no_instant_is_refused(start: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^start_time of a record {words}"):
        in_utc(replace(RECORD, start_time=start))


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^each record must be a CallRecord, not dict$"):
        in_utc({"id": "1"})
