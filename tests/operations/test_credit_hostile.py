"""The credit monitor under clocks that are set, and under amounts that no honest server sends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations import hostile
from tests.operations.records import START
from unlimcall_async import Balance, CallRecord
from unlimcall_async.operations import CreditMonitor, Spend, SpendTally, available_credit

pytestmark = pytest.mark.own_rules

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
STALE_AFTER = 3 * MINUTE


def balance(amount: Decimal | int | str, **fields: Any) -> Balance:
    known = {"currency": "USD", "account_type": "prepaid", "credit_limit": None, "blocked": False, "stale": False}
    return Balance(balance=Decimal(amount), **{**known, **fields})


# --- clocks ---------------------------------------------------------------------------------------------------------

# What somebody does to the wall clock between two polls, beside the minute that passes.
steps = st.sampled_from([timedelta(0)] * 3 + [sign * far for sign in (1, -1) for far in (MINUTE, HOUR, 9000 * HOUR)])
polls = st.lists(st.tuples(steps, st.booleans()), max_size=30)


@given(polls, st.floats(0, 1e6).map(round))
def test_no_step_of_the_wall_clock_starts_or_delays_an_alert(drawn: list[tuple[timedelta, bool]], base: float) -> None:
    monitor, at, unseen = CreditMonitor(25, "USD", stale_after=STALE_AFTER), START, 0
    for minute, (step, fresh) in enumerate(drawn):
        at += MINUTE + step
        unseen = 0 if fresh or not minute else unseen + 1
        if fresh:
            monitor.note(balance(100), at=at, monotonic=base + 60 * minute)
        else:
            monitor.missed(at=at, monotonic=base + 60 * minute)
        assert ("stale" in monitor.active) == (unseen >= 3)


@given(polls)
def test_without_a_monotonic_time_a_step_back_costs_one_poll(drawn: list[tuple[timedelta, bool]]) -> None:
    monitor, at, unseen = CreditMonitor(25, "USD", stale_after=STALE_AFTER), START, 0
    for minute, (step, fresh) in enumerate(drawn):
        back = min(step, timedelta(0))
        at += MINUTE + back
        # A minute in which the clock went back by a minute or more is not seen.
        unseen = 0 if fresh or not minute else unseen + (back == timedelta(0))
        if fresh:
            monitor.note(balance(100), at=at)
        else:
            monitor.missed(at=at)
        assert ("stale" in monitor.active) == (unseen >= 3)


def test_polls_with_and_without_a_monotonic_time_go_together() -> None:
    monitor = CreditMonitor(25, "USD", stale_after=STALE_AFTER)
    monitor.note(balance(100), at=START, monotonic=7)
    monitor.missed(at=START + MINUTE)
    monitor.missed(at=START + 2 * MINUTE, monotonic=1000)
    assert [alert.kind for alert in monitor.missed(at=START - HOUR, monotonic=1060)] == ["stale"]


def test_a_monotonic_time_of_another_boot_counts_as_no_time() -> None:
    monitor = CreditMonitor(25, "USD", stale_after=STALE_AFTER)
    monitor.note(balance(100), at=START, monotonic=1e9)
    assert monitor.missed(at=START + HOUR, monotonic=5) == []
    assert [alert.kind for alert in monitor.missed(at=START + HOUR, monotonic=185)] == ["stale"]


def test_a_snapshot_that_the_api_calls_stale_is_measured_by_the_monotonic_time_too() -> None:
    monitor = CreditMonitor(25, "USD", stale_after=STALE_AFTER)
    monitor.note(balance(100), at=START, monotonic=0)
    (alert,) = monitor.note(balance(100, stale=True), at=START - 99 * HOUR, monotonic=180)
    assert (alert.kind, alert.at) == ("stale", START - 99 * HOUR)


@pytest.mark.parametrize(
    ("tick", "error"),
    [(float("nan"), ValueError), (float("-inf"), ValueError), (10**400, ValueError), ("7", TypeError)],
)
def test_a_wrong_monotonic_time_is_named_and_changes_nothing(tick: Any, error: type[Exception]) -> None:
    monitor = CreditMonitor(25, "USD")
    acts: list[Callable[[], object]] = [
        lambda: monitor.note(balance(3), at=START, monotonic=tick),
        lambda: monitor.missed(at=START, monotonic=tick),
    ]
    for act in acts:
        with pytest.raises(error, match="monotonic must be"):
            act()
    assert (monitor.balance, monitor.active) == (None, {})


# --- amounts --------------------------------------------------------------------------------------------------------

RICH = ["1E+999999", "9.99E+999999", "9E+999999999999999999", "1" + "0" * 400, f"25.{'0' * 40}1", "25." + "9" * 100_000]
POOR = ["-1E+999999", "-9E+999999999999999999", "-0", "0E+999999", "1E-999999", "-1E-999999", "24." + "9" * 45, "25"]


@pytest.mark.parametrize("amount", [*RICH, *POOR], ids=lambda amount: amount[:20])
@pytest.mark.parametrize("limit", [None, "0", "-0"])
def test_any_amount_is_above_or_below_the_threshold(amount: str, limit: str | None) -> None:
    monitor = CreditMonitor(25, "USD")
    snapshot = balance(amount, credit_limit=None if limit is None else Decimal(limit))
    spent = Spend(HOUR, {"USD": Decimal("0.01")}, 1, 0)
    alerts = [alert.kind for alert in monitor.note(snapshot, at=START, spend=spent) if alert.kind != "soon"]
    assert alerts == (["low"] if amount in POOR else [])
    assert [alert.state for alert in monitor.note(balance(100), at=START) if alert.kind == "low"] == ["ended"] * len(
        alerts
    )


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_no_amount_is_an_error_and_changes_nothing(amount: str) -> None:
    monitor = CreditMonitor(25, "USD")
    with pytest.raises(ValueError, match=r"balance\.balance must be a finite amount"):
        monitor.note(balance(amount), at=START)
    with pytest.raises(ValueError, match=r"balance\.credit_limit must be a finite amount"):
        monitor.note(balance(3, credit_limit=Decimal(amount)), at=START)
    assert (monitor.balance, monitor.active) == (None, {})


amounts = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from([*RICH, *POOR]).map(Decimal)
any_amounts = amounts | st.decimals()


@pytest.mark.slow
@given(st.lists(st.tuples(amounts, st.none() | amounts, st.none() | any_amounts), max_size=8), amounts)
def test_no_finite_amount_and_no_spend_raises(
    drawn: list[tuple[Decimal, Decimal | None, Decimal | None]], threshold: Decimal
) -> None:
    monitor = CreditMonitor(threshold, "USD")
    for amount, limit, cost in drawn:
        spent = None if cost is None else Spend(HOUR, {"USD": cost}, 1, 0)
        monitor.note(balance(amount, credit_limit=limit), at=START, spend=spent)
        left = monitor.time_left
        assert left is None or timedelta(0) <= left <= timedelta(days=36_500)
        assert ("low" in monitor.active) == (available_credit(balance(amount, credit_limit=limit)) <= threshold)
    # What is honest again is judged as ever, also in a program that has set its own precision.
    with localcontext() as context:
        context.prec = 2
        honest = CreditMonitor(Decimal("1000.01"), "USD")
        assert honest.note(balance("1000.02"), at=START) == []
        assert [alert.kind for alert in honest.note(balance("1000.01"), at=START)] == ["low"]


# --- spending -------------------------------------------------------------------------------------------------------


@given(st.lists(hostile.records, max_size=40))
def test_any_record_is_priced_or_unpriced(records: list[CallRecord]) -> None:
    tally = SpendTally(HOUR)
    for each in records:
        tally.add(each)
    before = tally.spend.totals.get("USD", Decimal(0))
    tally.add(CallRecord("1", START, 1, 1, sell_price_cents=34, currency="USD"))
    spend = tally.spend
    assert spend.priced + spend.unpriced == len(records) + 1
    assert spend.totals["USD"] - before == Decimal("0.34")
    assert spend.per_hour("USD") == spend.totals["USD"]
