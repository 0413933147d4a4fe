"""Call records from the files that `cdrs pull` writes: NDJSON, CSV and Parquet, record by record, and exactly.

What a file holds is told by how it begins, and not by its name. Only a damaged manifest is told by its name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias

from unlimcall_async import CallRecord, _json, from_dict
from unlimcall_async.cli.formats import FIELDS
from unlimcall_async.cli.formulas import unguarded
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.parquet import check_installed

Kind: TypeAlias = Literal["manifest", "ndjson", "csv", "parquet"]

_HEAD: Final = [*FIELDS, "extra"]
_NUMBERS: Final = frozenset({"duration", "billsec", "sell_price_cents"})
_WHOLE: Final = re.compile("-?[0-9]{1,4000}")
# A cell of CSV, and what ends it.
_CELL: Final = re.compile(r'("(?:[^"]|"")*"|[^,"\r\n]*)(,|\r?\n|\Z)')
# Bytes that tell what a file holds.
_BEGINNING: Final = 200
# Another program may have written the manifest anew, for example `jq -c`.
_MANIFEST: Final = re.compile(rb'\s*\{\s*"kind"\s*:\s*"cdrs\.manifest"')
# The longest cell of CSV: `extra` may hold any JSON. The library's own limit is 128 KiB.
_LONGEST: Final = 2**31 - 1


def kind_of(path: Path) -> Kind:
    """Return what a file holds.

    Raises:
        UnusableError: The file cannot be read, or does not hold what `cdrs pull` writes for programs.
    """
    with _opened(path) as file:
        begin = file.read(_BEGINNING)
    if begin.startswith(b"PAR1"):
        return "parquet"
    if begin.startswith(b"id,start_time,"):
        return "csv"
    # A manifest that was cut off, or whose members another program has sorted, is told by its name.
    if _MANIFEST.match(begin) or path.name.endswith(".manifest.json"):
        return "manifest"
    if begin.startswith(b"{") or not begin:
        return "ndjson"
    if begin.startswith((b"PK", b"\xef\xbb\xbfid,")):
        raise UnusableError(
            f"{path} is made for a spreadsheet, and does not hold every digit of a record; "
            f"name {path}.manifest.json, or pull NDJSON, CSV or Parquet"
        )
    raise UnusableError(f"{path} is not NDJSON, CSV or Parquet as `unlimcall cdrs pull` writes it, nor a manifest")


def records_in(path: Path) -> Iterator[CallRecord]:
    """Yield the records of a file, in its order.

    Raises:
        UnusableError: The file cannot be read. The message names the line or the row, and shows nothing of it.
    """
    readers: dict[str, Callable[[Path], Iterator[CallRecord]]] = {
        "ndjson": _from_ndjson,
        "csv": _from_csv,
        "parquet": _from_parquet,
    }
    try:
        yield from readers[kind_of(path)](path)
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror or error}") from None


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise UnusableError(f"{path} is a folder: name a file in it")
    try:
        return path.open("rb")
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None


def _from_ndjson(path: Path) -> Iterator[CallRecord]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                yield from_dict(CallRecord, _json.read(line))
            except (ValueError, TypeError) as error:
                raise UnusableError(f"{path}, line {number}: {error}") from None


# --- CSV --------------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a file, which remembers those of the row that is being read."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = iter(file)
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            # A line that is not UTF-8 counts, too.
            self.row.append("")
            self.row[-1] = line.decode()
            yield self.row[-1]


def _from_csv(path: Path) -> Iterator[CallRecord]:
    with _opened(path) as file:
        lines = _Lines(file)
        csv.field_size_limit(_LONGEST)
        rows, number = csv.reader(lines, strict=True), 1
        try:
            if next(rows) != _HEAD:
                raise ValueError("the names of the columns are not those of call records")  # noqa: TRY301 # as any other
            lines.row.clear()
            for cells in rows:
                text, number = "".join(lines.row), lines.number - len(lines.row) + 1
                lines.row.clear()
                yield _of_cells(_exact_cells(text) if _has_empty_text(text) else [cell or None for cell in cells])
        except (ValueError, TypeError, csv.Error) as error:
            number = lines.number - len(lines.row) + 1 if lines.row else number
            raise UnusableError(f"{path}, line {number}: {error}") from None


def _has_empty_text(text: str) -> bool:
    return ',""' in text or text.startswith('""')


def _exact_cells(text: str) -> list[str | None]:
    """Return the cells of a row: the reader of the library takes `""` for an empty cell."""
    cells = list[str | None]()
    for match in _CELL.finditer(text):
        cell, end = match.groups()
        cells.append(cell[1:-1].replace('""', '"') if cell.startswith('"') else cell or None)
        if end != ",":
            break
    return cells


def _of_cells(cells: list[str | None]) -> CallRecord:
    if len(cells) != len(_HEAD):
        raise ValueError(f"the row has {len(cells)} cells, and not {len(_HEAD)}")
    return from_dict(CallRecord, dict(filter(None, map(_value, _HEAD, cells))))


def _value(name: str, cell: str | None) -> tuple[str, Any] | None:
    """Return a field and its value, or `None` for an `extra` that is empty."""
    if name == "extra":
        return (name, _json.read(cell)) if cell is not None else None
    if cell is None:
        return name, None
    if name not in _NUMBERS:
        return name, unguarded(cell)
    if not _WHOLE.fullmatch(cell):
        raise ValueError(f"{name} is not a whole number")
    return name, int(cell)


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _from_parquet(path: Path) -> Iterator[CallRecord]:
    check_installed()
    from pyarrow import ArrowException, parquet  # type: ignore[import-untyped] # noqa: PLC0415 # an extra, without types

    from unlimcall_async._columns import SCHEMA, to_records  # noqa: PLC0415 # pyarrow is of an extra

    with _opened(path) as file:
        row = 1
        try:
            opened = parquet.ParquetFile(file)
            if not opened.schema_arrow.equals(SCHEMA):
                raise UnusableError(f"{path}: its columns are not those that `unlimcall cdrs pull` writes")
            # Earlier releases of pyarrow fail for a file without a row.
            for batch in opened.iter_batches() if opened.num_row_groups else ():
                yield from to_records(batch)
                row += len(batch)
        except (ValueError, TypeError, OverflowError, ArrowException) as error:
            raise UnusableError(f"{path}, row {row} or one behind it: {error}") from None
