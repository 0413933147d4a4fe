"""What every test stands on: nothing may be left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest

from unlimcall_async.sandbox import Sandbox


def pytest_collection_finish() -> None:
    # Each test collects garbage, to see what it left; what was imported need not be gone through every time.
    gc.collect()
    gc.freeze()


@pytest.fixture
async def _watched_loop() -> AsyncIterator[None]:
    """Fail a test that leaves a task running, or an exception that nobody retrieved: neither is a warning."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()}
    assert not left, f"tasks left running: {left}"
    gc.collect()
    await asyncio.sleep(0)
    assert not complaints, f"the event loop complained: {complaints}"


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_watched_loop")
    else:
        # looptime asks for the current loop even in a test that has none, and the default policy would make one.
        asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNLIMCALL_TOKEN", raising=False)
    monkeypatch.delenv("UNLIMCALL_BASE_URL", raising=False)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox
