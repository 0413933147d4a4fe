"""What the API called a request: on errors, on what `client.raw` gives, and in what an observer learns."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.client.test_headers import response
from unlimcall_async import APIError, AsyncClient, ResponseError, TransportError
from unlimcall_async.sandbox import Close, Sandbox, Status

Serve = Callable[..., Awaitable[AsyncClient]]

# The token of the clients that `serve` makes.
TOKEN = b"unl_test_0123456789"
NOW = datetime(2026, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    "fault",
    [
        Status(400, code="invalid_input", headers={"X-Request-Id": "r-1"}),
        Status(404, headers={"x-request-id": " r-1 "}),
        Status(503, headers={"X-Request-Id": "r-1"}),
        Status(429, headers={"X-Request-Id": "r-1", "Retry-After": "999"}),
        Status(200, body="{}", headers={"X-Request-Id": "r-1"}),
        Status(200, body="no JSON", headers={"X-Request-Id": "r-1"}),
        Status(206, headers={"X-Request-Id": "r-1"}),
        Status(302, headers={"X-Request-Id": "r-1", "Location": "/"}),
    ],
    ids=lambda fault: str(fault.status),
)
async def test_an_error_has_it_and_its_text_ends_with_it(sandbox: Sandbox, client: AsyncClient, fault: Status) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises((APIError, ResponseError)) as caught:
        await client.me()
    error = caught.value
    assert isinstance(error, (APIError, ResponseError))
    assert error.request_id == "r-1"
    assert str(error).endswith(" (request r-1)")
    twin: APIError | ResponseError = pickle.loads(pickle.dumps(error))  # noqa: S301 # made right here
    assert twin.request_id == "r-1"


async def test_it_is_that_of_the_last_attempt(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-1"}), times=3)
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-2"}))
    with pytest.raises(APIError) as caught:
        await client.me()
    assert caught.value.request_id == "r-2"


async def test_a_stream_names_the_response_that_it_cannot_read(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(200, body='{"count": 1}', headers={"X-Request-Id": "r-1"}), times=None)
    with pytest.raises(ResponseError) as caught:
        await anext(aiter(client.cdrs.stream(NOW - timedelta(days=1), NOW)))
    assert caught.value.request_id == "r-1"


async def test_without_the_header_it_is_none(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(400))
    with pytest.raises(APIError) as caught:
        await client.me()
    assert caught.value.request_id is None
    assert "request" not in str(caught.value)
    sandbox.inject(Close(), times=None)
    with pytest.raises(TransportError):
        await client.me()


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"a" * 200, "a" * 200),
        (b"Root=1-67891233-abcdef012345678912345678;Sampled=1", "Root=1-67891233-abcdef012345678912345678;Sampled=1"),
        (b"a, b", "a, b"),
        (b"a" * 201, None),
        (b"a" * 60_000, None),
        (b"", None),
        (b"  ", None),
        (b"a\tb", None),
        ("é".encode(), None),
        (b"\xff\xfe", None),
        (b"\x1b[31mred", None),
        (TOKEN, None),
        (b"Bearer " + TOKEN, None),
        (TOKEN.upper(), None),
        (b"id-" + TOKEN[:14], None),
        (TOKEN.hex().encode(), None),
    ],
    ids=lambda each: repr(each)[:20],
)
@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
async def test_a_hostile_header_is_not_an_id(serve: Serve, status: bytes, sent: bytes, read: str | None) -> None:
    client = await serve(response(b'{"customerId": 7}', b"X-Request-Id: " + sent, status=status))
    try:
        found = (await client.raw.request("GET", "/me")).request_id
    except TransportError:
        # aiohttp itself refuses a control character.
        assert b"\x1b" in sent
        return
    except APIError as error:
        found = error.request_id
    assert found == read
