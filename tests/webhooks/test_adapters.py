"""The receiver under real servers: aiohttp, and uvicorn with and without Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import aiohttp
import fastapi
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.routing import Mount, Route

from tests.webhooks.oracle import OTHER_SECRET, event_body, headers
from tests.webhooks.servers import aiohttp_server, uvicorn_server
from unlimcall_async.webhooks import CallEnded, Event, WebhookReceiver

Serving: TypeAlias = AbstractAsyncContextManager[str]
MAX_BODY = 100_000
BODY = event_body()


def aiohttp_app(receiver: WebhookReceiver) -> tuple[Serving, str]:
    return aiohttp_server(receiver.aiohttp_app()), "/any/path"


def aiohttp_route(receiver: WebhookReceiver) -> tuple[Serving, str]:
    app = web.Application(client_max_size=10)  # the limit of the others' routes
    app.add_routes([receiver.aiohttp_route("/hooks")])
    return aiohttp_server(app), "/hooks"


def aiohttp_subapp(receiver: WebhookReceiver) -> tuple[Serving, str]:
    app = web.Application()
    app.add_subapp("/hooks", receiver.aiohttp_app())
    return aiohttp_server(app), "/hooks/unlimcall"


def asgi(receiver: WebhookReceiver) -> tuple[Serving, str]:
    return uvicorn_server(receiver.asgi_app()), "/any/path"


def starlette_route(receiver: WebhookReceiver) -> tuple[Serving, str]:
    return uvicorn_server(Starlette(routes=[Route("/hooks", receiver.asgi_app())])), "/hooks"


def starlette_mount(receiver: WebhookReceiver) -> tuple[Serving, str]:
    return uvicorn_server(Starlette(routes=[Mount("/hooks", receiver.asgi_app())])), "/hooks/"


def fastapi_route(receiver: WebhookReceiver) -> tuple[Serving, str]:
    app = fastapi.FastAPI(routes=[Route("/hooks", receiver.asgi_app())])
    return uvicorn_server(app), "/hooks"


def fastapi_mount(receiver: WebhookReceiver) -> tuple[Serving, str]:
    app = fastapi.FastAPI()
    app.mount("/hooks", receiver.asgi_app())
    return uvicorn_server(app), "/hooks/"


MOUNTINGS = [
    aiohttp_app,
    aiohttp_route,
    aiohttp_subapp,
    asgi,
    starlette_route,
    starlette_mount,
    fastapi_route,
    fastapi_mount,
]


class Endpoint:
    """A receiver that is served, and the other end of the wire."""

    def __init__(self, receiver: WebhookReceiver, url: str, session: aiohttp.ClientSession) -> None:
        self.receiver, self.url, self._session = receiver, url, session
        self.events: list[Event] = []
        receiver.on(Event)(self.events.append)

    async def post(self, body: Any = BODY, sent: Any = None, method: str = "POST") -> tuple[int, bytes]:
        sent = headers(body) if sent is None else sent
        async with self._session.request(method, self.url, data=body, headers=sent, allow_redirects=False) as answer:
            return answer.status, await answer.read()


@pytest.fixture(params=MOUNTINGS, ids=lambda mounting: mounting.__name__)
async def endpoint(
    request: pytest.FixtureRequest, make_receiver: Callable[..., WebhookReceiver]
) -> AsyncIterator[Endpoint]:
    receiver = make_receiver(max_body=MAX_BODY)
    serving, path = request.param(receiver)
    async with serving as url, aiohttp.ClientSession() as session:
        yield Endpoint(receiver, url + path, session)


async def test_deliveries_are_handled_once(endpoint: Endpoint) -> None:
    assert await endpoint.post() == (200, b"handled")
    assert await endpoint.post() == (200, b"seen before")
    assert await endpoint.post(sent=headers(BODY, OTHER_SECRET)) == (401, b"signature refused")
    assert await endpoint.post(sent={}) == (401, b"signature refused")
    assert [event.id for event in endpoint.events] == ["evt_1"]


async def test_the_body_is_taken_byte_for_byte(endpoint: Endpoint) -> None:
    for body in (b'{"event" : "x",\r\n"y":"\xc3\xa9"}\n', b"\0\xff", b"", event_body("big", note="x" * 90_000)):
        assert (await endpoint.post(body))[0] in {200, 400}  # 401, were it changed


async def test_a_body_in_pieces_is_put_together(endpoint: Endpoint) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for place in range(len(BODY)):
            yield BODY[place : place + 1]

    assert await endpoint.post(pieces(), headers(BODY)) == (200, b"handled")


async def test_a_body_over_the_cap_is_refused(endpoint: Endpoint) -> None:
    exact = b"x" * MAX_BODY
    assert await endpoint.post(exact) == (400, b"no event")
    assert await endpoint.post(exact + b"x") == (413, b"too large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1000 + 1):
            yield b"x" * 1000

    assert await endpoint.post(pieces(), headers(b"")) == (413, b"too large")


async def test_a_body_over_the_cap_is_not_read_to_its_end(endpoint: Endpoint) -> None:
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    # The chunk that would end the body never comes.
    async with asyncio.timeout(5):
        assert await raw_answer(endpoint, b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 11) == 413


async def test_a_handler_that_fails_is_a_500(endpoint: Endpoint) -> None:
    fails = [KeyError("+14155551234")]

    @endpoint.receiver.on(CallEnded)
    async def fail_once(_event: CallEnded) -> None:
        if fails:
            raise fails.pop()

    assert await endpoint.post() == (500, b"failed, try again")
    assert await endpoint.post() == (200, b"handled")


@pytest.mark.slow
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_handler_that_would_end_the_server_is_a_500(
    endpoint: Endpoint, error: type[BaseException], *, asynchronous: bool
) -> None:
    fails = [error()]

    def fail_once(_event: CallEnded) -> None:
        if fails:
            raise fails.pop()

    async def fail_once_later(event: CallEnded) -> None:
        await asyncio.sleep(0)
        fail_once(event)

    endpoint.receiver.on(CallEnded)(fail_once_later if asynchronous else fail_once)
    assert [await endpoint.post() for _ in range(3)] == [
        (500, b"failed, try again"),
        (200, b"handled"),
        (200, b"seen before"),
    ]


async def trickle(endpoint: Endpoint, seconds: float) -> bytes:
    """Send a body of which a byte comes every few seconds; return all that the server answers before it hangs up."""
    host, path = endpoint.url.removeprefix("http://").split("/", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.split(":")[1]))
    writer.write(f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 90000\r\n\r\n".encode())
    reading = asyncio.create_task(reader.read())
    while not reading.done():
        writer.write(b"x")
        await asyncio.wait([reading], timeout=seconds)
    writer.close()
    return await reading


@pytest.mark.looptime
async def test_a_body_that_does_not_arrive_in_time_is_a_503_and_the_connection_ends(endpoint: Endpoint) -> None:
    began = asyncio.get_running_loop().time()
    answer = await trickle(endpoint, 7)  # none of the bytes comes at a moment at which a server closes
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"not now, try again")
    assert b"connection: close" in answer.lower()
    # After its response, aiohttp reads on for up to 10 seconds, so that the sender gets that response.
    assert 30 <= asyncio.get_running_loop().time() - began <= 45
    assert endpoint.events == []


async def test_only_post_delivers(endpoint: Endpoint) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert (await endpoint.post(method=method))[0] == 405
    assert endpoint.events == []


async def raw_answer(endpoint: Endpoint, rest: bytes) -> int:
    """Send the rest of a request as it is, and give the answer's status."""
    host, path = endpoint.url.removeprefix("http://").split("/", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.split(":")[1]))
    writer.write(f"POST /{path} HTTP/1.1\r\nHost: {host}\r\n".encode() + rest)
    answer = await reader.readline()
    writer.write(b"0\r\n\r\n")  # after its answer aiohttp waits for the end of a body
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


