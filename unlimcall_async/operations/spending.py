"""The cost of calls, by their records. Pure: no I/O. Money is exact, and amounts of two currencies are never added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from attrs import field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations import _checks

_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_CENTS: Final = 100


@frozen
class Spend:
    """The cost of the calls of a span of time.

    Attributes:
        span: The span in which the calls started.
        totals: The sum of the prices by currency, in units of the currency, for example dollars.
        priced: The number of records with a price.
        unpriced: The number of records without a price, or without a currency. They are in no total.
    """

    span: timedelta
    totals: Mapping[str, Decimal] = field(hash=False)
    priced: int
    unpriced: int

    def per_hour(self, currency: str) -> Decimal:
        """Return the cost per hour of the records in a currency; 0 if no record is in the currency."""
        # Whole microseconds, because a `Decimal` cannot be multiplied by the float that two timedeltas give.
        return self.totals.get(currency, Decimal(0)) * (_HOUR // _MICROSECOND) / (self.span // _MICROSECOND)


class SpendTally:
    """Adds up the cost of calls, record by record.

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
        if price is None or currency is None:
            self._unpriced += 1
            return
        self._priced += 1
        self._cents[currency] = self._cents.get(currency, 0) + price

    @property
    def spend(self) -> Spend:
        """The cost of the records that were counted."""
        totals = {currency: Decimal(cents) / _CENTS for currency, cents in self._cents.items()}
        return Spend(self._span, totals, self._priced, self._unpriced)
