"""Responses to mistakes, to strangers and to runs of failures."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.webhooks.oracle import OTHER_SECRET, event_body, headers
from unlimcall_async.webhooks import Event, WebhookReceiver

MakeReceiver = Callable[..., WebhookReceiver]
BODY = event_body()
NAME = "X-Unlimcall-Signature"


def generator(_event: Event) -> Generator[None, None, None]:
    yield


async def async_generator(_event: Event) -> Any:
    yield


class Generating:
    def __call__(self, event: Event) -> Generator[None, None, None]:
        return (yield from generator(event))


@pytest.mark.parametrize("handler", [generator, async_generator, Generating(), None, "record"])
def test_what_cannot_handle_an_event_is_no_handler(receiver: WebhookReceiver, handler: Any) -> None:
    with pytest.raises(TypeError, match="a handler must be a plain function or a coroutine function"):
        receiver.on(Event)(handler)


@pytest.mark.parametrize("knock", [{}, {NAME: "t=1"}, headers(BODY, OTHER_SECRET)])
async def test_a_stranger_who_knocks_does_not_hide_failures(make_receiver: MakeReceiver, knock: dict[str, str]) -> None:
    told: list[int] = []
    receiver, failing = make_receiver(on_failing=told.append), True

    @receiver.on(Event)
    def handler(_event: Event) -> None:
        if failing:
            raise KeyError

    for _ in range(20):
        assert (await receiver.handle(BODY, knock))[0] == 401
    assert told == [3, 5, 7, 9]
    for _ in range(9):
        assert (await receiver.handle(BODY, headers(BODY)))[0] == 500
        await receiver.handle(BODY, knock)
    assert told == [3, 5, 7, 9] * 2
    failing = False
    assert (await receiver.handle(BODY, headers(BODY)))[0] == 200
    told.clear()
    for _ in range(10):
        await receiver.handle(BODY, knock)
    failing = True
    for number in range(3):  # a run of its own, after the success
        body = event_body(f"other_{number}")
        assert (await receiver.handle(body, headers(body)))[0] == 500
    assert told == [3, 5, 7, 9, 3]


async def test_a_body_that_is_too_large_may_be_a_strangers(make_receiver: MakeReceiver) -> None:
    told: list[int] = []
    receiver = make_receiver(on_failing=told.append, max_body=len(BODY))
    for _ in range(20):
        assert (await receiver.handle(BODY + b" ", {}))[0] == 413
    for number in range(3):
        body = b"{}" + b" " * number
        assert (await receiver.handle(body, headers(body)))[0] == 400
    assert told == [3, 5, 7, 9, 3]


async def test_a_run_of_failures_is_told_before_the_sender_gives_up(make_receiver: MakeReceiver) -> None:
    told: list[int] = []
    receiver, fails = make_receiver(on_failing=told.append), True

    @receiver.on(Event)
    def handler(_event: Event) -> None:
        if fails:
            raise KeyError

    for _ in range(12):
        await receiver.handle(BODY, headers(BODY))
    assert told == [3, 5, 7, 9]
    fails = False
    await receiver.handle(BODY, headers(BODY))
    fails = True
    for n in range(2):
        body = event_body(f"other_{n}")
        await receiver.handle(body, headers(body))
    assert told == [3, 5, 7, 9]
    await receiver.handle(BODY, {})  # a 401 counts as well
    assert told == [3, 5, 7, 9, 3]


async def test_an_alarm_that_fails_does_not_change_the_answer(
    make_receiver: MakeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    def ring(count: int) -> None:
        raise ValueError(count)

    receiver = make_receiver(on_failing=ring)
    assert [await receiver.handle(BODY, {}) for _ in range(3)] == [(401, b"signature refused")] * 3
    assert "3 webhook deliveries in a row failed" in caplog.text
    assert "on_failing raised ValueError" in caplog.text
