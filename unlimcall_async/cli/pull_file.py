"""The file of a pull. After any kill, `--resume` continues it exactly.

The file grows as `FILE.part`, and gets its name when it is complete. `FILE.checkpoint` holds the journal: how much of the part
counts, and where the stream continues. Everything depends on the order of the steps:

1. Records are written to the part and brought to the disk before the journal that counts them. A kill between the two leaves bytes
   that no journal counts; to continue is to cut them off.
2. The journal is replaced in one step.
3. The journal says "complete" before the file gets its name, and stays afterwards. So if a pull was killed at its very end or after
   its end, `--resume` finds nothing left to do. The rejects have their name before the file has its own.

A pull that continues the file of one that has ended (`kept` in the journal) begins with a copy of that file in the part. The file
itself stays as it is until the part is complete, and takes its place in one step.

A workbook cannot grow, and neither can a Parquet file. The part of the one is NDJSON, that of the other a stream of Arrow batches,
and the file is made of the complete part. The journal says "complete", with the length of the file (`made`), before the file gets
its name, and the part stays until then. So a pull that was killed between the two makes the file anew.

The rows that cannot be read go to a file of rejects, if the user wants one. That file grows and is counted in the same way. So do
the pieces of the manifest (`pull_manifest`).

Before a pull is continued, the journal is compared with the part, or with the file. Both must hold just what the journal counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import BinaryIO, Self

import attrs

from unlimcall_async._platform import name_of_one_use
from unlimcall_async.cli.files import check_name, exists, read_kept, store, writing
from unlimcall_async.cli.journal import Journal, JournalError, Made
from unlimcall_async.cli.output import UnusableError, to_stderr, unwritable
from unlimcall_async.cli.part_file import PartFile
from unlimcall_async.cli.pull_manifest import PullManifest
from unlimcall_async.cli.rejects import Rejects


class PullFile:
    """The part and the journal of a pull. The part is open and locked until the `with` block ends.

    Args:
        path: The file's name when it is complete.
        journal: The name of the file with the journal; without it, `FILE.checkpoint`.

    Attributes:
        unmade: Whether a complete part waits for the file to be made of it.
        manifest: The manifest of the file.

    Raises:
        UnwritableError: A file cannot be written. All methods raise this error too.
        UnusableError: Another process writes the file, or the part may be another user's work.
    """

    def __init__(self, path: Path, journal: Path | None = None) -> None:
        self.unmade: bool = False
        self._path = path
        self._journal = journal or path.with_name(f"{path.name}.checkpoint")
        check_name(self._journal)
        self._file = PartFile(path)
        self._rejects: PartFile | None = None
        self._has_journal = False
        # Whether the file that was made of the part was found to be in place.
        self._made_is_in_place = False
        try:
            self.manifest: PullManifest = PullManifest(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self.manifest.close()
        if self._rejects is not None:
            self._rejects.close()

    def open_rejects(self, path: Path) -> bool:
        """Open the part of the file of rejects. Return whether there is such a file, or a part of it with content."""
        self._rejects = PartFile(path)
        return self._rejects.exists

    @property
    def exists(self) -> bool:
        """Whether a new pull would destroy records."""
        return self._file.exists

    @property
    def is_in_place(self) -> bool:
        """Whether there is a file of the final name."""
        return exists(self._path)

    @property
    def has_part(self) -> bool:
        """Whether there is a part with content."""
        return self._file.length > 0

    @property
    def is_unfinished(self) -> bool:
        """Whether there is a part with content, of the file or of its manifest."""
        return self.has_part or self.manifest.waits

    def file_is(self, length: int, crc32: int) -> bool:
        """Return whether the complete file has this length and this CRC."""
        return self._file.file_is(length, crc32)

    def rejects_are(self, rejects: Rejects) -> bool:
        """Return whether the complete file of rejects has what earlier pulls left there."""
        return self._rejects is not None and self._rejects.file_is(rejects.length, rejects.crc32)

    def lines(self) -> Iterator[bytes]:
        """Iterate over the lines of the part."""
        return self._file.lines()

    def part(self) -> BinaryIO:
        """Return the open part, at its start. It is not to be closed."""
        return self._file.opened()

    def stored(self) -> Journal | None:
        """Return the journal in `FILE.checkpoint`; `None` if there is no such file.

        Raises:
            UnusableError: The file cannot be read, or does not hold a journal.
        """
        journal = stored_journal(self._journal)
        self._has_journal = journal is not None
        return journal

    def begin(self, journal: Journal, manifest: bytes = b"") -> None:
        """Start anew, with the manifest of what is kept. The file of an earlier pull stays until this pull is complete."""
        # First: from here on, --resume continues this pull.
        store(self._journal, journal.to_json(), replace=journal.replace or self._has_journal)
        self._file.clear()
        if self._rejects is not None:
            self._rejects.clear()
        self.manifest.begin(manifest)
        self._fill(journal)

    def _fill(self, journal: Journal) -> None:
        """Copy what earlier pulls left into the parts.

        Raises:
            UnusableError: A file is not as the journal says.
        """
        for file, kept, crc32 in self._kept(journal):
            if not file.fill_from_file(kept, crc32):
                raise UnusableError(f"{file.path} is not as {self._journal} says; move it away")

    def _kept(self, journal: Journal) -> Iterator[tuple[PartFile, int, int]]:
        if journal.kept is not None:
            yield self._file, journal.kept.length, journal.crc32
        if self._rejects is not None and journal.rejects is not None and journal.rejects.kept is not None:
            yield self._rejects, journal.rejects.kept, journal.rejects.crc32

    def go_on(self, journal: Journal) -> None:
        """Prepare to continue: cut off what the journal does not count.

        Raises:
            UnusableError: The part, or the file, is not as the journal says.
        """
        # Killed before its first records: the copy may be incomplete.
        if journal.checkpoint is None:
            self._fill(journal)
        if journal.made is not None and self._go_on_made(journal, journal.made):
            extents = []
        else:
            extents = [(self._file, journal.length, journal.crc32)]
        if self._rejects is not None and journal.rejects is not None:
            extents.append((self._rejects, journal.rejects.length, journal.rejects.crc32))
        for file, length, crc32 in extents:
            if journal.complete:  # the pull may have been killed before the file got its name
                if not file.is_complete(length, crc32):
                    raise UnusableError(f"{file.path} is not as {self._journal} says; --force pulls it anew")
                continue
            if exists(file.path) and not journal.replace:
                raise UnusableError(f"{file.path} has appeared since the pull began; move it away")
            if file.length < length:
                raise UnusableError(f"{file.part} is shorter than {self._journal} says; --force starts anew")
            if not file.cut_to(length, crc32):
                raise UnusableError(f"{file.part} is not as {self._journal} says; --force starts anew")

    def _go_on_made(self, journal: Journal, made: Made) -> bool:
        """Return whether the file that was made is in place, or its part waits for it to be made anew."""
        if self._file.file_is(made.length, made.crc32):
            self._made_is_in_place = True
            return True
        self.unmade = self._file.part_is(journal.length, journal.crc32)
        if not self.unmade:
            raise UnusableError(f"{self._path} is not as {self._journal} says; --force pulls it anew")
        if exists(self._path) and not journal.replace:
            raise UnusableError(f"{self._path} has appeared since the pull began; move it away")
        return True

    def append(self, text: bytes, journal: Journal, rejects: bytes = b"", manifest: bytes = b"") -> Journal:
        """Append records, rejects and the manifest of both to their parts, and then store the journal that counts them."""
        self._file.append(text)
        if self._rejects is not None:
            self._rejects.append(rejects)
        self.manifest.append(manifest)
        store(self._journal, journal.to_json())
        return journal

    def finish(self, journal: Journal, made: Path | None = None) -> Journal:
        """Move the complete parts to the names of the files, and return the last journal.

        A pull that was killed during or after this step is finished, too.

        Args:
            journal: The journal.
            made: What was made of the part; `None` if the part itself becomes the file, or what was made is in place.
        """
        if made is not None:
            with writing(self._path, replace=journal.replace) as file:
                length, crc32 = _copied(made, file)
                complete = attrs.evolve(journal, complete=True, made=Made(length, crc32))
                store(self._journal, complete.to_json())
                self._put_rejects_in_place(journal)
                self.manifest.drop_old()
        else:
            complete = attrs.evolve(journal, complete=True)
            store(self._journal, complete.to_json())
            self._put_rejects_in_place(journal)
            if not (self._file.is_in_place or self._made_is_in_place):
                self.manifest.drop_old()
            if complete.made is None:
                self._file.put_in_place(replace=journal.replace)
        if complete.made is not None:
            self._file.clear()
        if (reason := self.manifest.finish(complete)) is not None:
            to_stderr(f"{self._path} gets no manifest: {reason}.")
        return complete

    def _put_rejects_in_place(self, journal: Journal) -> None:
        # Before the file: while its part is there, the next pull of `--since-last` knows that this one was killed.
        if self._rejects is not None and journal.rejects is not None:
            self._rejects.put_in_place(replace=journal.replace or journal.rejects.kept is not None)

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """Return a folder of this user alone beside the file, which is removed when the block ends."""
        with (
            unwritable(self._path),
            TemporaryDirectory(
                prefix=f"{name_of_one_use(self._path)}.", suffix=".new", dir=self._path.parent
            ) as folder,
        ):
            yield Path(folder)


def stored_journal(path: Path) -> Journal | None:
    """Return the journal in a file; `None` if there is no such file.

    Raises:
        UnusableError: The file cannot be read, or does not hold a journal.
    """
    text = read_kept(path)
    try:
        return None if text is None else Journal.from_json(text)
    except JournalError as error:
        raise UnusableError(f"{path} {error}; --force starts anew") from None


def _copied(source: Path, target: BinaryIO) -> tuple[int, int]:
    """Copy a file, and return its length and its CRC-32."""
    length = crc32 = 0
    with source.open("rb") as file:
        while piece := file.read(1 << 20):
            target.write(piece)
            length += len(piece)
            crc32 = zlib.crc32(piece, crc32)
    return length, crc32
