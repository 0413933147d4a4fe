"""The examples that keep a place: the follower into SQLite, and the nightly pull."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.examples import EXAMPLES, load
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic

MIDNIGHT = datetime(2026, 6, 2, tzinfo=UTC)


def written(folder: Path) -> list[str]:
    """The ids in all files, in order."""
    lines = [line for path in sorted(folder.glob("*.ndjson")) for line in path.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]


async def test_a_call_that_spans_midnight_is_in_the_next_nights_file(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly = load("nightly")
    clock = MIDNIGHT + timedelta(minutes=5)
    monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda: clock)
    monkeypatch.setattr(nightly, "FIRST", datetime.now(UTC) - clock + timedelta(days=1))
    sandbox.add_calls([SandboxCall(id="at noon", start_time=MIDNIGHT - timedelta(hours=12))])
    await nightly.pull(client, tmp_path)
    assert written(tmp_path) == ["at noon"]
    # It began before midnight, was under way when the job ran, and is written now that it has ended.
    sandbox.add_calls([SandboxCall(id="spans midnight", start_time=MIDNIGHT - timedelta(minutes=20), duration=3000)])
    sandbox.add_calls([SandboxCall(id="next day", start_time=MIDNIGHT + timedelta(hours=2))])
    clock += timedelta(days=1)
    await nightly.pull(client, tmp_path)
    assert written(tmp_path) == ["at noon", "spans midnight", "next day"]
    clock += timedelta(days=1)
    path, count = await nightly.pull(client, tmp_path)
    assert (path.exists(), count) == (True, 0)


async def test_files_of_other_programs_do_not_stop_the_nightly_pull(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    for name in ("my_notes.ndjson", "a_b_c.ndjson", "_.ndjson", "20261127T161221_x.ndjson"):
        (tmp_path / name).write_text("")
    sandbox.add_calls([SandboxCall(id="1", start_time=datetime(2026, 1, 5, tzinfo=UTC))])
    nightly = load("nightly")
    path, _ = await nightly.pull(client, tmp_path)
    assert nightly.last_end(tmp_path).strftime(nightly.FORMAT) == path.stem.split("_")[1]


@pytest.mark.slow
async def test_a_follower_that_is_killed_has_every_call_once(sandbox: Sandbox, tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    calls = generate_traffic(5000, start=start, end=start + timedelta(minutes=50), kind="legs", seed=5)
    random.Random(5).shuffle(calls)  # the later ones appear late
    sandbox.add_calls(calls[:4000])
    sandbox.settings.latency = 0.01
    environment = {**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    command = [sys.executable, str(EXAMPLES / "follow.py"), str(tmp_path / "calls.sqlite"), start.isoformat()]

    async def follow(*options: str) -> asyncio.subprocess.Process:
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, *options, env=environment, stdout=quiet)

    for number in range(5):
        process = await follow()
        last = len(sandbox.requests) + number + 1
        while len(sandbox.requests) < last:  # noqa: ASYNC110 # a request sets no event
            await asyncio.sleep(0)
        process.kill()
        await process.wait()
        sandbox.add_calls(calls[4000 + 200 * number : 4200 + 200 * number])
    process = await follow("--seconds", "5")
    assert await process.wait() == 0
    with closing(sqlite3.connect(tmp_path / "calls.sqlite")) as database:
        rows = database.execute("SELECT id, src, dst, duration FROM calls").fetchall()
    assert Counter(rows) == Counter((call.id, call.src, call.dst, call.duration) for call in calls)
