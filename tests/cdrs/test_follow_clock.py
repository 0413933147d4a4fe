"""A follow believes no clock of this machine: over real HTTP, on virtual time, with the server's time in `Date`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from attrs import define

from tests.cdrs.raw_server import RawRow, RawServer, good, ids, served
from unlimcall_async import AsyncClient, CdrFollow, Checkpoint

pytestmark = [pytest.mark.looptime, pytest.mark.own_rules]

START = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def true_time() -> datetime:
    return START + HOUR + asyncio.get_running_loop().time() * SECOND


@define
class World:
    """A server that shows a call five minutes after its start, and a wall clock here that may be wrong."""

    rows: list[RawRow]
    off: timedelta = timedelta(0)

    def serve(self, *, dates: bool = True) -> RawServer:
        server = RawServer([], date=true_time if dates else (lambda: START - 365 * DAY))

        async def show(_first: datetime, _last: datetime) -> None:
            server.rows = [row for row in self.rows if row.start + 5 * MINUTE <= true_time()]

        server.answer = show
        return server

    def wall(self) -> datetime:
        return true_time() + self.off


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World([good(START + number * 7 * MINUTE, number) for number in range(400)])
    monkeypatch.setattr("unlimcall_async._clock.utc_now", world.wall)
    return world


async def read_until(follow: CdrFollow, end: datetime, turn: Callable[[], None] = lambda: None) -> list[str]:
    """Read for as long as the true time is before the end; `turn` is called after each quarter of an hour without a record."""
    got: list[str] = []
    records = aiter(follow)
    while true_time() < end:
        try:
            async with asyncio.timeout(900):
                got.append((await anext(records)).id)
        except TimeoutError:
            turn()
    return got


def follow(client: AsyncClient, resume: Checkpoint | None = None) -> CdrFollow:
    return client.cdrs.follow(START, lookback=timedelta(minutes=30), interval=MINUTE, resume=resume)


@pytest.mark.slow
@pytest.mark.parametrize(("off", "lasting"), [*product([DAY, -DAY, 400 * DAY], [MINUTE, HOUR])], ids=str)
async def test_a_clock_that_jumps_and_comes_back_loses_nothing(
    world: World, off: timedelta, lasting: timedelta
) -> None:
    async with served(world.serve()) as client:
        tail = follow(client)
        got = await read_until(tail, true_time() + HOUR)
        world.off = off
        got += await read_until(tail, true_time() + lasting)
        assert tail.stats.clock_skew_s == pytest.approx(off.total_seconds(), abs=2)
        world.off = timedelta(0)
        got += await read_until(tail, true_time() + HOUR)
        shown = [row for row in world.rows if row.start + 7 * MINUTE <= true_time()]
        assert got == ids(world.rows)[: len(got)]
        assert len(got) >= len(shown)
        assert tail.stats.lag_s < 120


@pytest.mark.slow
async def test_a_clock_that_is_ahead_shows_in_the_lag_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(world.serve()) as client:
        world.off = DAY
        tail = follow(client)
        await read_until(tail, true_time() + HOUR)
        assert tail.stats.lag_s > 86_000
        stored = tail.checkpoint
        assert [record.levelno for record in caplog.records if "clock" in record.message] == [logging.WARNING]
        # In another process, whose clock is right.
        world.off = timedelta(0)
        got = await read_until(follow(client, Checkpoint.from_json(stored.to_json())), true_time() + 3 * HOUR)
        assert len(got) >= 3 * 60 / 7 - 1


@pytest.mark.slow
async def test_an_old_date_costs_requests_and_no_record(world: World) -> None:
    server = world.serve(dates=False)
    async with served(server) as client:
        tail = follow(client)
        got = await read_until(tail, true_time() + HOUR)
        assert got == ids(world.rows)[: len(got)]
        assert len(got) >= 2 * 60 / 7 - 2
        # Nothing after the start is known, as far as the server tells.
        assert tail.stats.lag_s > 7000


async def test_the_end_of_a_stream_is_no_later_than_the_servers_time_if_that_is_known(world: World) -> None:
    async with served(world.serve()) as client:
        world.off = DAY
        assert client.cdrs.stream(START).end == world.wall()
        await client.cdrs.list(START, START + HOUR)
        assert abs(client.cdrs.stream(START).end - true_time()) < 2 * SECOND
        stream = client.cdrs.stream(START, START + HOUR)
        assert [record async for record in stream]
        assert stream.stats.clock_skew_s == pytest.approx(86_400, abs=2)


@pytest.mark.slow
async def test_the_last_time_that_the_server_told_counts_for_responses_without_a_date(world: World) -> None:
    server = world.serve()
    async with served(server) as client:
        tail = follow(client)
        got = await read_until(tail, true_time() + HOUR)
        # An empty header is not a date, and keeps aiohttp from writing one.
        server.date, world.off = None, DAY
        got += await read_until(tail, true_time() + HOUR)
        world.off = timedelta(0)
        got += await read_until(tail, true_time() + HOUR)
        assert got == ids(world.rows)[: len(got)]
        assert len(got) >= 4 * 60 / 7 - 2
