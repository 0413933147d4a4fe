"""What every test stands on: nothing may be left behind."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import logging
import os
import signal
import tempfile
import warnings
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from unlimcall_async.sandbox import Sandbox

# Few examples of each property; `--hypothesis-profile=thorough` tries ten times as many.
# There is no deadline, because the time of an example depends on what else the machine does.
settings.register_profile("fast", max_examples=20, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile("fast")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell starts a job in the background with SIGINT ignored, and child processes inherit that. Tests end commands by SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test may ask the real server. A test that sets one of these undoes that itself.
    proxies = [f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")]
    own = [f"UNLIMCALL_{what}" for what in ("TOKEN", "BASE_URL", "LOG", "PROFILE")]
    for name in (*own, "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD", *proxies, *map(str.lower, proxies)):
        os.environ.pop(name, None)
    # The command reads settings there; a folder that nobody has made holds none.
    os.environ["XDG_CONFIG_HOME"] = f"{tempfile.gettempdir()}/unlimcall-without-settings"
    if "PYTHONDONTWRITEBYTECODE" in os.environ:
        # Many tests start a Python process. Without byte code, each process would compile the package again, and take twice as
        # long. The workers of pytest-xdist inherit the environment, and share the folder.
        folder = tempfile.TemporaryDirectory(prefix="unlimcall-byte-code-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name
        del os.environ["PYTHONDONTWRITEBYTECODE"]


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores: many tests wait, for servers, signals and child processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect the tests without searching for garbage: nearly all that a collection makes stays."""
    gc.disable()
    try:
        _import_share(session.config)
        return (yield)
    finally:
        gc.enable()


def _import_share(config: pytest.Config) -> None:
    """Import a share of the test files, another one in each worker, before all workers collect all of them.

    Where there is no byte code yet, as in a fresh clone, each worker would else compile each file, at the same time as the others.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args != config.getini("testpaths"):
        return
    # What stands in `with_...` imports packages that may not be there.
    files = sorted(file.relative_to(config.rootpath) for file in Path(__file__).parent.glob("**/test_*.py"))
    files = [file for file in files if not any(part.startswith("with_") for part in file.parts)]
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for file in files[len(files) * number // count : len(files) * (number + 1) // count]:
        # An error or a warning comes again when the file is collected.
        with suppress(Exception), warnings.catch_warnings(action="error"):
            importlib.import_module(".".join(file.with_suffix("").parts))


@pytest.fixture
async def _watched_loop() -> AsyncIterator[None]:
    """Fail a test that leaves a task running, or an exception that nobody retrieved: neither is a warning."""
    # The collection at the end searches for what the test left. Without the freeze, that collection would go through every object
    # that was there before the test, and would take up to 0.2 seconds once 5,000 tests have run.
    gc.collect()
    gc.freeze()
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Watch the loop of each test that has one, before any other fixture is set up. Carry out `rest_slow`."""
    begun = set[str]()
    for item in items:
        if item.get_closest_marker("rest_slow") and not item.get_closest_marker("slow"):
            function = item.nodeid.partition("[")[0]
            if function in begun:
                item.add_marker(pytest.mark.slow)
            begun.add(function)
        if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
            continue
        # The list of names is one for all parameters of a function.
        if "_watched_loop" not in item.fixturenames:
            item.fixturenames.insert(0, "_watched_loop")


# A hook, because a fixture of every test costs each of thousands of tests a millisecond.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Undo what an example, a page or a command that ran in this process has set of the logger."""
    # looptime asks for the current loop even in a test that has none, and the default policy would make one.
    asyncio.set_event_loop(None)
    logger = logging.getLogger("unlimcall_async")
    level, handlers, disabled = logger.level, [*logger.handlers], logging.root.manager.disable
    try:
        return (yield)
    finally:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logging.disable(disabled)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox
