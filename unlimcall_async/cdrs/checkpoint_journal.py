"""A journal of checkpoints: what is stored for a batch is of the batch's size, however large the checkpoint is.

Pure: no I/O. `CheckpointFile` keeps a journal in a file; a user may keep one anywhere else. A journal is a sequence of texts, one
line each. The first is a *base*, which holds a whole checkpoint. Each of the others is an *entry*: what has changed since the text
before it. A new base is due when the entries have become as long as the base. So each byte of an entry causes two to be written.

The texts check themselves. Each begins with the CRC-32 of its rest, and an entry names the CRC-32 of the text before it. So an
entry that is missing, comes twice or belongs to another base is an error. A base begins anew, whatever stands before it: texts that
should have been removed do no harm. A checkpoint as `to_json` returns it counts as a base, too.

The version of the checkpoint in a base is that of its entries, too. So a release that changes the entries gives its checkpoints
another version, and releases that do not know that version refuse the base.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self
from zlib import crc32

from attrs import define, field, frozen

from unlimcall_async import _json
from unlimcall_async._argument_kinds import many
from unlimcall_async._error_root import CheckpointError
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.follow_checkpoint import (
    NAMED,
    Cell,
    FollowCheckpoint,
    cell_of,
    read_cell,
    times_of,
    values_of,
)

# Entries of this length do not make a new base due, however short the base is: some fifty polls without a record.
_LEAST_CHARACTERS: Final = 1 << 15
# How a text begins: with a checksum of eight digits.
_HEAD, _BEHIND_HEAD = '{"crc32": "', '", '
_HEAD_LENGTH: Final = len(_HEAD) + 8 + len(_BEHIND_HEAD)
# The most values that an entry has of a cell that the text before it has, too.
_MOST_OF_OLD: Final = 3


@frozen
class JournalEntry:
    """A text to store behind the earlier ones, or in place of them.

    Attributes:
        text: The text: one line, without its end.
        is_base: Whether the text replaces all earlier ones, which may be removed.
    """

    text: str
    is_base: bool


class CheckpointJournal:
    """Turns successive checkpoints into short texts, and such texts into the last checkpoint.

    For each batch, store the text of `storing` together with the records; remove the earlier texts if the text is a base. To go on,
    pass the stored texts, in order, and resume from `checkpoint`. One process at a time may add texts.

    Args:
        texts: The texts that were stored, in order. Without texts, nothing was stored yet.

    Raises:
        CheckpointError: A text is damaged, is missing or comes twice.
        TypeError: `texts` is not an iterable of texts.
    """

    def __init__(self, texts: Iterable[str | bytes] = ()) -> None:
        reader = _Reader()
        for text in many("texts", texts, str):
            if not isinstance(text, (str, bytes)):
                raise TypeError(f"texts must hold str or bytes only, not {type(text).__name__}")
            reader.read(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
        self._checkpoint = reader.checkpoint()
        self._note = reader.note
        self._last, self._base_length, self._length = reader.last, reader.base_length, reader.length

    @classmethod
    def from_lines(cls, content: bytes) -> tuple[Self, int]:
        """Return the journal in a file of lines, and the number of bytes that count.

        A last line without an end was being written when its process was killed. It does not count: cut it off before you append.

        Raises:
            CheckpointError: A line is damaged, is missing or comes twice; or no line is whole.
        """
        *lines, torn = content.split(b"\n")
        if not lines:
            # A base is never written in place.
            raise CheckpointError("the file is empty or was cut off")
        return cls(lines), len(content) - len(torn)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that was stored; `None` before the first one."""
        return self._checkpoint

    @property
    def note(self) -> Any:
        """What was stored with that checkpoint; `None` if nothing was."""
        return self._note

    @contextmanager
    def storing(self, checkpoint: Checkpoint, note: Any = None) -> Iterator[JournalEntry]:
        """Yield the text for a checkpoint, and go on from it once the block has stored the text.

        If the block raises an error, the text counts as not stored.

        Args:
            checkpoint: The checkpoint.
            note: Any JSON value that belongs to it, for example the length of a file.

        Raises:
            TypeError: `checkpoint` is not a checkpoint, or `note` holds something that JSON does not have.
            ValueError: `note` holds what a journal does not read, such as a NaN, or text that UTF-8 cannot hold.
        """
        if not isinstance(checkpoint, Checkpoint):
            raise TypeError(f"checkpoint must be a Checkpoint, not {type(checkpoint).__name__}")
        _check_note(note)
        text, is_base = self._text_of(checkpoint, note), False
        if text is None or self._length + len(text) > max(self._base_length, _LEAST_CHARACTERS):
            text, is_base = _base(checkpoint, note), True
        yield JournalEntry(text, is_base)
        self._checkpoint, self._note, self._last = checkpoint, note, _crc_in(text)
        if is_base:
            self._base_length, self._length = len(text), 0
        else:
            self._length += len(text)

    def _text_of(self, checkpoint: Checkpoint, note: Any) -> str | None:
        """Return the entry for a checkpoint; `None` if only a base can hold it. The checkpoint of a stream is short."""
        old = self._checkpoint
        if not isinstance(old, FollowCheckpoint) or not isinstance(checkpoint, FollowCheckpoint):
            return None
        return _sealed(json.dumps({"after": self._last, **_noted(note), **_changes(old, checkpoint)})[1:])


