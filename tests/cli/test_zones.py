"""Time zones, with and without a database of them."""

from __future__ import annotations

import json
import sys
import zoneinfo
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.selection import covering
from unlimcall_async.sandbox import Sandbox

from .support import in_this_process, made, run

pytestmark = pytest.mark.own_rules

MAY = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02"]


@pytest.fixture
def _no_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away the system's database and the package tzdata, as on Windows and in slim images."""
    for name in {"tzdata", *(name for name in sys.modules if name.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("_no_database")
@pytest.mark.parametrize(
    ("zone", "out"),
    covering(
        ["", *(f"--tz {name}" for name in ("UTC", "utc", "Etc/UTC", "Z", "GMT"))],
        ["", "--out c.xlsx", "--out c.csv --for excel"],
        together=1,
    ),
)
async def test_utc_needs_no_database(tmp_path: Path, zone: str, out: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        status, _, err = await run(sandbox, *MAY, *zone.split(), *out.split(), cwd=tmp_path)
        health, _, _ = await run(sandbox, "health", *MAY[2:], *zone.split())
    assert (status, health) == (0, 0), err


@pytest.mark.usefixtures("_no_database")
@pytest.mark.parametrize("command", [MAY, ["health"], ["cdrs", "follow"]], ids=" ".join)
def test_without_a_database_it_says_how_to_get_one(command: list[str]) -> None:
    status, _, err = in_this_process(*command, "--tz", "Europe/Berlin")
    assert status == 2
    assert "'--tz': 'Europe/Berlin' cannot be looked up, because this machine has no database of time zones" in err
    assert "needs the extra `cli`: pip install 'unlimcall-async[cli]'" in err


@pytest.mark.parametrize(
    "name", ["Mars/Base", "", "../UTC", "/etc/localtime", "Europe", "UTC\0", "x" * 300, "Europe/Berlin "]
)
def test_a_zone_that_nobody_knows_is_an_error_that_names_the_option(name: str) -> None:
    status, _, err = in_this_process(*MAY, "--tz", name)
    assert (status, "'--tz'" in err, "is not a time zone that this machine knows" in err) == (2, True, True), err


async def test_the_package_is_enough() -> None:
    # As in a slim image, with the extra `cli`.
    zoneinfo.reset_tzpath(())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        async with Sandbox() as sandbox:
            # The day begins there at 04:00 in UTC.
            sandbox.add_calls(made(6, apart=timedelta(hours=1)))
            status, out, _ = await run(sandbox, *MAY, "--tz", "America/New_York")
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
    assert (status, [json.loads(line)["id"] for line in out.splitlines()]) == (0, ["17.4", "17.5"])
