"""Call records as a file: newline-delimited JSON, or CSV. It has its name when it is whole, and not before."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
import click

from unlimcall_async import CallRecord

# Without `extra`: in JSON, what it holds are further members; CSV has one column for all of it.
FIELDS: Final = tuple(name for name in attrs.fields_dict(CallRecord) if name != "extra")


class UnwritableError(click.ClickException):
    """The file cannot be written; click shows why in one line."""

    exit_code = 2

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {path}: {reason}")


@attrs.frozen
class Format:
    """How records become text.

    Attributes:
        head: What the file begins with.
        encode: The text of some records.
    """

    head: str
    encode: Callable[[Iterable[CallRecord]], str]


def ndjson(records: Iterable[CallRecord]) -> str:
    """Give one JSON object a line, with the names of `CallRecord`."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_text).encode
    return "".join(encode(_members(record)) + "\n" for record in records)


def csv_lines(records: Iterable[CallRecord]) -> str:
    """Give one line a record. `None` is an empty field."""
    return _csv(_cells(record) for record in records)


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


FORMATS: Final = {".ndjson": Format("", ndjson), ".csv": Format(_csv([(*FIELDS, "extra")]), csv_lines)}


def _members(record: CallRecord) -> dict[str, Any]:
    return {**record.extra, **{name: getattr(record, name) for name in FIELDS}}


def _cells(record: CallRecord) -> list[object]:
    values = (getattr(record, name) for name in FIELDS)
    extra = json.dumps(dict(record.extra), ensure_ascii=False, default=_text) if record.extra else ""
    return [*(_text(value) if isinstance(value, (datetime, Decimal)) else value for value in values), extra]


def _text(value: Any) -> str:
    """Give a time as the API writes it, and anything else, as a `Decimal`, digit for digit: a float would round it."""
    if not isinstance(value, datetime):
        return str(value)
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@attrs.frozen
class RecordFile:
    """A file that is being written."""

    path: Path
    _file: TextIO
    _format: Format

    def write(self, records: Iterable[CallRecord]) -> None:
        """Write some records."""
        text = self._format.encode(records)
        with _told(self.path):
            self._file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[RecordFile]:
    """Write a file beside `path` that takes its place at the end; if the end is not reached, nothing is left.

    Raises:
        UnwritableError: It cannot be opened, written, or put in place.
    """
    target = path.resolve()  # a link stays a link
    if target.exists() and not target.is_file():
        raise UnwritableError(path, "it is no ordinary file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _told(path):
        file = part.open("w", encoding="utf-8", newline="")
    try:
        form = FORMATS[path.suffix]
        with _told(path):
            file.write(form.head)
        yield RecordFile(path, file, form)
        with _told(path):
            file.close()
            part.replace(target)
    finally:
        with suppress(OSError):  # a full disk fails again here, and the first error is the one that counts
            file.close()
        with suppress(OSError):
            part.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableError(path, error.strerror or str(error)) from error
