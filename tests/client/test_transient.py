"""Failures that pass by themselves: what is sent again, what is in doubt, and what is not taken for success."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import (
    APIError,
    AsyncClient,
    RateLimitedError,
    ResponseError,
    RetryPolicy,
    UnlimCallError,
)
from unlimcall_async.sandbox import Fault, Html, Sandbox, SandboxCall, Status

Serve = Callable[..., Awaitable[AsyncClient]]
Read = Callable[[AsyncClient], Awaitable[object]]

ME = b'{"customerId": "1042", "companyName": "Acme", "primaryContactEmail": "ops@acme.example"}'
HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"


def written(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    return b"\r\n".join([b"HTTP/1.1 " + status, size, b"Content-Type: application/json", *headers, b"", body])


GOOD = written(ME)
READS: dict[str, Read] = {
    "me": AsyncClient.me,
    "balance": AsyncClient.balance,
    "agents": AsyncClient.agents,
    "cdrs.list": lambda client: client.cdrs.list(),
    "request": lambda client: client.request("GET", "/me"),
}
# fmt: off
GARBLED: dict[str, bytes] = {
    "empty": written(b""),
    "blank": written(b" \r\n"),
    "html": written(b"<html><title>Sign in</title></html>", b"X-Portal: 1"),
    "cut off, by its length": written(ME, length=30),
    "half": written(ME[:40]),
    "204": written(b"", status=b"204 No Content"),
    "202, empty": written(b"", status=b"202 Accepted"),
    "206, half": written(ME[:40], status=b"206 Partial Content"),
    "not UTF-8": written(ME.replace(b"Acme", b"\xff\xfe")),
    "a byte order mark": written(b"\xef\xbb\xbf" + ME),
    "UTF-16": written(ME.decode().encode("utf-16")),
    "gzip, cut off": written(gzip.compress(ME)[:-20], b"Content-Encoding: gzip"),
    "gzip without its end": written(gzip.compress(ME * 50)[:60], b"Content-Encoding: gzip"),
}
BROKEN: dict[str, bytes] = {
    "Content-Length too long": written(ME, b"Connection: close", length=len(ME) + 10),
    "gzip that is none": written(ME, b"Content-Encoding: gzip"),
    "gzip with an error": written(gzip.compress(ME)[:20] + b"\0" * 30, b"Content-Encoding: gzip"),
    "a chunk cut off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" + ME,
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n" + ME,
    "not HTTP": b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n",
}
FAILED: dict[str, bytes] = {
    f"{status}": written(b"", status=b"%d No" % status) for status in (408, 425, 500, 502, 503, 504, *range(520, 531))
}
# fmt: on


@pytest.mark.parametrize(
    "first", [*GARBLED.values(), *BROKEN.values(), *FAILED.values()], ids=[*GARBLED, *BROKEN, *FAILED]
)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_read_survives_them(serve: Serve, first: bytes, times: int) -> None:
    client = await serve(*[first] * times, GOOD)
    assert (await client.me()).company_name == "Acme"


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("fault", [Status(200), Status(200, body="{"), Html(), Status(408), Status(425)], ids=repr)
async def test_so_does_every_read(sandbox: Sandbox, client: AsyncClient, read: Read, fault: Fault) -> None:
    sandbox.inject(fault, times=3)
    await read(client)
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize("fault", [Status(200), Html(), Status(200, body="{"), Status(204)], ids=repr)
async def test_a_read_that_stays_garbled_is_given_up_with_the_last_error(
    sandbox: Sandbox, client: AsyncClient, fault: Fault
) -> None:
    given_up: list[UnlimCallError] = []
    sandbox.inject(fault, times=None)
    policy = RetryPolicy(delays=(0, 0, 0), on_give_up=given_up.append)
    with pytest.raises(ResponseError) as caught:
        await client.with_options(retry=policy).me()
    assert (caught.value.garbled, caught.value.outcome_unknown, len(sandbox.requests)) == (True, False, 4)
    assert given_up == [caught.value]


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (Status(200, body="{}"), "customerId"),
        (Status(200, body="[]"), "body"),
        (Status(200, body='{"error": "internal_error"}'), "customerId"),
        (Status(201, body=ME), "status"),
        (Status(202, body=ME), "status"),
        (Status(206, body=ME), "status"),
    ],
    ids=repr,
)
async def test_json_of_the_wrong_shape_or_status_is_final(
    sandbox: Sandbox, client: AsyncClient, fault: Fault, where: str
) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises(ResponseError) as caught:
        await client.me()
    assert (caught.value.where, caught.value.garbled, len(sandbox.requests)) == (where, False, 1)


async def test_each_page_of_a_stream_survives_them(sandbox: Sandbox, client: AsyncClient) -> None:
    start = datetime(2026, 5, 24, tzinfo=UTC)
    sandbox.add_calls(SandboxCall(id=f"{n}", start_time=start + timedelta(minutes=n)) for n in range(50))
    sandbox.inject(Html(), endpoint="cdrs", times=3)
    async with client.cdrs.stream(start, start + timedelta(days=1), page_size=20) as stream:
        assert len([record async for record in stream]) == 50
        assert stream.stats.retries == 3


@pytest.mark.parametrize("head", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" * 3])
async def test_an_interim_response_is_not_the_response(serve: Serve, head: bytes) -> None:
    await (await serve(head + GOOD)).me()


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK", b"x" * 1000], ids=["head", "junk"])
async def test_bytes_after_a_response_do_not_spoil_the_next_one(serve: Serve, more: bytes) -> None:
    client = await serve(GOOD + more, GOOD, keep=True)
    for _ in range(3):
        await client.me()


@pytest.mark.parametrize(
    "late", [GOOD.replace(b"1042", b"9999"), written(b"", status=b"400 Bad"), b"x"], ids=["twice", "400", "junk"]
)
async def test_nor_do_bytes_that_come_once_the_connection_is_kept(late: bytes) -> None:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(GOOD)
                await asyncio.sleep(0.05)
                writer.write(late)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncClient("unl_test_0123456789", base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(3):
                assert (await client.me()).customer_id == "1042"
                await asyncio.sleep(0.1)
        assert connections == 3


async def test_a_connection_that_was_closed_while_the_loop_was_blocked_is_not_used() -> None:
    blocked, closed = threading.Event(), threading.Event()

    def serve() -> None:
        for _ in range(2):
            connection, _address = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(written(b'{"callId": "c1", "status": "queued"}'))
                blocked.wait(10)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        async with AsyncClient("unl_test_0123456789", base_url=f"http://127.0.0.1:{server.getsockname()[1]}") as client:
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
            blocked.set()
            closed.wait(10)  # which blocks the loop
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        thread.join(10)


# --- writes ---------------------------------------------------------------------------------------------------------

DOUBTFUL: list[Fault] = [
    *(Status(status) for status in (408, 425, 499, 500, 502, 503, 504, 520, 524, 529, 200, 201, 202, 204, 206, 304)),
    Status(200, body="{"), Status(200, body='{"callId": 1}'), Status(200, body='{"error": "internal_error"}'),
    Status(202, body='{"callId": "c1", "status": "queued", "id": "h1", "secret": "s"}'),
    Html(), Html(201), Html(408),
]  # fmt: skip
WRITES: dict[str, Read] = {
    "calls.create": lambda client: client.calls.create(ai_agent_id="27", to_number="+14155551234"),
    "hooks.create": lambda client: client.hooks.create(event="call.ended", target_url="https://example.com/"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("fault", DOUBTFUL, ids=repr)
async def test_a_post_without_its_promised_response_is_in_doubt_and_sent_once(
    sandbox: Sandbox, client: AsyncClient, write: Read, fault: Fault
) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises(UnlimCallError) as caught:
        await write(client)
    assert (caught.value.outcome_unknown, len(sandbox.requests)) == (True, 1)
    assert "may have taken effect" in str(caught.value)


TEXTS: list[Fault] = [
    Status(201, body="queued", headers={"Content-Type": "text/plain"}),
    Status(200, body='{"callId": "c', headers={"Content-Type": "text/plain"}),
    Status(200, body="<!doctype html>", headers={"Content-Type": "application/octet-stream"}),
]


@pytest.mark.parametrize("fault", [Status(408), Html(), Status(204), Status(200), *TEXTS], ids=repr)
async def test_so_is_a_raw_one(sandbox: Sandbox, client: AsyncClient, fault: Fault) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises(UnlimCallError) as caught:
        await client.request("POST", "/calls", json={})
    assert (caught.value.outcome_unknown, len(sandbox.requests)) == (True, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 409, 413, 415, 421, 422, 423, 431, 451])
async def test_a_refusal_is_no_doubt(sandbox: Sandbox, client: AsyncClient, status: int) -> None:
    sandbox.inject(Status(status), times=None)
    with pytest.raises(APIError) as caught:
        await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert (caught.value.outcome_unknown, len(sandbox.requests)) == (False, 1)


@pytest.mark.parametrize("status", [200, 201])
async def test_a_call_is_placed_by_200_and_201(sandbox: Sandbox, client: AsyncClient, status: int) -> None:
    sandbox.inject(Status(status, body='{"callId": "c1", "status": "queued"}'))
    call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert call.call_id == "c1"


@pytest.mark.parametrize(
    "fault", [Html(), Status(200), Status(200, body="{}"), Status(202), Status(205), Status(304)], ids=repr
)
async def test_a_hook_is_removed_by_204_alone(sandbox: Sandbox, client: AsyncClient, fault: Fault) -> None:
    hook = await client.hooks.create(event="call.ended", target_url="https://example.com/")
    sandbox.inject(fault, endpoint="hooks", times=None)
    for remove in (client.hooks.delete(hook.id), client.request("DELETE", f"/hooks/{hook.id}")):
        with pytest.raises(ResponseError) as caught:
            await remove
        assert caught.value.where == "status"
    assert sandbox.hooks[hook.id].enabled


async def test_a_204_with_a_body_which_is_not_http_is_asked_again(serve: Serve) -> None:
    gone = written(b'{"error": "not_found"}', status=b"404 Not Found")
    client = await serve(written(b"removed", status=b"204 No Content"), gone)
    await client.hooks.delete(HOOK)


@pytest.mark.parametrize("status", [408, 425])
async def test_a_removal_that_is_tried_again_and_finds_nothing_is_done(
    sandbox: Sandbox, client: AsyncClient, status: int
) -> None:
    sandbox.inject(Status(status))
    await client.hooks.delete(HOOK)
    assert [request.status for request in sandbox.requests] == [status, 404]


# --- Retry-After ----------------------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("status", [429, 503, 408])
@pytest.mark.parametrize("asked", ["0", "-1", "-99999", "0.001", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", ""])
async def test_a_retry_after_below_our_own_delay_shortens_nothing(sandbox: Sandbox, status: int, asked: str) -> None:
    sandbox.inject(Status(status, headers={"Retry-After": asked}), times=3)
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=RetryPolicy(jitter=0)) as client:
        await client.me()
    times = [request.received_at for request in sandbox.requests]
    assert [later - times[0] for later in times] == pytest.approx([0, 1, 3, 7], abs=0.1)


@pytest.mark.looptime
@pytest.mark.parametrize(
    "asked", ["99999999999999999999999999999999", "1e400", "Fri, 01 Jan 2100 00:00:00 GMT", "86401"]
)
async def test_no_retry_after_stops_an_endpoint_for_good(sandbox: Sandbox, asked: str) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.inject(Status(429, headers={"Retry-After": asked}))
        if asked == "1e400":  # not a number of seconds as HTTP writes it
            await client.balance()
        else:
            with pytest.raises(RateLimitedError) as caught:
                await client.balance()
            assert caught.value.retry_after is not None
            assert caught.value.retry_after > 86400
        before = asyncio.get_running_loop().time()
        await client.balance()
        assert asyncio.get_running_loop().time() - before <= 61


@pytest.mark.looptime
async def test_a_retry_after_of_an_hour_stops_its_endpoint_for_an_hour(sandbox: Sandbox) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.inject(Status(429, headers={"Retry-After": "3600"}))
        with pytest.raises(RateLimitedError):
            await client.balance()
        before = asyncio.get_running_loop().time()
        await client.me()
        assert asyncio.get_running_loop().time() - before < 1
        await client.balance()
        assert asyncio.get_running_loop().time() - before == pytest.approx(3600, abs=1)
