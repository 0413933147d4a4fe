"""Amounts as invoices write them: `$1,234.50`, `1.234,50 €`, `(12.00)`, `3.2-`, `3.4E-05`. Pure: no I/O, and never a float.

A comma or a point alone does not say whether it divides thousands or ends the whole units: `1,234` is either. So the mark of the
fraction is decided for a whole column, by the cells that are plain. A column without a plain cell is refused, because a wrong guess
would be wrong by a factor of a thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from attrs import frozen

Mark: TypeAlias = Literal[".", ","]

# A dollar is that of the United States if nothing else names the currency.
_SIGNS: Final = {
    "US$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "AU$": "AUD",
    "A$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "R$": "BRL",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₴": "UAH",
    "₪": "ILS",
    "₩": "KRW",
    "₱": "PHP",
    "₫": "VND",
    "₦": "NGN",
    "฿": "THB",
    "zł": "PLN",
    "Kč": "CZK",
}
# Signs that several currencies share. An explicit currency of these is not contradicted by them.
_SHARED: Final = {
    "$": frozenset({"AUD", "CAD", "HKD", "MXN", "NZD", "SGD", "USD", "ARS", "CLP", "COP", "TWD"}),
    "£": frozenset({"GBP", "EGP", "GIP", "FKP"}),
    "¥": frozenset({"JPY", "CNY"}),
}
_SIGN: Final = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_UNIT: Final = rf"(?:{_SIGN}|[A-Z]{{3}})"
_CELL: Final = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+])?(?P<before>{_UNIT})?(?P<inner>[-+])?"
    rf"(?P<digits>[0-9][0-9.,']*|[.,][0-9]+)(?P<power>[eE][-+]?[0-9]{{1,2}})?"
    rf"(?P<after>{_UNIT})?(?P<behind>-|CR|DR|cr|dr)?(?P<close>\))?"
)
# Blanks of all widths, among them those that divide thousands in French.
_BLANK: Final = re.compile(r"[\s\u00a0\u2000-\u200b\u202f]+")
# Groups of three digits; India divides by two above the first thousand.
_GROUPS: Final = {
    ".": re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}"),
    ",": re.compile(r"[0-9]{1,3}(?:\.[0-9]{2,3})*\.[0-9]{3}"),
}
# A dash in place of the cents: `5,-` is 5, and not below zero. `-,50` may be half a unit or below zero, and is refused.
_NO_CENTS: Final = re.compile("(?<=[0-9])([.,])(?:--?|\u2014)(?![0-9])")
_NO_UNITS: Final = re.compile("^[^0-9.,]*-,")
# As accounts write nothing.
_NOTHING: Final = frozenset({"", "-", "--"})
# Digits. No amount has more, and Python's time for arithmetic grows with them.
_LONGEST: Final = 40
# The digits of the shortest phone numbers that are somebody's, and the characters of a cell that a message shows.
_PHONE_NUMBER: Final = 7
_QUOTED: Final = 40
_DIGITS: Final = re.compile(rf"\+?[0-9](?:[\s()./-]*[0-9]){{{_PHONE_NUMBER - 1},}}")


def shown(cell: str) -> str:
    """Return a cell as a message quotes it. A cell with as many digits as a phone number is not quoted: the column may be wrong."""
    text = cell.strip()
    return "the cell" if sum(map(str.isdigit, text)) >= _PHONE_NUMBER else repr(text[:_QUOTED])


def without_numbers(text: str) -> str:
    """Return a text in which three dots stand for phone numbers, and for dates with as many digits."""
    return _DIGITS.sub("...", text)


def sign_of(text: str) -> str | None:
    """Return the currency's code for a code of three letters or a sign; `None` for another text."""
    bare = text.strip()
    return _SIGNS.get(bare) or (bare.upper() if re.fullmatch("[A-Za-z]{3}", bare) else None)


@frozen
class Amount:
    """An amount of money in a cell.

    Attributes:
        value: The amount, in units of the currency, digit for digit.
        currency: The currency's code that the cell names, or `None`.
        shared: The currencies that the cell's sign may also mean.
    """

    value: Decimal
    currency: str | None = None
    shared: frozenset[str] = frozenset()

    def fits(self, currency: str) -> bool:
        """Return whether the cell does not name another currency."""
        return self.currency in {None, currency} or currency in self.shared


@frozen
class _Parts:
    digits: str
    power: str
    negative: bool
    unit: str | None


