"""`unlimcall cdrs summary`, with records of the API, of a file, and of a sync's table."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from unlimcall_async import CallRecord
from unlimcall_async.cli import tables
from unlimcall_async.cli.summary_table import bar, in_order, table
from unlimcall_async.operations import CallSummary
from unlimcall_async.sandbox import Sandbox, SandboxCall

from .spoiled import spoiled
from .support import Ended, in_this_process, run

START = datetime(2026, 5, 1, tzinfo=UTC)
RANGE = ["--from", "2026-05-01", "--till", "2026-05-03"]


def calls(count: int = 60) -> list[SandboxCall]:
    return [
        SandboxCall(
            id=f"17.{number}",
            start_time=START + number * timedelta(minutes=48),
            duration=120,
            billsec=90 if number % 2 else 0,
            disposition="ANSWERED" if number % 2 else "BUSY",
            country=("Germany", "=1+1", None)[number % 3],
            currency=("USD", "EUR")[number % 2],
            sell_price_cents=number,
        )
        for number in range(count)
    ]


def filled() -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_calls(calls())
    return sandbox


async def test_a_table_has_a_row_for_each_group_and_the_total() -> None:
    async with filled() as sandbox:
        status, out, _ = await run(sandbox, "cdrs", "summary", *RANGE, "--by", "country")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["country", "calls", "ASR", "ACD", "minutes", "failed", "spend"]
    assert lines[2] == ["Germany", "20", "50.0%", "90", "s", "15", "0.00%", "3.00", "EUR,", "2.70", "USD"]
    assert [line[0] for line in lines[1:]] == ["=1+1", "Germany", "(none)", "all"]
    assert lines[-1][1] == "60"


async def test_the_api_a_file_and_a_table_give_the_same_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = list[Ended]()
    async with filled() as sandbox:
        for name in ("c.ndjson", "c.csv", "c.parquet"):
            assert (await run(sandbox, "cdrs", "pull", *RANGE, "--out", name))[0] == 0
            said.append(await run(None, "cdrs", "summary", name, "--by", "day,country", "--json"))
        assert (await run(sandbox, "cdrs", "sync", *RANGE, "--to", "sqlite:///c.db"))[0] == 0
        said.append(await run(sandbox, "cdrs", "summary", *RANGE, "--by", "day,country", "--json"))
    said.append(await run(None, "cdrs", "summary", "sqlite:///c.db", "--by", "day,country", "--json"))
    outs = [[json.loads(line) for line in out.splitlines()] for _, out, _ in said]
    assert all(status == 0 for status, _, _ in said)
    assert all(out == outs[0] for out in outs[1:])
    assert outs[0][0] == {
        "day": "2026-05-01",
        "country": "=1+1",
        "attempts": 10,
        "answered": 5,
        "failed": 0,
        "answer_rate": 0.5,
        "failure_rate": 0.0,
        "mean_length_s": 90.0,
        "billed_s": 450,
        "spend": {"EUR": "0.65", "USD": "0.80"},
        "unpriced": 0,
    }


async def test_a_range_cuts_a_file_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with filled() as sandbox:
        await run(sandbox, "cdrs", "pull", *RANGE, "--out", "c.ndjson")
        await run(sandbox, "cdrs", "sync", *RANGE, "--to", "sqlite:///c.db")
    for what in ("c.ndjson", "sqlite:///c.db"):
        _, out, _ = await run(None, "cdrs", "summary", what, "--from", "2026-05-02", "--json")
        assert json.loads(out)["attempts"] == 30
        _, out, _ = await run(None, "cdrs", "summary", what, "--till", "2026-05-01T00:48", "--json")
        assert json.loads(out)["attempts"] == 1


async def test_days_are_those_of_the_zone() -> None:
    async with filled() as sandbox:
        _, out, _ = await run(
            sandbox,
            *("cdrs", "summary", "--from", "2026-05-01T00:00Z", "--till", "2026-05-03T00:00Z"),
            *("--by", "day", "--tz", "America/New_York", "--json"),
        )
    assert [json.loads(line)["day"] for line in out.splitlines()] == ["2026-04-30", "2026-05-01", "2026-05-02"]


async def test_csv_has_a_column_for_each_currency_and_no_formula() -> None:
    async with filled() as sandbox:
        _, out, _ = await run(sandbox, "cdrs", "summary", *RANGE, "--by", "country", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["country"] for row in rows] == ["'=1+1", "Germany", ""]
    assert (rows[1]["spend_EUR"], rows[1]["spend_USD"]) == ("3.00", "2.70")


async def test_rows_that_cannot_be_read_are_counted_and_make_the_status_1() -> None:
    async with filled() as sandbox, spoiled(sandbox, {b'"17.5"': b"17.5"}) as url:
        status, out, err = await run(sandbox, "cdrs", "summary", *RANGE, "--json", UNLIMCALL_BASE_URL=url)
    assert (status, json.loads(out)["attempts"]) == (1, 59)
    assert "1 row of the API could not be read, and is left out." in err


async def test_the_future_is_left_out() -> None:
    async with filled() as sandbox:
        status, out, err = await run(
            sandbox, "cdrs", "summary", "--from", "2026-05-01", "--till", "2999-01-01", "--json"
        )
        assert (status, json.loads(out)["attempts"]) == (0, 60)
        assert "--till is in the future: the range ends now" in err
        for command in ("cdrs summary", "health"):
            for end in ([], ["--till", "2999-01-02"]):
                status, _, err = await run(sandbox, *command.split(), "--from", "2999-01-01", *end)
                assert (status, "--from 2999-01-01 is in the future" in err) == (2, True), err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["c.ndjson", "--by", "month"], "'month' is not one of day"),
        (["c.ndjson", "--by", "day,day"], "'day' is there twice"),
        (["c.ndjson", "--csv", "--json"], "--csv and --json exclude each other"),
        (["c.ndjson", "--account", "a"], "--account and --table are for the URL of a table"),
        (["c.ndjson", "--from", "2026-05-02", "--till", "2026-05-01"], "--from is after --till"),
        (["missing.ndjson"], "missing.ndjson"),
        (["sqlite:///missing.db"], "sqlite:///missing.db: there is no such file"),
        (["c.manifest.json"], "c.manifest.json is a manifest, which holds no records"),
    ],
)
def test_a_wrong_option_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.ndjson").touch()
    Path("c.manifest.json").touch()
    status, out, err = in_this_process("cdrs", "summary", *arguments)
    assert (status, out) == (2, "")
    assert words in err


def test_no_calls_are_a_line_and_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.ndjson").touch()
    arguments = ["cdrs", "summary", "c.ndjson", "--by", "day"]
    assert in_this_process(*arguments) == (0, "", "No calls.\n")
    assert in_this_process(*arguments, "--quiet") == (0, "", "")


def test_csv_without_a_row_has_the_names_of_all_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.ndjson").touch()
    _, out, _ = in_this_process("cdrs", "summary", "c.ndjson", "--by", "day", "--csv")
    head = "day,attempts,answered,failed,answer_rate,failure_rate,mean_length_s,billed_s,unpriced"
    assert out.splitlines() == [head]


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (120, ["country", "calls", "", "ASR", "ACD", "minutes", "failed", "spend"]),
        (80, ["country", "calls", "ASR", "ACD", "minutes", "failed", "spend"]),
        (60, ["country", "calls", "ASR", "ACD", "failed", "spend"]),
    ],
)
def test_a_narrow_terminal_loses_the_bars_and_then_the_minutes(width: int, head: list[str]) -> None:
    summary = CallSummary(("country",))
    for country in ("United Kingdom", "Germany"):
        record = CallRecord(
            id="1", start_time=START, duration=1, billsec=1, country=country, sell_price_cents=1_234_567, currency="USD"
        )
        summary.add(record)
    found, rows, sides = table(summary.by, summary.rows(), summary.total, width)
    assert (found, len(sides), len(rows)) == (head, len(head), 3)
    shown = tables.table(found, rows, width=width, sides=sides)
    assert max(map(len, click.unstyle(shown).splitlines())) <= width
    # Nothing is folded.
    assert len(shown.splitlines()) == 5


def test_a_bar_is_as_long_as_its_part() -> None:
    assert [bar(part, 96) for part in (0, 1, 8, 12, 96)] == ["", "▏", "█", "█▌", "█" * 12]
    assert bar(0, 0) == ""


def test_groups_of_time_are_in_order_of_time() -> None:
    summary = CallSummary(("day",))
    assert in_order(("day",), summary.rows()) == []
