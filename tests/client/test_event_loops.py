"""The client does the same in every kind of event loop: that of asyncio, with tasks that begin at once, and that of uvloop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.sandbox import Sandbox, Status, generate_traffic
from unlimcall_async.sync import sync_cdrs

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=40)


def plain() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def eager() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore] # of Python 3.12
    return loop


def of_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 # it is not made for Windows

    return uvloop.new_event_loop()


LOOPS: list[Any] = [plain]
LOOPS += [eager] if sys.version_info >= (3, 12) else []
LOOPS += [of_uvloop] if sys.platform != "win32" else []


@pytest.mark.parametrize("make", LOOPS)
@pytest.mark.slow
def test_a_client_works_and_leaves_nothing_behind(make: Callable[[], asyncio.AbstractEventLoop], tmp_path: Any) -> None:
    async def work() -> None:
        async with (
            Sandbox(rate_limits={}) as sandbox,
            AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client,
        ):
            sandbox.add_calls(generate_traffic(1200, start=START, end=END, seed=1))
            sandbox.inject(Status(503), endpoint="cdrs", skip=2)
            records = await client.cdrs.stream(START, END, concurrency=8).to_list()
            assert sorted(record.id for record in records) == sorted(call.id for call in sandbox.calls)
            assert all(one.start_time <= other.start_time for one, other in pairwise(records))
            result = await sync_cdrs(client, f"sqlite:///{tmp_path}/calls.db", START, end=END)
            assert result.inserted == 1200
            # A stream that is left in the middle, and a call that is cancelled while it waits.
            async with client.cdrs.stream(START, END) as stream:
                async for _ in stream:
                    break
            task = asyncio.ensure_future(client.me())
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
            assert [each.call_id for each in sandbox.originated] == [call.call_id]
        left = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        assert left == []

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(work())
