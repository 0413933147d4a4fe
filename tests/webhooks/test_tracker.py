"""Calls followed to their end, whatever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.webhooks.oracle import event_body, headers
from unlimcall_async.webhooks import CallEnded, CallTracker, WebhookReceiver, parse_event


async def end(receiver: WebhookReceiver, call_id: str | None, event_id: str | None = None) -> None:
    body = event_body(event_id or f"evt_{call_id}", **({} if call_id is None else {"callId": call_id}))
    assert (await receiver.handle(body, headers(body)))[0] == 200


@pytest.fixture
def tracker(receiver: WebhookReceiver) -> CallTracker:
    return CallTracker(receiver)


async def begun(tracker: CallTracker, *call_ids: str) -> list[asyncio.Task[CallEnded]]:
    waiting = [asyncio.create_task(tracker.ended(call_id)) for call_id in call_ids]
    await asyncio.sleep(0)
    return waiting


async def test_the_end_of_a_call_is_waited_for(receiver: WebhookReceiver, tracker: CallTracker) -> None:
    first, second, other = await begun(tracker, "1", "1", "2")
    assert repr(tracker) == "<CallTracker 2 calls awaited, 0 ended>"
    await end(receiver, "1")
    assert (await first).call_id == "1"
    assert await first is await second
    assert not other.done()
    await end(receiver, "2")
    assert (await other).call_id == "2"
    assert repr(tracker) == "<CallTracker 0 calls awaited, 2 ended>"


async def test_the_event_may_come_before_anybody_asks(receiver: WebhookReceiver, tracker: CallTracker) -> None:
    await end(receiver, "1")
    assert [(await tracker.ended("1", timeout=1)).id for _ in range(3)] == ["evt_1"] * 3


@pytest.mark.looptime
async def test_a_call_that_does_not_end_is_a_timeout_and_leaves_nothing(
    receiver: WebhookReceiver, tracker: CallTracker
) -> None:
    await end(receiver, None)  # an event that names no call
    with pytest.raises(TimeoutError, match=r"no call\.ended of this call came within 60 s") as caught:
        await tracker.ended("1", timeout=60)
    assert caught.value.__cause__ is None
    assert repr(tracker) == "<CallTracker 0 calls awaited, 0 ended>"


@pytest.mark.looptime
async def test_an_event_that_comes_in_the_turn_of_the_timeout_is_returned(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[Callable[[CallEnded], object]] = []
    monkeypatch.setattr(receiver, "on", lambda _: handlers.append)
    tracker = CallTracker(receiver)
    event = parse_event(event_body("evt_1", callId="1"))
    assert isinstance(event, CallEnded)
    # A loop that was blocked finds the event and the end of the wait in one turn.
    asyncio.get_running_loop().call_later(60, handlers[0], event)
    assert await tracker.ended("1", timeout=60) is event


async def test_a_cancelled_waiter_leaves_nothing_and_harms_nobody(
    receiver: WebhookReceiver, tracker: CallTracker
) -> None:
    one, two, lone = await begun(tracker, "1", "1", "2")
    for waiter in (one, lone):
        waiter.cancel()
        await asyncio.wait([waiter])
    assert repr(tracker) == "<CallTracker 1 calls awaited, 0 ended>"
    two.cancel()  # in the same turn as the event
    await end(receiver, "1")
    await asyncio.wait([two])
    assert repr(tracker) == "<CallTracker 0 calls awaited, 1 ended>"
    assert (await tracker.ended("1")).call_id == "1"


@pytest.mark.looptime
async def test_events_are_kept_for_an_hour(receiver: WebhookReceiver, tracker: CallTracker) -> None:
    await end(receiver, "1")
    await asyncio.sleep(3599)
    assert (await tracker.ended("1")).call_id == "1"
    await asyncio.sleep(2)
    with pytest.raises(TimeoutError):
        await tracker.ended("1", timeout=1)
    assert repr(tracker) == "<CallTracker 0 calls awaited, 0 ended>"


async def test_events_are_kept_up_to_a_number(
    receiver: WebhookReceiver, tracker: CallTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlimcall_async.webhooks.tracker._KEEP_EVENTS", 3)
    for number, call in enumerate(("1", "2", "3", "1", "4")):
        await end(receiver, call, f"evt_{number}")
    assert repr(tracker) == "<CallTracker 0 calls awaited, 3 ended>"
    assert (await tracker.ended("1", timeout=1)).call_id == "1"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"call_id": None}, TypeError, "call_id must be a str"),
        ({"timeout": 0}, ValueError, "timeout must be"),
        ({"timeout": "1"}, TypeError, "timeout must be"),
    ],
)
async def test_a_wrong_argument_is_named(
    tracker: CallTracker, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await tracker.ended(**{"call_id": "1", **arguments})


def test_it_needs_a_receiver() -> None:
    with pytest.raises(TypeError, match="receiver must be a WebhookReceiver, not str"):
        CallTracker("receiver")  # type: ignore[arg-type]  # that is the test
