"""CSV that Excel opens with a double click."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.cli.excel_csv import CELL, HEAD, lines
from unlimcall_async.cli.formats import FIELDS

START = datetime(2026, 5, 1, 10, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
RECORD = CallRecord(id="1714.10", start_time=START, duration=2, billsec=1, src="+14155550100")

# What Excel reads of a cell that is a formula of quoted texts: it takes at most 255 characters in quotes.
_QUOTED = re.compile(r'="(?:[^"]|""){0,255}"(?:&"(?:[^"]|""){0,255}")*')


def cells(record: CallRecord, zone: ZoneInfo = BERLIN) -> list[str]:
    (row,) = csv.reader(io.StringIO(lines([record], zone), newline=""))
    return row


def shown(cell: str) -> str:
    """The text that Excel shows."""
    assert _QUOTED.fullmatch(cell), cell
    return "".join(re.findall(r'"((?:[^"]|"")*)"(?:&|$)', cell[1:])).replace('""', '"')


def test_ids_and_numbers_are_texts() -> None:
    row = cells(RECORD)
    assert row[:6] == ['="1714.10"', "2026-05-01 12:00:00", "2", "1", '="+14155550100"', ""]
    assert HEAD.startswith("\ufeffid,start_time,")


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (START, "2026-05-01 12:00:00"),
        (START + timedelta(milliseconds=250), "2026-05-01 12:00:00.250"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 01:00:00"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31 23:59:59.999"),
    ],
)
def test_times_are_those_of_the_zone(moment: datetime, written: str) -> None:
    assert cells(evolve(RECORD, start_time=moment))[1] == written


def test_numbers_that_excel_would_round_are_texts() -> None:
    row = cells(evolve(RECORD, duration=10**15 - 1, billsec=-(10**15)))
    assert row[2:4] == ["999999999999999", '="-1000000000000000"']


@pytest.mark.parametrize(
    "text", ["=1+1", "a;=1", 'x"&HYPERLINK("http://e")&"', '"', '""', "TRUE", "1-2", "\uff1d1", "x" * 700, '"' * 300]
)
def test_a_text_is_what_it_was(text: str) -> None:
    assert shown(cells(evolve(RECORD, src=text))[4]) == text.replace(";=", ";'=")


def test_line_ends_become_blanks() -> None:
    assert shown(cells(evolve(RECORD, src="a\r\nb\0c\td"))[4]) == "a b c d"


@pytest.mark.parametrize("length", [8_000, 20_000, CELL, CELL + 1, 100_000])
def test_a_text_too_long_for_a_formula_is_a_text_all_the_same(length: int) -> None:
    cell = cells(evolve(RECORD, src="1" * length))[4]
    if cell.startswith("="):
        assert shown(cell) == "1" * length
        assert len(cell) <= 8192
    else:
        assert cell == "'" + ("1" * length if length <= CELL else "1" * (CELL - 1) + "\u2026")


NASTY = st.text(st.sampled_from("=+-@;\"'\t\r\n\0 ,1A") | st.characters(codec="utf-8"), max_size=300)


@given(NASTY, st.dictionaries(NASTY, NASTY, max_size=2))
def test_no_text_gets_out_of_its_quotes(src: str, extra: dict[str, str]) -> None:
    record = evolve(RECORD, src=src, extra=extra)
    text = lines([record], BERLIN)
    # One line, however a spreadsheet divides lines and cells.
    assert len(text.splitlines()) == 1
    row = cells(record)
    assert len(row) == len(FIELDS) + 1
    for cell in (row[4], row[-1]):
        if cell:
            shown(cell)
    for piece in text.removesuffix("\r\n").split(";")[1:]:
        assert not piece.lstrip().startswith(("=", "+", "-", "@"))
