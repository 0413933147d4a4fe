"""Call records as text, and as a file that has its name when it is whole."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.cli.formats import CSV, FIELDS, csv_lines, encoded, ndjson
from unlimcall_async.cli.output import UnwritableError
from unlimcall_async.cli.writers import writing

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
    row = json.loads(ndjson([record]))
    assert (row["id"], row["start_time"], row["src"], row["dst"]) == ("1", "2025-01-01T00:00:00.000Z", 'a,"b"', None)
    assert row["country"] == "Österreich"
    assert row["extra"] == {"rate": "0.10", "seen": "2025-01-01T00:00:00.000005Z", "id": 7}


def test_half_a_surrogate_pair_comes_through() -> None:
    text = encoded(ndjson([evolve(RECORD, src="\ud83d")]))
    assert json.loads(text)["src"] == "\ud83d"


def test_csv_has_the_same_as_columns() -> None:
    assert rows_of(CSV.head) == [[*COLUMNS, "extra"]]


def test_csv_has_an_empty_cell_for_none() -> None:
    (row,) = rows_of(csv_lines([evolve(RECORD, extra={"rate": Decimal("0.10")})]))
    assert row[:6] == ["1", "2025-01-01T00:00:00.000Z", "2", "1", 'a,"b"', ""]
    assert json.loads(row[-1]) == {"rate": "0.10"}
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
        assert cell.removeprefix("'") == ("" if value is None else str(value).removeprefix("'"))
    assert json.loads(row[-1] or "{}") == record.extra


# --- the file of the demo -------------------------------------------------------------------------------------------------


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "with_name", lambda *_: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda *_: None)

    def fill() -> None:
        with writing(tmp_path / "pulled.csv") as file:
            file.write([RECORD] * 10_000)

    with pytest.raises(UnwritableError, match=os.strerror(errno.ENOSPC)):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["ndjson", "csv"])
def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pulled.{suffix}"
    path.write_text("old")

    def interrupted() -> None:
        with writing(path) as file:
            file.write([RECORD])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(f"pulled.{suffix}", "old")]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "target.csv")
    with writing(tmp_path / "link.csv") as file:
        file.write([RECORD])
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "target.csv").read_text().splitlines()) == 2


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(UnwritableError, match="no ordinary file"), writing(folder):
        pass
    assert list(tmp_path.iterdir()) == [folder]
