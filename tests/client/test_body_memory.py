"""The memory of response bodies is kept for the next ones, unless the environment says otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unlimcall_async.http.body_memory import keep_body_memory
from unlimcall_async.http.transport import Transport

# The page faults of a round in which eight pages of call records are held at once, and let go of.
COUNT_FAULTS = """
from resource import RUSAGE_SELF, getrusage
from unlimcall_async.http.body_memory import keep_body_memory

keep_body_memory()
before = getrusage(RUSAGE_SELF).ru_minflt
for number in range(50):
    bodies = [b"x" * (400_000 + 37 * number) for _ in range(8)]
    del bodies
print((getrusage(RUSAGE_SELF).ru_minflt - before) / 50)
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    keep_body_memory.cache_clear()
    yield
    keep_body_memory.cache_clear()


@pytest.mark.parametrize(("value", "kept"), [(None, True), ("", True), ("1", True), ("0", False)])
def test_only_a_zero_turns_it_off(monkeypatch: pytest.MonkeyPatch, value: str | None, kept: bool) -> None:
    monkeypatch.delenv("UNLIMCALL_KEEP_BODY_MEMORY", raising=False)
    if value is not None:
        monkeypatch.setenv("UNLIMCALL_KEEP_BODY_MEMORY", value)
    assert keep_body_memory() is kept


async def test_the_environment_is_read_by_the_first_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLIMCALL_KEEP_BODY_MEMORY", "0")
    await Transport(None, 1).aclose()
    monkeypatch.setenv("UNLIMCALL_KEEP_BODY_MEMORY", "1")
    await Transport(None, 1).aclose()
    assert keep_body_memory() is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not have the thresholds")
@pytest.mark.parametrize(("value", "fewest", "most"), [("1", 0, 50), ("0", 100, 1000)])
def test_bodies_at_once_cause_page_faults_only_if_it_is_off(value: str, fewest: int, most: int) -> None:
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))
    }
    environment["UNLIMCALL_KEEP_BODY_MEMORY"] = value
    command = [sys.executable, "-c", COUNT_FAULTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 # our own code
    assert fewest <= float(done.stdout) <= most