def _changes(old: FollowCheckpoint, new: FollowCheckpoint) -> dict[str, Any]:
    before, now = old.fields(), new.fields()
    missing = object()
    fields = {name: value for name, value in now.items() if before.get(name, missing) != value}
    places = {cell.start: place for place, cell in enumerate(old.place.cells)}
    cells = [_cell_since(old.place.cells, places.get(cell.start), cell) for cell in new.place.cells]
    return {"fields": fields, "gone": [name for name in before if name not in now], "cells": cells}


def _cell_since(cells: tuple[Cell, ...], place: int | None, cell: Cell) -> list[Any]:
    """Return what has become of a cell: its place among the old ones, when it was asked, and which marks were added or are gone."""
    old = None if place is None else cells[place]
    if old is None or old.end != cell.end or not cell.seen.startswith(old.seen):
        return values_of(cell)
    asked_at = times_of(cell)[-1]
    if cell.seen is old.seen and cell.named is old.named:
        return [place, asked_at]
    gone = _gone(old, cell)
    kept = len(old.ids) - len(gone)
    added = {
        "seen": b64encode(cell.seen[len(old.seen) :]).decode(),
        "gone": gone,
        "named": b64encode(cell.named[kept * NAMED.size :]).decode(),
        "ids": cell.ids[kept:],
    }
    return [place, asked_at, {name: value for name, value in added.items() if value}]


def _gone(old: Cell, new: Cell) -> list[int]:
    """Return the places of named marks of a cell without which the marks are the first ones of a later form of the cell."""
    if new.named.startswith(old.named) and new.ids[: len(old.ids)] == old.ids:
        return []
    gone, left = list[int](), iter(_named_marks(new))
    expected = next(left, None)
    for place, mark in enumerate(_named_marks(old)):
        if mark == expected:
            expected = next(left, None)
        else:
            gone.append(place)
    return gone


def _named_marks(cell: Cell) -> Iterator[tuple[bytes, str]]:
    return ((cell.named[at * NAMED.size : (at + 1) * NAMED.size], text) for at, text in enumerate(cell.ids))


def _base(checkpoint: Checkpoint, note: Any) -> str:
    # Not `json.dumps` of the whole: the checkpoint may be long, and is JSON already.
    noted = "".join(f', "{name}": {json.dumps(value)}' for name, value in _noted(note).items())
    return _sealed(f'"checkpoint": {checkpoint.to_json()}{noted}}}')


