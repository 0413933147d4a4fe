"""CDR pages: the fast way, and the fields that it learns. `test_codec_fast_way` compares it with the converter."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlimcall_async import _codec
from unlimcall_async._codec import DecodeError, decode, decode_cdr_list, decode_cdr_page
from unlimcall_async._pages import PageDecoder
from unlimcall_async.models import CallRecord, CdrPage

Json = dict[str, Any]

CALL: Json = {
    "id": "1747852442.42",
    "startTime": "2026-05-24T18:14:02.000Z",
    "duration": 81,
    "billsec": 80,
    "src": "+14155550100",
}
RECORD = CallRecord("1747852442.42", datetime(2026, 5, 24, 18, 14, 2, tzinfo=UTC), 81, 80, "+14155550100")
PAGE: Json = {"count": 2, "calls": [CALL] * 2}


def written(value: object, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


NEW_IN_ROWS: Json = {"queue": "sales", "rating": 4.50, "tags": ["a", {"b": None}]}


def test_new_fields_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = PageDecoder()
    rows = [CALL, {**CALL, **NEW_IN_ROWS}, {**CALL, "queue": None}]
    body = written({"count": 3, "calls": rows, "next": "abc"})
    listing = decode(body, _codec._CdrListing)
    monkeypatch.setattr(_codec, "parse", None)
    for _ in range(2):  # the first page teaches the fields
        page = decode_cdr_list(body, 1000, decoder)
        assert page == CdrPage(3, tuple(listing.calls or ()), complete=True, extra=listing.extra)
        assert repr(page.calls[1].extra["rating"]) == "Decimal('4.5')"
        assert [call.extra for call in page.calls] == [{}, NEW_IN_ROWS, {"queue": None}]
    assert decode_cdr_list(written(PAGE), 1000, decoder).calls == (RECORD,) * 2


def test_a_server_that_makes_up_names_is_not_learned_from_for_ever() -> None:
    decoder = PageDecoder()
    for number in range(40):
        page = decode_cdr_list(written({"count": 1, "calls": [{**CALL, f"new {number}": number}]}), 1000, decoder)
        assert page.calls[0].extra == {f"new {number}": number}
    assert decoder.decode(written({"count": 1, "calls": [{**CALL, "new 39": 39}]})) is None


def test_a_body_that_is_not_a_page_teaches_nothing() -> None:
    decoder = PageDecoder()
    for number in range(16):
        with pytest.raises(DecodeError):
            decode_cdr_page(written({"count": 1, "calls": [{"error": 1, f"new {number}": number}]}), decoder)
    decode_cdr_list(written({"count": 1, "calls": [{**CALL, "queue": "sales"}]}), 1000, decoder)
    assert decoder.decode(written({"count": 1, "calls": [{**CALL, "queue": "sales"}]})) is not None


@pytest.mark.parametrize("name", ["", 'a "quoted" one', "back\\slash", "line\nbreak"])
def test_a_name_that_cannot_be_learned_is_read_all_the_same(name: str) -> None:
    decoder = PageDecoder()
    for _ in range(2):
        page = decode_cdr_list(written({"count": 1, "calls": [{**CALL, name: 1}], name: 2}), 1000, decoder)
        assert (page.calls[0].extra, page.extra) == ({name: 1}, {name: 2})


@pytest.mark.parametrize("more", [{}, {"queue": "sales"}])
def test_no_garbage_collector_looks_at_records(more: Json) -> None:
    decoder, body = PageDecoder(), written({"count": 1, "calls": [{**CALL, **more}]})
    decode_cdr_page(body, decoder)  # the decoder knows the field from here on
    (record,) = decode_cdr_page(body, decoder).records
    assert type(record) is CallRecord
    assert record == attrs.evolve(RECORD, extra=more)
    assert not gc.is_tracked(record)


@pytest.mark.parametrize("value", [{"a": 1}, {}])
def test_a_field_with_an_empty_name_does_not_replace_extra(value: Json) -> None:
    calls = decode_cdr_page(written({"count": 2, "calls": [CALL, {**CALL, "": value}]}), PageDecoder()).records
    assert [call.extra for call in calls] == [{}, {"": value}]


def test_starts_are_made_utc() -> None:
    rows = [{**CALL, "startTime": each} for each in ("2026-05-24T20:14:02+02:00", "2026-05-24T18:14:02Z")]
    page = decode_cdr_page(written({"count": 2, "calls": rows}), PageDecoder())
    assert [record.start_time.tzinfo for record in page.records] == [UTC, UTC]
    assert page.starts == [record.start_time for record in page.records] == [RECORD.start_time] * 2


@pytest.mark.parametrize(
    ("texts", "finer"),
    [
        (["18:14:02Z", "20:00:00.000Z"], False),
        (["18:14:02.1Z", "18:14:02.120Z", "18:14:02.123000Z", "18:14:02Z"], False),
        (["18:14:02.1Z", "18:14:02.0001Z"], True),
        (["18:14:02Z", "18:14:02.000001+02:00"], True),
        (["18:14:02Z", "18:14:02.001+02:00"], False),
        ([], False),
    ],
)
@pytest.mark.parametrize("more", [{}, {"queue": "sales"}])
def test_a_page_tells_whether_its_times_are_finer_than_milliseconds(texts: list[str], finer: bool, more: Json) -> None:
    decoder = PageDecoder()
    calls = [{**CALL, **more, "startTime": f"2026-05-24T{text}"} for text in texts]
    for _ in range(2):  # the first page teaches the new field
        page = decode_cdr_page(written({"count": len(calls), "calls": calls}), decoder)
        assert page.finer_than_millis is finer
        assert [start.tzinfo for start in page.starts] == [UTC] * len(texts)


TEXTS = (
    st.none()
    | st.sampled_from(["ANSWERED", "", "\u00e9\U0001f600", "\ufeff", 'a "quoted" one', "back\\slash", "\x00"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
)
TIMES = st.sampled_from(["2026-05-24T18:14:02Z", "2026-05-24T20:14:02.001+02:00", "2026-05-24T18:14:02.000001Z"])
NAMES = ["src", "disposition", "sipUsername", "currency", "country", "did"]
GOOD_CHANGES = st.fixed_dictionaries({}, optional={**dict.fromkeys([*NAMES, "queue", ""], TEXTS), "startTime": TIMES})
BAD_CHANGES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([7, True, [], {}]), min_size=1, max_size=1)
# Few rows are wrong, so that most pages can be decoded.
CHANGES = st.one_of(*[GOOD_CHANGES] * 15, BAD_CHANGES)
PAGES = st.tuples(st.lists(CHANGES, max_size=4), st.sampled_from([{}, {}, {"next": "abc"}]), st.booleans())


def outcome(decoder: PageDecoder, body: bytes) -> object:
    try:
        page = decode_cdr_page(body, decoder)
    except DecodeError as error:
        return error.where, error.reason
    assert page.starts == [record.start_time for record in page.records]
    assert page.finer_than_millis == any(start.microsecond % 1000 for start in page.starts)
    # As text: `True == 1`, and only the repr tells them apart.
    return repr((page.count, list(page.records), page.starts, page.finer_than_millis, page.extra))


@settings(deadline=None)
@given(st.lists(PAGES, min_size=1, max_size=5))
def test_what_is_learned_changes_nothing_that_is_decoded(pages: list[tuple[list[Json], Json, bool]]) -> None:
    decoder = PageDecoder()
    for changes, beside, escaped in pages * 2:
        rows = [CALL | change for change in changes]
        body = written({"count": len(rows), "calls": rows, **beside}, ensure_ascii=escaped)
        assert outcome(decoder, body) == outcome(PageDecoder(), body)
