"""Linux with the rules of Windows for files, for the module of the package that knows the difference.

The stand-in has what Windows lacks removed, so that a use of it fails. No test here runs on Windows itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from unlimcall_async import _platform


@pytest.fixture(name="windows")
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package meet the rules of Windows: for locks, for open files, for folders, and for pipes."""
    monkeypatch.setattr(_platform, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setitem(sys.modules, "msvcrt", _msvcrt())
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for name in ("fchmod", "geteuid", "pathconf", "O_DIRECTORY", "O_NOFOLLOW"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(_platform, "select", None)
    monkeypatch.setattr(os, "open", _opens_no_folder(os.open))
    monkeypatch.setattr(os, "unlink", _moves_no_open_file(os.unlink))
    monkeypatch.setattr(os, "replace", _moves_no_open_file(os.replace))
    monkeypatch.setattr(os, "rename", _replaces_nothing(_moves_no_open_file(os.rename)))


def _msvcrt() -> ModuleType:
    """Return a module whose locks are those of Windows: of bytes, of an open file, and gone when that is closed."""
    module = ModuleType("msvcrt")
    no_wait = 2

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert mode == no_wait, "the package waits for no lock"
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        # Such a lock is mandatory. So a byte that anybody could want to read must not be locked.
        assert place > 1 << 40
        try:
            fcntl.fcntl(
                descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, count, 0)
            )
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    vars(module).update(LK_NBLCK=no_wait, locking=locking)
    return module


def _is_open(path: Any) -> bool:
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    for number in Path("/proc/self/fd").iterdir():
        try:
            if os.path.samestat(os.fstat(int(number.name)), wanted):
                return True
        except OSError:
            continue
    return False


def _moves_no_open_file(move: Callable[..., None]) -> Callable[..., None]:
    def moved(*paths: Any, **more: Any) -> None:
        for path in paths:
            if _is_open(path):
                raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        move(*paths, **more)

    return moved


def _replaces_nothing(rename: Callable[..., None]) -> Callable[..., None]:
    def renamed(source: Any, target: Any) -> None:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        rename(source, target)

    return renamed


def _opens_no_folder(open_file: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, *arguments: Any, **more: Any) -> int:
        if Path(os.fsdecode(path)).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *arguments, **more)

    return opened
