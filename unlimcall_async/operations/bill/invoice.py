"""Reads an invoice. Pure: no I/O.

A row that cannot be read is named, with its column, and costs that row alone. Rows that sum others are not lines: they are compared
with the sums of the lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal, TypeVar

from attrs import frozen

from unlimcall_async.operations import _checks
from unlimcall_async.operations.bill.amounts import Amount, Mark, amount_of, mark_of, shown, sign_of, without_numbers
from unlimcall_async.operations.bill.columns import KEYS, BillColumn, Columns, checked
from unlimcall_async.operations.bill.lines import InvoiceLine
from unlimcall_async.operations.bill.table import Row, Table, table_of
from unlimcall_async.operations.bill.times import Order, is_clock, moment_of, order_of, seconds_of
from unlimcall_async.operations.spending import MONEY

T = TypeVar("T")

# Words of sums that hold more than the lines, and all words with which a row begins that sums others.
_TAXED: Final = re.compile(r"\b(?:vat|tax|gst|mwst|ust|\w+steuer|tva|iva|brutto\w*|gross|due|balance)\b", re.IGNORECASE)
_SUMMING: Final = re.compile(
    r"\W*(?:(?:grand|invoice|net)\s+|sub[\s-]?)?"
    r"(?:totals?|sum|summe|gesamt\w*|zwischensumme|endbetrag|netto\w*|rechnungs(?:summe|betrag)|somme|totale)\b"
    r"|\W*(?:(?:carried|brought)\s+(?:forward|over)|\u00fcbertrag|running\s+total)\b"
    rf"|(?:[\w.]+\s+|[0-9.,]+\s*%\s*){{0,2}}{_TAXED.pattern}",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"\W*(?:sub|zwischen)", re.IGNORECASE)
# Words of a row that is a sum with a tax, or of all taxes, and not one tax.
_NO_TAX: Final = re.compile(r"total|\bsum|gesamt|in[ck]l|brutto|gross|due|balance", re.IGNORECASE)
# Spreadsheets write 1900 for a day that is empty, and databases the year 1.
_FIRST_YEAR: Final = 1970
# How spreadsheets are made to leave a text alone: `="17.10"` and `'17.10`.
_FORMULA: Final = re.compile(r'="((?:[^"]|"")*)"')
# How spreadsheets show a long number. Its last digits are lost.
_ROUNDED: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{1,3}")
_GUARDED: Final = frozenset("=+-@0123456789")


@frozen
class UnreadableLine:
    """A row of an invoice that cannot be read.

    Attributes:
        number: The number of the line.
        column: The header of the column, or an empty text.
        reason: What is wrong.
    """

    number: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}{f', column {self.column!r}' if self.column else ''}: {self.reason}"


@frozen
class InvoiceTotal:
    """A row of an invoice that sums others.

    Attributes:
        number: The number of the line.
        label: What the row says of itself, without phone numbers.
        stated: What the row says.
        added: The sum of the lines above, or of those since the total before, with the taxes below them if the row has them;
            `None` if nothing can be compared.
    """

    number: int
    label: str
    stated: Decimal
    added: Decimal | None

    @property
    def ok(self) -> bool:
        """Whether the row says what the lines add up to, or cannot be compared."""
        return self.added is None or self.added == self.stated


@frozen
class Invoice:
    """An invoice as it was read.

    Attributes:
        lines: The lines, in the order of the file.
        unreadable: The rows that cannot be read.
        totals: The rows that sum others.
        remarks: The numbers of lines below the headers that have a single cell and no amount, or that repeat the headers.
        passed_over: The numbers of lines with the headers of other tables, which lie above the table and are not read.
        without_amount: The number of lines whose amount is empty, which counts as 0.
        headers: The header of each column, by the name of the column.
        guessed: The columns that nobody has named.
        encoding: The encoding of the file.
        separator: The character between two cells.
    """

    lines: tuple[InvoiceLine, ...]
    unreadable: tuple[UnreadableLine, ...]
    totals: tuple[InvoiceTotal, ...]
    remarks: tuple[int, ...]
    passed_over: tuple[int, ...]
    without_amount: int
    headers: Mapping[BillColumn, str]
    guessed: frozenset[BillColumn]
    encoding: str
    separator: str

    @property
    def complete(self) -> bool:
        """Whether each row could be read, and each sum is that of its lines."""
        return not self.unreadable and all(total.ok for total in self.totals)


class _CellError(Exception):
    """A cell cannot be read."""

    def __init__(self, column: BillColumn, reason: str) -> None:
        super().__init__(reason)
        self.column: BillColumn = column
        self.reason = reason


def read_invoice(
    content: bytes | str,
    *,
    columns: Mapping[str, str] | None = None,
    zone: tzinfo = UTC,
    currency: str | None = None,
    decimal: Mark | None = None,
    dates: Literal["dmy", "mdy"] | None = None,
) -> Invoice:
    """Read an invoice in CSV.

    The encoding, the separator, the mark of a fraction and the order of day and month are those that the file shows. The columns
    that are not named are those whose headers are plain.

    Args:
        content: The content of the file. Bytes may be in UTF-8, UTF-16 or Windows-1252.
        columns: The header of each column, for example `{"id": "Call ID", "amount": "Charge"}`. The columns are `id`, `start`,
            `time` (of the day, beside a day in `start`), `destination`, `duration` (in seconds), `minutes`, `amount`, `cents`,
            `currency`, `country`, `line` and `calls`. An empty header stands for a column that the invoice does not have.
        zone: The time zone of times without an offset.
        currency: The currency of amounts without one.
        decimal: The mark of the fraction, `"."` or `","`; `None` for the one that the amounts show.
        dates: The order of day and month, `"dmy"` or `"mdy"`; `None` for the one that the dates show.

    Raises:
        ValueError: The file is not CSV, it does not have the columns, or it is open how its amounts or dates are meant.
        TypeError: `content` is neither bytes nor text.
    """
    table = table_of(content, checked(columns or {}))
    currency = None if currency is None else _checks.currency("currency", currency)
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', not {decimal!r}")
    if dates not in (None, "dmy", "mdy"):
        raise ValueError(f"dates must be 'dmy' or 'mdy', not {dates!r}")
    reader = _Reader(table, zone, currency, decimal, dates)
    for number, cells in table.rows:
        reader.read(number, cells)
    return Invoice(
        tuple(reader.lines),
        tuple(reader.unreadable),
        tuple(reader.totals),
        tuple(sorted([*reader.remarks, *table.repeated])),
        tuple(table.passed_over),
        reader.without_amount,
        table.columns.headers,
        table.columns.guessed,
        table.encoding,
        table.separator,
    )


class _Reader:
    """Reads the rows of one table."""

    def __init__(
        self, table: Table, zone: tzinfo, currency: str | None, decimal: Mark | None, dates: Order | None
    ) -> None:
        self.lines: list[InvoiceLine] = []
        self.unreadable: list[UnreadableLine] = []
        self.totals: list[InvoiceTotal] = []
        self.remarks: list[int] = []
        self.without_amount = 0
        self._columns: Columns = table.columns
        self._places = table.columns.places
        self._width, self._zone, self._currency = table.width, zone, currency
        self._money: BillColumn = "amount" if "amount" in self._places else "cents"
        self._mark: Mark = decimal or mark_of(self._column(table.rows, self._money))
        self._length_mark: Mark = self._mark
        # Lengths decide nothing by themselves: if they do not show their mark, that of the amounts will do.
        with suppress(ValueError):
            lengths = self._column(table.rows, "minutes") + self._column(table.rows, "duration")
            self._length_mark = mark_of(lengths, default=self._mark)
        self._order: Order = dates or order_of(self._column(table.rows, "start"))
        # The sums of all lines and of those since the last total, and their currencies.
        self._every = self._since = Decimal(0)
        self._currencies: set[str | None] = set()
        # The taxes so far; `None` below a row that may or may not be one.
        self._taxes: Decimal | None = Decimal(0)

    def _column(self, rows: list[Row], name: BillColumn) -> list[tuple[int, str]]:
        place = self._places.get(name)
        return [(number, row[place]) for number, row in rows if place is not None and place < len(row)]

    def read(self, number: int, cells: list[str]) -> None:
        """Read a row."""
        if any(cell.strip() for cell in cells[self._width :]):
            reason = f"the row has {len(cells)} cells, and the headers are {self._width}: quote a cell that holds the separator"
            self.unreadable.append(UnreadableLine(number, "", reason))
            return
        texts = [*map(_text, cells)]
        found: dict[BillColumn, str] = {
            name: texts[place] for name, place in self._places.items() if place < len(texts)
        }
        full = [*filter(None, texts)]
        label = next((cell for cell in full if ("%" in cell or not cell[0].isdigit()) and _SUMMING.match(cell)), None)
        try:
            if label is not None and not self._is_call(found, label):
                self._take_total(number, label, found)
            elif len(full) == 1 and not found.get(self._money):
                self.remarks.append(number)
            else:
                line = self._line(number, found)
                self.lines.append(line)
                self._every, self._since = MONEY.add(self._every, line.amount), MONEY.add(self._since, line.amount)
                self._currencies.add(line.currency)
        except _CellError as error:
            header = self._columns.headers.get(error.column, error.column)
            self.unreadable.append(UnreadableLine(number, header, error.reason))

    def _is_call(self, found: Mapping[BillColumn, str], label: str) -> bool:
        """Return whether a row with the word of a total names a call or a group all the same."""
        # A total of a day has the day, and its word in the place of a country.
        keys = [found[name] for name in KEYS if found.get(name)]
        return bool(keys) and label not in keys

    def _take_total(self, number: int, label: str, found: Mapping[BillColumn, str]) -> None:
        amount = self._amount(found)
        if not found.get(self._money):
            self.remarks.append(number)
            return
        added: Decimal | None = None
        comparable = len(self._currencies) <= 1 and not self.unreadable and not _TAXED.search(label)
        if comparable and all(each is None or amount.fits(each) for each in self._currencies):
            # A subtotal has the lines since the total before. A total has these, or all, and below taxes also the taxes.
            if amount.value == self._since or _PART.match(label):
                added = self._since
            elif amount.value == self._every:
                added = self._every
            elif self._taxes is not None:
                added = MONEY.add(self._every, self._taxes)
        if _TAXED.search(label):
            one_tax = self._taxes is not None and not _NO_TAX.search(label)
            self._taxes = MONEY.add(self._taxes or Decimal(0), amount.value) if one_tax else None
        self.totals.append(InvoiceTotal(number, without_numbers(label)[:40], amount.value, added))
        self._since = Decimal(0)

    def _line(self, number: int, found: Mapping[BillColumn, str]) -> InvoiceLine:
        amount = self._amount(found)
        start, has_clock = self._start(found)
        if not any(found.get(name) for name in KEYS):
            raise _CellError(next(name for name in self._places if name in KEYS), "the cell is empty")
        line = InvoiceLine(
            number=number,
            amount=amount.value,
            currency=self._currency_of(found, amount),
            id=self._digits(found, "id"),
            start=start if has_clock else None,
            day=None if start is None or has_clock else start.date(),
            destination=self._digits(found, "destination"),
            duration=self._seconds(found),
            country=found.get("country") or None,
            line=found.get("line") or None,
            calls=self._calls(found),
        )
        self.without_amount += not found.get(self._money)
        return line

    def _amount(self, found: Mapping[BillColumn, str]) -> Amount:
        amount = _read(self._money, lambda cell: amount_of(cell, self._mark), found.get(self._money, ""))
        if self._money == "amount":
            return amount
        return Amount(amount.value.scaleb(-2, MONEY), amount.currency, amount.shared)

    def _currency_of(self, found: Mapping[BillColumn, str], amount: Amount) -> str | None:
        named = self._columns.currency
        if cell := found.get("currency"):
            of_header, named = named, sign_of(cell)
            if named is not None and of_header not in {None, named}:
                raise _CellError("currency", f"the line says {named}, and the header of its amount {of_header}")
            if named is None:
                raise _CellError("currency", f"{shown(cell)} is not a currency's code of three letters")
        if named is not None:
            if not amount.fits(named):
                raise _CellError(
                    self._money, f"the amount is in {amount.currency}, and its line or header says {named}"
                )
            return named
        if self._currency is not None and amount.fits(self._currency):
            return self._currency
        return amount.currency

    def _start(self, found: Mapping[BillColumn, str]) -> tuple[datetime | None, bool]:
        cell, clock = found.get("start", ""), found.get("time", "")
        if not cell:
            return None, False
        start, has_clock = _read("start", self._moment, cell)
        if not clock:
            return start, has_clock
        if not is_clock(clock):
            raise _CellError("time", f"{shown(clock)} is not a valid time of the day")
        # Excel writes midnight behind a day that has a column of its own for the time.
        if has_clock and start.time() != datetime.min.time():
            raise _CellError("time", "the start has a time of its own")
        day = start.date().isoformat()
        return _read("time", lambda text: self._in_calendar(f"{day} {text}", "ymd"), clock)

    def _moment(self, cell: str) -> tuple[datetime, bool]:
        start, has_clock = self._in_calendar(cell, self._order)
        if start.year < _FIRST_YEAR:
            raise ValueError(f"{shown(cell)} is a time before there were invoices of calls")
        return start, has_clock

    def _in_calendar(self, cell: str, order: Order) -> tuple[datetime, bool]:
        start, has_clock = moment_of(cell, self._zone, order)
        if has_clock:
            try:
                start.astimezone(UTC)
            except OverflowError:  # databases write the last day of the year 9999 for no day
                raise ValueError(f"{shown(cell)} is a time beyond the calendar") from None
        return start, has_clock

    def _digits(self, found: Mapping[BillColumn, str], name: BillColumn) -> str | None:
        cell = found.get(name, "")
        if _ROUNDED.fullmatch(cell):
            raise _CellError(
                name, "a spreadsheet has rounded the number, and its digits are lost: leave the column out"
            )
        return cell or None

    def _seconds(self, found: Mapping[BillColumn, str]) -> Decimal | None:
        in_minutes = "minutes" in found
        name: BillColumn = "minutes" if in_minutes else "duration"
        return _read(name, lambda cell: seconds_of(cell, self._length_mark, in_minutes=in_minutes), found.get(name, ""))

    def _calls(self, found: Mapping[BillColumn, str]) -> int | None:
        cell = found.get("calls", "")
        if not cell:
            return None
        count = _read("calls", lambda text: amount_of(text, "." if "," in text else self._mark), cell).value
        if count != int(count):
            raise _CellError("calls", f"{shown(cell)} is not a number of calls")
        return int(count)


def _read(column: BillColumn, reader: Callable[[str], T], cell: str) -> T:
    try:
        return reader(cell)
    except (ValueError, OverflowError) as error:
        raise _CellError(column, str(error)) from None


def _text(cell: str) -> str:
    """Return the text of a cell without what keeps a spreadsheet from changing the text."""
    text = cell.strip()
    if text[:1] not in {"=", "'"}:
        return text
    if match := _FORMULA.fullmatch(text):
        return match[1].replace('""', '"')
    return text[1:] if text[0] == "'" and text[1:2] in _GUARDED else text
