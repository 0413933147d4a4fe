"""Call records as text: newline-delimited JSON, or CSV for programs or for a spreadsheet. No I/O.

A line of JSON is what `to_json` returns.

CSV has the fields of `CallRecord` as columns, with `extra` as JSON in the last. `None` is an empty cell, and an empty text is `""`.
A spreadsheet may take a text for a formula, and a caller chooses the name that he shows. So such a text gets an apostrophe in front
(`formulas`). Numbers, and so phone numbers, stay as they are. `record_files` reads both formats back, exactly.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import attrs
import msgspec

from unlimcall_async import CallRecord
from unlimcall_async._plain import add_fields, extra_to_json, texts_of, to_json_lines
from unlimcall_async.cli.formulas import guarded

FIELDS: Final = tuple(name for name in attrs.fields_dict(CallRecord) if name != "extra")

# A text of printable ASCII without these characters is no formula (`formulas`).
_STARTERS: Final = "=+-@"
# Printable texts, one on each line, none of which can be a formula: each begins with a letter or a digit of ASCII, or is a phone
# number. A text with a line end of its own is not judged by this: `+(` and `HYPERLINK(1))` on two lines are one formula.
_PLAIN: Final = re.compile(r"(?:(?:[0-9A-Za-z].*|\+[0-9(][0-9 ().-]*)(?:\n|\Z))*+")
# What a cell of CSV holds between quotes only.
_SPECIAL: Final = re.compile('[,"\r\n]')


@attrs.frozen
class Format:
    """How records become text.

    Attributes:
        name: The format's name, which is also the ending of a file's name.
        head: The text at the start of a file.
        encode: Returns the text of some records.
        to_bytes: Returns the same in UTF-8, if a format has a shorter way than by the text.
    """

    name: str
    head: str
    encode: Callable[[Iterable[CallRecord]], str]
    to_bytes: Callable[[Iterable[CallRecord]], bytes] | None = None

    def part(self, records: Iterable[CallRecord], *, first: bool) -> bytes:
        """Return what a file holds of some records, and before the first ones its head."""
        head = self.head if first else ""
        return encoded(head + self.encode(records)) if self.to_bytes is None else encoded(head) + self.to_bytes(records)


def ndjson(records: Iterable[CallRecord]) -> str:
    """Return one JSON object a line."""
    return _ndjson(records).decode()


def _ndjson(records: Iterable[CallRecord]) -> bytes:
    return to_json_lines([*records])


def csv_lines(records: Iterable[CallRecord]) -> str:
    """Return one CSV line for each record, as `csv.writer` writes the line, but an empty text as `""`."""
    # Column by column, because nearly all columns can stay as they are, and one look at a column tells. `csv.writer` looks at each
    # character: with it, a record took three times as long (`python benchmarks/records.py --instructions --ways csv`).
    values, names = list[Any](), (*FIELDS, "extra")
    add_fields(values, records)
    if not values:
        return ""
    cells = [_cells(name, values[place :: len(names)]) for place, name in enumerate(names)]
    return "\r\n".join([*map(",".join, zip(*cells, strict=True)), ""])


def _cells(name: str, column: Sequence[Any]) -> Sequence[str]:
    """Return the values of a field, one for each record, as they stand in CSV."""
    match name:
        case "start_time":
            return texts_of(column)
        case "duration" | "billsec" | "sell_price_cents":
            return _whole_numbers(column)
        case "extra":
            return [_cell(extra_to_json(extra)) if extra else "" for extra in column]
        case _:
            return _texts(column)


def _whole_numbers(column: Sequence[int | None]) -> Sequence[str]:
    try:
        # For all numbers at once, which takes less than half the time of `str` for each.
        return msgspec.json.encode(column).decode()[1:-1].replace("null", "").split(",")
    except OverflowError:  # beyond 64 bits
        return ["" if value is None else str(value) for value in column]


def _texts(column: Sequence[str | None]) -> Sequence[str]:
    some = [*filter(None, column)]
    joined = " ".join(some)
    printable = joined.isprintable()  # so no line ends in it, either
    simple = joined.isascii() and not any(each in joined for each in _STARTERS)
    if not printable or not (simple or _PLAIN.fullmatch("\n".join(some))):
        column = [text and guarded(text) for text in column]
    elif "," not in joined and '"' not in joined:
        # No text needs quotes.
        return cast("Sequence[str]", column) if len(some) == len(column) else [*map(_bare, column)]
    return ["" if text is None else _cell(text) for text in column]


def _bare(text: str | None) -> str:
    """Return a text that needs no quotes as a cell."""
    return text or ("" if text is None else '""')


def _cell(text: str) -> str:
    """Return a text as a cell. An empty text differs from an empty cell, which stands for `None`."""
    if text and not _SPECIAL.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def extra_text(extra: Mapping[str, Any]) -> str:
    """Return the fields that the API added, as JSON; an empty text without such fields."""
    return json.dumps(dict(extra), ensure_ascii=False, default=text_of) if extra else ""


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def text_of(value: Any) -> str:
    """Return a time as the API writes it. Other values, such as a `Decimal`, keep every digit, which a float would round."""
    if not isinstance(value, datetime):
        return str(value)
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def encoded(text: str) -> bytes:
    """Return a text in UTF-8. JSON can hold half a surrogate pair, and UTF-8 cannot: it is written as JSON's escape."""
    return text.encode("utf-8", "backslashreplace")


NDJSON: Final = Format("ndjson", "", ndjson, _ndjson)
CSV: Final = Format("csv", csv_text([(*FIELDS, "extra")]), csv_lines)
FORMATS: Final = {form.name: form for form in (NDJSON, CSV)}
