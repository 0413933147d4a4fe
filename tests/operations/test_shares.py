"""A share: its rate, and the interval of its true rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.operations import Share


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_rate_and_narrows(of: int, data: st.DataObject) -> None:
    share = Share(data.draw(st.integers(0, of)), of)
    assert share.rate is not None
    low, high = share.interval
    assert 0 <= low <= share.rate + 1e-12
    assert share.rate - 1e-12 <= high <= 1
    wider_low, wider_high = Share(share.count * 10, of * 10).interval
    assert wider_high - wider_low < high - low


def test_the_interval_is_wilsons_at_99_percent() -> None:
    assert Share(10, 100).interval == pytest.approx((0.0460, 0.2039), abs=2e-4)
    assert Share(0, 100).interval == pytest.approx((0, 0.0622), abs=2e-4)


def test_out_of_nothing_there_is_no_rate() -> None:
    assert Share(0, 0).rate is None
    assert Share(0, 0).interval == (0.0, 1.0)


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 1), (2, 1), (0, -1)])
def test_a_part_is_not_more_than_the_whole(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="count must be from 0 to `of`"):
        Share(count, of)


def test_no_count_is_too_large() -> None:
    low, high = Share(10**400, 2 * 10**400).interval
    assert low == high == 0.5
