"""The body of a webhook delivery as a typed event, open to everything that the reference leaves open.

Pure: no I/O. The reference names each event and some fields of its payload, and does not document the envelope around them. So each
field of the envelope is looked for under all usual names, in the table `_ENVELOPE` below. The fields of the payload are looked for
on the outer level, under `data` and under `payload`. An earlier name wins on any level; of one name, the outer level wins.

An event that is refused is lost for ever, because the sender gives up after a 4xx. So `EventError` is raised only for a body that
cannot be read at all, or that has no type. A type that is not known makes an `UnknownEvent`. A value of another type than the
documented one is never converted and never an error: the field is `None`, and `extra` holds the value under the name with which it
came. `extra` also holds everything else that is in no field. If `data` and the outer level have the same name, `extra` holds the
inner value as `data.name`.

A sender that cuts a text after so many UTF-16 units may leave half of a surrogate pair at its end, and writes the half escaped.
JSON allows that, and Unicode text does not. So the half is read as U+FFFD. A text with U+FFFD does not count as an id, because two
ids may differ in nothing but the half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from attrs import field, frozen

from unlimcall_async import _json
from unlimcall_async._model import Model
from unlimcall_async.errors import EventError
from unlimcall_async.models import CallRecord
from unlimcall_async.webhooks.signature import Bytes, raw

JsonObject: TypeAlias = dict[str, Any]
# Returns the value of a field, or None if the value is not of the field's type.
Reader: TypeAlias = Callable[[Any], Any]


def _event_id(value: str | int | None) -> str | int | None:
    """Return the value as it is. A default `cattrs.Converter` refuses this type in a field that has no converter."""
    return value


# An escape in a text: a whole surrogate pair, half of one (the group), or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_REPLACEMENT: Final = rb"\ufffd"


@frozen(kw_only=True)
class Event(Model):
    """The fields that all events share (reference: "Webhooks").

    Attributes:
        id: The id of the event, the same in every delivery of the event; `None` if the delivery has none. An id that came as a
            number is an `int`: 5 and "5" are two ids.
        type: The type of the event, for example `call.ended`.
        occurred_at: The time of the event, in UTC; `None` if the delivery has none. Events come in any order: sort by this time.
        extra: Everything that came and is in no other field, under the API's own names. Numbers with a fraction are `Decimal`.
    """

    id: str | int | None = field(default=None, converter=_event_id)
    type: str
    occurred_at: datetime | None = None
    # Not part of the hash: a dict has none, and events belong in sets.
    extra: Mapping[str, Any] = field(factory=dict, hash=False)


@frozen(kw_only=True)
class _CallEvent(Event):
    """The fields that the events of a call share."""

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
    """`call.ended`: a call of the dialer or of an AI agent hung up (reference: "Webhooks").

    A field is `None` if it did not come.

    Attributes:
        call_id: The id of the call, as `POST /calls` returned it.
        contact_id: The id of the contact that was called.
        phone: The phone number of the contact.
        duration_sec: The length of the call in seconds; an `int` if the number came without a fraction.
        disposition_code: The disposition that the call was given.
        hangup_reason: Why the call ended.
        sentiment_label: The mood of the contact, as the API judged it.
        transfer_initiated: Whether a transfer to a human was begun.
    """


@frozen(kw_only=True)
class RecoveredCall(CallEnded):
    """A `CallEnded` that `recovered_event` made of a call's record, because the event itself did not come.

    A handler of `CallEnded` gets a `RecoveredCall` like any other event. `isinstance(event, RecoveredCall)` tells the two apart.
    What no record holds is `None`: the call's id, the contact, the hangup reason, the sentiment and the transfer.
    `disposition_code` is `None` too, because the dispositions of records are other words.

    Attributes:
        record: The record. A call of several legs has a record for each.
    """

    record: CallRecord


@frozen(kw_only=True)
class CallTransferred(_CallEvent):
    """`call.transferred`: an agent began to transfer a call to a human (reference: "Webhooks").

    The fields of `CallEnded`, as far as they are known by then.

    Attributes:
        transfer_target: To whom the call is transferred.
    """

    transfer_target: str | None = None


@frozen(kw_only=True)
class DispositionSet(Event):
    """`disposition.set`: AI or a person gave a call its disposition (reference: "Webhooks").

    Attributes:
        terminal: Whether the disposition ends the work on the contact.
        triggers_dnc: Whether the disposition moves the contact to Do-Not-Call.
        actor: Who gave the disposition.
    """

    terminal: bool | None = None
    triggers_dnc: bool | None = None
    actor: str | None = None


@frozen(kw_only=True)
class DncAdded(Event):
    """`dnc.added`: a contact was moved to Do-Not-Call. The reference names no field; everything that came is in `extra`."""


@frozen(kw_only=True)
class LeadCompleted(Event):
    """`lead.completed`: a contact reached a terminal disposition. The reference names no field; see `extra`."""


@frozen(kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this release does not know. Everything that came is in `extra`."""


