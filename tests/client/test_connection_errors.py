"""A connection that cannot be made, or breaks: the error names the host, the port, the cause, the attempt, and what to try."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.certificates import client_context, server_context
from unlimcall_async import AsyncClient, ClientClosedError, RateLimits, RetryPolicy, TransportError
from unlimcall_async.sandbox import Sandbox, Status

AT_ONCE = RetryPolicy(delays=(0, 0), jitter=0)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def client_of(base_url: str, **options: Any) -> AsyncClient:
    own: dict[str, Any] = {"retry": AT_ONCE, "rate_limits": RateLimits.unlimited()}
    return AsyncClient("unl_test_0123456789", base_url=base_url, **own | options)


async def failure_of(client: AsyncClient) -> TransportError:
    """Return how a POST fails, of which nothing may be sent twice."""
    async with client:
        with pytest.raises(TransportError) as caught:
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert "4155551234" not in str(caught.value)
    return caught.value


Listen = Callable[..., Awaitable[int]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Return the ports of servers that do as they are told with each connection."""
    async with AsyncExitStack() as stack:

        async def make(answer: Answer, **options: Any) -> int:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(asyncio.IncompleteReadError, ConnectionError):
                    await answer(reader, writer)
                writer.close()

            server = await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", 0, **options))
            return int(server.sockets[0].getsockname()[1])

        yield make


async def close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


