"""`unlimcall cdrs sync`."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cdrs.raw_server import RawServer, served
from tests.sync.support import call
from unlimcall_async.sandbox import Sandbox

from .support import START, in_this_process, line_of, made, names_in, run, running

SYNC = ["cdrs", "sync", "--to", "sqlite:///calls.db", "--tz", "UTC"]
RANGE = ["--from", "2026-05-01", "--till", "2026-05-02"]


def stored(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "calls.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM cdrs").fetchone()
    return int(count)


async def test_a_table_is_made_and_then_kept_up_to_date(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        status, out, err = await run(sandbox, *SYNC, *RANGE, cwd=tmp_path)
        assert (status, out) == (0, "")
        assert err.endswith(
            "30 inserted, 0 revised, 0 removed, 0 unchanged, 1 request. "
            "The table holds 2026-05-01T00:00:00.000Z till 2026-05-02T00:00:00.000Z.\n"
        )
        sandbox.add_calls(made(3, start=START + timedelta(hours=1)))
        status, out, err = await run(sandbox, *SYNC, "--till", "2026-05-03", "--json", "--quiet", cwd=tmp_path)
        assert (status, err) == (0, "")
    facts = json.loads(out)
    assert facts == {
        "start": "2026-05-01T00:00:00.000Z",
        "end": "2026-05-03T00:00:00.000Z",
        "inserted": 3,
        "revised": 0,
        "removed": 0,
        "unchanged": 30,
        "unreadable": [],
        "requests": facts["requests"],
        "watermark": "2026-05-03T00:00:00.000Z",
    }
    assert (stored(tmp_path), names_in(tmp_path)) == (33, ["calls.db"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "mysql://db"], "--to must be a URL like"),
        (["--to", "sqlite://calls.db", "--from", "1d"], "--to names a host"),
        (["--to", "sqlite:///x.db", "--from", "1d", "--table", "unlimcall_sync"], "--table must not be unlimcall_sync"),
        (["--to", "sqlite:///x.db", "--from", "1d", "--account", ""], "--account must not be empty"),
        (["--to", "sqlite:///x.db", "--from", "2026-05-02", "--till", "2026-05-01"], "--from must not be after --till"),
        (["--to", "sqlite:///x.db", "--from", "2099-01-01"], "--from 2099-01-01 is in the future"),
        (
            ["--to", "sqlite:///x.db", "--from", "1h", "--settle", "2h"],
            "--from 1h is after the time that --settle leaves",
        ),
        (
            ["--to", "sqlite:///x.db", "--from", "1h", "--settle", "999999d"],
            "--settle must not reach back beyond the year 1",
        ),
        (["--to", "sqlite:///x.db", "--account", "a"], "--from is missing, and no earlier run has given one"),
        (["--to", "sqlite:///x.db", "--every", "1h", "--till", "now"], "--every and --till exclude each other"),
        (["--to", "sqlite:///x.db", "--every", "0s"], "--every must be above zero"),
        (
            ["--to", "sqlite:///none/x.db", "--from", "1d", "--account", "a"],
            "sqlite:///none/x.db: no lock can be made in ",
        ),
        (
            ["--to", "postgresql://u:secret@127.0.0.1:9/x", "--from", "1d", "--account", "a"],
            "postgresql://u@127.0.0.1:9/x",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = in_this_process("cdrs", "sync", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert "secret" not in err


async def test_rows_that_cannot_be_read_are_told_and_make_the_status_1(tmp_path: Path) -> None:
    bad = call(START, "x", duration='"+14155550100"')
    async with served(RawServer([call(START, "a"), bad])) as client:
        environment = {"UNLIMCALL_TOKEN": "t", "UNLIMCALL_BASE_URL": client.base_url}
        status, out, err = await run(None, *SYNC, *RANGE, "--account", "a", "--json", cwd=tmp_path, **environment)
    assert status == 1
    (row,) = json.loads(out)["unreadable"]
    assert row.keys() == {"from", "till", "where", "reason"}
    assert "1 row could not be read." in err
    assert "cannot be read, at calls[1].duration: " in err
    assert "+1415" not in out + err


@pytest.mark.slow
async def test_as_a_service_it_survives_an_outage_and_ends_by_sigterm(tmp_path: Path) -> None:
    recent = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    arguments = [*SYNC, "--from", "2d", "--every", "1s", "--json", "--account", "a"]
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3, start=recent))
        async with running(sandbox, *arguments, cwd=tmp_path) as process:
            assert json.loads(await line_of(process.stdout))["inserted"] == 3
            (tmp_path / "calls.db").rename(tmp_path / "gone.db")
            (tmp_path / "calls.db").mkdir()
            while "unable to open database file. The next attempt" not in await line_of(process.stderr):
                pass
            (tmp_path / "calls.db").rmdir()
            (tmp_path / "gone.db").rename(tmp_path / "calls.db")
            while (facts := json.loads(await line_of(process.stdout)))["unchanged"] != 3:
                pass
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
    assert process.returncode == 0, err
    assert facts["inserted"] == 0
    assert names_in(tmp_path) == ["calls.db"]
