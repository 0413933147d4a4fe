"""Deliveries that fail: what is tried again and when, and what becomes of an endpoint that keeps failing."""

import asyncio
import time
from itertools import repeat

import aiohttp
import pytest

from unlimcall_async.sandbox import Sandbox

from .receiving import TARGET, Arrival, Receiver, in_time, receiving, statuses_of, subscribed
from .support import Visitor

HOUR = 3600


async def never(_: Arrival) -> None:
    await asyncio.Event().wait()


def leave_out_all_waits(sandbox: Sandbox) -> None:
    sandbox.settings.webhooks.speed = float("inf")


@pytest.mark.looptime
async def test_what_fails_for_a_while_is_tried_again_later_and_later(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hook_id = await subscribed(visitor)
    receiver.statuses = iter([500, 502, 503, 599])
    came = []

    async def note(_: Arrival) -> None:
        came.append(asyncio.get_running_loop().time())

    receiver.before = note
    sandbox.deliver("call.ended", event_id="e1")
    await sandbox.delivered()

    assert [moment - came[0] for moment in came] == pytest.approx([0, 60, 180, 420, 900], abs=1)
    assert [attempt.age for attempt in sandbox.deliveries] == [0, 60, 180, 420, 900]
    assert [attempt.number for attempt in sandbox.deliveries] == [1, 2, 3, 4, 5]
    assert statuses_of(sandbox) == [500, 502, 503, 599, 200]
    assert len({arrival.body for arrival in receiver.arrivals}) == 1
    assert sandbox.hooks[hook_id].failures == 0


@pytest.mark.looptime
async def test_speed_and_first_delay_are_settings(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    receiver.statuses = iter([500, 500])
    sandbox.settings.webhooks.speed = 3600.0
    sandbox.settings.webhooks.first_delay = 2.0 * HOUR
    loop = asyncio.get_running_loop()
    start = loop.time()

    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert [attempt.age for attempt in sandbox.deliveries] == [0, 2 * HOUR, 6 * HOUR]
    assert loop.time() - start == pytest.approx(6, abs=0.5)  # on the clock that the test moves


@pytest.mark.looptime
async def test_after_24_hours_it_is_given_up(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook_id = await subscribed(visitor)
    receiver.statuses = repeat(503)
    sandbox.settings.webhooks.first_delay = 1.0 * HOUR

    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert [attempt.age for attempt in sandbox.deliveries] == [0, HOUR, 3 * HOUR, 7 * HOUR, 15 * HOUR]
    assert (sandbox.hooks[hook_id].enabled, sandbox.hooks[hook_id].failures) == (True, 5)


async def test_other_answers_fail_for_ever(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook_id = await subscribed(visitor)
    statuses = [400, 404, 410, 429, 301, 307]
    for count, status in enumerate(statuses, 1):
        receiver.statuses = iter([status])

        sandbox.deliver("call.ended")
        await sandbox.delivered()

        assert statuses_of(sandbox) == statuses[:count]
        assert len(receiver.arrivals) == count  # a redirect is not followed
        assert (sandbox.hooks[hook_id].enabled, sandbox.hooks[hook_id].failures) == (True, count)


@pytest.mark.looptime
async def test_no_answer_in_time_is_a_failure_that_is_tried_again(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.timeout = 3.0
    receiver.before = never

    sandbox.deliver("call.ended")
    await in_time(lambda: receiver.arrivals)
    before = asyncio.get_running_loop().time()
    await in_time(lambda: sandbox.deliveries[0].error)
    assert asyncio.get_running_loop().time() - before == pytest.approx(3, abs=0.5)  # on the clock that the test moves

    receiver.before = Receiver().before
    await sandbox.delivered()

    assert statuses_of(sandbox) == ["timeout", 200]


async def test_a_receiver_that_is_down_is_a_failure_that_is_tried_again(visitor: Visitor, sandbox: Sandbox) -> None:
    await subscribed(visitor)
    leave_out_all_waits(sandbox)
    async with receiving() as receiver:
        sandbox.settings.deliver_to = {TARGET: receiver.url}

    sandbox.settings.webhooks.first_delay = 20.0 * HOUR
    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert statuses_of(sandbox) == ["connection", "connection"]


async def test_an_answer_that_is_not_http_is_a_failure_that_is_tried_again(visitor: Visitor, sandbox: Sandbox) -> None:
    await subscribed(visitor)
    leave_out_all_waits(sandbox)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x15\x03\x01 not HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sandbox.settings.deliver_to = {TARGET: f"http://127.0.0.1:{port}/"}
        sandbox.settings.webhooks.first_delay = 20.0 * HOUR
        sandbox.deliver("call.ended")
        await sandbox.delivered()

    assert statuses_of(sandbox) == ["connection", "connection"]


async def test_after_ten_failures_in_a_row_an_endpoint_gets_nothing_more(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hook_id, other = await subscribed(visitor), await subscribed(visitor, "dnc.added")
    leave_out_all_waits(sandbox)
    receiver.statuses = repeat(503, 10)

    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert statuses_of(sandbox) == [503] * 10
    assert not sandbox.hooks[hook_id].enabled
    assert (await visitor.ask("DELETE", f"/hooks/{hook_id}")).error == (404, "not_found")

    sandbox.deliver("call.ended")
    sandbox.deliver("dnc.added")
    await sandbox.delivered()

    assert [attempt.hook_id for attempt in sandbox.deliveries[10:]] == [other]
    assert sandbox.hooks[other].enabled


async def test_failures_of_all_kinds_count_together_and_a_success_begins_anew(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hook_id = await subscribed(visitor)
    for row, last in [(9, 200), (9, 204), (10, 404)]:
        receiver.statuses = iter([*([400, 301, 410] * 4)[: row - 1], last if row == 10 else 400, last])
        for _ in range(row):
            sandbox.deliver("call.ended")
            await sandbox.delivered()
        if row < 10:
            assert (sandbox.hooks[hook_id].enabled, sandbox.hooks[hook_id].failures) == (True, 9)
            sandbox.deliver("call.ended")
            await sandbox.delivered()
            assert sandbox.hooks[hook_id].failures == 0

    assert not sandbox.hooks[hook_id].enabled


@pytest.mark.looptime
async def test_retries_end_when_the_endpoint_is_deleted(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook_id = await subscribed(visitor)
    receiver.statuses = repeat(503)
    sandbox.deliver("call.ended")
    await in_time(lambda: statuses_of(sandbox) == [503])

    assert (await visitor.ask("DELETE", f"/hooks/{hook_id}")).status == 204
    await sandbox.delivered()

    assert statuses_of(sandbox) == [503]


async def test_a_delivery_that_is_under_way_does_not_undo_a_deletion(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hook_id = await subscribed(visitor)

    async def delete(_: Arrival) -> None:
        assert (await visitor.ask("DELETE", f"/hooks/{hook_id}")).status == 204

    receiver.before = delete
    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert statuses_of(sandbox) == [200]
    assert not sandbox.hooks[hook_id].enabled


async def test_a_retry_after_20_hours_comes_at_once_with_a_first_signature_that_old(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hook = sandbox.hooks[await subscribed(visitor)]
    receiver.statuses = iter([503])
    leave_out_all_waits(sandbox)
    sandbox.settings.webhooks.resign = False
    sandbox.settings.webhooks.first_delay = 20.0 * HOUR

    before = int(time.time())
    sandbox.deliver("call.ended", event_id="e1")
    await sandbox.delivered()

    first, second = receiver.arrivals
    assert first.timestamp - second.timestamp == 20 * HOUR
    assert before <= first.timestamp <= time.time()
    assert first.body == second.body
    assert all(arrival.is_signed_with(hook.secret) for arrival in receiver.arrivals)
    assert [attempt.age for attempt in sandbox.deliveries] == [0, 20 * HOUR]


@pytest.mark.looptime
@pytest.mark.parametrize(("speed", "moved_back"), [(1.0, 0), (3600.0, 20 * HOUR - 20), (0.5, -20 * HOUR)])
async def test_what_really_passes_needs_no_moving_back(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver, speed: float, moved_back: int
) -> None:
    await subscribed(visitor)
    receiver.statuses = iter([503])
    webhooks = sandbox.settings.webhooks
    webhooks.resign, webhooks.first_delay, webhooks.speed = False, 20.0 * HOUR, speed

    sandbox.deliver("call.ended")
    await sandbox.delivered()

    first, second = receiver.arrivals
    assert first.timestamp - second.timestamp == moved_back


async def test_a_retry_can_be_signed_anew_or_keep_its_header(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribed(visitor)
    leave_out_all_waits(sandbox)
    webhooks = sandbox.settings.webhooks
    now = 1_779_646_442.5
    monkeypatch.setattr("unlimcall_async.sandbox.sender.time.time", lambda: now)

    async def a_second_later(_: Arrival) -> None:
        nonlocal now
        now += 1

    receiver.before = a_second_later

    async def timestamps() -> list[int]:
        receiver.arrivals.clear()
        receiver.statuses = iter([503, 503])
        sandbox.deliver("call.ended")
        await sandbox.delivered()
        return [arrival.timestamp - 1_779_646_442 for arrival in receiver.arrivals]

    assert await timestamps() == [0, 1, 2]
    webhooks.resign, webhooks.clock = False, "real"
    assert await timestamps() == [3, 3, 3]
    assert len({arrival.signature for arrival in receiver.arrivals}) == 1
    webhooks.clock = "accelerated"
    assert await timestamps() == [6, 6 - 60, 6 - 180]


@pytest.mark.looptime
async def test_stopping_gives_up_all_that_is_under_way(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook_id = await subscribed(visitor)
    receiver.statuses = iter([503])
    sandbox.settings.webhooks.call_seconds = 3600.0
    await visitor.call()
    before = asyncio.all_tasks()
    sandbox.deliver("call.ended", event_id="waits")
    await in_time(lambda: statuses_of(sandbox) == [503])
    receiver.before = never
    sandbox.deliver("call.ended", event_id="in flight")
    await in_time(lambda: len(receiver.arrivals) == 2)
    waiter = asyncio.create_task(sandbox.delivered())
    stopped = asyncio.get_running_loop().time()

    await sandbox.stop()
    await waiter

    assert asyncio.get_running_loop().time() - stopped < 0.5  # no timeout had to pass
    assert statuses_of(sandbox) == [503, None]
    assert (sandbox.hooks[hook_id].failures, sandbox.hooks[hook_id].enabled) == (1, True)
    await in_time(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})


async def test_it_delivers_again_after_another_start(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    for name in ("e1", "e2"):
        sandbox.deliver("call.ended", event_id=name)
        await sandbox.delivered()
        await sandbox.stop()
        with pytest.raises(RuntimeError, match="the sandbox is stopped"):
            sandbox.deliver("call.ended")
        await sandbox.start()

    assert receiver.event_ids == ["e1", "e2"]


@pytest.mark.looptime
async def test_waiting_for_deliveries_can_be_cancelled_and_cancels_none(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    await subscribed(visitor)
    receiver.statuses = iter([503])
    sandbox.deliver("call.ended")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sandbox.delivered(), 1)

    await sandbox.delivered()

    assert statuses_of(sandbox) == [503, 200]


async def test_a_sandbox_that_never_delivered_has_no_session(sandbox: Sandbox) -> None:
    await sandbox.delivered()
    await sandbox.stop()
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as session:
            await session.get(sandbox.url)
