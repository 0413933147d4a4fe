"""A pull into a Parquet file."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pyarrow import parquet  # type: ignore[import-untyped] # it has no types

from unlimcall_async import from_dict
from unlimcall_async._columns import to_records
from unlimcall_async.columns import SCHEMA
from unlimcall_async.models import CallRecord
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status, generate_traffic

from .support import START, made, names_in, run

MAY = ["--from", "2026-05-01", "--till", "2026-06-01"]
DAY = ["--from", "2026-05-01", "--till", "2026-05-02"]
CALLS = [
    *generate_traffic(500, start=START, end=START + timedelta(days=20), kind="legs"),
    *(SandboxCall(id="equal", start_time=START) for _ in range(3)),
    SandboxCall(id="odd", start_time=START, src="\0", country="\u2028é😀"),
]


def records_in(path: Path) -> list[CallRecord]:
    table = parquet.read_table(path)
    assert table.schema.equals(SCHEMA)
    return [record for batch in table.to_batches() for record in to_records(batch)]


async def test_a_file_has_what_the_api_has(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        status, out, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.parquet", "--json", cwd=tmp_path)
        assert status == 0, err
        _, lines, _ = await run(sandbox, "cdrs", "pull", *MAY)
    assert names_in(tmp_path) == ["c.parquet", "c.parquet.checkpoint", "c.parquet.manifest.json"]
    path = tmp_path / "c.parquet"
    assert records_in(path) == [from_dict(CallRecord, json.loads(line)) for line in lines.splitlines()]
    summary: dict[str, Any] = json.loads(out)
    assert (summary["records"], summary["bytes"]) == (len(CALLS), path.stat().st_size)
    assert len(pl.read_parquet(path)) == len(CALLS)
    assert duckdb.read_parquet(str(path)).aggregate("count(*)").fetchall() == [(len(CALLS),)]


async def test_an_empty_range_makes_a_file_without_rows(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.parquet", cwd=tmp_path)
    assert records_in(tmp_path / "c.parquet") == []


@pytest.mark.slow
async def test_a_pull_that_was_stopped_goes_on(tmp_path: Path) -> None:
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        status, _, err = await run(sandbox, "cdrs", "pull", *DAY, "--out", "c", "--format", "parquet", cwd=tmp_path)
        assert (status, names_in(tmp_path)) == (3, ["c.checkpoint", "c.manifest.json.part", "c.part"]), err
        again, _, err = await run(sandbox, "cdrs", "pull", "--out", "c", "--resume", cwd=tmp_path)
        ended, _, _ = await run(sandbox, "cdrs", "pull", "--out", "c", "--resume", cwd=tmp_path)
        await run(sandbox, "cdrs", "pull", *DAY, "--out", "whole.parquet", cwd=tmp_path)
    assert (again, ended) == (0, 0)
    assert f"100 records in c, {(tmp_path / 'c').stat().st_size:,} bytes." in err
    assert (tmp_path / "c").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


async def test_a_part_that_was_changed_is_told(tmp_path: Path) -> None:
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        await run(sandbox, "cdrs", "pull", *DAY, "--out", "c.parquet", cwd=tmp_path)
        part = tmp_path / "c.parquet.part"
        part.write_bytes(part.read_bytes().replace(b"17.1", b"18.1", 1))
        status, _, err = await run(sandbox, "cdrs", "pull", "--out", "c.parquet", "--resume", cwd=tmp_path)
    assert (status, "c.parquet.part is not as" in err) == (2, True)


async def test_each_pull_into_a_folder_writes_a_file(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        for till in ("2026-05-10", "2026-06-01"):
            arguments = ["--from", "2026-05-01", "--till", till, "--since-last", "--format", "parquet"]
            status, _, err = await run(sandbox, "cdrs", "pull", *arguments, "--out", str(tmp_path))
            assert status == 0, err
    files = [tmp_path / name for name in names_in(tmp_path) if name.endswith(".parquet")]
    assert len(files) == 2
    assert len(pl.read_parquet(tmp_path / "*.parquet")) == sum(len(records_in(file)) for file in files) == len(CALLS)


async def test_without_the_extra_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.parquet", cwd=tmp_path)
        assert sandbox.requests == []
    assert (status, "needs the extra `arrow`: pip install 'unlimcall-async[arrow]'" in err, names_in(tmp_path)) == (
        2,
        True,
        [],
    )
