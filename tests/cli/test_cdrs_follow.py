"""`unlimcall cdrs follow`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli import access, options, outage
from unlimcall_async.sandbox import Fault, Html, Redirect, Sandbox, SandboxCall, Status

from .support import in_this_process, line_of, run, run_process, running

pytestmark = pytest.mark.own_rules

NOW = datetime.now(UTC).replace(microsecond=0)
FOLLOW = ["cdrs", "follow", "--interval", "1s"]


def recent(*ids: str, ago: timedelta = timedelta(minutes=10)) -> list[SandboxCall]:
    return [SandboxCall(id=name, start_time=NOW - ago + timedelta(seconds=place)) for place, name in enumerate(ids)]


async def ids_of(process: asyncio.subprocess.Process, count: int) -> list[str]:
    return [json.loads(await line_of(process.stdout))["id"] for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
async def test_records_come_as_they_appear(number: signal.Signals, status: int) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", "b"))
        async with running(sandbox, *FOLLOW, "--from", "1h", "--json") as process:
            history = await ids_of(process, 2)
            sandbox.add_calls(recent("c"))  # written late, before those that came
            late = await ids_of(process, 1)
            process.send_signal(number)
            out, err = await process.communicate()
    assert (history, late, out) == (["a", "b"], ["c"], b"")
    assert process.returncode == status
    assert err.decode().startswith("3 records, ")
    assert b"Traceback" not in err


@pytest.mark.slow
async def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    follow = [*FOLLOW, "--checkpoint", str(tmp_path / "follow.checkpoint")]
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", "b"))
        async with running(sandbox, *follow, "--from", "1h") as process:
            first = await ids_of(process, 2)
            process.send_signal(signal.SIGTERM)
            await process.communicate()
        sandbox.add_calls(recent("c", "d", ago=timedelta(minutes=20)))
        async with running(sandbox, *follow) as process:
            second = await ids_of(process, 2)
            process.send_signal(signal.SIGKILL)
            await process.communicate()
    assert (first, second) == (["a", "b"], ["c", "d"])


async def test_now_is_settled_once(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        first, _, _ = await run(sandbox, *FOLLOW, "--checkpoint", str(path))
        start = json.loads(path.read_text().splitlines()[0])["note"]["start"]
        second, _, _ = await run(sandbox, *FOLLOW, "--checkpoint", str(path), "--from", start)
        assert len(sandbox.requests) == 2
    assert (first, second) == (3, 3)
    assert json.loads(path.read_text().splitlines()[0])["note"]["start"] == start


@pytest.mark.rest_slow
@pytest.mark.parametrize("start", ["6h", "now", "today", "yesterday", "1d"])
async def test_the_same_command_with_a_relative_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    path = tmp_path / "follow.checkpoint"
    follow = [*FOLLOW, "--from", start, "--checkpoint", str(path)]
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        assert (await run(sandbox, *follow))[0] == 3
        begun = json.loads(path.read_text().splitlines()[0])["note"]["start"]
        monkeypatch.setattr(options, "now", lambda: NOW + timedelta(days=2))
        again, _, err = await run(sandbox, *follow)
        _, _, quiet = await run(sandbox, *follow, "--quiet")
        other, _, refusal = await run(sandbox, *FOLLOW, "--from", "2026-05-01", "--checkpoint", str(path))
        assert len(sandbox.requests) == 3
    assert (again, err.splitlines()[0]) == (
        3,
        f"Continuing the follow of {path}, which is from {begun}; --from {start} counts for a new follow only.",
    )
    assert json.loads(path.read_text().splitlines()[0])["note"]["start"] == begun
    assert "Continuing" not in quiet
    assert (other, "leave --from out to continue it" in refusal) == (2, True)


@pytest.mark.slow
async def test_what_was_not_written_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    full = os.open("/dev/full", os.O_WRONLY)
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", "b"))
        status, _, err = await run_process(sandbox, *FOLLOW, "--from", "1h", "--checkpoint", str(path), stdout=full)
        async with running(sandbox, *FOLLOW, "--checkpoint", str(path)) as process:
            again = await ids_of(process, 2)
    os.close(full)
    assert (status, "No space left on device" in err) == (2, True)
    assert again == ["a", "b"]


async def test_an_error_ends_it_with_a_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", skip=1, times=None)
        status, _, err = await run(sandbox, *FOLLOW, "--checkpoint", str(path))
        asked = len(sandbox.requests)
        again, _, _ = await run(sandbox, *FOLLOW, "--checkpoint", str(path))
        assert len(sandbox.requests) > asked
    assert (status, "GET /cdrs answered 409" in err, again) == (3, True, 3)


@pytest.mark.slow
async def test_a_lookback_that_is_nearly_too_short_is_a_warning_that_names_the_option() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", ago=timedelta(seconds=20)))
        async with running(sandbox, *FOLLOW, "--from", "1h", "--lookback", "30s") as process:
            await ids_of(process, 1)
            start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=27)
            sandbox.add_calls([SandboxCall(id="late", start_time=start)])
            assert await ids_of(process, 1) == ["late"]
            warning = await line_of(process.stderr)
    assert "and --lookback is 30 s: a record that appears later is lost; follow with a longer --lookback" in warning


@pytest.mark.slow
async def test_a_second_command_with_the_same_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    follow = [*FOLLOW, "--from", "1h", "--checkpoint", str(path)]
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a"))
        async with running(sandbox, *follow) as process:
            await ids_of(process, 1)
            status, _, err = await run(sandbox, *follow)
    assert (status, f"another process is writing {path}" in err) == (2, True)


# --- an outage ------------------------------------------------------------------------------------------------------------


class NoRetries(AsyncClient):
    """A client without attempts of its own, which take seven seconds."""

    def __init__(self, token: str | None, **options: Any) -> None:
        super().__init__(token, retry=RetryPolicy(delays=()), **options)


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "AsyncClient", NoRetries)
    monkeypatch.setattr(outage, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(outage, "LONGEST_PAUSE", 0.02)


@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.slow
async def test_an_outage_does_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    faults: list[Fault] = [Status(503), Html(), Redirect("/elsewhere"), Status(500)]
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", "b"))
        for fault in faults:
            sandbox.inject(fault, endpoint="cdrs")
        sandbox.inject(Status(409), endpoint="cdrs", skip=len(faults) + 1)
        status, out, err = await run(sandbox, *FOLLOW, "--from", "1h", "--checkpoint", str(path))
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["a", "b"]
    assert (status, err.count("The next attempt is in 0 s.\n"), err.count("Error: ")) == (3, len(faults), 1)


@pytest.mark.usefixtures("_short_pauses")
async def test_an_outage_may_be_limited() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(503), endpoint="cdrs", times=None)
        status, _, err = await run(sandbox, *FOLLOW, "--give-up-after", "0s")
        assert len(sandbox.requests) == 1
    assert (status, err.count("The next attempt"), "GET /cdrs answered 503" in err) == (4, 0, True)


@pytest.mark.usefixtures("_short_pauses")
async def test_a_429_that_asks_for_more_than_is_left_ends_it_at_once() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(429, headers={"Retry-After": "3600"}), endpoint="cdrs", times=None)
        status, _, err = await asyncio.wait_for(run(sandbox, *FOLLOW, "--give-up-after", "5m"), 60)
        assert len(sandbox.requests) == 1
    assert (status, "The next attempt" in err, "GET /cdrs answered 429" in err) == (3, False, True)


@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.parametrize("status", [400, 401, 403, 409])
async def test_a_refusal_ends_it_at_once(status: int) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(status), endpoint="cdrs", times=None)
        ended, _, err = await run(sandbox, *FOLLOW)
        assert len(sandbox.requests) == 1
    assert (ended, "The next attempt" in err) == (3, False)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
async def test_a_signal_in_a_pause_ends_it_with_a_good_checkpoint(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    follow = [*FOLLOW, "--checkpoint", str(tmp_path / "follow.checkpoint")]
    async with Sandbox() as sandbox:
        sandbox.add_calls(recent("a", "b"))
        async with running(sandbox, *follow, "--from", "1h") as process:
            first = await ids_of(process, 2)
            sandbox.inject(Status(503), endpoint="cdrs", times=None)
            paused = await line_of(process.stderr)
            stored = (tmp_path / "follow.checkpoint").read_text()
            process.send_signal(number)
            _, err = await process.communicate()
            assert process.returncode == status
        sandbox.clear_faults()
        sandbox.add_calls(recent("c", ago=timedelta(minutes=5)))
        async with running(sandbox, *follow) as process:
            second = await ids_of(process, 1)
    assert (first, second) == (["a", "b"], ["c"])
    assert (paused.endswith("The next attempt is in 2 s."), b"Traceback" in err) == (True, False)
    assert json.loads(stored.splitlines()[0])["checkpoint"]["kind"] == "cdrs.follow"


async def test_another_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        await run(sandbox, *FOLLOW, "--from", "2026-05-01", "--checkpoint", str(path))
        other, _, err = await run(sandbox, *FOLLOW, "--from", "2026-05-02", "--checkpoint", str(path))
    assert (other, "is of a follow from 2026-05-01T00:00:00+00:00" in err) == (2, True)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "[" * 100_000, '{"start": "2026-05-01", "checkpoint": {}}', "\ud800"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "follow.checkpoint"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    status, _, err = in_this_process(*FOLLOW, "--checkpoint", str(path))
    assert (status, "is not a checkpoint of a follow" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--interval", "0s"], "--interval must be above zero"),
        (["--interval", "often"], "'often' is not a span of time"),
        (["--lookback", "-1h"], "'-1h' is not a span of time"),
        (["--checkpoint", "missing/x"], "cannot write missing/x"),
        (["--checkpoint", "/dev/full"], "cannot write /dev/full: it is not an ordinary file"),
    ],
)
def test_wrong_usage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = in_this_process("cdrs", "follow", *options)
    assert (status, complaint in err) == (2, True), err
