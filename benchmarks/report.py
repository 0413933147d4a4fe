"""What a summary and a report cost, beside pandas and polars over the same records.

    python benchmarks/report.py [--records 1000000] [--rounds 3]

Each way gets the same list of records. The report counts two summaries, and then makes the page.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd  # type: ignore[import-untyped] # without stubs
import polars as pl

from unlimcall_async import CallRecord
from unlimcall_async.operations import CallSummary
from unlimcall_async.operations.summary_rows import By
from unlimcall_async.report import CallReport, load_engine
from unlimcall_async.sandbox import generate_traffic

START = datetime(2025, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)
BY: tuple[By, ...] = ("day", "country")
FIELDS = (
    "id",
    "start_time",
    "duration",
    "billsec",
    "disposition",
    "sip_username",
    "sell_price_cents",
    "currency",
    "country",
)
COLUMNS = ("start_time", "country", "billsec", "sell_price_cents", "disposition")


def records(count: int) -> list[CallRecord]:
    """Return generated records of a year."""
    calls = generate_traffic(count, start=START, end=END, seed=1)
    return [CallRecord(**{name: getattr(call, name) for name in FIELDS}) for call in calls]


def summary(given: Sequence[CallRecord]) -> int:
    """Count the records by day and country."""
    counted = CallSummary(BY)
    for record in given:
        counted.add(record)
    return len(counted.rows())


def by_polars(given: Sequence[CallRecord]) -> int:
    """Make columns of the records, and group them by day and country."""
    frame = pl.DataFrame({name: [getattr(record, name) for record in given] for name in COLUMNS})
    grouped = frame.group_by(pl.col("start_time").dt.date(), "country").agg(
        pl.len(), (pl.col("disposition") == "ANSWERED").sum(), pl.col("billsec").sum(), pl.col("sell_price_cents").sum()
    )
    return len(grouped)


def by_pandas(given: Sequence[CallRecord]) -> int:
    """Make columns of the records, and group them by day and country."""
    frame = pd.DataFrame({name: [getattr(record, name) for record in given] for name in COLUMNS})
    frame["answered"] = frame["disposition"] == "ANSWERED"
    days = frame["start_time"].dt.floor("D").rename("day")
    grouped = frame.groupby([days, "country"], dropna=False)[["answered", "billsec", "sell_price_cents"]].sum()
    return len(grouped)


def counted_report(given: Sequence[CallRecord]) -> CallReport:
    """Count the records for a report."""
    report = CallReport()
    for record in given:
        report.add(record)
    return report


def timed(work: Callable[[], Any], rounds: int) -> float:
    """Return the median of the seconds that some work takes."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    given = records(options.records)
    engine = timed(load_engine, 1)
    ways: dict[str, Callable[[], Any]] = {
        "CallSummary by day and country": lambda: summary(given),
        "polars, from records": lambda: by_polars(given),
        "pandas, from records": lambda: by_pandas(given),
        "CallReport, counting": lambda: counted_report(given),
    }
    seconds = {name: timed(work, options.rounds) for name, work in ways.items()}
    report = counted_report(given)
    seconds["CallReport, the page"] = timed(lambda: report.html(start=START, end=END), options.rounds)
    base = seconds["CallSummary by day and country"]
    for name, taken in seconds.items():
        print(f"{name:<32} {taken:7.2f} s   {taken / base:5.2f}")
    size = len(report.html(start=START, end=END).encode())
    print(f"{options.records:,} records over {(END - START) // timedelta(days=1)} days: a page of {size / 1e6:.2f} MB")
    print(f"The engine of the charts is loaded once, in {engine:.1f} s, beside the pull.")


if __name__ == "__main__":
    main()
