"""`--rejects` and `--skip-saturated`: the ways out for rows that cannot be read, and for instants with too many records."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from unlimcall_async import AsyncClient, CheckpointJournal, RateLimits, UnreadableRow
from unlimcall_async.cli import access
from unlimcall_async.cli.rejects import lines
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status

from .spoiled import spoiled
from .support import START, in_this_process, line_of, made, names_in, run, running, until

pytestmark = pytest.mark.own_rules

PULL = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02", "--out", "c.ndjson"]
RESUME = ["cdrs", "pull", "--out", "c.ndjson", "--resume"]


def ids(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def rejected(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


SPOILT = {b'"billsec":7001': b'"billsec":null', b'"billsec": 7001': b'"billsec": null'}


def with_bad(count: int, *bad: int) -> list[SandboxCall]:
    whole = made(count, apart=timedelta(minutes=20))
    return [evolve(call, billsec=7001, duration=7001) if place in bad else call for place, call in enumerate(whole)]


def good_ids(count: int, *bad: int) -> list[str]:
    return [f"17.{number}" for number in range(count) if number not in bad]


async def test_rows_that_cannot_be_read_go_to_their_file_and_all_others_to_theirs(tmp_path: Path) -> None:
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 0, 7, 39))
        status, out, err = await run(sandbox, *PULL, "--rejects", "bad.ndjson", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        again, _, complete = await run(sandbox, *RESUME, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, again, out) == (1, 1, "")
    assert "37 records in c.ndjson" in err
    assert err.endswith(" 3 rows could not be read: see bad.ndjson.\n")
    assert complete.endswith("The file was complete already. 3 rows could not be read: see bad.ndjson.\n")
    assert ids((tmp_path / "c.ndjson").read_text()) == good_ids(40, 0, 7, 39)
    rows = rejected(tmp_path / "bad.ndjson")
    assert [row["row"]["id"] for row in rows] == ["17.0", "17.7", "17.39"]
    assert all(set(row) == {"window", "where", "reason", "row"} and row["where"].endswith("billsec") for row in rows)
    assert all(datetime.fromisoformat(at).tzinfo for row in rows for at in row["window"])
    assert stat.S_IMODE((tmp_path / "bad.ndjson").stat().st_mode) == 0o600
    assert names_in(tmp_path) == ["bad.ndjson", "c.ndjson", "c.ndjson.checkpoint", "c.ndjson.manifest.json"]


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("sent", "spoilt", "name"),
    [
        (b"7001", b"12.5", "row"),
        (b"7001", b"1" + b"0" * 320, "row"),
        (b'"2026-05-01T05:00:00.000Z"', b'"2026-05-01T05:00:00"', "row"),
        (b'"2026-05-01T05:00:00.000Z"', b"null", "row"),
        (b'"X"', b'"Caf\\ud83d"', "row_base64"),
        (b'"X"', b'"\xff"', "row_base64"),
    ],
)
async def test_every_kind_of_row_is_rejected_alone(tmp_path: Path, sent: bytes, spoilt: bytes, name: str) -> None:
    async with Sandbox() as sandbox, spoiled(sandbox, {sent: spoilt}) as url:
        sandbox.add_calls(evolve(call, country="X" if call.billsec == 7001 else None) for call in with_bad(40, 15))
        status, _, _ = await run(sandbox, *PULL, "--rejects", "bad", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, ids((tmp_path / "c.ndjson").read_text())) == (1, good_ids(40, 15))
    (line,) = rejected(tmp_path / "bad")
    body = b64decode(line[name]) if name == "row_base64" else (tmp_path / "bad").read_bytes()
    assert spoilt in body


async def test_without_the_option_the_error_names_it_and_the_pull_can_go_on(tmp_path: Path) -> None:
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 7))
        ended, _, err = await run(sandbox, *PULL, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        met, _, _ = await run(sandbox, *RESUME, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        status, _, _ = await run(sandbox, *RESUME, "--rejects", "bad", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (ended, met, status) == (4, 4, 1)
    assert err.endswith("To go on: --rejects FILE writes rows that cannot be read to a file.\n")
    assert ids((tmp_path / "c.ndjson").read_text()) == good_ids(40, 7)
    assert [row["row"]["id"] for row in rejected(tmp_path / "bad")] == ["17.7"]


async def test_a_pull_that_is_stopped_again_and_again_rejects_each_row_once(tmp_path: Path) -> None:
    bad = (3, 4, 11, 25, 26, 38)
    statuses: list[int | None] = []
    async with Sandbox(cap=6, count="matches") as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, *bad))
        arguments = [*PULL, "--rejects", "bad"]
        while not statuses or statuses[-1] != 1:
            sandbox.clear_faults()
            sandbox.inject(Status(409), endpoint="cdrs", skip=9, times=None)
            statuses.append((await run(sandbox, *arguments, cwd=tmp_path, UNLIMCALL_BASE_URL=url))[0])
            arguments = RESUME
            # What a kill leaves: bytes that no checkpoint counts.
            for name in ("c.ndjson.part", "bad.part"):
                if name in names_in(tmp_path):
                    with (tmp_path / name).open("ab") as torn:
                        torn.write(b"half of a li")
    assert len(statuses) > 2
    assert ids((tmp_path / "c.ndjson").read_text()) == good_ids(40, *bad)
    assert [row["row"]["id"] for row in rejected(tmp_path / "bad")] == [f"17.{number}" for number in bad]


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 there")
async def test_the_name_of_the_rejects_need_not_be_utf8(tmp_path: Path) -> None:
    name, follow = "caf\udce9", [*FOLLOW[:-1], "caf\udce9.log", "--checkpoint", "place"]
    async with Sandbox(cap=6, count="matches") as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 3, 38))
        sandbox.inject(Status(409), endpoint="cdrs", skip=9, times=None)
        first = await run(sandbox, *PULL, "--rejects", name, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        sandbox.clear_faults()
        status, _, err = await run(sandbox, *RESUME, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        assert (first[0], status, [row["row"]["id"] for row in rejected(tmp_path / name)]) == (
            3,
            1,
            ["17.3", "17.38"],
        ), err
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        for _ in range(2):  # ends by the API's refusal, and not by its own checkpoint
            status, _, err = await run(sandbox, *follow, cwd=tmp_path)
            assert (status, "answered 409" in err) == (3, True), err


async def test_standard_output_has_its_rejects_too(tmp_path: Path) -> None:
    arguments = [*PULL[:-2], "--rejects", "bad"]
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 7))
        status, out, err = await run(sandbox, *arguments, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        refused, _, exists = await run(sandbox, *arguments, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        forced, _, _ = await run(sandbox, *arguments, "--force", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, refused, forced) == (1, 2, 1)
    assert ids(out) == good_ids(40, 7)
    assert err.endswith(" 1 row could not be read: see bad.\n")
    assert "bad exists, or a part of it: --force replaces it" in exists
    assert [row["row"]["id"] for row in rejected(tmp_path / "bad")] == ["17.7"]


async def test_many_rows_that_cannot_be_read_are_brought_to_the_disk_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    bad = range(0, 72, 2)
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(72, *bad))
        status, _, _ = await run(sandbox, *PULL, "--rejects", "bad", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, len(rejected(tmp_path / "bad"))) == (1, len(bad))
    assert ids((tmp_path / "c.ndjson").read_text()) == good_ids(72, *bad)
    assert len(synced) < 72


async def test_a_program_learns_the_number(tmp_path: Path) -> None:
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 7))
        arguments = [*PULL, "--rejects", "bad", "--json"]
        status, out, _ = await run(sandbox, *arguments, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    facts = json.loads(out)
    assert (status, facts["records"], facts["unreadable"], facts["rejects"]) == (1, 39, 1, "bad")


async def test_a_pull_without_such_rows_succeeds(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        status, _, _ = await run(sandbox, *PULL, "--rejects", "bad", "--skip-saturated", cwd=tmp_path)
    assert (status, (tmp_path / "bad").read_bytes()) == (0, b"")


@pytest.mark.parametrize("name", ["bad", "bad.part"])
async def test_a_users_file_is_not_taken_for_rejects(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, *PULL, "--rejects", "bad", cwd=tmp_path)
        assert sandbox.requests == []
    assert (status, "bad exists, or a part of it" in err, (tmp_path / name).read_text()) == (2, True, "mine")


@pytest.mark.parametrize("name", ["c.ndjson", "c.ndjson.part", "c.ndjson.checkpoint"])
@pytest.mark.parametrize("way", [".", "folder/..", "link", "link/folder/.."])
def test_the_pulls_own_files_are_not_for_rejects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(".")
    status, _, err = in_this_process(*PULL, "--rejects", f"{way}/{name}")
    assert (status, "--rejects must name another file" in err, names_in(tmp_path)) == (2, True, ["folder", "link"])
    status, _, err = in_this_process(*FOLLOW[:-2], "--checkpoint", name, "--rejects", f"{way}/{name}")
    assert (status, "--rejects must name another file" in err, names_in(tmp_path)) == (2, True, ["folder", "link"])


# --- the form of a line ---------------------------------------------------------------------------------------------------


def row(body: bytes) -> UnreadableRow:
    return UnreadableRow((START, START + timedelta(hours=1)), "calls[3].billsec", "expected `int`", body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "1", "duration": 1e2, "duration": 34.0}',
        b'{"n": 1' + b"0" * 320 + b"}",
        b'{\n  "id": "Z\xc3\xbcrich",\r\n  "x": "\\n\xe2\x80\xa8"\n}',
        b"null",
        b'"text"',
    ],
)
def test_a_row_of_valid_json_stays_as_it_came(body: bytes) -> None:
    line = lines([row(body)])
    assert line.count(b"\n") == 1
    assert line.endswith(b'"row": ' + body.replace(b"\n", b" ").replace(b"\r", b" ") + b"}\n")
    assert json.loads(line)["row"] == json.loads(body)


@pytest.mark.parametrize("body", [b'{"id": "\\ud83d"}', b'{"id": "\xff"}', b"NaN", b"", b"[" * 100_000, b"\x1b[2J\n"])
def test_the_bytes_of_any_other_row_are_kept(body: bytes) -> None:
    line = lines([row(body)])
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert b64decode(read.pop("row_base64"), validate=True) == body
    assert read == {
        "window": ["2026-05-01T00:00:00.000Z", "2026-05-01T01:00:00.000Z"],
        "where": "calls[3].billsec",
        "reason": "expected `int`",
    }


# --- an instant with too many records -------------------------------------------------------------------------------------


def crowded() -> Iterable[SandboxCall]:
    """Return calls of which 20 are of one instant."""
    noon = START + timedelta(hours=12)
    return [*made(2, start=noon - timedelta(hours=1)), *made(20, apart=timedelta(0), start=noon), *made(3, start=noon)]


class Unlimited(AsyncClient):
    """A client that does not wait: to take an instant apart takes dozens of requests."""

    def __init__(self, token: str | None, **options: Any) -> None:
        super().__init__(token, **{**options, "rate_limits": RateLimits.unlimited()})


@pytest.mark.rest_slow
@pytest.mark.parametrize("out", [[], ["--out", "c.ndjson"]])
async def test_an_instant_with_too_many_records_ends_the_pull_unless_it_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: list[str]
) -> None:
    monkeypatch.setattr(access, "AsyncClient", Unlimited)
    pull = [*PULL[:-2], *out]
    async with Sandbox(cap=8, count="matches") as sandbox:
        sandbox.add_calls(crowded())
        ended, _, err = await run(sandbox, *pull, cwd=tmp_path)
        again = [*RESUME, "--skip-saturated"] if out else [*pull, "--skip-saturated"]
        status, written, lost = await run(sandbox, *again, cwd=tmp_path)
        if out:
            complete, _, _ = await run(sandbox, *RESUME, "--json", cwd=tmp_path)
            assert complete == 1
            written = (tmp_path / "c.ndjson").read_text()
    assert (ended, "To go on: --skip-saturated accepts" in err) == (4, True)
    assert (status, lost.count("may be missing")) == (1, 1)
    assert "Records from 2026-05-01T12:00:00" in lost
    assert len(written.splitlines()) == 2 + 8 + 2
    starts = [json.loads(line)["start_time"] for line in written.splitlines()]
    assert starts == sorted(starts)


# --- a follow -------------------------------------------------------------------------------------------------------------

NOW = datetime.now(UTC).replace(microsecond=0)
FOLLOW = ["cdrs", "follow", "--from", f"{NOW - timedelta(hours=3):%FT%TZ}", "--interval", "1s", "--rejects", "bad"]


def ago(minutes: int, name: str, *, bad: bool = False) -> SandboxCall:
    at = NOW - timedelta(minutes=minutes)
    return SandboxCall(id=name, start_time=at, billsec=7001 if bad else 10, duration=7001)


@pytest.mark.slow
async def test_a_follow_rejects_each_row_once_over_kills_and_starts(tmp_path: Path) -> None:
    follow = [*FOLLOW, "--checkpoint", "place"]
    path = tmp_path / "bad"
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        environment = {"UNLIMCALL_BASE_URL": url}
        sandbox.add_calls([ago(90, "a"), ago(80, "x", bad=True), ago(70, "b")])
        async with running(sandbox, *follow, cwd=tmp_path, environment=environment) as process:
            first = [json.loads(await line_of(process.stdout))["id"] for _ in range(2)]
            await until(lambda: path.read_bytes().count(b"\n") == 1)
            # No record comes behind this one.
            sandbox.add_calls([ago(10, "y", bad=True)])
            await until(lambda: path.read_bytes().count(b"\n") == 2)
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
        assert (process.returncode, err.decode().endswith(" 2 rows could not be read.\n")) == (1, True)
        with path.open("ab") as torn:
            torn.write(b"half of a li")
        sandbox.add_calls([ago(9, "c"), ago(8, "z", bad=True), ago(7, "d")])
        async with running(sandbox, *follow, cwd=tmp_path, environment=environment) as process:
            second = [json.loads(await line_of(process.stdout))["id"] for _ in range(2)]
            await until(lambda: path.read_bytes().count(b"\n") == 3)
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    assert (first, second) == (["a", "b"], ["c", "d"])
    assert [line["row"]["id"] for line in rejected(path)] == ["x", "y", "z"]


async def test_a_file_of_rejects_that_was_changed_is_not_continued_and_one_that_was_moved_is_begun_anew(
    tmp_path: Path,
) -> None:
    follow = [*FOLLOW, "--checkpoint", "place"]
    path = tmp_path / "bad"
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls([ago(90, "x", bad=True), ago(70, "b")])
        sandbox.inject(Status(409), endpoint="cdrs", skip=1, times=None)
        await run(sandbox, *follow, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        sound = path.read_bytes()
        for damaged in (sound[:-1], b"x" + sound[1:]):
            path.write_bytes(damaged)
            status, _, err = await run(sandbox, *follow, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
            assert (status, "bad is not as place says" in err, path.read_bytes()) == (2, True, damaged)
        path.rename(tmp_path / "bad.1")
        status, _, _ = await run(sandbox, *follow, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert (status, path.read_bytes()) == (3, b"")


LINE = b'{"window": ["2026-05-01T00:00:00.000Z"]}\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", b""),
        (LINE, LINE),
        (LINE[:-1], b""),
        (LINE + LINE[:20], LINE),
        (LINE[:5], b""),
        (LINE + LINE[:-2] + b" " * 3_000_000, LINE),
    ],
)
async def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, left: bytes, kept: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(left)
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls([ago(90, "x", bad=True), ago(70, "b")])
        sandbox.inject(Status(409), endpoint="cdrs", skip=1, times=None)
        await run(sandbox, *FOLLOW, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    content = path.read_bytes()
    assert content.startswith(kept)
    assert [json.loads(line)["row"]["id"] for line in content[len(kept) :].splitlines()] == ["x"]


@pytest.mark.parametrize("mine", [b"id,start_time\n", b"{}\n", b"\n", b'{"window": 1}\n'])
async def test_a_users_file_gets_no_rejects(tmp_path: Path, mine: bytes) -> None:
    (tmp_path / "bad").write_bytes(mine)
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        status, _, err = await run(sandbox, *FOLLOW, cwd=tmp_path)
        assert sandbox.requests == []
    assert (status, "bad does not hold rows that cannot be read; give --rejects another name" in err) == (2, True)
    assert (tmp_path / "bad").read_bytes() == mine


async def test_without_the_option_the_error_of_a_follow_names_it() -> None:
    async with Sandbox() as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls([ago(90, "x", bad=True), ago(70, "b")])
        status, out, err = await run(sandbox, *FOLLOW[:-2], UNLIMCALL_BASE_URL=url)
    assert (status, out) == (4, "")
    assert err.endswith("To go on: --rejects FILE writes rows that cannot be read to a file.\n")


def held(path: Path) -> int:
    """Return the number of records that a follow's checkpoint knows as written."""
    journal, _ = CheckpointJournal.from_lines(path.read_bytes())
    assert journal.checkpoint is not None
    cells = json.loads(journal.checkpoint.to_json())["cells"]
    # A cell without records has no names.
    return sum(len(names) for _, _, _, _, *more in cells for names in more[1:])


@pytest.mark.slow
async def test_a_follow_goes_on_behind_an_instant_with_too_many_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "AsyncClient", Unlimited)
    instant = NOW - timedelta(minutes=20)
    async with Sandbox(cap=8, count="matches") as sandbox:
        sandbox.add_calls([ago(30, "a"), *made(20, apart=timedelta(0), start=instant), ago(10, "b")])
        ended, _, err = await run(sandbox, *FOLLOW, "--checkpoint", "place", cwd=tmp_path)
        assert (ended, "To go on: --skip-saturated accepts" in err) == (4, True)
        following = asyncio.create_task(
            run(sandbox, *FOLLOW, "--checkpoint", "place", "--skip-saturated", cwd=tmp_path)
        )
        await until(lambda: held(tmp_path / "place") == 2)
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        status, out, lost = await following
    assert (status, ids(out)) == (3, ["b"])
    start = f"{instant:%FT%T}.000Z"
    assert f"Records from {start} till " in lost
    assert f"unlimcall cdrs pull --from {start} --till " in lost
