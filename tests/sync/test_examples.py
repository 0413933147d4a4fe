"""The examples that keep a table up to date."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import psycopg
import pytest

from tests.examples import EXAMPLES, load
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, SandboxCall

NOW = datetime.now(UTC).replace(microsecond=0)


def call(name: str, *, hours_ago: float, **fields: Any) -> SandboxCall:
    return SandboxCall(id=name, start_time=NOW - timedelta(hours=hours_ago), **fields)


async def test_the_pull_adds_what_is_new_and_what_appeared_late(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNLIMCALL_TOKEN", sandbox.token)
    monkeypatch.setenv("UNLIMCALL_BASE_URL", sandbox.url)
    example, file = load("pull"), tmp_path / "calls.db"
    sandbox.add_calls([call("early", hours_ago=40)])
    await example.pull(str(file), NOW - timedelta(days=3))
    sandbox.add_calls([call("late", hours_ago=30), call("new", hours_ago=0.001)])
    await example.pull(str(file), NOW - timedelta(days=3))
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT id FROM cdrs ORDER BY start_time").fetchall() == [
            ("early",),
            ("late",),
            ("new",),
        ]
    assert "2 inserted, 0 revised" in capsys.readouterr().out


async def test_the_nightly_job_knows_what_the_week_cost(sandbox: Sandbox, tmp_path: Path) -> None:
    nightly, file = load("nightly"), str(tmp_path / "calls.duckdb")
    sandbox.add_calls([call("1", hours_ago=20, sell_price_cents=5), call("2", hours_ago=20, sell_price_cents=7)])
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        await nightly.sync(client, file)
    with duckdb.connect(file, read_only=True) as table:
        assert [row[2:] for row in table.sql(nightly.WEEK).fetchall()] == [(2, 12)]


@pytest.mark.slow
async def test_the_service_ends_cleanly_on_sigterm(sandbox: Sandbox, postgres_url: str) -> None:
    sandbox.add_calls([call("1", hours_ago=20)])
    environment = {
        **os.environ,
        "UNLIMCALL_TOKEN": sandbox.token,
        "UNLIMCALL_BASE_URL": sandbox.url,
        "DATABASE_URL": postgres_url,
    }
    command = [sys.executable, "-W", "error", str(EXAMPLES / "postgres_service.py")]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    assert b"1 inserted" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert (await process.wait(), await process.stderr.read()) == (0, b"")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM cdrs").fetchone() == (1,)
        connection.execute("DROP TABLE cdrs, unlimcall_sync")


def as_they_are(*arguments: Callable[..., Any], **_: Any) -> Any:
    """Stand in for a decorator of Airflow, with options or without: what it decorates stays a function."""
    return arguments[0] if arguments else lambda function: function


def test_the_dag_is_read_and_its_tasks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sdk = ModuleType("airflow.sdk")
    sdk.__dict__.update(dag=as_they_are, task=as_they_are)
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    with Sandbox() as sandbox:
        sandbox.add_calls([call("1", hours_ago=20)])
        monkeypatch.setenv("UNLIMCALL_TOKEN", sandbox.token)
        monkeypatch.setenv("UNLIMCALL_BASE_URL", sandbox.url)
        monkeypatch.setenv("CALLS_DATABASE_URL", f"sqlite:///{tmp_path}/calls.db")
        load("airflow_dag")
    assert capsys.readouterr().out == "1 inserted, 0 revised, 0 removed\n"
