"""Starting and stopping, and the record of requests; what faults do to a connection is in `test_wire`."""

import asyncio
import io
import socket
from contextlib import suppress

import aiohttp
import pytest

from unlimcall_async.sandbox import Close, Sandbox, Stall, Status

from .support import Visitor, call_at, port_of, until


async def test_every_sandbox_has_its_own_port() -> None:
    async with Sandbox() as one, Sandbox() as other:
        assert one.url != other.url
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url.endswith("/api/v1")


async def test_a_stopped_sandbox_refuses_connections(visitor: Visitor, sandbox: Sandbox) -> None:
    assert (await visitor.get("/me")).status == 200

    await sandbox.stop()

    with pytest.raises(aiohttp.ClientConnectorError):
        await visitor.get("/me")


async def test_it_stops_where_the_event_loop_has_no_readers(
    visitor: Visitor, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError  # what an event loop on Windows raises

    monkeypatch.setattr(asyncio.get_running_loop(), "remove_reader", refuse)
    assert (await visitor.get("/me")).status == 200

    await sandbox.stop()

    with pytest.raises(aiohttp.ClientConnectorError):
        await visitor.get("/me")


async def test_it_comes_back_on_the_same_port_with_all_it_had(visitor: Visitor, sandbox: Sandbox) -> None:
    url, token = sandbox.url, sandbox.add_token({"read:balance"})
    sandbox.add_calls([call_at("a")])
    await visitor.call()
    for _ in range(3):
        await sandbox.stop()
        await sandbox.start()

    assert sandbox.url == url
    assert (await visitor.ask("GET", "/balance", token=token)).status == 200
    assert len(sandbox.calls) == len(sandbox.originated) == 1
    assert len(sandbox.requests) == 2


async def test_stopping_twice_is_fine_and_starting_twice_is_not(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(sandbox: Sandbox) -> None:
    port = port_of(sandbox)
    other = Sandbox(port=port)

    with pytest.raises(OSError, match="address already in use"):
        await other.start()

    await sandbox.stop()
    async with other:
        assert other.url.endswith(f":{port}/api/v1")


@pytest.mark.looptime
@pytest.mark.parametrize("fault", [Stall(), Stall(after_headers=True)], ids=str)
async def test_stopping_cuts_what_stalls_at_once(
    visitor: Visitor, sandbox: Sandbox, fault: Stall, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.inject(fault, times=None)
    before = asyncio.all_tasks()
    asked = [asyncio.create_task(visitor.call()) for _ in range(5)]
    await until(lambda: len(sandbox.requests) == 5)
    stopped = asyncio.get_running_loop().time()

    await sandbox.stop()

    assert asyncio.get_running_loop().time() - stopped < 0.1  # no timeout had to pass
    assert asyncio.all_tasks() - before <= set(asked)  # of the server, nothing runs on
    for failure in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(failure, aiohttp.ClientError)
    assert not caplog.records


async def test_stopping_cuts_what_latency_holds_back(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.latency = 3600.0
    asked = asyncio.create_task(visitor.call())
    await until(lambda: sandbox.originated)

    await sandbox.stop()

    with pytest.raises(aiohttp.ClientError):
        await asked
    assert sandbox.requests[0].status is None


async def test_stopping_amid_new_connections_leaves_nothing_behind() -> None:
    """A connection may be anywhere between the kernel's queue and its handler; none may leave a socket or a task."""
    before = asyncio.all_tasks()
    for turns in range(12):
        async with Sandbox() as sandbox:
            clients = [socket.create_connection(("127.0.0.1", port_of(sandbox))) for _ in range(8)]
            for _ in range(turns):
                await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before, turns
        for client in clients:
            client.close()


async def test_stopping_while_clients_keep_coming_leaves_nothing_behind() -> None:
    clients: list[socket.socket] = []

    async def keep_coming(port: int) -> None:
        with suppress(ConnectionRefusedError):
            for _ in range(200):
                clients.append(socket.create_connection(("127.0.0.1", port)))
                await asyncio.sleep(0)

    for turns in range(6):
        async with Sandbox() as sandbox:
            coming = asyncio.create_task(keep_coming(port_of(sandbox)))
            for _ in range(turns):
                await asyncio.sleep(0)
        await coming
        while clients:
            clients.pop().close()


async def test_a_client_that_leaves_amid_its_request_is_no_trouble(
    visitor: Visitor, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    port = port_of(sandbox)
    before = asyncio.all_tasks()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /api/v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: len(asyncio.all_tasks() - before) == 2)  # the connection and its handler
    writer.close()
    await until(lambda: asyncio.all_tasks() <= before)

    assert not sandbox.requests
    assert not caplog.records
    assert (await visitor.get("/me")).status == 200


async def test_stopping_does_not_wait_for_a_client_that_never_ends_its_request(sandbox: Sandbox) -> None:
    port = port_of(sandbox)
    before = asyncio.all_tasks()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /api/v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: len(asyncio.all_tasks() - before) == 2)

    await sandbox.stop()

    assert asyncio.all_tasks() <= before
    assert await reader.read() == b""
    writer.close()


async def test_concurrent_requests_are_served(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.inject(Close(), "me", times=1)
    sandbox.inject(Status(503), "me", times=2)

    replies = await asyncio.gather(*(visitor.call() for _ in range(30)))

    assert {reply.status for reply in replies} == {200}
    assert len({call.call_id for call in sandbox.originated}) == 30


async def test_every_request_is_recorded_as_it_came(visitor: Visitor, sandbox: Sandbox) -> None:
    start = asyncio.get_running_loop().time()
    await visitor.ask("POST", "/calls", data=b'{"x": "\xff', params={"a": "1 +"})
    await visitor.ask("GET", "/numbers", token="unl_test_nobody")

    first, second = sandbox.requests
    assert (first.method, first.path, first.query, first.body) == (
        "POST",
        "/api/v1/calls",
        {"a": "1 +"},
        b'{"x": "\xff',
    )
    assert (first.endpoint, first.status) == ("calls", 400)
    assert first.headers["authorization"] == first.headers["Authorization"] == f"Bearer {sandbox.token}"
    assert (second.method, second.path, second.body) == ("GET", "/api/v1/numbers", b"")
    assert (second.endpoint, second.status) == (None, 404)
    assert start <= first.received_at <= second.received_at <= asyncio.get_running_loop().time()
    assert sandbox.token not in repr(first)


async def test_a_body_of_any_size_reaches_the_record(visitor: Visitor, sandbox: Sandbox) -> None:
    reply = await visitor.ask("POST", "/calls", data=io.BytesIO(b" " * 3_000_000))

    assert reply.error == (400, "invalid_input")
    assert len(sandbox.requests[0].body) == 3_000_000
