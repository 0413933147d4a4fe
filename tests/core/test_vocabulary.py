"""Texts that come again and again: one object for each of them, and never another text than the server's."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.payloads import CALL, Json, written
from unlimcall_async import _rows, _vocabulary
from unlimcall_async._codec import DecodeError, decode_rows
from unlimcall_async._rows import Reader
from unlimcall_async._vocabulary import ENOUGH
from unlimcall_async.models import REPEATING, CallRecord

WIRE = dict(zip(REPEATING, ("src", "disposition", "sipUsername", "currency", "country", "did"), strict=True))


def rows_of(*changes: Json, number: int = ENOUGH) -> list[Json]:
    """Make so many rows, with changes in turn."""
    return [CALL | (changes[place % len(changes)] if changes else {}) for place in range(number)]


def read(reader: Reader, rows: Sequence[Json], **dump: Any) -> Sequence[CallRecord]:
    return decode_rows(json.dumps({"count": len(rows), "calls": rows}, **dump).encode(), reader).calls


def taught(reader: Reader, rows: Sequence[Json]) -> Sequence[CallRecord]:
    """Read rows three times: the first may teach a new field, the second the texts."""
    read(reader, rows)
    read(reader, rows)
    return read(reader, rows)


def fields_of(rows: Sequence[Json], name: str) -> list[Any]:
    return [row[WIRE[name]] for row in rows]


def objects(records: Sequence[CallRecord], name: str) -> int:
    """Count the objects that hold a field's texts."""
    return len({id(getattr(record, name)) for record in records})


@pytest.fixture(params=[{}, {"queue": "sales"}], ids=["documented", "a new field"])
def more(request: pytest.FixtureRequest) -> Json:
    fields: Json = request.param
    return fields


@pytest.mark.parametrize("name", REPEATING)
def test_a_text_that_is_known_is_there_once(name: str, more: Json) -> None:
    reader = Reader()
    rows = rows_of(*({WIRE[name]: f"text {number}", **more} for number in range(3)))
    records = taught(reader, rows)
    assert objects(records, name) == 3
    assert [getattr(record, name) for record in records] == fields_of(rows, name)
    assert {type(record) for record in records} == {CallRecord}
    assert all(record.extra == more for record in records)


@pytest.mark.parametrize("beside", [{}, {"next": "abc"}])
def test_pages_share_their_texts(beside: Json, more: Json) -> None:
    def page(*texts: str, number: int = ENOUGH) -> Sequence[CallRecord]:
        rows = rows_of(*({"disposition": text, **more} for text in texts), number=number)
        answer = decode_rows(written({"count": number, "calls": rows, **beside}), reader)
        assert answer.extra == beside
        return answer.calls

    reader = Reader()
    for text in ("BUSY", "FAILED", "BUSY"):
        page(text)
    first, second = (page("BUSY", "FAILED", number=2) for _ in range(2))
    assert objects([*first, *second], "disposition") == 2


def test_a_new_field_costs_no_text_that_is_known() -> None:
    # Texts that no other test has: `typing` gives an old type, with the old texts, to who makes the same again.
    rows = rows_of({"disposition": "PARKED"}, {"disposition": "RESUMED"})
    reader = Reader()
    read(reader, rows)
    old = read(reader, rows[::2])
    read(reader, rows_of({"disposition": "PARKED", "queue": "sales"}))
    new = read(reader, rows_of({"disposition": "PARKED", "queue": "sales"}))
    assert objects([*old, *new], "disposition") == 1


def test_a_field_that_learns_now_and_then_is_shared() -> None:
    reader = Reader()
    for number in range(7):
        read(reader, rows_of({"country": f"country {number}"}, {}))
    # What others learn does not count.
    for number in range(5):
        read(reader, rows_of({"currency": f"currency {number}"}, {}))
    rows = rows_of(*({"country": f"country {number}"} for number in range(7)), {})
    assert objects(read(reader, rows), "country") == 8


def test_a_field_of_some_dozens_of_texts_is_shared() -> None:
    rows = rows_of(*({"sipUsername": f"unl_{number:03}"} for number in range(60)), number=1000)
    assert objects(taught(Reader(), rows), "sip_username") == 60


@pytest.mark.parametrize(
    "text", ["", "\u00e9\U0001f600", "\ufeff", 'a "quoted" one', "back\\slash", "\x00", "x" * 64, None]
)
@pytest.mark.parametrize("escaped", [True, False])
def test_any_text_can_be_known(text: str | None, escaped: bool, more: Json) -> None:
    reader = Reader()
    rows = rows_of({"country": text, **more}, {"country": "Chile", **more})
    for _ in range(2):
        assert [each.country for each in read(reader, rows, ensure_ascii=escaped)] == fields_of(rows, "country")
    records = read(reader, rows, ensure_ascii=escaped)
    assert [each.country for each in records] == fields_of(rows, "country")
    assert objects(records, "country") == 2


