"""Checks of arguments that only this package has. Each raises `ValueError` or `TypeError` with the argument's name and the reason.

Pure: no I/O. The checks of texts, numbers and times are those of the client, in `unlimcall_async._arguments`.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from unlimcall_async import CallRecord, _arguments
from unlimcall_async._arguments import text

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def country(value: object, name: str = "country") -> str | None:
    """Require a country's code of two ASCII capitals, or `None`."""
    if value is None:
        return None
    code = text(name, value)
    if not _COUNTRY.fullmatch(code):
        raise ValueError(f"{name} must be a country's code of two ASCII capitals, for example 'GB'")
    return code


def campaign(value: object, name: str = "campaign") -> str | None:
    """Require the name of a campaign, or `None`."""
    if value is None:
        return None
    label = text(name, value)
    if not label:
        raise ValueError(f"{name} must not be empty; None stands for no campaign")
    return label


def is_currency(code: str) -> bool:
    """Return whether a text is a currency's code of three ASCII capitals."""
    return _CURRENCY.fullmatch(code) is not None


def currency(name: str, value: object) -> str:
    """Require a currency's code of three ASCII capitals."""
    code = text(name, value)
    if not is_currency(code):
        raise ValueError(f"{name} must be a currency's code of three ASCII capitals, for example 'USD'")
    return code


def span(name: str, value: object, *, at_least: timedelta = timedelta(microseconds=1)) -> timedelta:
    """Require a timedelta of `at_least` or more."""
    length = _arguments.span(name, value)
    if length < at_least:
        raise ValueError(f"{name} must be {at_least} or more, not {length}")
    return length


def monotonic(value: object) -> float | None:
    """Require a finite number of seconds, or `None`."""
    if value is None:
        return None
    moment = _arguments.real("monotonic", value)
    if not abs(moment) <= sys.float_info.max:
        raise ValueError("monotonic must be finite")
    return float(moment)


def share(name: str, value: object) -> float:
    """Require a number above 0 and below 1."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    part = _arguments.real(name, value)
    if not 0 < part < 1:
        raise ValueError(f"{name} must lie between 0 and 1, for example 0.01 for 1 %")
    return float(part)


def money(name: str, value: object) -> Decimal:
    """Require an amount of money: a `Decimal` or an int. A float is refused, because it is not an exact amount."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(int.__int__(value))
    if not isinstance(value, Decimal):
        raise TypeError(f"{name} must be a Decimal or an int, not {type(value).__name__}")
    # The class itself copies a `Decimal`, digit for digit, and also one of a subclass.
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError(f"{name} must be a finite amount")
    return amount


def record(name: str, value: object) -> CallRecord:
    """Require a `CallRecord`."""
    if not isinstance(value, CallRecord):
        raise TypeError(f"{name} must be a CallRecord, not {type(value).__name__}")
    return value


def start(name: str, value: object) -> datetime:
    """Require a `CallRecord`, and return its start in UTC. A record that a user made may hold any time."""
    moment = record(name, value).start_time
    return moment if type(moment) is datetime and moment.tzinfo is UTC else _arguments.utc(f"{name}.start_time", moment)
