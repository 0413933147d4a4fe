"""What a page shows of the calls that it hides, by how long calls last."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.cdrs.simulated import page_of, record
from tests.cdrs.test_divide import CALLS, MONTHS, ended, lasting, shuffled
from unlimcall_async.cdrs.planner.durations import Durations
from unlimcall_async.cdrs.times import MILLISECOND, Range

pytestmark = pytest.mark.own_rules


@pytest.mark.parametrize("oldest", [True, False])
def test_rows_stand_for_the_calls_that_a_page_hides(oldest: bool) -> None:
    """A page that is full after five minutes, of calls that mostly last as long."""
    chance, every = random.Random(9), 300 * MILLISECOND
    calls = [record(number * every, number, duration=lasting(chance)) for number in range(20_000)]
    durations, whole = Durations(), Range(0, 20_000 * every)
    durations.learn(calls)
    page = sorted(calls, key=ended, reverse=not oldest)[:1000]
    shown = durations.shown(page_of(page, complete=False), whole)
    assert shown is not None
    assert shown.oldest is oldest
    assert sum(shown.weights) == pytest.approx(len(shown.range) / every, rel=0.1)
    cuts = [0 if oldest else whole.end, *(at for at, _ in shown.pages(1000))]
    for (one, other), (_, records) in zip(pairwise(cuts), shown.pages(1000), strict=True):
        assert 500 < abs(other - one) / every <= 1000
        assert 500 < records < 1000


def test_a_page_in_no_order_shows_no_end() -> None:
    page = shuffled(CALLS)[:1000]
    assert Durations().shown(page_of(page, complete=False), MONTHS) is None


def test_a_page_without_rows_shows_nothing() -> None:
    assert Durations().shown(page_of([], complete=False), MONTHS) is None