def test_a_text_that_is_not_known_comes_as_it_is(more: Json) -> None:
    reader = Reader()
    for number in range(30):
        rows = rows_of({"disposition": f"OUTCOME {number}", "currency": "USD", **more}, more)
        records = read(reader, rows)
        assert [record.disposition for record in records] == fields_of(rows, "disposition")
        assert [record.currency for record in records] == fields_of(rows, "currency")


def test_a_field_with_something_new_on_every_page_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, decoded = Reader(), list[object]()
    decode = _rows._Decoder.decode

    def counting(itself: _rows._Decoder, body: bytes) -> _rows.Rows | None:
        decoded.append(itself)
        return decode(itself, body)

    monkeypatch.setattr(_rows._Decoder, "decode", counting)
    for number in range(100):
        read(reader, rows_of({"country": f"country {number}", "disposition": "BUSY"}))
    assert len(decoded) <= 110
    records = read(reader, rows_of({"country": "country 0", "disposition": "BUSY"}))
    assert (objects(records, "country"), objects(records, "disposition")) == (ENOUGH, 1)


def test_a_field_with_hundreds_of_texts_is_left_alone() -> None:
    rows = rows_of(*({"src": f"+1415555{number:04}"} for number in range(250)), number=1000)
    records = taught(Reader(), rows)
    assert [record.src for record in records] == fields_of(rows, "src")
    assert (objects(records, "src"), objects(records, "currency")) == (1000, 1)


def test_a_field_with_a_long_text_is_left_alone() -> None:
    rows = rows_of({"country": "x" * 65}, {})
    records = taught(Reader(), rows)
    assert [record.country for record in records] == fields_of(rows, "country")
    assert (objects(records, "country"), objects(records, "currency")) == (ENOUGH, 1)


def test_few_records_teach_nothing() -> None:
    reader = Reader()
    rows = rows_of({"disposition": "BUSY"}, number=ENOUGH - 1)
    assert objects(taught(reader, rows), "disposition") == ENOUGH - 1


def test_a_page_of_known_texts_takes_two_thirds_of_the_memory() -> None:
    def size(records: Sequence[CallRecord]) -> int:
        held = {id(each): each for record in records for each in [record, *attrs.astuple(record, recurse=False)]}
        return sum(map(sys.getsizeof, held.values()))

    reader = Reader()
    rows = [
        row | {"id": f"1747852442.{number}", "dst": f"+44207{number:07}", "src": f"+1415555{number:04}"}
        for number, row in enumerate(rows_of(number=1000))
    ]
    before, after = size(read(reader, rows)), size(read(reader, rows))
    assert after < before * 2 / 3


TEXTS = (
    st.none()
    | st.sampled_from(["ANSWERED", "BUSY", "", "\u00e9"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
)
WRONG = st.sampled_from([7, True, [], {}])
TIMES = st.sampled_from(["2026-05-24T18:14:02Z", "2026-05-24T20:14:02.001+02:00", "2026-05-24T18:14:02.000001Z"])
FIELDS = {**dict.fromkeys(WIRE.values(), TEXTS), "startTime": TIMES, "queue": TEXTS, "": TEXTS}
# Few rows are wrong, so that most pages are read.
GOOD = st.fixed_dictionaries({}, optional=FIELDS)
BAD = st.dictionaries(st.sampled_from([*WIRE.values()]), WRONG, min_size=1, max_size=1)
ROWS = st.one_of(*[GOOD] * 15, BAD)
PAGES = st.tuples(st.lists(ROWS, max_size=4), st.sampled_from([{}, {}, {"next": "abc"}]))


def outcome(reader: Reader, body: bytes) -> object:
    try:
        page = decode_rows(body, reader)
    except DecodeError as error:
        return error.where, error.reason
    # In words: `True == 1`, and only the repr tells them apart.
    return repr((page.count, list(page.calls), page.moments, page.finer, page.extra))


@settings(deadline=None)
@given(st.lists(PAGES, min_size=1, max_size=5))
def test_what_is_known_changes_nothing_that_is_read(pages: list[tuple[list[Json], Json]]) -> None:
    reader = Reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_vocabulary, "ENOUGH", 1)
        for changes, beside in pages * 3:
            rows = rows_of(*changes, number=len(changes))
            body = written({"count": len(rows), "calls": rows, **beside})
            assert outcome(reader, body) == outcome(Reader(), body)
