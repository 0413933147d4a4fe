"""The same command with `--resume`: a time means what it meant when the pull began."""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.selection import covering
from unlimcall_async.cli import options
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.sealed import sealed, unsealed
from unlimcall_async.sandbox import Sandbox, Status

from .support import START, Ended, made, names_in, run

pytestmark = pytest.mark.own_rules

NOW = START + timedelta(days=1)


@attrs.define
class Clock:
    now: datetime = NOW


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the command reads times."""
    clock = Clock()
    monkeypatch.setattr(options, "now", lambda: clock.now)
    return clock


async def stopped(sandbox: Sandbox, folder: Path, *arguments: str, out: str = "c.ndjson") -> Ended:
    """A pull that the API has refused."""
    sandbox.inject(Status(409), endpoint="cdrs")
    ended = await run(sandbox, "cdrs", "pull", *arguments, "--out", out, cwd=folder)
    assert ended[0] == 3, ended
    return ended


def journal_of(folder: Path, out: str = "c.ndjson") -> Journal:
    return Journal.from_json((folder / f"{out}.checkpoint").read_bytes())


SAME = [
    ["--from", "90d"],
    ["--from", "yesterday"],
    ["--from", "today", "--tz", "Asia/Tokyo"],
    ["--from", "2d", "--till", "1h"],
    ["--from", "2026-05-01", "--till", "now"],
    ["--from", "2026-04-30", "--till", "2099-01-01"],
    ["--from", "90d", "--settle", "2h"],
    ["--from", "2026-05-01", "--tz", "Europe/Berlin"],
]


@pytest.mark.parametrize("arguments", SAME, ids=" ".join)
@pytest.mark.parametrize("later", [timedelta(seconds=1), timedelta(days=40)], ids=str)
async def test_the_same_command_goes_on(tmp_path: Path, clock: Clock, arguments: list[str], later: timedelta) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30, apart=timedelta(hours=2)))
        await stopped(sandbox, tmp_path, *arguments)
        begun = journal_of(tmp_path)
        clock.now += later
        status, _, err = await run(sandbox, "cdrs", "pull", *arguments, "--out", "c.ndjson", "--resume", cwd=tmp_path)
    assert (status, "To continue" in err) == (0, False), err
    ended = journal_of(tmp_path)
    assert (ended.start, ended.end, ended.complete) == (begun.start, begun.end, True)
    assert begun.end <= NOW
    starts = [json.loads(line)["start_time"] for line in (tmp_path / "c.ndjson").read_text().splitlines()]
    held = [
        call.start_time for call in made(30, apart=timedelta(hours=2)) if begun.start <= call.start_time < begun.end
    ]
    assert [datetime.fromisoformat(start) for start in starts] == held


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        (["--from", "1d"], ["--from", "2026-04-29"], "--from 2026-04-29 is another range; leave --from out"),
        (["--from", "1d"], ["--till", "2026-04-30"], "--till 2026-04-30 is another range; leave --till out"),
        (["--from", "1d", "--till", "2099-01-01"], ["--till", "2098-01-01"], "--till 2098-01-01 is another range"),
        (
            ["--from", "2026-05-01"],
            ["--from", "2026-05-01", "--tz", "Asia/Tokyo"],
            "--from 2026-05-01 is another range",
        ),
    ],
)
async def test_another_time_is_an_error_that_names_both(
    tmp_path: Path, first: list[str], second: list[str], complaint: str
) -> None:
    async with Sandbox() as sandbox:
        await stopped(sandbox, tmp_path, *first)
        asked = len(sandbox.requests)
        status, _, err = await run(sandbox, "cdrs", "pull", *second, "--out", "c.ndjson", "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == asked
    assert (status, complaint in err, journal_of(tmp_path).end.isoformat() in err) == (2, True, True), err


@pytest.mark.parametrize(("later", "complete"), covering([timedelta(0), timedelta(days=40)], [False, True], together=1))
@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ("--from 60d", "--from 1d", "--from 1d as of 2026-05-02T00:00:00+00:00 is another range; leave --from out"),
        ("--from 1d", "--from 60d", "is another range; leave --from out"),
        ("--from yesterday", "--from today", "is another range; leave --from out"),
        ("--from yesterday", "--from yesterday --tz Asia/Tokyo", "is another range; leave --from out"),
        ("--from 2026-04-01", "--from 1d", "is another range; leave --from out"),
        ("--from 7d --till 1h", "--from 7d --till 2h", "is another range; leave --till out"),
        ("--from 7d --till 2026-05-01", "--from 7d --till now", "is another range; leave --till out"),
        ("--from 7d", "--from 7d --till 1h", "is another range; leave --till out"),
        ("--from 7d --settle 1h", "--from 7d --settle 3h", "--settle is another range; leave --settle out"),
        ("--from 7d", "--from 7d --settle 1h", "--settle is another range; leave --settle out"),
        ("--from 7d --settle 1h", "--from 7d --till now", "is another range; leave --till out"),
    ],
)
async def test_another_relative_time_is_an_error(
    tmp_path: Path, clock: Clock, first: str, second: str, complaint: str, later: timedelta, complete: bool
) -> None:
    pull = ["cdrs", "pull", "--out", "c.ndjson"]
    async with Sandbox() as sandbox:
        if complete:
            assert (await run(sandbox, *pull, *first.split(), cwd=tmp_path))[0] == 0
        else:
            await stopped(sandbox, tmp_path, *first.split())
        begun, asked = journal_of(tmp_path), len(sandbox.requests)
        clock.now += later
        status, _, err = await run(sandbox, *pull, *second.split(), "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == asked
    assert (status, complaint in err, journal_of(tmp_path)) == (2, True, begun), err


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("--from 7d", "--from 1w"),
        ("--from 1d", "--from 24h --till now"),
        ("--from 1d", "--from 2026-05-01"),
        ("--from 2026-05-01 --till 2h", "--from 1d --settle 2h"),
        ("--from 1d --settle 2h", "--from 1d --till 120m"),
        ("--from 1d --till 2h", "--from yesterday --till 120m"),
    ],
)
async def test_other_words_for_the_same_range_go_on(tmp_path: Path, clock: Clock, first: str, second: str) -> None:
    async with Sandbox() as sandbox:
        await stopped(sandbox, tmp_path, *first.split())
        clock.now += timedelta(days=3)
        status, _, err = await run(
            sandbox, "cdrs", "pull", *second.split(), "--out", "c.ndjson", "--resume", cwd=tmp_path
        )
    assert (status, journal_of(tmp_path).complete) == (0, True), err


async def test_the_start_of_a_file_that_grew_is_that_of_its_first_pull(tmp_path: Path, clock: Clock) -> None:
    grow = ["cdrs", "pull", "--from", "7d", "--out", "c.ndjson"]
    async with Sandbox() as sandbox:
        assert (await run(sandbox, *grow, "--since-last", cwd=tmp_path))[0] == 0
        for _ in range(2):
            clock.now += timedelta(days=1)
            sandbox.inject(Status(409), endpoint="cdrs")
            assert (await run(sandbox, *grow, "--since-last", cwd=tmp_path))[0] == 3
            other, _, _ = await run(sandbox, *grow, "--from", "8d", "--resume", cwd=tmp_path)
            same, _, err = await run(sandbox, *grow, "--resume", cwd=tmp_path)
            assert (other, same) == (2, 0), err


@pytest.mark.slow
async def test_a_zone_is_that_of_the_beginning(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        # For times in the file, the zone is a part of the file.
        tokyo = ["--from", "2026-05-01", "--tz", "Asia/Tokyo"]
        await stopped(sandbox, tmp_path, *tokyo, out="c.xlsx")
        other, _, err = await run(
            sandbox, "cdrs", "pull", "--out", "c.xlsx", "--resume", "--tz", "Europe/Berlin", cwd=tmp_path
        )
        same, _, _ = await run(
            sandbox, "cdrs", "pull", "--from", "2026-05-01", "--out", "c.xlsx", "--resume", cwd=tmp_path
        )
    assert (other, "was begun with --tz Asia/Tokyo, and --tz Europe/Berlin is another zone" in err, same) == (
        2,
        True,
        0,
    )


async def test_a_range_ends_now_at_the_latest(tmp_path: Path, clock: Clock) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        for out in ([], ["--out", "c.ndjson"]):
            _, _, err = await run(sandbox, "cdrs", "pull", "--from", "1d", "--till", "2099-01-01", *out, cwd=tmp_path)
            assert err.startswith(
                "--till 2099-01-01 is in the future: the range ends now, at 2026-05-02T00:00:00+00:00.\n"
            )
        await run(sandbox, "health", "--from", "1d", "--till", "2099-01-01")
        assert len(sandbox.requests) < 10
        assert journal_of(tmp_path).end == clock.now


async def test_a_range_may_be_left_to_settle(tmp_path: Path, clock: Clock) -> None:
    async with Sandbox() as sandbox:
        await run(sandbox, "cdrs", "pull", "--from", "1d", "--settle", "2h", "--out", "c.ndjson", cwd=tmp_path)
    assert journal_of(tmp_path).end == clock.now - timedelta(hours=2)


# --- what to type -----------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("arguments", "continued"),
    [
        (["--from", "90d", "--till", "1h", "--format", "csv", "--out", "my calls"], "--out 'my calls' --resume"),
        (["--out=c.csv", "--from=1d", "--for", "excel", "--tz", "Asia/Tokyo", "--json"], "--out c.csv --json --resume"),
        (
            ["--from", "1d", "--rejects", "bad", "--skip-saturated", "--out", "c.ndjson"],
            "--skip-saturated --out c.ndjson --resume",
        ),
        (["--from", "1d", "--quiet", "--out", "c.xlsx", "--settle", "1h", "--resume"], "--quiet --out c.xlsx --resume"),
        # Without --settle, it would go on too far.
        (
            ["--from", "1d", "--out", "c.csv", "--since-last", "--settle", "2h"],
            "--from 1d --out c.csv --since-last --settle 2h",
        ),
        (["--from", "1d", "--out", "--", "c.csv"], None),
    ],
)
async def test_an_unfinished_pull_says_what_to_type(
    tmp_path: Path, clock: Clock, arguments: list[str], continued: str | None
) -> None:
    if continued is None:
        async with Sandbox() as sandbox:
            assert (await run(sandbox, "cdrs", "pull", *arguments, cwd=tmp_path))[0] == 2
        return
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        status, _, err = await run(sandbox, "cdrs", "pull", *arguments, cwd=tmp_path)
        command = f"unlimcall cdrs pull {continued}"
        assert (status, f"To continue: {command}\n" in err) == (3, True), err
        clock.now += timedelta(days=2)
        again, out, err = await run(sandbox, *shlex.split(command)[1:], cwd=tmp_path)
    assert again == 0, err
    if "--json" in arguments:
        assert json.loads(out)["records"] == 100


async def test_a_part_that_is_in_the_way_says_what_to_type(tmp_path: Path, clock: Clock) -> None:
    arguments = ["--from", "1d", "--out", "c.ndjson"]
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        assert (await run(sandbox, "cdrs", "pull", *arguments, cwd=tmp_path))[0] == 3
        begun = journal_of(tmp_path)
        clock.now += timedelta(days=1)
        refused, _, err = await run(sandbox, "cdrs", "pull", *arguments, cwd=tmp_path)
        assert (refused, "that was not finished. --force starts anew." in err) == (2, True), err
        assert all(text in err for text in ("c.ndjson.part", begun.start.isoformat(), begun.end.isoformat()))
        command = err.rstrip().rpartition("To continue: ")[2]
        assert command == "unlimcall cdrs pull --out c.ndjson --resume"
        status, _, _ = await run(sandbox, *shlex.split(command)[1:], cwd=tmp_path)
    assert (status, len((tmp_path / "c.ndjson").read_text().splitlines())) == (0, 100)


async def test_a_file_that_is_complete_says_so(tmp_path: Path, clock: Clock) -> None:
    arguments = ["cdrs", "pull", "--from", "1d", "--out", "c.ndjson"]
    async with Sandbox() as sandbox:
        await run(sandbox, *arguments, cwd=tmp_path)
        clock.now += timedelta(days=1)
        asked = len(sandbox.requests)
        refused, _, err = await run(sandbox, *arguments, cwd=tmp_path)
        status, _, end = await run(sandbox, *arguments, "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == asked
    assert (refused, "c.ndjson exists: --since-last continues it from its end, --force replaces it" in err) == (2, True)
    assert status == 0
    assert end == (
        "The range of c.ndjson ends at 2026-05-02T00:00:00+00:00; --since-last goes on from there.\n"
        "0 records in c.ndjson, 0 bytes. The file was complete already.\n"
    )


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx", "ndjson"])
async def test_the_format_is_that_of_the_beginning(tmp_path: Path, ending: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        await stopped(sandbox, tmp_path, "--from", "1d", "--format", ending, out="calls")
        other = "csv" if ending == "ndjson" else "ndjson"
        refused, _, err = await run(
            sandbox, "cdrs", "pull", "--out", "calls", "--resume", "--format", other, cwd=tmp_path
        )
        status, _, _ = await run(sandbox, "cdrs", "pull", "--out", "calls", "--resume", cwd=tmp_path)
        await run(sandbox, "cdrs", "pull", "--from", "1d", "--out", f"whole.{ending}", cwd=tmp_path)
    assert (refused, f"was begun as {ending}, not as {other}; give --format {ending}" in err, status) == (2, True, 0)
    assert (tmp_path / "calls").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


async def test_for_whom_the_file_is_belongs_to_it(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        for out, arguments in (("plain.csv", []), ("excel.csv", ["--for", "excel"])):
            await stopped(sandbox, tmp_path, "--from", "1d", *arguments, out=out)
            assert (await run(sandbox, "cdrs", "pull", "--out", out, "--resume", cwd=tmp_path))[0] == 0
        refused, _, err = await run(
            sandbox, "cdrs", "pull", "--out", "plain.csv", "--for", "excel", "--resume", cwd=tmp_path
        )
    assert (refused, "was begun as csv, not as csv --for excel; leave --for out" in err) == (2, True)
    heads = [(tmp_path / name).read_bytes()[:5] for name in ("plain.csv", "excel.csv")]
    assert heads == [b"id,st", b"\xef\xbb\xbfid"]


async def test_a_checkpoint_of_an_earlier_release_is_continued(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        await stopped(sandbox, tmp_path, "--from", "1d")
        path = tmp_path / "c.ndjson.checkpoint"
        fields: dict[str, Any] = unsealed(path.read_bytes())
        for name in ("zone", "till", "kept", "made", "begun", "manifest"):
            del fields[name]
        path.write_text(sealed(fields))
        status, _, err = await run(
            sandbox, "cdrs", "pull", "--from", "1d", "--out", "c.ndjson", "--resume", cwd=tmp_path
        )
    assert "c.ndjson gets no manifest: its pull was begun without one." in err
    assert (status, len((tmp_path / "c.ndjson").read_text().splitlines())) == (0, 3)
    assert names_in(tmp_path) == ["c.ndjson", "c.ndjson.checkpoint"]
