"""What each fault looks like from the client's side, and whether the request took effect.

The request is `POST /calls`: its effect is visible, and aiohttp, which sends other requests a second time when a
connection breaks, sends a POST once.
"""

import asyncio
import errno

import aiohttp
import pytest

from unlimcall_async.sandbox import (
    Close,
    Delay,
    Fault,
    Garbage,
    Html,
    Processed,
    Redirect,
    ResetAfter,
    ResetBefore,
    Sandbox,
    Stall,
    Status,
    Truncate,
)

from .support import Visitor, port_of, until


async def test_a_fault_passes(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Status(503), "calls")

    assert [(await visitor.call()).status for _ in range(2)] == [503, 200]
    assert len(sandbox.originated) == 1


async def test_a_fault_comes_before_authentication(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Status(503))

    assert (await visitor.ask("GET", "/me", token="unl_test_nobody")).status == 503


@pytest.mark.parametrize(
    ("fault", "took_effect"),
    [(ResetBefore(), False), (ResetAfter(), True), (Close(), False), (Garbage(), False)],
    ids=lambda value: type(value).__name__,
)
async def test_a_request_without_an_answer_is_recorded_as_such(
    visitor: Visitor, sandbox: Sandbox, fault: Fault, took_effect: bool
) -> None:
    sandbox.inject(fault)

    with pytest.raises(aiohttp.ClientError):
        await visitor.call()

    assert len(sandbox.originated) == took_effect
    assert [request.status for request in sandbox.requests] == [None]
    assert (await visitor.call()).status == 200


@pytest.mark.parametrize("fault", [ResetBefore(), ResetAfter()], ids=str)
async def test_a_reset_is_a_reset(visitor: Visitor, sandbox: Sandbox, fault: Fault) -> None:
    sandbox.inject(fault)

    with pytest.raises(aiohttp.ClientOSError) as caught:
        await visitor.call()

    assert caught.value.errno == errno.ECONNRESET


async def test_a_close_is_no_reset(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Close())

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await visitor.call()


async def test_garbage_is_no_answer(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Garbage())

    with pytest.raises(aiohttp.ClientResponseError, match=r"Bad status line|Invalid"):
        await visitor.call()


async def test_a_status_stands_in_for_the_api(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Status(429, headers={"Retry-After": "7"}))
    sandbox.inject(Status(503, code="engine_not_configured", headers={"X-Id": "1"}))
    sandbox.inject(Status(200, body='{"callId": 7}'))
    sandbox.inject(Status(200, body=b"\xff", headers={"content-type": "text/csv"}))

    bare, coded, typed = [await visitor.call() for _ in range(3)]

    assert (bare.status, bare.text, bare.headers["Retry-After"]) == (429, "", "7")
    assert coded.error == (503, "engine_not_configured")
    assert coded.headers["X-Id"] == "1"
    assert (typed.text, typed.headers["Content-Type"]) == ('{"callId": 7}', "application/json; charset=utf-8")
    async with visitor.session.post(sandbox.url + "/calls") as response:
        assert (await response.read(), response.headers["Content-Type"]) == (b"\xff", "text/csv")
    assert not sandbox.originated
    assert [request.status for request in sandbox.requests] == [429, 503, 200, 200]


