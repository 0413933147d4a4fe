"""`NoCallerIdError`: what it says of a call without a caller id."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from tests.operations.numbers import (
    GB,
    GB2,
    NOW,
    TO_GB,
    TO_NOWHERE,
    TO_US,
    US,
    pool_of,
    selected,
)
from unlimcall_async import UnlimCallError
from unlimcall_async.operations import NoCallerIdError


def test_where_none_is_left_the_error_says_what_there_would_be() -> None:
    pool = pool_of(GB, GB2, US, fallback=("country", "region"))
    pool.burn(GB, until=NOW + timedelta(days=2))
    pool.burn(GB2, until=NOW + timedelta(days=1))
    with pytest.raises(NoCallerIdError) as caught:
        pool.select(TO_GB, campaign="spring", now=NOW)
    error = caught.value
    assert (error.country, error.campaign, error.burned) == ("GB", "spring", 2)
    assert error.free_at == NOW + timedelta(days=1)
    assert isinstance(error, UnlimCallError)
    assert error.category == "application"
    assert str(error) == (
        "no caller id for a call to GB in campaign 'spring' (tried country, then region): "
        "2 would do, but are burned, and the first comes back at 2026-06-02T00:00:00+00:00"
    )
    assert selected(pool, TO_US) == [US]


def test_the_error_tells_nothing_of_what_never_comes_back() -> None:
    pool = pool_of(GB)
    pool.burn(GB)
    with pytest.raises(NoCallerIdError, match="1 would do, but are burned, and none comes back") as caught:
        pool.select(TO_NOWHERE, now=NOW)
    assert (caught.value.country, caught.value.free_at) == (None, None)
    with pytest.raises(NoCallerIdError, match=r"no caller id for a call to GB .*: none would do"):
        pool_of().select(TO_GB, now=NOW)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 # its own
def test_the_error_survives_copy_and_pickle(copied: Any) -> None:
    error = NoCallerIdError("GB", "spring", ("country",), 3, NOW)
    again = copied(error)
    assert type(again) is NoCallerIdError
    assert str(again) == str(error)
    assert vars(again) == vars(error)
