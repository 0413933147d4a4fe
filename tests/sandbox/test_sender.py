"""Deliveries that arrive: who gets what, signed how, how often and in which order."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from unlimcall_async.sandbox import Envelope, EventType, Sandbox
from unlimcall_async.sandbox.events import EVENTS

from .receiving import TARGET, Arrival, Receiver, receiving, statuses_of, subscribed
from .support import Visitor

NOON = datetime(2026, 5, 24, 12, tzinfo=UTC)


async def test_an_event_is_posted_and_signed(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook = sandbox.hooks[await subscribed(visitor)]

    event = sandbox.deliver("call.ended", {"callId": "c1", "note": "Zürich"}, event_id="e1", occurred_at=NOON)
    await sandbox.delivered()

    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path) == ("POST", "/local")
    assert arrival.headers["Content-Type"] == "application/json"
    assert "Authorization" not in arrival.headers
    assert arrival.body == event.body
    assert arrival.json() == {
        "event": "call.ended",
        "eventId": "e1",
        "timestamp": "2026-05-24T12:00:00.000Z",
        "callId": "c1",
        "note": "Zürich",
    }
    assert arrival.is_signed_with(hook.secret)
    assert not arrival.is_signed_with(hook.secret.removeprefix("whsec_"))


async def test_an_attempt_is_logged(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    hook_id = await subscribed(visitor)

    event = sandbox.deliver("call.ended")
    await sandbox.delivered()

    (attempt,), (arrival,) = sandbox.deliveries, receiver.arrivals
    assert (attempt.hook_id, attempt.target_url) == (hook_id, TARGET)
    assert (attempt.event, attempt.event_id) == ("call.ended", event.id)
    assert (attempt.number, attempt.age) == (1, 0)
    assert (attempt.status, attempt.error, attempt.delivered) == (200, None, True)
    assert (attempt.signature, attempt.body) == (arrival.signature, arrival.body)
    assert int(attempt.sent_at) == arrival.timestamp
    assert "phone" not in repr(attempt)


async def test_all_five_events_are_delivered_each_to_those_who_want_it(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    hooks: dict[EventType, str] = {event: await subscribed(visitor, event) for event in EVENTS}

    for event in EVENTS:
        sandbox.deliver(event)
    await sandbox.delivered()

    assert len(receiver.arrivals) == 5
    by_type = {arrival.json()["event"]: arrival for arrival in receiver.arrivals}
    for event, hook_id in hooks.items():
        assert by_type[event].is_signed_with(sandbox.hooks[hook_id].secret)
    assert by_type["disposition.set"].json()["triggersDnc"] is False


async def test_nobody_subscribed_is_nobody_told(sandbox: Sandbox, receiver: Receiver) -> None:
    event = sandbox.deliver("dnc.added")
    await sandbox.delivered()

    assert event.type == "dnc.added"
    assert (receiver.arrivals, sandbox.deliveries) == ([], [])


async def test_two_subscriptions_to_one_target_both_deliver_with_their_own_secrets(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    """That is how a secret is changed: the API has no other way."""
    old, new = [sandbox.hooks[await subscribed(visitor)] for _ in range(2)]

    sandbox.deliver("call.ended", event_id="e1")
    await sandbox.delivered()

    assert receiver.event_ids == ["e1", "e1"]
    for hook in (old, new):
        assert sum(arrival.is_signed_with(hook.secret) for arrival in receiver.arrivals) == 1

    await visitor.ask("DELETE", f"/hooks/{old.id}")
    sandbox.deliver("call.ended", event_id="e2")
    await sandbox.delivered()

    assert receiver.event_ids == ["e1", "e1", "e2"]
    assert receiver.arrivals[2].is_signed_with(new.secret)


async def test_a_target_without_a_receiver_gets_nothing_and_does_not_fail(visitor: Visitor, sandbox: Sandbox) -> None:
    hook_id = await subscribed(visitor)

    for _ in range(11):
        sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert statuses_of(sandbox) == ["no route"] * 11
    assert all(attempt.signature and attempt.body for attempt in sandbox.deliveries)
    assert (sandbox.hooks[hook_id].enabled, sandbox.hooks[hook_id].failures) == (True, 0)


async def test_each_target_has_its_own_receiver_and_may_move(visitor: Visitor, sandbox: Sandbox) -> None:
    other = "https://example.org/other"
    await subscribed(visitor)
    await subscribed(visitor, target=other)
    async with receiving() as one, receiving() as two:
        sandbox.settings.deliver_to = {TARGET: one.url, other: two.url}
        sandbox.deliver("call.ended", event_id="e1")
        await sandbox.delivered()

        sandbox.settings.deliver_to = {TARGET: two.url}
        sandbox.deliver("call.ended", event_id="e2")
        await sandbox.delivered()

    assert one.event_ids == ["e1"]
    assert two.event_ids == ["e1", "e2"]
    assert sorted(map(str, statuses_of(sandbox))) == ["200", "200", "200", "no route"]


async def test_the_envelope_is_a_setting(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor, "lead.completed")

    sandbox.settings.webhooks.envelope = Envelope(
        type="type", id="id", payload="data", time="createdAt", time_format="unix"
    )
    sandbox.deliver("lead.completed", {"contactId": "9"}, event_id="e1", occurred_at=NOON)
    await sandbox.delivered()

    assert receiver.arrivals[0].json() == {
        "type": "lead.completed",
        "id": "e1",
        "createdAt": 1779624000,
        "data": {"contactId": "9"},
    }


async def test_twins_are_under_way_at_the_same_time(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.twins = 1.0
    answered_when_first_came = []

    async def note(_: Arrival) -> None:
        answered_when_first_came.append([attempt.status for attempt in sandbox.deliveries])

    receiver.before = note
    sandbox.deliver("call.ended", event_id="e1")
    await sandbox.delivered()

    assert receiver.event_ids == ["e1", "e1"]
    assert answered_when_first_came[0] == [None, None]
    assert [attempt.number for attempt in sandbox.deliveries] == [1, 1]


async def test_a_repeat_comes_after_the_delivery(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.repeats = 1.0
    receiver.statuses = iter([500, 200, 200])
    sandbox.settings.webhooks.speed = float("inf")

    sandbox.deliver("call.ended", event_id="e1")
    await sandbox.delivered()

    assert receiver.event_ids == ["e1"] * 3
    assert [(attempt.number, attempt.status) for attempt in sandbox.deliveries] == [(1, 500), (2, 200), (1, 200)]


async def test_what_is_not_delivered_is_not_repeated(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.repeats = 1.0
    receiver.statuses = iter([410])

    sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert statuses_of(sandbox) == [410]


async def arrivals_with(visitor: Visitor, receiver: Receiver, seed: int) -> list[str]:
    """Deliver 40 events and return the ids in order of arrival."""
    sandbox = visitor.sandbox
    receiver.arrivals.clear()
    sandbox.settings.webhooks.seed = seed
    for number in range(40):
        sandbox.deliver("call.ended", event_id=f"e{number}")
    await sandbox.delivered()
    return receiver.event_ids


@pytest.mark.looptime
async def test_disorder_shuffles_and_loses_nothing(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.disorder = 36_000.0

    shuffled = await arrivals_with(visitor, receiver, seed=1)

    assert shuffled != [f"e{number}" for number in range(40)]
    assert sorted(shuffled) == sorted(f"e{number}" for number in range(40))


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_seed_chooses_who_is_sent_twice(visitor: Visitor, receiver: Receiver) -> None:
    async def doubles(seed: int) -> list[str]:
        async with Sandbox(deliver_to={TARGET: receiver.url}) as sandbox:
            fresh = Visitor(sandbox, visitor.session)
            await subscribed(fresh)
            sandbox.settings.webhooks.twins = sandbox.settings.webhooks.repeats = 0.25
            sandbox.settings.webhooks.disorder = 3600.0
            return sorted(await arrivals_with(fresh, receiver, seed))

    first = await doubles(1)

    assert 50 < len(first) < 70  # 40, and about a quarter each of twins and of repeats
    assert await doubles(1) == first
    assert await doubles(2) != first


@pytest.mark.slow
async def test_at_most_64_are_under_way_at_once(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    under_way = []

    async def note(_: Arrival) -> None:
        under_way.append(sum(attempt.status is None for attempt in sandbox.deliveries))

    receiver.before = note
    for _ in range(150):
        sandbox.deliver("call.ended")
    await sandbox.delivered()

    assert len(receiver.arrivals) == 150
    assert max(under_way) == 64


async def test_each_attempt_has_a_connection_of_its_own(visitor: Visitor, sandbox: Sandbox) -> None:
    """A receiver may close a connection at any time, and that is not to be held against it."""
    await subscribed(visitor)
    sandbox.settings.webhooks.speed = float("inf")

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.decode().split("\r\n") if line.lower().startswith("content-length"))
        await reader.readexactly(int(length.partition(":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read(1)  # the end of the connection, or another request on it
        writer.close()

    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        sandbox.settings.deliver_to = {TARGET: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"}
        for _ in range(3):
            sandbox.deliver("call.ended")
            await sandbox.delivered()

    assert statuses_of(sandbox) == [200, 200, 200]


@pytest.mark.slow
async def test_many_deliveries_arrive_each_at_least_once(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    """More than are sent at once, with all that may happen to them."""
    hook_id = await subscribed(visitor)
    webhooks = sandbox.settings.webhooks
    webhooks.twins = webhooks.repeats = 0.1
    webhooks.disorder, webhooks.speed = 3600.0, 1e5
    # Every fifth answer fails, so the count of failures is often started and never full.
    receiver.statuses = iter([200, 200, 200, 200, 503] * 200)

    wanted = {sandbox.deliver("call.ended").id for _ in range(300)}
    await sandbox.delivered()

    succeeded = [attempt.event_id for attempt in sandbox.deliveries if attempt.delivered]
    assert set(succeeded) == set(receiver.event_ids) == wanted
    assert len(succeeded) > 300
    assert sandbox.hooks[hook_id].enabled
    assert len(sandbox.deliveries) == len(receiver.arrivals)


async def test_events_are_told_in_json_that_any_parser_reads(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    await subscribed(visitor)
    payload: dict[str, Any] = {"note": 'a "quote" \\ \u2028 \x00 €', "list": [1, 2.5, None, True, {"x": {}}]}

    sandbox.deliver("call.ended", payload)
    await sandbox.delivered()

    body = json.loads(receiver.arrivals[0].body)
    assert {name: body[name] for name in payload} == payload
