"""Caller ids, their entries in a pool, and the errors of a pool. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import Factory, define, field, frozen

from unlimcall_async import UnlimCallError, _arguments
from unlimcall_async._argument_kinds import all_of
from unlimcall_async.operations import _checks
from unlimcall_async.operations.numbering import place_of

Step: TypeAlias = Literal["country", "region", "any"]

# The end of a burn that has no end.
FOREVER: Final = datetime.max.replace(tzinfo=UTC)


def steps(value: object) -> tuple[Step, ...]:
    """Require a fallback: one step or more, each once."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"fallback must be a sequence of steps, not {type(value).__name__}")
    known: tuple[Step, ...] = get_args(Step)
    given = tuple(value)
    # The texts of this module, because those of the user may be members of an enumeration.
    found: list[Step] = [name for step in given for name in known if name == step]
    if not found or len(found) < len(given) or len(set(found)) < len(found):
        raise ValueError(f"fallback must be one or more of {', '.join(known)}, each once")
    return tuple(found)


def _number(value: object) -> str:
    return _arguments.number("number", value)


def _own_country(caller_id: CallerId) -> str | None:
    return place_of(caller_id.number).country


@frozen
class CallerId:
    """A phone number to call from.

    Args:
        number: The number in E.164 form, for example `"+442079460812"`.
        country: The country whose calls the number serves, as a code of two capitals, for example `"GB"`. The default is the
            country that the number belongs to. `None` for no country.
        campaign: The only campaign that may use the number. `None` for all campaigns, and for calls outside of campaigns.

    Raises:
        ValueError: An argument is not a valid number, country or campaign.
        TypeError: An argument is of the wrong type.
        ImportError: `country` is left out, and the extra `numbers` is not installed.
    """

    number: str = field(converter=_number)
    country: str | None = field(default=Factory(_own_country, takes_self=True), converter=_checks.country)
    campaign: str | None = field(default=None, converter=_checks.campaign)


@define
class Entry:
    """A caller id in a pool.

    Attributes:
        caller_id: The caller id.
        turn: The pool's count of selections when the caller id was last selected; 0 for never.
        burned_until: The end of the burn, or `None` if the number is not burned.
    """

    caller_id: CallerId
    turn: int = 0
    burned_until: datetime | None = None

    def is_burned(self, now: datetime) -> bool:
        """Return whether the number is burned at this time. The end of a burn is not part of the burn."""
        return self.burned_until is not None and now < self.burned_until


@define(eq=False, slots=False)
class NoCallerIdError(UnlimCallError):
    """The pool has no caller id for a call, or every caller id that fits is burned.

    Attributes:
        country: The country of the destination, or `None` if the destination belongs to none.
        campaign: The campaign of the call.
        fallback: The steps that were tried.
        burned: How many caller ids fit and are burned.
        free_at: The end of the first of those burns; `None` if none of them ends.
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
        if not self.burned:
            reason = "none would do"
        elif self.free_at is None:
            reason = f"{self.burned} would do, but are burned, and none comes back"
        else:
            reason = f"{self.burned} would do, but are burned, and the first comes back at {self.free_at.isoformat()}"
        return f"no caller id for a call {to}{campaign} ({tried}): {reason}"


@define(eq=False, slots=False)
class PoolStateError(UnlimCallError, ValueError):
    """The text is not the saved state of a pool, or is damaged.

    Attributes:
        where: The damaged place in the text, for example `numbers[3].turn`.
        reason: What was expected there. The text itself is never quoted, because it may be a phone number.
    """

    where: str
    reason: str

    def __str__(self) -> str:
        return f"this is not a valid state of a pool, at {self.where}: {self.reason}"


def caller_ids(values: Iterable[Any]) -> list[CallerId]:
    """Require an iterable of caller ids, and return them as a list."""
    return all_of("numbers", values, CallerId)
