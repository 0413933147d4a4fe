"""Files of a pull that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl  # type: ignore[import-untyped] # it has no types
import pytest

from unlimcall_async.cli.formulas import guarded
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status, generate_traffic

from .support import START, made, names_in, run, running, until

MAY = ["--from", "2026-05-01", "--till", "2026-06-01"]
DAY = ["--from", "2026-05-01", "--till", "2026-05-02"]
# Names that callers may choose.
NAMES = [
    *(
        "=1+1",
        "\n=1+1",
        "\0",
        "\uff1d1+1",
        "@SUM(1)",
        "-2+3",
        "+1 (415) 555-0100",
        "a;=1",
        'x"&HYPERLINK("http://e")&"',
    ),
    *("\u00d6sterreich", "TRUE", "1E5", "1-2", " =1", "'=1", "\t=1", '"', "NA", "1.10", "00123"),
]
CALLS = [
    *(
        SandboxCall(id=f"17{n}.10", start_time=START + timedelta(minutes=n), src=name, country="NA")
        for n, name in enumerate(NAMES)
    ),
    *generate_traffic(200, start=START + timedelta(hours=1), end=START + timedelta(days=30)),
]


async def pulled(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Pull into a file, and return the records as NDJSON has them."""
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, *arguments, cwd=folder)
        assert status == 0, err
        _, out, _ = await run(sandbox, "cdrs", "pull", *MAY)
    return [json.loads(line) for line in out.splitlines()]


async def test_a_workbook_has_what_the_api_has(tmp_path: Path) -> None:
    records = await pulled(tmp_path, "--out", "c.xlsx", "--tz", "Asia/Tokyo")
    assert names_in(tmp_path) == ["c.xlsx", "c.xlsx.checkpoint", "c.xlsx.manifest.json"]
    head, *rows = openpyxl.load_workbook(tmp_path / "c.xlsx").active.iter_rows(values_only=True)
    assert head == (*records[0], "extra")
    assert len(rows) == len(records) == len(CALLS)
    for row, record in zip(rows, records, strict=True):
        moment = datetime.fromisoformat(record.pop("start_time")).astimezone(ZoneInfo("Asia/Tokyo"))
        read = dict(zip(head, row, strict=True))
        assert read.pop("start_time") == moment.replace(tzinfo=None)
        assert read == {**record, "src": record["src"] and record["src"].replace("\0", "\ufffd"), "extra": None}


async def test_csv_for_excel_has_nothing_that_excel_would_change(tmp_path: Path) -> None:
    records = await pulled(tmp_path, "--out", "c.csv", "--for", "excel", "--tz", "Asia/Tokyo")
    content = (tmp_path / "c.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfid,")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [re.fullmatch(r'="(.*)"', row["id"])[1] for row in rows] == [record["id"] for record in records]  # type: ignore[index] # it matches
    assert [row["dst"].strip('="') for row in rows] == [record["dst"] for record in records]
    for row in rows:
        assert datetime.fromisoformat(row["start_time"]).tzinfo is None
        for name in ("id", "src", "dst", "disposition", "sip_username", "currency", "country", "did", "extra"):
            assert row[name] == "" or re.fullmatch(r'="([^"]|"")*"', row[name])
        for name in ("duration", "billsec", "sell_price_cents"):
            assert re.fullmatch(r"[0-9]*", row[name])


async def test_csv_is_exact_for_programs(tmp_path: Path) -> None:
    records = await pulled(tmp_path, "--out", "c.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text(), newline="")))
    assert [row["id"] for row in rows] == [record["id"] for record in records]
    assert [row["src"] for row in rows] == [guarded(record["src"] or "") for record in records]
    assert sum(row["src"] != (record["src"] or "") for row, record in zip(rows, records, strict=True)) == 9
    for name in ("dst", "country", "start_time"):
        assert [row[name] for row in rows] == [record[name] or "" for record in records]


async def test_standard_output_may_be_for_excel() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        _, out, _ = await run(sandbox, "cdrs", "pull", *MAY, "--for", "excel")
    assert out.startswith("\ufeffid,start_time,")
    assert '"=""17.0""",2026-05-01 00:00:00,' in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--out", "c.xlsx"], ["--out", "c", "--format", "xlsx"], ["--out", "c.xlsx", "--for", "excel"]]
)
async def test_a_workbook_goes_on(tmp_path: Path, arguments: list[str]) -> None:
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        status, _, err = await run(sandbox, "cdrs", "pull", *DAY, *arguments, cwd=tmp_path)
        assert (status, names_in(tmp_path)) == (
            3,
            [f"{arguments[1]}.{ending}" for ending in ("checkpoint", "manifest.json.part", "part")],
        ), err
        again, _, err = await run(sandbox, "cdrs", "pull", "--out", arguments[1], "--resume", cwd=tmp_path)
        ended, _, _ = await run(sandbox, "cdrs", "pull", "--out", arguments[1], "--resume", cwd=tmp_path)
        await run(sandbox, "cdrs", "pull", *DAY, "--out", "whole.xlsx", cwd=tmp_path)
    assert (again, ended) == (0, 0)
    size = (tmp_path / arguments[1]).stat().st_size
    assert f"100 records in {arguments[1]}, {size:,} bytes." in err
    assert (tmp_path / arguments[1]).read_bytes() == (tmp_path / "whole.xlsx").read_bytes()


@pytest.mark.slow
async def test_a_signal_while_the_workbook_is_written_is_heard(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30_000, apart=timedelta(seconds=1)))
        pull = ["cdrs", "pull", *MAY, "--rate", "6000"]
        async with running(sandbox, *pull, "--out", "c.xlsx", cwd=tmp_path) as process:
            await until(
                lambda: any(
                    name.endswith(".new") and name.startswith("c.xlsx.") and (tmp_path / name).is_dir()
                    for name in names_in(tmp_path)
                )
            )
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
    again = b"To continue: unlimcall cdrs pull --rate 6000 --out c.xlsx --resume\n"
    assert (process.returncode, again in err) == (143, True)
    assert names_in(tmp_path) == ["c.xlsx.checkpoint", "c.xlsx.manifest.json.part", "c.xlsx.part"]


async def test_without_the_extra_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.xlsx", cwd=tmp_path)
        assert sandbox.requests == []
    assert (status, "needs the extra `xlsx`: pip install 'unlimcall-async[xlsx]'" in err, names_in(tmp_path)) == (
        2,
        True,
        [],
    )


async def test_a_text_that_was_cut_is_told(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 5, 1, tzinfo=UTC), src="x" * 40_000)])
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.xlsx", cwd=tmp_path)
    assert (status, "A text is longer than a cell of c.xlsx can hold, and was cut.\n" in err) == (0, True)
