"""The fast way and the converter read every page of call records alike."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, timedelta, timezone
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.payloads import CALL, CALL_KINDS, PAGE, RECORD, Json, read_page, written
from tests.turns import counted, done
from unlimcall_async import _codec
from unlimcall_async._codec import DecodeError, decode, decode_cdr_list
from unlimcall_async._pages import PageDecoder
from unlimcall_async.models import CallRecord, CdrPage

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
wholes = st.integers(-3, 9) | st.integers(-(2**70), 2**70)
bounded = st.integers(-3, 9) | st.integers(-(2**63), 2**63 - 1)
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
    """Return the page or its error as text: `True == 1`, and only the repr tells them apart."""
    try:
        page = read(body)
    except DecodeError as error:
        return f"{error.where}: {error.reason}"
    return repr(page)


def read_slowly(body: bytes) -> CdrPage:
    """Decode a page with the converter alone."""
    listing = decode(body, _codec._CdrListing)
    if listing.calls is None and listing.count:
        raise DecodeError("calls", "expected an array")
    calls = tuple(listing.calls or ())
    complete = len(calls) < 1000 and listing.count <= len(calls)
    return CdrPage(listing.count, calls, complete, extra=listing.extra)


@settings(deadline=None)
@given(bodies())
def test_the_fast_way_and_the_converter_agree(body: bytes) -> None:
    assert outcome(read_page, body) == outcome(read_slowly, body)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(bodies(), min_size=1, max_size=4))
def test_what_was_learned_changes_nothing_that_is_read(some: list[bytes]) -> None:
    decoder = PageDecoder()
    for body in some * 2:  # the first round teaches undocumented fields
        assert outcome(partial(decode_cdr_list, limit=1000, decoder=decoder), body) == outcome(read_slowly, body)


@given(bodies(), st.sampled_from([1, 20, 150]), st.booleans())
def test_what_is_decoded_in_turns_is_what_is_decoded_at_once(body: bytes, at_once: int, knows: bool) -> None:
    decoder = PageDecoder()
    if knows:
        decoder.decode(body)
    assert repr(done(decoder.decode_in_turns(body, at_once))) == repr(decoder.decode(body))


ROW = text_of([*CALL.items()]).encode()
NEW = text_of([*CALL.items(), ("tags", [{}, {"a": 1}])]).encode()


@pytest.mark.parametrize(
    ("body", "turns"),
    [
        (b'{"count":3,"calls":[R,R,R]}', 3),
        (b' {"calls" : [ R , R\n,\tR ] , "count": 9 } ', 3),
        (b'{"calls":[R,R],"calls":[R,R],"count":2}', 3),
        (b'{"calls":[R,R],"count":2,"calls":[R,R]}', 1),
        (b'{"count":2,"calls":[R,R],"count":3}', 2),
        (b'{"count":2,"calls":[R,R],"calls":[R]}', 3),
        (b'{"count":2,"calls":[R,R],"more":[R,R]}', 3),
        (b'{"more":[R,R],"count":2,"calls":[R,R]}', 1),
        (b'{"count":2,"calls":[R,R]', 1),
        (b'{"count":2,"calls":[R,R]}]', 1),
        (b'{"count":2,"calls":[R\x0b,R]}', 1),
        (b'{"count":2,"calls":[R,R,{}]}', 4),
        (b'{"count":2,"calls":[R,N]}', 3),
        (b'{"count":2,"calls":[N,N]}', 1),
        (b"[R,R]", 1),
    ],
)
@pytest.mark.parametrize("knows", [False, True])
def test_a_cut_at_a_wrong_place_changes_nothing(body: bytes, turns: int, knows: bool) -> None:
    body = re.sub(rb"\b[RN]\b", lambda row: ROW if row[0] == b"R" else NEW, body)
    expected = repr(PageDecoder().decode(body))
    decoder = PageDecoder()
    if knows:
        decoder.decode(b'{"count":1,"calls":[%b],"more":1}' % NEW)
    found, number = counted(decoder.decode_in_turns(body, 100))
    assert (repr(found), number) == (expected, turns)


def test_a_documented_page_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codec, "parse", None)
    assert read_page(written(PAGE)).calls == (RECORD,) * 18


records = st.builds(
    CallRecord,
    texts,
    moments,
    bounded,
    bounded,
    **dict.fromkeys(["src", "dst", "disposition", "sip_username", "currency", "country", "did"], st.none() | texts),
    sell_price_cents=st.none() | bounded,
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


@settings(deadline=None)
@given(st.lists(records, max_size=4), zones)
def test_any_record_survives_the_wire(some: list[CallRecord], zone: timezone) -> None:
    page = read_page(written({"count": len(some), "calls": [row_of(record, zone) for record in some]}))
    assert page == CdrPage(len(some), tuple(some), complete=True)
    assert [record.extra for record in page.calls] == [record.extra for record in some]
