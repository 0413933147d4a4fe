"""Workbooks of Excel, read by another program's library."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl  # type: ignore[import-untyped] # it has no types
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.cli.excel_csv import CELL
from unlimcall_async.cli.formats import ndjson
from unlimcall_async.cli.output import UnusableError, UnwritableError
from unlimcall_async.cli.workbook import check_installed, write_workbook

START = datetime(2026, 5, 1, 10, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
RECORD = CallRecord(id="1714.10", start_time=START, duration=2, billsec=1, src="+14155550100")


def written(path: Path, records: Iterable[CallRecord], zone: tzinfo = UTC, rows: int = 1_048_576) -> int:
    lines = ndjson(records).encode().split(b"\n")[:-1]
    return asyncio.run(write_workbook(lines, path, zone, rows=rows))


def sheets_of(path: Path) -> list[list[list[Any]]]:
    book = openpyxl.load_workbook(path)
    return [[list(row) for row in sheet.iter_rows()] for sheet in book.worksheets]


def row_of(path: Path, record: CallRecord, zone: tzinfo = UTC) -> list[Any]:
    written(path, [record], zone)
    return sheets_of(path)[0][1]


def test_ids_and_phone_numbers_are_texts_that_stay_texts(tmp_path: Path) -> None:
    row = row_of(tmp_path / "c.xlsx", evolve(RECORD, sell_price_cents=45, extra={"rate": 7}))
    assert [(cell.value, cell.number_format) for cell in (row[0], row[4])] == [
        ("1714.10", "@"),
        ("+14155550100", "@"),
    ]
    assert [cell.value for cell in (row[2], row[3], row[5], row[8])] == [2, 1, None, 45]
    assert json.loads(row[12].value) == {"rate": 7}


@pytest.mark.parametrize(
    "text", ["=1+1", "@SUM(1)", "+1", "\uff1d1", "http://example.com", "TRUE", "{=1}", "1E5", " x "]
)
def test_a_text_is_never_something_else(tmp_path: Path, text: str) -> None:
    cell = row_of(tmp_path / "c.xlsx", evolve(RECORD, src=text))[4]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


@pytest.mark.parametrize(
    ("moment", "zone", "value", "offset"),
    [
        (START, UTC, datetime(2026, 5, 1, 10), "UTC"),  # noqa: DTZ001 # a cell has no zone
        (START, BERLIN, datetime(2026, 5, 1, 12), "+02:00"),  # noqa: DTZ001 # as above
        (START, ZoneInfo("America/St_Johns"), datetime(2026, 5, 1, 7, 30), "-02:30"),  # noqa: DTZ001 # as above
        # The hour that comes twice.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN, datetime(2026, 10, 25, 2, 30), "+02:00"),  # noqa: DTZ001 # as above
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, datetime(2026, 10, 25, 2, 30), "+01:00"),  # noqa: DTZ001 # as above
    ],
)
def test_times_are_times_of_the_zone(
    tmp_path: Path, moment: datetime, zone: tzinfo, value: datetime, offset: str
) -> None:
    moment, value = (at + timedelta(milliseconds=250) for at in (moment, value))
    cell = row_of(tmp_path / "c.xlsx", evolve(RECORD, start_time=moment), zone)[1]
    assert (cell.value, cell.is_date) == (value, True)
    assert cell.number_format == f'yyyy-mm-dd hh:mm:ss.000 "{offset}"'


def test_what_the_format_cannot_hold_is_text(tmp_path: Path) -> None:
    early = datetime(1899, 12, 31, tzinfo=UTC)
    row = row_of(tmp_path / "c.xlsx", evolve(RECORD, start_time=early, duration=10**15, src="a\r\nb\0c"))
    assert [row[place].value for place in (1, 2, 4)] == ["1899-12-31T00:00:00.000Z", "1000000000000000", "a\nb\ufffdc"]


def test_a_text_that_is_too_long_is_cut_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.xlsx"
    texts = ["x" * CELL, "x" * (CELL + 1), "\U0001f600" * CELL]
    assert written(path, [evolve(RECORD, src=text) for text in texts]) == 2
    cells = [row[4].value for row in sheets_of(path)[0][1:]]
    assert cells[0] == texts[0]
    assert [len(cell.encode("utf-16-le")) // 2 <= CELL for cell in cells] == [True] * 3
    assert [cell[-1] for cell in cells] == ["x", "\u2026", "\u2026"]


@pytest.mark.parametrize(("count", "sheets"), [(0, [1]), (2, [3]), (3, [3, 2]), (5, [3, 3, 2])])
def test_a_full_sheet_is_followed_by_the_next(tmp_path: Path, count: int, sheets: list[int]) -> None:
    path = tmp_path / "c.xlsx"
    written(path, [evolve(RECORD, id=f"{number}") for number in range(count)], rows=3)
    read = sheets_of(path)
    assert [len(sheet) for sheet in read] == sheets
    assert all(sheet[0][0].value == "id" for sheet in read)
    assert [row[0].value for sheet in read for row in sheet[1:]] == [f"{number}" for number in range(count)]


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        written(tmp_path / name, [RECORD], BERLIN)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20))
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    # The format has its own escapes, which this reader leaves as they are.
    cell = row_of(tmp_path_factory.mktemp("book") / "c.xlsx", evolve(RECORD, src=text))[4]
    assert (cell.value or "") == text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


# The package leaves its own files open then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xlsxwriter.workbook.ZipFile", full)
    with pytest.raises(UnwritableError, match=r"c\.xlsx: .*No space left on device"):
        written(tmp_path / "c.xlsx", [RECORD])
    gc.collect()


def test_without_its_package_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(UnusableError, match=r"needs the extra `xlsx`: pip install 'unlimcall-async\[xlsx\]'"):
        check_installed()
