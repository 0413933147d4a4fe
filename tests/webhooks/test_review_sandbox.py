"""A field of `call.ended` may have any name."""

from __future__ import annotations

import json

import pytest

from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Envelope, Sandbox, WebhookSettings


async def test_a_field_of_an_ended_call_may_be_named_as_the_envelope_is() -> None:
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        with pytest.raises(ValueError, match="payload may not replace what the envelope holds: event"):
            sandbox.end_call(call.call_id, event="x")
        sandbox.settings.webhooks = WebhookSettings(envelope=Envelope(payload="data"))
        assert json.loads(sandbox.end_call(call.call_id, event="x").body)["data"]["event"] == "x"
