"""Call records as text."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.cli.formats import CSV, FIELDS, csv_lines, encoded, ndjson

START = datetime(2025, 1, 1, tzinfo=UTC)


RECORD = CallRecord(id="1", start_time=START, duration=2, billsec=1, src='a,"b"', country="Österreich")


COLUMNS = (
    *("id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username"),
    *("sell_price_cents", "currency", "country", "did"),
)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_json_has_the_names_of_the_model_in_its_order() -> None:
    assert tuple(json.loads(ndjson([RECORD]))) == COLUMNS


def test_json_keeps_what_a_float_would_not() -> None:
    record = evolve(RECORD, extra={"rate": Decimal("0.10"), "seen": START + timedelta(microseconds=5), "id": 7})
    row = json.loads(ndjson([record]), parse_float=Decimal)
    assert (row["id"], row["start_time"], row["src"], row["dst"]) == ("1", "2025-01-01T00:00:00.000Z", 'a,"b"', None)
    assert row["country"] == "Österreich"
    assert row["extra"] == {"rate": Decimal("0.10"), "seen": "2025-01-01T00:00:00.000005Z", "id": 7}
    assert '"rate":0.10,' in ndjson([record])


def test_half_a_surrogate_pair_comes_through() -> None:
    text = encoded(ndjson([evolve(RECORD, src="\ud83d")]))
    assert json.loads(text)["src"] == "\ud83d"


def test_csv_has_the_same_as_columns() -> None:
    assert rows_of(CSV.head) == [[*COLUMNS, "extra"]]


def test_csv_has_an_empty_cell_for_none() -> None:
    (row,) = rows_of(csv_lines([evolve(RECORD, extra={"rate": Decimal("0.10")})]))
    assert row[:6] == ["1", "2025-01-01T00:00:00.000Z", "2", "1", 'a,"b"', ""]
    # A number, with all its digits.
    assert row[-1] == '{"rate":0.10}'
    assert rows_of(csv_lines([RECORD]))[0][-1] == ""


@pytest.mark.parametrize(
    ("src", "written"),
    [
        ("+14155550100", "+14155550100"),
        ("-150", "-150"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd|'/C calc'!A0", "'+1+cmd|'/C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        # Neither line is a formula by itself; together they are one.
        ("+(\nHYPERLINK(1))", "'+(\nHYPERLINK(1))"),
        ("+1\n", "'+1\n"),
        ("+\uff11", "'+\uff11"),
        ("anonymous", "anonymous"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(src: str, written: str) -> None:
    (row,) = rows_of(csv_lines([evolve(RECORD, src=src)]))
    assert row[4] == written


TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    st.builds(
        CallRecord,
        id=st.text(st.characters(codec="utf-8"), max_size=12),
        start_time=st.datetimes(timezones=st.just(UTC)),
        duration=st.integers(),
        billsec=st.integers(),
        src=TEXTS,
        dst=TEXTS,
        sell_price_cents=st.none() | st.integers(),
        extra=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3),
    )
)
def test_nothing_is_lost(record: CallRecord) -> None:
    line = ndjson([record])
    read = json.loads(line)
    assert line.count("\n") == 1
    assert CallRecord(**{**read, "start_time": datetime.fromisoformat(read["start_time"])}) == record
    (row,) = rows_of(csv_lines([record]))
    for name, cell in zip(FIELDS[4:], row[4:], strict=False):
        value = getattr(record, name)
        text = "" if value is None else str(value)
        assert cell in {text, f"'{text}"}
    assert json.loads(row[-1] or "{}") == record.extra


_texts = st.one_of(
    st.none(),
    st.sampled_from(["+14155550100", "unl_001"]),
    st.text(st.sampled_from("a9+=-@'\"\n\r\t\u2212 ,"), max_size=4),
)
_records = st.builds(
    CallRecord,
    id=st.text(min_size=1, max_size=3),
    start_time=st.sampled_from(
        [START, START + timedelta(milliseconds=5), START.astimezone(timezone(timedelta(hours=2)))]
    ),
    duration=st.integers(0, 9),
    billsec=st.just(0),
    src=_texts,
    did=_texts,
    sell_price_cents=st.none() | st.integers(-5, 5),
    extra=st.sampled_from([{}, {"queue": "sales"}]),
)


@given(st.lists(_records, max_size=5))
def test_a_record_has_the_same_line_among_others(records: list[CallRecord]) -> None:
    assert csv_lines(records) == "".join(csv_lines([record]) for record in records)


@given(st.lists(_records, max_size=5))
def test_csv_is_what_pythons_own_writer_writes(records: list[CallRecord]) -> None:
    # But for empty texts, which that writer writes as it writes `None`.
    records = [evolve(record, src=record.src or None, did=record.did or None) for record in records]
    lines, text = csv_lines(records), io.StringIO()
    csv.writer(text).writerows(rows_of(lines))
    assert text.getvalue() == lines
    assert csv_lines([evolve(record, src="") for record in records]).count(',"",') >= len(records)
