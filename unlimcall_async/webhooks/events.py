"""What a webhook delivery says: typed events, open to what the reference leaves open.

Pure: no I/O. The reference names each event and some fields of its payload, and says nothing of the envelope around them. So the
envelope is looked for under every name that is usual, in the one table below, and the payload's fields on the outer level, under
`data` and under `payload`. The earlier name, and the outer level, win.

An event that is refused is lost for ever: the sender takes a 4xx as final. So only a body that cannot be read at all, or has no
type, is an `EventError`. A type that is not known is an `UnknownEvent`. A value that is not of its documented type is never
coerced and never an error: the field is `None`, and the value stands in `extra` under the name that it came with. `extra` holds
all else too that is not taken by a field; where `data` and the outer level both have a name, the inner one is kept as `data.name`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from attrs import field, frozen

from unlimcall_async.errors import EventError
from unlimcall_async.webhooks.signature import Bytes, raw

JsonObject: TypeAlias = dict[str, Any]
# Gives the value of a field, or None for what is not of its type.
Reader: TypeAlias = Callable[[Any], Any]


@frozen(kw_only=True)
class Event:
    """What all events have in common (reference: "Webhooks").

    Attributes:
        id: The event's id, which repeats of it share; `None` where the delivery has none.
        type: The event's type, such as `call.ended`.
        occurred_at: When it happened, in UTC. Events come in any order; this is what to order them by.
        extra: All that came and is in no other field, under the API's own names.
    """

    id: str | None = None
    type: str
    occurred_at: datetime | None = None
    # Left out of the hash, because a dict has none and events belong into sets.
    extra: Mapping[str, Any] = field(factory=dict, hash=False)


@frozen(kw_only=True)
class _CallEvent(Event):
    """What the events of a call have in common."""

    call_id: str | None = None
    contact_id: str | None = None
    phone: str | None = None
    duration_sec: float | None = None
    disposition_code: str | None = None
    hangup_reason: str | None = None
    sentiment_label: str | None = None
    transfer_initiated: bool | None = None


@frozen(kw_only=True)
class CallEnded(_CallEvent):
    """`call.ended`: a call of the dialer or of an AI agent hung up.

    Attributes:
        call_id: The call's id, as `POST /calls` returned it.
        contact_id: The id of the contact that was called.
        phone: The contact's number.
        duration_sec: Seconds; whole ones are an `int`.
        disposition_code: The outcome that was set for the call.
        hangup_reason: Why it ended.
        sentiment_label: The contact's mood, as it was judged.
        transfer_initiated: Whether a transfer to a human was begun.
    """


@frozen(kw_only=True)
class CallTransferred(_CallEvent):
    """`call.transferred`: an agent began to transfer a call to a human.

    The fields of `CallEnded`, as far as they are known by then, and `transfer_target`, to whom.
    """

    transfer_target: str | None = None


@frozen(kw_only=True)
class DispositionSet(Event):
    """`disposition.set`: a disposition was given to a call, by AI or by a person.

    Attributes:
        terminal: Whether it ends the work on the contact.
        triggers_dnc: Whether it moves the contact to Do-Not-Call.
        actor: Who gave it.
    """

    terminal: bool | None = None
    triggers_dnc: bool | None = None
    actor: str | None = None


@frozen(kw_only=True)
class DncAdded(Event):
    """`dnc.added`: a contact was moved to Do-Not-Call. The reference names no field; look in `extra`."""


@frozen(kw_only=True)
class LeadCompleted(Event):
    """`lead.completed`: a contact reached a terminal disposition. The reference names no field; look in `extra`."""


@frozen(kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this release does not know; all that came is in `extra`."""


def parse_event(body: Bytes) -> Event:
    """Read the body of a delivery. It does not ask who sent it: call `verify` first, or `receive` for both.

    Raises:
        EventError: The body is no JSON object in UTF-8, names something twice, or has no type.
    """
    outer = _object(raw("body", body))
    inner = {name: outer.pop(name) for name in _PAYLOADS if isinstance(outer.get(name), dict)}
    envelope = {
        attribute: _taken([(outer, names), *((payload, inner_names) for payload in inner.values())], read)
        for attribute, names, inner_names, read in _ENVELOPE
    }
    if envelope["type"] is None:
        raise EventError("event", "expected the event's type, as text")
    model, fields = _KINDS.get(envelope["type"], (UnknownEvent, {}))
    extra = _flat(outer, inner)
    known = {attribute: _taken([(extra, (wire,))], read) for wire, (attribute, read) in fields.items()}
    return model(
        **envelope, **known, extra={name: value for name, value in extra.items() if _left(name, value, fields)}
    )


