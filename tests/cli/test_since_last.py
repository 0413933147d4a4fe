"""`unlimcall cdrs pull --since-last`: from where the last pull into this file or folder ended."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import openpyxl  # type: ignore[import-untyped] # it has no types
import pytest

from unlimcall_async.cli import options, part_file
from unlimcall_async.cli.files import put_in_place
from unlimcall_async.sandbox import Sandbox, Stall, Status

from .spoiled import spoiled
from .support import START, Ended, made, names_in, run, until

pytestmark = pytest.mark.own_rules

HOUR = timedelta(hours=1)
# Every second of them: 240 calls.
CALLS = made(240, apart=timedelta(minutes=6))


class Cron:
    """A job that runs the same command again and again, an hour later each time."""

    def __init__(self, sandbox: Sandbox, folder: Path, patch: pytest.MonkeyPatch, *arguments: str) -> None:
        self.now = START + HOUR
        self._sandbox = sandbox
        self._folder = folder
        self._arguments = ["cdrs", "pull", "--since-last", "--from", START.isoformat(), *arguments]
        patch.setattr(options, "now", lambda: self.now)

    async def run(self, *more: str, later: timedelta = HOUR, **environment: str) -> Ended:
        ended = await run(self._sandbox, *self._arguments, *more, cwd=self._folder, **environment)
        self.now += later
        return ended

    @property
    def due(self) -> list[str]:
        """The ids of the calls that the runs until now must have pulled."""
        return [call.id for call in CALLS if call.start_time < self.now - HOUR]


def ids_of(path: Path) -> list[str]:
    if path.suffix == ".ndjson":
        return [json.loads(line)["id"] for line in path.read_text().splitlines()]
    return [row["id"] for row in csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))]


def all_ids(folder: Path) -> list[str]:
    return [found for path in sorted(folder.glob("*.ndjson")) for found in ids_of(path)]


@pytest.mark.rest_slow
@pytest.mark.parametrize("arguments", [["--out", "c.ndjson"], ["--out", "c.csv"], ["--out", "c.csv", "--for", "excel"]])
async def test_a_file_grows_run_by_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    name, err = arguments[1], ""
    whole = ["--from", START.isoformat(), "--till", "2026-05-01T04:00", "--out", f"whole.{name}", *arguments[2:]]
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, *arguments)
        for _ in range(4):
            status, _, err = await cron.run()
            assert status == 0, err
            assert [cell.strip('="') for cell in ids_of(tmp_path / name)] == cron.due
            assert names_in(tmp_path) == [name, f"{name}.checkpoint", f"{name}.manifest.json"]
        assert f"40 records in {name}, 10 of them new" in err
        # It does not ask again for what it has.
        assert [request.endpoint for request in sandbox.requests].count("cdrs") == 4
        await run(sandbox, "cdrs", "pull", *whole, cwd=tmp_path)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole.{name}").read_bytes()


async def test_a_folder_gets_a_file_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", ".")
        for _ in range(3):
            assert (await cron.run())[0] == 0
        # Files may be moved away. The place stays.
        first = "calls-20260501T000000Z-20260501T010000Z.ndjson"
        (tmp_path / first).unlink()
        status, out, _ = await cron.run("--json")
    assert status == 0
    assert json.loads(out)["file"] == "calls-20260501T030000Z-20260501T040000Z.ndjson"
    assert (json.loads(out)["new"], json.loads(out)["records"]) == (10, 10)
    names = [f"calls-20260501T0{hour}0000Z-20260501T0{hour + 1}0000Z.ndjson" for hour in (1, 2, 3)]
    manifests = [f"{name}.manifest.json" for name in (first, *names)]
    assert names_in(tmp_path) == sorted([*names, *manifests, "pull.checkpoint"])
    assert [found for name in names for found in ids_of(tmp_path / name)] == cron.due[10:]


async def test_a_folder_keeps_the_format_of_the_newest_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", ".")
        for more in ([], ["--format", "csv"], [], ["--format", "ndjson"], []):
            assert (await cron.run(*more))[0] == 0
    endings = [
        name.rpartition(".")[2]
        for name in names_in(tmp_path)
        if name.startswith("calls-") and not name.endswith(".json")
    ]
    assert endings == ["ndjson", "csv", "csv", "ndjson", "ndjson"]


async def test_a_folder_gets_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", str(tmp_path), "--format", "xlsx")
        for _ in range(2):
            assert (await cron.run())[0] == 0
    books = [tmp_path / name for name in names_in(tmp_path) if name.endswith(".xlsx")]
    found = [row[0].value for path in books for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2)]
    assert (len(books), found) == (2, cron.due)


@pytest.mark.rest_slow
@pytest.mark.parametrize("out", ["c.ndjson", "."])
async def test_a_run_that_was_stopped_is_finished_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    async with Sandbox(cap=5, count="matches") as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", out)
        assert (await cron.run())[0] == 0
        stops = 0
        for skip in (0, 1, 2, 3, 5, 8):
            sandbox.inject(Status(409), endpoint="cdrs", skip=skip)
            status, _, err = await cron.run()
            stops += status == 3
            assert (status, "To continue: unlimcall cdrs pull --since-last" in err) in {(3, True), (0, False)}
            sandbox.clear_faults()
        assert stops >= 4
        assert (await cron.run())[0] == 0
    assert all_ids(tmp_path) == cron.due
    assert not [name for name in names_in(tmp_path) if name.endswith(".part")]


async def test_nothing_new_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.ndjson")
        await cron.run(later=timedelta(0))
        before, asked = (tmp_path / "c.ndjson").read_bytes(), len(sandbox.requests)
        status, _, err = await cron.run(later=timedelta(0))
        settled, out, _ = await cron.run("--settle", "2h", "--json")
        assert len(sandbox.requests) == asked
    assert (status, settled) == (0, 0)
    assert err == "Nothing to pull: the last pull into c.ndjson ended at 2026-05-01T01:00:00+00:00.\n"
    assert json.loads(out) == {"file": "c.ndjson", "new": 0, "end": "2026-05-01T01:00:00.000Z"}
    assert (tmp_path / "c.ndjson").read_bytes() == before


async def test_what_settles_comes_with_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.ndjson", "--settle", "30m")
        for hour in range(3):
            # The records of the last half hour are not there yet.
            sandbox.add_calls(
                call for call in CALLS if timedelta(0) <= call.start_time - (START + (hour - 0.5) * HOUR) < HOUR
            )
            assert (await cron.run())[0] == 0
    assert ids_of(tmp_path / "c.ndjson") == [call.id for call in CALLS if call.start_time < START + 2.5 * HOUR]


async def test_a_file_that_was_moved_away_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.csv")
        await cron.run()
        (tmp_path / "c.csv").rename(tmp_path / "first.csv")
        await cron.run()
    assert ids_of(tmp_path / "first.csv") + ids_of(tmp_path / "c.csv") == cron.due


async def test_a_file_that_was_changed_is_not_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.csv"
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.csv")
        path.write_text("mine")
        refused, _, err = await cron.run()
        assert (refused, "exists, but c.csv.checkpoint, which says where it ends, does not" in err) == (2, True)
        path.unlink()
        await cron.run()
        path.write_text(path.read_text() + "mine")
        changed = path.read_bytes()
        status, _, err = await cron.run()
        assert (status, "is not as c.csv.checkpoint says; move it away to begin a new file" in err) == (2, True)
        form, _, other = await cron.run("--format", "ndjson")
        assert (form, "was begun as csv, not as ndjson" in other) == (2, True)
        assert path.read_bytes() == changed
        path.unlink()
        assert (await cron.run())[0] == 0


async def test_the_file_is_there_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(cap=5, count="matches") as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.ndjson")
        await cron.run(later=5 * HOUR)
        before = (tmp_path / "c.ndjson").read_bytes()
        sandbox.inject(Stall(seconds=2), endpoint="cdrs", skip=12)
        running = asyncio.create_task(cron.run())
        part = tmp_path / "c.ndjson.part"

        def has_grown() -> bool:
            with suppress(FileNotFoundError):  # the command may open the file and remove it before it grows
                return part.stat().st_size > len(before)
            return False

        await until(has_grown)
        assert (tmp_path / "c.ndjson").read_bytes() == before
        # A second job does not interfere.
        status, _, err = await cron.run(later=timedelta(0))
        assert (status, "another process is writing c.ndjson" in err) == (2, True)
        sandbox.clear_faults()
        await running
    assert ids_of(tmp_path / "c.ndjson")[:10] == [call.id for call in CALLS[:10]]


@pytest.mark.slow
async def test_two_jobs_do_not_pull_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(latency=0.2) as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", ".")
        running = asyncio.create_task(cron.run())
        await until(lambda: bool(sandbox.requests))
        status, _, err = await cron.run()
        await running
    assert (status, "another process is pulling into ." in err) == (2, True)


@pytest.mark.parametrize("out", ["c.ndjson", "."])
async def test_rejects_go_on_and_each_run_has_its_own_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    # The second hour has a row that cannot be read.
    bad = CALLS[15].id
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        async with spoiled(sandbox, {f'"id":"{bad}"'.encode(): b'"id":null'}) as url:
            cron = Cron(sandbox, tmp_path, monkeypatch, "--out", out, "--rejects", "bad.jsonl")
            ended = [(await cron.run(UNLIMCALL_BASE_URL=url))[0] for _ in range(3)]
    assert ended == [0, 1, 0]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    assert all_ids(tmp_path) == [one for one in cron.due if one != bad]


def move_files(folder: Path, away: Path) -> None:
    for path in folder.glob("*.ndjson"):
        path.rename(away / path.name)


@pytest.mark.parametrize("out", ["c.ndjson", "."])
@pytest.mark.parametrize("more", [(), ("--no-manifest",)])
@pytest.mark.parametrize(("step", "moved"), [(1, False), (2, False), (2, True)])
async def test_a_run_that_was_killed_at_its_end_stops_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, more: tuple[str, ...], step: int, moved: bool
) -> None:
    bad, steps, away = CALLS[15].id, list[Path](), tmp_path / "away"
    away.mkdir()

    def deadly(part: Path, path: Path, *, replace: bool) -> None:
        put_in_place(part, path, replace=replace)
        steps.append(path)
        if len(steps) == step:
            raise SystemExit(137)

    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        async with spoiled(sandbox, {f'"id":"{bad}"'.encode(): b'"id":null'}) as url:
            cron = Cron(sandbox, tmp_path, monkeypatch, "--out", out, "--rejects", "bad.jsonl", *more)
            assert (await cron.run(UNLIMCALL_BASE_URL=url))[0] == 0
            with monkeypatch.context() as patch:
                patch.setattr(part_file, "put_in_place", deadly)
                assert (await cron.run(UNLIMCALL_BASE_URL=url))[0] == 137
            if moved:
                move_files(tmp_path, away)
            # The row that cannot be read is of the run that was killed, which the next one finishes unless its file is gone.
            ended = [(await cron.run(UNLIMCALL_BASE_URL=url))[0] for _ in range(2)]
    assert ended in ([1, 0], [0, 0])
    assert all_ids(away) + all_ids(tmp_path) == [one for one in cron.due if one != bad]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    assert not [name for name in names_in(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("name", ["pull.checkpoint", "./pull.checkpoint"])
async def test_rejects_do_not_take_the_place_of_the_folders_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with Sandbox() as sandbox:
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", ".", "--rejects", name)
        status, _, err = await cron.run()
    assert (status, "--rejects must name another file than --out" in err) == (2, True)


async def test_a_folder_is_for_this_option_alone(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, "cdrs", "pull", "--from", "1d", "--out", ".", cwd=tmp_path)
        other, _, _ = await run(sandbox, "cdrs", "pull", "--from", "1d", "--out", "..", "--resume", cwd=tmp_path)
    assert (status, other, "without --since-last, it must be the name of a file, and . is a folder" in err) == (
        2,
        2,
        True,
    )


async def test_the_first_start_may_be_changed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        cron = Cron(sandbox, tmp_path, monkeypatch, "--out", "c.ndjson")
        await cron.run()
        await cron.run("--from", "2020-01-01")
        earlier, _, err = await cron.run("--till", "2026-05-01T01:30")
    assert ids_of(tmp_path / "c.ndjson") == [
        call.id for call in CALLS if call.start_time < datetime.fromisoformat("2026-05-01T02:00Z")
    ]
    assert (earlier, err.startswith("Nothing to pull")) == (0, True)
