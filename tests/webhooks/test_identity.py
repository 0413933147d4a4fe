"""Who an event is: no two events count as one, and each event counts once, whatever stands around its id."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.oracle import headers
from unlimcall_async.webhooks import Event, MemoryStore, WebhookReceiver, parse_event
from unlimcall_async.webhooks import identity as identity_module

Content = dict[str, Any]


async def handled(receiver: WebhookReceiver, *contents: Content) -> list[Event]:
    """The events for which the handlers were called. Each delivery is answered 200."""
    events: list[Event] = []
    receiver.on(Event)(events.append)
    for content in contents:
        body = json.dumps({"event": "call.ended", **content}).encode()
        assert (await receiver.handle(body, headers(body)))[0] == 200
    return events


def at(place: str | None, **content: Any) -> Content:
    return content if place is None else {place: content}


@pytest.mark.parametrize("place", ["data", "payload"])
async def test_an_event_id_inside_goes_before_the_id_of_the_hook(receiver: WebhookReceiver, place: str) -> None:
    deliveries = [
        {"id": "hook-8c6e", **at(place, eventId=f"evt-{number}", callId=f"{number}")} for number in range(1, 6)
    ]
    events = await handled(receiver, *deliveries, *deliveries)
    assert [event.id for event in events] == ["evt-1", "evt-2", "evt-3", "evt-4", "evt-5"]
    assert {event.extra["id"] for event in events} == {"hook-8c6e"}


LEVELS = [None, "data", "payload"]


@pytest.mark.parametrize("weaker", LEVELS)
@pytest.mark.parametrize("stronger", LEVELS)
def test_an_event_id_on_any_level_goes_before_an_id_on_any_other(stronger: str | None, weaker: str | None) -> None:
    content: Content = {"event": "call.ended"}
    for place, name in ((weaker, "id"), (stronger, "eventId")):
        level = content if place is None else content.setdefault(place, {})
        level[name] = name
    assert parse_event(json.dumps(content).encode()).id == "eventId"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"eventId": "outer", "data": {"eventId": "data"}, "payload": {"eventId": "payload"}}, "outer"),
        ({"data": {"eventId": "data"}, "payload": {"eventId": "payload"}}, "data"),
        ({"payload": {"eventId": "payload"}, "data": {}}, "payload"),
        ({"eventId": None, "payload": {"eventId": "payload"}}, "payload"),
        ({"eventId": "", "payload": {"eventId": "payload"}}, None),
        ({"id": "outer"}, "outer"),
        ({"data": {"id": "contact_5"}}, None),
        # Deeper, an `eventId` may be that of another event. Beside it an `id` is not trusted.
        ({"id": "hook-8c6e", "data": {"call": {"eventId": "evt-1"}}}, None),
        ({"id": "hook-8c6e", "data": [{"eventId": "evt-1"}]}, None),
        ({"id": "hook-8c6e", "related": [[{"deep": {"eventId": "evt-1"}}]]}, None),
        ({"id": "hook-8c6e", "note": "eventId"}, "hook-8c6e"),
    ],
)
def test_of_one_name_the_outer_level_counts(content: Content, expected: str | None) -> None:
    assert parse_event(json.dumps({"event": "call.ended", **content}).encode()).id == expected


USELESS: list[Any] = [None, True, False, 1.5, 5.0, "", "  \n", [], ["evt-1"], {}, {"value": "evt-1"}]


@pytest.mark.parametrize("place", LEVELS)
@pytest.mark.parametrize("useless", USELESS)
async def test_beside_a_value_that_cannot_be_an_id_the_weaker_name_is_not_taken(
    receiver: WebhookReceiver, useless: Any, place: str | None
) -> None:
    deliveries = [{"id": "hook-8c6e", **at(place, eventId=useless, callId=f"{number}")} for number in range(5)]
    events = await handled(receiver, *deliveries, *deliveries)
    assert [event.id for event in events] == [None] * 5
    # Nothing that came is gone.
    assert {event.extra["id"] for event in events} == {"hook-8c6e"}
    assert [event.extra["eventId"] for event in events] == [useless] * 5


@pytest.mark.parametrize("useless", USELESS)
async def test_an_id_that_cannot_be_one_makes_the_body_the_key(receiver: WebhookReceiver, useless: Any) -> None:
    events = await handled(receiver, *[{"id": useless, "callId": call} for call in ("1", "2", "1")])
    assert [event.id for event in events] == [None] * 2


@pytest.mark.parametrize("name", ["eventId", "id"])
async def test_an_integer_is_an_id_of_its_own_kind(receiver: WebhookReceiver, name: str) -> None:
    ids = [5, "5", -5, 0, "0", 2**64, 2**64 + 1, f"{2**64}", 10**400]
    events = await handled(receiver, *[{name: value, "attempt": attempt} for attempt in range(2) for value in ids])
    assert [(type(event.id), event.id) for event in events] == [(type(value), value) for value in ids]


async def test_ids_of_any_length_and_any_characters_are_told_apart(receiver: WebhookReceiver) -> None:
    long = "e" * 100_000
    ids = ["evt\0", "evt", "evt\0\0", long, long + "e", "é", "e\u0301", "EVT", "evt ", '","', "😀"]
    events = await handled(receiver, *[{"eventId": value, "attempt": attempt} for attempt in range(2) for value in ids])
    assert [event.id for event in events] == ids


async def test_an_id_that_is_written_like_another_events_key_is_not_that_event(receiver: WebhookReceiver) -> None:
    without_id = json.dumps({"event": "call.ended", "callId": "1"})
    keys = [
        identity_module.key_of(parse_event(without_id.encode()), without_id.encode()),
        json.dumps(["call.ended", "evt-1"]),
        without_id,
    ]
    events = await handled(receiver, {"callId": "1"}, {"eventId": "evt-1"}, *[{"eventId": key} for key in keys])
    assert [event.id for event in events] == [None, "evt-1", *keys]


async def test_the_key_of_an_id_is_that_of_the_version_before() -> None:
    # A store that was written by an earlier version holds this key: sha256 of `["call.ended", "evt_1"]`.
    key = identity_module.key_of(parse_event(b'{"event":"call.ended","id":"evt_1"}'), b"")
    assert key == "205cb6ae169fd39f3fccb84f4634616b06d67a69cf6ebcba742dab2ab600cd3a"


async def test_another_body_under_the_same_id_is_the_same_event_and_a_warning(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "unlimcall_async")
    delivery = {"eventId": "evt-secret", "phone": "+14155551234"}
    assert len(await handled(receiver, delivery, delivery, {"eventId": "evt-other"})) == 2
    assert caplog.messages == []
    assert len(await handled(receiver, {**delivery, "attempt": 2}, {**delivery, "phone": "+14155550000"})) == 0
    assert caplog.messages == ["a CallEnded that was handled before came with another body"] * 2
    assert "secret" not in caplog.text


async def test_a_retry_after_a_failure_may_be_written_otherwise_without_a_warning(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    fails = [KeyError()]

    @receiver.on(Event)
    def fail_once(_event: Event) -> None:
        if fails:
            raise fails.pop()

    for attempt, status in ((1, 500), (2, 200), (2, 200)):
        body = json.dumps({"event": "call.ended", "eventId": "evt-1", "attempt": attempt}).encode()
        assert (await receiver.handle(body, headers(body)))[0] == status
    assert "another body" not in caplog.text


async def test_the_memory_of_bodies_is_bounded(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(identity_module, "_MAX_BODIES", 3)
    first = [{"eventId": f"evt-{number}"} for number in range(4)]
    again = [{"eventId": f"evt-{number}", "attempt": 2} for number in (3, 0)]
    assert len(await handled(receiver, *first, *again)) == 4
    # The body of the first event was forgotten; its key, in the store, was not.
    assert caplog.text.count("another body") == 1


_ids = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)),
    *(st.just([]), st.just({}), st.sampled_from([1, "1", "a"])),
)
_levels = st.fixed_dictionaries({}, optional={"eventId": _ids, "id": _ids})
_contents = st.fixed_dictionaries({}, optional={"eventId": _ids, "id": _ids, "data": _levels, "payload": _levels})


def key_by_the_contract(content: Content) -> object:
    """The contract's words: an `eventId` at any level before an `id` at any other; never a weaker name."""
    levels = [level for level in (content, content.get("data"), content.get("payload")) if level is not None]
    by_id = [level["eventId"] for level in levels if "eventId" in level] or [
        level["id"] for level in levels[:1] if "id" in level
    ]
    value = next((value for value in by_id if value is not None), None)
    usable = type(value) is int or (type(value) is str and value.strip())
    return (type(value), value) if usable else json.dumps(content)


@given(contents=st.lists(_contents, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_each_event_is_handled_once_and_no_two_count_as_one(contents: list[Content]) -> None:
    receiver = WebhookReceiver(
        "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01", store=MemoryStore(), clock=lambda: 1_748_110_442
    )
    assert len(await handled(receiver, *contents)) == len({key_by_the_contract(content) for content in contents})
