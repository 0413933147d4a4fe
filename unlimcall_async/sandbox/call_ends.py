"""The calls that `POST /calls` placed, until they end: by themselves after some time, or on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.checks import require_duration
from unlimcall_async.sandbox.events import SandboxEvent, sample_payload
from unlimcall_async.sandbox.sender import WebhookSender
from unlimcall_async.sandbox.state import OriginatedCall, State


class OngoingCalls:
    """Ends calls, writes their records, and sends `call.ended`."""

    def __init__(self, state: State, sender: WebhookSender) -> None:
        self._state = state
        self._sender = sender

    def placed(self, call: OriginatedCall) -> None:
        """Schedule the end of a new call if the settings give calls a length."""
        seconds = self._state.settings.webhooks.call_seconds
        if seconds is not None:
            self._sender.spawn(self._hang_up(call.call_id, seconds))

    async def _hang_up(self, call_id: str, seconds: float) -> None:
        await self._sender.wait(seconds)
        # The user may have ended the call meanwhile.
        if call_id in self._state.ongoing:
            self.end(call_id, int(seconds), {})

    def end(self, call_id: str, duration: int, fields: Mapping[str, Any]) -> SandboxEvent:
        """End a call: write its record, begin to deliver `call.ended`, and return the event.

        The event has the sample's payload, changed by the call's own data and then by `fields`.
        """
        state = self._state
        call = state.ongoing.get(call_id)
        if call is None:
            raise ValueError("call_id must be that of a call which POST /calls placed and which has not ended")
        require_duration(duration)
        own = {"callId": call.call_id, "contactId": None, "phone": call.to_number, "durationSec": duration}
        # The event is made first, because it checks the payload: nothing has changed if the payload is wrong.
        event = self._sender.event("call.ended", {**sample_payload("call.ended"), **own, **fields})

        del state.ongoing[call.call_id]
        number = state.originated.total - len(state.ongoing)
        agent = state.account.agent(call.ai_agent_id)  # `None` if the account has lost the agent meanwhile
        placed_at = call.placed_at
        record = SandboxCall(
            # Not the `callId`: the reference shows ids of two kinds, and does not say how one could be found from the other.
            id=f"{int(placed_at.timestamp())}.{number}",
            # A record is dated by the start of its call, in whole milliseconds.
            start_time=placed_at.replace(microsecond=placed_at.microsecond // 1000 * 1000),
            duration=duration,
            billsec=duration,
            # `src` is not the call's `from_number`, which the reference says is "not yet forwarded to the engine".
            dst=call.to_number,
            sip_username=agent.sip_username if agent else None,
            country=None,
        )
        state.calls.add([record])
        self._sender.send(event)
        return event
