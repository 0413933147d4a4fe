"""Bodies that the API does not promise: not JSON, not an object, numbers out of range, or fewer rows than `count`."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.payloads import AGENT, CALL, PAGE, PHONE, READERS, Json, Read, refusal, written
from unlimcall_async._codec import decode_agents, decode_cdr_list
from unlimcall_async._pages import PageDecoder

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


@settings(deadline=None)
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
    page = decode_cdr_list(written({"count": count, "calls": [CALL] * rows, **more}), limit, PageDecoder())
    assert (len(page.calls), page.count, page.complete) == (rows, count, complete)
