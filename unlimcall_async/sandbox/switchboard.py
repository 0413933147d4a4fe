"""The calls that `POST /calls` placed, until they end: by themselves after a while, or on request."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from unlimcall_async.sandbox.courier import Courier
from unlimcall_async.sandbox.endings import call_record, ended_payload
from unlimcall_async.sandbox.events import EventType, SandboxEvent, new_event
from unlimcall_async.sandbox.state import OriginatedCall, State

__all__ = ["Switchboard"]


class Switchboard:
    """Ends calls, and tells the courier about this and any other event."""

    def __init__(self, state: State, courier: Courier) -> None:
        self._state = state
        self._courier = courier

    def placed(self, call: OriginatedCall) -> None:
        """Take note of a call; where calls have a length, it will end."""
        seconds = self._state.settings.webhooks.call_seconds
        if seconds is not None:
            self._courier.spawn(self._hang_up(call, seconds))

    def end(self, call_id: str, duration: int, fields: Mapping[str, Any]) -> SandboxEvent:
        """End a call: write its record and deliver `call.ended`."""
        call = self._state.ongoing.get(call_id)
        if call is None:
            raise ValueError("call_id must be that of a call which POST /calls placed and which has not ended")
        if duration < 0:
            raise ValueError("duration must not be negative")
        # The payload is checked before anything changes.
        event = self._event("call.ended", ended_payload(call, duration, fields))
        self._record(call, duration)
        self._courier.send(event)
        return event

    def announce(
        self, event: EventType, payload: Mapping[str, Any] | None, event_id: str | None, occurred_at: datetime | None
    ) -> SandboxEvent:
        """Deliver an event of any type."""
        announced = self._event(event, payload, event_id, occurred_at)
        self._courier.send(announced)
        return announced

    def _record(self, call: OriginatedCall, duration: int) -> None:
        state = self._state
        del state.ongoing[call.call_id]
        number = len(state.originated) - len(state.ongoing)
        agent = state.account.agent(call.ai_agent_id)  # the account may have lost it meanwhile
        sip_username = agent.sip_username if agent else None
        state.calls.add([call_record(call, duration=duration, number=number, sip_username=sip_username)])

    async def _hang_up(self, call: OriginatedCall, seconds: float) -> None:
        await self._courier.wait(seconds)
        if call.call_id in self._state.ongoing:
            self.end(call.call_id, int(seconds), {})

    def _event(
        self,
        event: EventType,
        payload: Mapping[str, Any] | None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
    ) -> SandboxEvent:
        return new_event(
            event,
            payload,
            event_id=event_id,
            occurred_at=occurred_at or datetime.fromtimestamp(time.time(), UTC),
            envelope=self._state.settings.webhooks.envelope,
        )
