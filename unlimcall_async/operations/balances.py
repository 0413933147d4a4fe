"""Balances that were kept, one line of JSON each, and how far they fell. Pure: no I/O."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, Self

from attrs import evolve, field, frozen

from unlimcall_async import Balance, _arguments, _json, from_dict
from unlimcall_async._argument_kinds import all_of, many
from unlimcall_async.operations import _checks
from unlimcall_async.operations.spending import MONEY, sum_of

# Two processes that keep balances in one file write them in another order than they took the times. A disk takes no longer.
_SLOWEST_WRITE: Final = timedelta(seconds=10)
_FIELDS: Final = {"at", "balance", "currency"}


def _at(value: datetime) -> datetime:
    return _arguments.utc("at", value)


def _money(value: Decimal | int) -> Decimal:
    return _checks.money("balance", value)


@frozen
class KeptBalance:
    """The balance of the account at some time.

    Attributes:
        at: When the API was asked, in UTC.
        balance: The balance, in units of the currency.
        currency: The currency's code.

    Raises:
        ValueError: `at` has no timezone, or `balance` is not finite.
        TypeError: An argument is of the wrong type.
    """

    at: datetime = field(converter=_at)
    balance: Decimal = field(converter=_money)
    currency: str

    @classmethod
    def of(cls, balance: Balance, at: datetime) -> Self:
        """Return what is kept of a snapshot."""
        return cls(at, balance.balance, balance.currency)

    def to_json(self) -> str:
        """Return the balance as one line of JSON, without its line end. Money is text, because readers of JSON make floats."""
        at = self.at.isoformat().replace("+00:00", "Z")
        return json.dumps({"at": at, "balance": str(self.balance), "currency": self.currency})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the balance of a line that `to_json` has made.

        Raises:
            ValueError: The text is not such a line.
        """
        found: Any = _json.read(text)
        if not isinstance(found, dict) or not found.keys() >= _FIELDS:
            raise ValueError("the line is not a balance that was kept")
        try:
            return from_dict(cls, {name: found[name] for name in _FIELDS})
        except ValueError:
            raise ValueError("the line is not a balance that was kept") from None


def read_balances(lines: Iterable[str | bytes]) -> list[KeptBalance]:
    """Return the balances of a file that `CreditWatch` has kept, in order of time.

    A line that a kill or a full disk has cut off is left out. If the clock was set back, the balances before have later times than
    those behind. They get the first time behind, so that the order of the file stays, and no balance seems to rise.

    Raises:
        ValueError: A line is something else. The message names its number.
        TypeError: `lines` is not an iterable of lines.
    """
    found: list[KeptBalance] = []
    for number, line in enumerate(many("lines", lines, str), 1):
        if not isinstance(line, (str, bytes)):
            raise TypeError(f"lines must hold str or bytes only, not {type(line).__name__}")
        if not line.strip():
            continue
        try:
            found.append(KeptBalance.from_json(line))
        except _json.JsonError:
            # The beginning of a line, which is no JSON. Any other text is of another file.
            begin = b'{"at": "' if isinstance(line, bytes) else '{"at": "'
            if line.startswith(begin) or begin.startswith(line.rstrip()):  # type: ignore[arg-type] # both are of one type
                continue
            raise ValueError(f"line {number} is not a balance that was kept") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return _in_order(found)


def _in_order(kept: list[KeptBalance]) -> list[KeptBalance]:
    """Return the balances of a file in order of time."""
    earliest: datetime | None = None
    for place in reversed(range(len(kept))):
        each = kept[place]
        if earliest is not None and each.at - earliest > _SLOWEST_WRITE:
            kept[place] = each = evolve(each, at=earliest)
        earliest = each.at if earliest is None else min(earliest, each.at)
    return sorted(kept, key=lambda each: each.at)


@frozen
class BalanceFall:
    """How a balance changed over some time.

    Attributes:
        currency: The currency's code.
        first: The balance that was kept nearest to the start.
        last: The balance that was kept nearest to the end.
        fell: The sum of all falls from one kept balance to the next.
        rose: The sum of all rises. Between two polls, a top-up and the cost of calls show as one change.
        rises: Each rise, with the time at which the balance was first seen higher.
        longest_gap: The longest time between two balances that were kept.
    """

    currency: str
    first: KeptBalance
    last: KeptBalance
    fell: Decimal
    rose: Decimal
    rises: tuple[tuple[datetime, Decimal], ...]
    longest_gap: timedelta


def balance_falls(balances: Iterable[KeptBalance], start: datetime, end: datetime) -> list[BalanceFall]:
    """Return how the balance changed over a range, by currency.

    Args:
        balances: The balances that were kept, in any order.
        start: The start of the range, timezone-aware.
        end: Its end, timezone-aware.

    Returns:
        One change for each currency that has two balances at least.

    Raises:
        ValueError: A time has no timezone.
        TypeError: An argument is of the wrong type.
    """
    begin, finish = _arguments.utc("start", start), _arguments.utc("end", end)
    by_currency = defaultdict[str, list[KeptBalance]](list)
    for each in sorted(all_of("balances", balances, KeptBalance), key=lambda each: each.at):
        by_currency[each.currency].append(each)
    falls: list[BalanceFall] = []
    for currency, kept in sorted(by_currency.items()):
        first = min(range(len(kept)), key=lambda place: abs(kept[place].at - begin))  # used at once
        last = min(range(len(kept)), key=lambda place: abs(kept[place].at - finish))  # as above
        within = kept[first : last + 1]
        if len(within) < 2:
            continue
        steps = [(later.at, MONEY.subtract(later.balance, earlier.balance)) for earlier, later in pairwise(within)]
        rises = tuple((at, step) for at, step in steps if step > 0)
        falls.append(
            BalanceFall(
                currency,
                within[0],
                within[-1],
                fell=sum_of(step.copy_negate() for _, step in steps if step < 0),
                rose=sum_of(step for _, step in rises),
                rises=rises,
                longest_gap=max(later.at - earlier.at for earlier, later in pairwise(within)),
            )
        )
    return falls
