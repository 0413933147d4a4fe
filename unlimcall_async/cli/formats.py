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
from typing import Any, Final

import attrs
import msgspec
from msgspec.structs import astuple

from unlimcall_async import CallRecord
from unlimcall_async._plain import extra_to_json, to_json_lines
from unlimcall_async.cli.formulas import guarded

FIELDS: Final = tuple(name for name in attrs.fields_dict(CallRecord) if name != "extra")

# A line that does not begin with a letter or a digit of ASCII, and is no phone number: of many texts, one on each line, those that
# may be formulas (`formulas`). An empty line is a line end at the end of a text, or at its start, which hides a formula.
_NOT_PLAIN: Final = re.compile(r"^(?![0-9A-Za-z]|\+[0-9(][0-9 ().-]*$)", re.MULTILINE)


@attrs.frozen
class Format:
    """How records become text.

    Attributes:
        name: The format's name, which is also the ending of a file's name.
        head: The text at the start of a file.
        encode: Returns the text of some records.
    """

    name: str
    head: str
    encode: Callable[[Iterable[CallRecord]], str]

    def part(self, records: Iterable[CallRecord], *, first: bool) -> bytes:
        """Return what a file holds of some records, and before the first ones its head."""
        return encoded(f"{self.head if first else ''}{self.encode(records)}")


def ndjson(records: Iterable[CallRecord]) -> str:
    """Return one JSON object a line."""
    return to_json_lines([*records]).decode()


def csv_lines(records: Iterable[CallRecord]) -> str:
    """Return one CSV line for each record."""
    # Column by column, because nearly all columns can stay as they are, and one look at a column tells.
    columns = [*zip(*map(astuple, records), strict=True)]
    if not columns:
        return ""
    cells = [_cells(name, column) for name, column in zip((*FIELDS, "extra"), columns, strict=True)]
    rows = [*zip(*cells, strict=True)]
    # The writer writes an empty text as it writes `None`. Hardly any row has one.
    return (
        "".join(_exact_line(row) if "" in row else csv_text([row]) for row in rows)
        if any("" in column for column in cells)
        else csv_text(rows)
    )


def _cells(name: str, column: Sequence[Any]) -> Sequence[object]:
    """Return the values of a field, one for each record, as they stand in CSV."""
    match name:
        case "start_time":
            return _times(column)
        case "duration" | "billsec" | "sell_price_cents":
            return column
        case "extra":
            return [extra_to_json(extra) if extra else None for extra in column]
        case _:
            texts = "\n".join(filter(None, column))
            may_be_formulas = texts and _NOT_PLAIN.search(texts)
            return [text and guarded(text) for text in column] if may_be_formulas else column


def _times(starts: Sequence[datetime]) -> list[str]:
    text = msgspec.json.encode(starts).decode()
    # msgspec writes no fraction or six digits, and ends what is in UTC with `Z`. No other `Z` or point stands in a time.
    if text.count("Z") == len(starts) and "." not in text:
        return [f"{time}.000Z" for time in text[2:-3].split('Z","')]
    return [text_of(start) for start in starts]


def _exact_line(row: Iterable[object]) -> str:
    """Return a row as CSV, in which an empty text differs from `None`."""
    # A row of one cell always shows that the cell is there: an empty text is `""`.
    return ",".join("" if value is None else csv_text([[value]]).removesuffix("\r\n") for value in row) + "\r\n"


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


NDJSON: Final = Format("ndjson", "", ndjson)
CSV: Final = Format("csv", csv_text([(*FIELDS, "extra")]), csv_lines)
FORMATS: Final = {form.name: form for form in (NDJSON, CSV)}
