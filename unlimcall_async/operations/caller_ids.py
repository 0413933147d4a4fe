"""Caller ids: what a pool holds, and what it raises where it has none. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import Factory, define, field, frozen

from unlimcall_async import UnlimCallError
from unlimcall_async.operations import _arguments
from unlimcall_async.operations.numbering import place_of

Step: TypeAlias = Literal["country", "region", "any"]

# A burn that does not end, ends here.
FOREVER: Final = datetime.max.replace(tzinfo=UTC)


def steps(value: object) -> tuple[Step, ...]:
    """Require the steps of a fallback, each at most once."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"fallback must be a sequence of steps, not {type(value).__name__}")
    known = get_args(Step)
    found = tuple(value)
    if not found or any(step not in known for step in found) or len(set(found)) < len(found):
        raise ValueError(f"fallback must be one or more of {', '.join(known)}, each once")
    return found


def _number(value: object) -> str:
    return _arguments.number("number", value)


def _country(value: object) -> str | None:
    return _arguments.country("country", value)


def _campaign(value: object) -> str | None:
    return _arguments.campaign("campaign", value)


def _its_own(caller_id: CallerId) -> str | None:
    return place_of(caller_id.number).country


@frozen
class CallerId:
    """A number to call from.

    Args:
        number: The number, in E.164 form.
        country: The code of the country that it serves, as `GB`; left out, the country that it belongs to. `None` for none.
        campaign: The campaign that alone may use it; `None` for all, and for calls outside of any.

    Raises:
        ValueError, TypeError: An argument is wrong.
        ImportError: `country` is left out, and the extra `numbers` is not installed.
    """

    number: str = field(converter=_number)
    country: str | None = field(default=Factory(_its_own, takes_self=True), converter=_country)
    campaign: str | None = field(default=None, converter=_campaign)


@define
class Entry:
    """A caller id in a pool.

    Attributes:
        caller_id: The caller id.
        turn: A count of selections that says when it was last selected: 0 for never.
        burned_until: The end of its burn, or `None`.
    """

    caller_id: CallerId
    turn: int = 0
    burned_until: datetime | None = None

    def is_burned(self, now: datetime) -> bool:
        """Tell whether it is burned. At the end of its burn it is so no more."""
        return self.burned_until is not None and now < self.burned_until


@define(eq=False, slots=False)
class NoCallerIdError(UnlimCallError):
    """A pool has no caller id for a call.

    Attributes:
        country: The destination's country, or `None` where it has none.
        campaign: The call's campaign.
        fallback: The steps that were tried.
        burned: How many caller ids would do, were they not burned.
        free_at: When the first of those is burned no more; `None` for never.
    """

    country: str | None
    campaign: str | None
    fallback: tuple[Step, ...]
    burned: int = 0
    free_at: datetime | None = None

    def __str__(self) -> str:
        to = f"to {self.country or 'a number of no country'}"
        campaign = "" if self.campaign is None else f" in campaign {self.campaign!r}"
        tried = f"tried {', then '.join(self.fallback)}"
        return f"no caller id for a call {to}{campaign} ({tried}): {self._burns()}"

    def _burns(self) -> str:
        if not self.burned:
            return "none would do"
        back = "none comes back" if self.free_at is None else f"the first comes back at {self.free_at.isoformat()}"
        return f"{self.burned} would do, but are burned, and {back}"


@define(eq=False, slots=False)
class PoolStateError(UnlimCallError, ValueError):
    """What was to be loaded is not the state of a pool.

    Attributes:
        where: The place in it, as `numbers[3].turn`.
        reason: What was expected there. Never what was found: that may be a phone number.
    """

    where: str
    reason: str

    def __str__(self) -> str:
        return f"this is no state of a pool, at {self.where}: {self.reason}"


def caller_ids(values: Iterable[Any]) -> list[CallerId]:
    """Require caller ids."""
    found = list(values)
    for value in found:
        if not isinstance(value, CallerId):
            raise TypeError(f"a pool is made of CallerId, not {type(value).__name__}")
    return found
