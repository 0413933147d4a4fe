"""A store says at once if its database cannot be kept where its path leads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unlimcall_async.webhooks import SQLiteStore, database_path
from unlimcall_async.webhooks.database_path import file_system

MOUNTS = r"""
22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 28 0:50 /share /mnt/share rw shared:1 master:2 - nfs4 server:/share rw,vers=4.2
41 40 254:1 / /mnt/share/local rw - xfs /dev/vdb rw
42 28 0:51 / /mnt/with\040space rw - fuse.sshfs me@host: rw
43 28 0:52 / /mnt/twice rw - cifs //server/share rw
44 28 254:2 / /mnt/twice rw - ext4 /dev/vdc rw
""".lstrip()


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/srv/data", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/deep/down", "nfs4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/share/local/x", "xfs"),
        ("/mnt/with space", "fuse.sshfs"),
        ("/mnt/twice", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    assert file_system(folder, MOUNTS) == kind


def test_no_mounts_no_file_system() -> None:
    assert file_system("/srv", "") == ""


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)])
def test_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, refused: bool
) -> None:
    (tmp_path / "mounts").write_text(f"28 1 254:0 / / rw - {kind} source rw\n")
    monkeypatch.setattr(database_path, "_MOUNTS", tmp_path / "mounts")
    if refused:
        with pytest.raises(ValueError, match=rf"path is on a network file system \({kind}\)"):
            SQLiteStore(tmp_path / "seen.db")
    else:
        SQLiteStore(tmp_path / "seen.db")


def test_without_a_list_of_mounts_no_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_path, "_MOUNTS", tmp_path / "missing")
    SQLiteStore(tmp_path / "seen.db")


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        (5, TypeError, "path must be a path, not int"),
        (None, TypeError, "path must be a path, not NoneType"),
        (b"seen.db", TypeError, "path must be a path, not bytes"),
        ("", ValueError, "path must not be empty"),
        ("seen.db\0", ValueError, "path must not be empty or hold a null character"),
        ("missing/seen.db", FileNotFoundError, "path: the directory of the database does not exist: .*missing"),
        ("sqlite:///seen.db", FileNotFoundError, "path: the directory of the database does not exist: .*sqlite:"),
        ("file/seen.db", FileNotFoundError, "path: the directory of the database does not exist"),
        ("folder", IsADirectoryError, "path must be a file, not a directory: .*folder"),
        ("link", FileNotFoundError, "path: the directory of the database does not exist: .*missing"),
    ],
)
def test_a_path_that_cannot_be_used_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Any, error: type[Exception], says: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "seen.db")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says):
        SQLiteStore(path)


@pytest.mark.parametrize("refused", ["", "seen.db"])
def test_what_cannot_be_written_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    (tmp_path / "seen.db").touch()
    # Whoever runs the tests as root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != tmp_path / refused)
    with pytest.raises(PermissionError, match=r"path: the d.* cannot be .*written"):
        SQLiteStore(tmp_path / "seen.db")
