"""The file of a pull, stopped at every step that it takes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from unlimcall_async.cli import pull_manifest
from unlimcall_async.cli.journal import Journal, Kept
from unlimcall_async.cli.output import UnusableError, UnwritableError
from unlimcall_async.cli.pieces import Piece
from unlimcall_async.cli.pull_file import PullFile
from unlimcall_async.cli.rejects import Rejects
from unlimcall_async.proof import DayDigest, Evidence, Manifest

from .support import names_in, place_at

pytestmark = pytest.mark.own_rules

START, END, LATER = (datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 3))


BATCHES = [b"one\n", b"two, longer\n", b"three\n"]


WHOLE = b"".join(BATCHES)


PLACE = place_at(START)


def piece(number: int) -> Any:
    """The piece of a batch, with one record."""
    start, end = (START + (number + more) * timedelta(hours=8) for more in (0, 1))
    day = {start.date(): DayDigest(1, f"{number + 1:064x}")}
    manifest = Manifest(start, end, (Evidence(start, end, start, end, 1000, 1, 1, "short"),), day)
    return Piece(None, [], [], PLACE, manifest=manifest)  # type: ignore[arg-type] # no stream is needed


def check_manifest(path: Path, *, is_there: bool = True) -> None:
    """Check that the manifest is that of the file, or, if the pull was killed, not there."""
    try:
        manifest = pull_manifest.read(pull_manifest.path_of(path))
    except FileNotFoundError:
        assert not is_there
        return
    days = manifest.days.items()
    assert (manifest.start, manifest.total.records) == (START, path.read_bytes().count(b"\n"))
    assert all(int(each.digest, 16) == (6 if day == START.date() else 15) for day, each in days)
    assert manifest.gaps() == []


@pytest.fixture(autouse=True)
def _no_power_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    # A kill loses nothing that was written, so these tests need not wait for the disk.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class KilledError(BaseException):
    pass


def pull(path: Path, *, force: bool = False, rejects: bool = False, book: bool = False) -> None:
    """Pull what is left, as the command does; the number of records says which batch is next."""
    with PullFile(path) as file:
        if rejects:
            file.open_rejects(path.with_name("bad"))
        journal = None if force else file.stored()
        if journal is None:
            form = "xlsx" if book else "ndjson"
            journal = Journal(START, END, form, replace=force, rejects=Rejects("bad") if rejects else None)
            journal, kept = pull_manifest.begun(path, journal, wanted=True)
            file.begin(journal, kept)
        else:
            file.go_on(journal)
            journal = pull_manifest.continued(file.manifest, path, journal, wanted=True)
        if not journal.complete:
            for batch in BATCHES[journal.records :]:
                journal, manifest = pull_manifest.after(file.manifest, path, journal, piece(journal.records))
                journal = journal.after(batch, 1, PLACE)
                if journal.rejects is not None:
                    journal = attrs.evolve(journal, rejects=journal.rejects.after(batch[::-1], 1))
                journal = file.append(batch, journal, batch[::-1] if rejects else b"", manifest)
        if book and (file.unmade or not journal.complete):
            with file.workshop() as folder:
                made = folder / "book"
                made.write_bytes(made_of(file.lines()))
                file.finish(journal, made)
        else:
            file.finish(journal)


def made_of(lines: Iterable[bytes]) -> bytes:
    """What stands for a workbook."""
    return b"book of " + b"".join(lines)


def add(path: Path) -> None:
    """Finish what was begun, and go on behind the end, as `--since-last` does."""
    with PullFile(path) as file:
        journal = file.stored()
        if journal is None or (journal.kept is None and not journal.complete):
            raise AssertionError("there is no pull to go on behind")
        if journal.kept is None and file.is_unfinished:
            raise AssertionError("that pull has ended")
        if journal.kept is None:
            kept = Kept(journal.end, journal.length, journal.records)
            journal = attrs.evolve(journal, end=LATER, kept=kept, replace=True, complete=False, checkpoint=None)
            journal, lines = pull_manifest.begun(path, journal, wanted=True)
            file.begin(journal, lines)
        else:
            file.go_on(journal)
            journal = pull_manifest.continued(file.manifest, path, journal, wanted=True)
        if not journal.complete:
            for batch in BATCHES[journal.came :]:
                journal, manifest = pull_manifest.after(file.manifest, path, journal, piece(journal.records))
                journal = file.append(batch, journal.after(batch, 1, PLACE), manifest=manifest)
        file.finish(journal)


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, *, done: bool = False) -> Iterator[list[str]]:
    """Have the process die before the `step`th of the calls that change something on the disk, or when it is `done`."""
    steps: list[str] = []

    def deadly(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            steps.append(name)
            last = len(steps) == step
            if last and not done:
                raise KilledError
            result = call(*arguments, **options)
            if last:
                if name == "open":
                    os.close(result)
                raise KilledError
            return result

        return called

    def alive(call: Callable[..., Any]) -> Callable[..., Any]:
        """A process that was killed cleans nothing up."""

        def called(*arguments: Any, **options: Any) -> Any:
            return None if step and len(steps) >= step else call(*arguments, **options)

        return called

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", deadly("fsync", os.fsync))
        patch.setattr(Path, "replace", deadly("replace", Path.replace))
        patch.setattr(Path, "hardlink_to", deadly("hardlink_to", Path.hardlink_to))
        patch.setattr(os, "open", deadly("open", os.open))
        patch.setattr(Path, "unlink", alive(Path.unlink))
        yield steps


def steps_of(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    folder.mkdir()
    with killed_at(monkeypatch, 0) as steps:
        pull(folder / "calls.ndjson")
    return len(steps)


def in_steps(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, done: bool = False, force: bool = False
) -> None:
    with killed_at(monkeypatch, step, done=done):
        try:
            pull(path, force=force)
        except KilledError:
            return


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
def test_a_kill_at_any_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
    count = steps_of(monkeypatch, tmp_path / "count")
    assert count > 15
    for first in range(1, count + 2):
        for second in (1, 2, 3, 5, 8, count):
            path = tmp_path / f"{first}.{second}" / "calls.ndjson"
            path.parent.mkdir()
            in_steps(path, monkeypatch, first, done=done)
            check_manifest(path, is_there=False)
            in_steps(path, monkeypatch, second, done=done)
            check_manifest(path, is_there=False)
            pull(path)
            assert path.read_bytes() == WHOLE
            check_manifest(path)
            left = [name for name in names_in(path.parent) if not name.endswith(".new")]
            assert left == ["calls.ndjson", "calls.ndjson.checkpoint", "calls.ndjson.manifest.json"]


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
def test_a_kill_at_any_step_rejects_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
    count = tmp_path / "count"
    count.mkdir()
    with killed_at(monkeypatch, 0) as steps:
        pull(count / "calls.ndjson", rejects=True)
    assert len(steps) > 25
    for step in range(1, len(steps) + 1):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        with killed_at(monkeypatch, step, done=done), suppress(KilledError):
            pull(folder / "calls.ndjson", rejects=True)
        pull(folder / "calls.ndjson", rejects=True)
        assert (folder / "calls.ndjson").read_bytes() == WHOLE
        assert (folder / "bad").read_bytes() == b"".join(batch[::-1] for batch in BATCHES)
        left = [name for name in names_in(folder) if not name.endswith(".new")]
        assert left == ["bad", "calls.ndjson", "calls.ndjson.checkpoint", "calls.ndjson.manifest.json"]
        check_manifest(folder / "calls.ndjson")


@pytest.mark.slow
def test_a_pull_that_replaces_another_survives_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the same length, so that nothing but the order of the steps tells the two files apart.
    old = b"x" * len(WHOLE)
    for step in range(1, steps_of(monkeypatch, tmp_path / "count") + 2):
        path = tmp_path / f"{step}" / "calls.ndjson"
        path.parent.mkdir()
        pull(path)
        path.write_bytes(old)
        in_steps(path, monkeypatch, step, force=True)
        assert path.read_bytes() in {old, WHOLE}
        # Killed before its checkpoint was in place, the sixth step, there was no such pull.
        pull(path, force=step <= 6)
        assert path.read_bytes() == WHOLE


@pytest.mark.slow
def test_a_part_is_there_until_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, steps_of(monkeypatch, tmp_path / "count") + 2):
        path = tmp_path / f"{step}" / "calls.ndjson"
        path.parent.mkdir()
        begun(path)
        in_steps(path, monkeypatch, step, force=True)
        pull(path)
        assert path.read_bytes() == WHOLE


def begun(path: Path) -> None:
    """Leave a pull that was stopped after its first batch."""
    with PullFile(path) as file:
        journal = Journal(START, END, "ndjson")
        file.begin(journal)
        file.append(BATCHES[0], journal.after(BATCHES[0], 1, PLACE))


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_a_workbook_survives_a_kill_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool, force: bool
) -> None:
    whole = b"book of " + WHOLE
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / f"{step}"
        folder.mkdir()
        path = folder / "calls.xlsx"
        if force:
            path.write_bytes(b"mine")
        with killed_at(monkeypatch, step, done=done) as steps, suppress(KilledError):
            pull(path, force=force, book=True)
        killed = len(steps) >= step
        assert not path.exists() or path.read_bytes() in {whole, b"mine"}
        pull(path, book=True, force=force and not (folder / "calls.xlsx.checkpoint").exists())
        assert path.read_bytes() == whole
        # A kill leaves a folder for one use, which may be deleted.
        assert [name for name in names_in(folder) if ".new" not in name] == [
            *("calls.xlsx", "calls.xlsx.checkpoint", "calls.xlsx.manifest.json")
        ]
        check_manifest(path)
    assert step > 10


def test_a_workbook_that_was_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "calls.xlsx"
    pull(path, book=True)
    path.write_bytes(b"mine")
    with pytest.raises(UnusableError, match=r"is not as .* says; --force pulls it anew"):
        pull(path, book=True)
    assert path.read_bytes() == b"mine"


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
def test_a_file_that_grows_survives_a_kill_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    step, killed = 0, True
    while killed:
        step += 1
        path = tmp_path / f"{step}" / "calls.ndjson"
        path.parent.mkdir()
        pull(path)
        with killed_at(monkeypatch, step, done=done) as steps, suppress(KilledError):
            add(path)
        killed = len(steps) >= step
        # All of it, or as it was.
        assert path.read_bytes() in {WHOLE, WHOLE + WHOLE}
        check_manifest(path, is_there=False)
        add(path)
        assert path.read_bytes() == WHOLE + WHOLE
        check_manifest(path)
        left = [name for name in names_in(path.parent) if not name.endswith(".new")]
        assert left == ["calls.ndjson", "calls.ndjson.checkpoint", "calls.ndjson.manifest.json"]
    assert step > 10


def test_what_was_written_behind_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    path, part = tmp_path / "calls.ndjson", tmp_path / "calls.ndjson.part"
    begun(path)
    with part.open("ab") as torn:
        torn.write(b"half of a li")
    pull(path)
    assert path.read_bytes() == WHOLE


def test_a_part_that_is_shorter_than_it_was_is_not_filled_up(tmp_path: Path) -> None:
    path, part = tmp_path / "calls.ndjson", tmp_path / "calls.ndjson.part"
    begun(path)
    part.write_bytes(b"on")
    with pytest.raises(UnusableError, match="is shorter than"):
        pull(path)
    assert part.read_bytes() == b"on"


def test_a_whole_file_that_was_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    pull(path)
    path.write_bytes(b"other")
    with pytest.raises(UnusableError, match=r"is not as .* says; --force pulls it anew"):
        pull(path)
    assert path.read_bytes() == b"other"


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    with PullFile(path) as file:
        file.begin(Journal(START, END, "ndjson"))
        with pytest.raises(UnusableError, match="another process is writing"):
            PullFile(path)
        assert (tmp_path / "calls.ndjson.part").exists()
    pull(path)
    assert path.read_bytes() == WHOLE


def test_a_file_that_another_process_has_just_ended_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.ndjson"

    def ended_meanwhile(*arguments: Any) -> None:
        monkeypatch.undo()
        (tmp_path / "calls.ndjson.part").replace(path)
        fcntl.flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", ended_meanwhile)
    with pytest.raises(UnusableError, match="another process is writing"):
        PullFile(path)
    assert names_in(tmp_path) == ["calls.ndjson"]


def test_nothing_is_left_of_a_pull_that_never_began(tmp_path: Path) -> None:
    with PullFile(tmp_path / "calls.ndjson") as file:
        assert not file.exists
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "missing/calls.ndjson"])
def test_what_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnwritableError, match="cannot write"):
        PullFile(tmp_path / name)


def test_a_disk_that_is_full_leaves_what_can_be_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls.ndjson"

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnwritableError, match="No space left on device"):
            pull(path)
    pull(path)
    assert path.read_bytes() == WHOLE
