"""Call records as a workbook of Excel, an .xlsx file.

Ids, phone numbers and names are cells of text. No spreadsheet takes such a cell for a number or a formula, also after somebody has
edited the cell. Times are times in the user's zone, and each cell shows its offset. Numbers are numbers, unless they have more
digits than a spreadsheet keeps. A sheet has room for 1,048,575 records; the next ones are on the next sheet.

XlsxWriter, of the extra `xlsx`, writes row by row to the disk. Memory does not grow with the records.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from unlimcall_async import _json
from unlimcall_async._extras import needs_extra
from unlimcall_async._zones import in_zone
from unlimcall_async.cli.excel_csv import cut, fits
from unlimcall_async.cli.formats import FIELDS, extra_text
from unlimcall_async.cli.output import UnusableError, UnwritableError, unwritable

_COLUMNS: Final = (*FIELDS, "extra")
# Characters of the columns that are wider than their names.
_WIDTHS: Final = {"id": 20, "start_time": 30, "src": 18, "dst": 18, "disposition": 14, "sip_username": 14, "did": 18}
# Rows of a sheet, the head included. The format has no more.
ROWS: Final = 1_048_576
# Control characters, which the format has only as escapes that not every reader takes back.
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
# Excel counts days from 1900, and takes that year for a leap year.
_FIRST_YEAR: Final = 1901
# Records that are written between two looks at signals: some tens of milliseconds.
_AT_ONCE: Final = 1000
# All workbooks have the same birthday, so that the same records make the same bytes.
_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001 # the format has no zones


def check_installed() -> None:
    """Check that the extra is installed.

    Raises:
        UnusableError: It is not.
    """
    if find_spec("xlsxwriter") is None:
        raise UnusableError(needs_extra("the format xlsx", "xlsx"))


async def write_workbook(
    lines: Iterable[bytes], path: Path, zone: tzinfo, *, shown: Path | None = None, rows: int = ROWS
) -> int:
    """Write records to a new file, and return how many texts were too long for a cell, and were cut.

    The event loop runs now and then, so that signals are seen.

    Args:
        lines: The records, as lines of JSON.
        path: The file's name. Its folder also gets files for one use, and must be private.
        zone: The zone of the times.
        shown: The name in messages, if that is another one.
        rows: The rows of a sheet, the head included.

    Raises:
        UnwritableError: The file cannot be written.
    """
    from xlsxwriter import Workbook  # type: ignore[import-untyped] # noqa: PLC0415 # an extra, without types
    from xlsxwriter.exceptions import (  # type: ignore[import-untyped] # noqa: PLC0415 # as above
        XlsxWriterException,
    )

    options = {"constant_memory": True, "tmpdir": str(path.parent), "in_memory": False}
    book = Workbook(str(path), options)
    book.use_zip64()
    book.set_properties({"created": _CREATED})
    writer = _Sheets(book, zone, rows)
    for number, line in enumerate(lines):
        writer.add(_json.read(line))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    with unwritable(shown or path):
        try:
            book.close()
        # The package's own error, with that of the system as its text or its cause.
        except XlsxWriterException as error:
            raise UnwritableError(shown or path, str(error.__cause__ or error)) from error
    return writer.cut


class _Sheets:
    """The sheets of a workbook, one after the other.

    Attributes:
        cut: How many texts were too long for a cell.
    """

    def __init__(self, book: Any, zone: tzinfo, rows: int) -> None:
        self.cut: int = 0
        self._book = book
        self._zone = zone
        self._rows = rows
        # `@` keeps a text a text when somebody edits the cell.
        self._text = book.add_format({"num_format": "@"})
        self._head = book.add_format({"bold": True})
        self._times: dict[str, Any] = {}
        self._sheets = 0
        self._begin()

    def _begin(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet("calls" if self._sheets == 1 else f"calls {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        # Numbers as text are meant here; a green corner in each cell would call them an error.
        self._sheet.ignore_errors({"number_stored_as_text": f"A1:M{self._rows}"})
        for column, name in enumerate(_COLUMNS):
            self._sheet.set_column(column, column, _WIDTHS.get(name, len(name) + 2))
            self._sheet.write_string(0, column, name, self._head)
        self._row = 1

    def add(self, record: dict[str, Any]) -> None:
        """Write a record below the last one."""
        if self._row == self._rows:
            self._begin()
        for column, name in enumerate(FIELDS):
            self._write(column, name, record[name])
        self._write(len(FIELDS), "extra", extra_text(record.get("extra", {})))
        self._row += 1

    def _write(self, column: int, name: str, value: object) -> None:
        if value is None or value == "":
            return
        if name == "start_time" and isinstance(value, str):
            moment = in_zone(datetime.fromisoformat(value), self._zone)
            if moment.year >= _FIRST_YEAR:
                self._sheet.write_datetime(self._row, column, moment.replace(tzinfo=None), self._time(moment))
                return
        if isinstance(value, int) and fits(value):
            self._sheet.write_number(self._row, column, value)
            return
        # A line end of a cell is one character.
        text = str(value).replace("\r\n", "\n").replace("\r", "\n")
        text = _UNSEEN.sub("\ufffd", text)
        shown = cut(text)
        self.cut += shown != text
        self._sheet.write_string(self._row, column, shown, self._text)

    def _time(self, moment: datetime) -> Any:
        """Return the format of a time, which shows the offset: when clocks are set back, an hour comes twice."""
        fraction = ".000" if moment.microsecond else ""
        shown = f'yyyy-mm-dd hh:mm:ss{fraction} "{_offset(moment)}"'
        if shown not in self._times:
            self._times[shown] = self._book.add_format({"num_format": shown, "align": "left"})
        return self._times[shown]


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    return f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:5] if offset else "UTC"
