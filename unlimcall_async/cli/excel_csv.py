"""Call records as CSV that Excel opens with a double click. No I/O.

Excel takes the cells of CSV for what they look like: the id `1714.10` becomes a number, `+14155550100` loses its plus, and a name
like `=1+1` is run. The quotes of CSV do not help. So each text is written as `="text"`, a formula whose value is the text.

All that the text could do inside of its quotes is end them, and its own quotes are doubled. If Excel's own separator is the
semicolon, one would end the cell. So a formula behind a semicolon gets an apostrophe in front.

A byte order mark at the start has Excel read UTF-8. Times are in the user's zone, in a form that Excel reads as a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Final

from unlimcall_async import CallRecord
from unlimcall_async._zones import in_zone
from unlimcall_async.cli.formats import FIELDS, csv_text, extra_text
from unlimcall_async.cli.formulas import is_formula

HEAD: Final = "\ufeff" + csv_text([(*FIELDS, "extra")])

# Excel and its relatives keep this many digits of a number.
DIGITS: Final = 15
# Units of UTF-16 that a cell holds, and that a text inside of a formula and a whole formula may have.
CELL: Final = 32_767
_IN_QUOTES: Final = 255
_FORMULA: Final = 8_192

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def lines(records: Iterable[CallRecord], zone: tzinfo) -> str:
    """Return one CSV line for each record."""
    return csv_text(
        [*(_cell(getattr(record, name), zone) for name in FIELDS), _text(extra_text(record.extra))]
        for record in records
    )


def _cell(value: object, zone: tzinfo) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return value if fits(value) else _text(str(value))
    return local(value, zone) if isinstance(value, datetime) else value


def fits(number: int) -> bool:
    """Return whether a spreadsheet keeps every digit of a number."""
    return abs(number) < 10**DIGITS


def local(moment: datetime, zone: tzinfo) -> str:
    """Return a time in a zone, without its offset. A fraction of a second is in milliseconds, which is as fine as Excel counts."""
    read = in_zone(moment, zone).replace(tzinfo=None)
    return read.isoformat(" ", timespec="milliseconds" if read.microsecond else "seconds")


def cut(text: str) -> str:
    """Return a text as long as a cell holds. One that was cut ends in an ellipsis."""
    if len(text.encode("utf-16-le", "surrogatepass")) <= 2 * CELL:
        return text
    return text.encode("utf-16-le", "surrogatepass")[: 2 * CELL - 2].decode("utf-16-le", "ignore") + "\u2026"


def _text(text: str) -> str:
    if not text:
        return text
    # Excel reads a line end inside of a formula's quotes as the end of the formula.
    pieces = cut(_CONTROL.sub(" ", text)).split(";")
    shown = ";".join([pieces[0], *(f"'{piece}" if is_formula(piece) else piece for piece in pieces[1:])])
    formula = "=" + "&".join(f'"{part}"' for part in _parts(shown.replace('"', '""')))
    # A text that is too long for a formula is not a number, and an apostrophe keeps it from being one.
    return formula if len(formula.encode("utf-16-le", "surrogatepass")) <= 2 * _FORMULA else f"'{shown}"


def _parts(text: str) -> Iterator[str]:
    """Divide a text into parts that a formula can quote, and not between the two quotes that stand for one."""
    part, length = "", 0
    for unit in re.findall(r'""|[^"]', text):
        size = len(unit.encode("utf-16-le", "surrogatepass")) // 2
        if length + size > _IN_QUOTES:
            yield part
            part, length = "", 0
        part += unit
        length += size
    yield part
