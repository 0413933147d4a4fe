"""What a crash leaves of a process's folder.

The files are real ones, in memory where the machine has such a file system. `os.fsync`, `os.replace`, `os.link` and the statements
of SQLite are the seams: a process may be killed before and behind each. Of bytes that were written and not synced, a crash of the
machine keeps a part. A new name that was not synced may be lost. SQLite syncs by itself, below Python: its files are taken as they
are between two statements, with the journal of a transaction that was under way.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

from attrs import define, field

from tests.simulation.process import PROCESS, Process, seam
from unlimcall_async.sync import file_lock, forks

_DATABASES: Final = (".db", ".db-journal", ".db-wal", ".db-shm")


@define
class Disk:
    """What is known to be on the disk.

    Attributes:
        chance: Decides what is left of the rest.
        reach: Called with each hard state.
    """

    chance: Random
    reach: Callable[[str], None]
    # The bytes of each file at its last sync, by its place on the device.
    _synced: dict[tuple[int, int], bytes] = field(factory=dict)
    # What had a name before it was given to another file, and the folder was not synced since.
    _renamed: dict[str, bytes | None] = field(factory=dict)
    # Who has opened each file of a lock.
    _locks: dict[int, Process] = field(factory=dict)

    def sync(self, descriptor: int) -> None:
        """Take note of a sync."""
        found = os.fstat(descriptor)
        try:
            with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 # not a path of ours
                self._synced[found.st_dev, found.st_ino] = file.read()
        except IsADirectoryError:
            folder = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 # as above
            self._renamed = {path: old for path, old in self._renamed.items() if os.path.dirname(path) != folder}  # noqa: PTH120

    def rename(self, target: str) -> None:
        """Take note that a name is about to be given to another file."""
        path = Path(target).resolve()
        self._renamed.setdefault(str(path), path.read_bytes() if path.is_file() else None)

    def lock(self, descriptor: int) -> None:
        """Take note that the present process has opened the file of a lock."""
        process = PROCESS.get()
        if process is not None:
            self._locks[descriptor] = process

    def locks_of_the_dead(self) -> list[int]:
        """Return the descriptors of locks that killed processes have opened. A kernel would have closed them."""
        return [descriptor for descriptor, process in self._locks.items() if not process.alive]

    def crash(self, folder: Path, left: Path, *, power: bool) -> None:
        """Write what is left of a folder.

        Args:
            folder: The folder of the process.
            left: The folder to write.
            power: Whether the machine has lost what it had not written, too.
        """
        left.mkdir()
        self._leave(folder, left, power=power)
        # What the next process finds was on the disk.
        for path in left.iterdir():
            found = path.stat()
            self._synced[found.st_dev, found.st_ino] = path.read_bytes()

    def _leave(self, folder: Path, left: Path, *, power: bool) -> None:
        for path in sorted(folder.iterdir()):
            if not power or path.name.endswith(_DATABASES):
                shutil.copyfile(path, left / path.name)
                continue
            name = str(path.resolve())
            if name in self._renamed and self.chance.random() < 0.5:
                self.reach("a new name is lost")
                if (old := self._renamed[name]) is not None:
                    (left / path.name).write_bytes(old)
                continue
            (left / path.name).write_bytes(self._torn(path))

    def _torn(self, path: Path) -> bytes:
        found, content = path.stat(), path.read_bytes()
        synced = self._synced.get((found.st_dev, found.st_ino), b"")
        if synced == content:
            return content
        if not content.startswith(synced):
            # It was cut since, which may be lost, too.
            return synced if self.chance.random() < 0.5 else content
        kept = self.chance.randrange(len(synced), len(content) + 1)
        if kept < len(content):
            self.reach("the end of a file is torn")
        return content[:kept]


@contextmanager
def seams(disk: Disk) -> Iterator[None]:
    """Watch what is written to files, from outside."""
    fsync, replace, link = os.fsync, os.replace, os.link
    connect, own = sqlite3.connect, forks.own

    def watched_fsync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 # not a path of ours
        what = "a checkpoint" if ".checkpoint" in name else "data"
        seam(f"before fsync of {what}")
        fsync(descriptor)
        disk.sync(descriptor)
        seam(f"after fsync of {what}")

    def watched_replace(source: Any, target: Any, **options: Any) -> None:
        seam("before rename")
        disk.rename(target)
        replace(source, target, **options)
        seam("after rename")

    def watched_link(source: Any, target: Any, **options: Any) -> None:
        seam("before rename")
        disk.rename(target)
        link(source, target, **options)
        seam("after rename")

    def watched_own(make: Callable[[], int]) -> int:
        descriptor = own(make)
        disk.lock(descriptor)
        return descriptor

    def watched_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        process = PROCESS.get()

        def traced(statement: str) -> None:
            word = statement.split(" ", 1)[0]
            if process is not None and process.alive and word in {"BEGIN", "COMMIT", "INSERT", "DELETE", "REPLACE"}:
                process.at_seam(process, f"sql {word}")

        connection.set_trace_callback(traced)
        return connection

    with (
        patch.object(os, "fsync", watched_fsync),
        patch.object(os, "replace", watched_replace),
        patch.object(os, "link", watched_link),
        patch.object(file_lock, "own", watched_own),
        patch.object(sqlite3, "connect", watched_connect),
    ):
        yield
