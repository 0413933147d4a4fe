"""The statistics and the progress of a stream, against what the server has seen."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.cdrs.calls import every_second, expected
from tests.cdrs.matrix import END, START
from unlimcall_async import AsyncClient, RateLimit, RateLimits
from unlimcall_async.sandbox import Sandbox, Status, generate_traffic


@pytest.mark.slow
async def test_rows_that_are_held_for_their_turn_are_no_duplicates(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(generate_traffic(7000, start=START, end=START + timedelta(days=30), kind="uniform"))
    async with client.cdrs.stream(START, END) as stream:
        # The newest come first, so pages are held until a chain of them reaches the oldest.
        async for _ in stream:
            if stream.stats.requests >= 8:
                break
        assert stream.stats.duplicates < 3000


@pytest.mark.slow
@pytest.mark.looptime
async def test_the_statistics_are_those_of_the_server(sandbox: Sandbox) -> None:
    sandbox.settings.latency = 0.1
    sandbox.add_calls(generate_traffic(7000, start=START, end=END, kind="uniform"))
    sandbox.inject(Status(503), endpoint="cdrs", times=2, skip=3)
    rows = []

    limits = RateLimits(cdrs=RateLimit(60, burst=1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        stream = client.cdrs.stream(START, END)
        records = [record async for record in stream]
        # What the server gave, window by window, asked again without the stream.
        for request in sandbox.requests:
            if request.status == 200:
                first, last = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
                within = [call for call in sandbox.calls if first <= call.start_time < last]
                rows.append(min(1000, len(within)))
    stats, answered = stream.stats, len(rows)
    assert (stats.records, stats.requests, stats.retries) == (len(records), answered, 2)
    assert stats.full_pages == sum(count == 1000 for count in rows) > 0
    assert stats.duplicates == sum(rows) - 7000 > 0
    assert stats.min_requests == 7
    # One request a second and, in all but the first, a wait for it, at most four of them at a time.
    assert answered - 2 <= stats.waited_s <= 4 * (answered + 2)
    assert stats.strategy == "seek"


@pytest.mark.parametrize(("days", "least"), [(1, 1), (31, 1), (32, 2), (62, 2), (365, 12)])
async def test_an_empty_range_takes_a_request_for_31_days(
    sandbox: Sandbox, client: AsyncClient, days: int, least: int
) -> None:
    stream = client.cdrs.stream(START, START + timedelta(days=days))
    assert [record async for record in stream] == []
    assert stream.stats.min_requests == least
    assert least <= stream.stats.requests == len(sandbox.requests) <= least + 1


@pytest.mark.slow
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


@pytest.mark.parametrize("newest", [False, True])
async def test_what_is_resumed_in_batches_counts_the_rest_alone(
    sandbox: Sandbox, client: AsyncClient, newest: bool
) -> None:
    calls = every_second(100)
    sandbox.add_calls(calls)
    stream = client.cdrs.stream(START, END, newest_first=newest)
    async with stream:
        async for _ in stream:
            if stream.stats.records == 30:
                break
    rest = client.cdrs.stream(START, END, newest_first=newest, resume=stream.checkpoint)
    came = [record async for batch in rest.batches() for record in batch]
    assert came == expected(calls, newest_first=newest)[30:]
    assert (rest.stats.records, rest.progress.records) == (70, 70)