# The prices of calls are few, and each cell is read twice: for the mark of its column, and for its amount.
@lru_cache(maxsize=10_000)
def _parts(cell: str) -> _Parts:
    bare = _BLANK.sub("", cell).replace("\u2212", "-").replace("\u2013", "-").replace("\u2019", "'")
    bare = _NO_CENTS.sub(r"\g<1>00", bare)
    match = None if _NO_UNITS.match(bare) else _CELL.fullmatch(bare)
    if match is None or bool(match["open"]) != bool(match["close"]) or len(match["digits"]) > _LONGEST:
        raise ValueError(f"{shown(cell)} is not a valid amount")
    signs = [sign for sign in (match["sign"], match["inner"], match["behind"], match["open"]) if sign]
    units = {unit for unit in (match["before"], match["after"]) if unit}
    if len(signs) > 1 or len({_SIGNS.get(unit, unit) for unit in units}) > 1:
        raise ValueError(f"{shown(cell)} is not a valid amount")
    negative = signs != [] and signs[0].upper() in {"-", "(", "CR"}
    return _Parts(match["digits"], match["power"] or "", negative, max(units, key=len, default=None))


def is_amount(cell: str) -> bool:
    """Return whether a cell has the form of an amount, whichever mark its fraction has."""
    try:
        return _evidence(_parts(cell).digits) is not None
    except ValueError:
        return False


@lru_cache(maxsize=10_000)
def _evidence(digits: str) -> frozenset[Mark] | None:
    """Return the marks of the fraction that digits allow; `None` if they allow none."""
    bare = digits.replace("'", "")
    marks: list[Mark] = []
    for mark in (".", ","):
        whole, _, fraction = bare.partition(mark)
        if set(fraction) <= set("0123456789") and (whole.isdigit() or not whole or _GROUPS[mark].fullmatch(whole)):
            marks.append(mark)
    # No group of thousands begins with a zero: `0,034` has a fraction.
    if len(marks) > 1 and bare.startswith("0") and (bare[1:2] in {".", ","}):
        return frozenset(marks) & {bare[1]}
    return frozenset(marks) or None


def mark_of(cells: Iterable[tuple[int, str]], default: Mark = ".") -> Mark:
    """Return the mark of the fraction in a column.

    Args:
        cells: The cells, each with the number of its line. Those that are not amounts say nothing.
        default: The mark of a column in which no cell has any.

    Raises:
        ValueError: Two cells have different marks, or no cell is plain.
    """
    plain: dict[Mark, tuple[int, str]] = {}
    doubtful: tuple[int, str] | None = None
    for number, cell in cells:
        try:
            digits = _parts(cell).digits
        except ValueError:
            continue
        allowed = _evidence(digits)
        if allowed is not None and len(allowed) == 1:
            (mark,) = allowed
            plain.setdefault(mark, (number, cell))
        elif doubtful is None and allowed is not None and not digits.replace("'", "").isdigit():
            doubtful = number, cell
    if len(plain) > 1:
        (first, one), (second, other) = plain["."], plain[","]
        raise ValueError(
            f"line {first} has the amount {one.strip()!r} and line {second} the amount {other.strip()!r}: "
            "pass decimal='.' or decimal=','"
        )
    if not plain and doubtful is not None:
        raise ValueError(
            f"line {doubtful[0]}: the amount {doubtful[1].strip()!r} has a fraction or thousands, and no other amount of the "
            "column shows which: pass decimal='.' or decimal=','"
        )
    if plain:
        return "," if "," in plain else "."
    return default


def amount_of(cell: str, mark: Mark) -> Amount:
    """Read a cell. An empty cell, or a dash alone, is 0.

    Raises:
        ValueError: The cell is not an amount with this mark.
    """
    if _BLANK.sub("", cell).replace("\u2212", "-").replace("\u2013", "-").replace("\u2014", "-") in _NOTHING:
        return Amount(Decimal(0))
    parts = _parts(cell)
    if mark not in (_evidence(parts.digits) or ()):
        raise ValueError(f"{shown(cell)} is not a valid amount with the decimal mark {mark!r}")
    other = "," if mark == "." else "."
    value = Decimal(parts.digits.replace("'", "").replace(other, "").replace(mark, ".") + parts.power)
    if parts.negative and value:
        value = value.copy_negate()
    if parts.unit is None:
        return Amount(value)
    return Amount(value, _SIGNS.get(parts.unit, parts.unit), _SHARED.get(parts.unit, frozenset()))
