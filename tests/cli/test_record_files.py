"""Call records from the files that `cdrs pull` writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async._columns import ParquetWriter, to_batch
from unlimcall_async.cli.formats import FORMATS
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.record_files import kind_of, records_in
from unlimcall_async.proof import DayDigest

START = datetime(2026, 5, 1, tzinfo=UTC)

# Texts that are hard on CSV, among any others.
texts = st.one_of(
    st.sampled_from(
        ["", "'", "=1+1", "'=1", "''=1", "+1 (415) 555", "-5", '"', '""', ',""', "a,b", "a\nb", "a\r\nb", "\r", " "]
    ),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
numbers = st.integers(-(2**63), 2**63 - 1)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(Decimal.normalize),
)
extras = st.dictionaries(texts, st.one_of(leaves, st.lists(leaves, max_size=2)), max_size=2)
records = st.builds(
    CallRecord,
    id=texts,
    start_time=st.integers(0, 10**13).map(lambda micros: START + timedelta(microseconds=micros)),
    duration=numbers,
    billsec=numbers,
    **{name: st.none() | texts for name in ("src", "dst", "disposition", "sip_username", "currency", "country", "did")},
    sell_price_cents=st.none() | numbers,
    extra=extras,
)


@pytest.mark.rest_slow
@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
@given(given_records=st.lists(records, max_size=3))
def test_what_is_read_is_what_was_written(kind: str, given_records: list[CallRecord]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls"
        if kind == "parquet":
            with path.open("wb") as file:
                writer = ParquetWriter(file)
                writer.write(to_batch(given_records))
                writer.close()
        else:
            path.write_bytes(FORMATS[kind].part(given_records, first=True))
        found = list(records_in(path))
        assert kind_of(path) == kind
    # Digests tell 1, 1.0 and true apart, and Python does not.
    assert DayDigest.of(found) == DayDigest.of(given_records)
    assert found == given_records


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("number", ["5", "-0", "1E+3", "0.10", "12345678901234567890.5"])
def test_a_fraction_of_the_api_stays_one(tmp_path: Path, kind: str, number: str) -> None:
    # The API may write `5e0`, which is not the integer 5.
    path = tmp_path / "calls"
    written = CallRecord("1", START, 1, 1, extra={"rate": Decimal(number)})
    path.write_bytes(FORMATS[kind].part([written], first=True))
    (found,) = records_in(path)
    assert (found, type(found.extra["rate"])) == (written, Decimal)
    assert DayDigest.of([found]) == DayDigest.of([written])


def record(number: int, src: str | None = "+14155550100") -> CallRecord:
    return CallRecord(f"17.{number}", START + timedelta(minutes=number), 30, 25, src)


@pytest.mark.parametrize(
    ("kind", "old", "new", "complaint"),
    [
        ("ndjson", b'"duration":30', b'"duration":"30"', "line 1: CallRecord: Expected `int`, got `str`"),
        ("ndjson", b'{"id":"17.1"', b'{"ID":"17.1"', "line 2: "),
        ("ndjson", b"}\n", b"\n", "line 1: the text is not JSON"),
        ("csv", b"17.1,", b"17.1,,", "line 3: the row has 14 cells, and not 13"),
        ("csv", b",30,", b",3O,", "line 2: duration is not a whole number"),
        ("csv", b"17.1,2026", b"17.1,x026", "line 3: CallRecord: Invalid RFC3339"),
        ("csv", b"17.1,", b'"17"1,', "line 3: "),
        ("csv", b"17.0,", b"\xff,", "line 2: 'utf-8' codec"),
        ("csv", b"17.1,", b"\xff,", "line 3: 'utf-8' codec"),
        ("csv", b"id,start_time,duration", b"id,start_time,length", "line 1: the names of the columns"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_not_shown(
    tmp_path: Path, kind: str, old: bytes, new: bytes, complaint: str
) -> None:
    path = tmp_path / "calls"
    content = FORMATS[kind].part([record(number) for number in range(3)], first=True)
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(UnusableError) as caught:
        list(records_in(path))
    assert f"{path}, {complaint}" in str(caught.value)
    assert "4155550100" not in str(caught.value)


def test_rows_of_several_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    content = FORMATS["csv"].part([record(0, "a\nb"), record(1)], first=True)
    path.write_bytes(content.replace(b"17.1,", b"17.1,,"))
    with pytest.raises(UnusableError, match="line 4: the row has 14 cells"):
        list(records_in(path))


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    written = CallRecord("1", START, 1, 1, extra={"note": "x" * 300_000})
    path.write_bytes(FORMATS["csv"].part([written], first=True))
    assert list(records_in(path)) == [written]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.json", b'{"kind":"cdrs.manifest","version":1}'),
        ("c.csv.manifest.json", b""),
        ("c.csv.manifest.json", b'{"days": {}, "kind": "cdrs.manifest"}'),
    ],
)
def test_a_manifest_is_known_however_it_was_written(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == "manifest"


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\xef\xbb\xbfid,start_time", b"hello", b"\x00" * 20])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls"
    path.write_bytes(content)
    with pytest.raises(UnusableError, match=r"spreadsheet|is not NDJSON"):
        kind_of(path)
    with pytest.raises(UnusableError, match="No such file"):
        kind_of(tmp_path / "none")
