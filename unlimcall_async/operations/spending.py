"""The cost of calls, by their records. Pure: no I/O. Money is exact, and amounts of two currencies are never added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Final

from attrs import field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations import _checks

_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
# The arithmetic of money: exact up to 50 digits, which no account has, and without exceptions, whatever amount a server writes.
# In the context of the program 1E+999999 may overflow, and a sum is rounded to 28 digits.
MONEY: Final = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of amounts, exactly."""
    total = Decimal(0)
    for amount in amounts:
        total = MONEY.add(total, amount)
    return total


# The API writes prices as 64-bit integers. Python needs ever more time for the sum of longer ones.
_HIGHEST: Final = 2**63


def _span(value: timedelta) -> timedelta:
    return _checks.span("span", value)


@frozen
class Spend:
    """The cost of the calls of a span of time.

    Attributes:
        span: The span in which the calls started.
        totals: The sum of the prices by currency, in units of the currency, for example dollars.
        priced: The number of records with a price.
        unpriced: The number of records that are in no total, because they have no price, or no currency's code of three capitals.

    Raises:
        ValueError: `span` is not above zero.
        TypeError: `span` is not a timedelta.
    """

    span: timedelta = field(converter=_span)
    totals: Mapping[str, Decimal] = field(hash=False)
    priced: int
    unpriced: int

    def per_hour(self, currency: str) -> Decimal:
        """Return the cost per hour of the records in a currency; 0 if no record is in the currency."""
        # Whole microseconds, because a `Decimal` cannot be multiplied by the float that two timedeltas give.
        total = MONEY.multiply(self.totals.get(currency, Decimal(0)), _HOUR // _MICROSECOND)
        return MONEY.divide(total, self.span // _MICROSECOND)


class SpendTally:
    """Adds up the cost of calls, record by record.

    Every price in a currency with a code of three ASCII capitals is counted exactly.

    Args:
        span: The span of time that the records are of.

    Raises:
        ValueError: `span` is not above zero.
        TypeError: `span` is not a timedelta.
    """

    def __init__(self, span: timedelta) -> None:
        self._span = _checks.span("span", span)
        self._cents: dict[str, int] = {}
        self._priced = self._unpriced = 0

    def add(self, record: CallRecord) -> None:
        """Count a record (reference: `GET /cdrs`, `sellPriceCents` and `currency`).

        Raises:
            TypeError: `record` is not a `CallRecord`.
        """
        price, currency = _checks.record("record", record).sell_price_cents, record.currency
        # A text that is not a currency's code is left out also because a server that makes up texts would fill the memory.
        if price is None or not -_HIGHEST <= price < _HIGHEST or currency is None or not _checks.is_currency(currency):
            self._unpriced += 1
            return
        self._priced += 1
        self._cents[currency] = self._cents.get(currency, 0) + price

    @property
    def spend(self) -> Spend:
        """The cost of the records that were counted."""
        totals = {currency: MONEY.divide(cents, 100) for currency, cents in self._cents.items()}
        return Spend(self._span, totals, self._priced, self._unpriced)
