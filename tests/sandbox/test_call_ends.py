"""Calls that end: by themselves or on request, with a record and a `call.ended`."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from unlimcall_async.sandbox import ResetAfter, Sandbox, WebhookSettings

from .receiving import Receiver, in_time, subscribed
from .support import Visitor, until


async def placed(visitor: Visitor) -> str:
    reply = await visitor.call()
    assert reply.status == 200, reply.text
    return str(reply.json()["callId"])


async def records(visitor: Visitor) -> list[Any]:
    """The records of the last minute; by default `till` is the moment of the request."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    until_ = datetime.now(UTC) + timedelta(minutes=1)
    reply = await visitor.get("/cdrs", **{"from": since.isoformat(), "till": until_.isoformat()})
    return list(reply.json()["calls"])


async def test_a_call_ends_on_request(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    call_id = await placed(visitor)
    assert await records(visitor) == []

    event = sandbox.end_call(call_id, duration=17, dispositionCode="CALLBACK", campaign="spring")
    await sandbox.delivered()

    (arrival,) = receiver.arrivals
    told = arrival.json()
    assert (told["event"], told["eventId"]) == ("call.ended", event.id)
    assert (told["callId"], told["contactId"], told["phone"]) == (call_id, None, "+14155551234")
    assert (told["durationSec"], told["dispositionCode"], told["campaign"]) == (17, "CALLBACK", "spring")
    assert {"hangupReason", "sentimentLabel", "transferInitiated"} <= told.keys()


async def test_a_record_is_written_when_the_call_ends_and_dated_by_its_start(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    call_id = await placed(visitor)
    (call,) = sandbox.originated

    sandbox.end_call(call_id, duration=17)

    (record,) = await records(visitor)
    start = datetime.fromisoformat(record["startTime"])
    assert timedelta(0) <= call.placed_at - start < timedelta(milliseconds=1)
    assert (record["duration"], record["billsec"]) == (17, 17)
    assert (record["dst"], record["sipUsername"]) == ("+14155551234", "unl_001")
    assert re.fullmatch(r"[0-9]{10}\.1", record["id"])


async def test_a_record_has_the_number_of_the_account_and_an_id_of_its_own(visitor: Visitor, sandbox: Sandbox) -> None:
    body = {"aiAgentId": "27", "toNumber": "+14155551234", "fromNumber": "+4930123456"}
    for _ in range(3):
        call_id = (await visitor.ask("POST", "/calls", json=body)).json()["callId"]
        sandbox.end_call(call_id)
    sandbox.account.agents = ()

    found = await records(visitor)

    assert {record["src"] for record in found} == {"+14155550100"}  # `fromNumber` is "not yet forwarded to the engine"
    assert len({record["id"] for record in found}) == 3


@pytest.mark.parametrize("duration", [1.5, True, "81", 2**63])
async def test_a_duration_that_no_record_can_have_is_refused(
    visitor: Visitor, sandbox: Sandbox, duration: object
) -> None:
    call_id = await placed(visitor)

    with pytest.raises((TypeError, ValueError), match="duration must"):
        sandbox.end_call(call_id, duration=duration)  # type: ignore[arg-type] # a wrong type, on purpose
    answer = await visitor.ask("POST", f"/sandbox/calls/{call_id}/end", json={"duration": duration})

    assert answer.status == 400
    assert sandbox.calls == ()


async def test_the_agent_may_be_gone_when_the_call_ends(visitor: Visitor, sandbox: Sandbox) -> None:
    call_id = await placed(visitor)
    sandbox.account.agents = ()

    sandbox.end_call(call_id)

    assert [record["sipUsername"] for record in await records(visitor)] == [None]


async def test_a_call_ends_once_and_only_if_it_was_placed(visitor: Visitor, sandbox: Sandbox) -> None:
    call_id = await placed(visitor)
    for wrong, fields in [(call_id, {"duration": -1}), (call_id, {"note": {1}}), ("x", {})]:
        with pytest.raises(
            ValueError, match=r"duration must not be|payload must be JSON|call_id must be that of a call"
        ):
            sandbox.end_call(wrong, **fields)  # type: ignore[arg-type] # a wrong type, on purpose
    assert sandbox.calls == ()

    sandbox.end_call(call_id)
    with pytest.raises(ValueError, match="call_id must be that of a call which POST /calls placed and which has not"):
        sandbox.end_call(call_id)

    assert len(sandbox.calls) == 1


@pytest.mark.looptime
async def test_calls_can_end_by_themselves(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.call_seconds = 90.0
    sandbox.settings.webhooks.speed = 10.0
    call_id = await placed(visitor)
    loop = asyncio.get_running_loop()
    start = loop.time()

    await in_time(lambda: receiver.arrivals)

    assert loop.time() - start == pytest.approx(9, abs=0.5)  # on the clock that the test moves
    told = receiver.arrivals[0].json()
    assert (told["callId"], told["durationSec"]) == (call_id, 90)
    assert [call.duration for call in sandbox.calls] == [90]


@pytest.mark.looptime
async def test_waiting_for_deliveries_waits_for_calls_and_their_events(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.call_seconds = 90.0
    call_id = await placed(visitor)

    await sandbox.delivered()

    assert [arrival.json()["callId"] for arrival in receiver.arrivals] == [call_id]
    assert sandbox.deliveries[0].status == 200


@pytest.mark.looptime
async def test_a_call_that_was_ended_on_request_does_not_end_again(
    visitor: Visitor, sandbox: Sandbox, receiver: Receiver
) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.call_seconds = 90.0
    sandbox.end_call(await placed(visitor), duration=5)

    await sandbox.delivered()

    assert [arrival.json()["durationSec"] for arrival in receiver.arrivals] == [5]
    assert len(sandbox.calls) == 1


@pytest.mark.looptime
async def test_the_event_can_overtake_the_answer(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.call_seconds = 0.0
    sandbox.settings.latency = 100.0
    asked = asyncio.create_task(placed(visitor))

    await in_time(lambda: receiver.arrivals)

    assert not asked.done()
    call_id = receiver.arrivals[0].json()["callId"]
    assert await asked == call_id


async def test_a_call_whose_answer_is_lost_ends_as_well(visitor: Visitor, sandbox: Sandbox, receiver: Receiver) -> None:
    await subscribed(visitor)
    sandbox.settings.webhooks.call_seconds = 0.0
    sandbox.inject(ResetAfter(), "calls")
    with pytest.raises(aiohttp.ClientError):
        await visitor.call()

    await until(lambda: receiver.arrivals)

    assert receiver.arrivals[0].json()["callId"] == sandbox.originated[0].call_id


@pytest.mark.looptime
async def test_a_call_under_way_when_the_sandbox_stops_can_be_ended_after_another_start(
    visitor: Visitor, receiver: Receiver
) -> None:
    async with Sandbox(webhooks=WebhookSettings(call_seconds=60.0)) as sandbox:
        call_id = await placed(Visitor(sandbox, visitor.session))
        await sandbox.stop()
        with pytest.raises(RuntimeError, match="the sandbox is stopped"):
            sandbox.end_call(call_id)
        await sandbox.start()
        await asyncio.sleep(120)  # on a clock that the test moves
        assert sandbox.calls == ()

        sandbox.end_call(call_id)

        assert len(sandbox.calls) == 1
    assert not receiver.arrivals
