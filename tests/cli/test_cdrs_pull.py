"""`unlimcall cdrs pull`."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unlimcall_async.sandbox import Sandbox, SandboxCall, Stall, Status

from .kill import run as run_killed
from .support import START, in_this_process, made, names_in, run, run_process, running, until

MAY = ["--from", "2026-05-01", "--till", "2026-05-02"]


def ids(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


async def test_records_go_to_standard_output() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        status, out, err = await run(sandbox, "cdrs", "pull", *MAY)
        _, same, _ = await run(sandbox, "cdrs", "pull", *MAY, "--json")
    assert (status, ids(out)) == (0, [call.id for call in made(30)])
    assert err == "30 records. 1 request, 1.00 times the fewest possible.\n"
    assert same == out


async def test_csv_goes_to_standard_output() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(3))
        _, out, _ = await run(sandbox, "cdrs", "pull", *MAY, "--format", "csv")
        clash, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--format", "csv", "--json")
    assert [row["id"] for row in csv.DictReader(io.StringIO(out, newline=""))] == ["17.0", "17.1", "17.2"]
    assert (clash, "exclude each other" in err) == (2, True)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_standard_output_gets_what_a_file_gets(tmp_path: Path, form: str) -> None:
    strange = SandboxCall(id="7", start_time=START, src="\x1b[31mred", dst="=1+1", country="Öster,\r\nreich")
    async with Sandbox() as sandbox:
        sandbox.add_calls([strange])
        out = tmp_path / f"calls.{form}"
        await run(sandbox, "cdrs", "pull", *MAY, "--out", str(out))
        with (tmp_path / "stdout").open("wb") as file:
            await run_process(sandbox, "cdrs", "pull", *MAY, "--format", form, stdout=file.fileno())
    assert out.read_bytes() == (tmp_path / "stdout").read_bytes()
    assert "Öster,\\r\\nreich" in out.read_text() or "Öster,\r\nreich" in out.read_bytes().decode()


@pytest.mark.parametrize(("name", "lines"), [("calls.ndjson", 30), ("calls.csv", 31), ("calls", 30)])
async def test_a_file_is_written(tmp_path: Path, name: str, lines: int) -> None:
    form = [] if "." in name else ["--format", "ndjson"]
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        status, out, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", name, *form, cwd=tmp_path)
    assert (status, out) == (0, "")
    assert err.startswith(f"30 records in {name}, ")
    assert len((tmp_path / name).read_text().splitlines()) == lines
    assert names_in(tmp_path) == [name, f"{name}.checkpoint", f"{name}.manifest.json"]


async def test_what_it_has_come_to_is_there_for_a_program(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        _, out, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", "--json", cwd=tmp_path)
    assert err == ""
    assert json.loads(out) == {
        "file": "c.csv",
        "records": 30,
        "bytes": (tmp_path / "c.csv").stat().st_size,
        "start": "2026-05-01T00:00:00.000Z",
        "end": "2026-05-02T00:00:00.000Z",
        "requests": 1,
        "retries": 0,
    }


async def test_a_file_without_calls_is_whole_too(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        for name in ("none.csv", "none.ndjson"):
            assert (await run(sandbox, "cdrs", "pull", *MAY, "--out", name, cwd=tmp_path))[0] == 0
    assert (tmp_path / "none.csv").read_text().startswith("id,start_time,")
    assert (tmp_path / "none.ndjson").read_bytes() == b""


async def test_times_are_as_people_write_them() -> None:
    now = datetime.now(UTC)
    ages = {"new": timedelta(minutes=30), "older": timedelta(hours=30), "oldest": timedelta(days=20)}
    async with Sandbox() as sandbox:
        sandbox.add_calls(
            SandboxCall(id=name, start_time=(now - age).replace(microsecond=0)) for name, age in ages.items()
        )
        outs = [
            ids((await run(sandbox, "cdrs", "pull", *times.split()))[1])
            for times in ("--from 2h", "--from 2d", "--from 4w", "--from 4w --till 1d")
        ]
    assert outs == [["new"], ["older", "new"], ["oldest", "older", "new"], ["oldest", "older"]]


async def test_a_zone_moves_the_day() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(24, apart=timedelta(hours=1)))
        _, out, _ = await run(sandbox, "cdrs", "pull", *MAY, "--tz", "Asia/Kathmandu")
    # 2026-05-02 begins there at 18:15 of the day before in UTC.
    assert ids(out) == [call.id for call in made(19, apart=timedelta(hours=1))]


# --- a file that is there already -----------------------------------------------------------------------------------------


async def test_a_file_that_exists_is_not_replaced_unless_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    path.write_text("mine\n")
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        refused, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", str(path))
        unknown, _, doubt = await run(sandbox, "cdrs", "pull", *MAY, "--out", str(path), "--resume")
        assert path.read_text() == "mine\n"
        forced, _, _ = await run(sandbox, "cdrs", "pull", *MAY, "--out", str(path), "--force")
    assert (refused, "exists, or a part of it: --force replaces it" in err) == (2, True)
    assert (unknown, "which says how to continue it, does not; --force replaces the file" in doubt) == (2, True)
    assert (forced, ids(path.read_text())) == (0, ["17.0", "17.1"])


async def test_a_pull_that_has_ended_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "calls.ndjson", cwd=tmp_path)
        before, asked = (tmp_path / "calls.ndjson").read_bytes(), len(sandbox.requests)
        sandbox.add_calls(made(1, start=START + timedelta(hours=3)))
        status, _, err = await run(sandbox, "cdrs", "pull", "--out", "calls.ndjson", "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == asked
    assert (status, "The file was complete already." in err) == (0, True)
    assert (tmp_path / "calls.ndjson").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--from", "2026-05-03"], "and --from 2026-05-03 is another range; leave --from out to continue the file"),
        (["--till", "2026-06-01"], "and --till 2026-06-01 is another range; leave --till out to continue the file"),
        (["--format", "csv"], "was begun as ndjson, not as csv"),
    ],
)
async def test_another_range_is_not_gone_on_with(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    async with Sandbox() as sandbox:
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "calls.ndjson", cwd=tmp_path)
        status, _, err = await run(
            sandbox, "cdrs", "pull", "--out", "calls.ndjson", "--resume", *arguments, cwd=tmp_path
        )
    assert (status, complaint in err) == (2, True)


async def test_the_same_range_in_other_words_is_gone_on_with(tmp_path: Path) -> None:
    same = ["--from", "2026-05-01T02:00", "--till", "2026-05-02T00:00Z", "--tz", "Europe/Berlin"]
    async with Sandbox() as sandbox:
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "calls.ndjson", cwd=tmp_path)
        status, _, _ = await run(sandbox, "cdrs", "pull", "--out", "calls.ndjson", "--resume", *same, cwd=tmp_path)
    assert status == 0


@pytest.mark.parametrize("name", ["c.csv", "c.csv.part", "c.csv.checkpoint"])
@pytest.mark.parametrize("force", [False, True])
async def test_a_planted_link_is_not_followed(tmp_path: Path, name: str, force: bool) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / name).symlink_to("victim")
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        status, _, err = await run(
            sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", *(["--force"] if force else []), cwd=tmp_path
        )
        assert sandbox.requests == []
    assert (status, f"cannot write {name}: it is a symbolic link" in err) == (2, True)
    assert ((tmp_path / "victim").read_text(), names_in(tmp_path)) == ("mine", sorted([name, "victim"]))


async def test_names_that_can_be_foretold_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    for name in ("c.csv.new", "c.csv.checkpoint.new", "c.csv.tmp"):
        (tmp_path / name).symlink_to("victim")
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        status, _, _ = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path)
    assert (status, (tmp_path / "victim").read_text()) == (0, "mine")


@pytest.mark.parametrize("form", ["ndjson", "xlsx"])
async def test_a_long_name_is_refused_at_once_or_not_at_all(tmp_path: Path, form: str) -> None:
    # The longest name that FILE.manifest.json.part leaves, of 236 bytes.
    name = f"{'ü' * 100}{'x' * (35 - len(form))}.{form}"
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", name, cwd=tmp_path)
        assert (status, names_in(tmp_path)) == (0, [name, f"{name}.checkpoint", f"{name}.manifest.json"]), err
        before = len(sandbox.requests)
        status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", f"x{name}", cwd=tmp_path)
    assert (status, err.endswith(": File name too long\n"), len(sandbox.requests)) == (2, True, before)


async def test_call_records_are_for_their_owner(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(2))
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names_in(tmp_path)]
    assert modes == [0o600, 0o600, 0o600]


async def test_a_users_own_file_with_the_checkpoints_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "c.csv.checkpoint").write_text("mine")
    async with Sandbox() as sandbox:
        refused, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path)
        assert (tmp_path / "c.csv.checkpoint").read_text() == "mine"
        forced, _, _ = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", "--force", cwd=tmp_path)
    assert (refused, "--force starts anew" in err, forced) == (2, True, 0)


async def test_the_checkpoint_of_a_file_that_was_moved_away_does_not_stop_the_next_pull(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        for night in ("first.csv", "second.csv"):
            assert (await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path))[0] == 0
            (tmp_path / "c.csv").rename(tmp_path / night)


async def test_a_file_that_appears_during_the_pull_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    async with Sandbox(latency=0.2) as sandbox:
        sandbox.add_calls(made(2))
        pulling = asyncio.create_task(run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path))
        await until(lambda: bool(sandbox.requests))
        path.write_text("mine")
        late, _, err = await pulling
        early, _, again = await run(sandbox, "cdrs", "pull", "--out", "c.csv", "--resume", cwd=tmp_path)
        assert path.read_text() == "mine"
        path.unlink()
        status, _, _ = await run(sandbox, "cdrs", "pull", "--out", "c.csv", "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == 1
    assert (late, early, status, len(path.read_text().splitlines())) == (2, 2, 0, 3)
    message = "Error: cannot write c.csv: a file of this name has appeared meanwhile\n"
    assert (err, again) == (f"To continue: unlimcall cdrs pull --out c.csv --resume\n{message}", message)


async def test_a_file_that_has_appeared_is_seen_before_the_rest_is_pulled(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.csv", cwd=tmp_path)
        (tmp_path / "c.csv").write_text("mine")
        asked = len(sandbox.requests)
        status, _, err = await run(sandbox, "cdrs", "pull", "--out", "c.csv", "--resume", cwd=tmp_path)
        assert len(sandbox.requests) == asked
    assert (status, "c.csv has appeared since the pull began; move it away" in err) == (2, True)


@pytest.mark.parametrize("command", ["cdrs pull --from 1d --out", "cdrs follow --checkpoint", "demo --calls 1 --out"])
@pytest.mark.parametrize("target", ["loop.csv", "absent", "/dev/stdout"])
def test_no_command_follows_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, target: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop.csv").symlink_to(target)
    status, out, err = in_this_process(*command.split(), "loop.csv")
    assert (status, out, names_in(tmp_path)) == (2, "", ["loop.csv"])
    assert err.startswith("Error: cannot write loop.csv: it is a symbolic link, which this command does not follow")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--from is missing"),
        (["--from", "soon"], "Invalid value for --from: 'soon' is not a time"),
        (["--from", "1d", "--till", "2d"], "--from is after --till"),
        (["--from", "1d", "--tz", "Mars/Base"], "'Mars/Base' is not a time zone"),
        (["--from", "1d", "--tz", "../../etc/passwd"], "is not a time zone"),
        (["--from", "1d", "--out", "calls.txt"], "must end in .csv, .ndjson, .parquet or .xlsx; else give --format"),
        (["--from", "1d", "--format", "xlsx"], "--format xlsx needs --out"),
        (["--from", "1d", "--format", "parquet"], "--format parquet needs --out"),
        (["--from", "1d", "--out", "c.parquet", "--for", "excel"], "--for excel is for CSV"),
        (["--from", "1d", "--for", "excel", "--format", "ndjson"], "--for excel is for CSV; give --format csv"),
        (["--from", "1d", "--for", "excel", "--out", "calls"], "--for excel is for CSV; give --format csv"),
        (["--from", "1d", "--for", "excel", "--json"], "--json and --format csv --for excel exclude each other"),
        (["--from", "2099-01-01"], "--from 2099-01-01 is in the future"),
        (["--from", "2098-01-01", "--till", "2099-01-01"], "--from 2098-01-01 is in the future"),
        (["--from", "1h", "--settle", "2h"], "--from is after the time that --settle leaves"),
        (["--from", "1d", "--till", "1h", "--settle", "2h"], "--settle and --till exclude each other"),
        (["--from", "1d", "--settle", "999999d"], "--settle must not reach back beyond the year 1"),
        (["--from", "1d", "--rate", f"{10**23}"], "is not in the range 1<=x<=1000000000"),
        (["--from", "1d", "--settle", "two"], "'two' is not a span of time"),
        (["--since-last"], "--since-last needs --out"),
        (["--since-last", "--out", "c.csv", "--force"], "--since-last and --force exclude each other"),
        (
            ["--since-last", "--out", "c.csv"],
            "no pull into c.csv has ended yet: give the start of the first one with --from",
        ),
        (["--since-last", "--from", "1d", "--out", "c.xlsx"], "--since-last cannot add to a workbook; name a folder"),
        (
            ["--since-last", "--from", "1d", "--out", "c.parquet"],
            "--since-last cannot add to a Parquet file; name a folder",
        ),
        (["--from", "1d", "--tz", ""], "is not a time zone"),
        (["--from", "1d", "--resume"], "--resume needs --out"),
        (["--from", "1d", "--force"], "--force needs --out"),
        (["--from", "1d", "--out", "c.csv", "--force", "--resume"], "exclude each other"),
        (["--from", "1d", "--out", "missing/c.csv"], "cannot write missing/c.csv"),
        (["--from", "1d", "--out", "/dev/full", "--format", "csv"], "it is not an ordinary file"),
        (["--out", "c.csv", "--resume"], "--from is missing"),
    ],
)
def test_wrong_usage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = in_this_process("cdrs", "pull", *arguments)
    assert (status, out, complaint in err) == (2, "", True), err
    assert names_in(tmp_path) == []


# --- a pull that is stopped -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_leaves_what_can_be_gone_on_with(tmp_path: Path, number: signal.Signals, status: int) -> None:
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Stall(), endpoint="cdrs", skip=12, times=None)
        async with running(sandbox, "cdrs", "pull", *MAY, "--out", "my calls.csv", cwd=tmp_path) as process:
            await until(lambda: sum(request.endpoint == "cdrs" for request in sandbox.requests) > 12)
            await until(lambda: (tmp_path / "my calls.csv.part").stat().st_size > 1000)
            process.send_signal(number)
            _, err = await process.communicate()
        sandbox.clear_faults()
        assert process.returncode == status
        assert "To continue: unlimcall cdrs pull --out 'my calls.csv' --resume\n" in err.decode()
        assert b"Traceback" not in err
        assert names_in(tmp_path) == [
            *("my calls.csv.checkpoint", "my calls.csv.manifest.json.part", "my calls.csv.part")
        ]
        again, _, _ = await run(sandbox, "cdrs", "pull", "--out", "my calls.csv", "--resume", cwd=tmp_path)
        await run(sandbox, "cdrs", "pull", *MAY, "--out", "whole.csv", cwd=tmp_path)
    assert again == 0
    assert (tmp_path / "my calls.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


async def test_an_error_leaves_what_can_be_gone_on_with(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(5))
        sandbox.inject(Status(409), endpoint="cdrs")
        status, _, err = await run(sandbox, "cdrs", "pull", "--from", "2026-05-01", "--out", "c.ndjson", cwd=tmp_path)
        assert (status, "To continue: unlimcall cdrs pull --out c.ndjson --resume" in err) == (3, True)
        journal = json.loads((tmp_path / "c.ndjson.checkpoint").read_text())
        # Till now: settled by the pull that began, and not again by the one that goes on.
        again, _, _ = await run(sandbox, "cdrs", "pull", "--out", "c.ndjson", "--resume", cwd=tmp_path)
        assert json.loads((tmp_path / "c.ndjson.checkpoint").read_text())["end"] == journal["end"]
    assert (again, len(ids((tmp_path / "c.ndjson").read_text()))) == (0, 5)


async def test_without_a_checkpoint_resume_begins(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(5))
        status, _, _ = await run(sandbox, "cdrs", "pull", *MAY, "--out", "c.ndjson", "--resume", cwd=tmp_path)
    assert (status, len(ids((tmp_path / "c.ndjson").read_text()))) == (0, 5)


async def test_a_full_disk_is_told_in_a_line() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(5))
        status, _, err = await run_process(sandbox, "cdrs", "pull", *MAY, stdout=full)
    os.close(full)
    assert (status, err) == (2, "Error: cannot write standard output: No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["ndjson", "csv", "parquet", "xlsx"])
async def test_a_killed_pull_leaves_the_same_file(suffix: str) -> None:
    assert await run_killed(kills=1, seed=7, suffix=suffix)
