"""A server that does not answer wide windows in time is asked narrower ones, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from tests.cdrs.raw_server import ORDERS, Order, RawServer, evenly, ids, served
from tests.selection import covering
from unlimcall_async import CdrStream, RequestTimeoutError, RetryPolicy, ServerError, TransportError, UnlimCallError

pytestmark = pytest.mark.own_rules

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = START + 90 * DAY

Answer = Callable[[datetime, datetime], Awaitable[web.Response | None]]


async def gateway_timeout() -> web.Response:
    return web.Response(status=504, text="<html>504</html>", content_type="text/html")


async def no_response() -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody waits so long")


async def timeout_of_a_proxy() -> web.Response:
    return web.Response(status=524)


def slow_above(widest: timedelta, how: Callable[[], Awaitable[web.Response]]) -> Answer:
    async def answer(first: datetime, last: datetime) -> web.Response | None:
        return await how() if last - first > widest else None

    return answer


async def read(server: RawServer, newest: bool = False, timeout: float = 30, **options: object) -> list[str]:
    async with served(server, timeout=timeout, **options) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest)
        got = [record.id async for record in stream]
        assert stream.stats.records == len(got)
        return got


@pytest.mark.rest_slow
@pytest.mark.parametrize("how", [gateway_timeout, no_response, timeout_of_a_proxy])
@pytest.mark.parametrize("newest", [False, True], ids=["oldest out", "newest out"])
async def test_the_width_that_worked_is_kept_for_the_rest_of_the_pull(
    how: Callable[[], Awaitable[web.Response]], newest: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unlimcall_async")
    server = RawServer(evenly(500, START, END - START), answer=slow_above(3 * DAY, how))
    # Each question of a server that does not answer takes the whole timeout.
    assert (
        await read(server, newest, timeout=0.1 if how is no_response else 30)
        == ids(server.rows)[:: -1 if newest else 1]
    )
    widths = [last - first for first, last in server.asked]
    wide = [place for place, width in enumerate(widths) if width > 3 * DAY]
    # Of each width two attempts, for each of four questions under way; then never again.
    assert len(wide) <= 2 * 4 * 4
    assert max(wide) < len(widths) // 2
    assert any("not answered in time" in message for message in caplog.messages)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
async def test_full_pages_of_a_slow_server_come_whole(order: Order) -> None:
    server = RawServer(evenly(12_000, START, END - START), order, answer=slow_above(5 * DAY, gateway_timeout))
    assert await read(server) == ids(server.rows)


async def test_a_server_that_is_down_is_asked_down_to_an_hour_and_then_given_up() -> None:
    server = RawServer([], answer=slow_above(timedelta(0), gateway_timeout))
    given_up: list[UnlimCallError] = []
    policy = RetryPolicy(delays=(0.001, 0.001, 0.001), on_give_up=given_up.append)
    async with served(server, retry=policy) as client:
        stream = client.cdrs.stream(START, END, concurrency=1)
        with pytest.raises(ServerError) as caught:
            async for _ in stream:
                pass
        assert caught.value.status == 504
        widths = [last - first for first, last in server.asked]
        assert HOUR - timedelta(seconds=4) <= widths[-1] <= HOUR
        # Two attempts at each of ten widths, and four at the last.
        assert len(widths) == 2 * 10 + 4
        assert [error.status for error in given_up if isinstance(error, ServerError)] == [504]

        # It was down, not slow: once it is up again, windows are as wide as before, apart from those that are cut already.
        server.asked.clear()
        server.answer = slow_above(365 * DAY, gateway_timeout)
        assert [record async for record in stream] == []
        assert len(server.asked) <= 3 + 10


async def test_a_policy_without_retries_narrows_nothing() -> None:
    server = RawServer([], answer=slow_above(timedelta(0), gateway_timeout))
    async with served(server, retry=RetryPolicy(delays=())) as client:
        with pytest.raises(ServerError):
            async for _ in client.cdrs.stream(START, END, concurrency=1):
                pass
    assert len(server.asked) == 1


async def test_two_slow_answers_cost_half_a_width() -> None:
    server = RawServer(evenly(310, START, END - START))  # no page has a size that people set as a cap
    failures = 2

    async def twice(_first: datetime, _last: datetime) -> web.Response | None:
        nonlocal failures
        failures -= 1
        return await gateway_timeout() if failures >= 0 else None

    server.answer = twice
    assert await read(server) == ids(server.rows)
    assert len(server.asked) <= 2 + 9


@pytest.mark.parametrize(
    ("how", "error"), [(gateway_timeout, ServerError), (no_response, RequestTimeoutError)], ids=["504", "no answer"]
)
async def test_a_follow_narrows_too(how: Callable[[], Awaitable[web.Response]], error: type[Exception]) -> None:
    server = RawServer(evenly(50, START, 60 * DAY), answer=slow_above(6 * DAY, how))
    async with served(server, timeout=0.05) as client:
        follow = client.cdrs.follow(START, unreadable="keep")
        got: list[str] = []
        async for record in follow:
            got.append(record.id)
            if len(got) == 50:
                break
        assert got == ids(server.rows)
        # A single call is what the user asked for: it is not halved.
        with pytest.raises((error, TransportError)):
            await client.cdrs.list(START, START + 20 * DAY)


# --- by what a window holds, and not by its width ---------------------------------------------------------------------------


def fits(answered: Callable[[datetime, datetime], bool]) -> Answer:
    async def answer(first: datetime, last: datetime) -> web.Response | None:
        return None if answered(first, last) else await gateway_timeout()

    return answer


@pytest.mark.slow
@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_a_server_that_answers_an_hour_and_no_more_gives_all(order: Order, newest: bool) -> None:
    server = RawServer(evenly(500, START, 4 * DAY), order, answer=fits(lambda first, last: last - first <= HOUR))
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + 4 * DAY, newest_first=newest)
        assert [record.id async for record in stream] == ids(server.rows)[:: -1 if newest else 1]
    # Each hour once, and the questions at each width that was too wide.
    assert len(server.asked) < 4 * 24 + 2 * 4 * 8


@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_a_server_that_is_down_is_given_up_after_the_first_hour(order: Order, newest: bool) -> None:
    server = RawServer(evenly(500, START, 60 * DAY), order, answer=fits(lambda _first, _last: False))
    async with served(server) as client:
        with pytest.raises(ServerError):
            async for _ in client.cdrs.stream(START, START + 60 * DAY, newest_first=newest):
                pass
    # Two attempts at each of ten widths, and four at an hour, for each of the requests that may be under way at once.
    assert len(server.asked) <= 4 * 24


@pytest.mark.rest_slow
@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_a_moment_that_no_window_shows_costs_no_record_before_it(order: Order, newest: bool) -> None:
    broken = START + 5 * DAY
    rows = evenly(5000, START, 60 * DAY)
    server = RawServer(rows, order, answer=fits(lambda first, last: not first <= broken <= last))
    got: list[str] = []

    async def take(stream: CdrStream) -> None:
        async for record in stream:
            got.append(record.id)  # noqa: PERF401 # what came before the error counts

    async with served(server) as client:
        with pytest.raises(ServerError):
            await take(client.cdrs.stream(START, START + 60 * DAY, newest_first=newest))
    before = [row for row in rows if (row.start > broken + HOUR if newest else row.start < broken - HOUR)]
    expected = ids(before)[:: -1 if newest else 1]
    assert got[: len(expected)] == expected
    assert len(server.asked) < 60


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
async def test_where_windows_with_many_rows_alone_are_slow_all_rows_come(order: Order) -> None:
    rows = evenly(900, START, 40 * DAY) + evenly(900, START + 20 * DAY, DAY)
    server = RawServer(rows, order)
    server.answer = fits(lambda first, last: sum(first <= row.start <= last for row in rows) <= 60)
    async with served(server) as client:
        stream = client.cdrs.stream(START, START + 40 * DAY, page_size=50)
        assert len([record async for record in stream]) == 1800