@pytest.mark.rest_slow
async def test_a_header_of_raw_bytes_is_refused(endpoint: Endpoint) -> None:
    header = b"X-Unlimcall-Signature: t=\xe9\xff,v1=\xc2\xb2\r\n"
    assert await raw_answer(endpoint, b"Content-Length: 2\r\n" + header + b"\r\n{}") == 401


async def asgi_messages(receiver: WebhookReceiver, scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    incoming, sent = iter(messages), list[Any]()

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    await receiver.asgi_app()(scope, receive, send)
    return sent


async def test_a_client_that_leaves_amid_the_body_gets_no_answer(receiver: WebhookReceiver) -> None:
    piece = {"type": "http.request", "body": b"{", "more_body": True}
    scope = {"type": "http", "method": "POST", "headers": []}
    assert await asgi_messages(receiver, scope, piece, {"type": "http.disconnect"}) == []


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 9\r\n\r\nhalf", b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf"]
)
async def test_what_does_not_arrive_whole_is_no_error_of_the_server(receiver: WebhookReceiver, rest: bytes) -> None:
    statuses: asyncio.Queue[int] = asyncio.Queue()

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except Exception:
            statuses.put_nowait(-1)
            raise
        statuses.put_nowait(answer.status)
        return answer

    app = web.Application(middlewares=[note])
    app.add_routes([receiver.aiohttp_route("/hooks")])
    async with aiohttp_server(app) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"POST /hooks HTTP/1.1\r\nHost: x\r\n" + rest)
        await writer.drain()
        writer.close()
        # Whoever it was may try again; nobody has seen an event.
        assert await statuses.get() == 503


