"""When the credit runs low."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.records import START, after
from unlimcall_async import Balance
from unlimcall_async.operations import CreditAlert, CreditMonitor, Spend, SpendTally, available_credit

pytestmark = pytest.mark.own_rules

HOUR = timedelta(hours=1)
NO_RECORD: Any = 3


def balance(amount: str | Decimal, **fields: Any) -> Balance:
    known = {"currency": "USD", "account_type": "prepaid", "credit_limit": None, "blocked": False, "stale": False}
    return Balance(balance=Decimal(amount), **{**known, **fields})


def spend(per_hour: str | Decimal, currency: str = "USD") -> Spend:
    return Spend(HOUR, {currency: Decimal(per_hour)}, 1, 0)


class Watched:
    """A monitor, and a clock that goes on by a minute for each snapshot."""

    def __init__(self, threshold: Decimal | int = 25, **options: Any) -> None:
        self.monitor = CreditMonitor(threshold, "USD", **options)
        self.minutes = 0

    def see(self, snapshot: Balance | None, spent: Spend | None = None) -> list[str]:
        at = START + timedelta(minutes=self.minutes)
        self.minutes += 1
        found = self.monitor.missed(at=at) if snapshot is None else self.monitor.note(snapshot, at=at, spend=spent)
        assert all(alert.at == at for alert in found)
        return [f"{alert.kind} {alert.state}" for alert in found]


def test_one_alert_for_each_crossing_of_the_threshold() -> None:
    watched = Watched()
    seen = [watched.see(balance(amount)) for amount in ("30", "25.01", "25", "24", "-3", "25.01", "40", "10", "40")]
    assert seen == [[], [], ["low started"], [], [], ["low ended"], [], ["low started"], ["low ended"]]


def test_the_first_snapshot_counts_too() -> None:
    watched = Watched()
    assert watched.see(balance("3")) == ["low started"]
    assert watched.monitor.active == {"low": START}
    assert repr(watched.monitor) == "<CreditMonitor at 25 USD: low>"


def test_an_alert_says_what_it_is_of() -> None:
    monitor = CreditMonitor(Decimal(25), "USD", ahead=3 * HOUR)
    snapshot, spent = balance("35"), spend("5")
    (alert,) = monitor.note(snapshot, at=after(1), spend=spent)
    assert alert == CreditAlert("soon", "started", after(1), snapshot, 2 * HOUR, spent)
    for again in (copy.copy(alert), pickle.loads(pickle.dumps(alert))):  # noqa: S301 # its own
        assert again == alert


def test_the_time_left_is_alerted_of_once() -> None:
    watched = Watched(ahead=4 * HOUR)
    assert watched.see(balance("100"), spend("10")) == []
    assert watched.monitor.time_left == 7.5 * HOUR
    assert watched.see(balance("66")) == []
    assert watched.see(balance("65")) == ["soon started"]
    # The rate goes up and down, and nothing was paid in.
    assert [watched.see(balance("64"), spend(rate)) for rate in ("1", "10", "0", "50")] == [[], [], [], []]
    assert watched.see(balance("20")) == ["low started"]
    assert watched.monitor.time_left == timedelta(0)
    assert watched.see(balance("500"), spend("10")) == ["low ended", "soon ended"]
    assert watched.see(balance("50")) == ["soon started"]


def test_a_payment_before_the_alert_does_not_end_it() -> None:
    watched = Watched(ahead=4 * HOUR)
    assert [watched.see(balance(amount), spend("10")) for amount in ("100", "200")] == [[], []]
    assert watched.see(balance("60")) == ["soon started"]
    assert watched.see(balance("59"), spend("1")) == []


def test_a_payment_that_is_not_enough_ends_nothing() -> None:
    watched = Watched(ahead=4 * HOUR)
    assert watched.see(balance("30"), spend("10")) == ["soon started"]
    assert watched.see(balance("60")) == []
    assert watched.see(balance("55")) == []
    assert watched.see(balance("99")) == ["soon ended"]


def test_below_the_threshold_the_time_left_is_no_second_alert() -> None:
    watched = Watched(ahead=4 * HOUR)
    assert watched.see(balance("10"), spend("10")) == ["low started"]
    assert watched.see(balance("30")) == ["low ended", "soon started"]


def test_without_ahead_and_without_a_rate_there_is_no_time_to_alert_of() -> None:
    assert Watched(ahead=None).see(balance("25.01"), spend("1000")) == []
    for unknown in (None, spend("0"), spend("-4"), spend("1000", "EUR")):
        watched = Watched()
        assert watched.see(balance("25.01"), unknown) == []
        assert watched.monitor.time_left is None
    assert CreditMonitor(25, "USD").time_left is None


def test_a_rate_near_nothing_leaves_a_century() -> None:
    watched = Watched()
    assert watched.see(balance("1e12"), spend("1e-12")) == []
    assert watched.monitor.time_left == timedelta(days=36_500)


def test_nothing_is_decided_on_a_stale_snapshot() -> None:
    watched = Watched()
    assert watched.see(balance("100")) == []
    assert watched.see(balance("3", stale=True, blocked=True)) == []
    assert watched.monitor.balance == balance("100")
    assert watched.see(balance("3")) == ["low started"]
    assert watched.see(balance("100", stale=True)) == []
    assert list(watched.monitor.active) == ["low"]


def test_a_snapshot_that_stays_stale_is_an_alert_of_its_own() -> None:
    watched = Watched(stale_after=timedelta(minutes=3))
    assert watched.see(balance("100")) == []
    assert [watched.see(balance("100", stale=True)) for _ in range(2)] == [[], []]
    assert watched.see(None) == ["stale started"]
    assert [watched.see(None), watched.see(balance("3", stale=True))] == [[], []]
    assert watched.see(balance("100")) == ["stale ended"]


def test_a_clock_that_is_set_back_makes_nothing_fresh() -> None:
    monitor = CreditMonitor(25, "USD")
    monitor.note(balance("100"), at=after(0))
    assert [alert.state for alert in monitor.missed(at=after(3600))] == ["started"]
    assert monitor.missed(at=after(60)) == []
    assert list(monitor.active) == ["stale"]


def test_it_may_never_have_been_fresh() -> None:
    watched = Watched(stale_after=timedelta(minutes=2))
    assert [watched.see(None) for _ in range(4)] == [[], [], ["stale started"], []]
    assert watched.monitor.balance is None
    assert watched.see(balance("3")) == ["stale ended", "low started"]


def test_blocked_is_an_alert_of_its_own_once() -> None:
    watched = Watched()
    assert watched.see(balance("100", blocked=True)) == ["blocked started"]
    assert watched.see(balance("10", blocked=True)) == ["low started"]
    assert watched.see(balance("100")) == ["blocked ended", "low ended"]


def test_a_credit_limit_can_be_spent_too() -> None:
    owed = balance("-480.5", account_type="postpaid", credit_limit=Decimal(500))
    assert available_credit(owed) == Decimal("19.5")
    assert available_credit(balance("7.10")) == Decimal("7.10")
    assert Watched().see(owed) == ["low started"]
    assert Watched(19).see(owed) == []


def test_a_balance_in_another_currency_is_an_error() -> None:
    monitor = CreditMonitor(25, "USD")
    with pytest.raises(ValueError, match="currency must be that of the balance, 'EUR', not 'USD'"):
        monitor.note(balance("100", currency="EUR"), at=START)
    assert monitor.balance is None


def test_a_currency_that_is_not_a_code_is_an_error_that_does_not_hold_the_text() -> None:
    with pytest.raises(ValueError, match="currency must be that of the balance, not 'USD'"):
        CreditMonitor(25, "USD").note(balance("100", currency="+14155551234"), at=START)


snapshots = st.lists(
    st.none() | st.tuples(st.integers(0, 60), st.booleans(), st.booleans(), st.none() | st.integers(0, 30)), max_size=40
)


@given(snapshots)
def test_nothing_starts_or_ends_twice_and_each_crossing_is_told(
    drawn: list[tuple[int, bool, bool, int | None] | None],
) -> None:
    watched, active = Watched(ahead=2 * HOUR, stale_after=timedelta(minutes=3)), set[str]()
    fresh_at: int | None = None
    for minute, each in enumerate(drawn):
        snapshot = None if each is None else balance(Decimal(each[0]), blocked=each[1], stale=each[2])
        spent = None if each is None or each[3] is None else spend(Decimal(each[3]))
        before = watched.monitor.balance
        for alert in watched.see(snapshot, spent):
            kind, state = alert.split()
            assert (kind in active) == (state == "ended"), "started twice, or ended without a start"
            active ^= {kind}
        is_fresh = snapshot is not None and not snapshot.stale
        fresh_at = minute if is_fresh or fresh_at is None else fresh_at
        assert ("stale" in active) == (minute - fresh_at >= 3)
        if snapshot is None or snapshot.stale:
            assert watched.monitor.balance is before
        else:
            assert ("low" in active) == (snapshot.balance <= 25)
            assert ("blocked" in active) == snapshot.blocked
        assert watched.monitor.active.keys() == active
        left = watched.monitor.time_left
        if is_fresh and "low" not in active and left is not None and left <= 2 * HOUR:
            assert "soon" in active


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"threshold": 0.5}, TypeError, "threshold must be a Decimal or an int, not float"),
        ({"threshold": True}, TypeError, "threshold must be a Decimal or an int, not bool"),
        ({"threshold": Decimal("NaN")}, ValueError, "threshold must be a finite amount"),
        ({"currency": "usd"}, ValueError, "currency must be a currency's code"),
        ({"currency": None}, TypeError, "currency must be a str"),
        ({"ahead": timedelta(0)}, ValueError, "ahead must be"),
        ({"ahead": 3}, TypeError, "ahead must be a timedelta"),
        ({"stale_after": -HOUR}, ValueError, "stale_after must be"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        CreditMonitor(**{"threshold": 25, "currency": "USD", **options})


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda monitor: monitor.note(3, at=START), TypeError, "balance must be a Balance"),
        (lambda monitor: monitor.note(balance("3"), at=START, spend=3), TypeError, "spend must be a Spend"),
        (lambda monitor: monitor.note(balance("3"), at=datetime(2026, 1, 1)), ValueError, "at must be timezone-aware"),  # noqa: DTZ001
        (lambda monitor: monitor.missed(at="now"), TypeError, "at must be a datetime"),
        (lambda _: SpendTally(timedelta(0)), ValueError, "span must be"),
        (lambda _: SpendTally(HOUR).add(NO_RECORD), TypeError, "record must be a CallRecord"),
    ],
)
def test_a_wrong_value_changes_nothing(act: Any, error: type[Exception], says: str) -> None:
    monitor = CreditMonitor(25, "USD")
    with pytest.raises(error, match=says):
        act(monitor)
    assert (monitor.balance, monitor.spend, monitor.active) == (None, None, {})
