"""What calls cost, by their records. Pure: no I/O. Money is exact, and never added across currencies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from attrs import field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations import _arguments

_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_CENTS: Final = 100


@frozen
class Spend:
    """What the calls of a span have cost.

    Attributes:
        span: The span in which they started.
        totals: Money, by the currency of the records.
        priced: Records with a price.
        unpriced: Records without a price, or without its currency. They are in no total.
    """

    span: timedelta
    totals: Mapping[str, Decimal] = field(hash=False)
    priced: int
    unpriced: int

    def per_hour(self, currency: str) -> Decimal:
        """Give the rate in a currency: that of the records that are in it."""
        return self.totals.get(currency, Decimal(0)) * (_HOUR // _MICROSECOND) / (self.span // _MICROSECOND)


class SpendTally:
    """Adds up what calls have cost.

    Args:
        span: The span that its records are of.

    Raises:
        ValueError, TypeError: It is no span above zero.
    """

    def __init__(self, span: timedelta) -> None:
        self._span = _arguments.span("span", span)
        self._cents: dict[str, int] = {}
        self._priced = self._unpriced = 0

    def add(self, record: CallRecord) -> None:
        """Count a record (reference: `GET /cdrs`, `sellPriceCents` and `currency`)."""
        price, currency = _arguments.record("record", record).sell_price_cents, record.currency
        if price is None or currency is None:
            self._unpriced += 1
            return
        self._priced += 1
        self._cents[currency] = self._cents.get(currency, 0) + price

    @property
    def spend(self) -> Spend:
        """The sum of what was counted."""
        totals = {currency: Decimal(cents) / _CENTS for currency, cents in self._cents.items()}
        return Spend(self._span, totals, self._priced, self._unpriced)
