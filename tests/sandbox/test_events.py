"""What a delivery's body holds."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlimcall_async.sandbox import Envelope, EventType, SandboxEvent, sample_payload
from unlimcall_async.sandbox.events import EVENTS, new_event

NOON = datetime(2026, 5, 24, 12, tzinfo=UTC)

CALL_FIELDS = {
    *("callId", "contactId", "phone", "durationSec", "dispositionCode"),
    *("hangupReason", "sentimentLabel", "transferInitiated"),
}


def made(event: EventType = "call.ended", payload: Any = None, **changes: Any) -> SandboxEvent:
    arguments = {"occurred_at": NOON, "event_id": "e1", "envelope": Envelope(), **changes}
    return new_event(event, payload, **arguments)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("call.ended", CALL_FIELDS),
        ("call.transferred", {*CALL_FIELDS, "transferTarget"}),
        ("disposition.set", {"terminal", "triggersDnc", "actor"}),
        ("dnc.added", set[str]()),
        ("lead.completed", set[str]()),
    ],
)
def test_a_sample_has_the_fields_that_the_reference_names(event: EventType, fields: set[str]) -> None:
    assert sample_payload(event).keys() == fields
    assert json.loads(made(event).body).keys() == fields | {"event", "eventId", "timestamp"}


def test_a_samples_fields_can_be_changed_and_the_sample_stays() -> None:
    assert sample_payload("call.ended", phone="+49301", new=[1])["phone"] == "+49301"
    assert sample_payload("call.ended", phone="+49301", new=[1])["new"] == [1]
    assert "new" not in sample_payload("call.ended")
    assert sample_payload("call.ended")["phone"] != "+49301"


def test_by_default_all_stands_side_by_side_under_the_first_of_its_names() -> None:
    event = made(payload={"phone": "+4930", "note": "Zürich"})

    assert (
        event.body
        == (
            '{"event":"call.ended","eventId":"e1","timestamp":"2026-05-24T12:00:00.000Z","phone":"+4930","note":"Zürich"}'
        ).encode()
    )
    assert (event.id, event.type, event.occurred_at, event.payload) == (
        *("e1", "call.ended", NOON),
        {"phone": "+4930", "note": "Zürich"},
    )


ENVELOPES = st.builds(
    Envelope,
    type=st.sampled_from(["event", "type"]),
    id=st.sampled_from(["eventId", "id", None]),
    payload=st.sampled_from(["data", "payload", None]),
    time=st.sampled_from(["timestamp", "occurredAt", "createdAt", None]),
    time_format=st.sampled_from(["iso", "unix"]),
)


@settings(deadline=None)
@given(ENVELOPES, st.sampled_from(EVENTS), st.dictionaries(st.sampled_from("abc"), st.integers() | st.text()))
def test_every_envelope_holds_the_same_under_its_own_names(
    envelope: Envelope, event: EventType, payload: dict[str, Any]
) -> None:
    body = json.loads(made(event, payload, envelope=envelope).body)

    assert body.pop(envelope.type) == event
    assert envelope.id is None or body.pop(envelope.id) == "e1"
    moment = 1779624000 if envelope.time_format == "unix" else "2026-05-24T12:00:00.000Z"
    assert envelope.time is None or body.pop(envelope.time) == moment
    assert (body if envelope.payload is None else body.pop(envelope.payload)) == payload
    assert envelope.payload is None or body == {}


def test_times_are_written_in_utc() -> None:
    event = made(payload={}, occurred_at=NOON.astimezone(timezone(timedelta(hours=5))))

    assert json.loads(event.body)["timestamp"] == "2026-05-24T12:00:00.000Z"


def test_without_an_id_each_event_gets_its_own() -> None:
    assert made(event_id=None).id != made(event_id=None).id
    assert made(event_id="").id == ""  # also one that is empty is given


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"event": "call.completed"}, "event must be one of call.ended, call.transferred, disposition.set"),
        ({"event": "call.completed", "payload": {}}, "event must be one of call.ended"),
        ({"occurred_at": datetime(2026, 5, 24)}, "occurred_at must be timezone-aware"),  # noqa: DTZ001 # meant so
        ({"payload": {"eventId": 1}}, "payload may not replace what the envelope holds: eventId"),
        ({"payload": {"a": {1, 2}}}, "payload must be JSON: Object of type set"),
        ({"payload": {"a": float("nan")}}, "payload must be JSON: Out of range"),
        ({"payload": {"a": "\ud800"}}, "payload must be JSON: .* surrogates"),
    ],
)
def test_what_is_no_event_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made(**changes)


def test_under_a_name_of_its_own_a_payload_may_hold_anything() -> None:
    body = json.loads(made(payload={"eventId": 1}, envelope=Envelope(payload="data")).body)

    assert (body["eventId"], body["data"]) == ("e1", {"eventId": 1})


def test_the_types_are_those_of_the_reference() -> None:
    assert get_args(EventType) == ("call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed")
