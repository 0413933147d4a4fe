"""`count` above the rows, because the server selects and counts at two moments: no record is lost, and no alarm is false."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.odd_pages import ORDERS, OddServer, Order, calls, ids_of
from tests.cdrs.raw_server import served
from tests.cdrs.simulated import ORDERS as SIMULATED
from tests.cdrs.simulated import Habits, Pull, Server, expected, record
from tests.selection import covering
from unlimcall_async import CallRecord, ResponseError
from unlimcall_async.cdrs.times import SECOND, Range, Window

pytestmark = pytest.mark.own_rules

START = datetime(2025, 1, 1, tzinfo=UTC)
YEARS, WEEK = timedelta(days=1095), timedelta(days=7)
CALLS = calls(3000, START, YEARS)


def once(at: int, more: int = 1) -> Callable[[int, int, int], int]:
    """Return counts of which one is wrong."""
    return lambda number, rows, _matches: rows + more * (number == at)


def often(percent: int, more: int = 1, *, matches: bool = False) -> Callable[[int, int, int], int]:
    """Return counts of which so many percent are wrong."""
    chance = random.Random(percent)
    return lambda _number, rows, all_rows: (all_rows if matches else rows) + more * (chance.randrange(100) < percent)


# --- one count that is wrong ----------------------------------------------------------------------------------------------


# The first window, one amid them, and the last; the others are asked as these are.
@pytest.mark.parametrize(
    "at", [at if at in {0, 1, 17, 35} else pytest.param(at, marks=pytest.mark.slow) for at in range(36)]
)
async def test_one_wrong_count_in_an_empty_range_costs_one_request(at: int) -> None:
    server = OddServer([], counts=once(at))
    async with served(server) as client:
        assert [each async for each in client.cdrs.stream(START, START + YEARS)] == []
    assert len(server.asked) == 37
    assert server.asked.count(server.asked[at]) == 2, "the window was asked again, as it was"


@pytest.mark.rest_slow
@pytest.mark.parametrize(("order", "more"), covering(ORDERS, [1, 1000, 10**9], together=1))
async def test_one_wrong_count_changes_nothing(order: Order, more: int) -> None:
    server = OddServer([], calls=CALLS[:300], sorting=order, counts=once(2, more))
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + YEARS)
        assert ids_of([each async for each in stream]) == [f"{n}" for n in range(300)]


# --- many -----------------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("order", "percent", "newest_first"), covering(["newest_first", "by_end", "arbitrary"], [5, 20, 50], [False, True])
)
async def test_counts_that_race_all_the_time_lose_nothing(order: Order, percent: int, newest_first: bool) -> None:
    server = OddServer([], calls=CALLS, sorting=order, counts=often(percent))
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + YEARS, newest_first=newest_first)
        came = ids_of([each async for each in stream])
    assert (came[::-1] if newest_first else came) == [f"{n}" for n in range(3000)]
    assert len(server.asked) <= 36 * (1.5 + 4 * percent / 100)


@define
class Racing(Server):
    """A server of which so many percent of all counts are above the rows."""

    percent: int = 0
    chance: random.Random = field(factory=lambda: random.Random(3))

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        rows, complete = Server.answer(self, window, limit)
        return rows, complete and self.chance.randrange(100) >= self.percent


@given(
    st.lists(st.integers(0, 10**6), max_size=60),
    st.sampled_from(SIMULATED),
    st.booleans(),
    st.integers(2, 40),
    st.integers(0, 50),
    st.integers(1, 5),
)
def test_whatever_the_page_size_every_record_comes_once(
    seconds: list[int], order: str, newest_first: bool, limit: int, percent: int, concurrency: int
) -> None:
    # Two seconds apart, so that no instant fills a page.
    records = [record(2 * at * SECOND, n) for n, at in enumerate(sorted(set(seconds)))]
    wanted = Range(0, 2 * 10**6 * SECOND)
    server = Racing(records, Habits(order), percent=percent)  # type: ignore[arg-type] # an order of `SIMULATED`
    pull = Pull(server, wanted, limit, newest_first, concurrency)
    assert pull.run() == expected(records, wanted, newest_first=newest_first)


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
async def test_totals_that_race_do_not_refute_an_order(newest_first: bool) -> None:
    many = calls(12_000, START, WEEK)
    server = OddServer([], calls=many, counts=often(30, matches=True))
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + WEEK, newest_first=newest_first)
        came = ids_of([each async for each in stream])
    assert (came[::-1] if newest_first else came) == [f"{n}" for n in range(12_000)]
    assert stream.stats.strategy == "seek"
    assert len(server.asked) <= 30  # two and a half times the fewest


async def test_a_follow_asks_again_too() -> None:
    server = OddServer([], calls=CALLS[:1000], counts=often(30))
    async with served(server) as client, client.cdrs.follow(START) as follow:
        came: list[CallRecord] = []
        async for each in follow:
            came.append(each)
            if len(came) == 1000:
                break
    assert ids_of(came) == [f"{n}" for n in range(1000)]


# --- counts that are never right ------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", ["newest_first", "by_end", "arbitrary"])
@pytest.mark.parametrize("held", [0, 5, 3000])
async def test_a_count_that_is_always_above_the_rows_is_a_clear_error(order: Order, held: int) -> None:
    server = OddServer([], calls=CALLS[:held], sorting=order, counts=lambda _number, rows, _matches: rows + 1)
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + YEARS)
        with pytest.raises(ResponseError, match=r"count: is [0-9]+, but [0-9]+ rows came, however often") as caught:
            _ = [each async for each in stream]
        assert caught.value.window is not None
        assert caught.value.resume_after is not None
        asked = len(server.asked)
        assert asked <= 300
        # Once the counts are right, the same stream goes on.
        server.counts = lambda _number, rows, _matches: rows
        assert ids_of([each async for each in stream]) == [f"{n}" for n in range(held)]


# --- a cap that shows -----------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", ORDERS)
async def test_a_cap_that_shows_in_count_costs_three_repeats(order: Order) -> None:
    server = OddServer([], calls=CALLS, sorting=order, most=lambda _number: 137, counts=lambda _n, _rows, all_: all_)
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + YEARS, concurrency=1)
        assert ids_of([each async for each in stream]) == [f"{n}" for n in range(3000)]
    again = [window for window in set(server.asked) if server.asked.count(window) > 1]
    assert len(again) <= 3


def _always(most: int) -> Callable[[int], int]:
    return lambda _number: most


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", ORDERS)
async def test_a_cap_that_shows_in_count_may_be_lowered_between_two_pulls_of_a_client(order: Order) -> None:
    server = OddServer([], calls=CALLS, sorting=order, counts=lambda _n, _rows, all_: all_)
    async with served(server) as client:
        for most in (500, 250, 60, 300):
            server.most = _always(most)
            stream = client.cdrs.stream(START, START + YEARS)
            assert ids_of([each async for each in stream]) == [f"{n}" for n in range(3000)]
