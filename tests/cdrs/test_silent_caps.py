"""A server that gives fewer rows than were asked for, and counts just those: what a cap leaves out comes, or an error says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.odd_pages import ORDERS, OddServer, Order, calls, ids_of
from tests.cdrs.raw_server import served
from tests.cdrs.simulated import ORDERS as SIMULATED
from tests.cdrs.simulated import Habits, Pull, Server, expected, record
from tests.selection import covering
from unlimcall_async import ResponseError
from unlimcall_async.cdrs.times import SECOND, Range

pytestmark = pytest.mark.own_rules

START, MONTHS, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=90), timedelta(days=1)
CALLS = calls(2000, START, MONTHS)


def capped(most: int) -> Callable[[int], int]:
    return lambda _number: most


# --- from the beginning ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("order", ["newest_first", "by_end", "sorted_after_limit"])
async def test_ten_thousand_records_come_a_hundred_at_a_time(order: Order) -> None:
    span = timedelta(days=365)
    server = OddServer([], calls=calls(10_000, START, span), sorting=order, most=capped(100))
    async with served(server) as client:
        came = ids_of([each async for each in client.cdrs.stream(START, START + span)])
    assert came == [f"{n}" for n in range(10_000)]


@pytest.mark.parametrize(
    ("order", "cap", "concurrency", "newest_first"),
    [
        pytest.param("by_end", 37, 1, True, marks=pytest.mark.slow),
        pytest.param("oldest_first", 10, 4, False, marks=pytest.mark.slow),
        pytest.param("sorted_after_limit", 73, 1, False, marks=pytest.mark.slow),
        ("by_end", 100, 4, False),
        ("by_end_backwards", 128, 4, False),
        ("newest_first", 128, 1, False),
        ("oldest_first", 333, 4, True),
        ("arbitrary", 250, 1, False),
        ("shuffled", 200, 4, True),
        ("sorted_after_limit", 500, 4, False),
    ],
)
async def test_what_a_cap_leaves_out_comes(order: Order, cap: int, concurrency: int, newest_first: bool) -> None:
    server = OddServer([], calls=CALLS, sorting=order, most=capped(cap))
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + MONTHS, concurrency=concurrency, newest_first=newest_first)
        came = ids_of([each async for each in stream])
    assert (came[::-1] if newest_first else came) == [f"{n}" for n in range(2000)]


@pytest.mark.parametrize(
    ("order", "cap"),
    # Pages of ten take the most requests.
    [
        *covering(ORDERS, [100, 950], together=1),
        *(pytest.param(order, 64, marks=pytest.mark.slow) for order in ("sorted_after_limit", "arbitrary")),
        *(pytest.param(order, 10, marks=pytest.mark.slow) for order in ("oldest_first", "by_end")),
    ],
)
async def test_a_cap_is_found_if_the_range_is_a_single_window(order: Order, cap: int) -> None:
    server = OddServer([], calls=calls(1200, START, DAY), sorting=order, most=capped(cap))
    async with served(server) as client:
        came = ids_of([each async for each in client.cdrs.stream(START, START + DAY)])
    assert came == [f"{n}" for n in range(1200)]


@pytest.mark.parametrize("cap", [50, 73])
async def test_a_cap_is_found_by_each_of_the_streams_that_run_at_once(cap: int) -> None:
    """What one stream hands out does not wait for the check of another. Before, some ended after one page that was cut."""
    server = OddServer([], calls=calls(300, START, DAY), sorting="oldest_first", most=capped(cap))
    async with served(server) as client:
        streams = [client.cdrs.stream(START, START + DAY) for _ in range(6)]
        came = await asyncio.gather(*(stream.to_list() for stream in streams))
    assert [ids_of(each) for each in came] == [[f"{n}" for n in range(300)]] * 6


@pytest.mark.rest_slow
@pytest.mark.parametrize("answers", [1, 2, 3])
@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "by_end"])
async def test_what_a_cap_left_out_before_it_ended_comes(order: Order, answers: int) -> None:
    """Larger pages behind it do not show that a page of a size that people set was whole."""
    server = OddServer([], calls=CALLS, sorting=order, most=lambda number: 100 if number <= answers else 1000)
    async with served(server) as client:
        came = ids_of([each async for each in client.cdrs.stream(START, START + MONTHS)])
    assert came == [f"{n}" for n in range(2000)]


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=150, unique=True),
    st.sampled_from(SIMULATED),
    # All may come on one page: such a page is checked only if its size is one of these (`docs/promises.md`).
    st.sampled_from([10, 16, 20, 25, 32, 50, 64, 100]),
    st.booleans(),
    st.integers(1, 5),
)
def test_whatever_the_traffic_no_record_is_lost(
    seconds: list[int], order: str, cap: int, newest_first: bool, concurrency: int
) -> None:
    records = [record(2 * at * SECOND, n, duration=at % 300) for n, at in enumerate(sorted(seconds))]
    wanted = Range(0, 2 * 10**6 * SECOND)
    server = Server(records, Habits(order, cap=cap))  # type: ignore[arg-type] # an order of `SIMULATED`
    pull = Pull(server, wanted, 1000, newest_first, concurrency)
    assert pull.run() == expected(records, wanted, newest_first=newest_first)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
async def test_a_cap_in_bytes_cuts_at_sizes_that_vary(order: Order) -> None:
    server = OddServer([], calls=CALLS, sorting=order, most=lambda number: 100 + number * 7 % 11)
    async with served(server) as client:
        came = ids_of([each async for each in client.cdrs.stream(START, START + MONTHS)])
    assert came == [f"{n}" for n in range(2000)]


# --- later ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "begins"), [*product(["newest_first", "oldest_first", "by_end", "arbitrary"], [1, 3, 8, 15])]
)
async def test_a_cap_that_begins_later_is_no_silent_loss(order: Order, begins: int) -> None:
    # So many that a cap which begins here cuts more than the last few pages: those are not promised (`docs/promises.md`).
    many = calls(20_000, START, MONTHS)
    server = OddServer([], calls=many, sorting=order, most=lambda number: 1000 if number < begins else 200)
    came = list[str]()
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + MONTHS)
        try:
            async for each in stream:
                came.append(each.id)
        except ResponseError as error:
            assert "start anew with page_size=200" in str(error)  # noqa: PT017 # it may also come whole
        else:
            assert came == [f"{n}" for n in range(20_000)]


# --- honest servers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "requests"), [("newest_first", 2), ("oldest_first", 2), ("by_end", 3), ("arbitrary", 3)]
)
async def test_an_honest_page_is_checked_only_if_its_size_may_be_a_cap(order: Order, requests: int) -> None:
    for rows, asked in ((137, 1), (150, requests)):
        server = OddServer([], calls=calls(rows, START, DAY), sorting=order)
        async with served(server) as client:
            assert len([each async for each in client.cdrs.stream(START, START + DAY)]) == rows
        assert len(server.asked) == asked


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", ORDERS)
async def test_an_honest_year_costs_two_requests_more(order: Order) -> None:
    span = timedelta(days=365)
    server = OddServer([], calls=calls(3000, START, span), sorting=order)
    async with served(server) as client:
        assert len([each async for each in client.cdrs.stream(START, START + span)]) == 3000
    assert len(server.asked) <= 12 + (2 if order in {"newest_first", "oldest_first"} else 4)


async def test_a_full_page_ends_all_doubt() -> None:
    server = OddServer([], calls=calls(1300, START, DAY))
    async with served(server) as client:
        assert len([each async for each in client.cdrs.stream(START, START + DAY, concurrency=1)]) == 1300
    assert len(server.asked) == 3, "the page, the proof of the order, and the rest"
