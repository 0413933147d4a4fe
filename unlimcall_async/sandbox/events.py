"""The five events: the fields of their payloads, and the bodies that carry them.

Pure: no I/O; time is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from attrs import frozen

from unlimcall_async.sandbox.settings import Envelope
from unlimcall_async.sandbox.times import plain_time

EventType = Literal["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]
EVENTS: Final[tuple[EventType, ...]] = get_args(EventType)

_CALL: Final[Mapping[str, Any]] = {
    "callId": "f3c1e8a2-9d7f-4c5b-bd91-6e9f0a3b1c7d",
    "contactId": "90210",
    "phone": "+14155551234",
    "durationSec": 81,
    "dispositionCode": "INTERESTED",
    "hangupReason": "normal_clearing",
    "sentimentLabel": "positive",
    "transferInitiated": False,
}
# The fields that the reference names. Their values are made up, because the reference gives none. Of the last two events the
# reference names no field.
_PAYLOADS: Final[Mapping[EventType, Mapping[str, Any]]] = {
    "call.ended": _CALL,
    "call.transferred": {**_CALL, "transferInitiated": True, "transferTarget": "+14155550199"},
    "disposition.set": {"terminal": True, "triggersDnc": False, "actor": "ai"},
    "dnc.added": {},
    "lead.completed": {},
}


@frozen
class SandboxEvent:
    """An event of the account, which is delivered to every subscription for its type.

    Attributes:
        id: The event's id, the same in each delivery of the event.
        type: One of the five types of the reference.
        occurred_at: When the event occurred, timezone-aware.
        payload: The fields of its type.
        body: The body of each delivery, byte for byte.
    """

    id: str
    type: EventType
    occurred_at: datetime
    payload: Mapping[str, Any]
    body: bytes


def sample_payload(event: EventType, **fields: Any) -> dict[str, Any]:
    """Return a payload with the fields that the reference names for an event.

    Args:
        event: The event's type.
        fields: Values by the names of the reference, for example `callId`, in place of the made-up ones. Other names are added.

    Raises:
        ValueError: The reference has no event of this type.
    """
    _check_type(event)
    return {**_PAYLOADS[event], **fields}


def new_event(
    event: EventType,
    payload: Mapping[str, Any] | None,
    *,
    occurred_at: datetime,
    event_id: str | None,
    envelope: Envelope,
) -> SandboxEvent:
    """Return a new event, without a payload with the sample's, and without an id with a new one.

    Raises:
        ValueError: An argument is not valid, or the payload is not JSON.
    """
    occurred_at = plain_time("occurred_at", occurred_at)
    _check_type(event)
    fields = sample_payload(event) if payload is None else dict(payload)
    name = str(uuid4()) if event_id is None else event_id

    head: dict[str, Any] = {envelope.type: event}
    if envelope.id is not None:
        head[envelope.id] = name
    if envelope.time is not None:
        iso = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        head[envelope.time] = int(occurred_at.timestamp()) if envelope.time_format == "unix" else iso
    if envelope.payload is not None:
        whole = {**head, envelope.payload: fields}
    elif taken := head.keys() & fields:
        raise ValueError(f"payload may not replace what the envelope holds: {', '.join(sorted(taken))}")
    else:
        whole = {**head, **fields}

    try:
        # As JavaScript writes JSON, which the API's camelCase suggests: no spaces, and UTF-8 instead of escapes.
        body = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"payload must be JSON: {error}") from error
    return SandboxEvent(name, event, occurred_at, fields, body)


def _check_type(event: str) -> None:
    if event not in EVENTS:
        raise ValueError(f"event must be one of {', '.join(EVENTS)}")
