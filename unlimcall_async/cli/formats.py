"""Call records as text: newline-delimited JSON, or CSV. No I/O.

JSON has the names of `CallRecord` in its order, money and times as text. What the API sends beyond them stands together under
`extra`, in lines that have any, so that no name of the API's can ever take the place of a field.

CSV has the same as columns, `extra` as JSON in the last. `None` is an empty cell. The file may be opened in a spreadsheet, which
takes a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and a caller may call himself whatever
he likes. So such a text gets an apostrophe in front, unless it is a number, as a phone number is: those stay as they are.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from unlimcall_async import CallRecord

FIELDS: Final = tuple(name for name in attrs.fields_dict(CallRecord) if name != "extra")

_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")


@attrs.frozen
class Format:
    """How records become text.

    Attributes:
        name: What it is called.
        head: What a file begins with.
        encode: The text of some records.
    """

    name: str
    head: str
    encode: Callable[[Iterable[CallRecord]], str]


def ndjson(records: Iterable[CallRecord]) -> str:
    """Give one JSON object a line."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=text_of).encode
    return "".join(encode(_members(record)) + "\n" for record in records)


def csv_lines(records: Iterable[CallRecord]) -> str:
    """Give one line a record."""
    return _csv(_cells(record) for record in records)


def text_of(value: Any) -> str:
    """Give a time as the API writes it, and anything else, as a `Decimal`, digit for digit: a float would round it."""
    if not isinstance(value, datetime):
        return str(value)
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def encoded(text: str) -> bytes:
    """Give a text in UTF-8; half a surrogate pair, which JSON can hold and UTF-8 cannot, as the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")


def _members(record: CallRecord) -> dict[str, Any]:
    members = {name: getattr(record, name) for name in FIELDS}
    return {**members, "extra": dict(record.extra)} if record.extra else members


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(record: CallRecord) -> list[object]:
    extra = json.dumps(dict(record.extra), ensure_ascii=False, default=text_of) if record.extra else ""
    return [*(_cell(getattr(record, name)) for name in FIELDS), extra]


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
    return value if value is None or isinstance(value, int) else text_of(value)


NDJSON: Final = Format("ndjson", "", ndjson)
CSV: Final = Format("csv", _csv([(*FIELDS, "extra")]), csv_lines)
FORMATS: Final = {form.name: form for form in (NDJSON, CSV)}
