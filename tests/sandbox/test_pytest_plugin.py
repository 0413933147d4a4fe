"""The pytest plugin, in a pytest of its own, as a user's project would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import unlimcall_async.sandbox

# The directory that holds the package, for interpreters that are started elsewhere.
SOURCE = str(Path(unlimcall_async.sandbox.__file__).parents[2])

USERS_TEST = """
import aiohttp

async def test_it(unlimcall_sandbox):
    headers = {"Authorization": f"Bearer {unlimcall_sandbox.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(unlimcall_sandbox.url + "/me") as response:
            assert response.status == 200
    assert len(unlimcall_sandbox.requests) == 1

async def test_each_test_has_its_own(unlimcall_sandbox):
    assert not unlimcall_sandbox.requests
"""

PLAIN_TEST = """
import asyncio, urllib.request
from unlimcall_async import AsyncClient

def test_plain(unlimcall_sandbox):
    headers = {"Authorization": f"Bearer {unlimcall_sandbox.token}"}
    request = urllib.request.Request(unlimcall_sandbox.url + "/me", headers=headers)
    assert urllib.request.urlopen(request).status == 200

def test_a_loop_of_its_own(unlimcall_sandbox):
    async def ask():
        async with AsyncClient(unlimcall_sandbox.token, base_url=unlimcall_sandbox.url) as client:
            return await client.me()
    assert asyncio.run(ask()).company_name
"""

# Of each runner: how it marks tests (each mark is for a file of its own), its plugin, and its settings.
ONE_EACH = "asyncio_default_fixture_loop_scope=function"
RUNNERS = {
    "asyncio, one loop for a session or a module": (
        ("@pytest.mark.asyncio(loop_scope='session')", "@pytest.mark.asyncio(loop_scope='module')"),
        "pytest_asyncio.plugin",
        (ONE_EACH,),
    ),
    "asyncio, tests in the session's loop": (
        ("@pytest.mark.asyncio",),
        "pytest_asyncio.plugin",
        ("asyncio_default_test_loop_scope=session", ONE_EACH),
    ),
    "asyncio, fixtures in the session's loop": (
        ("@pytest.mark.asyncio",),
        "pytest_asyncio.plugin",
        ("asyncio_default_fixture_loop_scope=session",),
    ),
    "anyio": (("@pytest.mark.anyio",), "anyio.pytest_plugin", ()),
}


def run(
    directory: Path, *tests: str, plugins: tuple[str, ...] = (), settings: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    for number, test in enumerate(tests):
        (directory / f"test_user_{number}.py").write_text(test)
    names = [*plugins, "unlimcall_async.sandbox.pytest_plugin"]
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", *(word for name in names for word in ("-p", name))]
    options += [word for setting in settings for word in ("-o", setting)]
    program = f"import sys, pytest; sys.exit(pytest.main({options!r}))"
    return subprocess.run(  # noqa: S603 # the program is ours
        [sys.executable, "-c", program],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_the_fixture_is_a_started_sandbox_for_one_test(tmp_path: Path) -> None:
    settings = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    result = run(tmp_path, USERS_TEST, plugins=("pytest_asyncio.plugin",), settings=settings)

    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


@pytest.mark.slow
def test_plain_tests_need_no_other_plugin(tmp_path: Path) -> None:
    result = run(tmp_path, PLAIN_TEST)

    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
def test_the_fixture_serves_each_runner(runner: str, tmp_path: Path) -> None:
    marks, plugin, settings = RUNNERS[runner]
    head = "import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    tests = [head + USERS_TEST.replace("async def test", f"{mark}\nasync def test") for mark in marks]
    result = run(tmp_path, *tests, plugins=(plugin,), settings=settings)

    assert result.returncode == 0, result.stdout
    assert f"{2 * len(marks)} passed" in result.stdout


@pytest.mark.slow
def test_loading_the_plugin_imports_no_server() -> None:
    program = "import sys, unlimcall_async.sandbox.pytest_plugin; sys.exit('aiohttp.web' in sys.modules)"

    result = subprocess.run(  # noqa: S603 # the program is ours
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": SOURCE}, check=False
    )

    assert result.returncode == 0
