"""A file that appears whole under its name, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from unlimcall_async.cli.atomic_file import replace, replacing
from unlimcall_async.cli.output import UnwritableError

from .support import names_in


def test_the_content_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"new")
        assert (path.read_text(), names_in(tmp_path)) == ("old", ["file", "file.new"])
    assert (path.read_text(), names_in(tmp_path)) == ("new", ["file"])


def test_the_content_is_on_the_disk_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        assert not path.exists()
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    replace(path, "whole")
    assert (synced, path.read_text()) == ([len("whole")], "whole")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "with_name", lambda *_: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda *_: None)
    with pytest.raises(UnwritableError, match=os.strerror(errno.ENOSPC)):
        replace(tmp_path / "file", "x" * 100_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, UnwritableError("file", "it is full")])
def test_a_file_that_is_not_finished_leaves_the_old_one(
    tmp_path: Path, error: BaseException | type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        interrupted()
    assert (path.read_text(), names_in(tmp_path)) == ("old", ["file"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    replace(tmp_path / "link", "whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "whole"


@pytest.mark.parametrize("name", ["folder", "device", "loop"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    before = names_in(tmp_path)
    with pytest.raises(UnwritableError, match=r"not an ordinary file|Too many levels"):
        replace(tmp_path / name, "whole")
    assert names_in(tmp_path) == before
