"""`--quiet`, for jobs whose output is mailed to somebody: nothing at all on success, and errors all the same."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from unlimcall_async.cli import waits
from unlimcall_async.sandbox import Sandbox, Status

from .spoiled import spoiled
from .support import made, run, run_process, running, until

MAY = ["--from", "2026-05-01", "--till", "2026-05-02", "--quiet"]


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "c.ndjson"],
        ["--out", "c.xlsx"],
        ["--out", "c.ndjson", "--resume"],
        ["--out", "c.ndjson", "--since-last"],
        ["--out", "c.csv", "--till", "2099-01-01"],
    ],
)
async def test_a_pull_that_succeeds_writes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        for _ in range(2):
            more = ["--force"] if {"--resume", "--since-last"}.isdisjoint(arguments) else []
            assert await run_process(sandbox, "cdrs", "pull", *MAY, *arguments, *more, cwd=tmp_path) == (0, "", "")
        status, out, err = await run(sandbox, "cdrs", "pull", *MAY)
        assert (status, len(out.splitlines()), err) == (0, 30, "")
        status, out, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "s.ndjson", "--json", cwd=tmp_path)
    assert (status, json.loads(out)["records"], err) == (0, 30, "")


async def test_errors_are_written(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        sandbox.inject(Status(409), endpoint="cdrs")
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.ndjson", cwd=tmp_path)
        assert (status, len(err.splitlines())) == (3, 2)
        assert err.startswith("To continue: unlimcall cdrs pull --quiet --out c.ndjson --resume\nError: ")
        async with spoiled(sandbox, {b'"id":"17.3"': b'"id":null'}) as url:
            rejects = ["--rejects", "bad", "--out", "d.ndjson"]
            status, _, err = await run(sandbox, "cdrs", "pull", *MAY, *rejects, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, err.endswith("1 row could not be read: see bad.\n")) == (1, True)
    status, _, err = await run(None, "cdrs", "pull", "--quiet", UNLIMCALL_TOKEN="x", UNLIMCALL_BASE_URL="")
    assert (status, "--from is missing" in err) == (2, True)


@pytest.mark.slow
async def test_neither_waits_nor_warnings_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "LONG", 0.0)
    monkeypatch.setattr(waits, "_LOOK", 0.01)
    noisy = []
    async with Sandbox(latency=0.2) as sandbox:
        sandbox.add_calls(made(30))
        for quiet in (["--quiet"], []):
            sandbox.inject(Status(429, headers={"Retry-After": "1"}), endpoint="cdrs")
            _, _, err = await run(sandbox, "cdrs", "pull", *MAY[:-1], *quiet)
            noisy.append("Waiting for the rate limit" in err)
            assert quiet == [] or err == ""
    assert noisy == [False, True]


@pytest.mark.slow
async def test_a_follow_that_is_stopped_writes_nothing() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        follow = ["cdrs", "follow", "--from", "2026-05-01", "--quiet", "--interval", "1s"]
        async with running(sandbox, *follow) as process:
            assert process.stdout is not None
            for _ in range(3):
                await asyncio.wait_for(process.stdout.readline(), 60)
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.slow  # the client waits for 1, 2 and 4 seconds
async def test_a_follow_writes_what_goes_wrong() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(500), endpoint="cdrs", times=None)
        async with running(
            sandbox, "cdrs", "follow", "--from", "2026-05-01", "--quiet", "--give-up-after", "0s"
        ) as process:
            await until(lambda: bool(sandbox.requests))
            _, err = await process.communicate()
    assert (process.returncode, err.startswith(b"Error: ")) == (4, True)
