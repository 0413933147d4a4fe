"""The files that are made of a complete part: workbooks, and Parquet files."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import Final

from unlimcall_async.cli import parquet, workbook
from unlimcall_async.cli.output import note
from unlimcall_async.cli.pull_file import PullFile
from unlimcall_async.cli.pull_formats import PARQUET, XLSX

# Records whose file takes more than some three seconds to write.
_LONG_WORK: Final = {XLSX: 20_000, PARQUET: 3_000_000}


def check_installed(form: str | None) -> None:
    """Check that the extra is installed that a format needs, if it needs one.

    Raises:
        UnusableError: It is not.
    """
    if form == XLSX:
        workbook.check_installed()
    if form == PARQUET:
        parquet.check_installed()


async def make(form: str, file: PullFile, path: Path, zone: tzinfo, *, shown: Path, records: int) -> None:
    """Make a file of a complete part.

    Args:
        form: The format's name.
        file: The pull's file.
        path: The name under which the file is made, in a folder for this use.
        zone: The zone of the times in a workbook.
        shown: The file's own name.
        records: The number of records.

    Raises:
        UnwritableError: The file cannot be written.
    """
    if records >= _LONG_WORK[form]:
        note(f"All records are there. Writing {shown}.")
    if form == PARQUET:
        await parquet.write_parquet(file.part(), path, shown=shown)
    elif await workbook.write_workbook(file.lines(), path, zone, shown=shown):
        note(f"A text is longer than a cell of {shown.name} can hold, and was cut.")
