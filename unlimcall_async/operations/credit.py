"""When the account's credit runs low, decided from snapshots of its balance (reference: `GET /balance`).

Pure: no I/O, and time is an argument. A snapshot that the API calls stale says nothing about now, so nothing is decided on it, and
the same goes for one that did not come; that this goes on for long is an alert of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import Balance
from unlimcall_async.operations import _arguments
from unlimcall_async.operations.carrier import AlertState
from unlimcall_async.operations.spending import Spend

CreditKind: TypeAlias = Literal["low", "soon", "blocked", "stale"]

# Farther ahead, "never" is as good, and a timedelta cannot hold everything.
_HORIZON: Final = timedelta(days=36_500)
_MICROSECOND: Final = timedelta(microseconds=1)


def available_credit(balance: Balance) -> Decimal:
    """Give what can still be spent: the balance, and the credit limit where there is one.

    An assumption: the reference shows `creditLimit` as null and says no more, so a balance is taken to go below zero as credit is
    used.
    """
    return balance.balance + (balance.credit_limit or 0)


@frozen
class CreditAlert:
    """A bound was crossed, or the account was blocked.

    Attributes:
        kind: `"low"`: what is available is at the threshold or below. `"soon"`: it is above, and will be there within `ahead`.
            `"blocked"`: the account is blocked. `"stale"`: there has been no fresh snapshot for `stale_after`.
        state: `"started"` or `"ended"`.
        at: The time that was passed with the snapshot.
        balance: The last fresh snapshot, or `None` before there was one.
        time_left: Until the threshold, at the spend rate; zero below it, `None` where the rate is unknown or nothing.
        spend: What that rate is taken from, with what other currencies have cost.
    """

    kind: CreditKind
    state: AlertState
    at: datetime
    balance: Balance | None
    time_left: timedelta | None
    spend: Spend | None


class CreditMonitor:
    """Decides, from one snapshot to the next, when to alert: once for each crossing of a bound, at the first snapshot too.

    A `"soon"` that has started ends only when the balance has gone up since then, and the time left is above `ahead` again: a rate
    that goes up and down by itself does not end it.

    Args:
        threshold: Money in `currency`, a `Decimal` or an int. It is compared with `available_credit(balance)`.
        currency: The code of the currency.
        ahead: How long before the threshold to alert, or `None` for not at all.
        stale_after: How long to do without a fresh snapshot.

    Attributes:
        threshold: The threshold.
        currency: Its currency.
        ahead: As above.
        balance: The last fresh snapshot, or `None`.
        spend: The last that was passed, or `None`.

    Raises:
        ValueError, TypeError: An argument is wrong.
    """

    def __init__(
        self,
        threshold: Decimal | int,
        currency: str,
        *,
        ahead: timedelta | None = timedelta(hours=4),
        stale_after: timedelta = timedelta(minutes=15),
    ) -> None:
        self.threshold: Decimal = _arguments.money("threshold", threshold)
        self.currency: str = _arguments.currency("currency", currency)
        self.ahead: timedelta | None = None if ahead is None else _arguments.span("ahead", ahead)
        self.balance: Balance | None = None
        self.spend: Spend | None = None
        self._stale_after = _arguments.span("stale_after", stale_after)
        self._fresh_at: datetime | None = None
        self._topped_up = False
        self._active: dict[CreditKind, datetime] = {}

    @property
    def active(self) -> dict[CreditKind, datetime]:
        """Which alerts have started and not ended, with the time of their start."""
        return dict(self._active)

    @property
    def time_left(self) -> timedelta | None:
        """Until the threshold, by the last fresh snapshot; zero below it, `None` where the rate is unknown or nothing."""
        if self.balance is None:
            return None
        above = available_credit(self.balance) - self.threshold
        if above <= 0:
            return timedelta(0)
        rate = Decimal(0) if self.spend is None else self.spend.per_hour(self.currency)
        if rate <= 0:
            return None
        hours = above / rate
        return _HORIZON if hours >= _HORIZON / timedelta(hours=1) else int(hours * 3_600_000_000) * _MICROSECOND

    def note(self, balance: Balance, *, at: datetime, spend: Spend | None = None) -> list[CreditAlert]:
        """Take a snapshot, and give the alerts that it brings.

        Args:
            balance: The snapshot. A stale one counts as one that did not come.
            at: When it was taken, timezone-aware.
            spend: What recent calls have cost; `None` for what was passed last.

        Raises:
            ValueError: The balance is in another currency than the threshold.
            TypeError: An argument is of the wrong type.
        """
        moment = _arguments.moment("at", at)
        if not isinstance(balance, Balance):
            raise TypeError(f"balance must be a Balance, not {type(balance).__name__}")
        if spend is not None and not isinstance(spend, Spend):
            raise TypeError(f"spend must be a Spend, not {type(spend).__name__}")
        if balance.currency != self.currency:
            raise ValueError(f"currency must be that of the balance, {balance.currency!r}, not {self.currency!r}")
        self.spend = self.spend if spend is None else spend
        if balance.stale:
            return self.missed(at=moment)
        if self.balance is not None and available_credit(balance) > available_credit(self.balance):
            self._topped_up = True
        self.balance, self._fresh_at = balance, moment
        wanted: dict[CreditKind, bool | None] = {
            "stale": False,
            "blocked": balance.blocked,
            "low": available_credit(balance) <= self.threshold,
            "soon": self._soon(),
        }
        return self._change(wanted, moment)

    def missed(self, *, at: datetime) -> list[CreditAlert]:
        """Note that no fresh snapshot came, and give the alert that this brings when it goes on for long.

        Raises:
            ValueError, TypeError: The time is wrong.
        """
        moment = _arguments.moment("at", at)
        self._fresh_at = self._fresh_at or moment
        return self._change({"stale": moment - self._fresh_at >= self._stale_after or None}, moment)

    def _soon(self) -> bool | None:
        """Tell whether the threshold is near; `None` for no change."""
        left = self.time_left
        if self.ahead is None or left == timedelta(0):
            return None  # at the threshold it is another alert that counts
        if "soon" in self._active:
            return False if self._topped_up and (left is None or left > self.ahead) else None
        return left is not None and left <= self.ahead

    def _change(self, wanted: dict[CreditKind, bool | None], at: datetime) -> list[CreditAlert]:
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
