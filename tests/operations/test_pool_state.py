"""A pool that is saved and loaded, and what is said of a file that is damaged."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.records import START
from unlimcall_async import UnlimCallError
from unlimcall_async.operations import CallerId, CallerIdPool, PoolStateError

pytestmark = pytest.mark.own_rules

GB, US = "+442079460812", "+16465550112"


def saved() -> str:
    pool = CallerIdPool([CallerId(GB, campaign="spring"), CallerId(US)])
    pool.select("+14155551234", now=START)
    pool.burn(GB)
    pool.burn(US, until=START + timedelta(days=1))
    return pool.to_json()


def test_the_state_is_what_the_pool_held() -> None:
    pool = CallerIdPool.from_json(saved(), fallback=("any",))
    assert pool.numbers == (CallerId(GB, "GB", "spring"), CallerId(US, "US"))
    assert pool.burned(now=START) == {GB: None, US: START + timedelta(days=1)}
    assert pool.fallback == ("any",)
    assert pool.to_json() == saved()
    pool.restore(GB)
    pool.restore(US)
    assert [pool.select(GB, now=START, campaign="spring").number for _ in range(3)] == [GB, US, GB]


def test_the_state_is_plain_json() -> None:
    assert json.loads(saved())["numbers"] == [
        {"number": GB, "country": "GB", "campaign": "spring", "turn": 0, "burned_until": "forever"},
        {"number": US, "country": "US", "campaign": None, "turn": 1, "burned_until": "2026-06-02T00:00:00+00:00"},
    ]


def test_an_empty_pool_can_be_saved_too() -> None:
    assert CallerIdPool.from_json(CallerIdPool().to_json().encode()).numbers == ()


def damaged(*path: str | int, to: Any) -> str:
    content = json.loads(saved())
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return json.dumps(content)


def lacking(name: str) -> str:
    content = json.loads(saved())
    del content["numbers"][1][name]
    return json.dumps(content)


DAMAGES = [
    ("", "the top", "it is not JSON"),
    (saved()[:-20], "the top", "it is not JSON"),
    ("[" * 100_000, "the top", "it is not JSON"),
    (b"\xff", "the top", "it is not JSON"),
    ("[]", "kind", "expected 'caller_ids'"),
    (damaged("kind", to="cdrs.stream"), "kind", "expected 'caller_ids'"),
    (damaged("version", to=2), "version", "this release knows 1 only"),
    (damaged("version", to=True), "version", "this release knows 1 only"),
    (damaged("version", to=1.0), "version", "this release knows 1 only"),
    (damaged("numbers", to={}), "numbers", "expected a list"),
    (damaged("numbers", 1, to=[]), "numbers[1]", "expected an object"),
    (damaged("numbers", 1, "more", to=1), "numbers[1]", "and no other"),
    (lacking("turn"), "numbers[1]", "expected the fields number, country, campaign, turn, burned_until"),
    (damaged("numbers", 1, "number", to="0044"), "numbers[1].number", "must be in E.164 form"),
    (damaged("numbers", 1, "number", to=None), "numbers[1].number", "must be a str"),
    (damaged("numbers", 1, "number", to=GB), "numbers[1].number", "it is there twice"),
    (damaged("numbers", 0, "country", to="gb"), "numbers[0].country", "must be a country's code"),
    (damaged("numbers", 0, "campaign", to=""), "numbers[0].campaign", "must not be empty"),
    (damaged("numbers", 0, "campaign", to=7), "numbers[0].campaign", "must be a str"),
    (damaged("numbers", 0, "turn", to=-1), "numbers[0].turn", "expected a whole number"),
    (damaged("numbers", 0, "turn", to=True), "numbers[0].turn", "expected a whole number"),
    (damaged("numbers", 0, "turn", to=1.0), "numbers[0].turn", "expected a whole number"),
    (damaged("numbers", 0, "burned_until", to=7), "numbers[0].burned_until", "must be a str"),
    (damaged("numbers", 0, "burned_until", to="soon"), "numbers[0].burned_until", "must be 'forever' or a time"),
    (damaged("numbers", 0, "burned_until", to="2026-01-01"), "numbers[0].burned_until", "must be timezone-aware"),
]


@pytest.mark.parametrize(("text", "where", "reason"), DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_state_is_refused_and_the_error_says_where(text: str | bytes, where: str, reason: str) -> None:
    with pytest.raises(PoolStateError) as caught:
        CallerIdPool.from_json(text)
    error = caught.value
    assert error.where == where
    assert reason in error.reason
    assert str(error) == f"this is not a valid state of a pool, at {error.where}: {error.reason}"
    assert "+44" not in str(error)
    assert isinstance(error, UnlimCallError)
    assert isinstance(error, ValueError)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 # its own
        assert (type(again), vars(again)) == (PoolStateError, vars(error))


def test_no_turn_is_too_high_to_be_saved_again() -> None:
    pool = CallerIdPool.from_json(damaged("numbers", 1, "turn", to=10**4299), fallback=("any",))
    pool.restore(GB)
    pool.restore(US)
    assert [pool.select(GB, now=START, campaign="spring").number for _ in range(3)] == [GB, US, GB]
    assert CallerIdPool.from_json(pool.to_json(), fallback=("any",)).select(GB, now=START).number == US


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
paths = st.sampled_from(
    [
        *[("version",), ("kind",), ("numbers",), ("numbers", 0), ("numbers", 1)],
        *[("numbers", 0, name) for name in ("number", "country", "campaign", "turn", "burned_until")],
    ]
)


@given(paths, json_values)
def test_whatever_stands_there_it_is_a_pool_or_a_clear_error(path: tuple[str | int, ...], value: Any) -> None:
    try:
        pool = CallerIdPool.from_json(damaged(*path, to=value))
    except PoolStateError as error:
        assert error.where  # noqa: PT017 # not every value is wrong
    else:
        assert CallerIdPool.from_json(pool.to_json()).to_json() == pool.to_json()
