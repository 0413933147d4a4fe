"""Never a burned number, whatever happens to a pool, and always the one that was left alone longest."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.operations.records import START
from unlimcall_async.operations import CallerId, CallerIdPool, NoCallerIdError, Step

pytestmark = pytest.mark.own_rules

# Country and region of each number, written down here and not asked of the library.
PLACES = {
    "+442079460812": ("GB", "Europe"),
    "+442079460813": ("GB", "Europe"),
    "+33199001000": ("FR", "Europe"),
    "+16465550112": ("US", "America"),
    "+14155550100": ("US", "America"),
    "+14165550199": ("CA", "America"),
    "+61255501000": ("AU", "Oceania"),
    "+80012345678": (None, None),
}
CAMPAIGNS = (None, "spring", "autumn")
STEPS: tuple[Step, ...] = ("country", "region", "any")
FALLBACKS = [order for length in (1, 2, 3) for order in permutations(STEPS, length)]
numbers = st.sampled_from(sorted(PLACES))


class Pool(RuleBasedStateMachine):
    """A pool, and beside it a plain account of what was done to it."""

    @initialize(fallback=st.sampled_from(FALLBACKS))
    def begin(self, fallback: tuple[Step, ...]) -> None:
        self.pool = CallerIdPool(fallback=fallback)
        self.campaigns: dict[str, str | None] = {}
        self.burns: dict[str, datetime | None] = {}
        self.uses: list[str] = []
        self.now = START

    @rule(number=numbers, campaign=st.sampled_from(CAMPAIGNS))
    def add(self, number: str, campaign: str | None) -> None:
        self.pool.add(CallerId(number, campaign=campaign))
        self.campaigns[number] = campaign

    @rule(number=numbers)
    def remove(self, number: str) -> None:
        if number in self.campaigns:
            self.pool.remove(number)
            del self.campaigns[number]
            self.burns.pop(number, None)
            self.uses = [used for used in self.uses if used != number]

    @rule(number=numbers, hours=st.none() | st.integers(-2, 5))
    def burn(self, number: str, hours: int | None) -> None:
        if number in self.campaigns:
            until = None if hours is None else self.now + timedelta(hours=hours)
            self.pool.burn(number, until=until)
            if number not in self.burns:
                self.burns[number] = until
            else:
                known = self.burns[number]
                self.burns[number] = None if known is None or until is None else max(known, until)

    @rule(number=numbers)
    def restore(self, number: str) -> None:
        if number in self.campaigns:
            self.pool.restore(number)
            self.burns.pop(number, None)

    @rule(hours=st.integers(-1, 3))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def go_on_in_another_process(self) -> None:
        self.pool = CallerIdPool.from_json(self.pool.to_json(), fallback=self.pool.fallback)

    @rule(destination=numbers, campaign=st.sampled_from(CAMPAIGNS))
    def select(self, destination: str, campaign: str | None) -> None:
        fitting = [number for number, own in self.campaigns.items() if own in {None, campaign}]
        steps = [self.of(step, destination, fitting) for step in self.pool.fallback]
        free = next((found for step in steps if (found := [each for each in step if not self.is_burned(each)])), [])
        if not free:
            burned = {number for step in steps for number in step}
            ends = [end for number in burned if (end := self.burns[number]) is not None]
            with pytest.raises(NoCallerIdError) as caught:
                self.pool.select(destination, campaign=campaign, now=self.now)
            assert (caught.value.burned, caught.value.free_at) == (len(burned), min(ends, default=None))
            return
        chosen = self.pool.select(destination, campaign=campaign, now=self.now).number
        assert chosen == min(free, key=self.last_use)
        self.uses.append(chosen)

    def of(self, step: Step, destination: str, fitting: list[str]) -> list[str]:
        if step == "any":
            return fitting
        index = 0 if step == "country" else 1
        wanted = PLACES[destination][index]
        return [number for number in fitting if wanted is not None and PLACES[number][index] == wanted]

    def is_burned(self, number: str) -> bool:
        until = self.burns.get(number, self.now)
        return until is None or self.now < until

    def last_use(self, number: str) -> int:
        """Of those never used the first added comes first: `min` keeps the order of `campaigns`."""
        return max((index for index, used in enumerate(self.uses) if used == number), default=-1)

    @invariant()
    def the_pool_holds_what_was_added(self) -> None:
        if hasattr(self, "pool"):
            assert [caller_id.number for caller_id in self.pool.numbers] == list(self.campaigns)
            assert self.pool.burned(now=self.now) == {
                number: until for number, until in self.burns.items() if self.is_burned(number)
            }


TestPool = Pool.TestCase
TestPool.settings = settings(stateful_step_count=40, deadline=None)
