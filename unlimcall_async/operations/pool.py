"""Caller-ID rotation (operations guide, "Programmatic Caller ID Selection Across Multiple Markets").

Pure: no I/O, and time is an argument. The API documents the scope `read:numbers` and no endpoint that lists numbers. So the user
fills the pool, by hand or from any asynchronous source.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from datetime import datetime
from typing import Final, Self

from unlimcall_async import _arguments
from unlimcall_async._argument_kinds import many
from unlimcall_async.operations import _checks, pool_state
from unlimcall_async.operations.caller_ids import (
    FOREVER,
    CallerId,
    Entry,
    NoCallerIdError,
    Step,
    caller_ids,
    steps,
)
from unlimcall_async.operations.iteration import iterating
from unlimcall_async.operations.numbering import Place, place_of

ALL_STEPS: Final[tuple[Step, ...]] = ("country", "region", "any")


class CallerIdPool:
    """Numbers to call from. `select` returns the number whose last use is longest ago, among those that fit the call.

        pool = CallerIdPool([CallerId("+442079460812"), CallerId("+16465550112", campaign="spring")])
        caller_id = pool.select("+442071838750", now=datetime.now(UTC))

    A pool serves one process; it does not see the selections of others.

    Args:
        numbers: The caller ids of the pool.
        fallback: The steps to try in order, until one has a caller id that may be used. `"country"`: numbers of the destination's
            country. `"region"`: numbers of the same world numbering zone, for example North America or Europe (see `Place`).
            `"any"`: all numbers. With `("country",)`, a call to a country without a number is an error.

    Attributes:
        fallback: The steps.

    Raises:
        ValueError: `fallback` has no step, an unknown step, or a step twice.
        TypeError: An argument is of the wrong type.
        ImportError: The extra `numbers` is not installed.
    """

    def __init__(self, numbers: Iterable[CallerId] = (), *, fallback: Sequence[Step] = ALL_STEPS) -> None:
        self.fallback: tuple[Step, ...] = steps(fallback)
        self._entries: dict[str, Entry] = {}
        self._places: dict[str, Place] = {}
        self._turns = 0
        self.add(*many("numbers", numbers, CallerId))

    # --- the numbers --------------------------------------------------------------------------------------------------

    @property
    def numbers(self) -> tuple[CallerId, ...]:
        """All caller ids, with the burned ones, in the order in which they were added."""
        return tuple(entry.caller_id for entry in self._entries.values())

    def add(self, *numbers: CallerId) -> None:
        """Add caller ids: all of them, or none if one is invalid.

        A caller id whose number is in the pool replaces the country and the campaign. The number keeps its place in the order of
        use, and its burn.

        Raises:
            TypeError: An argument is not a `CallerId`.
            ImportError: The extra `numbers` is not installed.
        """
        fresh = caller_ids(numbers)
        # Before the first change, because `place_of` may raise.
        places = {caller_id.number: place_of(caller_id.number) for caller_id in fresh}
        self._places |= places
        for caller_id in fresh:
            self._entries.setdefault(caller_id.number, Entry(caller_id)).caller_id = caller_id

    async def fill(self, source: AsyncIterable[CallerId]) -> None:
        """Add all caller ids of an asynchronous source, or none if the source fails.

        The iterator of the source is closed at the end.

        Raises:
            TypeError: The source holds something other than a `CallerId`.
            ImportError: The extra `numbers` is not installed.
        """
        async with iterating(source) as given:
            self.add(*[caller_id async for caller_id in given])

    def remove(self, number: str) -> None:
        """Remove a number and its burn. To keep the number from being selected, use `burn` instead.

        Raises:
            ValueError: The number is not in the pool.
            TypeError: `number` is not a `str`.
        """
        wanted = self._entry(number).caller_id.number
        del self._entries[wanted]
        del self._places[wanted]

    # --- burns --------------------------------------------------------------------------------------------------------

    def burn(self, number: str, *, until: datetime | None = None) -> None:
        """Keep a number from being selected until a time. A burn that ends later stays as it is.

        Args:
            number: The number.
            until: The end of the burn, timezone-aware; `None` for a burn without end.

        Raises:
            ValueError: The number is not in the pool, or `until` has no timezone.
            TypeError: An argument is of the wrong type.
        """
        end = FOREVER if until is None else _arguments.utc("until", until)
        entry = self._entry(number)
        entry.burned_until = end if entry.burned_until is None else max(end, entry.burned_until)

    def restore(self, number: str) -> None:
        """End the burn of a number. A number without a burn stays as it is.

        Raises:
            ValueError: The number is not in the pool.
            TypeError: `number` is not a `str`.
        """
        self._entry(number).burned_until = None

    def burned(self, *, now: datetime) -> dict[str, datetime | None]:
        """Return the numbers that are burned at this time, each with the end of its burn; `None` for a burn without end.

        Raises:
            ValueError: `now` has no timezone.
            TypeError: `now` is not a datetime.
        """
        moment = _arguments.utc("now", now)
        burns = {number: entry.burned_until for number, entry in self._entries.items() if entry.is_burned(moment)}
        return {number: None if until == FOREVER else until for number, until in burns.items()}

    def _entry(self, number: str) -> Entry:
        wanted = _arguments.number("number", number)
        if wanted not in self._entries:
            # Without the number: messages go to logs, and logs hold no phone number.
            raise ValueError("number must be one of the numbers in the pool")
        return self._entries[wanted]

    # --- selection ----------------------------------------------------------------------------------------------------

    def select(self, destination: str, *, campaign: str | None = None, now: datetime) -> CallerId:
        """Return the caller id for a call, and record its use.

        A caller id fits if it is of the call's campaign or of no campaign, and if the step of the fallback allows it. The first
        step with a caller id that fits and is not burned decides. Of those caller ids, the one whose last selection is longest ago
        is chosen. Caller ids that were never selected come first, in the order in which they were added.

        Args:
            destination: The number to call, in E.164 form.
            campaign: The campaign of the call; `None` for a call outside of campaigns.
            now: The time, timezone-aware, that decides which burns have ended.

        Raises:
            NoCallerIdError: No caller id fits, or all that fit are burned.
            ValueError: `destination` is not in E.164 form, `campaign` is empty, or `now` has no timezone.
            TypeError: An argument is of the wrong type.
        """
        place = place_of(_arguments.number("destination", destination))
        wanted, moment = _checks.campaign(campaign), _arguments.utc("now", now)
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
        # Two numbers that belong to no country have no country in common.
        if step == "country":
            return place.country is not None and entry.caller_id.country == place.country
        if step == "region":
            return place.region is not None and self._places[entry.caller_id.number].region == place.region
        return True

    # --- state ----------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the numbers, their order of use and their burns as JSON. The text holds phone numbers."""
        return pool_state.dump(self._entries.values())

    @classmethod
    def from_json(cls, text: str | bytes, *, fallback: Sequence[Step] = ALL_STEPS) -> Self:
        """Return the pool that `to_json` saved. The fallback is not saved: pass it again.

        Raises:
            PoolStateError: The text is not the state of a pool, or is damaged; `where` names the place. The class is a
            `ValueError`.
            ValueError: `fallback` has no step, an unknown step, or a step twice.
            TypeError: An argument is of the wrong type.
        """
        pool = cls(fallback=fallback)
        # `add` looks up the places of the numbers; then the entries of the text replace the new ones, with turns and burns.
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
