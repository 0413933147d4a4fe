"""Standard output and standard error: closed, full, or with a reader that has stopped."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from unlimcall_async.cli.output import write_when_ready
from unlimcall_async.sandbox import Sandbox, Status

from .support import made, run_process, running, until


@pytest.mark.parametrize("command", ["agents", "cdrs pull --from 2026-05-01", "--help", "me --help"])
async def test_a_pipe_that_was_closed_ends_it_quietly(command: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        status, _, err = await run_process(sandbox, *command.split(), stdout=theirs)
    os.close(theirs)
    assert (status, err) == (141, "")


@pytest.mark.parametrize("arguments", [["agents"], ["completion", "fish"], ["--help"], ["sandbox", "--port", "0"]])
async def test_a_full_disk_is_told_in_a_line(arguments: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with Sandbox() as sandbox:
        status, _, err = await run_process(sandbox, *arguments, stdout=full)
    os.close(full)
    assert (status, err.count("\n"), "No space left" in err) == (2, 1, True)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["me", "agents", "cdrs pull --from 2026-05-01", "completion bash"])
async def test_where_standard_output_is_closed_that_is_told(command: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        status, _, err = await run_process(sandbox, *command.split(), redirected=">&-")
    assert (status, err) == (2, "Error: cannot write standard output: it is closed\n")


@pytest.mark.slow
@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-"])
async def test_the_status_is_the_same_where_nothing_can_be_told(redirected: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        good, _, _ = await run_process(sandbox, "cdrs", "pull", "--from", "2026-05-01", redirected=redirected)
        sandbox.inject(Status(403))
        refused, _, _ = await run_process(sandbox, "me", redirected=redirected)
    assert (good, refused) == (0, 3)


NOW = datetime.now(UTC).replace(microsecond=0)


# Twice what a pipe holds.
CALLS = made(600, apart=timedelta(seconds=1), start=NOW - timedelta(hours=1))


class Pipe:
    """A pipe from which nobody reads for now."""

    def __init__(self) -> None:
        self._read, self.writing = os.pipe()

    def is_full(self) -> bool:
        return not select.select([], [self.writing], [], 0)[1]

    def close(self) -> None:
        os.close(self._read)
        os.close(self.writing)

    def lines(self) -> list[str]:
        """Read what is in it."""
        os.set_blocking(self._read, False)
        return os.read(self._read, 1 << 20).decode().splitlines(keepends=True)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def ids(lines: list[str]) -> list[str]:
    """Return the ids of records, each of which is a whole line."""
    assert all(line.endswith("\n") for line in lines)
    return [json.loads(line)["id"] for line in lines]


async def end(process: asyncio.subprocess.Process, number: signal.Signals) -> bytes:
    process.send_signal(number)
    async with asyncio.timeout(60):  # else a command that does not end would stop the tests
        return (await process.communicate())[1]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_pull_ends_by_a_signal(pipe: Pipe, number: signal.Signals, status: int) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        async with running(sandbox, "cdrs", "pull", "--from", "1d", stdout=pipe.writing) as process:
            await until(pipe.is_full)
            err = await end(process, number)
    assert (process.returncode, b"Traceback" in err) == (status, False)
    written = ids(pipe.lines())
    assert written == [call.id for call in CALLS[: len(written)]]


@pytest.mark.slow
async def test_a_follow_ends_by_a_signal_and_what_was_not_written_comes_again(pipe: Pipe, tmp_path: Path) -> None:
    follow = ["cdrs", "follow", "--from", f"{NOW - timedelta(days=1):%FT%TZ}", "--checkpoint", str(tmp_path / "c")]
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        async with running(sandbox, *follow, stdout=pipe.writing) as process:
            await until(pipe.is_full)
            await end(process, signal.SIGTERM)
        assert process.returncode == 0
        written = ids(pipe.lines())
        async with running(sandbox, *follow) as process:
            assert process.stdout is not None
            again = [await process.stdout.readline() for _ in CALLS]
    assert 0 < len(written) < len(CALLS)
    assert ids([line.decode() for line in again]) == [call.id for call in CALLS]


async def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole() -> None:
    long = [attrs.evolve(call, country="x" * 200_000) for call in CALLS[:3]]
    async with Sandbox() as sandbox:
        sandbox.add_calls(long)
        status, out, _ = await run_process(sandbox, "cdrs", "pull", "--from", "1d")
    assert (status, ids(out.splitlines(keepends=True))) == (0, [call.id for call in long])
    assert [len(json.loads(line)["country"]) for line in out.splitlines()] == [200_000] * 3


@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_loop_does_not_go_on_watching_a_pipe_that_has_room(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    lines = [f"{number:099}\n" for number in range(1000)]  # half as much again as a pipe holds
    with os.fdopen(os.dup(pipe.writing), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        pouring = asyncio.create_task(write_when_ready("".join(lines)))
        await until(pipe.is_full)
        await asyncio.sleep(0)
        came = [] if cancelled and pouring.cancel() else pipe.lines()
        await asyncio.wait([pouring])
        came += pipe.lines()
        assert pouring.cancelled() is cancelled
        assert came == (lines[: len(came)] if cancelled else lines)
        assert not asyncio.get_running_loop().remove_writer(stdout.fileno())