async def test_html_stands_in_for_the_api(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Html())
    sandbox.inject(Html(599))

    portal, proxy = await visitor.call(), await visitor.call()

    assert (portal.status, portal.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert portal.text.startswith("<!doctype html>")
    assert (proxy.status, "599 Unknown" in proxy.text) == (599, True)
    assert not sandbox.originated


async def test_a_redirect_stands_in_for_the_api(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Redirect("http://elsewhere.example/x"))
    sandbox.inject(Redirect("/", status=301))

    first, second = await visitor.call(), await visitor.call()

    assert (first.status, first.headers["Location"]) == (307, "http://elsewhere.example/x")
    assert (second.status, second.headers["Location"]) == (301, "/")
    assert not sandbox.originated


async def test_processed_takes_effect_and_says_otherwise(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Processed(502))

    reply = await visitor.call()

    assert (reply.status, reply.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert len(sandbox.originated) == 1


async def test_truncate_breaks_off_amid_the_body(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Truncate())

    async with visitor.session.post(
        sandbox.url + "/calls",
        json={"aiAgentId": "27", "toNumber": "+14155551234"},
        headers={"Authorization": f"Bearer {sandbox.token}"},
    ) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert response.content_length == len(f'{{"callId":"{sandbox.originated[0].call_id}","status":"queued"}}')
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()

    assert len(sandbox.originated) == 1
    assert sandbox.requests[0].status == 200


async def raw(sandbox: Sandbox, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox))
    lines = [f"{head} HTTP/1.1", "Host: x", f"Authorization: Bearer {sandbox.token}", "", ""]
    writer.write("\r\n".join(lines).encode())
    return reader, writer


async def test_truncate_leaves_half_of_what_would_have_come(sandbox: Sandbox) -> None:
    sandbox.inject(Truncate())

    reader, writer = await raw(sandbox, "GET /api/v1/me")
    received = await reader.read()
    writer.close()

    head, _, body = received.partition(b"\r\n\r\n")
    whole = b'{"customerId":"1042","companyName":"Acme Calling Co.","primaryContactEmail":"ops@acme.example"}'
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"Content-Length: {len(whole)}".encode() in head
    assert body == whole[: len(whole) // 2]


async def test_an_answer_without_a_body_is_cut_in_its_head(visitor: Visitor, sandbox: Sandbox) -> None:
    reply = await visitor.ask("POST", "/hooks", json={"event": "call.ended", "target_url": "https://x.example/"})
    sandbox.inject(Truncate())

    reader, writer = await raw(sandbox, f"DELETE /api/v1/hooks/{reply.json()['id']}")
    received = await reader.read()
    writer.close()

    assert received.startswith(b"HTTP/1.1 204")
    assert b"\r\n\r\n" not in received
    assert not sandbox.hooks[reply.json()["id"]].enabled


@pytest.mark.looptime
async def test_a_delay_takes_effect_at_once_and_answers_late(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Delay(30))
    asked = asyncio.create_task(visitor.call())
    await until(lambda: sandbox.originated)
    loop = asyncio.get_running_loop()
    placed = loop.time()

    assert (await asked).status == 200
    assert loop.time() - placed >= 30


@pytest.mark.looptime
async def test_latency_holds_every_answer_back(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.latency = 5.0
    sandbox.inject(Status(503), "me")
    loop = asyncio.get_running_loop()
    start = loop.time()

    assert (await visitor.get("/me")).status == 503
    assert loop.time() - start >= 5
    assert (await visitor.get("/me")).status == 200
    assert loop.time() - start >= 10


@pytest.mark.looptime
async def test_a_stall_with_an_end_is_processed_then(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Stall(40))
    loop = asyncio.get_running_loop()
    start = loop.time()
    asked = asyncio.create_task(visitor.call())
    await until(lambda: sandbox.requests)
    assert not sandbox.originated

    assert (await asked).status == 200
    assert sandbox.originated[0].received_at - start >= 40


async def test_a_stall_lasts_until_the_client_leaves(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Stall())
    before = asyncio.all_tasks()
    asked = asyncio.create_task(visitor.call())
    await until(lambda: sandbox.requests)

    asked.cancel()
    await asyncio.wait([asked])
    await until(lambda: asyncio.all_tasks() <= before)  # the handler has noticed

    assert asked.cancelled()
    assert not sandbox.originated
    assert sandbox.requests[0].status is None


async def test_a_stall_after_the_headers_takes_effect_and_sends_half(sandbox: Sandbox) -> None:
    sandbox.inject(Stall(after_headers=True))
    before = asyncio.all_tasks()

    reader, writer = await raw(sandbox, "GET /api/v1/me")
    head = await reader.readuntil(b"\r\n\r\n")
    half = await reader.readexactly(47)

    assert b"Content-Length: 95" in head
    assert half.startswith(b'{"customerId":"1042"')
    assert not reader.at_eof()
    assert sandbox.requests[0].status == 200
    writer.close()
    await until(lambda: asyncio.all_tasks() <= before)


@pytest.mark.looptime
async def test_a_stall_after_the_headers_with_an_end_sends_the_rest(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Stall(40, after_headers=True))
    loop = asyncio.get_running_loop()
    asked = asyncio.create_task(visitor.call())
    await until(lambda: sandbox.originated)
    placed = loop.time()

    reply = await asked

    assert reply.json()["callId"] == sandbox.originated[0].call_id
    assert loop.time() - placed >= 40


async def test_clearing_lets_the_next_request_pass(visitor: Visitor, sandbox: Sandbox) -> None:
    injection = sandbox.inject(Status(500), times=None)
    assert (await visitor.call()).status == 500

    sandbox.clear_faults()

    assert (await visitor.call()).status == 200
    assert injection.remaining is None
