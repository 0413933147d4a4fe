"""`unlimcall demo`, run as a process."""

from __future__ import annotations

import asyncio
import csv
import errno
import gc
import json
import os
import re
import signal
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.cli.comparison import Check, Comparison
from unlimcall_async.sandbox import generate_traffic

from .forked import SOURCE, run_forked
from .support import PLAIN, in_this_process, names_in, variables

pytestmark = pytest.mark.own_rules

CALLS = 3000
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


async def start(
    folder: Path,
    *arguments: str,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "unlimcall_async", "demo", *arguments),
        cwd=folder,
        env={**os.environ, **PLAIN, **(environment or {})},
        stdout=stdout,
        stderr=stderr,
    )


async def demo(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    status, out, err = await run_forked(["demo", *arguments], cwd=folder, environment=variables(None, environment))
    return status, out.decode(), err.decode()


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_the_store(seed: int) -> list[tuple[str, str]]:
    calls = generate_traffic(CALLS, start=START, end=END, seed=seed)
    return sorted((stamp(call.start_time), call.id) for call in calls)


@pytest.mark.slow
async def test_it_pulls_everything_and_says_so(tmp_path: Path) -> None:
    status, out, err = await demo(tmp_path, "--calls", str(CALLS), "--out", "calls.ndjson")

    assert status == 0, err
    assert is_plain(out)
    assert is_plain(err)
    assert err.startswith("Generating 3,000 calls")
    assert "every record in the store is there once, in order, unaltered (3,000)" in out
    assert "survived" in out
    assert names_in(tmp_path) == ["calls.ndjson"]
    rows = [json.loads(line) for line in (tmp_path / "calls.ndjson").read_text().splitlines()]
    assert [(row["start_time"], row["id"]) for row in rows] == of_the_store(0)


@pytest.mark.slow
async def test_without_out_it_leaves_nothing(tmp_path: Path) -> None:
    status, out, _ = await demo(tmp_path, "--calls", "500")
    assert (status, names_in(tmp_path), "File" in out) == (0, [], False)
    status, out, _ = await demo(tmp_path, "--calls", "500", "--json")
    assert (status, names_in(tmp_path), json.loads(out)["file"]) == (0, [], None)


@pytest.mark.slow
def test_what_it_has_come_to_is_there_for_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # meant for a process that ends
    status, out, _ = in_this_process("demo", "--calls", str(CALLS), "--json", "--out", str(tmp_path / "pulled.ndjson"))
    facts = json.loads(out)
    assert (status, facts["records"], facts["same"], facts["beyond_limit"]) == (0, CALLS, True, 0)
    assert facts["requests"] >= facts["min_requests"] >= 3


@pytest.mark.parametrize(("device", "status"), [("/dev/full", 2), ("pipe", 141)])
@pytest.mark.slow
async def test_what_cannot_be_told_ends_it_without_a_traceback(tmp_path: Path, device: str, status: int) -> None:
    if device == "pipe":
        ours, theirs = os.pipe()
        os.close(ours)
    else:
        theirs = os.open(device, os.O_WRONLY)
    process = await start(tmp_path, "--calls", "500", stdout=theirs)
    os.close(theirs)
    _, err = await process.communicate()
    assert (process.returncode, b"Traceback" in err) == (status, False)
    assert err.decode().splitlines()[2:] == (
        ["Error: cannot write standard output: No space left on device"] if status == 2 else []
    )


@pytest.mark.slow
def test_csv_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # meant for a process that ends
    arguments = ["--calls", str(CALLS), "--seed", "7", "--out", str(tmp_path / "pulled.csv"), "--newest-first"]
    status, _, err = in_this_process("demo", *arguments)

    assert status == 0, err
    with (tmp_path / "pulled.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["start_time"], row["id"]) for row in rows] == of_the_store(7)[::-1]
    assert {row["currency"] for row in rows} == {"USD"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # meant for a process that ends
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        arguments = ["--calls", "500", "--out", str(tmp_path / f"{name}.ndjson"), "--seed", seed]
        assert in_this_process("demo", *arguments)[0] == 0
    first, again, other = ((tmp_path / f"{name}.ndjson").read_bytes() for name in "abc")
    assert first == again != other


async def test_a_file_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    status, out, err = await demo(tmp_path, "--out", "missing/pulled.csv")
    assert (status, out) == (2, "")
    assert err == f"Error: cannot write {Path('missing/pulled.csv')}: {os.strerror(errno.ENOENT)}\n"


@pytest.mark.slow
async def test_a_users_file_is_not_replaced_unless_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("a real pull")
    refused, out, err = await demo(tmp_path, "--out", "calls.csv", "--calls", "20")
    assert (refused, out, path.read_text()) == (2, "", "a real pull")
    assert err.endswith("Error: calls.csv exists; --force replaces it, and --out names another file\n")
    forced, _, _ = await demo(tmp_path, "--out", "calls.csv", "--calls", "20", "--force")
    assert (forced, len(path.read_text().splitlines())) == (0, 21)


async def test_another_kind_of_file_is_wrong_usage(tmp_path: Path) -> None:
    status, _, err = await demo(tmp_path, "--out", "pulled.xlsx")
    assert (status, "must end in .ndjson or .csv" in err) == (2, True)


@pytest.mark.slow
async def test_without_rich_it_says_how_to_get_it(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')")
    process = await start(tmp_path, environment={"PYTHONPATH": os.pathsep.join([str(fake), SOURCE])})
    err = (await process.communicate())[1].decode()
    status = process.returncode
    assert (status, "pip install 'unlimcall-async[cli]'" in err, "Traceback" in err) == (1, True, False)


def read_all(terminal: int) -> str:
    read = b""
    with suppress(OSError):  # how Linux tells that the other end is closed
        while piece := os.read(terminal, 4096):
            read += piece
    return read.decode()


@pytest.mark.slow
async def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = await start(tmp_path, "--calls", str(CALLS), stderr=theirs, environment={"COLUMNS": "100"})
    os.close(theirs)
    shown, (out, _) = await asyncio.gather(asyncio.to_thread(read_all, ours), process.communicate())
    os.close(ours)

    assert (process.returncode, is_plain(out.decode())) == (0, True)
    assert "\x1b[" in shown
    assert "3,000 records" in click.unstyle(shown)
    assert "100%" in click.unstyle(shown)


@pytest.mark.slow
async def test_ctrl_c_leaves_one_bar(tmp_path: Path) -> None:
    # The terminal writes ^C behind the bar. Were that full, the line would break, and the bar stand on two.
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = await start(tmp_path, "--calls", str(CALLS), stderr=theirs)
    os.close(theirs)
    shown, _ = await asyncio.gather(asyncio.to_thread(read_all, ours), process.communicate())
    os.close(ours)
    bars = [click.unstyle(line) for line in re.split(r"[\r\n]+", shown) if "%" in line]
    assert len(bars) >= 2
    assert max(map(len, bars)) <= 80 - len("^C") - 1


@pytest.mark.slow
@pytest.mark.parametrize(("complete", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_tells_whether_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: bool, status: int
) -> None:
    result = Comparison(20, 0 if complete else 1, 0, 0, 0, 0, "")
    monkeypatch.setattr(Check, "result", lambda _: result)
    monkeypatch.setattr(gc, "freeze", lambda: None)  # meant for a process that ends
    arguments = ["demo", "--calls", "20", "--out", str(tmp_path / "calls.csv")]
    assert CliRunner().invoke(unlimcall, arguments).exit_code == status


@pytest.mark.slow
@pytest.mark.parametrize("phase", [b"Generating", b"Pulling"])
async def test_ctrl_c_leaves_nothing(tmp_path: Path, phase: bytes) -> None:
    process = await start(tmp_path, "--calls", "50000", "--out", "calls.ndjson")
    assert process.stderr is not None
    assert process.stdout is not None
    while phase not in (line := await process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    err = (await process.stderr.read()).decode()

    assert (await process.wait(), await process.stdout.read()) == (130, b"")
    assert err.endswith("Interrupted.\n")
    assert "Traceback" not in err
    assert names_in(tmp_path) == []
