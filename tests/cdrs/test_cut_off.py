"""A pull that is cut off again and again arrives: each run hands records out, whatever the server order and the concurrency."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from math import ceil

import pytest

from tests.cdrs.matrix import END, START
from tests.cdrs.simulated import Habits, Order, Server, expected, page_of, readable, record
from tests.selection import covering
from unlimcall_async import AsyncClient, CallRecord, Checkpoint
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.planner.parts import Question
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window
from unlimcall_async.sandbox import Sandbox, generate_traffic

pytestmark = pytest.mark.own_rules

REQUESTS = 30
# The most runs that a test looks at.
RUNS = 5
PAGE = 40
DAY = 86_400 * SECOND
YEARS = Range(0, 400 * DAY)


def evenly(calls: int) -> list[int]:
    return [YEARS.end * number // calls for number in range(calls)]


def crowded(calls: int, *places: float) -> list[int]:
    """Nearly all calls within an hour or so at some places of the range, which is empty but for a few others."""
    chance = random.Random(3)
    few = [chance.randrange(YEARS.end) for _ in range(20)]
    return few + [
        min(YEARS.end - 1, int(chance.choice(places) * YEARS.end) + chance.randrange(3600 * SECOND))
        for _ in range(calls - len(few))
    ]


TRAFFIC: dict[str, Callable[[], list[int]]] = {
    "evenly": lambda: evenly(3_600),
    "crowded at the beginning": lambda: crowded(2_400, 0),
    "crowded at the end": lambda: crowded(2_400, 1 - 1 / 9_600),
    "islands": lambda: crowded(2_400, 0.02, 0.055, 0.07, 0.5, 0.95),
}


def calls_of(traffic: str) -> list[CallRecord]:
    starts = sorted({at // MILLISECOND * MILLISECOND for at in TRAFFIC[traffic]()})
    return [record(at, number) for number, at in enumerate(starts)]


class Backwards(Server):
    """Gives first what was written last."""

    def __attrs_post_init__(self) -> None:
        self.records = self.records[::-1]
        super().__attrs_post_init__()


class SortsAfterwards(Server):
    """Gives any rows of a window, and then the newest of them first."""

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        rows, complete = super().answer(window, limit)
        return sorted(rows, key=lambda row: row.start_time, reverse=True), complete


SERVERS: dict[str, tuple[type[Server], Order]] = {
    "newest first": (Server, "newest_first"),
    "oldest first": (Server, "oldest_first"),
    "by end of call": (Server, "insertion"),
    "by end of call, backwards": (Backwards, "insertion"),
    "any": (Server, "arbitrary"),
    "sorted afterwards": (SortsAfterwards, "arbitrary"),
}


def run(
    server: Server, left: Range, *, newest_first: bool, concurrency: int, page: int = PAGE
) -> tuple[list[CallRecord], Range]:
    """Pull until 30 requests were sent, drop what is still under way, and return the records and the range that is left."""
    planner = Planner(left, newest_first=newest_first, page_size=page, concurrency=concurrency)
    under_way: deque[Question] = deque()
    output: list[CallRecord] = []
    sent = 0
    while sent < REQUESTS and not planner.finished:
        while sent < REQUESTS and len(under_way) < concurrency and (question := planner.next_question()):
            under_way.append(question)
            sent += 1
        if sent == REQUESTS:
            break
        question = under_way.popleft()
        rows, complete = server.answer(question.window, page)
        planner.receive(question, page_of(rows, complete=complete))
        while part := planner.take_first():
            output += in_output_order(readable(part.records), newest_first=newest_first)
    edge = planner.edge
    return output, Range(left.start, edge) if newest_first else Range(edge, left.end)


def pull_in_runs(
    server: Server, *, newest_first: bool, concurrency: int, page: int = PAGE
) -> tuple[list[CallRecord], int]:
    """Pull run by run, check that each advances, and return the records and the number of runs."""
    output: list[CallRecord] = []
    left, runs, had_records = YEARS, 0, True
    while len(left) and runs < RUNS:
        got, still_left = run(server, left, newest_first=newest_first, concurrency=concurrency, page=page)
        assert len(still_left) < len(left)
        # A run may be spent on time without a call, but the next one is not.
        assert got or had_records or not expected(server.records, left, newest_first=newest_first)
        had_records = bool(got)
        output, left, runs = output + got, still_left, runs + 1
    return output, runs


@pytest.mark.parametrize(
    ("traffic", "server", "newest_first", "concurrency"),
    covering(TRAFFIC, SERVERS, [False, True], [4, 64], together=1, at_all=2),
)
def test_each_run_of_thirty_requests_hands_records_out(
    traffic: str, server: str, newest_first: bool, concurrency: int
) -> None:
    kind, order = SERVERS[server]
    answering = kind(calls_of(traffic), Habits(order))
    output, _ = pull_in_runs(answering, newest_first=newest_first, concurrency=concurrency)
    assert output == expected(answering.records, YEARS, newest_first=newest_first)[: len(output)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "newest_first"), covering(["newest_first", "oldest_first"], [False, True], together=1)
)
def test_a_dense_minute_is_left_behind(order: Order, newest_first: bool) -> None:
    """Where calls stop, the margins of whole seconds hold more than a page. Before, no run came over the last 0.2 seconds."""
    chance = random.Random(7)
    starts = sorted({200 * DAY + chance.randrange(60_000) * MILLISECOND for _ in range(5_800)})
    server = Server([record(at, number) for number, at in enumerate(starts)], Habits(order))
    output, runs = pull_in_runs(server, newest_first=newest_first, concurrency=4, page=200)
    assert runs < RUNS or len(output) == len(server.records)
    assert output == expected(server.records, YEARS, newest_first=newest_first)[: len(output)]


@pytest.mark.parametrize(
    ("order", "newest_first"), [("newest_first", False), ("oldest_first", True)], ids=["oldest out", "newest out"]
)
def test_runs_against_the_server_order_cost_half_as_much_again(order: Order, newest_first: bool) -> None:
    server = Server(calls_of("evenly"), Habits(order))
    output, runs = pull_in_runs(server, newest_first=newest_first, concurrency=1)
    assert len(output) == len(server.records)
    assert runs * REQUESTS <= 1.7 * ceil(len(server.records) / PAGE)


@pytest.mark.parametrize("concurrency", [1, 4, 64])
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
@pytest.mark.parametrize("server", list(SERVERS)[:5])
def test_the_first_records_come_after_few_requests(server: str, newest_first: bool, concurrency: int) -> None:
    kind, order = SERVERS[server]
    answering = kind(calls_of("evenly"), Habits(order))
    planner = Planner(YEARS, newest_first=newest_first, page_size=PAGE, concurrency=concurrency)
    under_way: deque[Question] = deque()
    while (part := planner.take_first()) is None or not part.records:
        while len(under_way) < concurrency and (question := planner.next_question()):
            under_way.append(question)
        question = under_way.popleft()
        rows, complete = answering.answer(question.window, PAGE)
        planner.receive(question, page_of(rows, complete=complete))
    assert len(answering.asked) + len(under_way) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [4, 16])
async def test_a_stream_that_is_cut_off_goes_on_from_its_checkpoint(
    sandbox: Sandbox, client: AsyncClient, concurrency: int
) -> None:
    """Each run is cancelled when the server has got 30 requests of it; the runs together give each record once."""
    sandbox.settings.order = "newest_first"
    sandbox.add_calls(generate_traffic(12_000, start=START, end=END, kind="uniform"))
    records: list[CallRecord] = []
    checkpoint: Checkpoint | None = None

    async def read() -> None:
        nonlocal checkpoint
        async with client.cdrs.stream(START, END, concurrency=concurrency, page_size=300, resume=checkpoint) as stream:
            async for batch in stream.batches():
                records.extend(batch)
                checkpoint = stream.checkpoint

    ended = False
    while not ended:
        before, had = len(sandbox.requests), len(records)
        reading = asyncio.create_task(read())
        while not reading.done() and len(sandbox.requests) - before < REQUESTS:  # noqa: ASYNC110 # a request sets no event
            await asyncio.sleep(0)
        ended = reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert len(records) > had
    assert len(records) == 12_000
    assert records == in_output_order(records, newest_first=False)
