"""The summary of the demo."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import click
import pytest
from attrs import evolve
from rich.cells import cell_len

from unlimcall_async import CallRecord, StreamStats
from unlimcall_async.cli import demo_report as report
from unlimcall_async.cli.comparison import Comparison
from unlimcall_async.cli.wording import share
from unlimcall_async.operations import CallSummary

RECORD = CallRecord(id="1", start_time=datetime(2025, 1, 1, tzinfo=UTC), duration=2, billsec=1)


STATS = StreamStats(
    requests=15, records=3, duplicates=1, full_pages=2, retries=3, min_requests=12, waited_s=1234.56, strategy="divide"
)


SAME = Comparison(3, 0, 0, 0, 0, 0, "")


SCALE = report.RateScale(per_minute=60, minute=2.0)


def sold(
    country: str | None, cents: int | None, currency: str | None = "USD", how: str | None = "ANSWERED"
) -> CallRecord:
    return evolve(RECORD, country=country, sell_price_cents=cents, currency=currency, disposition=how)


def totals(records: Iterable[CallRecord]) -> CallSummary:
    calls = CallSummary(report.GROUPS)
    for record in records:
        calls.add(record)
    return calls


def test_a_limit_of_real_minutes() -> None:
    assert [SCALE.real_seconds(requests) for requests in (1, 60, 61, 616)] == [0, 0, 60, 600]


def test_money_is_exact_and_grouped() -> None:
    assert report.money(Decimal("1234567890123456.78"), "USD") == "1,234,567,890,123,456.78 USD"
    assert [report.money(Decimal(text), "EUR") for text in ("0.05", "-1.5", "0")] == [
        "0.05 EUR",
        "-1.50 EUR",
        "0.00 EUR",
    ]


def test_times_read_as_people_say_them() -> None:
    times = [0.4, 59, 60, 400, 3600, 100_000, 10_000_000]
    assert [report.duration(time) for time in times] == [
        *("0 s", "59 s", "1 min", "6 min 40 s", "1 h 0 min", "27 h 46 min", "2,777 h 46 min")
    ]


def test_spend_is_by_country_and_currency() -> None:
    records = [sold("A", 100), sold("A", None), sold("B", 300), sold("A", 7, "EUR"), sold(None, 0, None)]
    assert report.spend(totals(records)) == [
        ("B", "1 call", "3.00 USD", "75.0%"),
        ("A", "2 calls", "1.00 USD", "25.0%"),
        ("A", "1 call", "0.07 EUR", "100.0%"),
        ("(no country)", "1 call", "0.00 (no currency)", "-"),
        ("total", "1 call", "0.00 (no currency)", "-"),
        ("total", "1 call", "0.07 EUR", "100.0%"),
        ("total", "3 calls", "4.00 USD", "100.0%"),
    ]


def test_spend_has_ten_countries_and_the_rest() -> None:
    rows = report.spend(totals(sold(f"C{number:02}", 100 - number) for number in range(13)))
    assert [row[0] for row in rows] == [*(f"C{number:02}" for number in range(10)), "(other)", "total"]
    assert rows[10] == ("(other)", "3 calls", "2.67 USD", share(267, 1222))


def test_dispositions_have_shares() -> None:
    records = [sold("A", 1, how=how) for how in ("BUSY", "ANSWERED", "ANSWERED", None)]
    assert report.dispositions(totals(records)) == [
        ("ANSWERED", "2 calls", "50.0%"),
        ("BUSY", "1 call", "25.0%"),
        ("(none)", "1 call", "25.0%"),
    ]


def test_the_summary_tells_everything() -> None:
    faults = {"503": 1, "reset": 2}
    pull = report.Pull(totals([sold("A", 100)] * 3), STATS, 1.5, attempts=18, refused=0, faults=faults)
    text = click.unstyle(report.summary(pull, SAME, scale=SCALE, file="x.csv, 1.0 MB"))
    for line in (
        "Pulled     3 records in 1.5 s, 2 a second",
        "Requests   15, which is 1.25 times the fewest possible, 12\n           strategy divide: 2 full pages, 1 row received",
        "Waits      68.59 s each, on average, for the rate limit; no request went beyond it",
        "Faults     3 faults survived with 3 further attempts\n           reset x2, 503 x1",
        "Checked    every record in the store is there once, in order, unaltered (3)",
        "File       x.csv, 1.0 MB",
        "The rate limit's minute lasts 2 s here; with a real minute, this takes about 2 s.",
    ):
        assert line in text


def test_what_the_limit_refused_is_told() -> None:
    pull = report.Pull(totals([]), STATS, 1.5, attempts=18, refused=2, faults={"429": 1})
    text = click.unstyle(report.summary(pull, SAME, scale=SCALE, file="x.csv"))
    assert "for the rate limit; 2 requests went beyond it" in text


def test_a_failed_check_says_how_many_and_the_first() -> None:
    assert report.verdict(Comparison(1000, 1, 0, 0, 0, 1200, "then, id 17: missing")) == (
        "NOT the 1,000 records of the sandbox's store: 1 missing, 1,200 out of order\nthe first: then, id 17: missing",
        "red",
    )


@pytest.mark.parametrize("width", [120, 60, 40])
def test_the_summary_fits_the_terminal(width: int) -> None:
    records = [sold(country, 123_456) for country in ("日本", "A country with a name of many words", "C")] * 3
    pull = report.Pull(totals(records), STATS, 1.5, attempts=18, refused=0, faults={"503": 1, "reset": 2})
    text = click.unstyle(report.summary(pull, SAME, scale=SCALE, file="x" * 100, width=width))
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.count("x") >= 100
