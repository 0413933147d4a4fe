"""Locks and names of files by the rules of Windows."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.support import START, made, names_in, place_at, run
from unlimcall_async import AsyncClient, CheckpointError, CheckpointFile, RateLimits, _platform
from unlimcall_async.cli import options
from unlimcall_async.cli.output import UnusableError, UnwritableError
from unlimcall_async.cli.part_file import KeptFile, PartFile
from unlimcall_async.cli.pull_place import Place
from unlimcall_async.sandbox import Sandbox
from unlimcall_async.sync import read_records, sync_cdrs
from unlimcall_async.sync.file_lock import FileLock

pytestmark = [pytest.mark.own_rules, pytest.mark.usefixtures("windows")]

MAY = ["--from", "2026-05-01", "--till", "2026-05-02"]
FIRST, SECOND, THIRD = (place_at(START + timedelta(hours=hours)) for hours in (1, 2, 3))


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_lock_stands_behind_the_content_and_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("r+b", buffering=0) as file, path.open("r+b", buffering=0) as other:
        file.seek(3)
        _platform.lock(file.fileno())
        assert (file.tell(), other.read(), file.read()) == (3, b"content", b"tent")
        with pytest.raises(BlockingIOError):
            _platform.lock(other.fileno())
        assert other.tell() == 7
        file.close()
        _platform.lock(other.fileno())


def test_a_checkpoint_file_is_open_once_and_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with CheckpointFile(path) as file:
        for checkpoint in (FIRST, SECOND, THIRD):  # each replaces the file
            file.store(checkpoint)
            with pytest.raises(CheckpointError, match="another process has the file open"):
                CheckpointFile(path)
    with CheckpointFile(path) as again:
        assert again.checkpoint == THIRD
    assert names_in(tmp_path) == ["checkpoint"]


def test_two_that_begin_a_checkpoint_file_do_not_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with CheckpointFile(path) as first, CheckpointFile(path) as second:
        first.store(FIRST)
        with pytest.raises(CheckpointError, match="begun by another process"):
            second.store(SECOND)
        first.store(THIRD)
    assert names_in(tmp_path) == ["checkpoint"]


def test_a_checkpoint_file_that_another_process_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    with CheckpointFile(path) as file:
        file.store(FIRST)
        replace, taken = os.replace, list[CheckpointFile]()

        def replace_and_open(source: Path, target: Path) -> None:
            replace(source, target)
            taken.append(CheckpointFile(path))

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace_and_open)
            with pytest.raises(CheckpointError, match="another process has the file open"):
                file.store(SECOND)
        with taken[0] as other:
            assert other.checkpoint == SECOND
        with pytest.raises(CheckpointError, match="begun by another process"):
            file.store(THIRD)
    with CheckpointFile(path) as again:
        assert again.checkpoint == SECOND


def test_a_checkpoint_file_that_could_not_be_replaced_can_be_replaced_later(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with CheckpointFile(path) as file:
        file.store(FIRST)
        with path.open("rb"), pytest.raises(PermissionError):  # for example a virus scanner
            file.store(SECOND)
        assert names_in(tmp_path) == ["checkpoint"]
        file.store(THIRD)
    with CheckpointFile(path) as again:
        assert again.checkpoint == THIRD


def test_a_kept_file_is_locked_before_and_after_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    file = KeptFile(path)
    file.append(b"old")
    file.replace(b"new")
    with pytest.raises(UnusableError, match="another process is writing"):
        KeptFile(path)
    file.append(b", newer")
    file.close()
    assert path.read_bytes() == b"new, newer"
    assert names_in(tmp_path) == ["kept"]


def test_a_kept_file_that_could_not_be_replaced_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    file = KeptFile(path)
    file.append(b"old")
    with path.open("rb"), pytest.raises(UnwritableError):  # for example a virus scanner
        file.replace(b"new")
    with pytest.raises(UnusableError, match="another process is writing"):
        KeptFile(path)
    file.append(b", older")
    file.close()
    assert path.read_bytes() == b"old, older"
    assert names_in(tmp_path) == ["kept"]


def test_a_kept_file_that_another_process_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    file, taken, replace = KeptFile(path), list[KeptFile](), os.replace

    def replace_and_open(source: Path, target: Path) -> None:
        replace(source, target)
        taken.append(KeptFile(path))

    monkeypatch.setattr(os, "replace", replace_and_open)
    with pytest.raises(UnusableError, match="another process is writing"):
        file.replace(b"new")
    taken[0].append(b", newer")
    taken[0].close()
    file.close()
    assert path.read_bytes() == b"new, newer"


def test_an_empty_part_is_removed_and_a_full_one_gets_its_name(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    PartFile(path).close()
    assert names_in(tmp_path) == []
    part = PartFile(path)
    part.append(b"{}\n")
    with pytest.raises(UnusableError, match="another process is writing"):
        PartFile(path)
    part.put_in_place(replace=False)
    part.close()
    assert names_in(tmp_path) == ["calls.ndjson"]
    assert path.read_bytes() == b"{}\n"


def test_one_process_at_a_time_pulls_into_a_folder(tmp_path: Path) -> None:
    place = Place(tmp_path, is_folder=True)
    with place.locked():
        with pytest.raises(UnusableError, match="another process is pulling into"), place.locked():
            pytest.fail("two at once")
        with pytest.raises(UnusableError, match="another process is pulling into"), place.locked():
            pytest.fail("the first one that was refused has let go of the lock")
    with place.locked():
        pass
    assert names_in(tmp_path) == []
    with (
        pytest.raises(UnusableError, match=r"cannot read .*missing"),
        Place(tmp_path / "missing", is_folder=True).locked(),
    ):
        pytest.fail("there is no such folder")


async def test_pulls_end_as_on_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "calls.ndjson"
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        for more in ([], ["--force"]):  # a new file, and one that replaces it
            status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", str(out), *more)
            assert (status, "30 records" in err) == (0, True), err
            assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [call.id for call in made(30)]
        beside = names_in(tmp_path)
        (tmp_path / "folder").mkdir()
        since = ["--since-last", "--from", "2026-05-01", "--out", str(tmp_path / "folder")]
        for hours, count in ((1, 30), (2, 0)):
            monkeypatch.setattr(options, "now", lambda hours=hours: START + timedelta(hours=hours))
            status, facts, err = await run(sandbox, "cdrs", "pull", *since, "--json")
            assert (status, json.loads(facts)["new"]) == (0, count), err
    assert beside == ["calls.ndjson", "calls.ndjson.checkpoint", "calls.ndjson.manifest.json"]
    names = [f"calls-20260501T0{hour}0000Z-20260501T0{hour + 1}0000Z.ndjson" for hour in (0, 1)]
    assert names_in(tmp_path / "folder") == sorted(
        [*names, *(f"{name}.manifest.json" for name in names), "pull.checkpoint"]
    )


async def test_a_pull_into_a_file_that_a_spreadsheet_has_open_can_be_continued(tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    out.touch()
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        with out.open("rb"):
            status, _, err = await run(sandbox, "cdrs", "pull", *MAY, "--out", str(out), "--force")
        assert (status, "calls.csv: The process cannot access the file" in err) == (2, True), err
        assert f"To continue: unlimcall cdrs pull --out {out} --resume\n" in err
        status, _, err = await run(sandbox, "cdrs", "pull", "--out", str(out), "--resume")
    assert (status, len(out.read_text().splitlines())) == (0, 31), err


@pytest.mark.parametrize("form", ["sqlite:///{}/calls.db", "parquet:///{}/calls"])
async def test_a_table_is_synced_and_nothing_is_left_beside_it(tmp_path: Path, form: str) -> None:
    url = form.format(tmp_path)
    end = START + timedelta(hours=1)
    async with (
        Sandbox(rate_limits={}) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client,
    ):
        sandbox.add_calls(made(30))
        assert (await sync_cdrs(client, url, START, end=end, account="acme")).inserted == 30
        later = await sync_cdrs(client, url, START, end=end + timedelta(hours=1), account="acme")
        assert later.inserted == 0
    assert [name for name in everything_in(tmp_path) if name.endswith((".lock", ".new"))] == []
    assert sum([len(batch) async for batch in read_records(url, "acme")]) == 30


def test_a_lock_of_a_run_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    lock = FileLock(path)
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            FileLock(path)
    lock.release()
    assert names_in(tmp_path) == []
    lock = FileLock(path)
    # Another run has opened the file, and not yet locked it: the file stays, and is that run's.
    with path.open("rb"):
        lock.release()
    assert names_in(tmp_path) == ["run.lock"]
    FileLock(path).release()
    assert names_in(tmp_path) == []