def parse_event(body: Bytes) -> Event:
    """Return the event in the body of a delivery, of the class that its type names.

    The signature is not checked: call `verify` first, or `receive` for both.

    Args:
        body: The body of the request, byte for byte.

    Raises:
        EventError: The body is not a JSON object in UTF-8, or has no type.
        TypeError: The body is not bytes.
    """
    outer = _json_object(raw("body", body))
    inner = {name: outer.pop(name) for name in _PAYLOADS if isinstance(outer.get(name), dict)}
    levels = [outer, *inner.values()]
    envelope: dict[str, Any] = {
        attribute: _take(
            # An earlier name wins on any level.
            [(level, name) for name in names for level in (levels if name in _ON_ALL_LEVELS else levels[:1])],
            read,
        )
        for attribute, names, read in _ENVELOPE
    }
    envelope["id"] = _take_id(levels)
    if envelope["type"] is None:
        raise EventError("event", "expected the event's type, as text")
    model, fields = _KINDS.get(envelope["type"], (UnknownEvent, {}))
    # All levels as one. An inner name that an outer level has, too, is kept with its place. A `null` does not hide a value.
    rest = dict(outer)
    for place, payload in inner.items():
        for name, value in payload.items():
            free = name
            while rest.get(free) is not None:
                free = f"{place}.{free}"
            rest[free] = value
    known = {attribute: _take([(rest, wire)], read) for wire, (attribute, read) in fields.items()}
    # A field that came as `null` is not in `extra`: that would say no more than the `None` of the field.
    extra = {name: value for name, value in rest.items() if value is not None or name not in fields}
    return model(**envelope, **known, extra=extra)


def _json_object(body: bytes) -> JsonObject:
    try:
        content = _read(body)
    except _json.JsonError:
        raise EventError("body", "expected JSON in UTF-8") from None
    if type(content) is not dict:
        raise EventError("body", "expected a JSON object")
    return content


def _read(body: bytes) -> Any:
    try:
        return _json.read(body)
    except _json.JsonError:
        whole = _ESCAPE.sub(lambda escape: escape[0] if escape[1] is None else _REPLACEMENT, body)
        if whole == body:
            raise
        return _json.read(whole)


def _take(places: Iterable[tuple[JsonObject, str]], read: Reader) -> Any:
    """Remove the first value that is of the field's type from the places, and return the value as read."""
    for level, name in places:
        value = read(level.get(name))
        if value is not None:
            del level[name]
            return value
    return None


def _take_id(levels: Sequence[JsonObject]) -> str | int | None:
    """Remove the id of the event from the levels, and return the id. Return `None` if the event has no id that can be trusted.

    Beside an `eventId`, an `id` may be that of the hook or of a contact, and many events would count as one. So `id` counts only if
    there is no `eventId`. An `eventId` whose value cannot be an id is not an absent one.
    """
    name, holders = "eventId", [level for level in levels if "eventId" in level]
    if not holders and not _is_inside("eventId", levels):
        name, holders = "id", [level for level in levels[:1] if "id" in level]
    # A `null` does not stand against the same name on another level.
    holder = next((level for level in holders if level[name] is not None), {})
    event_id = _id(holder.get(name))
    if event_id is not None:
        del holder[name]
    return event_id


def _is_inside(name: str, values: Iterable[Any]) -> bool:
    """Return whether an object among the values, or anywhere inside them, has the name."""
    left = list(values)
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if name in value:
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    return _text(value) or None


def _id(value: Any) -> str | int | None:
    """Read an integer, or a text that is not blank: two events with an empty id must not count as one event."""
    # By type, because `true` is an int in Python.
    usable = type(value) is int or (isinstance(value, str) and value.strip() and "\ufffd" not in value)
    return value if usable else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    try:
        if isinstance(value, Decimal):
            return float(value) if isfinite(float(value)) else None
        # An int that no float can hold would fail wherever it is used as a duration.
        return value if type(value) is int and isfinite(float(value)) else None
    except OverflowError:
        return None


_AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000: Final = 253402300800


def _moment(value: Any) -> datetime | None:
    """Read a time: ISO 8601 with an offset, or Unix time in seconds.

    A number that would lie beyond the year 9999 is taken for milliseconds, which many senders use.
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


# The envelope: the attribute of the event, its names, and its reader. The id is not here, because it has rules of its own.
_ENVELOPE: Final[tuple[tuple[str, tuple[str, ...], Reader], ...]] = (
    ("type", ("event", "type"), _name),
    ("occurred_at", ("timestamp", "occurredAt", "createdAt"), _moment),
)
# Inside `data` and `payload` only names with one possible meaning count. (An `id` there is the contact's or the call's.)
_ON_ALL_LEVELS: Final = frozenset({"timestamp", "occurredAt"})
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