async def leave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read a request to the end of its body, and close the connection: what is unread would make that a reset."""
    await reader.readuntil(b"}")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request, and reset the connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer plain http as servers of TLS do."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x15\x03\x01\x00\x02\x02\x46")


async def be_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_port_that_nobody_serves() -> None:
    error = await failure_of(client_of("http://127.0.0.1:9/api/v1"))
    assert str(error) == (
        "POST /calls: no connection to 127.0.0.1:9: it was refused, attempt 3 of 3 (is a server running there? check the base URL)"
    )
    assert (error.cause, error.host, error.port, error.proxy) == ("refused", "127.0.0.1", 9, "")
    assert (error.permanent, error.outcome_unknown, error.attempt, error.attempts) == (False, False, 3, 3)


@pytest.mark.parametrize(
    ("lookup", "cause", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "x"),
            "no_such_host",
            ["there is no such name", "check the base URL", "VPN"],
        ),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "name_lookup", ["the lookup failed", "is this machine online"]),
        (socket.gaierror(socket.EAI_FAIL, "x"), "name_lookup", ["the lookup failed", "is this machine online"]),
    ],
)
async def test_a_name_that_cannot_be_resolved(
    monkeypatch: pytest.MonkeyPatch, lookup: OSError, cause: str, words: list[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise lookup

    monkeypatch.setattr("socket.getaddrinfo", fail)
    error = await failure_of(client_of("https://api.corp.test:8443/api/v1"))
    for part in ("no connection to api.corp.test:8443: its name could not be resolved", *words):
        assert part in str(error)
    assert (error.cause, error.permanent, error.outcome_unknown, error.attempt) == (cause, False, False, 3)


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (errno.ENETUNREACH, "unreachable", "the network is unreachable"),
        (errno.EHOSTUNREACH, "unreachable", "the host is unreachable"),
        (errno.ETIMEDOUT, "timeout", "it timed out"),
        (errno.EACCES, "unreachable", "this machine does not permit it"),
        (errno.EMFILE, "other", "this process has too many open files"),
        (errno.ENOBUFS, "other", "ENOBUFS"),
    ],
)
async def test_what_the_system_says_of_a_connection(
    monkeypatch: pytest.MonkeyPatch, number: int, cause: str, words: str
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError(number, "Connect call failed ('10.0.0.1', 443)")

    monkeypatch.setattr("aiohappyeyeballs.start_connection", fail)
    error = await failure_of(client_of("https://127.0.0.1:8443/api/v1"))
    assert f"no connection to 127.0.0.1:8443: {words}, attempt 3 of 3" in str(error)
    assert (error.cause, error.outcome_unknown) == (cause, False)


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        (
            ["127.0.0.1"],
            {"not_after": datetime(2020, 1, 1, tzinfo=UTC)},
            ["shows one that has expired", "is the clock"],
        ),
        (
            ["127.0.0.1"],
            {"not_before": datetime.now(UTC) + timedelta(days=9), "not_after": datetime.now(UTC) + timedelta(days=10)},
            ["shows one that is not valid yet", "is the clock"],
        ),
        (["other.example"], {}, ["shows one for another", "check the base URL"]),
    ],
)
async def test_a_certificate_that_does_not_hold(
    listen: Listen, names: list[str], settings: dict[str, Any], words: list[str]
) -> None:
    authority = trustme.CA()
    port = await listen(be_silent, ssl=server_context(authority, *names, **settings))
    for host in ("127.0.0.1", "localhost"):
        context = client_context(authority)
        error = await failure_of(client_of(f"https://{host}:{port}", ssl=context))
        if host == names[0]:
            assert f"the certificate is not trusted: {host}:{port} {words[0]}" in str(error)
        assert words[1] in str(error) or host == "localhost"
        assert (error.cause, error.permanent, error.attempt, error.outcome_unknown) == ("certificate", True, 1, False)
        assert "attempt" not in str(error)


async def test_an_authority_that_is_not_known(listen: Listen) -> None:
    port = await listen(be_silent, ssl=server_context(trustme.CA(), "127.0.0.1"))
    error = await failure_of(client_of(f"https://127.0.0.1:{port}"))
    for words in (
        f"the certificate is not trusted: 127.0.0.1:{port} shows one whose authority is not known",
        "name its file in SSL_CERT_FILE, or pass ssl=",
    ):
        assert words in str(error)
    assert error.permanent


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SSL_CERT_FILE": "/no/such/file.pem"}, "(SSL_CERT_FILE names no file: /no/such/file.pem)"),
        ({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}, "(this machine has no certificate authorities: install them"),
    ],
)
async def test_certificates_that_are_missing_here(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    port = await listen(be_silent, ssl=server_context(trustme.CA(), "127.0.0.1"))
    error = await failure_of(client_of(f"https://127.0.0.1:{port}"))
    assert words in str(error)
    assert error.permanent


async def test_certificates_that_only_another_user_may_read(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(folder: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    # The permissions of the folder would not keep root out.
    monkeypatch.setattr(Path, "iterdir", refused)
    port = await listen(be_silent, ssl=server_context(trustme.CA(), "127.0.0.1"))
    error = await failure_of(client_of(f"https://127.0.0.1:{port}"))
    assert f"(the certificate authorities in {tmp_path} cannot be read: Permission denied)" in str(error)
    assert error.permanent


async def test_https_to_a_port_of_plain_http(sandbox: Sandbox) -> None:
    error = await failure_of(client_of(sandbox.url.replace("http://", "https://")))
    assert "TLS could not be set up with 127.0.0.1:" in str(error)
    assert "does this port speak plain http? the base URL says https" in str(error)
    assert (error.cause, error.outcome_unknown, sandbox.requests) == ("tls", False, [])


async def test_plain_http_to_a_port_of_tls(listen: Listen) -> None:
    behind = await listen(be_silent, ssl=server_context(trustme.CA(), "127.0.0.1"))
    for port, cause in ((behind, "disconnected"), (await listen(alert), "not_http")):
        error = await failure_of(client_of(f"http://127.0.0.1:{port}"))
        assert "does this port speak https? the base URL says http" in str(error)
        assert (error.cause, error.port, error.attempt) == (cause, port, 1)
        # A server that closes the connection may have read the request.
        assert error.outcome_unknown


async def test_a_packing_that_was_not_asked_for_is_not_taken_for_another_protocol(sandbox: Sandbox) -> None:
    sandbox.inject(Status(200, body=b"{}", headers={"Content-Encoding": "br"}), times=None)
    error = await failure_of(client_of(sandbox.url))
    assert error.cause == "body"
    assert "not HTTP" not in str(error)


async def test_a_connection_that_is_closed_or_reset(listen: Listen) -> None:
    for act, cause, words in ((leave, "disconnected", "was closed"), (reset, "reset", "broke")):
        port = await listen(act)
        error = await failure_of(client_of(f"http://127.0.0.1:{port}"))
        assert f"the connection to 127.0.0.1:{port} {words} before an answer came" in str(error)
        assert (error.cause, error.outcome_unknown, error.attempt) == (cause, True, 1)
        assert "attempt 1, which is not repeated (the request may have taken effect)" in str(error)


async def test_tls_that_is_reset(listen: Listen) -> None:
    port = await listen(close)
    error = await failure_of(client_of(f"https://127.0.0.1:{port}"))
    assert f"no connection to 127.0.0.1:{port}: it was reset, attempt 3 of 3" in str(error)
    assert (error.cause, error.outcome_unknown) == ("reset", False)


@pytest.mark.looptime
async def test_the_wait_is_not_silent_and_ends_after_seven_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "unlimcall_async")
    loop = asyncio.get_running_loop()
    began = loop.time()
    error = await failure_of(client_of("http://127.0.0.1:9", retry=RetryPolicy(jitter=0)))
    assert 7 <= loop.time() - began < 8
    assert caplog.messages == [
        f"POST /calls will be tried again in {delay}.0 s, after attempt {number} of 4: no connection to 127.0.0.1:9: it was refused"
        for number, delay in ((1, 1), (2, 2), (3, 4))
    ]
    assert "attempt 4 of 4" in str(error)


@pytest.mark.looptime
async def test_a_connection_that_is_not_made_in_time(listen: Listen) -> None:
    port = await listen(be_silent)
    error = await failure_of(client_of(f"https://127.0.0.1:{port}", timeout=30))
    assert f"no connection to 127.0.0.1:{port} within 30 s, attempt 3 of 3 (a firewall may drop it" in str(error)
    assert (error.cause, error.outcome_unknown) == ("timeout", False)


@pytest.mark.looptime
async def test_an_answer_that_does_not_come_in_time(listen: Listen) -> None:
    port = await listen(be_silent)
    error = await failure_of(client_of(f"http://127.0.0.1:{port}", timeout=30))
    assert (
        f"no answer within 30 s from 127.0.0.1:{port}, attempt 1, which is not repeated (the request may have taken effect)"
        in str(error)
    )
    assert (error.cause, error.outcome_unknown) == ("timeout", True)


@pytest.mark.looptime
async def test_a_proxy_that_is_silent(listen: Listen) -> None:
    port = await listen(be_silent)
    proxy = f"http://127.0.0.1:{port}"
    error = await failure_of(client_of("https://api.corp.test/api/v1", proxy=proxy, timeout=30))
    words = f"no connection to api.corp.test:443 through the proxy 127.0.0.1:{port} within 30 s, attempt 3 of 3"
    assert words in str(error)
    assert "check the argument proxy" in str(error)
    assert (error.cause, error.outcome_unknown) == ("timeout", False)


async def test_a_call_that_is_cancelled_while_a_proxy_is_silent_was_not_sent(listen: Listen) -> None:
    asked = asyncio.Event()

    async def note(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    client = client_of("https://api.corp.test", proxy=f"http://127.0.0.1:{await listen(note)}")
    call = asyncio.create_task(client.calls.create(ai_agent_id="27", to_number="+14155551234"))
    await asked.wait()
    await client.aclose()
    error = call.exception()
    assert isinstance(error, ClientClosedError)
    assert not error.outcome_unknown
