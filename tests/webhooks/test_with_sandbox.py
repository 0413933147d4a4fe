"""The receiver against the sandbox's sender, over HTTP: nothing is lost, and the endpoint is never disabled."""

from __future__ import annotations

import json
import math
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Envelope, Sandbox, WebhookSettings
from unlimcall_async.webhooks import CallEnded, SeenStore, WebhookReceiver

TARGET = "https://app.example/hooks"


@asynccontextmanager
async def subscribed(
    webhooks: WebhookSettings, store: SeenStore, handler: Callable[[CallEnded], object]
) -> AsyncIterator[tuple[Sandbox, str]]:
    """A receiver that the sandbox delivers to; gives the sandbox and the hook's id."""
    listener = socket.create_server(("127.0.0.1", 0))
    local = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks"
    async with (
        Sandbox(deliver_to={TARGET: local}, webhooks=webhooks) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url) as client,
    ):
        hook = await client.hooks.create(event="call.ended", target_url=TARGET)
        receiver = WebhookReceiver(hook.secret, store=store)
        receiver.on(CallEnded)(handler)
        runner = web.AppRunner(receiver.aiohttp_app(), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield sandbox, hook.id
        finally:
            await runner.cleanup()


@pytest.mark.rest_slow
@pytest.mark.parametrize("resign", [True, False])
async def test_handlers_that_fail_now_and_then_lose_nothing_and_never_cost_the_endpoint(
    store: SeenStore, *, resign: bool
) -> None:
    chance, handled = random.Random(7), Counter[str | int | None]()

    def handler(event: CallEnded) -> None:
        if chance.random() < 0.2:
            raise KeyError
        handled[event.id] += 1

    settings = WebhookSettings(speed=math.inf, resign=resign, twins=0.3, repeats=0.3, disorder=60)
    async with subscribed(settings, store, handler) as (sandbox, hook_id):
        events = {sandbox.deliver("call.ended").id for _ in range(60)}
        await sandbox.delivered()
        assert handled == dict.fromkeys(events, 1)
        assert sandbox.hooks[hook_id].enabled
        assert {attempt.status for attempt in sandbox.deliveries} == {200, 500}


async def test_a_retry_after_20_hours_with_its_first_signature_is_handled(store: SeenStore) -> None:
    handled: list[str | int | None] = []

    def handler(event: CallEnded) -> None:
        if max(attempt.age for attempt in sandbox.deliveries) < 20 * 3600:
            raise KeyError
        handled.append(event.id)

    # With 600 s the eighth attempt is the one after 20 hours; the tenth failure would disable the endpoint.
    settings = WebhookSettings(speed=math.inf, resign=False, clock="accelerated", first_delay=600)
    async with subscribed(settings, store, handler) as (sandbox, hook_id):
        event = sandbox.deliver("call.ended")
        await sandbox.delivered()
        assert handled == [event.id]
        assert sandbox.deliveries[-1].age > 20 * 3600
        assert [attempt.status for attempt in sandbox.deliveries] == [500] * 7 + [200]
        assert sandbox.hooks[hook_id].enabled


async def test_a_field_of_an_ended_call_may_be_named_as_the_envelope_is() -> None:
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        with pytest.raises(ValueError, match="payload may not replace what the envelope holds: event"):
            sandbox.end_call(call.call_id, event="x")
        sandbox.settings.webhooks = WebhookSettings(envelope=Envelope(payload="data"))
        assert json.loads(sandbox.end_call(call.call_id, event="x").body)["data"]["event"] == "x"
