"""Deliveries as frameworks hand them over: headers in every usual form, and bodies that are packed."""

from __future__ import annotations

import email
import enum
import gzip
import http.client
import io
import json
import logging
import zlib
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.headers import Headers as WsgiHeaders

import pytest
import starlette.datastructures
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from tests.webhooks.oracle import OTHER_SECRET, event_body, headers, signature
from unlimcall_async.webhooks import Event, WebhookReceiver
from unlimcall_async.webhooks.wire import Fields, TooLargeError, unpacked

MakeReceiver = Callable[..., WebhookReceiver]
NAME = "X-Unlimcall-Signature"
BODY = event_body()
GOOD = signature(BODY)


class PairsByIteration:
    """As werkzeug's headers: not a mapping, and its iteration gives the pairs."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)


def parsed(text: str) -> http.client.HTTPMessage:
    return http.client.parse_headers(io.BytesIO(f"{text}\r\n\r\n".encode("latin-1")))


class Name(str, enum.Enum):  # noqa: UP042 # its `str()` is not its text, which is the point
    SIGNATURE = NAME


FORMS: dict[str, Any] = {
    "of an enumeration": {Name.SIGNATURE: GOOD},
    "a dict": {NAME: GOOD},
    "in lower case": {NAME.lower(): GOOD},
    "in upper case": {NAME.upper(): GOOD},
    "of bytes": {NAME.encode(): GOOD.encode()},
    "of bytes and text": {b"Host": b"example.com", "Accept": "*/*", NAME: GOOD},
    "other values of any type": {"Content-Length": len(BODY), "wsgi.input": object(), NAME: GOOD},
    "a list for each name": {NAME: [GOOD], "Host": ["example.com"]},
    "the parts of the value": {NAME: GOOD.split(",")},
    "white space around": {NAME: f" \t{GOOD} "},
    "white space around the comma": {NAME: GOOD.replace(",", " , ")},
    "a mapping of one's own": UserDict({NAME: GOOD}),
    "multidict": CIMultiDict({NAME.swapcase(): GOOD}),
    "multidict, its proxy": CIMultiDictProxy(CIMultiDict({NAME: GOOD})),
    "pairs": [("Host", "example.com"), (NAME, GOOD)],
    "pairs of bytes": [(b"host", b"example.com"), (NAME.lower().encode(), GOOD.encode())],
    "pairs as lists": [[NAME, GOOD]],
    "pairs, once": iter([(NAME, GOOD)]),
    "pairs, in two headers": [(NAME, part) for part in GOOD.split(",")],
    "starlette": starlette.datastructures.Headers({NAME: GOOD}),
    "starlette, raw": starlette.datastructures.Headers(raw=[(NAME.lower().encode(), GOOD.encode())]),
    "wsgiref": WsgiHeaders([(NAME, GOOD)]),
    "as werkzeug": PairsByIteration((NAME, GOOD)),
    "http.client": parsed(f"Host: example.com\r\n{NAME}: {GOOD}"),
    "email": email.message_from_string(f"Host: example.com\n{NAME}: {GOOD}\n\n"),
    "WSGI": {"CONTENT_LENGTH": f"{len(BODY)}", "wsgi.version": (1, 0), "HTTP_X_UNLIMCALL_SIGNATURE": GOOD},
    "WSGI, in two headers": {"HTTP_X_UNLIMCALL_SIGNATURE": GOOD.replace(",", ", ")},
}


@pytest.mark.parametrize("given_headers", FORMS.values(), ids=FORMS)
async def test_headers_are_read_in_every_usual_form(receiver: WebhookReceiver, given_headers: Any) -> None:
    assert await receiver.handle(BODY, given_headers) == (200, b"handled")


@pytest.mark.parametrize(
    "given_headers",
    [
        *({}, [], {NAME: None}, {NAME: []}, {NAME: ""}, {"Host": GOOD}, {f"HTTP-{NAME}-X": GOOD}, {b"\xff": b"\xff"}),
        *({NAME: b"\xe9"}, parsed(f"{NAME}: \xe9"), email.message_from_bytes(f"{NAME}: t=".encode() + b"\xe9\n\n")),
        *([(NAME, GOOD), (NAME, GOOD)], {NAME: [GOOD, GOOD]}, {NAME: GOOD, NAME.lower(): GOOD}),
    ],
)
async def test_what_a_stranger_can_send_is_refused(receiver: WebhookReceiver, given_headers: Any) -> None:
    assert await receiver.handle(BODY, given_headers) == (401, b"signature refused")


@pytest.mark.parametrize(
    "mistake",
    [
        *(None, 5, GOOD, GOOD.encode(), [NAME, GOOD], [(NAME,)], [(NAME, GOOD, "")], {5: GOOD}, {NAME: 5}),
        *({NAME: {}}, {NAME: [5]}, {NAME}, [("a", "b"), None]),
    ],
)
async def test_what_are_no_headers_is_a_mistake_and_not_a_refusal(receiver: WebhookReceiver, mistake: Any) -> None:
    with pytest.raises(TypeError, match=r"^headers must (be a mapping or an iterable of pairs|hold str or bytes), not"):
        await receiver.handle(BODY, mistake)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": lambda body: gzip.compress(body, 1, mtime=0),
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
}
PACKING = pytest.mark.parametrize(("coding", "pack"), PACKINGS.items(), ids=[f"{name}" for name in PACKINGS])


@pytest.mark.parametrize("signed", ["packed", "unpacked"])
@PACKING
async def test_a_packed_body_is_read_whichever_bytes_were_signed(
    receiver: WebhookReceiver, coding: str, pack: Callable[[bytes], bytes], signed: str
) -> None:
    packed = pack(BODY)
    for body, answer in ((packed, b"handled"), (BODY, b"seen before")):
        # The second time the server has unpacked the body, and has left the header. The packed bytes are gone then.
        over = headers(packed if signed == "packed" else BODY)
        expected = (503, b"not readable, try again") if (signed, body) == ("packed", BODY) else (200, answer)
        assert await receiver.handle(body, {**over, "Content-Encoding": coding}) == expected


async def test_an_event_without_an_id_is_one_event_however_it_is_packed(receiver: WebhookReceiver) -> None:
    body = event_body(None, callId="1")
    for packed, coding in ((body, "identity"), (gzip.compress(body, 1), "gzip"), (zlib.compress(body), "deflate")):
        assert (await receiver.handle(packed, {**headers(packed), "Content-Encoding": coding}))[0] == 200
    assert "1 seen" in repr(receiver)


@PACKING
async def test_a_packed_forgery_is_refused(
    receiver: WebhookReceiver, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    receiver.on(Event)(lambda _event: pytest.fail("handled"))
    packed = pack(BODY)
    for forged in (
        *(headers(packed, OTHER_SECRET), headers(BODY, OTHER_SECRET), headers(packed + b"x"), headers(BODY + b" ")),
        *({}, {NAME: ""}, {NAME: "t=1"}, headers(gzip.compress(BODY, 3, mtime=7))),
    ):
        assert await receiver.handle(packed, {**forged, "Content-Encoding": coding}) == (401, b"signature refused")


async def test_the_time_of_a_packed_body_is_judged_too(receiver: WebhookReceiver) -> None:
    packed = gzip.compress(BODY)
    for over in (packed, BODY):
        sent = {**headers(over, at=1), "Content-Encoding": "gzip"}
        assert await receiver.handle(packed, sent) == (503, b"not now, try again")


async def test_a_body_that_cannot_be_unpacked_can_come_again(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "unlimcall_async")
    packed = gzip.compress(BODY)
    for body, sent in (
        (BODY, headers(packed)),  # signed packed, and unpacked by the server
        (b"br", headers(b"br")),  # signed, in a coding that is not known here
        (packed[:-1], headers(packed)),
        (packed * 2, headers(BODY)),
    ):
        coding = "br" if body == b"br" else "gzip"
        assert await receiver.handle(body, {**sent, "Content-Encoding": coding}) == (503, b"not readable, try again")
    # Strangers can cause this, too, and must not fill the log.
    assert len([message for message in caplog.messages if "Content-Encoding" in message]) == 1


async def test_strangers_with_packed_bodies_do_not_hide_failures(make_receiver: MakeReceiver) -> None:
    told: list[int] = []
    receiver = make_receiver(on_failing=told.append)
    for _ in range(20):
        assert (await receiver.handle(BODY, {"Content-Encoding": "gzip"}))[0] == 401
        assert (await receiver.handle(BODY, {NAME: signature(BODY, OTHER_SECRET), "Content-Encoding": "gzip"}))[
            0
        ] == 503
    told.clear()
    for _ in range(3):
        await receiver.handle(b"{}", headers(b"{}"))
    assert told == [3]


@pytest.mark.slow
async def test_a_bomb_is_not_unpacked(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(max_body=100_000)
    bomb = gzip.compress(b"x" * 50_000_000)
    assert len(bomb) < 100_000
    for over in (bomb, b""):
        assert await receiver.handle(bomb, {**headers(over), "Content-Encoding": "gzip"}) == (413, b"too large")
    exact = gzip.compress(b" " * (100_000 - len(BODY)) + BODY)
    assert await receiver.handle(exact, {**headers(exact), "Content-Encoding": "gzip"}) == (200, b"handled")


@pytest.mark.parametrize(
    "more",
    [
        {"Content-Length": f"{len(BODY)}"},
        {b"content-length": f"{len(BODY)}".encode()},
        {"content-length": len(BODY)},
        {"CONTENT_LENGTH": f"{len(BODY)}"},
    ],
)
@pytest.mark.parametrize(
    "left",
    [b"", BODY[:-1], BODY + b"\n", json.dumps(json.loads(BODY), indent=1).encode(), BODY.decode().encode("utf-16")],
)
async def test_a_body_that_something_has_read_before_can_come_again(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture, more: dict[Any, Any], left: bytes
) -> None:
    sent = {**headers(BODY), **more}
    assert await receiver.handle(left, sent) == (503, b"not readable, try again")
    assert "does the server, or a middleware, read or unpack bodies" in caplog.text
    assert await receiver.handle(BODY, sent) == (200, b"handled")
    # What was sent whole is refused as ever.
    assert (await receiver.handle(BODY, {**headers(BODY, OTHER_SECRET), **more}))[0] == 401


async def test_a_body_in_pieces_of_which_nothing_is_left_can_come_again(receiver: WebhookReceiver) -> None:
    sent = {**headers(BODY), "Transfer-Encoding": "chunked"}
    assert await receiver.handle(b"", sent) == (503, b"not readable, try again")
    assert (await receiver.handle(BODY[:-1], sent))[0] == 401


@pytest.mark.parametrize(
    "length", ["", "-1", "1_000", "\u0661\u0662\u0663", "9" * 400, "99, 99", None, b"\xff", [], "x"]
)
async def test_a_length_that_says_nothing_changes_nothing(receiver: WebhookReceiver, length: Any) -> None:
    assert (await receiver.handle(b"", {**headers(BODY), "Content-Length": length}))[0] == 401


@given(body=st.binary(max_size=300), limit=st.integers(1, 300), coding=st.sampled_from([*PACKINGS, "br", ""]))
def test_unpacking_gives_the_body_or_nothing(body: bytes, limit: int, coding: str) -> None:
    packed = PACKINGS[coding](body) if coding in PACKINGS else body
    try:
        assert unpacked(packed, coding.lower() or None, limit) == (None if coding == "br" else body)
    except TooLargeError:
        assert len(body) > limit
    for damaged in (body, packed[:-1], packed + b"x"):
        try:
            assert len(unpacked(damaged, coding.lower() or None, limit) or b"") <= max(limit, len(damaged))
        except TooLargeError:
            continue


@given(st.dictionaries(st.one_of(st.text(), st.binary()), st.one_of(st.text(), st.binary(), st.none())))
def test_a_field_is_found_whatever_stands_beside_it(beside: dict[Any, Any]) -> None:
    signature_found = Fields.of({**beside, NAME: GOOD}).signature
    assert signature_found is not None
    assert GOOD in signature_found
