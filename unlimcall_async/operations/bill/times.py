"""Times and lengths as invoices write them. Pure: no I/O, no clock.

`05/06/2026` is a day of May or of June. The order of day and month is decided for a whole column, by the cells that allow one order
only, such as `05/13/2026`. A column without such a cell is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from unlimcall_async.operations.bill.amounts import Mark, amount_of, shown
from unlimcall_async.operations.spending import MONEY

Order: TypeAlias = Literal["ymd", "dmy", "mdy"]

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            *("jan january januar janvier enero", "feb february februar", "mar march m\u00e4rz mrz", "apr april"),
            *("may mai mayo", "jun june juni juin", "jul july juli", "aug august", "sep sept september"),
            *("oct october okt oktober", "nov november", "dec december dez dezember"),
        ),
        1,
    )
    for name in names.split()
}
_CLOCK: Final = (
    r"(?:(?:T|,?\s+)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[-+][0-9]{2}:?[0-9]{2})?)?"
)
_YEAR_FIRST: Final = re.compile(r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})" + _CLOCK)
_NUMBERS: Final = re.compile(
    r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<next>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4}|[0-9]{2})" + _CLOCK
)
_NAMED: Final = re.compile(
    r"(?:(?P<day>[0-9]{1,2})\.?[-\s/]+(?P<month>[^\W\d_]{3,})\.?|(?P<name>[^\W\d_]{3,})\.?\s+(?P<number>[0-9]{1,2}))"
    r",?[-\s/]+(?P<year>[0-9]{4}|[0-9]{2})" + _CLOCK
)
_LENGTH: Final = re.compile(r"(?:(?:(?P<hours>[0-9]+):)?(?P<minutes>[0-9]+):(?P<seconds>[0-5][0-9])(?:\.0+)?)")
_UNITS: Final = re.compile(r"(?:([0-9]+)\s*h\w*)?\s*(?:([0-9]+)\s*m\w*)?\s*(?:([0-9]+)\s*s\w*)?", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[0-9][0-9.,' \u00a0\u202f]*")


def order_of(cells: Iterable[tuple[int, str]]) -> Order:
    """Return the order of day and month in a column.

    Args:
        cells: The cells, each with the number of its line. Those that are not times say nothing.

    Raises:
        ValueError: Two cells have different orders, or each cell allows both.
    """
    plain: dict[Order, tuple[int, str]] = {}
    doubtful: tuple[int, str] | None = None
    for number, cell in cells:
        match = _NUMBERS.fullmatch(cell.strip())
        if match is None:
            continue
        first, second = int(match["first"]), int(match["next"])
        if match["mark"] == "." or first > 12:  # no country writes the month first with points
            plain.setdefault("dmy", (number, cell))
        elif second > 12:
            plain.setdefault("mdy", (number, cell))
        elif doubtful is None and first != second:
            doubtful = number, cell
    if len(plain) > 1:
        (first_line, one), (second_line, other) = plain["dmy"], plain["mdy"]
        raise ValueError(
            f"line {first_line} has the date {one.strip()!r} and line {second_line} the date {other.strip()!r}: "
            "pass dates='dmy' or dates='mdy'"
        )
    if not plain and doubtful is not None:
        raise ValueError(
            f"line {doubtful[0]}: the date {doubtful[1].strip()!r} may begin with its day or with its month, and no other date "
            "of the column shows which: pass dates='dmy' or dates='mdy'"
        )
    if plain:
        return "mdy" if "mdy" in plain else "dmy"
    return "ymd"


def moment_of(cell: str, zone: tzinfo, order: Order) -> tuple[datetime, bool]:
    """Read a day or a time.

    Args:
        cell: The cell.
        zone: The time zone of a time without an offset.
        order: The order of day and month, if both are numbers.

    Returns:
        The time, timezone-aware, and whether the cell names a time of the day.

    Raises:
        ValueError: The cell is not a time.
    """
    text = cell.strip()
    match = _YEAR_FIRST.fullmatch(text) or _NUMBERS.fullmatch(text) or _NAMED.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a valid time")
    try:
        year, month, day = _date(match.groupdict(), order)
        if match["hour"] is None:
            return datetime(year, month, day, tzinfo=zone), False
        hour = int(match["hour"])
        if match["half"]:
            # 13 PM is not a valid time, and 24 is not a valid hour.
            hour = hour % 12 + (12 if match["half"][0] in "Pp" else 0) if 1 <= hour <= 12 else 24
        micros = int((match["part"] or "").ljust(6, "0")[:6])
        wall = datetime(year, month, day, hour, int(match["minute"]), int(match["second"] or 0), micros, tzinfo=zone)
    except (ValueError, KeyError):  # for example the thirtieth of February, or a word that is not a month
        raise ValueError(f"{shown(text)} is not a valid time") from None
    return (wall if match["zone"] is None else wall.replace(tzinfo=_offset(match["zone"]))), True


def _date(found: dict[str, str | None], order: Order) -> tuple[int, int, int]:
    shown_year = found["year"] or ""
    year = int(shown_year) + (2000 if len(shown_year) == 2 else 0)
    if "first" in found:
        first, second = int(found["first"] or 0), int(found["next"] or 0)
        return (year, first, second) if order == "mdy" else (year, second, first)
    month = found["month"] or found["name"] or ""
    return year, int(month) if month.isdigit() else _MONTHS[month.lower()], int(found["day"] or found["number"] or 0)


def _offset(text: str) -> tzinfo:
    if not text[-1].isdigit():
        text = "+00:00"
    offset = datetime.strptime(text.replace(":", ""), "%z").tzinfo
    if offset is None:  # for the type checker: the form has an offset
        raise ValueError(text)
    return offset


def is_moment(cell: str) -> bool:
    """Return whether a cell has the form of a day or a time."""
    text = cell.strip()
    return any(form.fullmatch(text) for form in (_YEAR_FIRST, _NUMBERS, _NAMED))


def is_clock(cell: str) -> bool:
    """Return whether a cell is a time of the day alone."""
    return re.fullmatch(_CLOCK.removesuffix("?"), f" {cell.strip()}") is not None


def seconds_of(cell: str, mark: Mark, *, in_minutes: bool) -> Decimal | None:
    """Read the length of a call, or of all calls of a sum: `81`, `1:21`, `0:01:21`, `1m 21s`, or in minutes `1.35`.

    Args:
        cell: The cell.
        mark: The mark of the fraction in the column.
        in_minutes: Whether a number alone counts minutes.

    Returns:
        The length in seconds, or `None` for an empty cell.

    Raises:
        ValueError: The cell is not a length.
    """
    text = cell.strip()
    if not text:
        return None
    if match := _LENGTH.fullmatch(text):
        return Decimal(int(match["hours"] or 0) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"]))
    if match := _UNITS.fullmatch(text):
        hours, minutes, seconds = (int(each or 0) for each in match.groups())
        return Decimal(hours * 3600 + minutes * 60 + seconds)
    # Thousands and fractions are written as those of amounts. But a length has no sign and no currency.
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a valid length of a call")
    number = amount_of(text, mark).value
    return MONEY.multiply(number, 60) if in_minutes else number
