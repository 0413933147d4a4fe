"""The example of a follower that writes into SQLite. `tests/sync/test_examples.py` has those of a sync."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.cli.support import until
from tests.examples import EXAMPLES
from unlimcall_async.sandbox import Sandbox, generate_traffic

# The example as it stands. Else each request behind the first ten of a minute would take a second.
PROGRAM = """
import runpy, sys
from unlimcall_async.http import rate_limits

rate_limits._BURST_SHARE = 1
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def is_asked(sandbox: Sandbox, times: int) -> bool:
    return len(sandbox.requests) >= times


@pytest.mark.slow
async def test_a_follower_that_is_killed_has_every_call_once(sandbox: Sandbox, tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    calls = generate_traffic(5000, start=start, end=start + timedelta(minutes=50), kind="legs", seed=5)
    random.Random(5).shuffle(calls)  # the later ones appear late
    sandbox.add_calls(calls[:4000])
    sandbox.settings.latency = 0.01
    environment = {**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    example = [str(EXAMPLES / "follow.py"), str(tmp_path / "calls.sqlite"), start.isoformat()]
    command = [sys.executable, "-c", PROGRAM, *example]

    async def follow(*options: str) -> asyncio.subprocess.Process:
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, *options, env=environment, stdout=quiet)

    for number in range(5):
        process = await follow()
        last = len(sandbox.requests) + number + 1
        await until(partial(is_asked, sandbox, last))
        process.kill()
        await process.wait()
        sandbox.add_calls(calls[4000 + 200 * number : 4200 + 200 * number])
    rows: list[tuple[object, ...]] = []
    for seconds in (2, 4, 8, 16, 32, 64):
        process = await follow("--seconds", f"{seconds}")
        assert await process.wait() == 0
        with closing(sqlite3.connect(tmp_path / "calls.sqlite")) as database:
            rows = database.execute("SELECT id, src, dst, duration FROM calls").fetchall()
        # On a busy machine two seconds are not enough, and the next process goes on for longer.
        if len(rows) >= len(calls):
            break
    assert Counter(rows) == Counter((call.id, call.src, call.dst, call.duration) for call in calls)
