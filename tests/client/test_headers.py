"""Responses with many headers, and with long ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from unlimcall_async import AsyncClient, TransportError

Serve = Callable[..., Awaitable[AsyncClient]]

CALL = b'{"callId": "c1", "status": "queued"}'
MANY = {
    "8,200 bytes": [b"X-Long: " + b"a" * 8_200],
    "64 KB": [b"X-Long: " + b"a" * 65_536],
    "64 KB twice": [b"X-Long: " + b"a" * 65_536, b"X-Longer: " + b"b" * 65_536],
    "200 headers": [b"X-%d: 1" % number for number in range(200)],
    "200 cookies": [b"Set-Cookie: c%d=1" % number for number in range(200)],
    "500 headers": [b"X-%d: 1" % number for number in range(498)],
    "500 headers of 1 KB": [b"X-%d: " % number + b"a" * 1024 for number in range(498)],
}


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, b"Connection: close", *headers, b"", body])


@pytest.mark.parametrize("headers", MANY.values(), ids=MANY)
async def test_a_response_may_have_500_headers_and_64_kb_in_each(serve: Serve, headers: list[bytes]) -> None:
    client = await serve(response(CALL, *headers))
    call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert call.call_id == "c1"


async def test_the_words_of_the_status_may_be_as_long(serve: Serve) -> None:
    client = await serve(response(CALL, status=b"200 " + b"O" * 65_536))
    await client.calls.create(ai_agent_id="27", to_number="+14155551234")


@pytest.mark.parametrize(
    "headers", [[b"X: " + b"a" * 100_000], [b"X-%d: 1" % n for n in range(600)]], ids=["long", "many"]
)
async def test_headers_beyond_all_measure_are_not_read(serve: Serve, headers: list[bytes]) -> None:
    client = await serve(response(CALL, *headers))
    with pytest.raises(TransportError, match="not HTTP") as caught:
        await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert caught.value.outcome_unknown
