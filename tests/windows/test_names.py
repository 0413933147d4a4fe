"""Names that Windows takes for something else, and paths with a drive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath

import pytest

from tests.cli.support import in_this_process, names_in
from unlimcall_async import AsyncClient, _platform
from unlimcall_async.shared import SharedRateLimits
from unlimcall_async.sync import sync_cdrs, url

pytestmark = [pytest.mark.own_rules, pytest.mark.usefixtures("windows")]

TAKEN = {
    "nul": "Windows keeps the name nul for a device",
    "CON.ndjson": "Windows keeps the name CON for a device",
    "com1.csv": "Windows keeps the name com1 for a device",
    "LPT².csv": "Windows keeps the name LPT² for a device",
    "aux .csv": "Windows keeps the name aux for a device",
    "calls:may.csv": "a name on Windows cannot have ':'",
    "calls?.csv": "a name on Windows cannot have '?'",
    "a\tb": r"a name on Windows cannot have '\t'",
    "calls.": "a name on Windows cannot end in a dot or a space",
    "calls ": "a name on Windows cannot end in a dot or a space",
}
FREE = ["calls.csv", "console.csv", "com10.csv", "null", "my nul", "Öster…→.csv", ".hidden", "a.con"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_windows_takes_for_something_else_is_refused(name: str) -> None:
    assert _platform.name_fault(name) == TAKEN[name]


def test_other_names_are_free() -> None:
    assert [name for name in FREE if _platform.name_fault(name)] == []


def test_all_names_are_free_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [name for name in (*TAKEN, *FREE) if _platform.name_fault(name)] == []


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["cdrs", "pull", "--from", "2026-05-01", "--out"], "--out"),
        (
            ["hooks", "create", "--event", "call.ended", "--url", "https://a.example/", "--secret-file"],
            "--secret-file",
        ),
    ],
)
def test_a_command_names_the_option_before_it_asks_the_server(command: list[str], option: str, tmp_path: Path) -> None:
    status, _, err = in_this_process(*command, str(tmp_path / "nul.csv"))
    assert (status, f"Invalid value for '{option}': {tmp_path}/nul.csv: Windows keeps" in err) == (2, True), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["calls:may.db", "NUL"])
async def test_a_destination_must_be_a_file(name: str, tmp_path: Path) -> None:
    async with AsyncClient("unl_test_token", base_url="http://127.0.0.1:9/api/v1") as client:
        for scheme, kind in {"sqlite": "file", "duckdb": "file", "parquet": "folder"}.items():
            with pytest.raises(ValueError, match=f"destination must name a {kind}: "):
                await sync_cdrs(client, f"{scheme}:///{tmp_path}/{name}", datetime(2026, 5, 1, tzinfo=UTC))


async def test_an_account_must_have_a_folder(tmp_path: Path) -> None:
    async with AsyncClient("unl_test_token", base_url="http://127.0.0.1:9/api/v1") as client:
        with pytest.raises(ValueError, match="account 'con' cannot name a file: Windows keeps the name con"):
            await sync_cdrs(client, f"parquet:///{tmp_path}/calls", datetime(2026, 5, 1, tzinfo=UTC), account="con")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("form", ["C:/data/calls.db", r"C:\data\calls.db"])
def test_a_drive_stands_behind_three_slashes(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url, "Path", PureWindowsPath)
    path = url._path(f"/{form}", "file")
    assert (path.drive, path.is_absolute(), path.name) == ("C:", True, "calls.db")


@pytest.mark.parametrize("path", [r"C:\data\calls.csv", "c:/data/calls.csv", r"\\server\share\calls.csv"])
def test_a_drive_is_not_the_scheme_of_a_url(path: str) -> None:
    status, _, err = in_this_process("cdrs", "summary", path)
    assert (status, "cannot read" in err, "URL" in err) == (2, True, False), err
    status, _, err = in_this_process("cdrs", "summary", path, "--account", "acme")
    assert (status, "--account and --table are for the URL of a table" in err) == (2, True), err


def test_a_socket_with_the_name_of_a_file_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="url: Python has no Unix sockets on this system; use redis:// or rediss://"):
        SharedRateLimits("unix:///run/redis.sock")
