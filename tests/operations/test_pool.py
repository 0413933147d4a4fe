"""Which number is selected."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.operations.numbers import (
    CA,
    FR,
    GB,
    GB2,
    NOW,
    NOWHERE,
    TO_AU,
    TO_DE,
    TO_GB,
    TO_NOWHERE,
    TO_US,
    US,
    pool_of,
    selected,
)
from unlimcall_async.operations import CallerId, CallerIdPool, NoCallerIdError, Step

pytestmark = pytest.mark.own_rules


def test_the_destinations_country_comes_first_then_its_region_then_any() -> None:
    pool = pool_of(US, FR, GB)
    assert selected(pool, TO_GB, 2) == [GB, GB]
    assert selected(pool, TO_US) == [US]
    assert selected(pool, TO_DE, 2) == [FR, GB]  # no German one, and Europe's two zones are one
    assert selected(pool, TO_AU, 3) == [US, FR, GB]


def test_two_countries_of_one_calling_code_are_two() -> None:
    assert selected(pool_of(US, CA), "+14165550100", 2) == [CA, CA]


@pytest.mark.parametrize(
    ("fallback", "destination", "expected"),
    [
        (("country",), TO_GB, GB),
        (("country",), TO_DE, None),
        (("country", "region"), TO_DE, GB),
        (("country", "region"), TO_AU, None),
        (("region", "any"), TO_US, US),
        (("any",), TO_AU, GB),
        (("any", "country"), TO_US, GB),
        (("country", "region"), TO_NOWHERE, None),
        (("country", "region", "any"), TO_NOWHERE, GB),
    ],
)
def test_the_user_states_the_fallback(fallback: tuple[Step, ...], destination: str, expected: str | None) -> None:
    pool = pool_of(GB, US, NOWHERE, fallback=fallback)
    assert pool.fallback == fallback
    if expected is None:
        with pytest.raises(NoCallerIdError) as caught:
            pool.select(destination, now=NOW)
        assert caught.value.fallback == fallback
        assert caught.value.burned == 0
    else:
        assert selected(pool, destination) == [expected]


def test_the_least_recently_used_comes_first() -> None:
    pool = pool_of(GB, GB2)
    assert selected(pool, TO_GB, 3) == [GB, GB2, GB]
    third = "+442079460814"
    pool.add(CallerId(third))
    assert selected(pool, TO_GB, 4) == [third, GB2, GB, third]


def test_a_campaigns_numbers_are_its_own() -> None:
    pool = CallerIdPool([CallerId(GB, campaign="spring"), CallerId(GB2)], fallback=["country"])
    assert selected(pool, TO_GB, 3) == [GB2] * 3
    assert selected(pool, TO_GB, 3, campaign="spring") == [GB, GB2, GB]
    assert selected(pool, TO_GB, 2, campaign="autumn") == [GB2, GB2]


def test_a_burned_number_is_left_out_until_its_burn_ends() -> None:
    pool, hour = pool_of(GB, GB2), timedelta(hours=1)
    pool.burn(GB, until=NOW + hour)
    assert selected(pool, TO_GB, 2, now=NOW + hour - timedelta(microseconds=1)) == [GB2, GB2]
    assert selected(pool, TO_GB, 2, now=NOW + hour) == [GB, GB2]


def test_a_burn_without_an_end_lasts_until_the_number_is_restored() -> None:
    pool = pool_of(GB, GB2)
    pool.burn(GB)
    pool.burn(GB, until=NOW)  # does not shorten it
    assert pool.burned(now=datetime.max.replace(tzinfo=NOW.tzinfo) - timedelta(days=2)) == {GB: None}
    assert selected(pool, TO_GB, 2) == [GB2, GB2]
    pool.restore(GB)
    assert pool.burned(now=NOW) == {}
    assert selected(pool, TO_GB) == [GB]


def test_a_burn_is_never_shortened_but_can_be_extended() -> None:
    pool, day = pool_of(GB), timedelta(days=1)
    for days in (2, 1, 3):
        pool.burn(GB, until=NOW + days * day)
    assert pool.burned(now=NOW) == {GB: NOW + 3 * day}


def test_adding_a_known_number_keeps_its_turn_and_its_burn() -> None:
    pool = pool_of(GB, GB2)
    selected(pool, TO_GB)
    pool.burn(GB2)
    pool.add(CallerId(GB, campaign="spring"), CallerId(GB2, "IE"))
    assert pool.numbers == (CallerId(GB, campaign="spring"), CallerId(GB2, "IE"))
    assert list(pool.burned(now=NOW)) == [GB2]
    pool.restore(GB2)
    assert selected(pool, TO_GB, 2, campaign="spring") == [GB, GB]
    pool.add(CallerId(GB2))
    assert selected(pool, TO_GB) == [GB2]


def test_a_removed_number_is_gone_with_its_burn() -> None:
    pool = pool_of(GB, GB2)
    pool.burn(GB)
    pool.remove(GB)
    assert GB not in pool
    assert len(pool) == 1
    pool.add(CallerId(GB))
    assert pool.burned(now=NOW) == {}
    assert GB in pool


async def test_a_pool_is_filled_from_any_asynchronous_source() -> None:
    async def source() -> AsyncIterator[CallerId]:
        for number in (GB, US):
            yield CallerId(number)

    pool = pool_of(FR)
    await pool.fill(source())
    assert [caller_id.number for caller_id in pool.numbers] == [FR, GB, US]


@pytest.mark.parametrize("bad", [None, "+442079460812"])
async def test_a_source_that_fails_adds_nothing(bad: str | None) -> None:
    async def source() -> AsyncIterator[Any]:
        yield CallerId(GB)
        if bad is None:
            raise ConnectionError
        yield bad

    pool = pool_of(FR)
    with pytest.raises(ConnectionError if bad is None else TypeError):
        await pool.fill(source())
    assert pool.numbers == (CallerId(FR),)


@pytest.mark.parametrize("act", [CallerIdPool.burn, CallerIdPool.restore, CallerIdPool.remove])
def test_the_error_for_an_unknown_number_does_not_hold_the_number(act: Any) -> None:
    with pytest.raises(ValueError, match="number must be one of the numbers in the pool") as caught:
        act(pool_of(GB), US)
    assert US[1:] not in "".join(traceback.format_exception_only(caught.value))


def test_the_repr_tells_the_state_and_no_number() -> None:
    assert repr(pool_of(GB, US)) == "<CallerIdPool of 2 numbers, fallback country, then region, then any>"


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda pool: pool.burn(US), ValueError, "number must be one of the numbers in the pool"),
        (lambda pool: pool.restore(US), ValueError, "number must be one of the numbers in the pool"),
        (lambda pool: pool.remove(US), ValueError, "number must be one of the numbers in the pool"),
        (lambda pool: pool.burn("0044"), ValueError, "number must be in E.164 form"),
        (lambda pool: pool.burn(44), TypeError, "number must be a str, not int"),
        (lambda pool: pool.burn(GB, until=datetime(2026, 1, 1)), ValueError, "until must be timezone-aware"),  # noqa: DTZ001
        (lambda pool: pool.burn(GB, until=3), TypeError, "until must be a datetime"),
        (lambda pool: pool.select("44", now=NOW), ValueError, "destination must be in E.164 form"),
        (lambda pool: pool.select("+4420718٣8750", now=NOW), ValueError, "destination must be in E.164 form"),
        (lambda pool: pool.select(TO_GB, now=datetime(2026, 1, 1)), ValueError, "now must be timezone-aware"),  # noqa: DTZ001
        (lambda pool: pool.select(TO_GB, now=NOW, campaign=""), ValueError, "campaign must not be empty"),
        (lambda pool: pool.select(TO_GB, now=NOW, campaign=3), TypeError, "campaign must be a str"),
        (lambda pool: pool.burned(now=None), TypeError, "now must be a datetime"),
        (lambda pool: pool.add(GB), TypeError, "numbers must hold CallerId only, not str"),
        (lambda _: CallerId("0044"), ValueError, "number must be in E.164 form"),
        (lambda _: CallerId(GB, "uk"), ValueError, "country must be a country's code"),
        (lambda _: CallerId(GB, 44), TypeError, "country must be a str"),
        (lambda _: CallerId(GB, campaign=""), ValueError, "campaign must not be empty"),
        # Saved, the state could not be loaded again.
        (lambda _: CallerId(GB, campaign="Caf\ud83d"), ValueError, "campaign must not hold half of a surrogate pair"),
        (lambda _: pool_of(fallback="any"), TypeError, "fallback must be a sequence of steps, not str"),
        (lambda _: pool_of(fallback=3), TypeError, "fallback must be a sequence of steps, not int"),
        (lambda _: pool_of(fallback=()), ValueError, "fallback must be one or more of country, region, any"),
        (lambda _: pool_of(fallback=["any", "any"]), ValueError, "each once"),
        (lambda _: pool_of(fallback=["all"]), ValueError, "fallback must be"),
        (lambda _: pool_of(fallback=[["any"]]), ValueError, "fallback must be"),
    ],
)
def test_a_wrong_argument_is_named(act: Any, error: type[Exception], says: str) -> None:
    pool = pool_of(GB)
    with pytest.raises(error, match=says):
        act(pool)
    assert pool.numbers == (CallerId(GB),)
