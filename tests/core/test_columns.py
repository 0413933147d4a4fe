"""Records become columns and records again, and nothing is lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from tests.core.payloads import RECORD
from tests.core.test_plain import RECORDS
from unlimcall_async import CallRecord, to_dict
from unlimcall_async._columns import BatchInMaking, to_records
from unlimcall_async.columns import SCHEMA, to_batch


def test_the_columns_are_the_fields_of_a_record_in_their_order() -> None:
    assert SCHEMA.names == [each.name for each in fields(CallRecord)]
    required = ["id", "start_time", "duration", "billsec"]
    assert [field.name for field in SCHEMA if not field.nullable] == required
    whole = {*required[2:], "sell_price_cents"}
    assert {field.name: field.type for field in SCHEMA} == {
        name: pa.int64() if name in whole else pa.timestamp("us", tz="UTC") if name == "start_time" else pa.string()
        for name in SCHEMA.names
    }


@given(st.lists(RECORDS, max_size=4))
def test_records_come_back_exactly(records: list[CallRecord]) -> None:
    batch = to_batch(records)
    batch.validate(full=True)
    assert batch.schema.equals(SCHEMA, check_metadata=True)
    back = to_records(batch)
    assert back == records
    assert [to_dict(record) for record in back] == [to_dict(record) for record in records]


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_has_the_microseconds_that_arrow_gives_it(moment: datetime) -> None:
    column = to_batch([evolve(RECORD, start_time=moment)]).column("start_time")
    assert column.equals(pa.array([moment], pa.timestamp("us", tz="UTC")))


def test_extra_is_json_with_all_digits_and_null_where_it_is_empty() -> None:
    extra = {
        "queue": "sales",
        "big": 2**70,
        "rate": Decimal("0.10000000000000000001"),
        "deep": {"é\u2028": [None, True]},
    }
    texts = to_batch([RECORD, evolve(RECORD, extra=extra)]).column("extra").to_pylist()
    assert texts[0] is None
    assert json.loads(texts[1], parse_float=Decimal) == extra
    assert texts[1].splitlines() == [texts[1]]


# What CSV and JSON might take for something else than a text, and what nearly all texts consist of.
ODD_TEXTS = st.sampled_from(
    ["", "null", "NULL", "nan", "{}]", "[0", ",", ",,,,,,,,,,,,,", "'", "12", "\u0085", "\u2028", "é😀", "\x7f"]
)
PLAIN_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\'))
ESCAPED_TEXTS = st.sampled_from(['"', "\\", "\n", "\r", "\0", 'a","b', '\\"'])
INT64 = st.integers(-(2**63), 2**63 - 1)


def records_with(texts: st.SearchStrategy[str]) -> st.SearchStrategy[CallRecord]:
    times = st.datetimes(timezones=st.just(UTC))
    return st.builds(
        CallRecord, texts, times, INT64, INT64, *[st.none() | texts] * 4, st.none() | INT64, *[st.none() | texts] * 3
    )


PLAIN_RECORDS = records_with(ODD_TEXTS | PLAIN_TEXTS)


@pytest.mark.slow
@given(
    st.lists(
        st.lists(PLAIN_RECORDS, min_size=1, max_size=3)
        | st.lists(RECORDS | records_with(ESCAPED_TEXTS), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_records_of_a_stream_become_the_same_columns(parts: list[list[CallRecord]]) -> None:
    making = BatchInMaking()
    for part in parts:
        making.add(part)
    batch = making.batch()
    batch.validate(full=True)
    assert batch.equals(to_batch([record for part in parts for record in part]), check_metadata=True)
    assert making.rows == len(batch)


@pytest.mark.parametrize(
    ("number", "step"), [(1, 1000), (15, 1000), (16, 1000), (5000, 500), (5000, 0), (70_000, 1000)]
)
def test_any_number_of_records_becomes_the_same_columns(number: int, step: int) -> None:
    start, step_s = RECORD.start_time, timedelta(milliseconds=step)
    records = [CallRecord(f"{at % 7}", start + at * step_s, at, 1, did="é" if at % 3 else None) for at in range(number)]
    making = BatchInMaking()
    making.add(records)
    assert making.batch().equals(to_batch(records))


@pytest.mark.parametrize(
    ("ids", "fraction"),
    [
        (["a", "b\0c\0d"], 0),  # bytes of one text stand where texts of one length would end
        (["a\0b", "c\0d"], 0),
        (["a"], 500_000),
        ([f"{at}" for at in range(10)], 500_000),  # one time is as much longer as the head of a longer list
        ([f"{at}" for at in range(16)], 1),
    ],
)
def test_what_looks_like_the_usual_becomes_the_same_columns(ids: list[str], fraction: int) -> None:
    records = [
        evolve(RECORD, id=each, start_time=RECORD.start_time + timedelta(hours=at)) for at, each in enumerate(ids)
    ]
    records[-1] = evolve(records[-1], start_time=records[-1].start_time + timedelta(microseconds=fraction))
    making = BatchInMaking()
    making.add(records)
    assert making.batch().equals(to_batch(records))


@pytest.mark.slow
def test_a_batch_of_plain_records_imports_no_pandas() -> None:
    program = (
        "import sys; from datetime import datetime, UTC\n"
        "from unlimcall_async import CallRecord; from unlimcall_async._columns import BatchInMaking\n"
        "making = BatchInMaking(); making.add([CallRecord('1', datetime(2026, 1, 1, tzinfo=UTC), 1, 1)] * 2)\n"
        "print(len(making.batch()), 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    assert done.stdout == "2 False\n"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("duration", 1.9, TypeError),
        ("billsec", Decimal(1), TypeError),
        ("sell_price_cents", 1.9, TypeError),
        ("id", None, ValueError),
        ("duration", None, ValueError),
        ("start_time", None, TypeError),
        ("start_time", datetime(2026, 5, 24), ValueError),  # noqa: DTZ001 # that is the point
    ],
)
def test_what_a_column_cannot_hold_is_named_and_never_changed(field: str, value: Any, error: type[Exception]) -> None:
    # Arrow cuts fractions off, and does not look whether a column may have nulls.
    with pytest.raises(error, match=rf"^{field} of a record must"):
        to_batch([RECORD, evolve(RECORD, **{field: value})])


def test_a_number_beyond_64_bits_is_an_error() -> None:
    with pytest.raises((OverflowError, pa.ArrowInvalid)):
        to_batch([evolve(RECORD, duration=2**63)])
