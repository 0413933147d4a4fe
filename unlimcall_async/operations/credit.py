"""Credit alerts, decided from snapshots of the account's balance (reference: `GET /balance`).

Pure: no I/O, and time is an argument. A snapshot that the API marks as stale says nothing about the present, so no alert but
`stale` is decided on it. The same holds for a poll that failed. If fresh snapshots stay away for long, that is an alert of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import Balance, _arguments
from unlimcall_async.operations import _checks
from unlimcall_async.operations.carrier import AlertState
from unlimcall_async.operations.spending import MONEY, Spend

CreditKind: TypeAlias = Literal["low", "soon", "blocked", "stale"]

# Some hundred years. A time farther ahead is as good as never, and a timedelta cannot hold every quotient.
_HORIZON: Final = timedelta(days=36_500)
_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)


def available_credit(balance: Balance) -> Decimal:
    """Return the money that can still be spent: the balance, plus the credit limit if there is one.

    An assumption: the reference shows `creditLimit` only as null, and does not explain it. The balance is taken to fall below zero
    as credit is used.
    """
    return MONEY.add(balance.balance, balance.credit_limit or 0)


@frozen
class CreditAlert:
    """The account's credit crossed a bound, the account was blocked, or no fresh balance came; or one of these has ended.

    Attributes:
        kind: `"low"`: the available credit is at the threshold or below. `"soon"`: the available credit is above the threshold, and
            will reach it within `ahead` at the present spend rate. `"blocked"`: the account is blocked. `"stale"`: no fresh
            snapshot came for `stale_after`.
        state: `"started"` or `"ended"`.
        at: The time that was passed with the snapshot, in UTC.
        balance: The last fresh snapshot, or `None` before the first one.
        time_left: The time until the threshold, at the spend rate; zero at or below the threshold; `None` if the spend rate is
            unknown or zero.
        spend: The cost of recent calls, from which the spend rate comes. It also holds what calls cost in other currencies.
    """

    kind: CreditKind
    state: AlertState
    at: datetime
    balance: Balance | None
    time_left: timedelta | None
    spend: Spend | None


class CreditMonitor:
    """Decides when to alert, from one snapshot of the balance to the next.

        monitor = CreditMonitor(Decimal(25), "USD")
        for alert in monitor.note(await client.balance(), at=datetime.now(UTC)):
            print(alert.kind, alert.state)

    Each crossing of a bound brings one alert. The first snapshot brings an alert for each bound that is already crossed.
    `CreditWatch` polls the API for a monitor.

    An alert `"soon"` ends only when the balance has gone up since its start and the time left is above `ahead` again. A spend rate
    that goes up and down does not end the alert by itself.

    Args:
        threshold: Money in `currency`, a `Decimal` or an int. It is compared with `available_credit(balance)`.
        currency: The code of the currency, for example `"USD"`.
        ahead: How long before the threshold to alert; `None` for no alert `"soon"`.
        stale_after: How long to wait for a fresh snapshot before an alert `"stale"`.

    Attributes:
        threshold: The threshold.
        currency: The currency of the threshold.
        ahead: How long before the threshold the monitor alerts, or `None`.
        balance: The last fresh snapshot, or `None`.
        spend: The last cost of recent calls that was passed, or `None`.

    Raises:
        ValueError: `currency` is not a currency's code, `threshold` is not finite, or a timedelta is not above zero.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        threshold: Decimal | int,
        currency: str,
        *,
        ahead: timedelta | None = timedelta(hours=4),
        stale_after: timedelta = timedelta(minutes=15),
    ) -> None:
        self.threshold: Decimal = _checks.money("threshold", threshold)
        self.currency: str = _checks.currency("currency", currency)
        self.ahead: timedelta | None = None if ahead is None else _checks.span("ahead", ahead)
        self.balance: Balance | None = None
        self.spend: Spend | None = None
        self._stale_after = _checks.span("stale_after", stale_after)
        # The time and the monotonic time of the last call, and the microseconds since the last fresh snapshot.
        self._noted: tuple[datetime, float | None] | None = None
        self._unseen = 0
        # Whether the balance has gone up since `soon` last started or ended.
        self._topped_up = False
        self._active: dict[CreditKind, datetime] = {}

    @property
    def active(self) -> dict[CreditKind, datetime]:
        """The alerts that have started and not ended, each with the time of its start."""
        return dict(self._active)

    @property
    def time_left(self) -> timedelta | None:
        """The time until the threshold, by the last fresh snapshot and the spend rate.

        Zero at or below the threshold; `None` before the first snapshot, or if the spend rate is unknown or zero.
        """
        if self.balance is None:
            return None
        above = MONEY.subtract(available_credit(self.balance), self.threshold)
        if above <= 0:
            return timedelta(0)
        rate = Decimal(0) if self.spend is None else self.spend.per_hour(self.currency)
        # A `Spend` that a user made may hold NaN.
        if not rate.is_finite() or rate <= 0:
            return None
        hours = MONEY.divide(above, rate)
        if hours >= _HORIZON // _HOUR:
            return _HORIZON
        return int(MONEY.multiply(hours, _HOUR // _MICROSECOND)) * _MICROSECOND

    def note(
        self, balance: Balance, *, at: datetime, spend: Spend | None = None, monotonic: float | None = None
    ) -> list[CreditAlert]:
        """Take a snapshot of the balance, and return the alerts that it brings.

        Args:
            balance: The snapshot. A stale snapshot counts as `missed`.
            at: When the snapshot was taken, timezone-aware.
            spend: The cost of recent calls; `None` to keep the one that was passed last.
            monotonic: The same moment on a clock that nobody sets, in seconds, for example `time.monotonic()`. With it, no change
                of the wall clock starts or delays an alert `"stale"`. Without it, the time is measured by `at`, and a step back
                counts as no time.

        Raises:
            ValueError: The balance is in another currency than the threshold or is not finite, `at` has no timezone, or
                `monotonic` is not finite.
            TypeError: An argument is of the wrong type.
        """
        moment, tick = _arguments.utc("at", at), _checks.monotonic(monotonic)
        if not isinstance(balance, Balance):
            raise TypeError(f"balance must be a Balance, not {type(balance).__name__}")
        if spend is not None and not isinstance(spend, Spend):
            raise TypeError(f"spend must be a Spend, not {type(spend).__name__}")
        if balance.currency != self.currency:
            # The text of a server that is not a currency's code may be anything.
            other = f", {balance.currency!r}" if _checks.is_currency(balance.currency) else ""
            raise ValueError(f"currency must be that of the balance{other}, not {self.currency!r}")
        _checks.money("balance.balance", balance.balance)
        if balance.credit_limit is not None:
            _checks.money("balance.credit_limit", balance.credit_limit)
        self.spend = self.spend if spend is None else spend
        if balance.stale:
            return self.missed(at=moment, monotonic=tick)
        if self.balance is not None and available_credit(balance) > available_credit(self.balance):
            self._topped_up = True
        self.balance, self._noted, self._unseen = balance, (moment, tick), 0
        left = self.time_left
        soon: bool | None
        if self.ahead is None or left == timedelta(0):
            soon = None  # no change: at the threshold, `low` is the alert that counts
        elif "soon" not in self._active:
            soon = left is not None and left <= self.ahead
        elif self._topped_up and (left is None or left > self.ahead):
            soon = False
        else:
            soon = None  # only a higher balance ends the alert
        low = available_credit(balance) <= self.threshold
        return self._change({"stale": False, "blocked": balance.blocked, "low": low, "soon": soon}, moment)

    def missed(self, *, at: datetime, monotonic: float | None = None) -> list[CreditAlert]:
        """Record that no fresh snapshot came, and return an alert `"stale"` if none came for `stale_after`.

        Args:
            at: The time, timezone-aware.
            monotonic: The same moment on a clock that nobody sets, in seconds; see `note`.

        Raises:
            ValueError: `at` has no timezone, or `monotonic` is not finite.
            TypeError: An argument is of the wrong type.
        """
        moment, tick = _arguments.utc("at", at), _checks.monotonic(monotonic)
        if self._noted is not None:
            self._unseen += _microseconds_between(self._noted, (moment, tick))
        self._noted = (moment, tick)
        # Never `False`: only a fresh snapshot ends the alert.
        return self._change({"stale": self._unseen >= self._stale_after // _MICROSECOND or None}, moment)

    def _change(self, wanted: dict[CreditKind, bool | None], at: datetime) -> list[CreditAlert]:
        """Start and end alerts as wanted, and return those that changed. `None` leaves an alert as it is."""
        alerts = []
        for kind, on in wanted.items():
            if on is None or on == (kind in self._active):
                continue
            if on:
                self._active[kind] = at
            else:
                del self._active[kind]
            if kind == "soon":
                self._topped_up = False
            state: AlertState = "started" if on else "ended"
            alerts.append(CreditAlert(kind, state, at, self.balance, self.time_left, self.spend))
        return alerts

    def __repr__(self) -> str:
        active = ", ".join(self._active) or "no alert"
        return f"<{type(self).__name__} at {self.threshold} {self.currency}: {active}>"


def _microseconds_between(earlier: tuple[datetime, float | None], later: tuple[datetime, float | None]) -> int:
    """Return the time between two calls, by the monotonic clock if both calls have its time. No time runs backwards."""
    (was_at, was_tick), (at, tick) = earlier, later
    if was_tick is None or tick is None:
        return max(0, (at - was_at) // _MICROSECOND)
    return round(min(max(0.0, tick - was_tick), _HORIZON / timedelta(seconds=1)) * 1e6)
