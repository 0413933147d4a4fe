"""The README and the examples are run as they stand, so they cannot drift."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import unlimcall_async
from unlimcall_async.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
SCRIPTS = [
    pytest.param(script, id=f"{name} {number}")
    for name, page in PAGES.items()
    for number, script in enumerate(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL), 1)
]


@pytest.fixture
async def environment() -> AsyncIterator[dict[str, str]]:
    async with Sandbox() as sandbox:
        yield {**os.environ, "UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}


async def run(*command: str, cwd: Path, environment: dict[str, str]) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=cwd, env=environment, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("script", SCRIPTS)
async def test_the_scripts_of_the_pages_run(script: str, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "test_it.py").write_text(script)
    if "def test_" in script:  # not with -W error: pytest-asyncio warns where it is not configured
        printed = await run("-m", "pytest", "-q", "test_it.py", cwd=tmp_path, environment=environment)
        assert "1 passed" in printed
    else:
        await run("-W", "error", "test_it.py", cwd=tmp_path, environment=environment)


def test_the_pages_have_scripts() -> None:
    assert len(SCRIPTS) >= 7


# What an example needs so that it ends.
ARGUMENTS = {"follow.py": ["calls.sqlite", "--seconds", "1"]}


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
async def test_the_examples_run(example: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    assert await run(
        "-W", "error", str(example), *ARGUMENTS.get(example.name, []), cwd=tmp_path, environment=environment
    )


def test_the_readme_names_every_error() -> None:
    errors = {
        name
        for name in unlimcall_async.__all__
        if isinstance(getattr(unlimcall_async, name), type) and name.endswith("Error")
    }
    assert errors - set(re.findall(r"\w+Error\b", README)) == set()


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
