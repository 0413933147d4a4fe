"""Which column of an invoice holds what: as the user says, or as plain headers tell. Pure: no I/O.

Headers share words: a `Destination` is a number or a country, and a `Start time` is a time of the day if a `Date` stands beside it.
So of several headers that are plain, the first whose cells have the form of the column is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

from attrs import frozen

from unlimcall_async import _arguments
from unlimcall_async.operations.bill.amounts import is_amount, sign_of
from unlimcall_async.operations.bill.times import is_clock, is_moment

BillColumn: TypeAlias = Literal[
    "id",
    "start",
    "time",
    "destination",
    "duration",
    "minutes",
    "amount",
    "cents",
    "currency",
    "country",
    "line",
    "calls",
]
COLUMNS: Final[tuple[BillColumn, ...]] = get_args(BillColumn)
# Other names that users give to columns.
_ALSO: Final[Mapping[str, BillColumn]] = {
    "date": "start",
    "day": "start",
    "seconds": "duration",
    "sip_username": "line",
    "agent": "line",
}

# Headers that are plain, the plainest first. Letters and digits count, and not their case.
_PLAIN: Final[Mapping[BillColumn, tuple[str, ...]]] = {
    "id": ("id", "callid", "uniqueid", "cdrid", "recordid", "calluuid"),
    "start": (
        *("starttime", "start", "callstart", "starttimestamp", "calldatetime", "datetime", "timestamp", "calldate"),
        *("starttimeutc", "datetimeutc", "datecreated", "startedat", "setuptime", "begintime", "startdate"),
        *("date", "day", "datum", "startzeit", "fecha", "calltime", "time", "zeit"),
    ),
    "time": ("time", "calltime", "timeofday", "uhrzeit", "zeit"),
    "destination": (
        *("dst", "destinationnumber", "dialednumber", "diallednumber", "callednumber", "called", "destination"),
        *("tonumber", "to", "zielrufnummer", "rufnummer", "number"),
    ),
    "duration": (
        "duration",
        "durationsec",
        "durationseconds",
        "durations",
        "billsec",
        "billedseconds",
        "seconds",
        "dauer",
    ),
    "minutes": ("minutes", "billedminutes", "durationmin", "durationminutes", "mins", "min", "minuten"),
    "amount": (
        *("amount", "charge", "charges", "cost", "price", "sellprice", "netamount", "net", "chargedamount", "fee"),
        *("totalcharge", "totalcost", "totalamount", "callcharge", "callcost", "debit"),
        *("betrag", "preis", "kosten", "netto", "montant", "importe", "total"),
    ),
    "cents": ("sellpricecents", "cents", "amountcents", "pricecents", "chargecents", "costcents"),
    "currency": (
        "currency",
        "currencycode",
        "priceunit",
        "ccy",
        "curr",
        "w\u00e4hrung",
        "waehrung",
        "devise",
        "moneda",
    ),
    "country": ("country", "destinationcountry", "countryname", "land", "pays"),
    "line": ("sipusername", "sipuser", "sipline", "line", "extension", "agent", "nebenstelle"),
    "calls": ("calls", "callcount", "numberofcalls", "noofcalls", "anrufe", "quantity"),
}
# Digits of the shortest number that a cell with letters may hold. `UK Mobile 3` is not a number.
_SHORTEST: Final = 5


def _is_number(cell: str) -> bool:
    digits = sum(map(str.isdigit, cell))
    return digits >= _SHORTEST or (digits > 0 and not any(map(str.isalpha, cell)))


# The form of the cells of a column.
_FORMS: Final[Mapping[BillColumn, Callable[[str], bool]]] = {
    "start": is_moment,
    "time": is_clock,
    "destination": _is_number,
    "country": lambda cell: not _is_number(cell),
    "amount": is_amount,
    "cents": is_amount,
}
# Headers of one column that may be those of another, if the cells have its form.
_SHARED: Final[Mapping[BillColumn, tuple[str, ...]]] = {"time": _PLAIN["start"], "country": _PLAIN["destination"]}
# What a row of the table is known by.
KEYS: Final[frozenset[BillColumn]] = frozenset({"id", "start", "country", "line"})
# A currency in a header, such as `Amount (USD)` or `Cost in €`.
_IN_HEADER: Final = re.compile(
    r"^(?P<name>.*?)(?:\s+in\s+|\s*[\s(\[,/_-]\s*)(?P<unit>[A-Z]{3}|[A-Z]{0,2}[^\w\s()\[\]])\s*[)\]]?$"
)
# Characters. No header that names a currency is longer.
_LONGEST_HEADER: Final = 100
# A name, an equals sign, and all up to the next name.
_MAPPING: Final = re.compile(r"\s*(?P<name>[a-z_]+)\s*=(?P<header>.*?)(?=,\s*[a-z_]+\s*=|$)", re.DOTALL)


@frozen
class Columns:
    """Where the columns of an invoice are.

    Attributes:
        places: The place of each column in a row.
        headers: The header of each column, as the file writes the header.
        currency: The currency that the amount's header names, or `None`.
        guessed: The columns that nobody has named.
    """

    places: Mapping[BillColumn, int]
    headers: Mapping[BillColumn, str]
    currency: str | None
    guessed: frozenset[BillColumn]


def columns_named(text: str) -> dict[str, str]:
    """Read names of columns: `id=Call ID,start=Date,amount=Charge`.

    A header may hold a comma. A name without a header means that the invoice has no such column.

    Raises:
        ValueError: The text is not a list of names, or a name is unknown or comes twice.
    """
    named: dict[str, str] = {}
    reached = 0
    text = _arguments.text("text", text)
    for match in _MAPPING.finditer(text):
        if match.start() != reached:
            break
        reached = match.end() + 1
        name = _column(match["name"])
        if name in named:
            raise ValueError(f"the column {name} is named twice")
        named[name] = match["header"].strip()
    if not named or reached <= len(text.rstrip()):
        raise ValueError('columns are named like "id=Call ID,start=Date,amount=Charge"')
    return named


def _column(name: str) -> BillColumn:
    for known in COLUMNS:
        if name == known:
            return known
    if name in _ALSO:
        return _ALSO[name]
    raise ValueError(f"{name!r} is not a column of an invoice; the columns are {', '.join(COLUMNS)}")


def checked(columns: Mapping[str, str]) -> dict[BillColumn, str]:
    """Return the columns that a user has named.

    Raises:
        ValueError: A name is unknown.
        TypeError: `columns` is not a mapping.
    """
    if not isinstance(columns, Mapping):
        raise TypeError(
            f"columns must map names of columns to headers, not {type(columns).__name__}; see columns_named"
        )
    return {_column(name): header for name, header in columns.items()}


def _bare(header: str) -> str:
    return re.sub(r"[\W_]+", "", header.casefold())


def place_of_header(header: str, row: Sequence[str]) -> int | None:
    """Return the place of a header in a row; `None` if the row does not have the header.

    Raises:
        ValueError: Several headers are meant.
    """
    for fold in (str.strip, lambda text: " ".join(text.casefold().split())):
        places = [place for place, cell in enumerate(row) if fold(cell) == fold(header)]
        if len(places) > 1:
            raise ValueError(f"the header {header!r} is that of {len(places)} columns")
        if places:
            return places[0]
    return None


def columns_of(row: Sequence[str], named: Mapping[BillColumn, str], below: Sequence[Sequence[str]]) -> Columns | None:
    """Return the columns by a row of headers; `None` if the row does not have all that an invoice needs.

    Args:
        row: The cells of the row.
        named: The header of each column that the user has named. Plain headers tell the other columns.
        below: The first rows below it, of which the cells show the form.

    Raises:
        ValueError: A header that was named, or that of the amount, is that of several columns.
    """
    places: dict[BillColumn, int] = {}
    for name, header in named.items():
        if header:
            place = place_of_header(header, row)
            if place is None:
                return None
            places[name] = place
    guessed = _guessed(row, named, below, taken={*places.values()})
    places |= guessed
    if "amount" not in places and "cents" not in places:
        return None
    if not KEYS & places.keys():
        return None
    name = "amount" if "amount" in places else "cents"
    amount = places[name]
    # Of two amounts with one header, for example without and with a tax, nobody knows which is meant.
    alike = [cell.strip() for cell in row if _bare(_unit(cell)[0]) == _bare(_unit(row[amount])[0])]
    if name in guessed and len(alike) > 1:
        if len({*alike}) > 1:
            raise ValueError(
                f'{" and ".join(map(repr, alike))} are amounts: name one, like columns="amount={alike[0]}"'
            )
        raise ValueError(f"the header {alike[0]!r} is that of several columns")
    return Columns(
        places, {name: row[place].strip() for name, place in places.items()}, _unit(row[amount])[1], frozenset(guessed)
    )


def _guessed(
    row: Sequence[str], named: Mapping[BillColumn, str], below: Sequence[Sequence[str]], taken: set[int]
) -> dict[BillColumn, int]:
    """Return the columns that plain headers tell, beside those that were named."""
    bare = [_bare(_unit(cell)[0]) for cell in row]
    found: dict[BillColumn, int] = {}
    money = {"amount", "cents"} if {"amount", "cents"} & named.keys() else set()
    for name in ("cents", *COLUMNS):
        # Cents tell more than an amount does, and seconds more than minutes.
        other = {"amount": "cents", "minutes": "duration"}.get(name)
        if (
            name in named
            or name in money
            or name in found
            or other in found
            or (other == "duration" and other in named)
        ):
            continue
        own, shared = (
            [bare.index(header) for header in headers if header in bare and bare.index(header) not in taken]
            for headers in (_PLAIN[name], _SHARED.get(name, ()))
        )
        fitting = [place for place in (*own, *shared) if _fits(name, place, below)]
        # If no cells fit, they are named as unreadable. But a destination may have no number.
        chosen = fitting or (own if name != "destination" else [])
        if chosen:
            found[name] = chosen[0]
            taken.add(chosen[0])
    # A time of the day alone is not a start.
    if "start" not in found and "start" not in named:
        found.pop("time", None)
    return found


def _fits(name: BillColumn, place: int, below: Sequence[Sequence[str]]) -> bool:
    """Return whether most cells have the form of a column."""
    form = _FORMS.get(name)
    cells = [cell.strip() for row in below if place < len(row) for cell in (row[place],) if cell.strip()]
    return form is None or 2 * sum(map(form, cells)) >= len(cells)


def _unit(header: str) -> tuple[str, str | None]:
    """Return a header without the currency that it names, and this currency."""
    # Rows that are not headers may have long cells, and the time of the pattern grows with their blanks.
    match = _IN_HEADER.match(" ".join(header[:_LONGEST_HEADER].split()))
    currency = None if match is None else sign_of(match["unit"])
    # `Call ID` and `Total SUM` end in capitals too: a currency stands in brackets, or behind a name of an amount.
    if match is None or currency is None or _bare(match["name"]) not in {*_PLAIN["amount"], *_PLAIN["cents"]}:
        return header, None
    return match["name"], currency