@pytest.mark.looptime
@pytest.mark.parametrize(("version", "sent"), [("1.1", True), ("2", False)])
async def test_http_2_gets_no_header_of_the_connection(receiver: WebhookReceiver, version: str, *, sent: bool) -> None:
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "POST", "headers": [], "http_version": version}
    await receiver.asgi_app()(scope, receive, send)
    assert messages[0]["status"] == 503
    assert ((b"connection", b"close") in messages[0]["headers"]) is sent
    assert asyncio.get_running_loop().time() == pytest.approx(30)


@pytest.mark.looptime
async def test_a_body_may_take_its_time_if_there_is_no_limit(make_receiver: Callable[..., WebhookReceiver]) -> None:
    pieces = [
        {"type": "http.request", "body": BODY[n : n + 1], "more_body": n < len(BODY) - 1} for n in range(len(BODY))
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(100)
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.encode(), value.encode()) for name, value in headers(BODY).items()]
    scope = {"type": "http", "method": "POST", "headers": given}
    await make_receiver(body_timeout=None).asgi_app()(scope, receive, send)
    assert sent[0]["status"] == 200


async def test_a_header_that_comes_twice_is_judged_as_a_whole(receiver: WebhookReceiver) -> None:
    values = headers(BODY)["X-Unlimcall-Signature"].encode().split(b",")
    sent = [(b"X-Unlimcall-Signature", value) for value in values]
    for pairs, status in ((sent, 200), (sent * 2, 401)):
        scope = {"type": "http", "method": "POST", "headers": pairs}
        start, _ = await asgi_messages(receiver, scope, {"type": "http.request", "body": BODY})
        assert start["status"] == status


async def test_a_websocket_is_turned_away(receiver: WebhookReceiver) -> None:
    # By the specification, a server answers 403 to a close before the connection is accepted.
    assert await asgi_messages(receiver, {"type": "websocket"}, {"type": "websocket.connect"}) == [
        {"type": "websocket.close"}
    ]


async def test_a_protocol_that_is_not_known_is_an_error_as_the_specification_asks(receiver: WebhookReceiver) -> None:
    with pytest.raises(RuntimeError, match="not by quic"):
        await asgi_messages(receiver, {"type": "quic"})


@pytest.mark.parametrize(
    "messages",
    [
        [{"body": BODY}],
        [{"body": bytearray(BODY[:5]), "more_body": True}, {"body": memoryview(BODY[5:])}],
        [{"more_body": True}, {"body": None, "more_body": True}, {"body": BODY, "more_body": True}, {"body": b""}],
    ],
)
async def test_a_body_may_be_replayed_in_other_forms(receiver: WebhookReceiver, messages: list[dict[str, Any]]) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), v.encode()) for name, v in headers(BODY).items()],
    }
    start, _ = await asgi_messages(receiver, scope, *({"type": "http.request", **message} for message in messages))
    assert start["status"] == 200


async def read(request: web.Request) -> Any:
    return await request.read()


async def text(request: web.Request) -> Any:
    return await request.text()


async def json(request: web.Request) -> Any:
    return await request.json()


async def form(request: web.Request) -> Any:
    return await request.post()


async def taken(request: web.Request) -> Any:
    return await request.content.read()


async def partly_taken(request: web.Request) -> Any:
    return await request.content.readexactly(5)


