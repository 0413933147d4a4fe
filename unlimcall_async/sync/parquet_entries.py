"""The manifest of a folder of Parquet files: one JSON file for each UTC day of an account, with the entries of that day.

The rows of a day and its entries are two files, and no step replaces both. So the new entries are written first, under another
name, with what tells the new file of rows. Then the file of rows is replaced, and then the entries take their name. After a kill
between these steps, the file of rows tells which entries are its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from unlimcall_async import _json
from unlimcall_async._platform import sync_folder
from unlimcall_async.errors import CheckpointError
from unlimcall_async.sync.entries import ManifestEntry

# What tells a file of rows from the one that it replaces: `None` if a day has no file.
Version: TypeAlias = "tuple[int, ...] | None"

_NEXT: Final = ".next"
_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)\.json(?:\.next)?")


class DayEntries:
    """The entries of an account.

    Args:
        folder: The folder of their files, which need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def days(self, start: datetime, end: datetime) -> list[date]:
        """Return the days of `[start, end)` that have entries, by date."""
        first, last = start.date(), end.date()
        return [day for day in self._all() if first <= day <= last]

    def _all(self) -> list[date]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted({date.fromisoformat(found[1]) for name in names if (found := _NAME.fullmatch(name))})

    def of(self, day: date, version: Version) -> list[ManifestEntry]:
        """Return the entries of a day by time, given what tells its file of rows."""
        for path in (self._next(day), self._path(day)):
            with suppress(FileNotFoundError):
                content = _read(path)
                # Another program may have replaced the file of rows: then the entries say what the sync has written.
                if path == self._path(day) or content["file"] == (None if version is None else list(version)):
                    return [ManifestEntry(datetime.fromisoformat(start), text) for start, text in content["entries"]]
        return []

    def prepare(self, day: date, entries: Sequence[ManifestEntry], version: Version) -> None:
        """Write the entries that a day has once its file of rows is the one of a version."""
        content = {"file": version, "entries": [[each.start.isoformat(), each.text] for each in entries]}
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._next(day).with_suffix(".new").open("w", encoding="utf-8") as target:
            json.dump(content, target)
            target.flush()
            os.fsync(target.fileno())
        Path(target.name).replace(self._next(day))

    def settle_all(self, version_of: Callable[[date], Version]) -> None:
        """End what a process that was killed has begun."""
        for day in self._all():
            self.settle(day, version_of(day))

    def settle(self, day: date, version: Version) -> None:
        """Have what was prepared for a day take its name, if its file of rows is the one of a version; else remove it."""
        path = self._next(day)
        with suppress(FileNotFoundError):
            if _read(path)["file"] == (None if version is None else list(version)):
                path.replace(self._path(day))
            else:
                path.unlink()

    def sync(self) -> None:
        """Bring the names of the files to the disk."""
        with suppress(OSError):  # the files have their names all the same
            sync_folder(self._folder)

    def remove(self) -> None:
        """Remove all entries: those of a folder that was removed."""
        with suppress(FileNotFoundError):
            for path in list(self._folder.iterdir()):
                path.unlink()

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.json"

    def _next(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.json{_NEXT}"


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        content = _json.read(text)
        return {"file": content["file"], "entries": content["entries"]}
    except (ValueError, TypeError, KeyError):
        raise CheckpointError("the stored manifest of the table is damaged") from None