def _check_note(note: Any) -> None:
    """Check that a note can be written, and that this release reads the note again: else the journal would be lost with it."""
    try:
        _json.read(json.dumps(note, allow_nan=False), fractions=float)
    except TypeError as error:
        raise TypeError(f"note must be a JSON value: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("note must be a JSON value, without a NaN, half of a surrogate pair, or a cycle") from None


def _noted(note: Any) -> dict[str, Any]:
    return {} if note is None else {"note": note}


def _sealed(rest: str) -> str:
    return f"{_HEAD}{_crc_of(rest)}{_BEHIND_HEAD}{rest}"


def _crc_of(text: str) -> str:
    # Half of a surrogate pair cannot be encoded. No text of a journal has one.
    return f"{crc32(text.encode(errors='replace')):08x}"


def _crc_in(text: str) -> str:
    return text[len(_HEAD) : len(_HEAD) + 8]


@define
class _GrowingCell:
    """A cell to which entries add marks.

    Attributes:
        times: The start, the end and the time of the last question, in milliseconds.
        seen: The short marks.
        named: The named marks.
        ids: The ids that belong to them.
    """

    times: list[Any]
    seen: bytearray
    named: bytearray
    ids: list[Any]

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Return a cell as it is in a checkpoint."""
        return cls([*times_of(cell)], bytearray(cell.seen), bytearray(cell.named), [*cell.ids])

    def change(self, seen: str = "", gone: Iterable[int] = (), named: str = "", ids: Iterable[Any] = ()) -> None:
        """Remove the named marks at some places, and add marks."""
        self.seen += b64decode(seen, validate=True)
        if places := set(gone):
            kept = [place for place in range(len(self.ids)) if place not in places]
            self.ids = [self.ids[place] for place in kept]
            self.named = bytearray().join(self.named[at * NAMED.size : (at + 1) * NAMED.size] for at in kept)
        self.named += b64decode(named, validate=True)
        self.ids += ids


@define
class _Reader:
    """Goes through the texts of a journal.

    Attributes:
        last: The checksum of the last text.
        note: The note in it.
        base_length: The length of the last base.
        length: The length of the entries behind it.
    """

    last: str = ""
    note: Any = None
    base_length: int = 0
    length: int = 0
    _number: int = 0
    _base: Checkpoint | None = None
    _fields: dict[str, Any] = field(factory=dict)
    _cells: list[_GrowingCell] = field(factory=list)

    def read(self, text: str) -> None:
        """Go on to the next text."""
        self._number += 1
        content = self._content_of(text)
        try:
            if "after" in content:
                if content["after"] != self.last:
                    raise CheckpointError(f"text {self._number} of the journal does not follow the one before it")
                self._change(content)
                self.length += len(text)
            else:
                self._begin(content)
                self.base_length, self.length = len(text), 0
            self.note = content.get("note")
        except (ValueError, KeyError, TypeError, IndexError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"text {self._number} of the journal is not of this release") from None
        self.last = _crc_in(text) if text.startswith(_HEAD) else _crc_of(text)

    def _content_of(self, text: str) -> Any:
        if text.startswith(_HEAD) and text != _sealed(text[_HEAD_LENGTH:]):
            raise CheckpointError(f"text {self._number} of the journal is damaged")
        try:
            content = _json.read(text, fractions=float)
        except _json.JsonError:
            raise CheckpointError(f"text {self._number} of the journal is not JSON") from None
        if not text.startswith(_HEAD) and (not isinstance(content, dict) or "version" not in content):
            raise CheckpointError(f"text {self._number} of the journal has no checksum, and is not a checkpoint")
        return content

    def _begin(self, content: Any) -> None:
        """Begin with a base."""
        self._base = Checkpoint.of_content(content.get("checkpoint", content))
        self._cells = []
        if isinstance(self._base, FollowCheckpoint):
            self._fields = self._base.fields()
            self._cells = [_GrowingCell.of(cell) for cell in self._base.place.cells]

    def _change(self, content: dict[str, Any]) -> None:
        """Apply an entry."""
        if not isinstance(self._base, FollowCheckpoint):
            raise KeyError("only the checkpoint of a follow has entries")
        for name in content["gone"]:
            del self._fields[name]
        self._fields.update(content["fields"])
        old = dict(enumerate(self._cells))
        self._cells = []
        for cell in content["cells"]:
            if len(cell) > _MOST_OF_OLD:
                self._cells.append(_GrowingCell.of(read_cell(cell)))
                continue
            place, asked_at, *changes = cell
            grown = old.pop(place)
            grown.times[-1] = asked_at
            for change in changes:
                # Earlier releases had short marks alone.
                grown.change(**(change if isinstance(change, dict) else {"seen": change}))
            self._cells.append(grown)

    def checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint."""
        if not isinstance(self._base, FollowCheckpoint) or not self.length:
            return self._base
        try:
            cells = [cell_of(cell.times, bytes(cell.seen), bytes(cell.named), cell.ids) for cell in self._cells]
            return FollowCheckpoint.of_fields(self._fields, cells)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise CheckpointError("an entry of the journal does not fit its base") from None
