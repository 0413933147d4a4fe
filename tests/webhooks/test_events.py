"""Events: typed where the reference says so, open elsewhere; whatever cannot be read is an `EventError`."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import EventError, models, to_json
from unlimcall_async.webhooks import (
    CallEnded,
    CallTransferred,
    DispositionSet,
    DncAdded,
    Event,
    LeadCompleted,
    UnknownEvent,
    parse_event,
)

CALL = {
    "callId": "f3c1e8a2",
    "contactId": "90210",
    "phone": "+14155551234",
    "durationSec": 81,
    "dispositionCode": "INTERESTED",
    "hangupReason": "normal_clearing",
    "sentimentLabel": "positive",
    "transferInitiated": False,
}
CALL_FIELDS = {
    "call_id": "f3c1e8a2",
    "contact_id": "90210",
    "phone": "+14155551234",
    "duration_sec": 81,
    "disposition_code": "INTERESTED",
    "hangup_reason": "normal_clearing",
    "sentiment_label": "positive",
    "transfer_initiated": False,
}
# (type, payload as it comes, class, its fields)
EVENTS: list[tuple[str, dict[str, Any], type[Event], dict[str, Any]]] = [
    ("call.ended", CALL, CallEnded, CALL_FIELDS),
    ("call.transferred", {**CALL, "transferTarget": "+1"}, CallTransferred, {**CALL_FIELDS, "transfer_target": "+1"}),
    (
        "disposition.set",
        {"terminal": True, "triggersDnc": False, "actor": "ai"},
        DispositionSet,
        {"terminal": True, "triggers_dnc": False, "actor": "ai"},
    ),
    ("dnc.added", {}, DncAdded, {}),
    ("lead.completed", {}, LeadCompleted, {}),
    ("call.completed", {}, UnknownEvent, {}),
]
MOMENT = datetime(2025, 5, 24, 18, 14, 2, tzinfo=UTC)


def parse(**content: Any) -> Any:
    return parse_event(json.dumps(content).encode())


@pytest.mark.parametrize(("kind", "payload", "model", "fields"), EVENTS, ids=[row[0] for row in EVENTS])
def test_every_envelope_is_read(kind: str, payload: dict[str, Any], model: type, fields: dict[str, Any]) -> None:
    names = itertools.product(["event", "type"], ["eventId", "id"], ["timestamp", "occurredAt", "createdAt"])
    for (type_name, id_name, time_name), place in itertools.product(names, [None, "data", "payload"]):
        head = {type_name: kind, id_name: "evt_1", time_name: "2025-05-24T18:14:02Z"}
        body = {**head, **payload, "new": 1} if place is None else {**head, place: {**payload, "new": 1}}
        assert parse(**body) == model(id="evt_1", type=kind, occurred_at=MOMENT, **fields, extra={"new": 1})


def test_every_event_that_a_hook_can_have_is_a_class_of_its_own() -> None:
    kinds = [type(parse(event=kind)) for kind in models.EVENTS]
    assert len({*kinds, Event, UnknownEvent}) == len(models.EVENTS) + 2


@pytest.mark.parametrize(("kind", "model"), [(row[0], row[2]) for row in EVENTS])
def test_what_is_missing_is_none(kind: str, model: type[Event]) -> None:
    event = parse(event=kind)
    assert type(event) is model
    assert {value for name, value in attrs.asdict(event).items() if name not in {"type", "extra"}} == {None}
    assert event.extra == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-05-24T18:14:02Z", MOMENT),
        ("2025-05-24T18:14:02.250Z", MOMENT + timedelta(milliseconds=250)),
        ("2025-05-24T20:14:02+02:00", MOMENT),
        (1748110442, MOMENT),
        (1748110442.5, MOMENT + timedelta(milliseconds=500)),
        (1748110442000, MOMENT),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (253402300799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_iso_or_unix_in_seconds_or_milliseconds(value: Any, expected: datetime) -> None:
    event = parse(event="dnc.added", timestamp=value)
    assert event.occurred_at == expected
    assert event.occurred_at.tzinfo is UTC
    assert event.extra == {}


@pytest.mark.parametrize(
    "value",
    [
        "2025-05-24T18:14:02",
        "yesterday",
        "",
        "1748110442",
        True,
        [],
        {},
        10**30,
        -(10**30),
        "9999-12-31T23:59:59-23:00",
    ],
)
def test_what_is_no_time_is_kept_as_it_came(value: Any) -> None:
    event = parse(event="dnc.added", timestamp=value)
    assert (event.occurred_at, event.extra) == (None, {"timestamp": value})


WRONG: list[object] = [5, 1.5, True, "true", [], {"a": 1}]
# (type, its payload, wire name, attribute)
FIELDS = [
    (kind, payload, wire, attribute)
    for kind, payload, _, fields in EVENTS
    for wire, attribute in zip(payload, fields, strict=True)
]


@pytest.mark.parametrize(("kind", "payload", "wire", "attribute"), FIELDS, ids=[f"{row[0]} {row[2]}" for row in FIELDS])
def test_a_value_of_a_wrong_type_is_neither_coerced_nor_lost(
    kind: str, payload: dict[str, Any], wire: str, attribute: str
) -> None:
    for wrong in WRONG:
        if type(wrong) is type(payload[wire]) or (wire == "durationSec" and type(wrong) is float):
            continue
        event = parse(event=kind, **{**payload, wire: wrong})
        assert event.extra == {wire: wrong}
        assert getattr(event, attribute) is None
        assert event == attrs.evolve(parse(event=kind, **payload), extra=event.extra, **{attribute: None})


@pytest.mark.parametrize(("kind", "payload"), [(row[0], row[1]) for row in EVENTS])
def test_a_field_that_is_null_is_none(kind: str, payload: dict[str, Any]) -> None:
    assert parse(event=kind, **dict.fromkeys(payload)) == parse(event=kind)


@pytest.mark.parametrize(("value", "expected"), [(81, 81), (81.25, 81.25), (0, 0), (-1, -1)])
def test_a_duration_is_a_number(value: float, expected: float) -> None:
    event = parse(event="call.ended", durationSec=value)
    assert event.duration_sec == expected
    assert type(event.duration_sec) is type(value)
    assert event.extra == {}


def test_a_duration_beyond_a_float_is_kept_as_it_came() -> None:
    event = parse_event(b'{"event":"call.ended","durationSec":1e999}')
    assert event == CallEnded(type="call.ended", extra={"durationSec": Decimal("1e999")})
    assert parse(event="call.ended", durationSec=10**999) == CallEnded(
        type="call.ended", extra={"durationSec": 10**999}
    )


def test_earlier_names_win_and_later_ones_stay() -> None:
    event = parse(
        event="dnc.added",
        type="outbound",
        eventId="evt_1",
        id="contact_5",
        timestamp=1748110442,
        createdAt="2020-01-01T00:00:00Z",
    )
    assert (event.type, event.id, event.occurred_at) == ("dnc.added", "evt_1", MOMENT)
    assert event.extra == {"type": "outbound", "id": "contact_5", "createdAt": "2020-01-01T00:00:00Z"}


def test_the_outer_level_wins_and_nothing_gives_way_without_a_trace() -> None:
    event = parse(
        event="call.ended",
        callId="outer",
        version=1,
        data={"callId": "in data", "phone": "+1", "version": 2},
        payload={"phone": "+2", "contactId": "7", "version": 3},
    )
    assert (event.call_id, event.phone, event.contact_id) == ("outer", "+1", "7")
    assert event.extra == {
        "data.callId": "in data",
        "payload.phone": "+2",
        "version": 1,
        "data.version": 2,
        "payload.version": 3,
    }


def test_a_null_on_the_outer_level_hides_nothing() -> None:
    event = parse(event="call.ended", callId=None, note=None, data={"callId": "1", "note": "2"})
    assert (event.call_id, event.extra) == ("1", {"note": "2"})


def test_names_that_look_like_places_are_kept_apart() -> None:
    event = parse(**{"event": "dnc.added", "a": 1, "data.a": 2, "data": {"a": 3}})
    assert event.extra == {"a": 1, "data.a": 2, "data.data.a": 3}


def test_an_earlier_name_of_the_time_wins_on_any_level() -> None:
    event = parse(event="call.ended", createdAt="2020-01-01T00:00:00Z", data={"timestamp": 1748110442})
    assert (event.occurred_at, event.extra) == (MOMENT, {"createdAt": "2020-01-01T00:00:00Z"})


def test_inside_the_payload_only_names_that_are_plain_count_for_the_envelope() -> None:
    nested = {
        "eventId": "evt_1",
        "timestamp": 1748110442,
        "id": "contact_5",
        "type": "mobile",
        "createdAt": "2020-01-01T00:00:00Z",
    }
    event = parse(event="dnc.added", data=nested)
    assert (event.type, event.id, event.occurred_at) == ("dnc.added", "evt_1", MOMENT)
    assert event.extra == {"id": "contact_5", "type": "mobile", "createdAt": "2020-01-01T00:00:00Z"}
    del nested["eventId"], nested["timestamp"]
    event = parse(event="dnc.added", data=nested)
    assert (event.id, event.occurred_at) == (None, None)


@pytest.mark.parametrize("odd", [None, 5, "text", [1, 2]])
def test_a_payload_that_is_no_object_is_just_a_field(odd: Any) -> None:
    event = parse(event="call.ended", callId="1", data=odd)
    assert (event.call_id, event.extra) == ("1", {"data": odd})


def test_numbers_in_extra_are_exact() -> None:
    event = parse_event(b'{"event":"new.kind","price":0.1000000000000000055511151231257827}')
    assert event.extra == {"price": Decimal("0.1000000000000000055511151231257827")}


DEEP = b"[" * 100_000 + b"]" * 100_000
NO_EVENTS: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"event=call.ended",
    "cut off": b'{"event":"call.ended"',
    "two values": b'{"event":"call.ended"}{}',
    "text": b'"call.ended"',
    "array": b'[{"event":"call.ended"}]',
    "null": b"null",
    "number": b"5",
    "no type": b'{"eventId":"1"}',
    "null type": b'{"event":null}',
    "empty type": b'{"event":""}',
    "type in the payload only": b'{"data":{"event":"call.ended"}}',
    "type is a number": b'{"event":5,"type":7}',
    "NaN": b'{"event":"call.ended","durationSec":NaN}',
    "infinity": b'{"event":"call.ended","x":-Infinity}',
    "byte order mark": b'\xef\xbb\xbf{"event":"call.ended"}',
    "UTF-16": '{"event":"call.ended"}'.encode("utf-16"),
    "UTF-32": '{"event":"call.ended"}'.encode("utf-32-le"),
    "not UTF-8": b'{"event":"call.ended","x":"\xff"}',
    "a surrogate in UTF-8": b'{"event":"call.ended","x":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"event":"call.ended","x":"\xc0\xaf"}',
    "deep": b'{"event":"call.ended","x":' + DEEP + b"}",
    "only deep": DEEP,
    "a number of too many digits": b'{"event":"call.ended","x":' + b"9" * 5000 + b"}",
    "an exponent beyond Decimal": b'{"event":"call.ended","x":1e99999999999999999999}',
    "NUL": b"\0",
    "a comment": b'{"event":"call.ended"}//',
}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"hot \ud83d", "hot \ufffd"),
        (rb"\uDD25 hot", "\ufffd hot"),
        (rb"\ud83d\ud83d\udd25", "\ufffd\U0001f525"),
        (rb"\ud83d\n\\ud83d\"", '\ufffd\n\\ud83d"'),
    ],
)
def test_half_of_an_escaped_surrogate_pair_costs_no_event(written: bytes, read: str) -> None:
    event = parse_event(b'{"event":"call.ended","eventId":"1","hangupReason":"' + written + b'"}')
    assert isinstance(event, CallEnded)
    assert (event.id, event.hangup_reason) == ("1", read)
    to_json(event)


def test_an_id_with_half_of_a_surrogate_pair_is_none() -> None:
    assert parse_event(rb'{"event":"call.ended","eventId":"a\ud83d","id":"b"}').id is None


@pytest.mark.parametrize("body", NO_EVENTS.values(), ids=NO_EVENTS)
def test_what_is_no_event_is_an_event_error(body: bytes) -> None:
    with pytest.raises(EventError, match="not a valid event") as caught:
        parse_event(body)
    assert caught.value.where in {"body", "event"}
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("body", ["{}", None, 5, {"event": "call.ended"}])
def test_a_body_that_is_not_bytes_is_a_type_error(body: Any) -> None:
    with pytest.raises(TypeError, match="body must be bytes"):
        parse_event(body)


def test_the_error_never_shows_what_came() -> None:
    with pytest.raises(EventError) as caught:
        parse_event(b'{"phone":"+14155551234"')
    assert "4155551234" not in f"{caught.value} {caught.value!r} {caught.value.args}"


@pytest.mark.parametrize(("kind", "payload", "model", "fields"), EVENTS, ids=[row[0] for row in EVENTS])
def test_events_are_frozen_hashable_and_survive_copies(
    kind: str, payload: dict[str, Any], model: type[Event], fields: dict[str, Any]
) -> None:
    event = parse(event=kind, eventId="1", **payload, more=[1])
    assert isinstance(event, model)
    assert {event, copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))} == {event}  # noqa: S301 # made right here
    assert [field.name for field in attrs.fields(model)][4:] == [*fields]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, "id", "2")  # noqa: B010 # the type checker knows better


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
_NAMES = ["event", "type", "eventId", "id", "timestamp", "occurredAt", "data", "payload", *CALL, "terminal", "actor"]
_objects = st.dictionaries(st.one_of(st.sampled_from(_NAMES), st.text(max_size=4)), _json, max_size=8)


@pytest.mark.slow
@given(
    outer=_objects,
    kind=st.sampled_from([row[0] for row in EVENTS]),
    inner=_objects,
    place=st.sampled_from(["data", "payload"]),
)
def test_every_object_with_a_type_is_an_event_and_loses_nothing(
    outer: dict[str, Any], kind: str, inner: dict[str, Any], place: str
) -> None:
    event = parse(**{**outer, "event": kind, place: inner})
    assert event.type == kind

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [f"{value}"] if isinstance(value, str) and len(value) > 2 else []

    came, kept = leaves({**outer, "event": kind, place: inner}), leaves(attrs.asdict(event))
    # A time is read, and no longer the text that came; nothing else may be gone.
    times = {str(level.get(name)) for level in (outer, inner) for name in ("timestamp", "occurredAt", "createdAt")}
    assert {leaf for leaf in came if leaf not in times} <= set(kept)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(body: bytes) -> None:
    with suppress(EventError):
        parse_event(body)
