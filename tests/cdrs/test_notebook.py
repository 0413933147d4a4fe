"""What a notebook shows of a page, a stream and a follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import AsyncClient, CallRecord, CdrFollow, CdrPage, CdrStream
from unlimcall_async.sandbox import Sandbox, SandboxCall

NOW = datetime(2026, 5, 24, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"'&\u202e\x00"


class Cells(HTMLParser):
    """Reads a table: its rows, and the kinds of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.kinds: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(tag)
        assert attrs == []
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def record(number: int, **fields: str) -> CallRecord:
    return CallRecord(f"{number}", NOW, 60, 50, sell_price_cents=7, **fields)  # type: ignore[arg-type] # texts


def read(shown: CdrPage | CdrStream | CdrFollow) -> Cells:
    return Cells(shown._repr_html_())


def test_a_page_is_a_table_of_its_first_rows() -> None:
    page = CdrPage(1500, tuple(record(number, src="+14155550100") for number in range(1000)), complete=False)
    cells = read(page)
    head, *rows = cells.rows
    assert head[:5] == ["id", "start_time", "duration", "billsec", "src"]
    assert len(rows) == 20
    assert rows[0][:5] == ["0", "2026-05-24 12:00:00+00:00", "60", "50", "+14155550100"]
    assert cells.text.startswith("CdrPage: 1,000 of 1,500, records may be missing")
    assert "and 980 more" in cells.text


def test_a_page_without_records_is_a_table_without_rows() -> None:
    cells = read(CdrPage(0, (), complete=True))
    assert (len(cells.rows), "more" in cells.text, "complete" in cells.text) == (1, False, True)


def test_fields_that_the_api_adds_have_a_column_if_there_are_any() -> None:
    known, new = record(1), CallRecord("2", NOW, 1, 1, extra={"<b>": "x"})
    assert read(CdrPage(1, (known,), complete=True)).rows[0][-1] == "did"
    cells = read(CdrPage(2, (known, new), complete=True))
    assert (cells.rows[0][-1], cells.rows[2][-1]) == ("extra", "{'<b>': 'x'}")


@given(st.text(st.characters(codec="utf-8")) | st.just(EVIL))
def test_no_text_of_the_server_is_markup(text: str) -> None:
    cells = read(CdrPage(1, (record(1, src=text, country=text),), complete=True))
    assert cells.kinds == {"div", "b", "table", "thead", "tbody", "tr", "th", "td"}
    expected = "".join(character if character.isprintable() else "\ufffd" for character in text[:120])
    assert cells.rows[1][4].removesuffix("\u2026") == expected


@pytest.mark.parametrize("length", [120, 121, 16_000])
def test_a_long_text_is_cut(length: int) -> None:
    shown = read(CdrPage(1, (record(1, src="x" * length),), complete=True)).rows[1][4]
    assert shown == ("x" * length if length == 120 else f"{'x' * 120}\u2026")


async def test_a_stream_and_a_follow_show_how_far_they_are() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id=f"{hour}", start_time=NOW - timedelta(hours=hour)) for hour in (1, 2)])
        async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
            stream = client.cdrs.stream(NOW - timedelta(days=2), NOW)
            records = aiter(stream)
            await anext(records)
            during = {row[0]: row[1] for row in read(stream).rows}
            assert [record.id async for record in records] == ["1"]
            after = {row[0]: row[1] for row in read(stream).rows}
            follow = client.cdrs.follow(NOW - timedelta(days=2))
            assert sandbox.token not in follow._repr_html_()
            followed = {row[0]: row[1] for row in read(follow).rows}
            assert sandbox.token not in stream._repr_html_()
    assert (during["records"], during["waits for"]) == ("1", "reader")
    assert (after["done"], after["records"], "waits for" in after) == ("100 %", "2", False)
    assert (followed["from"], followed["records"]) == ("2026-05-22 12:00:00+00:00", "0")
