"""The pytest plugin, in a pytest of its own, as a user's project would run it."""

import os
import subprocess
import sys
from pathlib import Path

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

TESTS_WITHOUT_PYTEST_ASYNCIO = """
def test_unrelated():
    pass

def test_it(unlimcall_sandbox):
    pass
"""

# An entry of None in `sys.modules` is how Python is told that there is no such module.
WITHOUT_PYTEST_ASYNCIO = "import sys; sys.modules['pytest_asyncio'] = None; "


def run(directory: Path, test: str, *plugins: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    (directory / "test_user.py").write_text(test)
    names = [*plugins, "unlimcall_async.sandbox.pytest_plugin"]
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", *(word for name in names for word in ("-p", name))]
    if plugins:
        options += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    program = f"{prelude}import sys, pytest; sys.exit(pytest.main({options!r}))"
    return subprocess.run(  # noqa: S603 # the program is ours
        [sys.executable, "-c", program],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixture_is_a_started_sandbox_for_one_test(tmp_path: Path) -> None:
    result = run(tmp_path, USERS_TEST, "pytest_asyncio.plugin")

    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


def test_without_pytest_asyncio_the_fixture_says_what_to_install_and_other_tests_run(tmp_path: Path) -> None:
    result = run(tmp_path, TESTS_WITHOUT_PYTEST_ASYNCIO, prelude=WITHOUT_PYTEST_ASYNCIO)

    assert result.returncode == 1
    assert "pip install pytest-asyncio" in result.stdout
    assert "1 passed, 1 error" in result.stdout


def test_loading_the_plugin_imports_no_server() -> None:
    program = "import sys, unlimcall_async.sandbox.pytest_plugin; sys.exit('aiohttp.web' in sys.modules)"

    result = subprocess.run(  # noqa: S603 # the program is ours
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": SOURCE}, check=False
    )

    assert result.returncode == 0
