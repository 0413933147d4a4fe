"""`examples/pull.py`, where it must not go on. That it does go on, whatever stopped it, `tests/cdrs/kill.py` shows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic

from .support import names_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "pull.py"


async def pull(sandbox: Sandbox, folder: Path, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLE), *arguments),
        cwd=folder,
        env={**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_file_that_was_lost_is_not_filled_up(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 1, 5, tzinfo=UTC))])
        assert (await pull(sandbox, tmp_path))[0] == 0
        (tmp_path / "calls.ndjson").unlink()
        status, output = await pull(sandbox, tmp_path)
    assert (status, output) == (
        1,
        "Cannot go on: calls.ndjson is shorter than it was when calls.ndjson.checkpoint was written\n",
    )
    assert (tmp_path / "calls.ndjson").read_bytes() == b""


async def test_a_users_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "calls.ndjson").write_text("a real pull\n")
    (tmp_path / "link.ndjson").symlink_to("calls.ndjson")
    async with Sandbox() as sandbox:
        file = await pull(sandbox, tmp_path)
        link = await pull(sandbox, tmp_path, "link.ndjson")
        assert sandbox.requests == []
    assert file == (1, "Cannot go on: calls.ndjson has no checkpoint; delete the file, or give another name\n")
    assert (link[0], "link.ndjson is a symbolic link" in link[1]) == (2, True)
    assert (tmp_path / "calls.ndjson").read_text() == "a real pull\n"
    assert names_in(tmp_path) == ["calls.ndjson", "link.ndjson"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
async def test_what_is_no_ordinary_file_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "calls.ndjson")
    async with Sandbox() as sandbox:
        status, output = await pull(sandbox, tmp_path)
        assert sandbox.requests == []
    assert (status, "calls.ndjson is not an ordinary file" in output, names_in(tmp_path)) == (2, True, ["calls.ndjson"])


async def test_a_file_with_another_ending_is_left_alone(tmp_path: Path) -> None:
    mine = "a real pull\n" * 1000
    (tmp_path / "calls.csv").write_text(mine)
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 1, 5, tzinfo=UTC))])
        assert (await pull(sandbox, tmp_path, "calls.ndjson"))[0] == 0
        status, output = await pull(sandbox, tmp_path, "calls.csv")
    assert (status, output) == (1, "Cannot go on: calls.csv has no checkpoint; delete the file, or give another name\n")
    assert (tmp_path / "calls.csv").read_text() == mine


async def test_what_is_written_is_for_its_owner(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 1, 5, tzinfo=UTC))])
        assert (await pull(sandbox, tmp_path))[0] == 0
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names_in(tmp_path)}
    assert modes == {"calls.ndjson": 0o600, "calls.ndjson.checkpoint": 0o600}


@pytest.mark.parametrize("text", ["", "mine", "[]", "{}", '{"checkpoint": 1, "length": 0}'])
async def test_what_is_no_checkpoint_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "calls.ndjson.checkpoint").write_text(text)
    async with Sandbox() as sandbox:
        status, output = await pull(sandbox, tmp_path)
    assert (status, output) == (1, "Cannot go on: calls.ndjson.checkpoint is damaged, or is not a checkpoint\n")
    assert (tmp_path / "calls.ndjson.checkpoint").read_text() == text


async def test_another_range_is_refused_in_a_line(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 1, 1, 5, tzinfo=UTC))])
        assert (await pull(sandbox, tmp_path, "a.ndjson", "2026-01-01", "2026-01-02"))[0] == 0
        status, output = await pull(sandbox, tmp_path, "a.ndjson", "2026-01-01", "2026-01-03")
    assert (status, output) == (1, "Cannot go on: resume is a checkpoint of another range or direction\n")


async def test_a_time_keeps_its_offset_and_is_in_utc_without_one(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(
            SandboxCall(id=f"{hour}", start_time=datetime(2026, 1, 1, hour, tzinfo=UTC)) for hour in range(24)
        )
        assert (await pull(sandbox, tmp_path, "a.ndjson", "2026-01-01T07:00+05:00", "2026-01-01T05:00"))[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["2", "3", "4"]


async def test_ctrl_c_ends_it_in_a_line_and_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    async with Sandbox(latency=0.02) as sandbox:
        sandbox.add_calls(
            generate_traffic(3000, start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC))
        )
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(EXAMPLE)),
            cwd=tmp_path,
            env={**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = ""
        while "records" not in shown:
            shown += (await asyncio.to_thread(os.read, ours, 1000)).decode()
        sandbox.settings.latency = 60
        process.send_signal(signal.SIGINT)
        while "Interrupted" not in shown:
            shown += (await asyncio.to_thread(os.read, ours, 1000)).decode()
        assert await process.wait() == 1
        os.close(ours)
    assert re.search(r" +\d+% +[\d,]+ records\r", shown)
    assert "Traceback" not in shown
