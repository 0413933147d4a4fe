"""`FILE.manifest.json`, beside the file of a pull: whole and that of this file, or not there.

The pieces of the manifest go to a part, which the journal counts (`sums`). Once the file has its name, the manifest is made of the
part, and then the part is emptied. An older manifest is removed before the file gets its name. So a kill between any two of these
steps leaves no manifest, and never that of another file. `--resume` then finishes the work: the part is still there.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import attrs

from unlimcall_async.cli import sums
from unlimcall_async.cli.files import exists, store
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.output import UnusableError, note, to_stderr, unwritable
from unlimcall_async.cli.part_file import PartFile
from unlimcall_async.cli.pieces import Piece
from unlimcall_async.proof import Manifest


def path_of(path: Path) -> Path:
    """Return the name of the manifest of a file."""
    return path.with_name(f"{path.name}.manifest.json")


def read(path: Path) -> Manifest:
    """Return the manifest in a file.

    Raises:
        FileNotFoundError: There is no such file.
        UnusableError: The file cannot be read, or does not hold a manifest.
    """
    try:
        return Manifest.from_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UnusableError(f"cannot read {path}: {error}") from None


class PullManifest:
    """The manifest of a pull's file, and its part, which is open and locked until `close`.

    Args:
        path: The name of the pull's file.

    Raises:
        UnwritableError: A file cannot be written. All methods raise this error too.
        UnusableError: Another process writes the file, or it may be another user's work.
    """

    def __init__(self, path: Path) -> None:
        self._path = path_of(path)
        self._part = PartFile(self._path)

    @property
    def waits(self) -> bool:
        """Whether there are pieces of which no manifest was made yet."""
        return self._part.length > 0

    def begin(self, text: bytes) -> None:
        """Start anew, with the lines of what is kept."""
        self._part.clear()
        self._part.append(text)

    def go_on(self, held: sums.Lines) -> bool:
        """Cut off what does not count. If the part is not as it should be, return False and change nothing."""
        return self._part.length >= held.length and self._part.cut_to(held.length, held.crc32)

    def append(self, text: bytes) -> None:
        """Add a piece. It is on the disk when this method returns."""
        self._part.append(text)

    def drop_old(self) -> None:
        """Remove the manifest of the file that is about to be replaced."""
        with unwritable(self._path):
            if exists(self._path):
                check_own(self._path)
                self._path.unlink()

    def finish(self, journal: Journal) -> str | None:
        """Make the manifest of a pull whose file has its name. Return the reason if that fails, else `None`."""
        if not self.waits:
            return None
        try:
            if journal.manifest is None or not self._part.part_is(journal.manifest.length, journal.manifest.crc32):
                raise ValueError("its part is not as the checkpoint says")  # noqa: TRY301 # as any other reason
            manifest = sums.sum_of(self._part.lines(), journal.start, journal.end)
            if manifest.total.records != journal.records:
                raise ValueError("its part has other records than the file")  # noqa: TRY301 # as above
        except ValueError as error:
            self._part.clear()
            return str(error)
        store(self._path, f"{manifest.to_json()}\n")
        self._part.clear()
        return None

    def clear(self) -> None:
        """Remove the pieces: no manifest will be made."""
        self._part.clear()

    def close(self) -> None:
        """Close the part. An empty part is removed."""
        self._part.close()


def check_own(path: Path) -> None:
    """Check that a file of this name is a manifest, or not there.

    Raises:
        UnusableError: It is something else, which only its owner may remove.
    """
    try:
        read(path)
    except FileNotFoundError:
        return
    except UnusableError:
        raise UnusableError(f"{path} exists, and is not a manifest that this release can read; move it away") from None


def kept_lines(path: Path, start: datetime, end: datetime, records: int) -> bytes | None:
    """Return the lines of the manifest that an earlier pull has left; `None` if it has left none of just these records.

    Args:
        path: The name of the pull's file.
        start: The start of the range of its records.
        end: The end of that range.
        records: The number of its records.
    """
    with suppress(FileNotFoundError, UnusableError):
        manifest = read(path_of(path))
        if (manifest.start, manifest.end, manifest.total.records) == (start, end, records):
            return sums.line(manifest)
    return None


def begun(path: Path, journal: Journal, *, wanted: bool) -> tuple[Journal, bytes]:
    """Return the journal of a pull that begins, and the lines of what it keeps.

    Raises:
        UnusableError: A file of the manifest's name is not a manifest.
    """
    check_own(path_of(path))
    if not wanted:
        return journal, b""
    text: bytes | None = b""
    if journal.kept is not None:
        text = kept_lines(path, journal.start, journal.kept.end, journal.kept.records)
    if text is None:
        note(f"{path} gets no manifest: {path_of(path).name} is not that of the records which are there.")
        return journal, b""
    return attrs.evolve(journal, manifest=sums.Lines().after(text)), text


def continued(file: PullManifest, path: Path, journal: Journal, *, wanted: bool) -> Journal:
    """Prepare to continue a manifest. Return the journal of its pull, without a manifest if that cannot be continued."""
    held = journal.manifest
    if held is None:
        if wanted and not journal.complete:
            note(f"{path} gets no manifest: its pull was begun without one.")
        return journal
    if journal.complete and not file.waits:
        return journal
    if wanted and journal.checkpoint is None:
        # Killed before its first records: the copy of what is kept may be incomplete.
        kept = journal.kept
        text = b"" if kept is None else kept_lines(path, journal.start, kept.end, kept.records)
        if text is not None and sums.Lines().after(text) == held:
            file.begin(text)
            return journal
    elif wanted and file.go_on(held):
        return journal
    if wanted:
        to_stderr(f"{path} gets no manifest: {path_of(path)}.part is not as the checkpoint says.")
    file.clear()
    return attrs.evolve(journal, manifest=None)


def after(file: PullManifest, path: Path, journal: Journal, piece: Piece) -> tuple[Journal, bytes]:
    """Return the journal behind a piece as far as its manifest goes, and the text to append to the manifest's part."""
    if journal.manifest is None:
        return journal, b""
    if piece.manifest is None:
        note(f"{path} gets no manifest: nothing proves an instant complete that holds more records than the API shows.")
        file.clear()
        return attrs.evolve(journal, manifest=None), b""
    text = sums.line(piece.manifest)
    return attrs.evolve(journal, manifest=journal.manifest.after(text)), text
