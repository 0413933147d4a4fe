"""The commands that serve many accounts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from tests.accounts.support import END, START, AccountsServer, error, ids, rows, served, token_of
from tests.cdrs.raw_server import RawRow
from tests.cli.support import Ended, names_in, run, running
from tests.cli.test_terminal import at_terminal
from unlimcall_async import Progress
from unlimcall_async.cli.account_files import file_names
from unlimcall_async.cli.accounts_table import Board, drawn
from unlimcall_async.sandbox import Sandbox

pytestmark = pytest.mark.own_rules

RANGE = "--from", START.isoformat(), "--till", END.isoformat()


@asynccontextmanager
async def listed(folder: Path, server: AccountsServer, *more: str) -> AsyncIterator[list[str]]:
    """Serve, and yield the option with a file of the server's accounts, and of `more` that it does not know."""
    async with served(server) as url:
        tables = (
            f"[accounts.{json.dumps(name)}]\ntoken = '{token_of(name)}'\nbase_url = '{url}'"
            for name in [*server.rows, *more]
        )
        (folder / "accounts.toml").write_text("\n".join(tables))
        yield ["--accounts", "accounts.toml"]


def server_of(**sizes: int) -> AccountsServer:
    return AccountsServer({name: rows(name, size) for name, size in sizes.items()})


