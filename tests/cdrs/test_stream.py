"""The stream over real HTTP, against the sandbox's own list of calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from unlimcall_async import (
    AsyncClient,
    CallRecord,
    CdrStream,
    Checkpoint,
    CheckpointError,
    ResponseError,
    ServerError,
    WindowSaturatedError,
)
from unlimcall_async.cdrs.cutting import BUFFER
from unlimcall_async.cdrs.order import in_order
from unlimcall_async.sandbox import ResetAfter, Sandbox, SandboxCall, Stall, Status, generate_traffic
from unlimcall_async.sandbox.traffic import TrafficKind

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def a_call(start: datetime, number: int = 0) -> SandboxCall:
    return SandboxCall(id=f"{number}", start_time=start)


def every_second(count: int, start: datetime = START) -> list[SandboxCall]:
    return [a_call(start + timedelta(seconds=i), i) for i in range(count)]


def as_record(call: SandboxCall) -> CallRecord:
    fields = ("id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username")
    more = ("sell_price_cents", "currency", "country", "did")
    return CallRecord(**{name: getattr(call, name) for name in (*fields, *more)})


def expected(calls: Iterable[SandboxCall], *, newest_first: bool = False) -> list[CallRecord]:
    within = [as_record(call) for call in calls if START <= call.start_time < END]
    return in_order(within, newest_first=newest_first)


async def rest_of(stream: CdrStream) -> list[CallRecord]:
    return [record async for record in stream]


PICKS = random.Random(2026).sample(
    [
        (order, first, last, step, count, concurrency, newest)
        for order in ("newest_first", "oldest_first", "insertion", "arbitrary")
        for first in (True, False)
        for last in (True, False)
        for step in ("ms", "s")
        for count in ("rows", "matches")
        for concurrency in (1, 4)
        for newest in (True, False)
    ],
    14,
)
KINDS: list[TrafficKind] = ["uniform", "call_centre", "bursts", "ties", "legs", "sparse", "campaigns"]


@pytest.mark.parametrize(("pick", "kind"), [*zip(PICKS, KINDS * 2, strict=True)], ids=str)
async def test_a_pull_gives_all_that_the_sandbox_holds(
    sandbox: Sandbox,
    client: AsyncClient,
    pick: tuple[str, bool, bool, str, str, int, bool],
    kind: TrafficKind,
) -> None:
    order, first, last, step, count, concurrency, newest = pick
    for name, value in {
        "order": order,
        "from_inclusive": first,
        "till_inclusive": last,
        "resolution": step,
        "count": count,
    }.items():
        setattr(sandbox.settings, name, value)
    sandbox.add_calls(generate_traffic(4000, start=START, end=END, kind=kind))
    stream = client.cdrs.stream(START, END, newest_first=newest, concurrency=concurrency)
    assert await rest_of(stream) == expected(sandbox.calls, newest_first=newest)
    stats = stream.stats
    assert (stats.records, stats.requests, stats.retries) == (4000, len(sandbox.requests), 0)
    assert stats.min_requests == 4
    assert stream.progress.fraction == 1


@pytest.mark.parametrize("newest", [False, True])
async def test_the_start_is_part_of_the_range_and_the_end_is_not(
    sandbox: Sandbox, client: AsyncClient, newest: bool
) -> None:
    sandbox.add_calls(a_call(START + timedelta(milliseconds=i), i) for i in range(5))
    start, end = START + timedelta(microseconds=999), START + timedelta(milliseconds=3)
    got = await rest_of(client.cdrs.stream(start, end, newest_first=newest))
    assert [record.id for record in got] == (["2", "1"] if newest else ["1", "2"])


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize(
    "start", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC) - timedelta(days=9)]
)
async def test_a_range_may_lie_at_either_end_of_time(client: AsyncClient, start: datetime, newest: bool) -> None:
    end = start + timedelta(days=9)
    stream = client.cdrs.stream(start, end, newest_first=newest)
    assert await rest_of(stream) == []
    assert stream.progress.position == (start if newest else end)


@pytest.mark.parametrize("newest", [False, True])
async def test_an_empty_range_asks_nothing(sandbox: Sandbox, client: AsyncClient, newest: bool) -> None:
    stream = client.cdrs.stream(START, START, newest_first=newest)
    assert await rest_of(stream) == []
    assert (sandbox.requests, stream.progress.fraction, stream.stats.min_requests) == ([], 1, 0)


async def test_months_are_months_across_a_change_of_the_clock(sandbox: Sandbox, client: AsyncClient) -> None:
    zone = ZoneInfo("America/New_York")
    sandbox.add_calls([a_call(datetime(2023, 11, 5, 6, tzinfo=UTC))])
    stream = client.cdrs.stream(datetime(2023, 10, 20, tzinfo=zone), datetime(2024, 3, 20, tzinfo=zone))
    assert len(await rest_of(stream)) == 1
    assert {request.status for request in sandbox.requests} == {200}


async def test_the_end_is_read_once_and_stays_behind(client: AsyncClient) -> None:
    before = datetime.now(UTC)
    stream = client.cdrs.stream(START, settle=timedelta(hours=3))
    assert before <= stream.end + timedelta(hours=3) <= datetime.now(UTC)


async def test_records_that_appear_while_it_runs_are_had_where_it_has_not_been(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.add_calls(every_second(3000))
    stream = client.cdrs.stream(START, END, concurrency=1, page_size=100)
    got: list[CallRecord] = []
    async for record in stream:
        got.append(record)
        if len(got) == 50:
            sandbox.add_calls([a_call(START + timedelta(days=80), 77)])
    assert got == expected(sandbox.calls)


async def test_faults_that_pass_are_survived(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(3000))
    for skip in (0, 3, 7):
        sandbox.inject(ResetAfter(), skip=skip)
        sandbox.inject(Status(503), skip=skip + 1)
    stream = client.cdrs.stream(START, END)
    assert await rest_of(stream) == expected(sandbox.calls)
    assert stream.stats.retries == 6
    assert stream.stats.requests == len(sandbox.requests) - 6


async def test_an_error_comes_after_all_records_before_it_and_can_be_got_over(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.add_calls(every_second(500))
    sandbox.add_calls(every_second(500, START + timedelta(days=45)))
    sandbox.inject(Status(500), skip=1, times=None)
    stream = client.cdrs.stream(START, END, concurrency=2)
    got: list[CallRecord] = []

    async def go_on() -> None:
        async for record in stream:
            got.append(record)  # noqa: PERF401 # what came before the error counts

    with pytest.raises(ServerError):
        await go_on()
    assert got == expected(sandbox.calls)[:500]
    sandbox.clear_faults()
    await go_on()
    assert got == expected(sandbox.calls)


# --- what cannot be had ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest", [False, True])
async def test_an_instant_that_no_page_holds_is_named_and_may_be_passed(
    sandbox: Sandbox, client: AsyncClient, newest: bool
) -> None:
    full = START + timedelta(days=40)
    sandbox.add_calls(every_second(300))
    sandbox.add_calls(a_call(full, i) for i in range(25))
    sandbox.add_calls(every_second(300, START + timedelta(days=60)))
    others = [record for record in expected(sandbox.calls, newest_first=newest) if record.start_time != full]
    stream = client.cdrs.stream(START, END, newest_first=newest, page_size=25)
    with pytest.raises(WindowSaturatedError) as caught:
        await rest_of(stream)
    error = caught.value
    assert stream.stats.records == 300
    assert (error.start, error.end) == (full, full + timedelta(milliseconds=1))
    assert {record.start_time for record in error.seen} == {full}
    assert len(error.seen) == 25
    assert error.category == "provider"
    beyond = client.cdrs.stream(START, END, newest_first=newest, page_size=25, resume=error.resume_after)
    assert await rest_of(beyond) == others[300:]


async def test_a_row_that_cannot_be_read_is_named_with_its_window(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(10))
    sandbox.inject(Status(200, body='{"count": 1, "calls": [{"id": 5}]}'), skip=1)
    stream = client.cdrs.stream(START, END, concurrency=1)
    got: list[CallRecord] = []

    async def read() -> None:
        async for record in stream:
            got.append(record)  # noqa: PERF401 # what came before the error counts

    with pytest.raises(ResponseError, match=r"calls\[0\]") as caught:
        await read()
    assert len(got) == 10
    error = caught.value
    assert error.window is not None
    assert error.resume_after is not None
    assert error.window[0] < error.window[1]
    assert await rest_of(client.cdrs.stream(START, END, resume=error.resume_after)) == []


async def test_a_row_outside_its_window_is_an_error(sandbox: Sandbox, client: AsyncClient) -> None:
    row = '{"id": "1", "startTime": "%s", "duration": 1, "billsec": 1}'
    rows = row % "2026-01-01T00:00:00Z", row % "2026-02-15T00:00:00Z"
    sandbox.inject(Status(200, body=f'{{"count": 2, "calls": [{",".join(rows)}]}}'))
    with pytest.raises(ResponseError) as caught:
        await rest_of(client.cdrs.stream(START, END))
    assert caught.value.where == "calls[1].startTime"


# --- iteration --------------------------------------------------------------------------------------------------------


async def test_records_and_batches_are_two_views_on_one_position(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(3000))
    stream = client.cdrs.stream(START, END, page_size=100)
    got: list[CallRecord] = []
    async for record in stream:
        got.append(record)
        if len(got) == 130:
            break
    async for batch in stream.batches():
        assert batch
        got += batch
        if len(got) > 1000:
            break
    assert got + await rest_of(stream) == expected(sandbox.calls)
    assert await rest_of(stream) == []


async def test_two_iterations_at_once_are_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    first = aiter(stream)
    got = [await anext(first)]
    with pytest.raises(RuntimeError, match="iterated already"):
        await rest_of(stream)
    got += [record async for record in first]
    assert got == expected(sandbox.calls)


async def test_of_two_iterations_that_begin_at_once_one_is_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100, newest_first=True)
    got = []
    async for record in stream:
        got.append(record)
        break
    outcomes = await asyncio.gather(rest_of(stream), rest_of(stream), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["RuntimeError", "list"]
    (rest,) = [outcome for outcome in outcomes if isinstance(outcome, list)]
    assert got + rest == expected(sandbox.calls)[::-1]


@pytest.mark.parametrize("turns", range(4))
async def test_a_second_cancellation_during_the_first_leaves_a_stream_that_goes_on(
    sandbox: Sandbox, client: AsyncClient, turns: int
) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100, newest_first=True)
    iterator = aiter(stream)
    got = [await anext(iterator)]

    async def read() -> None:
        async for record in iterator:
            got.append(record)  # noqa: PERF401 # what came before the cancellation counts

    sandbox.inject(Stall(), times=None)
    reader = asyncio.create_task(read())
    while not requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    reader.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    while requests_under_way(client):  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    sandbox.clear_faults()
    assert got + await rest_of(stream) == expected(sandbox.calls)[::-1]


async def test_a_request_that_somebody_else_cancels_is_made_again(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100)
    sandbox.inject(Stall(), times=3)
    reader = asyncio.create_task(rest_of(stream))
    while len(sandbox.requests) < 3:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    assert stream._turn is not None
    for task in list(stream._turn.tasks):
        task.cancel()
    assert await reader == expected(sandbox.calls)


async def test_closing_does_not_wait_for_answers(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    stream = client.cdrs.stream(START, END)
    reader = asyncio.create_task(rest_of(stream))
    while requests_under_way(client) < 3:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    await stream.aclose()
    assert requests_under_way(client) == 0
    with pytest.raises(RuntimeError, match="closed while"):
        await reader


async def test_closing_ends_the_iteration_and_a_new_one_goes_on(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    async with stream:
        first = aiter(stream)
        got = [await anext(first) for _ in range(10)]
    assert got + await rest_of(stream) == expected(sandbox.calls)
    with pytest.raises(RuntimeError, match="closed while it was iterated"):
        [record async for record in first]


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("kind", ["ties", "legs", "call_centre"])
async def test_a_checkpoint_between_any_two_records_gives_exactly_the_rest(
    sandbox: Sandbox, client: AsyncClient, kind: TrafficKind, newest: bool
) -> None:
    sandbox.settings.order = "arbitrary"
    sandbox.add_calls(generate_traffic(2000, start=START, end=END, kind=kind))
    whole = expected(sandbox.calls, newest_first=newest)
    chance = random.Random(5)
    got: list[CallRecord] = []
    stored = client.cdrs.stream(START, END, newest_first=newest).checkpoint.to_json()
    while len(got) < len(whole):
        resume = Checkpoint.from_json(stored)
        size = chance.choice([500, 800, 1000])
        stream = client.cdrs.stream(
            START, newest_first=newest, resume=resume, page_size=size, concurrency=chance.choice([1, 3])
        )
        assert stream.end == END
        stop = chance.randrange(1, 400)
        async with stream:
            async for record in stream:
                got.append(record)
                stop -= 1
                if not stop:
                    break
        stored = stream.checkpoint.to_json()
        assert got == whole[: len(got)]
    assert await rest_of(client.cdrs.stream(START, newest_first=newest, resume=Checkpoint.from_json(stored))) == []


@pytest.mark.parametrize(
    "changes",
    [{"start": START + timedelta(days=1)}, {"end": END + timedelta(days=1)}, {"newest_first": True}],
    ids=str,
)
async def test_a_checkpoint_of_something_else_is_refused(client: AsyncClient, changes: dict[str, object]) -> None:
    resume = client.cdrs.stream(START, END).checkpoint
    arguments = {"start": START, "end": END, **changes}
    with pytest.raises(CheckpointError, match="another range or direction"):
        client.cdrs.stream(**arguments, resume=resume)  # type: ignore[arg-type] # of mixed types


async def test_progress_never_falls_and_ends_at_one(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(generate_traffic(3000, start=START, end=END))
    for newest in (False, True):
        stream = client.cdrs.stream(START, END, newest_first=newest, page_size=300)
        fractions = [stream.progress.fraction]
        async for record in stream:
            progress = stream.progress
            fractions.append(progress.fraction)
            assert progress.position == record.start_time or progress.fraction in {fractions[-2], progress.fraction}
        assert fractions == sorted(fractions)
        assert (fractions[0], stream.progress.fraction, stream.progress.records) == (0, 1, 3000)


# --- leaving and waiting ------------------------------------------------------------------------------------------------


def requests_under_way(client: AsyncClient) -> int:
    return len(client._caller.pool._calls)


async def test_a_reader_that_stops_stops_the_fetching(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(4000))
    sandbox.settings.count = "matches"
    stream = client.cdrs.stream(START, START + timedelta(seconds=4000), concurrency=2, page_size=50)
    async with stream:
        async for _ in stream:
            break
        asked = -1
        while asked != len(sandbox.requests) or requests_under_way(client):
            asked = len(sandbox.requests)
            await asyncio.sleep(0.01)
        held = stream._planner.held
    assert held <= BUFFER * 2 * 50
    assert asked < 4000 / 50


@pytest.mark.parametrize("turns", range(0, 90, 9))
@pytest.mark.parametrize("way", ["aclose", "cancel", "raise", "break"])
async def test_leaving_at_any_point_leaves_nothing_behind(
    sandbox: Sandbox, client: AsyncClient, turns: int, way: str
) -> None:
    """That no task is left is checked after every test, by the fixture that watches the loop."""
    sandbox.add_calls(every_second(600))
    stream = client.cdrs.stream(START, END, page_size=30)

    async def read() -> None:
        async with stream:
            async for record in stream:
                if way == "raise" and int(record.id) >= turns:
                    raise LookupError
                if way == "break" and int(record.id) >= turns:
                    break

    reader = asyncio.create_task(read())
    for _ in range(turns):
        await asyncio.sleep(0)
    if way == "aclose":
        await stream.aclose()
    if way == "cancel":
        reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled() or reader.exception() is None or type(reader.exception()) in {RuntimeError, LookupError}
    assert requests_under_way(client) == 0
    assert (await client.me()).customer_id == "1042"


async def test_after_a_bare_break_the_requests_end_with_the_iterator(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    stream = client.cdrs.stream(START, END, page_size=100)
    async for _ in stream:
        break
    for _ in range(5):
        await asyncio.sleep(0)
    assert requests_under_way(client) == 0


async def test_closing_the_client_ends_the_stream(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(2000))
    sandbox.settings.latency = 0.01
    reader = asyncio.create_task(rest_of(client.cdrs.stream(START, END, page_size=100)))
    while not sandbox.requests:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await reader


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"concurrency": 0}, ValueError, "concurrency must be 1 or more"),
        ({"page_size": 1001}, ValueError, "page_size must be from 1 to 1000"),
        ({"settle": -timedelta(1)}, ValueError, "settle must not be negative"),
        ({"settle": 3}, TypeError, "settle must be a timedelta"),
        ({"strategy": "guess"}, ValueError, "strategy must be one of auto, divide"),
        ({"newest_first": 1}, TypeError, "newest_first must be a bool"),
        ({"resume": "x"}, TypeError, "resume must be a Checkpoint"),
        ({"start": END + timedelta(1)}, ValueError, "start must not be after end"),
        ({"start": datetime(2026, 1, 1)}, ValueError, "start must be timezone-aware"),  # noqa: DTZ001 # on purpose
    ],
    ids=str,
)
async def test_a_wrong_option_is_named(
    client: AsyncClient, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        client.cdrs.stream(**{"start": START, "end": END, **options})  # type: ignore[arg-type] # wrong on purpose
