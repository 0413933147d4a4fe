"""Bytes to models, field by field: the documented payloads, wrong types, missing and unknown fields, times and money."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple, cast

import attrs
import pytest

from tests.core.payloads import (
    AGENT,
    AGENTS,
    BALANCE,
    CALL,
    CALL_KINDS,
    EVENT,
    HOOK,
    ME,
    PAGE,
    PHONE,
    QUEUED,
    RECORD,
    TARGET,
    Json,
    Read,
    read_balance,
    read_hook,
    read_me,
    read_page,
    read_queued,
    refusal,
    written,
)
from unlimcall_async._codec import decode_agents
from unlimcall_async.models import Agent, Balance, CallRecord, CdrPage, Hook, Identity, QueuedCall


@pytest.mark.parametrize(
    ("read", "payload", "model"),
    [
        (read_me, ME, Identity("1042", "Acme Calling Co.", "ops@example.com")),
        (read_balance, BALANCE, Balance(Decimal("42.7831"), "USD", "prepaid", None, blocked=False, stale=False)),
        (read_page, PAGE, CdrPage(18, (RECORD,) * 18, complete=True)),
        (
            decode_agents,
            AGENTS,
            [Agent("27", "unl_001", "SDR seat — Berlin", datetime(2026, 4, 30, 9, 14, tzinfo=UTC))],
        ),
        (read_queued, QUEUED, QueuedCall("f3c1e8a2-9d7f-4c5b-bd91-6e9f0a3b1c7d", "queued")),
        (read_hook, HOOK, Hook(HOOK["id"], HOOK["secret"], EVENT, TARGET)),
    ],
)
def test_documented_payloads_arrive_field_for_field(read: Read, payload: Json, model: object) -> None:
    assert read(written(payload)) == model


# --- wrong types, missing and unknown fields ------------------------------------------------------------------------


class Place(NamedTuple):
    """An object in a response, and the kinds of its fields in the API reference, with `?` if null is allowed."""

    read: Read
    answer: Json
    where: str
    kinds: dict[str, str]

    def spoilt(self, change: Callable[[Json], object]) -> bytes:
        answer = copy.deepcopy(self.answer)
        value: Any = answer
        for name, _, index in (step.partition("[") for step in self.where.split(".") if step):
            value = value[name][int(index.rstrip("]"))]
        change(value)
        return written(answer)


AGENT_KINDS = {"id": "text", "sipUsername": "text", "label": "text", "createdAt": "time"}
PLACES = [
    Place(read_me, ME, "", {"customerId": "text", "companyName": "text", "primaryContactEmail": "text"}),
    Place(
        read_balance,
        BALANCE,
        "",
        {
            "balance": "money",
            "currency": "text",
            "accountType": "text",
            "creditLimit": "money?",
            "blocked": "flag",
            "stale": "flag",
        },
    ),
    Place(read_page, PAGE, "", {"count": "whole", "calls": "list"}),
    Place(read_page, {"count": 18, "calls": [copy.copy(CALL) for _ in range(18)]}, "calls[17]", CALL_KINDS),
    Place(decode_agents, AGENTS, "", {"count": "whole", "agents": "list"}),
    Place(decode_agents, AGENTS, "agents[0]", AGENT_KINDS),
    Place(read_queued, QUEUED, "", {"callId": "text", "status": "text"}),
    Place(read_hook, HOOK, "", {"id": "text", "secret": "text"}),
]  # fmt: skip

ODD: dict[str, Any] = {
    "null": None,
    "text": PHONE,
    "number as text": "7",
    "bool": True,
    "int": 1,
    "float": 7.5,
    "whole float": 7.0,
    "object": {PHONE: PHONE},
    "array": [PHONE],
}
ACCEPTED = {
    "text": ["text", "number as text"],
    "whole": ["int"],
    "money": ["int", "float", "whole float"],
    "flag": ["bool"],
    "time": [],
    "list": [],
}
FIELDS = [pytest.param(place, field, id=f"{place.where}.{field}") for place in PLACES for field in place.kinds]
WRONG: list[Any] = []
RIGHT: list[Any] = []
for spot in PLACES:
    for name, kind in spot.kinds.items():
        for label in ODD:
            fits = label in ACCEPTED[kind.rstrip("?")] or (label == "null" and kind.endswith("?"))
            (RIGHT if fits else WRONG).append(pytest.param(spot, name, label, id=f"{spot.where}.{name} {label}"))


def path_of(place: Place, field: str) -> str:
    return f"{place.where}.{field}".lstrip(".")


@pytest.mark.parametrize(("place", "field", "odd"), WRONG)
def test_a_wrong_type_is_an_error_that_says_where(place: Place, field: str, odd: str) -> None:
    error = refusal(place.read, place.spoilt(lambda value: value.update({field: ODD[odd]})))
    inside = "[0]" if (place.kinds[field], odd) == ("list", "array") else ""
    assert error.where == path_of(place, field) + inside
    assert PHONE not in "".join([*traceback.format_exception(error), repr(error.args)])


@pytest.mark.parametrize(("place", "field", "good"), RIGHT)
def test_a_right_type_is_taken(place: Place, field: str, good: str) -> None:
    place.read(place.spoilt(lambda value: value.update({field: ODD[good]})))


@pytest.mark.parametrize(("place", "field"), FIELDS)
def test_a_missing_field_is_an_error_unless_it_is_optional(place: Place, field: str) -> None:
    body = place.spoilt(lambda value: value.pop(field))
    if place.where == "calls[17]" and place.kinds[field].endswith("?"):
        place.read(body)
    else:
        assert refusal(place.read, body).where == path_of(place, field)


@pytest.mark.parametrize("row", [None, 7, PHONE, [], True])
def test_a_row_that_is_no_object_is_named(row: object) -> None:
    assert refusal(read_page, written({"count": 2, "calls": [CALL, row]})).where == "calls[1]"
    assert refusal(decode_agents, written({"count": 2, "agents": [AGENT, row]})).where == "agents[1]"


@pytest.mark.parametrize("absent", [True, False])
def test_optional_fields_of_a_record_may_be_null_or_absent(absent: bool) -> None:
    required = {name: CALL[name] for name, kind in CALL_KINDS.items() if not kind.endswith("?")}
    row = required if absent else {**dict.fromkeys(CALL_KINDS), **required}
    assert read_page(written({"count": 1, "calls": [row]})).calls == (
        CallRecord("1747852442.42", RECORD.start_time, 81, 80),
    )


NEW: Json = {"": 1, "extra": {"a": 1}, "start_time": None, "nested": {"list": [1, {"deep": None}], "price": 1.10}}
KEPT: Json = {**NEW, "nested": {"list": [1, {"deep": None}], "price": Decimal("1.1")}}


@pytest.mark.parametrize("place", [place for place in PLACES if place.where or place.read is not decode_agents])
def test_unknown_fields_are_kept_in_extra_at_their_own_level(place: Place) -> None:
    result: Any = place.read(place.spoilt(lambda value: value.update(NEW)))
    plain: Any = place.read(written(place.answer))
    if place.where == "agents[0]":
        assert result == [attrs.evolve(plain[0], extra=KEPT)]
    elif place.where == "calls[17]":
        assert result == attrs.evolve(plain, calls=(*plain.calls[:17], attrs.evolve(plain.calls[17], extra=KEPT)))
    else:
        assert result == attrs.evolve(plain, extra=KEPT)


def test_unknown_values_of_enumerations_are_kept_as_they_came() -> None:
    assert read_balance(written({**BALANCE, "accountType": "barter"})).account_type == "barter"
    assert read_queued(written({**QUEUED, "status": "dreaming"})).status == "dreaming"
    page = read_page(written({"count": 1, "calls": [{**CALL, "disposition": "Teleported "}]}))
    assert pickle.loads(pickle.dumps(page)).calls[0].disposition == "Teleported "  # noqa: S301 # made right here


# --- times and money ------------------------------------------------------------------------------------------------


# As the API writes a time, and the same time in UTC.
GOOD_TIMES = [
    ("2026-05-24T18:14:02Z", "2026-05-24T18:14:02"),
    ("2026-05-24T18:14:02.000Z", "2026-05-24T18:14:02"),
    ("2026-05-24T18:14:02.5Z", "2026-05-24T18:14:02.500000"),
    ("2026-05-24T18:14:02.123456Z", "2026-05-24T18:14:02.123456"),
    ("2026-05-24T18:14:02+00:00", "2026-05-24T18:14:02"),
    ("2026-05-24T18:14:02-00:00", "2026-05-24T18:14:02"),
    ("2026-05-24T18:14:02+05:30", "2026-05-24T12:44:02"),
    ("2026-05-24T18:14:02.25-08:00", "2026-05-25T02:14:02.250000"),
    ("2024-02-29T23:59:59-23:59", "2024-03-01T23:58:59"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
    ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
]
BAD_TIMES = [
    "2026-05-24T18:14:02",
    "2026-05-24T18:14:02.000",
    "2026-05-24",
    "2026-02-30T00:00:00Z",
    "2026-05-24T24:00:00Z",
    "2026-05-24T18:60:00Z",
    "2026-05-24T18:14:02+24:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:59.9999999Z",
    "10000-01-01T00:00:00Z",
    "\uff12026-05-24T18:14:02Z",
    "2026-05-24T18:14:02Z\n",
    "1747852442",
    "yesterday",
    "",
]


@pytest.mark.parametrize("more", [{}, {"new": 1}])
@pytest.mark.parametrize(("text", "meant"), GOOD_TIMES)
def test_times_come_out_in_utc(text: str, meant: str, more: Json) -> None:
    (record,) = read_page(written({"count": 1, "calls": [{**CALL, **more, "startTime": text}]})).calls
    (agent,) = decode_agents(written({"count": 1, "agents": [{**AGENT, **more, "createdAt": text}]}))
    for time in (record.start_time, agent.created_at):
        assert time.isoformat() == f"{meant}+00:00"
        assert time.tzinfo is UTC


@pytest.mark.parametrize("text", BAD_TIMES)
def test_a_time_that_is_naive_or_out_of_range_is_refused(text: str) -> None:
    page = written({"count": 1, "calls": [{**CALL, "startTime": text}]})
    agents = written({"count": 1, "agents": [{**AGENT, "createdAt": text}]})
    assert refusal(read_page, page).where == "calls[0].startTime"
    assert refusal(decode_agents, agents).where == "agents[0].createdAt"


NUMBERS = [
    "42.7831",
    "0.1",
    "-17.50",
    "0",
    "-3",
    "7",
    "1e3",
    "1.5E-7",
    "0." + "123456789" * 4,
    "9" * 30,
    "9" * 30 + ".25",
    "1e400",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["balance", "creditLimit"])
def test_money_is_exact_to_the_last_digit(number: str, field: str) -> None:
    rest = {name: value for name, value in BALANCE.items() if name != field}
    body = f'{{"{field}": {number}, {json.dumps(rest)[1:]}'.encode()
    with localcontext(prec=3):
        balance = read_balance(body)
    money = cast(Decimal, balance.balance if field == "balance" else balance.credit_limit)
    assert type(money) is Decimal
    assert money.as_tuple() == Decimal(number).as_tuple()
