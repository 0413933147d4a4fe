"""Which number to call from (operations guide, "Programmatic Caller ID Selection Across Multiple Markets").

Pure: it does no I/O, and time is an argument. The API documents the scope `read:numbers`, but no endpoint that lists numbers, so a
pool holds what its user gives it, by hand or from any asynchronous source.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, Self

from unlimcall_async.operations import _arguments, pool_state
from unlimcall_async.operations.caller_ids import (
    FOREVER,
    CallerId,
    Entry,
    NoCallerIdError,
    Step,
    caller_ids,
    steps,
)
from unlimcall_async.operations.numbering import Place, place_of
from unlimcall_async.operations.reading import each

ALL_STEPS: Final[tuple[Step, ...]] = ("country", "region", "any")


class CallerIdPool:
    """Numbers to call from, of which `select` gives the one that was left alone longest.

        pool = CallerIdPool([CallerId("+442079460812"), CallerId("+16465550112", campaign="spring")])
        caller_id = pool.select("+442071838750", now=datetime.now(UTC))

    It serves one process: what others select it does not see.

    Args:
        numbers: What it holds to begin with.
        fallback: The steps to try, in order, until one has a caller id that may be used: `"country"`, the destination's own;
            `"region"`, the same world numbering zone (North America, Europe, Africa and so on, see `Place`); `"any"`. With
            `("country",)` a call to a country without a number is an error.

    Attributes:
        fallback: The steps.

    Raises:
        ValueError, TypeError: An argument is wrong.
        ImportError: The extra `numbers` is not installed.
    """

    def __init__(self, numbers: Iterable[CallerId] = (), *, fallback: Sequence[Step] = ALL_STEPS) -> None:
        self.fallback: tuple[Step, ...] = steps(fallback)
        self._entries: dict[str, Entry] = {}
        self._places: dict[str, Place] = {}
        self._turns = 0
        self.add(*numbers)

    # --- what it holds ------------------------------------------------------------------------------------------------

    @property
    def numbers(self) -> tuple[CallerId, ...]:
        """All caller ids, the burned ones too, in the order in which they were added."""
        return tuple(entry.caller_id for entry in self._entries.values())

    def add(self, *numbers: CallerId) -> None:
        """Add caller ids, all of them or, where one is wrong, none.

        One whose number is there gets a new country and campaign, and keeps its place in the order of use and its burn.
        """
        fresh = caller_ids(numbers)
        places = {caller_id.number: place_of(caller_id.number) for caller_id in fresh}
        self._places |= places
        for caller_id in fresh:
            self._entries.setdefault(caller_id.number, Entry(caller_id)).caller_id = caller_id

    async def fill(self, source: AsyncIterable[CallerId]) -> None:
        """Add what an asynchronous source gives, all of it or, where the source fails, nothing."""
        async with aclosing(each(source)) as given:
            self.add(*[caller_id async for caller_id in given])

    def remove(self, number: str) -> None:
        """Take a number out, and forget its burn. To keep it from being used, burn it instead.

        Raises:
            ValueError: It is not in the pool.
        """
        del self._entries[self._entry(number).caller_id.number]
        del self._places[number]

    # --- burns --------------------------------------------------------------------------------------------------------

    def burn(self, number: str, *, until: datetime | None = None) -> None:
        """Keep a number from being selected until a time, timezone-aware, or for ever. This never shortens a burn.

        Raises:
            ValueError, TypeError: The number is not in the pool, or an argument is wrong.
        """
        end = FOREVER if until is None else _arguments.moment("until", until)
        entry = self._entry(number)
        entry.burned_until = end if entry.burned_until is None else max(end, entry.burned_until)

    def restore(self, number: str) -> None:
        """End the burn of a number, if it has one.

        Raises:
            ValueError: It is not in the pool.
        """
        self._entry(number).burned_until = None

    def burned(self, *, now: datetime) -> dict[str, datetime | None]:
        """Give the numbers that are burned at this time, each with the end of its burn; `None` for never."""
        moment = _arguments.moment("now", now)
        burns = {number: entry.burned_until for number, entry in self._entries.items() if entry.is_burned(moment)}
        return {number: None if until == FOREVER else until for number, until in burns.items()}

    def _entry(self, number: str) -> Entry:
        wanted = _arguments.number("number", number)
        if wanted not in self._entries:
            raise ValueError(f"number must be one of the pool, which {wanted} is not")
        return self._entries[wanted]

    # --- selection ----------------------------------------------------------------------------------------------------

    def select(self, destination: str, *, campaign: str | None = None, now: datetime) -> CallerId:
        """Select the caller id for a call, and count it as used.

        Of those that are not burned, that are the campaign's or of no campaign, and that are of the first step of the fallback
        which has any, it is the one whose last selection is longest ago; those that never were selected come first, in the order
        in which they were added.

        Args:
            destination: The number to call, in E.164 form.
            campaign: The call's campaign.
            now: The time, timezone-aware, by which burns are judged.

        Raises:
            NoCallerIdError: There is none, or they are burned; the error tells which.
            ValueError, TypeError: An argument is wrong.
        """
        place = place_of(_arguments.number("destination", destination))
        wanted, moment = _arguments.campaign("campaign", campaign), _arguments.moment("now", now)
        fitting = [entry for entry in self._entries.values() if entry.caller_id.campaign in {None, wanted}]
        for step in self.fallback:
            free = [entry for entry in fitting if self._fits(entry, step, place) and not entry.is_burned(moment)]
            if free:
                chosen = min(free, key=lambda entry: entry.turn)
                self._turns += 1
                chosen.turn = self._turns
                return chosen.caller_id
        burned = [entry for entry in fitting if any(self._fits(entry, step, place) for step in self.fallback)]
        free_at = min((entry.burned_until or FOREVER for entry in burned), default=FOREVER)
        raise NoCallerIdError(
            place.country, wanted, self.fallback, len(burned), None if free_at == FOREVER else free_at
        )

    def _fits(self, entry: Entry, step: Step, place: Place) -> bool:
        if step == "country":
            return place.country is not None and entry.caller_id.country == place.country
        if step == "region":
            return place.region is not None and self._places[entry.caller_id.number].region == place.region
        return True

    # --- state ----------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Write the numbers, their order of use and their burns. The text holds phone numbers."""
        return pool_state.dump(self._entries.values())

    @classmethod
    def from_json(cls, text: str | bytes, *, fallback: Sequence[Step] = ALL_STEPS) -> Self:
        """Make the pool that `to_json` wrote. The fallback is no part of it.

        Raises:
            PoolStateError: It is something else, or damaged; the error says where. It is also a `ValueError`.
            ValueError, TypeError: `fallback` is wrong.
        """
        pool = cls(fallback=fallback)
        entries = pool_state.load(text)
        pool.add(*(entry.caller_id for entry in entries))
        pool._entries = {entry.caller_id.number: entry for entry in entries}
        pool._turns = max((entry.turn for entry in entries), default=0)
        return pool

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, number: object) -> bool:
        return number in self._entries

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} numbers, fallback {', then '.join(self.fallback)}>"
