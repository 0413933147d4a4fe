"""Bytes to models: the documented payloads, and every way in which they can be wrong."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, NamedTuple, cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlimcall_async import _codec
from unlimcall_async._codec import DecodeError, decode, decode_agents, decode_hook, decode_page, decode_rows
from unlimcall_async._rows import Reader
from unlimcall_async.models import Agent, Balance, CallRecord, CdrPage, Hook, Identity, QueuedCall

Json = dict[str, Any]
Read = Callable[[bytes], object]

PHONE = "+14155550100"
EVENT, TARGET = "call.ended", "https://example.com/hooks/unlimcall"

# The reference's own examples.
ME: Json = {"customerId": "1042", "companyName": "Acme Calling Co.", "primaryContactEmail": "ops@example.com"}
BALANCE: Json = {
    "balance": 42.7831, "currency": "USD", "accountType": "prepaid", "creditLimit": None, "blocked": False, "stale": False,
}  # fmt: skip
CALL: Json = {
    "id": "1747852442.42", "startTime": "2026-05-24T18:14:02.000Z", "duration": 81, "billsec": 80, "src": PHONE,
    "dst": "+442071838750", "disposition": "ANSWERED", "sipUsername": "unl_001", "sellPriceCents": 34, "currency": "USD",
    "country": "United Kingdom", "did": None,
}  # fmt: skip
AGENT: Json = {"id": "27", "sipUsername": "unl_001", "label": "SDR seat — Berlin", "createdAt": "2026-04-30T09:14:00Z"}
QUEUED: Json = {"callId": "f3c1e8a2-9d7f-4c5b-bd91-6e9f0a3b1c7d", "status": "queued"}
HOOK: Json = {"id": "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31", "secret": "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"}
PAGE: Json = {"count": 18, "calls": [CALL] * 18}
AGENTS: Json = {"count": 1, "agents": [AGENT]}

RECORD = CallRecord(
    id="1747852442.42",
    start_time=datetime(2026, 5, 24, 18, 14, 2, tzinfo=UTC),
    duration=81,
    billsec=80,
    src=PHONE,
    dst="+442071838750",
    disposition="ANSWERED",
    sip_username="unl_001",
    sell_price_cents=34,
    currency="USD",
    country="United Kingdom",
    did=None,
)


def read_me(body: bytes) -> Identity:
    return decode(body, Identity)


def read_balance(body: bytes) -> Balance:
    return decode(body, Balance)


def read_queued(body: bytes) -> QueuedCall:
    return decode(body, QueuedCall)


def read_page(body: bytes) -> CdrPage:
    return decode_page(body, 1000)


def read_hook(body: bytes) -> Hook:
    return decode_hook(body, EVENT, TARGET)


READERS: list[Read] = [read_me, read_balance, read_page, decode_agents, read_queued, read_hook]


def written(value: object) -> bytes:
    return json.dumps(value).encode()


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
    """An object inside an answer, and what the reference says of its fields (`?` where null is allowed)."""

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


CALL_KINDS = {
    "id": "text", "startTime": "time", "duration": "whole", "billsec": "whole", "src": "text?", "dst": "text?",
    "disposition": "text?", "sipUsername": "text?", "sellPriceCents": "whole?", "currency": "text?", "country": "text?",
    "did": "text?",
}  # fmt: skip
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


def refusal(read: Read, body: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(body)
    return caught.value


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


# As they come, and as they are meant.
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


# --- bodies that are not what they should be ------------------------------------------------------------------------

NOT_JSON = {
    "empty": b"",
    "blank": b" \n",
    "html": b"<html>Bad gateway</html>",
    "truncated": written(PAGE)[:-20],
    "two values": b"{}{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": "{}".encode("utf-16"),
    "nan": b'{"count": NaN, "calls": []}',
    "infinity": b'{"count": 0, "calls": [], "new": Infinity}',
    "single quotes": b"{'count': 0, 'calls': []}",
    "trailing comma": b'{"count": 0, "calls": [],}',
    "nesting": b'{"new": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open nesting": b'{"count": ' * 100_000,
    "not utf-8": b'{"count": 0, "calls": [], "new": "\xff"}',
    "half a surrogate pair": b'{"count": 0, "calls": [], "new": "\\ud800"}',
    "not utf-8 in a row": written(PAGE).replace(b"Kingdom", b"K\xffngdom"),
}
NO_OBJECT = [b"[]", b"null", b"7", b"1.5", b"true", b'"+14155550100"', b"[{}]"]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("body", [*NOT_JSON.values(), *NO_OBJECT], ids=[*NOT_JSON, *map(bytes.decode, NO_OBJECT)])
def test_a_body_that_is_no_object_is_an_error_at_body(read: Read, body: bytes) -> None:
    error = refusal(read, body)
    assert error.where == "body"
    assert PHONE not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1e-99999999999999999999", "9" * 5000])
def test_a_number_beyond_all_bounds_is_a_decode_error(read: Read, number: str) -> None:
    places = "customerId", "balance", "count", "callId", "id"
    refusal(read, ("{" + ",".join(f'"{place}": {number}' for place in places) + "}").encode())
    refusal(read, f'{{"new": {number}}}'.encode())


@settings(deadline=None, max_examples=100)
@given(st.binary() | st.text().map(str.encode), st.sampled_from(READERS))
def test_arbitrary_bytes_are_a_decode_error(body: bytes, read: Read) -> None:
    refusal(read, body)


@pytest.mark.parametrize(
    ("count", "held", "good"), [(0, 0, True), (0, 1, True), (1, 1, True), (2, 1, False), (1, 0, False)]
)
def test_fewer_agents_than_the_count_are_an_error(count: int, held: int, good: bool) -> None:
    body = written({"count": count, "agents": [AGENT] * held})
    if good:
        assert len(decode_agents(body)) == held
    else:
        assert refusal(decode_agents, body).where == "count"


@pytest.mark.parametrize("more", [{}, {"new": 1}])
@pytest.mark.parametrize(
    ("rows", "count", "limit", "complete"),
    [
        (0, 0, 1, True),
        (0, 1, 1, False),
        (1, 1, 1, False),
        (1, 0, 1, False),
        (2, 2, 3, True),
        (2, 1, 3, True),
        (2, 3, 3, False),
        (2, 0, 3, True),
        (3, 3, 3, False),
        (3, 2, 3, False),
        (3, 9, 3, False),
        (4, 4, 3, False),
    ],
)
def test_a_page_is_complete_if_below_the_limit_and_the_count_not_above_its_rows(
    rows: int, count: int, limit: int, complete: bool, more: Json
) -> None:
    page = decode_page(written({"count": count, "calls": [CALL] * rows, **more}), limit)
    assert (len(page.calls), page.count, page.complete) == (rows, count, complete)


# --- the fast way and the converter ---------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
wholes = st.integers(-3, 9) | st.integers(-(2**70), 2**70)
moments = st.datetimes(timezones=st.just(UTC))
offsets = st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+2400", "+01", "+0100", " Z"])
fractions = st.sampled_from(["", ".5", ".1234567"])
times = st.builds("{:%Y-%m-%dT%H:%M:%S}{}{}".format, st.datetimes(), fractions, offsets)
plain = st.none() | st.booleans() | wholes | st.floats(allow_nan=False, allow_infinity=False) | texts | times
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=3
)
keys = st.sampled_from([*CALL_KINDS, "", "extra", "start_time", "StartTime", "sip_username", "count", "calls"]) | texts
Pairs = list[tuple[str, Any]]


def mutated(pairs: Pairs) -> st.SearchStrategy[Pairs]:
    """Change some fields, drop some, and add some, which may be there already."""
    changes = st.lists(st.tuples(st.integers(0, len(pairs) - 1), st.none() | values.map(lambda v: (v,))), max_size=2)

    def changed(some: list[tuple[int, tuple[Any] | None]], more: Pairs, at: int) -> Pairs:
        fate = dict(some)
        kept = [(key, fate.get(i, (value,))) for i, (key, value) in enumerate(pairs)]
        left = [(key, item[0]) for key, item in kept if item is not None]
        return [*left[:at], *more, *left[at:]]

    return st.builds(changed, changes, st.lists(st.tuples(keys, values), max_size=2), st.integers(0, len(pairs)))


def text_of(pairs: Pairs) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"


good_rows = st.just(list(CALL.items()))
rows = st.one_of(good_rows, mutated(list(CALL.items()))).map(text_of)
row_lists = st.lists(rows, max_size=3).map(lambda texts: f"[{','.join(texts)}]") | values.map(json.dumps)
heads = st.one_of(st.just([("count", 1)]), mutated([("count", 1)]))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    head = text_of(draw(heads))[1:-1]
    calls = f'"calls":{draw(row_lists)}'
    parts = draw(st.permutations([part for part in (head, calls) if part]))
    return f"{{{','.join(parts)}}}".encode()


def outcome(read: Callable[[bytes], CdrPage], body: bytes) -> str:
    """Tell what came out, in words: `True == 1`, and only the repr tells them apart. New fields come in any order."""
    try:
        page = read(body)
    except DecodeError as error:
        return f"{error.where}: {error.reason}"
    calls = [attrs.evolve(call, extra=dict(sorted(call.extra.items()))) for call in page.calls]
    return repr(attrs.evolve(page, calls=tuple(calls), extra=dict(sorted(page.extra.items()))))


def read_learned(reader: Reader, body: bytes) -> CdrPage:
    """Read a page by a reader that has learned from others."""
    rows = decode_rows(body, reader)
    return CdrPage(rows.count, tuple(rows.calls), rows.is_whole(1000), extra=rows.extra)


def read_slowly(body: bytes) -> CdrPage:
    """Read a page by the converter alone."""
    listing = decode(body, _codec._CdrListing)
    complete = len(listing.calls) < 1000 and listing.count <= len(listing.calls)
    return CdrPage(listing.count, tuple(listing.calls), complete, extra=listing.extra)


@settings(deadline=None, max_examples=400)
@given(bodies())
def test_the_fast_way_and_the_converter_agree(body: bytes) -> None:
    assert outcome(read_page, body) == outcome(read_slowly, body)


@settings(deadline=None, max_examples=200)
@given(st.lists(bodies(), min_size=1, max_size=4))
def test_what_was_learned_changes_nothing_that_is_read(some: list[bytes]) -> None:
    reader = Reader()
    for body in [*some, *some]:
        assert outcome(partial(read_learned, reader), body) == outcome(read_slowly, body)


def test_a_documented_page_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codec, "parse", None)
    assert read_page(written(PAGE)).calls == (RECORD,) * 18


records = st.builds(
    CallRecord,
    texts,
    moments,
    wholes,
    wholes,
    **dict.fromkeys(["src", "dst", "disposition", "sip_username", "currency", "country", "did"], st.none() | texts),
    sell_price_cents=st.none() | wholes,
    extra=st.just({})
    | st.dictionaries(texts.map("new ".__add__), st.none() | st.booleans() | wholes | texts, max_size=2),
)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def row_of(record: CallRecord, zone: timezone) -> Json:
    try:
        moment = record.start_time.astimezone(zone)
    except OverflowError:  # at the edge of the calendar
        moment = record.start_time
    names = dict(zip((a.name for a in attrs.fields(CallRecord)), CALL_KINDS, strict=False))
    row = {wire: getattr(record, name) for name, wire in names.items()}
    return {**row, "startTime": moment.isoformat(), **record.extra}


@settings(deadline=None, max_examples=100)
@given(st.lists(records, max_size=4), zones)
def test_any_record_survives_the_wire(some: list[CallRecord], zone: timezone) -> None:
    page = read_page(written({"count": len(some), "calls": [row_of(record, zone) for record in some]}))
    assert page == CdrPage(len(some), tuple(some), complete=True)
    assert [record.extra for record in page.calls] == [record.extra for record in some]


WRITING: list[Callable[[Any], object]] = [
    lambda extra: operator.setitem(extra, "new", 1),
    lambda extra: operator.delitem(extra, "new"),
    lambda extra: operator.ior(extra, {"new": 1}),  # type: ignore[no-untyped-call] # as the stubs have it
    lambda extra: extra.update(new=1),
    lambda extra: extra.setdefault("new", 1),
    lambda extra: extra.pop("new", None),
    lambda extra: extra.popitem(),
    lambda extra: extra.clear(),
]


@pytest.mark.parametrize("write", WRITING)
def test_nothing_can_be_written_into_an_extra_that_records_share(write: Callable[[Any], object]) -> None:
    first, second = read_page(written({"count": 2, "calls": [CALL, CALL]})).calls
    with pytest.raises(TypeError, match="extra"):
        write(first.extra)
    assert first.extra == second.extra == CallRecord(*attrs.astuple(RECORD)[:4]).extra == {}


def test_an_empty_extra_is_a_dict_to_all_that_reads_it() -> None:
    (record,) = read_page(written({"count": 1, "calls": [CALL]})).calls
    assert json.dumps(attrs.asdict(record)["extra"]) == json.dumps(record.extra) == "{}"
    for twin in (record.extra | {}, record.extra.copy(), copy.copy(record.extra), copy.deepcopy(record).extra):  # type: ignore[operator, attr-defined]
        assert type(twin) is dict
        twin["new"] = 1
    assert record.extra == {}


def test_a_record_is_a_struct_with_the_fields_that_attrs_names() -> None:
    assert [field.name for field in attrs.fields(CallRecord)] == list(CallRecord.__struct_fields__)
    defaults = {field.name: field.default for field in attrs.fields(CallRecord) if field.default is not attrs.NOTHING}
    assert defaults == {name: getattr(CallRecord("1", RECORD.start_time, 1, 0), name) for name in defaults}
    assert attrs.evolve(RECORD, duration=82).duration == 82
    assert CallRecord(**attrs.asdict(RECORD)) == RECORD
    assert "extra={}" in repr(RECORD)


# --- the models -----------------------------------------------------------------------------------------------------

NOVEL: Json = {"new": {"a": [1]}}
MODELS: dict[str, Callable[[], Any]] = {
    "Identity": lambda: read_me(written({**ME, **NOVEL})),
    "Balance": lambda: read_balance(written({**BALANCE, **NOVEL})),
    "Agent": lambda: decode_agents(written({"count": 1, "agents": [{**AGENT, **NOVEL}]}))[0],
    "CallRecord": lambda: read_page(written({"count": 1, "calls": [{**CALL, **NOVEL}]})).calls[0],
    "CdrPage": lambda: read_page(written({**PAGE, **NOVEL})),
    "QueuedCall": lambda: read_queued(written({**QUEUED, **NOVEL})),
    "Hook": lambda: read_hook(written({**HOOK, **NOVEL})),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_frozen_slotted_hashable_and_survive_pickle_and_copy(name: str) -> None:
    model = MODELS[name]()
    assert type(model).__name__ == name
    for field in (*(a.name for a in attrs.fields(type(model))), "novel"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(model, field, None)
    assert not hasattr(model, "__dict__")
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    copies = [pickle.loads(pickle.dumps(model, protocol)) for protocol in protocols]  # noqa: S301 # made right here
    for twin in (*copies, copy.copy(model), copy.deepcopy(model)):
        assert twin == model
        assert twin.extra == NOVEL
        assert {twin, model} == {model}


def test_the_secret_of_a_hook_is_not_in_its_repr() -> None:
    hook = read_hook(written(HOOK))
    assert hook.secret == HOOK["secret"]
    assert "whsec" not in f"{hook!r} {hook} {[hook]}"
