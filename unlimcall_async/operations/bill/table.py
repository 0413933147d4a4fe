"""The rows of an invoice's CSV: its encoding, its separator, and where its table begins. Pure: no I/O.

Invoices have lines above their table, and end in sums. The table begins at the first row whose cells are the headers of all columns
that the user has named. If the user has named none, plain headers show that row. Of several tables, that with the most columns is
read, and the others above it are named.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from unlimcall_async.operations.bill.amounts import shown
from unlimcall_async.operations.bill.columns import BillColumn, Columns, columns_of, place_of_header

Row: TypeAlias = tuple[int, list[str]]

_SEPARATORS: Final = (",", ";", "\t", "|")
# Lines above a table: an address, a period, an account. The cells of the table are read only if it begins within them.
_PREAMBLE: Final = 60
# Rows below the headers that show the form of their columns.
_SAMPLE: Final = 200
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY: Final = {
    b"PK\x03\x04": "a workbook",
    b"\xd0\xcf\x11\xe0": "an old workbook",
    b"%PDF": "a PDF",
    b"PAR1": "Parquet",
}


@frozen
class Table:
    """The table of an invoice.

    Attributes:
        columns: Where the columns are.
        rows: The rows below the headers, each with the number of its first line.
        repeated: The numbers of the lines that repeat the headers, as each page of a print does.
        passed_over: The numbers of the lines with the headers of other tables, which lie above and are not read.
        width: The number of columns.
        encoding: The encoding of the file.
        separator: The character between two cells.
    """

    columns: Columns
    rows: list[Row]
    repeated: list[int]
    passed_over: list[int]
    width: int
    encoding: str
    separator: str


def table_of(content: bytes | str, named: Mapping[BillColumn, str]) -> Table:
    """Read the table of a file.

    Raises:
        ValueError: The file is not CSV, or does not have the columns.
    """
    if not isinstance(content, (str, bytes)):
        raise TypeError(f"content must be bytes or a str, not {type(content).__name__}: pass path.read_bytes()")
    text, encoding = (content.removeprefix("\ufeff"), "utf-8") if isinstance(content, str) else _decoded(content)
    text, separators = _without_separator_line(text)
    best: tuple[Columns, int, str] | None = None
    found: list[tuple[int, str]] = []
    for separator in separators:
        head = _head(text, separator)
        for place, (_, row) in enumerate(head[:_PREAMBLE]):
            columns = columns_of(row, named, [cells for _, cells in head[place + 1 : place + 1 + _SAMPLE]])
            if columns is None:
                continue
            found.append((place, separator))
            # A summary above the calls may have headers, too: the table is that with the most columns.
            if best is None or len(columns.places) > len(best[0].places):
                best = columns, place, separator
    if best is None:
        raise ValueError(_why_not(text, separators, named))
    columns, place, separator = best
    every = list(_rows(text, separator))
    headers = every[place][1]
    below = [row for row in every[place + 1 :] if any(map(str.strip, row[1]))]
    return Table(
        columns,
        rows=[row for row in below if row[1] != headers],
        repeated=[number for number, cells in below if cells == headers],
        passed_over=[every[above][0] for above, mark in found if mark == separator and above < place],
        width=len(headers),
        encoding=encoding,
        separator=separator,
    )


def _decoded(content: bytes) -> tuple[str, str]:
    """Return the text of a file, and its encoding."""
    for mark, kind in _BINARY.items():
        if content.startswith(mark):
            raise ValueError(f"the file is {kind}; save the invoice as CSV")
    # Without a mark, text in UTF-8 is known by its own rules, and CSV in UTF-16 by the zeros beside its commas. All else is as
    # Excel writes "CSV" in western Europe and America.
    encodings = ["utf-8", "cp1252"]
    if content[1:2] == b"\0" or content[:1] == b"\0":
        encodings = ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    encodings = [encoding for mark, encoding in _MARKS.items() if content.startswith(mark)] or encodings
    place = 0
    for encoding in encodings:
        try:
            return content.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError as error:
            place = error.start + 1
    raise ValueError(f"the file is not text in UTF-8, UTF-16 or Windows-1252: byte {place}")


def _without_separator_line(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text, and the separators that it may have. Excel reads a first line such as `sep=;`."""
    first = text[:7].splitlines()[:1]
    if first and first[0].lower().startswith("sep=") and len(first[0]) == len("sep=;"):
        # The line stays, so that lines are counted as an editor does.
        return text[len(first[0]) :], (first[0][-1],)
    return text, _SEPARATORS


def _rows(text: str, separator: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"line {number} is not valid CSV: {error}") from None
        yield number, row
        # A cell may hold line ends.
        number = reader.line_num + 1


def _head(text: str, separator: str) -> list[Row]:
    """Return the rows among which the headers are. With a separator that is not the file's, they may not be CSV."""
    found: list[Row] = []
    try:
        for row in _rows(text, separator):
            found.append(row)
            if len(found) == _PREAMBLE + _SAMPLE:
                break
    except ValueError:
        pass
    return found


def _why_not(text: str, separators: tuple[str, ...], named: Mapping[BillColumn, str]) -> str:
    """Return why no row has the headers."""
    # The row that is most likely to be that of the headers: the first of the widest.
    rows = [row for separator in separators for _, row in _head(text, separator)[:_PREAMBLE]]
    row = max(rows, key=lambda cells: sum(bool(cell.strip()) for cell in cells), default=[])
    # A file without headers shows a call in their place.
    has = ", ".join(shown(cell) for cell in row if cell.strip())
    if not has:
        return "the file is empty"
    missing = [header for header in named.values() if header and place_of_header(header, row) is None]
    if missing:
        return f"the file does not have the header {missing[0]!r}; its headers are {has}"
    return (
        f"the columns of the invoice are unknown: its headers are {has}. "
        'Name those of the amount and of the id, the start, the country or the line, like columns="id=Call ID,amount=Charge"'
    )
