"""One idea of JSON in the whole package: every reader takes the same texts and refuses the same texts, with an error of its own.

There is one exception: a delivery with half of a surrogate pair is read, because it would come again and again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import Checkpoint, CheckpointError, EventError, ResponseError
from unlimcall_async._codec import DecodeError, decode, decode_cdr_page
from unlimcall_async._json import JsonError, read
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.cli.calls import metadata_of
from unlimcall_async.cli.sealed import sealed, unsealed
from unlimcall_async.http.answers import read_error_body
from unlimcall_async.http.messages import RawResponse
from unlimcall_async.models import Identity
from unlimcall_async.operations import CallerIdPool, PoolStateError
from unlimcall_async.webhooks import parse_event

START = datetime(2026, 5, 1, tzinfo=UTC)
_CHECKPOINT = StreamCheckpoint(START, START + timedelta(days=1), False, Place(to_micros(START)))


class NoCodeError(Exception):
    """The reader of error bodies has taken the body for plain text."""


def read_code(body: bytes) -> None:
    if read_error_body(body)[0] is None:
        raise NoCodeError


# Each reader: a text that it takes, the reading, and the error of a text that it refuses.
READERS: dict[str, tuple[bytes, Callable[[bytes], object], type[Exception]]] = {
    "read": (b'{"a":1}', read, JsonError),
    "read, as floats": (b'{"a":1}', lambda body: read(body, fractions=float), JsonError),
    "a payload": (
        b'{"customerId":"1042","companyName":"Acme","primaryContactEmail":"a@b.c"}',
        lambda body: decode(body, Identity),
        DecodeError,
    ),
    "a page of calls": (b'{"count":0,"calls":[]}', lambda body: decode_cdr_page(body, PageDecoder()), DecodeError),
    "a raw response": (b'{"a":1}', lambda body: RawResponse(200, {}, body).json(), ResponseError),
    "the body of an error": (b'{"code":"new_code"}', read_code, NoCodeError),
    "a delivery": (b'{"event":"call.ended"}', parse_event, EventError),
    "a checkpoint": (_CHECKPOINT.to_json().encode(), Checkpoint.from_json, CheckpointError),
    "a pool's state": (CallerIdPool([]).to_json().encode(), CallerIdPool.from_json, PoolStateError),
    "--metadata": (b'{"a":1}', lambda body: metadata_of(body.decode("utf-8", "surrogateescape")), ValueError),
}
READER = pytest.mark.parametrize(("text", "reader", "error"), READERS.values(), ids=READERS)

# Escapes that stand for no text.
HALVES: dict[str, bytes] = {
    "half of a pair at the end": rb'"Caf\ud83d"',
    "half of a pair before text": rb'"\ud83dCaf"',
    "half of a pair before an escape": rb'"\ud83d\u0041"',
    "half of a pair before its like": rb'"\ud83d\ud83d"',
    "the second half alone": rb'"\ude00"',
    "the halves in the wrong order": rb'"\ude00\ud83d"',
    "half of a pair in a name": rb'{"\ud83d":1}',
}
# The values that make a text one that is refused.
REFUSED: dict[str, bytes] = {
    "half of a pair as bytes": b'"\xed\xa0\xbd"',
    "both halves as bytes": b'"\xed\xa0\xbd\xed\xb8\x80"',
    "a byte that is no UTF-8": b'"\xff"',
    "a name that is no UTF-8": b'{"\xff":1}',
    "overlong UTF-8": b'"\xc0\xaf"',
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "negative infinity": b"-Infinity",
    "an integer of 5,000 digits": b"9" * 5000,
    "a negative integer of 5,000 digits": b"-" + b"9" * 5000,
    "an exponent beyond Decimal": b"1e9999999999999999999",
    "a negative exponent beyond Decimal": b"1e-9999999999999999999",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a control character": b'"a\nb"',
    "a leading zero": b"01",
    "a fraction without digits": b"1.",
    "a plus": b"+1",
    "a trailing comma": b"[1,]",
    "another quote": b"'a'",
    "a comment": b"1/**/",
    "no value": b"",
}
TAKEN: dict[str, bytes] = {
    "a whole pair": rb'"\ud83d\ude00"',
    "a character as bytes": '"é😀"'.encode(),
    "an escaped NUL": rb'"\u0000"',
    "an integer beyond 64 bits": b"1" * 30,
    "a fraction of many digits": b"0." + b"1" * 6000,
    "an exponent": b"-1.5E+3",
    "a name twice": b'{"a":1,"a":2}',
    "white space": b" \t\r\n1 ",
    "nesting": b"[" * 200 + b"]" * 200,
}


def with_value(text: bytes, value: bytes) -> bytes:
    """The text, a JSON object, with one more field."""
    return text.rstrip()[:-1] + b',"x":' + value + b"}"


@pytest.mark.parametrize(("text", "reader"), [row[:2] for row in READERS.values()], ids=READERS)
def test_every_reader_takes_the_same_texts(text: bytes, reader: Callable[[bytes], object]) -> None:
    for value in TAKEN.values():
        reader(with_value(text, value))


@pytest.mark.parametrize("name", [*HALVES, *REFUSED])
def test_every_reader_refuses_the_same_texts(name: str) -> None:
    value, taken = (HALVES | REFUSED)[name], list[str]()
    for kind, (text, reader, error) in READERS.items():
        try:
            reader(with_value(text, value))
        except error:
            continue
        taken.append(kind)
    assert taken == (["a delivery"] if name in HALVES else [])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b"{}",
        lambda text: text + b"\0",
        lambda text: text[:-1],
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.decode().encode("utf-16-le"),
        lambda text: text.decode().encode("utf-32"),
        lambda _: b"",
    ],
    ids=["byte order mark", "two values", "NUL behind", "cut off", "UTF-16", "UTF-16, no mark", "UTF-32", "empty"],
)
@READER
def test_every_reader_refuses_what_is_not_one_text_in_utf_8(
    text: bytes, reader: Callable[[bytes], object], error: type[Exception], change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(error):
        reader(change(text.rstrip()))


def test_what_the_command_stores_is_read_by_the_same_reader() -> None:
    text = sealed({"start": START.isoformat()}).encode()
    for value in TAKEN.values():
        # The reader has taken the text. The checksum is that of another one.
        with pytest.raises(ValueError, match="checksum"):
            unsealed(with_value(text, value))
    for value in REFUSED.values():
        with pytest.raises(JsonError):
            unsealed(with_value(text, value))


_texts = st.text(st.one_of(st.characters(), st.sampled_from("\ud83d\ude00")), max_size=5)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=8,
)


@given(value=_values, ensure_ascii=st.booleans())
def test_a_value_is_read_exactly_unless_it_holds_half_a_pair(value: Any, ensure_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    # The standard library joins two escaped halves that follow each other, as JSON has it.
    expected = json.loads(text, parse_float=Decimal)
    if any("\ud800" <= character <= "\udfff" for character in json.dumps(expected, ensure_ascii=False, default=str)):
        for refused in (text, text.encode("utf-8", "surrogatepass")):
            with pytest.raises(JsonError):
                read(refused)
    else:
        assert repr(read(text)) == repr(read(text.encode())) == repr(expected)


@given(st.binary(max_size=100))
def test_bytes_make_no_other_error(body: bytes) -> None:
    try:
        value = read(body)
    except JsonError:
        return
    assert json.dumps(json.loads(body, parse_float=str)) == json.dumps(value, default=str)


def test_numbers_are_exact_or_floats() -> None:
    text = b"[0.1000000000000000000055, 1E+400, 18446744073709551616, 2]"
    assert read(text) == [Decimal("0.1000000000000000000055"), Decimal("1E+400"), 2**64, 2]
    assert [type(number) for number in read(b"[1.0, 1e2, 1]", fractions=float)] == [float, float, int]
    with pytest.raises(JsonError):
        read(text, fractions=float)
    with pytest.raises(ResponseError, match="expected JSON"):
        RawResponse(200, {}, text).json()


def test_no_setting_of_the_user_changes_what_is_refused() -> None:
    digits = sys.get_int_max_str_digits()
    with localcontext(Context(prec=3, traps=[])):
        assert read("0.12345") == Decimal("0.12345")
        with pytest.raises(JsonError):
            read(REFUSED["an exponent beyond Decimal"])
    try:
        sys.set_int_max_str_digits(640)
        with pytest.raises(JsonError):
            read("9" * 700)
    finally:
        sys.set_int_max_str_digits(digits)


def test_the_error_shows_nothing_of_the_text() -> None:
    with pytest.raises(JsonError) as caught:
        read(b'{"phone":"+14155551234","x":"\xff"}')
    assert "4155551234" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", [None, 5, {"a": 1}])
def test_what_is_not_text_is_a_type_error(text: Any) -> None:
    with pytest.raises(TypeError):
        read(text)
