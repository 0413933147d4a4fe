"""The five events: what their payloads hold, and the bodies that carry them.  No I/O; time is an argument."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import uuid4

from attrs import frozen

from unlimcall_async.sandbox.webhook_settings import Envelope

__all__ = ["EVENTS", "EventType", "SandboxEvent", "new_event", "sample_payload"]

EventType = Literal["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]
EVENTS: tuple[EventType, ...] = get_args(EventType)

_CALL: Mapping[str, Any] = {
    "callId": "f3c1e8a2-9d7f-4c5b-bd91-6e9f0a3b1c7d",
    "contactId": "90210",
    "phone": "+14155551234",
    "durationSec": 81,
    "dispositionCode": "INTERESTED",
    "hangupReason": "normal_clearing",
    "sentimentLabel": "positive",
    "transferInitiated": False,
}
# The fields that the reference names, with made-up values: it gives none.  Of the last two events it names no field.
_PAYLOADS: Mapping[EventType, Mapping[str, Any]] = {
    "call.ended": _CALL,
    "call.transferred": {**_CALL, "transferInitiated": True, "transferTarget": "+14155550199"},
    "disposition.set": {"terminal": True, "triggersDnc": False, "actor": "ai"},
    "dnc.added": {},
    "lead.completed": {},
}


@frozen
class SandboxEvent:
    """Something that happened on the account, as it is told to every subscription for it.

    Attributes:
        id: The event's id, the same in each delivery of it.
        type: One of the five types of the reference.
        occurred_at: When it happened, aware.
        payload: The fields of its type.
        body: What is sent, byte for byte.
    """

    id: str
    type: EventType
    occurred_at: datetime
    payload: Mapping[str, Any]
    body: bytes


def sample_payload(event: EventType, **fields: Any) -> dict[str, Any]:
    """Return the fields that the reference names for an event, with made-up values or those given here.

    Args:
        event: The event's type.
        fields: Values by the names of the reference, as `callId`; other names are added.

    Raises:
        ValueError: The reference has no such event.
    """
    return {**_PAYLOADS[_known(event)], **fields}


def new_event(
    event: EventType,
    payload: Mapping[str, Any] | None,
    *,
    occurred_at: datetime,
    event_id: str | None,
    envelope: Envelope,
) -> SandboxEvent:
    """Make an event that occurred at `occurred_at`; without a payload it has the sample's, without an id a new one."""
    if occurred_at.tzinfo is None:
        raise ValueError("occurred_at must be timezone-aware")
    held = sample_payload(event) if payload is None else dict(payload)
    name = str(uuid4()) if event_id is None else event_id
    body = _encoded(_enveloped(_known(event), name, occurred_at, held, envelope))
    return SandboxEvent(name, event, occurred_at, held, body)


def _known(event: EventType) -> EventType:
    if event not in EVENTS:
        raise ValueError(f"event must be one of {', '.join(EVENTS)}, not {event!r}")
    return event


def _enveloped(
    event: EventType, name: str, occurred_at: datetime, payload: dict[str, Any], envelope: Envelope
) -> dict[str, Any]:
    head: dict[str, Any] = {envelope.type: event}
    if envelope.id is not None:
        head[envelope.id] = name
    if envelope.time is not None:
        head[envelope.time] = _time(occurred_at, envelope)
    if envelope.payload is not None:
        return {**head, envelope.payload: payload}
    if taken := head.keys() & payload:
        raise ValueError(f"payload may not replace what the envelope holds: {', '.join(sorted(taken))}")
    return {**head, **payload}


def _time(moment: datetime, envelope: Envelope) -> str | int:
    if envelope.time_format == "unix":
        return int(moment.timestamp())
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _encoded(value: dict[str, Any]) -> bytes:
    try:
        # As JavaScript writes it, which the API's camelCase suggests: no spaces, and UTF-8 rather than escapes.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"payload must be JSON: {error}") from error
