"""How few requests the planner takes where the server does not sort by time: it has to guess, and bad guesses cost requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from math import ceil

import attrs
import pytest

from benchmarks.planner_pulls import pull as pull_a_year
from benchmarks.planner_server import Bounds, Calls, Order
from benchmarks.planner_server import Server as YearServer
from tests.cdrs.simulated import Habits, Pull, Server, expected, record
from tests.selection import covering
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, to_micros

pytestmark = pytest.mark.own_rules

PAGE = 200
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
MONTHS = Range(0, 120 * DAY)


def lasting(chance: random.Random) -> int:
    """How long a call lasts, in seconds: a third is not answered."""
    return chance.randrange(30) if chance.random() < 0.35 else int(chance.expovariate(1 / 300))


def bursts(calls: int) -> list[CallRecord]:
    """Calls in a dozen bursts, in most of which a page is full before a call has ended that is no longer than others."""
    chance = random.Random(5)
    begins = [chance.randrange((MONTHS.end - DAY) // MILLISECOND) * MILLISECOND for _ in range(12)]
    lengths = [chance.choice((20, 60, 240)) * MINUTE for _ in begins]
    starts = sorted(
        begins[burst] + chance.randrange(lengths[burst] // MILLISECOND) * MILLISECOND
        for burst in (chance.randrange(12) for _ in range(calls))
    )
    return [record(at, number, duration=lasting(chance)) for number, at in enumerate(starts)]


def ended(call: CallRecord) -> float:
    return to_micros(call.start_time) / 1e6 + call.duration


def written_late(calls: Sequence[CallRecord]) -> list[CallRecord]:
    chance = random.Random(6)
    return sorted(calls, key=lambda call: ended(call) + chance.randrange(60) + 3600 * (chance.random() < 0.02))


def without_durations(calls: Sequence[CallRecord]) -> list[CallRecord]:
    return [attrs.evolve(call, duration=0) for call in sorted(calls, key=ended)]


def shuffled(calls: Sequence[CallRecord]) -> list[CallRecord]:
    return random.Random(7).sample(calls, len(calls))


CALLS = bursts(12_000)
ORDERS: dict[str, Callable[[Sequence[CallRecord]], list[CallRecord]]] = {
    "as they ended": lambda calls: sorted(calls, key=ended),
    "the last that ended first": lambda calls: sorted(calls, key=ended, reverse=True),
    "as they were written": written_late,
    "durations lost": without_durations,
    "any": shuffled,
}
# Pages of 200 are smaller samples than pages of 1,000, and months are many for so few of them.
MOST = {"durations lost": 3.6}


@pytest.mark.slow
@pytest.mark.parametrize(("order", "newest_first"), covering(ORDERS, [False, True], together=1))
def test_bursts_take_few_requests(order: str, newest_first: bool) -> None:
    calls = ORDERS[order](CALLS)
    server = Server(calls, Habits("insertion"))
    pull = Pull(server, MONTHS, PAGE, newest_first, 1 if newest_first else 4)
    assert pull.run() == expected(calls, MONTHS, newest_first=newest_first)
    assert len(server.asked) <= MOST.get(order, 3.1) * ceil(len(calls) / PAGE)


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_where_calls_come_evenly_a_page_is_guessed_from_the_one_before(newest_first: bool) -> None:
    chance = random.Random(8)
    calls = [record(at * 12 * MINUTE, at, duration=lasting(chance)) for at in range(120 * 120)]
    server = Server(sorted(calls, key=ended), Habits("insertion"))
    assert Pull(server, MONTHS, PAGE, newest_first).run() == expected(calls, MONTHS, newest_first=newest_first)
    assert len(server.asked) <= 1.7 * len(calls) / PAGE


class SortsAfterwards(Server):
    """Gives any rows of a window, and then the newest of them first."""

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        rows, complete = super().answer(window, limit)
        return sorted(rows, key=lambda row: row.start_time, reverse=True), complete


@pytest.mark.slow
@pytest.mark.parametrize("seek", [True, False])
def test_rows_that_are_sorted_but_not_chosen_by_time_are_found_to_be_a_sample(seek: bool) -> None:
    server = SortsAfterwards(shuffled(CALLS), Habits("insertion"))
    assert Pull(server, MONTHS, PAGE, seek=seek).run() == expected(CALLS, MONTHS, newest_first=False)
    assert len(server.asked) <= 4 * len(CALLS) / PAGE


@cache
def calls_of_a_year(traffic: str) -> Calls:
    """A hundred pages: in 300 bursts, on six days, or more and more of them from month to month."""
    return Calls.of_year(traffic, 100_000, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("traffic", "order", "newest_first", "concurrency", "most"),
    [
        pytest.param("sparse", "arbitrary", False, 1, 2.2, id="how large bursts are is not found out for each anew"),
        pytest.param("bursts", "insertion", False, 4, 2.4, id="what may be over is not asked on side by side"),
        pytest.param("sparse", "insertion", False, 1, 2.0, id="what falls short is asked with what comes next"),
        pytest.param("sparse", "insertion", True, 1, 2.4, id="how long calls last is learned first"),
        pytest.param("growth", "insertion", False, 16, 1.9, id="estimates do not know the records they are judged by"),
    ],
)
def test_a_year_takes_few_requests(
    traffic: str, order: Order, newest_first: bool, concurrency: int, most: float
) -> None:
    server = YearServer(calls_of_a_year(traffic), order, Bounds(from_included=True, till_included=False, step=1))
    pull_a_year(server, newest_first=newest_first, concurrency=concurrency, seek=True, buffer=BUFFER, enough=1000)
    assert server.requests <= most * 100


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_most_of_the_buffer_is_not_filled_if_the_server_sorts_as_the_output_does(newest_first: bool) -> None:
    """What comes first is far quieter, or far busier, than what lies behind: the pages there wait for it."""
    order: Order = "newest_first" if newest_first else "oldest_first"
    server = YearServer(calls_of_a_year("growth"), order, Bounds(from_included=True, till_included=False, step=1))
    held = pull_a_year(server, newest_first=newest_first, concurrency=4, seek=True, buffer=BUFFER, enough=1000)
    assert held <= 4 * 16_000
    assert server.requests <= 1.15 * 100
