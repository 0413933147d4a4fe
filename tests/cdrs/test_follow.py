"""The live tail over HTTP, on virtual time: client and server share the loop and the wall clock, and nothing sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from tests.cdrs.week import Week
from unlimcall_async import (
    AsyncClient,
    CdrFollow,
    Checkpoint,
    CheckpointError,
    RateLimit,
    RateLimits,
    ResponseError,
    ServerError,
    WindowSaturatedError,
)
from unlimcall_async.sandbox import ResetAfter, Sandbox, SandboxCall, Stall, Status
from unlimcall_async.sandbox.settings import Order

pytestmark = pytest.mark.looptime

START = datetime(2026, 6, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def now() -> datetime:
    """The wall clock: a day after the start when a test begins."""
    return START + timedelta(days=1, seconds=asyncio.get_running_loop().time())


@pytest.fixture(autouse=True)
def _wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    limits = RateLimits(cdrs=RateLimit(60))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        yield client


def a_call(start: datetime, number: int | str, **fields: object) -> SandboxCall:
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    return SandboxCall(id=f"{number}", start_time=start, **fields)  # type: ignore[arg-type] # a call is made of mixed types


def history(count: int = 5) -> list[SandboxCall]:
    return [a_call(START + number * HOUR, number) for number in range(count)]


async def some(follow: CdrFollow, count: int) -> list[str]:
    """Take so many records, and leave."""
    taken: list[str] = []
    async with aclosing(aiter(follow)) as records:
        async for record in records:
            taken.append(record.id)
            if len(taken) == count:
                break
    return taken


def polls(sandbox: Sandbox) -> list[tuple[datetime, datetime]]:
    """What was asked, as windows."""
    times = [(request.query["from"], request.query["till"]) for request in sandbox.requests]
    return [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in times]


def tomorrow(call: SandboxCall, seconds: float, sandbox: Sandbox) -> None:
    """Let a record appear later."""
    asyncio.get_running_loop().call_later(seconds, sandbox.add_calls, [call])


@pytest.mark.slow
async def test_the_history_comes_first_and_then_what_appears(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(reversed(history()))
    soon, late, later = now() + 5 * MINUTE, now() - 110 * MINUTE, now() + 20 * MINUTE
    tomorrow(a_call(soon, "soon"), 360, sandbox)
    tomorrow(a_call(late, "late"), 300, sandbox)
    tomorrow(a_call(later, "much later"), 9_000, sandbox)
    follow = client.cdrs.follow(START, lookback=timedelta(days=2))
    assert await some(follow, 8) == ["0", "1", "2", "3", "4", "late", "soon", "much later"]
    stats = follow.stats
    assert (stats.records, stats.retries, stats.held) == (8, 0, 8)
    assert stats.polls == pytest.approx(9_000 / 30, abs=5)
    # Now and then a page that has the most rows so far is checked.
    # The rest are checks of a size that comes again and again, each time that its number has doubled.
    assert stats.polls <= stats.requests == len(sandbox.requests) <= stats.polls + 45


async def test_records_of_one_poll_come_in_order(sandbox: Sandbox, client: AsyncClient) -> None:
    orders: tuple[Order, ...] = ("insertion", "newest_first")
    for order in orders:
        sandbox.settings.order = order
        follow = client.cdrs.follow(now())
        base = now() + MINUTE
        for number in (3, 1, 2, 0):
            tomorrow(a_call(base + timedelta(seconds=number // 2), f"{order} {number}"), 71, sandbox)
        assert await some(follow, 4) == [f"{order} {number}" for number in range(4)]


async def test_each_poll_reaches_back_from_the_start_of_the_last_that_succeeded(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    follow = client.cdrs.follow(START, interval=MINUTE, lookback=2 * HOUR)
    began = now()
    tomorrow(a_call(began, "x"), 601, sandbox)
    await some(follow, 1)
    windows = polls(sandbox)[1:]
    assert len(windows) == 11
    for number, (first, last) in enumerate(windows):
        before = began + number * MINUTE
        assert before - 2 * HOUR - 6 * MINUTE <= first <= before - 2 * HOUR
        assert before + MINUTE <= last <= before + MINUTE + timedelta(seconds=3)


async def test_an_outage_loses_nothing(sandbox: Sandbox, client: AsyncClient) -> None:
    follow = client.cdrs.follow(START, interval=MINUTE, lookback=HOUR)
    tomorrow(a_call(now() - MINUTE, "before"), 1, sandbox)
    assert await some(follow, 1) == ["before"]
    # Its call began before the outage, and it appears just after the follower was last there.
    tomorrow(a_call(now() - 59 * MINUTE, "long"), 60, sandbox)
    tomorrow(a_call(now() + 3 * HOUR, "meanwhile"), 3.5 * 3600, sandbox)
    injection = sandbox.inject(ResetAfter(), endpoint="cdrs", times=None)
    with pytest.raises(Exception, match="/cdrs"):
        await some(follow, 1)
    await asyncio.sleep(5 * 3600)
    resumed = client.cdrs.follow(START, interval=MINUTE, lookback=HOUR, resume=follow.checkpoint)
    sandbox.clear_faults()
    assert await some(resumed, 2) == ["long", "meanwhile"]
    assert injection.remaining is None


@pytest.mark.parametrize("resumed", range(9))
async def test_a_checkpoint_between_any_two_records_goes_on_in_another_process(
    sandbox: Sandbox, client: AsyncClient, resumed: int
) -> None:
    twins = [a_call(now() - MINUTE, "twin"), a_call(now() - MINUTE, "twin"), a_call(now() - MINUTE, "twin", src="+1")]
    sandbox.add_calls([*history(3), *twins])
    tomorrow(a_call(now(), "x"), 40, sandbox)
    tomorrow(a_call(now() - 2 * MINUTE, "y"), 40, sandbox)
    follow = client.cdrs.follow(START)
    first = await some(follow, resumed) if resumed else []
    checkpoint = Checkpoint.from_json(follow.checkpoint.to_json())
    assert checkpoint == follow.checkpoint
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as other:
        rest = await some(other.cdrs.follow(START, resume=checkpoint), 8 - resumed) if resumed < 8 else []
    assert [*first, *rest] == ["0", "1", "2", "twin", "twin", "twin", "y", "x"]
    assert "4155550100" not in checkpoint.to_json()


@pytest.mark.parametrize("start", [START, datetime(1969, 12, 1, tzinfo=UTC)], ids=["2026", "1969"])
async def test_a_lookback_may_be_longer_than_the_calendar(
    sandbox: Sandbox, client: AsyncClient, start: datetime
) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(start, lookback=timedelta.max)
    assert await some(follow, 3) == ["0", "1", "2"]
    checkpoint = Checkpoint.from_json(follow.checkpoint.to_json())
    assert checkpoint == follow.checkpoint
    assert await some(client.cdrs.follow(start, lookback=timedelta.max, resume=checkpoint), 2) == ["3", "4"]


async def test_what_was_dropped_with_its_iteration_counts_as_come_again(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START, lookback=timedelta(days=2))
    for taken in range(1, 5):
        await some(follow, 1)
        assert follow.stats.records == taken
        # All five have come again each time, and some of them in a check of the page's size, too.
        assert follow.stats.duplicates >= 5 * (taken - 1)


async def test_batches_and_records_are_two_views_on_one_position(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START)
    assert await some(follow, 2) == ["0", "1"]
    async for batch in follow.batches():
        assert [record.id for record in batch] == ["2", "3", "4"]
        break
    tomorrow(a_call(now(), "x"), 40, sandbox)
    assert await some(follow, 1) == ["x"]


async def test_closing_it_ends_the_iteration_also_while_it_waits(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START, interval=HOUR)
    asyncio.get_running_loop().call_later(1800, lambda: asyncio.ensure_future(follow.aclose()))
    assert [record.id async for record in follow] == ["0", "1", "2", "3", "4"]
    assert asyncio.get_running_loop().time() == pytest.approx(1800, abs=1)
    # To iterate again goes on.
    tomorrow(a_call(now(), "x"), 1, sandbox)
    assert await some(follow, 1) == ["x"]


@pytest.mark.parametrize("fault", [Stall(), Status(503)], ids=["in an answer", "before a retry"])
async def test_closing_it_ends_a_request_that_is_under_way(
    sandbox: Sandbox, client: AsyncClient, fault: Stall | Status
) -> None:
    sandbox.inject(fault, endpoint="cdrs", times=None)
    follow = client.cdrs.follow(START)
    asyncio.get_running_loop().call_later(2, lambda: asyncio.ensure_future(follow.aclose()))
    assert [record async for record in follow] == []
    assert asyncio.get_running_loop().time() < 3
    sandbox.clear_faults()
    sandbox.add_calls(history(1))
    assert await some(follow, 1) == ["0"]


async def test_closing_it_between_two_records_ends_the_iteration(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START)
    taken = []
    async for record in follow:
        taken.append(record.id)
        if len(taken) == 2:
            await follow.aclose()
    assert taken == ["0", "1"]
    assert await some(follow, 3) == ["2", "3", "4"]


@pytest.mark.parametrize("view", ["records", "batches"])
async def test_what_closing_left_behind_disturbs_no_later_iteration(
    sandbox: Sandbox, client: AsyncClient, view: str
) -> None:
    sandbox.add_calls([a_call(START + timedelta(seconds=number), number) for number in range(10)])
    follow = client.cdrs.follow(START, lookback=MINUTE)
    closed = aiter(follow) if view == "records" else follow.batches()
    for _ in range(10 if view == "records" else 1):
        await anext(closed)
    await follow.aclose()
    tomorrow(a_call(now() - 30 * timedelta(seconds=1), "late"), 1, sandbox)
    sandbox.settings.latency = 5
    task = asyncio.create_task(some(follow, 1))
    await asyncio.sleep(1)
    with pytest.raises(StopAsyncIteration):  # it ends, while the other one waits for an answer
        await anext(closed)
    assert await task == ["late"]


async def test_leaving_it_leaves_nothing_behind(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    before = asyncio.all_tasks()
    async with client.cdrs.follow(START) as follow:
        async for _ in follow:
            break
    with suppress(TimeoutError):
        async with asyncio.timeout(90):
            await some(follow, 99)
    left = {
        task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)
    }  # the server keeps its own
    assert not left


async def test_two_iterations_at_once_are_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START)
    async with aclosing(aiter(follow)) as first:
        await anext(first)
        with pytest.raises(RuntimeError, match="one iteration at a time"):
            await anext(aiter(follow))
        assert (await anext(first)).id == "1"


async def test_what_is_given_up_ends_it_with_a_good_checkpoint(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START)
    assert await some(follow, 3) == ["0", "1", "2"]
    sandbox.inject(Status(500), endpoint="cdrs", times=4)
    with pytest.raises(ServerError):
        await some(follow, 2)
    assert await some(client.cdrs.follow(START, resume=follow.checkpoint), 2) == ["3", "4"]
    assert await some(follow, 2) == ["3", "4"]  # and so does the follow itself
    assert follow.stats.retries == 3


async def test_what_is_retried_and_the_rate_limit_are_waited_out(sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"cdrs": 2}
    sandbox.add_calls(history())
    limits = RateLimits(cdrs=RateLimit(10))  # more than the server grants, so that it refuses
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        follow = client.cdrs.follow(START, interval=timedelta(seconds=5))
        tomorrow(a_call(now(), "x"), 1000, sandbox)
        sandbox.inject(Status(500), endpoint="cdrs", times=2, skip=3)
        assert await some(follow, 6) == ["0", "1", "2", "3", "4", "x"]
    assert {request.status for request in sandbox.requests} == {200, 429, 500}
    assert follow.stats.waited_s > 100


async def test_a_daily_limit_is_spread_over_the_day(sandbox: Sandbox) -> None:
    limits = RateLimits(cdrs=RateLimit(60, per_day=1000))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        follow = client.cdrs.follow(now() - HOUR)
        tomorrow(a_call(now(), "x"), 3600, sandbox)
        await some(follow, 1)
    assert follow.stats.requests == pytest.approx(3600 / 86_400 * 500, abs=2)


@pytest.mark.slow
async def test_a_limit_below_a_poll_an_interval_is_shared_too(sandbox: Sandbox) -> None:
    limits = RateLimits(cdrs=RateLimit(60, per_day=1000))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        # Between polls the share leaves 173 s: more than this lookback and two intervals.
        follow = client.cdrs.follow(now(), lookback=MINUTE)
        tomorrow(a_call(now() + 6 * HOUR, "x"), 6 * 3600 + 1, sandbox)
        await some(follow, 1)
    assert follow.stats.requests == pytest.approx(6 / 24 * 500, abs=2)


@pytest.mark.slow
async def test_a_saturated_instant_can_be_left_out(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.settings.cap, sandbox.settings.count = 20, "matches"
    crowd = [a_call(START + 30 * MINUTE, f"crowd {number}") for number in range(30)]
    sandbox.add_calls([*history(), *crowd])
    follow = client.cdrs.follow(START)
    assert await some(follow, 1) == ["0"]
    with pytest.raises(WindowSaturatedError) as caught:
        await some(follow, 1)
    error = caught.value
    assert error.start <= START + 30 * MINUTE < error.end
    assert await some(client.cdrs.follow(START, resume=error.resume_after), 4) == ["1", "2", "3", "4"]
    with pytest.raises(CheckpointError, match="of a follow"):
        client.cdrs.stream(START, resume=error.resume_after)


async def test_an_unreadable_row_can_be_left_out(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls([*history(), a_call(now() - MINUTE, "odd", duration="long")])
    follow = client.cdrs.follow(START)
    with pytest.raises(ResponseError) as caught:
        await some(follow, 9)
    assert caught.value.where == "calls[0].duration"
    assert caught.value.resume_after is not None
    resumed = client.cdrs.follow(START, resume=caught.value.resume_after)
    tomorrow(a_call(now() + 5 * MINUTE, "x"), 600, sandbox)
    assert (await some(resumed, 1)) == ["x"]


@pytest.mark.slow
async def test_a_start_that_is_still_to_come_is_waited_for(sandbox: Sandbox, client: AsyncClient) -> None:
    follow = client.cdrs.follow(now() + HOUR)
    tomorrow(a_call(now() + 59 * MINUTE, "before"), 7000, sandbox)
    tomorrow(a_call(now() + 61 * MINUTE, "after"), 7000, sandbox)
    assert await some(follow, 1) == ["after"]
    assert sandbox.requests[0].received_at >= 3600


async def test_the_lag_says_how_far_it_is_behind(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(history())
    follow = client.cdrs.follow(START, interval=10 * MINUTE)
    assert follow.stats.lag_s == pytest.approx(86_400, abs=1)
    assert await some(follow, 2) == ["0", "1"]
    assert follow.stats.lag_s == pytest.approx(82_800, abs=300)
    task = asyncio.create_task(some(follow, 4))
    await asyncio.sleep(60)
    assert follow.stats.lag_s == pytest.approx(60, abs=1)
    await asyncio.sleep(539)
    assert follow.stats.lag_s == pytest.approx(599, abs=1)
    task.cancel()
    await asyncio.wait([task])


async def test_its_repr_says_how_far_it_is(client: AsyncClient) -> None:
    assert repr(client.cdrs.follow(START)) == "<CdrFollow from 2026-06-01T00:00:00+00:00, 0 records so far>"


@pytest.mark.slow
async def test_a_busy_day_with_crashes_an_outage_faults_and_late_records() -> None:
    week = Week(timedelta(days=1), timedelta(minutes=5), crashes=5, calls=4000)
    await week.run()
    assert week.faults() == []
    assert week.failed > 0


@pytest.mark.slow
async def test_several_follows_of_a_client_share_the_share(sandbox: Sandbox) -> None:
    limits = RateLimits(cdrs=RateLimit(20))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        follows = [client.cdrs.follow(now(), interval=timedelta(seconds=1)) for _ in range(3)]
        tasks = [asyncio.create_task(some(follow, 1)) for follow in follows]
        await asyncio.sleep(600)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    times = [request.received_at for request in sandbox.requests]
    assert max(sum(at <= other < at + 60 for other in times) for at in times) == 10
    assert len(times) == pytest.approx(100, abs=5)
