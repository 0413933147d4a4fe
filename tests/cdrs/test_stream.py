"""The stream over real HTTP, against the sandbox's own list of calls."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from tests.cdrs.calls import a_call, every_second, expected, rest_of
from tests.cdrs.matrix import END, START
from unlimcall_async import (
    AsyncClient,
    CallRecord,
    Checkpoint,
    RateLimits,
    ResponseError,
    ServerError,
    WindowSaturatedError,
)
from unlimcall_async.sandbox import ResetAfter, Sandbox, Status, generate_traffic
from unlimcall_async.sandbox.traffic import TrafficKind

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


@pytest.mark.rest_slow
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


@pytest.mark.slow
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


# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
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


@pytest.mark.parametrize("newest", [False, True])
async def test_a_record_that_is_rerated_between_checkpoint_and_resume_comes_once(
    sandbox: Sandbox, client: AsyncClient, newest: bool
) -> None:
    legs = [evolve(a_call(START, number // 3), duration=number) for number in range(12)]
    sandbox.add_calls(legs)
    stored = [client.cdrs.stream(START, END, newest_first=newest).checkpoint.to_json()]
    came: list[CallRecord] = []
    stream = client.cdrs.stream(START, END, newest_first=newest)
    async for record in stream:
        came.append(record)
        stored.append(stream.checkpoint.to_json())
    async with Sandbox() as rated:
        rated.add_calls(evolve(leg, sell_price_cents=100 + 7 * leg.duration % 5, disposition=None) for leg in legs)
        async with AsyncClient(rated.token, base_url=rated.url, rate_limits=RateLimits.unlimited()) as other:
            for count, text in enumerate(stored):
                rest = await rest_of(other.cdrs.stream(START, newest_first=newest, resume=Checkpoint.from_json(text)))
                assert sorted(each.duration for each in came[:count] + rest) == [*range(12)]
