"""How commands write files: no link is followed, nothing is replaced without leave, and a file is whole or not there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unlimcall_async.cli import files
from unlimcall_async.cli.files import open_kept, put_in_place, read_kept, store, writing
from unlimcall_async.cli.output import UnusableError, UnwritableError
from unlimcall_async.cli.part_file import KeptFile

from .support import in_this_process, names_in


def test_the_content_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with writing(path, replace=True) as file:
        file.write(b"new")
        assert (path.read_text(), len(names_in(tmp_path))) == ("old", 2)
    assert (path.read_text(), names_in(tmp_path)) == ("new", ["file"])


def test_the_content_is_on_the_disk_before_the_file_has_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    synced: list[tuple[bool, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    store(path, "whole")
    assert (synced, path.read_text()) == ([(False, False), (True, True)], "whole")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open_new", lambda _: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    with pytest.raises(UnwritableError, match=os.strerror(errno.ENOSPC)):
        store(tmp_path / "file", "x" * 100_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, UnwritableError("file", "it is full")])
def test_a_file_that_is_not_finished_leaves_the_old_one(
    tmp_path: Path, error: BaseException | type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted() -> None:
        with writing(path, replace=True) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        interrupted()
    assert (path.read_text(), names_in(tmp_path)) == ("old", ["file"])


@pytest.fixture
def _open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_to_all")
def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "replaced").touch(0o666)
    (tmp_path / "kept").touch(0o644)
    store(tmp_path / "new", "text")
    store(tmp_path / "replaced", "text")
    for name in ("kept", "created"):
        file = KeptFile(tmp_path / name)
        file.append(b"text")
        file.close()
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("new", "replaced", "kept", "created"), 0o600
    )


# --- names that are taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["folder", "pipe", "device", "link", "nowhere", "loop"])
@pytest.mark.parametrize("use", [store, lambda path, _: open_kept(path), lambda path, _: read_kept(path)])
def test_a_name_that_is_not_of_an_ordinary_file_is_left_alone(
    tmp_path: Path, name: str, use: Callable[[Path, str], object]
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for link, target in (("device", "/dev/null"), ("link", "victim"), ("nowhere", "absent"), ("loop", "loop")):
        (tmp_path / link).symlink_to(target)
    before = names_in(tmp_path)
    with pytest.raises(UnusableError, match=r"it is a symbolic link, which this command|it is not an ordinary file"):
        use(tmp_path / name, "whole")
    assert (names_in(tmp_path), (tmp_path / "victim").read_text()) == (before, "mine")


@pytest.mark.parametrize("kind", [Path.touch, Path.mkdir, lambda path: path.symlink_to("absent")])
def test_a_name_that_is_taken_meanwhile_is_not_replaced(tmp_path: Path, kind: Callable[[Path], None]) -> None:
    path = tmp_path / "file"

    def late() -> None:
        with writing(path, replace=False) as file:
            file.write(b"ours")
            kind(path)

    with pytest.raises(UnwritableError, match="a file of this name has appeared meanwhile"):
        late()
    assert names_in(tmp_path) == ["file"]
    assert not path.is_file() or path.read_bytes() == b""


def test_a_link_that_is_planted_meanwhile_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_text("mine")
    with writing(path, replace=True) as file:
        file.write(b"ours")
        path.symlink_to(victim)
    assert (path.is_symlink(), path.read_text(), victim.read_text()) == (False, "ours", "mine")


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EINVAL, errno.EMLINK, errno.ENOTSUP])
def test_a_file_system_without_hard_links_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, taken: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    part, path = tmp_path / "part", tmp_path / "file"
    part.write_text("ours")
    if taken:
        path.write_text("mine")
        with pytest.raises(UnwritableError, match="has appeared meanwhile"):
            put_in_place(part, path, replace=False)
    else:
        put_in_place(part, path, replace=False)
    assert path.read_text() == ("mine" if taken else "ours")


# --- what an earlier process left -----------------------------------------------------------------------------------------


def test_a_second_name_is_not_written_through(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("content")
    path.with_name("second").hardlink_to(path)
    with pytest.raises(UnusableError, match="it has a second name, by a hard link; move it away"):
        open_kept(path)
    assert read_kept(path) == b"content"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.chmod(0o620), "other users can write it"),
        (lambda path: path.chmod(0o602), "other users can write it"),
        (None, "it belongs to another user"),
    ],
)
@pytest.mark.parametrize("use", [open_kept, read_kept])
def test_what_another_may_have_written_is_not_continued(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None] | None,
    reason: str,
    use: Callable[[Path], object],
) -> None:
    path = tmp_path / "kept"
    path.write_text("content")
    if change is None:  # only root can give a file away
        another = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: another)
    else:
        change(path)
    with pytest.raises(UnusableError, match=f"{reason}; move it away"):
        use(path)
    assert path.read_text() == "content"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("notes", ["cdrs", "follow", "--checkpoint", "notes"]),
        ("notes", ["cdrs", "follow", "--rejects", "notes"]),
        ("a.csv.checkpoint", ["cdrs", "pull", "--from", "7d", "--out", "a.csv"]),
        ("a.csv.checkpoint", ["cdrs", "pull", "--resume", "--out", "a.csv"]),
        ("a.csv.part", ["cdrs", "pull", "--from", "7d", "--out", "a.csv"]),
        ("bad.part", ["cdrs", "pull", "--from", "7d", "--out", "a.csv", "--rejects", "bad"]),
    ],
)
def test_a_file_that_is_refused_stays_as_it_is_with_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text("mine\n")
    path.chmod(0o644)
    status, _, err = in_this_process(*command)
    assert (status, names_in(tmp_path), path.read_text()) == (2, [name], "mine\n"), err
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["", ".", "..", "folder/.."])
@pytest.mark.parametrize(
    "option",
    [
        ["cdrs", "pull", "--from", "7d", "--format", "csv", "--out"],
        ["cdrs", "pull", "--from", "7d", "--rejects"],
        ["cdrs", "pull", "--from", "7d", "--out", "a.csv", "--rejects"],
        ["cdrs", "follow", "--checkpoint"],
        ["cdrs", "follow", "--rejects"],
        ["hooks", "create", "--event", "call.ended", "--url", "https://a.example/", "--secret-file"],
        ["demo", "--out"],
    ],
)
def test_what_is_no_name_of_a_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = in_this_process(*option, name)
    assert (status, "it must be the name of a file" in err, names_in(tmp_path)) == (2, True, []), err


def test_what_this_user_has_left_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    assert read_kept(path) is None
    for piece in (b"one", b"two"):
        with open_kept(path) as file:
            file.write(piece)
    assert read_kept(path) == b"onetwo"
