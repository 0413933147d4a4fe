"""The cost of calls: exact, and apart by currency."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.records import record
from unlimcall_async.operations import Spend, SpendTally

HOUR = timedelta(hours=1)


def test_a_tally_is_exact_and_keeps_currencies_apart() -> None:
    tally = SpendTally(timedelta(minutes=30))
    for cents, currency in ((34, "USD"), (1, "USD"), (250, "EUR"), (None, "USD"), (7, None), (0, "USD")):
        tally.add(record(sell_price_cents=cents, currency=currency))
    found = tally.spend
    assert found == Spend(timedelta(minutes=30), {"USD": Decimal("0.35"), "EUR": Decimal("2.5")}, priced=4, unpriced=2)
    assert (found.per_hour("USD"), found.per_hour("EUR"), found.per_hour("GBP")) == (
        Decimal("0.7"),
        Decimal(5),
        Decimal(0),
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["USD", "EUR"])), max_size=50), st.integers(0, 50))
def test_a_tally_does_not_depend_on_how_it_is_fed(prices: list[tuple[int, str]], turn: int) -> None:
    forth, back = SpendTally(HOUR), SpendTally(HOUR)
    for cents, currency in prices:
        forth.add(record(sell_price_cents=cents, currency=currency))
    for cents, currency in [*prices[turn:], *prices[:turn]]:
        back.add(record(sell_price_cents=cents, currency=currency))
    assert forth.spend == back.spend
    for currency, total in forth.spend.totals.items():
        assert total * 100 == sum(cents for cents, own in prices if own == currency)


def test_what_is_no_price_is_unpriced() -> None:
    tally = SpendTally(HOUR)
    for cents, currency in (
        (2**63, "USD"),
        (-(2**63) - 1, "USD"),
        (10**5000, "USD"),
        (1, "usd"),
        (1, "USDT"),
        (1, "x" * 9999),
    ):
        tally.add(record(sell_price_cents=cents, currency=currency))
    assert (tally.spend.totals, tally.spend.unpriced) == ({}, 6)
    for _ in range(3):
        tally.add(record(sell_price_cents=2**63 - 1, currency="USD"))
    assert tally.spend.totals == {"USD": Decimal("276701161105643274.21")}


def test_invented_currencies_take_no_memory() -> None:
    tally = SpendTally(HOUR)
    for index in range(1000):
        tally.add(record(sell_price_cents=1, currency=f"invented {index}"))
    tally.add(record(sell_price_cents=1, currency="USD"))
    assert (tally.spend.totals, tally.spend.priced) == ({"USD": Decimal("0.01")}, 1)


def test_a_spend_is_of_some_time() -> None:
    with pytest.raises(ValueError, match="span must be"):
        Spend(timedelta(0), {}, 0, 0)