async def pieces() -> AsyncIterator[bytes]:
    yield BODY[:9]
    yield BODY[9:]


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("look", "answer"),
    [
        *((look, (200, b"handled")) for look in (read, text, json, form)),
        *((look, (503, b"not readable, try again")) for look in (taken, partly_taken)),
    ],
)
async def test_under_aiohttp_a_middleware_may_read_the_body_first(
    receiver: WebhookReceiver, look: Callable[[web.Request], Any], answer: tuple[int, bytes], in_pieces: bool
) -> None:
    @web.middleware
    async def first(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert await look(request) is not None
        return await handler(request)

    app = web.Application(middlewares=[first])
    app.add_routes([receiver.aiohttp_route("/hooks")])
    async with aiohttp_server(app) as url, aiohttp.ClientSession() as session:
        endpoint = Endpoint(receiver, f"{url}/hooks", session)
        sent = {**headers(BODY), "Content-Type": "application/x-www-form-urlencoded"}
        assert await endpoint.post(pieces() if in_pieces else BODY, sent) == answer
        forged = (await endpoint.post(BODY, headers(BODY, OTHER_SECRET)))[0]
        assert forged == (401 if answer[0] == 200 else 503)
    assert len(endpoint.events) == (answer[0] == 200)


async def whole(request: Request) -> None:
    assert await request.body()


async def streamed(request: Request) -> None:
    async for _ in request.stream():
        pass


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("look", "answer"), [(whole, (200, b"handled")), (streamed, (503, b"not readable, try again"))]
)
async def test_under_starlette_a_middleware_may_read_the_body_first(
    receiver: WebhookReceiver, look: Callable[[Request], Any], answer: tuple[int, bytes], in_pieces: bool
) -> None:
    class First(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            await look(request)
            return await call_next(request)

    app = fastapi.FastAPI(routes=[Route("/hooks", receiver.asgi_app())])
    app.add_middleware(First)
    async with uvicorn_server(app) as url, aiohttp.ClientSession() as session:
        endpoint = Endpoint(receiver, f"{url}/hooks", session)
        assert await endpoint.post(pieces() if in_pieces else BODY, headers(BODY)) == answer
    assert len(endpoint.events) == (answer[0] == 200)


def aiohttp_route_without_unpacking(receiver: WebhookReceiver) -> tuple[Serving, str]:
    app = web.Application(handler_args={"auto_decompress": False})
    app.add_routes([receiver.aiohttp_route("/hooks")])
    return aiohttp_server(app), "/hooks"


PACKED = gzip.compress(BODY)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    "mounting", [*MOUNTINGS, aiohttp_route_without_unpacking], ids=lambda mounting: mounting.__name__
)
async def test_a_packed_body_is_handled_whichever_bytes_were_signed(
    make_receiver: Callable[..., WebhookReceiver], mounting: Callable[[WebhookReceiver], tuple[Serving, str]]
) -> None:
    receiver = make_receiver(max_body=MAX_BODY)
    serving, path = mounting(receiver)
    async with serving as url, aiohttp.ClientSession() as session:
        endpoint = Endpoint(receiver, url + path, session)

        async def post(packed: bytes, sent: dict[str, str]) -> tuple[int, bytes]:
            return await endpoint.post(packed, {**sent, "Content-Encoding": "gzip"})

        assert await post(PACKED, headers(BODY)) == (200, b"handled")
        # Under a user's application aiohttp has unpacked the body before any code of a route runs.
        unpacks = mounting in {aiohttp_route, aiohttp_subapp}
        not_readable = (503, b"not readable, try again")
        assert await post(PACKED, headers(PACKED)) == (not_readable if unpacks else (200, b"seen before"))
        refused = not_readable if unpacks else (401, b"signature refused")
        assert await post(PACKED, headers(PACKED, OTHER_SECRET)) == refused
        bomb = gzip.compress(b"x" * 10_000_000)
        assert await post(bomb, headers(bomb)) == (413, b"too large")
    assert len(endpoint.events) == 1


@pytest.mark.slow
def test_no_framework_is_imported_before_it_is_needed() -> None:
    script = """
import sys
from unlimcall_async.webhooks import WebhookReceiver
WebhookReceiver("whsec_x").asgi_app()
assert not {"aiohttp", "starlette", "fastapi", "uvicorn"} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 # ours
    assert done.returncode == 0, done.stderr