def _object(body: bytes) -> JsonObject:
    try:
        # Decoded here, because `json.loads` would guess at UTF-16 and UTF-32, and skip a byte order mark.
        content = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant
        )
    except (ValueError, RecursionError, InvalidOperation):
        # The last is what Decimal says of an exponent beyond its own. A cause would quote the body.
        raise EventError("body", "expected JSON in UTF-8, every name once") from None
    if type(content) is not dict:
        raise EventError("body", "expected a JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Make an object. A name that comes twice means one thing to one reader and another to the next."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _no_constant(_name: str) -> None:
    """Refuse NaN and the infinities, which Python reads although JSON has none."""
    raise ValueError


def _taken(levels: Iterable[tuple[JsonObject, tuple[str, ...]]], read: Reader) -> Any:
    """Take the first value that is of the field's type out of the levels that may have it."""
    for level, names in levels:
        for name in names:
            value = read(level.get(name))
            if value is not None:
                del level[name]
                return value
    return None


def _flat(outer: JsonObject, inner: Mapping[str, JsonObject]) -> JsonObject:
    """Bring all levels to one; nothing gives way without a trace."""
    flat = dict(outer)
    for place, payload in inner.items():
        for name, value in payload.items():
            flat[f"{place}.{name}" if name in flat else name] = value
    return flat


def _left(name: str, value: object, fields: Mapping[str, object]) -> bool:
    """Whether something belongs into `extra`: not a field that came as `null`, which says no more than `None` does."""
    return value is not None or name not in fields


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    """Read text that stands for something; two events without an id must not count as one."""
    return _text(value) or None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, Decimal):
        return float(value) if isfinite(float(value)) else None
    return value if type(value) is int else None


_AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000: Final = 253402300800


def _moment(value: Any) -> datetime | None:
    """Read a time: ISO 8601 with its offset, or Unix time.

    That is in seconds, or in milliseconds, as many a sender counts, where seconds would lie beyond the year 9999.
    """
    try:
        if isinstance(value, str):
            return msgspec.convert(value, _AwareDatetime).astimezone(UTC)
        if isinstance(value, Decimal) or type(value) is int:
            unit = "seconds" if value < _YEAR_10000 else "milliseconds"
            return _EPOCH + timedelta(**{unit: float(value)})
    except (msgspec.ValidationError, OverflowError):
        pass
    return None


# The envelope: the event's attribute, its names on the outer level, its names inside `data` and `payload`, how it is read.
# Inside, only names that cannot mean something else: an `id` there is the contact's or the call's, and taken for the event's it
# would make one event of many.
_ENVELOPE: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...], Reader], ...]] = (
    ("type", ("event", "type"), (), _name),
    ("id", ("eventId", "id"), ("eventId",), _name),
    ("occurred_at", ("timestamp", "occurredAt", "createdAt"), ("timestamp", "occurredAt"), _moment),
)
_PAYLOADS: Final = ("data", "payload")

_CALL: Final[Mapping[str, tuple[str, Reader]]] = {
    "callId": ("call_id", _text),
    "contactId": ("contact_id", _text),
    "phone": ("phone", _text),
    "durationSec": ("duration_sec", _number),
    "dispositionCode": ("disposition_code", _text),
    "hangupReason": ("hangup_reason", _text),
    "sentimentLabel": ("sentiment_label", _text),
    "transferInitiated": ("transfer_initiated", _flag),
}
_KINDS: Final[Mapping[str, tuple[Callable[..., Event], Mapping[str, tuple[str, Reader]]]]] = {
    "call.ended": (CallEnded, _CALL),
    "call.transferred": (CallTransferred, {**_CALL, "transferTarget": ("transfer_target", _text)}),
    "disposition.set": (
        DispositionSet,
        {"terminal": ("terminal", _flag), "triggersDnc": ("triggers_dnc", _flag), "actor": ("actor", _text)},
    ),
    "dnc.added": (DncAdded, {}),
    "lead.completed": (LeadCompleted, {}),
}
