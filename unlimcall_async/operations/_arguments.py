"""Checks of what callers pass in. Every one raises `ValueError` or `TypeError` with the name of the argument and the reason.

Pure: no I/O. These are the checks of this package alone: it stands on the public API, as any other program does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from unlimcall_async import CallRecord

# As the client requires it (reference: `POST /calls`), in ASCII.
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def text(name: str, value: object) -> str:
    """Require a `str`."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return value


def number(name: str, value: object) -> str:
    """Require a phone number in E.164 form."""
    digits = text(name, value)
    if not _E164.fullmatch(digits):
        raise ValueError(f"{name} must be in E.164 form: + and 2 to 15 ASCII digits, the first not 0, as +14155551234")
    return digits


def country(name: str, value: object) -> str | None:
    """Require the code of a country in two ASCII capitals, or `None`."""
    if value is not None and not _COUNTRY.fullmatch(text(name, value)):
        raise ValueError(f"{name} must be a country's code of two ASCII capitals, as 'GB'")
    return None if value is None else text(name, value)


def campaign(name: str, value: object) -> str | None:
    """Require the name of a campaign, or `None`."""
    if value is not None and not text(name, value):
        raise ValueError(f"{name} must not be empty; None stands for no campaign")
    return None if value is None else text(name, value)


def currency(name: str, value: object) -> str:
    """Require the code of a currency in three ASCII capitals."""
    code = text(name, value)
    if not _CURRENCY.fullmatch(code):
        raise ValueError(f"{name} must be a currency's code of three ASCII capitals, as 'USD'")
    return code


def moment(name: str, value: object) -> datetime:
    """Require an aware datetime, and give the same instant in UTC, where times compare by the instant."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be timezone-aware: {value.isoformat()} could be any of many instants")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} is out of range in UTC: {value.isoformat()}") from None


def span(name: str, value: object, *, at_least: timedelta = timedelta(microseconds=1)) -> timedelta:
    """Require a timedelta of `at_least` or more."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(value).__name__}")
    if value < at_least:
        raise ValueError(f"{name} must be {at_least} or more, not {value}")
    return value


def whole(name: str, value: object) -> int:
    """Require a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, not {value}")
    return value


def share(name: str, value: object) -> float:
    """Require a number between 0 and 1, both left out."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, as 0.01 for 1 %")
    return float(value)


def money(name: str, value: object) -> Decimal:
    """Require an amount of money: a `Decimal` or an int. Not a float, which is no exact amount."""
    if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a Decimal or an int, not {type(value).__name__}")
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError(f"{name} must be a finite amount")
    return amount


def record(name: str, value: object) -> CallRecord:
    """Require a `CallRecord`."""
    if not isinstance(value, CallRecord):
        raise TypeError(f"{name} must be a CallRecord, not {type(value).__name__}")
    return value
