"""The page of a report: one file that loads nothing, with sums and no record, and with nothing of the server's that could run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from unlimcall_async import AsyncClient, CallRecord
from unlimcall_async.report import CallReport
from unlimcall_async.sandbox import Sandbox, generate_traffic

pytestmark = pytest.mark.own_rules

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=3)
HOSTILE = "</script><script>alert(1)</script><!--\u2028\"'&"


class Page(HTMLParser):
    """The texts, the scripts and the addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.policy = ""
        self.texts: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        facts = dict(attrs)
        self.addresses += [facts[name] or "" for name in ("src", "href", "action", "data") if name in facts]
        if facts.get("http-equiv") == "Content-Security-Policy":
            self.policy = facts["content"] or ""

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 # the parser calls it so
        self._in = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._in == "script" else self.texts).append(data)


def report_of(*records: CallRecord, **options: Any) -> CallReport:
    report = CallReport(**options)
    for record in records:
        report.add(record)
    return report


def call(**fields: Any) -> CallRecord:
    return CallRecord(id="1", start_time=START, duration=60, billsec=60, **{"disposition": "ANSWERED", **fields})


@pytest.mark.slow
def test_the_page_loads_nothing_and_runs_its_own_scripts_alone() -> None:
    page = Page(report_of(call()).html())
    assert page.addresses == ["#charts"]
    data, *scripts = page.scripts
    json.loads(data)
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert len(scripts) == 2
    assert set(re.findall(r"'sha256-([^']+)'", page.policy)) == hashes
    assert page.policy.startswith("default-src 'none';")


@pytest.mark.slow
def test_no_text_of_the_server_or_of_the_title_can_run() -> None:
    report = CallReport(HOSTILE)
    report.add(call(country=HOSTILE, sip_username=HOSTILE, currency=HOSTILE, sell_price_cents=1))
    page = Page(report.html())
    assert len(page.scripts) == 3
    assert json.loads(page.scripts[0])["cube"]["lines"] == [HOSTILE.replace("\u2028", "\ufffd")]
    assert HOSTILE.replace("\u2028", "\ufffd") in "".join(page.texts)


@pytest.mark.slow
def test_no_phone_number_is_in_the_file() -> None:
    numbers = ["+14155550100", "+442079460812"]
    report = report_of(
        *[call(src=number, dst=number, sip_username=number, did=number, country=number) for number in numbers]
    )
    page = report.html()
    assert not any(number[1:] in page for number in numbers)
    assert json.loads(Page(page).scripts[0])["cube"]["lines"] == ["(number 1)", "(number 2)"]


@pytest.mark.slow
def test_the_totals_are_there_without_javascript() -> None:
    texts = "".join(
        Page(
            report_of(
                call(sell_price_cents=250, currency="USD"),
                call(disposition="FAILED", sell_price_cents=1, currency="EUR"),
            ).html(start=START, end=END)
        ).texts
    )
    for text in (
        "Calls",
        "2026-05-01 00:00 till 2026-05-04 00:00 (UTC)",
        "50.0\u00a0%",
        "2.50 USD",
        "0.01 EUR",
        "60 s",
    ):
        assert text in texts


@pytest.mark.slow
def test_days_are_those_of_the_zone() -> None:
    report = report_of(call(), zone=ZoneInfo("America/New_York"))
    page = Page(report.html(start=START, end=END))
    assert json.loads(page.scripts[0])["cube"]["starts"] == ["2026-04-30"]
    assert "2026-04-30 20:00 till 2026-05-03 20:00 (EDT)" in "".join(page.texts)


@pytest.mark.slow
def test_a_range_over_a_change_of_the_clocks_has_both_names_of_its_zone() -> None:
    page = report_of(zone=ZoneInfo("Europe/Berlin")).html(start=START, end=START + timedelta(days=200))
    assert "2026-05-01 02:00 (CEST) till 2026-11-17 01:00 (CET)" in page


def test_a_range_that_the_zone_cannot_hold_is_in_utc() -> None:
    first = datetime.min.replace(tzinfo=UTC)
    page = report_of(zone=ZoneInfo("America/New_York")).html(start=first, end=START)
    assert "0001-01-01 00:00 (UTC) till 2026-04-30 20:00 (EDT)" in page


@pytest.mark.slow
async def test_the_manifest_says_why_nothing_is_missing() -> None:
    async with Sandbox(rate_limits={}) as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.add_calls(generate_traffic(200, start=START, end=END, seed=1))
        stream = client.cdrs.stream(START, END)
        report = report_of(*[record async for record in stream])
        manifest = stream.manifest
    texts = "".join(Page(report.html(manifest=manifest)).texts)
    assert "nothing of the range is left out: 1 short, 0 sought." in texts
    assert manifest.total.digest in texts
    assert all(each in texts for each in manifest.assumptions)
    assert "of another range" not in texts
    report.add(call())
    assert "This report counts 201 records, so it is of another range" in "".join(
        Page(report.html(manifest=manifest)).texts
    )
    assert "cannot say that none is missing" in "".join(Page(report.html()).texts)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"manifest": 3}, TypeError, "manifest must be a Manifest"),
        ({"start": datetime(2026, 5, 1)}, ValueError, "start"),  # noqa: DTZ001 # that is the fault
        ({"start": END, "end": START}, ValueError, "end"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        CallReport().html(**options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"title": 3}, TypeError, "title must be a str"),
        ({"title": "\ud800"}, ValueError, "title must not hold half of a surrogate pair"),
        ({"zone": "UTC"}, TypeError, "zone must be a tzinfo"),
    ],
)
def test_a_wrong_option_is_named_before_the_first_record(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        CallReport(**options)


def test_a_report_without_calls_is_a_page_too() -> None:
    page = Page(CallReport().html())
    assert json.loads(page.scripts[0])["cube"]["by_day"] == [[]] * 8
    assert repr(CallReport()) == "<CallReport of 0 attempts>"
