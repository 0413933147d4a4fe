"""Where a pull goes: into a file, or into a new file of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from unlimcall_async._platform import locked_folder
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.pull_formats import ending_of

# The name of the file with the journal of the last pull into a folder.
FOLDER_JOURNAL: Final = "pull.checkpoint"


@attrs.frozen
class Place:
    """A file, or a folder that gets one file for each pull.

    Attributes:
        out: The file, or the folder.
        is_folder: Which of the two.
    """

    out: Path
    is_folder: bool

    @property
    def journal(self) -> Path:
        """The file with the journal of the last pull."""
        return self.out / FOLDER_JOURNAL if self.is_folder else self.out.with_name(f"{self.out.name}.checkpoint")

    def file_of(self, journal: Journal) -> Path:
        """Return the file of a pull."""
        if not self.is_folder:
            return self.out
        return self.out / f"calls-{_stamp(journal.start)}-{_stamp(journal.end)}.{ending_of(journal.form)}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder: two pulls that begin there at once would both have the last one's end.

        Raises:
            UnusableError: Another process pulls into the folder.
        """
        if not self.is_folder:
            yield
            return
        with ExitStack() as opened:
            try:
                is_free = opened.enter_context(locked_folder(self.out))
            except OSError as error:
                raise UnusableError(f"cannot read {self.out}: {error.strerror}") from None
            if not is_free:
                raise UnusableError(f"another process is pulling into {self.out}")
            yield


def _stamp(moment: datetime) -> str:
    """Return a time for a file's name, which may have no colon on Windows."""
    fraction = f".{moment.microsecond:06}" if moment.microsecond else ""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}{fraction}Z"
