"""The formats of a pull, and how a user names them. No I/O."""

from __future__ import annotations

from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from unlimcall_async.cli import excel_csv
from unlimcall_async.cli.formats import CSV, FORMATS, NDJSON, Format

EXCEL_CSV: Final = "csv for excel"
XLSX: Final = "xlsx"
PARQUET: Final = "parquet"
# The formats whose files cannot grow, and what such a file is called: each is made of its complete part.
MADE: Final = {XLSX: "a workbook", PARQUET: "a Parquet file"}
# Every name that a journal may hold.
FORMS: Final = (*FORMATS, EXCEL_CSV, *MADE)
# What `--format` takes; the same are the endings of file names.
NAMES: Final = ("csv", "ndjson", "parquet", "xlsx")
READERS: Final = ("excel",)


def form_of(form: str | None, reader: str | None, out: Path | None) -> str | None:
    """Return the name of the format that a user asks for; `None` if nothing names one.

    Args:
        form: `--format`.
        reader: `--for`.
        out: The file, whose ending counts if there is no `--format`.

    Raises:
        ValueError: The format and the reader exclude each other.
    """
    name = form
    if name is None and out is not None and out.suffix[1:] in NAMES:
        name = out.suffix[1:]
    if reader is None:
        return name
    if name in {"ndjson", PARQUET} or (name is None and out is not None):
        raise ValueError(f"--for {reader} is for CSV; give --format csv, or a name that ends in .csv")
    return XLSX if name == XLSX else EXCEL_CSV


def ending_of(name: str) -> str:
    """Return the ending of the file's name, without its dot."""
    return CSV.name if name == EXCEL_CSV else name


def options_of(name: str) -> str:
    """Return a format as the user writes it."""
    return "csv --for excel" if name == EXCEL_CSV else name


def is_local(name: str) -> bool:
    """Return whether the format has times in the user's zone."""
    return name in {EXCEL_CSV, XLSX}


def part_format(name: str, zone: tzinfo) -> Format:
    """Return the format of a part that is text. A workbook cannot grow: its part is NDJSON, of which the workbook is made."""
    if name == EXCEL_CSV:
        return Format(name, excel_csv.HEAD, partial(excel_csv.lines, zone=zone))
    return NDJSON if name == XLSX else FORMATS[name]