def ids_in(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def objects(out: str) -> dict[str, Any]:
    return {each["account"]: each for each in map(json.loads, out.splitlines())}


# --- check ----------------------------------------------------------------------------------------------------------------


async def test_check_writes_a_line_for_each_account(tmp_path: Path, sandbox: Sandbox) -> None:
    few = sandbox.add_token(["read:balance"])
    (tmp_path / "accounts.toml").write_text(
        f"[accounts.acme]\ntoken = '{sandbox.token}'\n[accounts.globex]\ntoken = '{few}'\n[accounts.old]\ntoken = 'unl_live_old'"
    )
    command = "accounts", "check", "--accounts", "accounts.toml"
    status, out, err = await run(sandbox, *command, cwd=tmp_path)
    in_json = await run(sandbox, *command, "--json", cwd=tmp_path)
    assert out.splitlines() == [
        "acme    ok  1042  Acme Calling Co.",
        "globex  ok  1042  Acme Calling Co.  lacks read:agents, read:cdrs",
    ]
    assert status == in_json[0] == 3
    assert err.splitlines()[-1] == "2 of 3 accounts work. 1 account failed: old."
    assert "old: GET /me answered 401" in err
    found = objects(in_json[1])
    assert found["globex"]["lacks"] == ["read:agents", "read:cdrs"]
    assert found["acme"] == {"account": "acme", "customer_id": "1042", "company_name": "Acme Calling Co.", "lacks": []}
    assert found["old"]["status"] == 3


async def test_the_table_does_not_disturb_what_is_written_on_the_same_terminal(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    names = ["acme", "globex", "initech"]
    (tmp_path / "accounts.toml").write_text(
        "".join(f"[accounts.{name}]\ntoken = '{sandbox.token}'\n" for name in names)
    )
    command = "accounts", "check", "--accounts", str(tmp_path / "accounts.toml")
    _, out, err = await at_terminal(sandbox, *command)
    assert [line.split()[0] for line in out.splitlines()] == names
    assert "\x1b[" in err
    # The object of an account that fails comes while others are worked on.
    _, out, err = await at_terminal(sandbox, *command, "--json")
    assert sorted(objects(out)) == names
    assert "\x1b[" not in err


async def test_a_terminal_of_no_columns_gets_the_error_of_an_account(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setenv("LINES", "0")
    (tmp_path / "accounts.toml").write_text("[accounts.old]\ntoken = 'unl_live_old'")
    _, _, err = await at_terminal(sandbox, "accounts", "check", "--accounts", str(tmp_path / "accounts.toml"))
    assert "old: GET /me answered 401" in err


# --- pull -----------------------------------------------------------------------------------------------------------------


async def test_a_pull_makes_a_file_for_each_account(tmp_path: Path) -> None:
    server = server_of(few=3, many=1400, none=0)
    server.rows["a/b"] = rows("ab", 2)
    async with listed(tmp_path, server, "revoked") as given:
        status, out, err = await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", "--json", cwd=tmp_path)
        assert status == 3
        assert [line for line in err.splitlines() if not line.startswith("revoked: ")] == [
            f"4 accounts with 1,405 records in calls, 0.3 MB. {server.requests} requests. 1 account failed: revoked.",
            "To continue: unlimcall cdrs pull --accounts accounts.toml --out calls --json --resume",
        ]
        found = objects(out)
        assert {name: each.get("records") for name, each in found.items()} == {
            "few": 3,
            "many": 1400,
            "none": 0,
            "a/b": 2,
            "revoked": None,
        }
        assert ids_in(tmp_path / "calls" / "many.ndjson") == ids("many", 1400)
        assert ids_in(tmp_path / "calls" / "a%2Fb.ndjson") == ids("ab", 2)
        assert (tmp_path / "calls" / "none.ndjson.manifest.json").exists()
        # The account that failed is tried again, in the same range, and the others are left as they are.
        server.rows["revoked"] = rows("revoked", 5)
        before = server.requests
        again = await run(None, "cdrs", "pull", *given, "--out", "calls", "--resume", "--json", cwd=tmp_path)
        assert again[0] == 0
        assert len(server.asked["revoked"]) == server.requests - before
        assert ids_in(tmp_path / "calls" / "revoked.ndjson") == ids("revoked", 5)
        assert objects(again[1])["revoked"]["start"] == found["few"]["start"]
        # Without --resume, the files are in the way.
        status, _, err = await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", cwd=tmp_path)
        assert status == 2
        assert "few: calls/few.ndjson exists" in err


async def test_an_account_that_was_not_begun_gets_the_range_of_the_others(tmp_path: Path) -> None:
    server = server_of(acme=3, globex=4)
    async with listed(tmp_path, server) as given:
        await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", cwd=tmp_path)
        for file in (tmp_path / "calls").glob("globex*"):
            file.unlink()
        status, _, err = await run(None, "cdrs", "pull", *given, "--out", "calls", "--resume", cwd=tmp_path)
    assert (status, ids_in(tmp_path / "calls" / "globex.ndjson")) == (0, ids("globex", 4)), err
    stored = [json.loads((tmp_path / "calls" / f"{name}.ndjson.checkpoint").read_text()) for name in server.rows]
    assert stored[0]["start"] == stored[1]["start"]
    assert stored[0]["end"] == stored[1]["end"]


@pytest.mark.parametrize("typed", [("--format", "csv", "--for", "excel"), ("--rejects", "bad")])
async def test_the_command_that_continues_has_what_names_the_files(tmp_path: Path, typed: tuple[str, ...]) -> None:
    async with listed(tmp_path, server_of(acme=3), "revoked") as given:
        _, _, err = await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", *typed, cwd=tmp_path)
    assert (
        err.splitlines()[-1]
        == f"To continue: unlimcall cdrs pull {' '.join(given)} --out calls {' '.join(typed)} --resume"
    )


async def test_a_pull_of_which_nothing_was_begun_is_not_said_to_be_one_that_can_be_continued(tmp_path: Path) -> None:
    (tmp_path / "calls" / "acme.ndjson").mkdir(parents=True)
    async with listed(tmp_path, server_of(acme=3)) as given:
        status, _, err = await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", cwd=tmp_path)
        assert (status, "To continue" in err) == (2, False), err
        status, _, err = await run(None, "cdrs", "pull", *given, "--out", "calls", "--resume", cwd=tmp_path)
    assert (status, "--from is missing" in err) == (2, True), err


async def test_the_format_and_the_zone_of_a_pull_that_is_continued_need_not_be_repeated(tmp_path: Path) -> None:
    server = server_of(acme=3, globex=4)
    local = "--format", "csv", "--for", "excel", "--tz", "Asia/Kathmandu"
    async with listed(tmp_path, server) as given:
        for folder in ("whole", "calls"):
            await run(None, "cdrs", "pull", *given, *RANGE, "--out", folder, *local, cwd=tmp_path)
        for file in (tmp_path / "calls").glob("globex*"):
            file.unlink()
        status, _, err = await run(None, "cdrs", "pull", *given, "--out", "calls", "--resume", cwd=tmp_path)
    assert status == 0, err
    assert names_in(tmp_path / "calls") == names_in(tmp_path / "whole")
    for name in ("acme.csv", "globex.csv"):
        assert (tmp_path / "calls" / name).read_text() == (tmp_path / "whole" / name).read_text()


async def test_files_that_grow_keep_their_format(tmp_path: Path) -> None:
    async with listed(tmp_path, server_of(acme=3, globex=4)) as given:
        since = "cdrs", "pull", *given, "--out", "calls", "--since-last", "--till"
        await run(None, *since, START.isoformat(), "--from", START.isoformat(), "--format", "csv", cwd=tmp_path)
        status, _, err = await run(None, *since, END.isoformat(), cwd=tmp_path)
    assert (status, "2 accounts with 7 records in calls" in err) == (0, True), err
    assert {name.split(".")[1] for name in names_in(tmp_path / "calls")} == {"csv"}


@pytest.mark.parametrize("broken", [["acme"], ["acme", "globex"]])
async def test_a_checkpoint_that_is_damaged_stops_no_other_account(tmp_path: Path, broken: list[str]) -> None:
    server = server_of(acme=3, globex=4, initech=5)
    async with listed(tmp_path, server) as given:
        await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", cwd=tmp_path)
        for file in (tmp_path / "calls").glob("initech*"):
            file.unlink()
        for name in broken:
            (tmp_path / "calls" / f"{name}.ndjson.checkpoint").write_text("{}")
        status, _, err = await run(None, "cdrs", "pull", *given, *RANGE, "--out", "calls", "--resume", cwd=tmp_path)
    assert (status, ids_in(tmp_path / "calls" / "initech.ndjson")) == (2, ids("initech", 5))
    for name in broken:
        assert f"{name}: calls/{name}.ndjson.checkpoint is not what a pull leaves" in err
    assert f"account{'s' * (len(broken) > 1)} failed: {', '.join(broken)}." in err


async def test_rows_that_cannot_be_read_go_to_a_file_for_each_account(tmp_path: Path) -> None:
    server = server_of(acme=3, globex=4)
    server.rows["acme"][1] = RawRow(server.rows["acme"][1].start, b'{"id": 1}')
    async with listed(tmp_path, server) as given:
        command = "cdrs", "pull", *given, *RANGE, "--rejects", "rejects", "--format", "csv"
        status, _, err = await run(None, *command, "--out", "calls", cwd=tmp_path)
        assert status == 1
        assert "acme: 1 row could not be read: see " in err
        assert names_in(tmp_path / "rejects") == ["acme.ndjson", "globex.ndjson"]
        assert (tmp_path / "calls" / "acme.csv").read_text().count("\n") == 3
        status, _, err = await run(None, *command, "--out", "rejects", cwd=tmp_path)
        assert (status, "--rejects must name another folder" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cdrs", "pull", *RANGE], "--accounts needs --out, the folder for the files"),
        (["cdrs", "pull", "--out", "x"], "--from is missing"),
        (["cdrs", "pull", *RANGE, "--out", "x", "--token-stdin"], "--token-stdin and --accounts exclude each other"),
        (["cdrs", "pull", *RANGE, "--out", "x", "--profile", "acme"], "--profile acme: there is no such profile"),
        (["cdrs", "pull", *RANGE, "--out", "accounts.toml"], "cannot write accounts.toml"),
        (["cdrs", "sync", *RANGE, "--to", "mysql://x"], "--to must be a URL like"),
        (["cdrs", "sync", "--to", "sqlite:///x.db"], "--from is missing"),
        (
            ["cdrs", "pull", *RANGE, "--out", "calls", "--since-last", "--format", "xlsx"],
            "--since-last cannot add to a workbook; leave it out, or give --format csv or ndjson",
        ),
        (["cdrs", "sync", *RANGE[:2], "--to", "sqlite:///x.db", "--every", "1h"], "--accounts excludes --every"),
    ],
)
async def test_wrong_usage_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    async with listed(tmp_path, server_of(acme=1, globex=1)) as given:
        status, out, err = await run(None, *arguments, *given, cwd=tmp_path)
    assert (status, out) == (2, "")
    assert err.count(message) == 1


@pytest.mark.parametrize("command", [["cdrs", "pull", *RANGE], ["cdrs", "sync", *RANGE, "--to", "sqlite:///x.db"]])
async def test_at_once_is_for_many_accounts(tmp_path: Path, command: list[str]) -> None:
    status, out, err = await run(None, *command, "--at-once", "4", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert "--at-once needs --accounts" in err


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("token_env = 'NO_SUCH_TOKEN'", "acme.token_env: the environment variable NO_SUCH_TOKEN is not set"),
        ("tokens = 'unl_live_x'", "acme: tokens is unknown; the keys are token_env, token_file, token, base_url\n"),
        ("token = 'unl_live_x'\nbase_url = 'http://example.com'", "acme: base_url: plain http would send the token to"),
    ],
)
async def test_a_file_that_is_wrong_is_named(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "accounts.toml").write_text(f"[accounts.acme]\n{table}")
    command = "accounts", "check", "--accounts", "accounts.toml"
    status, _, err = await run(None, *command, cwd=tmp_path)
    assert status == 2
    assert f"accounts.toml: accounts.{message}" in err


@pytest.mark.slow
async def test_ctrl_c_ends_a_pull_which_can_be_continued(tmp_path: Path) -> None:
    server, hangs = server_of(acme=3, globex=4), asyncio.Event()

    async def hang() -> web.StreamResponse:
        hangs.set()
        await asyncio.Event().wait()
        raise AssertionError

    server.answers["globex"] = hang
    async with listed(tmp_path, server) as given:
        command = "cdrs", "pull", *given, "--out", "calls"
        async with running(None, *command, *RANGE, cwd=tmp_path) as process:
            await hangs.wait()
            while not (tmp_path / "calls" / "acme.ndjson").exists():  # noqa: ASYNC110 # another process makes it
                await asyncio.sleep(0.002)  # leaves the processor to that process
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
        assert process.returncode == 130
        assert err.decode().splitlines()[-2:] == [
            "To continue: unlimcall cdrs pull --accounts accounts.toml --out calls --resume",
            "Interrupted.",
        ]
        del server.answers["globex"]
        assert (await run(None, *command, "--resume", cwd=tmp_path))[0] == 0
    assert ids_in(tmp_path / "calls" / "globex.ndjson") == ids("globex", 4)


# --- sync -----------------------------------------------------------------------------------------------------------------


async def test_a_sync_keeps_one_table_of_all(tmp_path: Path) -> None:
    server = server_of(acme=3, globex=4, gone=1)
    server.answers["gone"] = error(403, "account_suspended")
    async with listed(tmp_path, server) as given:
        command = "cdrs", "sync", *given, *RANGE, "--to", "sqlite:///calls.db"
        first: Ended = await run(None, *command, cwd=tmp_path)
        second = await run(None, *command, "--json", cwd=tmp_path)
    assert first[0] == second[0] == 3
    assert first[2].splitlines()[-1].startswith("2 accounts: 7 inserted, 0 revised, 0 removed, ")
    assert first[2].endswith(" 1 account failed: gone.\n")
    assert {name: each.get("unchanged") for name, each in objects(second[1]).items()} == {
        "acme": 3,
        "globex": 4,
        "gone": None,
    }
    with closing(sqlite3.connect(tmp_path / "calls.db")) as database:
        counts = database.execute("SELECT account, count(*) FROM cdrs GROUP BY account").fetchall()
    assert counts == [("acme", 3), ("globex", 4)]


async def test_an_account_that_is_new_to_a_table_stops_no_other(tmp_path: Path) -> None:
    server = server_of(acme=3, new=4)
    server.rows["x" * 300] = []
    async with listed(tmp_path, server) as given:
        one = AccountsServer({"acme": server.rows["acme"]})
        command = "cdrs", "sync", "--till", END.isoformat(), "--to", "parquet:///calls"
        (tmp_path / "all").mkdir()
        (tmp_path / "accounts.toml").rename(tmp_path / "all" / "accounts.toml")
        async with listed(tmp_path, one) as given_one:
            assert (await run(None, *command, *given_one, *RANGE[:2], cwd=tmp_path))[0] == 0
        status, _, err = await run(None, *command, given[0], "all/accounts.toml", cwd=tmp_path)
    assert status == 2
    assert "new: --from is missing, and no earlier run has given one\n" in err
    assert "xxx: account is too long for the name of a folder" in err
    assert f"1 account: 0 inserted, 0 revised, 0 removed, 1 request. 2 accounts failed: new, {'x' * 300}.\n" in err


# --- names and the table --------------------------------------------------------------------------------------------------


def test_each_account_names_another_file() -> None:
    names = ["acme", "a/b", "a%2Fb", "..", ".x", "x.", "con", "nul.txt", "é", "a b", "", "a\nb", "COM1x"]
    given = [name for name in names if name]
    assert file_names(given) == {
        "acme": "acme",
        "a/b": "a%2Fb",
        "a%2Fb": "a%252Fb",
        "..": "%2E%2E",
        ".x": "%2Ex",
        "x.": "x%2E",
        "con": "%63on",
        "nul.txt": "%6Eul.txt",
        "é": "%C3%A9",
        "a b": "a b",
        "a\nb": "a%0Ab",
        "COM1x": "COM1x",
    }
    with pytest.raises(ValueError, match="'acme' and 'ACME' differ in capitals alone"):
        file_names(["acme", "ACME"])
    with pytest.raises(ValueError, match="cannot name a file"):
        file_names(["x" * 229])
    (longest,) = file_names(["x" * 228]).values()
    assert len(f"{longest}.parquet.manifest.json.part") == 255


NOW = datetime(2026, 5, 1, tzinfo=UTC)


def board_of(accounts: int, under_way: int) -> Board:
    board = Board(accounts, done=2, failed=1, records=12_345)
    waits = Progress(0.5, 700, 3, NOW, "rate limit", NOW + timedelta(seconds=40), None)
    for number in range(under_way):
        board.under_way[f"an account with quite a long name {number}"] = None if number == 1 else lambda: waits
    return board


@pytest.mark.parametrize(("accounts", "under_way"), [(3, 2), (200, 16), (200, 64)])
@pytest.mark.parametrize(("width", "height"), [(120, 40), (60, 20), (20, 5), (8, 2), (1, 1)])
def test_the_table_does_not_grow_beyond_the_terminal(accounts: int, under_way: int, width: int, height: int) -> None:
    console = Console(width=width, height=height, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 # never written to
    with console.file, console.capture() as captured:
        console.print(drawn(board_of(accounts, under_way), width, height, NOW))
    lines = captured.get().splitlines()
    assert len(lines) <= max(height - 1, 1)
    assert all(len(line) <= width for line in lines)
    if width >= 60:
        # A terminal shows `^C` behind the last line, which would wrap, and a line would stay when the table goes.
        assert all(len(f"{line}^C") < width for line in lines)
        assert f"2 of {accounts} accounts  1 failed  " in lines[0]
        assert "50%" in lines[1]
        assert "rate limit" in lines[1]
        assert ("more" in lines[-1]) == (under_way > height - 3)
