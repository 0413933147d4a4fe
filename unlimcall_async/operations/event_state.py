"""The saved state of a reconciliation of events: JSON that another process can load. Pure: no I/O."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from attrs import define, frozen

from unlimcall_async import CallRecord, UnlimCallError, _arguments, _json, from_dict, to_dict
from unlimcall_async.operations.event_sides import SeenEvent

VERSION: Final = 1
_KIND: Final = "events"

T = TypeVar("T")


@define(eq=False, slots=False)
class EventStateError(UnlimCallError, ValueError):
    """The text is not the saved state of a reconciliation, or is damaged.

    Attributes:
        where: The damaged place in the text, for example `events[3].at`.
        reason: What was expected there. The text itself is never quoted, because it may be a phone number.
    """

    where: str
    reason: str

    def __str__(self) -> str:
        return f"this is not a valid state of a reconciliation, at {self.where}: {self.reason}"


@frozen
class State:
    """What a reconciler stores.

    Attributes:
        now: The time of the last sweep.
        active: When the alert started that has not ended.
        late: What came too late.
        recovered: The ids of recovered events, with the ends of their calls in seconds.
        events: The events.
        records: The records.
    """

    now: datetime | None
    active: datetime | None
    late: int
    recovered: dict[str, float]
    events: list[SeenEvent]
    records: list[CallRecord]


def dump(state: State) -> str:
    """Return a state as JSON. The text holds phone numbers."""
    content = {
        "version": VERSION,
        "kind": _KIND,
        "now": _text(state.now),
        "active": _text(state.active),
        "late": state.late,
        "recovered": state.recovered,
        "events": [plain_event(event) for event in state.events],
        "records": [to_dict(record) for record in state.records],
    }
    return json.dumps(content)


def load(text: str | bytes) -> State:
    """Return the state in a text that `dump` made.

    Raises:
        EventStateError: The text is not the state of a reconciliation, or is damaged.
    """
    try:
        content = _json.read(text, fractions=float)
    except _json.JsonError:
        raise EventStateError("the top", "it is not JSON") from None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise EventStateError("kind", f"expected {_KIND!r}")
    # By type, because `True` and `1.0` are equal to 1.
    if type(content.get("version")) is not int or content["version"] != VERSION:
        raise EventStateError("version", f"this release knows {VERSION} only")

    def checked(name: str, kind: type[T]) -> T:
        value = content.get(name)
        if type(value) is not kind:
            raise EventStateError(name, f"expected {'an object' if kind is dict else f'a {kind.__name__}'}")
        return value

    # A name is not quoted: in a damaged text, a name may be anything.
    recovered = {name: _read("recovered", end, _seconds) for name, end in checked("recovered", dict).items()}
    return State(
        _read("now", content.get("now"), partial(_moment, "now")),
        _read("active", content.get("active"), partial(_moment, "active")),
        checked("late", int),
        recovered,
        [_read(f"events[{place}]", row, read_event) for place, row in enumerate(checked("events", list))],
        [
            _read(f"records[{place}]", row, partial(from_dict, CallRecord))
            for place, row in enumerate(checked("records", list))
        ],
    )


def plain_event(event: SeenEvent) -> dict[str, Any]:
    """Return an event as plain values, which JSON and SQLite can hold."""
    plain = attrs.asdict(event)
    return {name: _text(value) if isinstance(value, datetime) else value for name, value in plain.items()}


def read_event(row: object) -> SeenEvent:
    """Return the event whose plain values these are.

    Raises:
        ValueError: A value is missing or wrong.
        TypeError: A value is of the wrong type.
    """
    names = {field.name for field in attrs.fields(SeenEvent)}
    if not isinstance(row, dict) or row.keys() != names:
        raise ValueError(f"expected the fields {', '.join(sorted(names))}, and no other")
    duration = row["duration_sec"]
    event = SeenEvent(
        key=_arguments.text("key", row["key"]),
        call_id=_text_or_none("call_id", row["call_id"]),
        phone=_text_or_none("phone", row["phone"]),
        duration_sec=None if duration is None else _seconds(duration),
        occurred_at=_moment("occurred_at", row["occurred_at"]),
        arrived_at=_moment("arrived_at", row["arrived_at"]),
        recovers=_text_or_none("recovers", row["recovers"]),
    )
    _ = event.at
    return event


def _read(where: str, value: object, read: Callable[[Any], T]) -> T:
    try:
        return read(value)
    except (ValueError, TypeError) as error:
        raise EventStateError(where, str(error)) from None


def _seconds(value: object) -> float:
    # A whole number stays one, so that a state which is stored again is the same text.
    seconds = _arguments.real("seconds", value)
    if not abs(seconds) <= sys.float_info.max:
        raise ValueError("expected a finite number")
    return seconds


def _moment(name: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(_arguments.text(name, value))
    except ValueError:
        raise ValueError(f"{name} must be a time in ISO form") from None
    return _arguments.utc(name, read)


def _text_or_none(name: str, value: object) -> str | None:
    return None if value is None else _arguments.text(name, value)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
