"""Through the proxy of a company, to a server whose certificate only the company vouches for."""

from __future__ import annotations

import base64
import io
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from attrs import frozen
from rich.console import Console
from rich.traceback import Traceback

from tests.certificates import client_context, server_context
from tests.proxy import HOST, OPEN, Proxy, behind_tls
from unlimcall_async import AsyncClient, RateLimits, RequestTimeoutError, RetryPolicy, TransportError
from unlimcall_async.sandbox import ResetAfter, Sandbox, Stall

ME = b'{"customerId": "1042", "companyName": "Acme", "primaryContactEmail": "ops@acme.example"}'
PASSWORD, ESCAPED = "s3cr3t:p@ss", "s3cr3t%3Ap%40ss"


@frozen
class Company:
    """A server behind TLS, and the one proxy that reaches it by its name."""

    sandbox: Sandbox
    authority: trustme.CA
    port: int
    proxy: Proxy

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/api/v1"

    def client(self, **options: Any) -> AsyncClient:
        own = {"base_url": self.url, "ssl": client_context(self.authority), "retry": RetryPolicy(delays=(0, 0))}
        return AsyncClient(self.sandbox.token, **{"rate_limits": RateLimits.unlimited(), **own, **options})


@pytest.fixture
async def company(sandbox: Sandbox) -> AsyncIterator[Company]:
    authority = trustme.CA()
    port = int(sandbox.url.removesuffix("/api/v1").rpartition(":")[2])
    context = server_context(authority, HOST, "127.0.0.1")
    async with behind_tls(port, context) as tls_port, Proxy(tls_port, credentials=f"user:{PASSWORD}") as proxy:
        yield Company(sandbox, authority, tls_port, proxy)


async def place(client: AsyncClient) -> object:
    return await client.calls.create(ai_agent_id="27", to_number="+14155551234")


async def test_a_proxy_opens_one_tunnel_and_never_sees_the_token(company: Company) -> None:
    async with company.client(proxy=company.proxy.url(f"user:{ESCAPED}")) as client:
        await client.me()
        await place(client)
    (head,) = company.proxy.heads
    assert head.startswith(f"CONNECT {HOST}:{company.port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(f"user:{PASSWORD}".encode()) in head
    assert b"unlimcall-async/" in head
    assert len(company.proxy.seen) > len(head)
    assert company.sandbox.token.encode() not in company.proxy.seen
    # And what the proxy was told stays with it.
    assert len(company.sandbox.requests) == 2
    for request in company.sandbox.requests:
        assert "Proxy-Authorization" not in request.headers
        assert request.headers["Authorization"] == f"Bearer {company.sandbox.token}"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_the_environment_names_a_proxy_and_certificates(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    company.authority.cert_pem.write_to_path(tmp_path / "company.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    monkeypatch.setenv(name, company.proxy.url(f"user:{ESCAPED}"))
    async with company.client(ssl=None) as client:
        await client.me()
    assert len(company.proxy.heads) == 1


async def test_hosts_that_no_proxy_lists_are_reached_straight(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url(f"user:{ESCAPED}"))
    monkeypatch.setenv("NO_PROXY", "other.example, .corp.test")
    async with company.client() as client:
        with pytest.raises(TransportError, match=rf"no connection to {HOST}:{company.port}: its name") as caught:
            await client.me()
    assert (caught.value.cause, caught.value.proxy, company.proxy.heads) == ("no_such_host", "", [])


async def test_this_machine_is_reached_straight_if_the_proxy_is_elsewhere(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    for url in (company.sandbox.url, f"https://127.0.0.1:{company.port}/api/v1"):
        async with company.client(base_url=url) as client:
            await client.me()


async def test_this_machine_is_reached_through_a_proxy_that_is_here(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url(f"user:{ESCAPED}"))
    async with company.client(base_url=f"https://127.0.0.1:{company.port}/api/v1") as client:
        await client.me()
    assert len(company.proxy.heads) == 1


async def test_a_proxy_may_have_tls_of_its_own(company: Company) -> None:
    context = server_context(company.authority, "127.0.0.1")
    async with Proxy(company.port, tls=context) as proxy, company.client(proxy=proxy.url()) as client:
        await client.me()
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("answer", "cause", "permanent", "words"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "proxy", True, ["answered 403", "ask who runs it to allow"]),
        (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", "proxy", False, ["answered 502", "can it resolve the name"]),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "proxy", False, ["answered 503", "attempt 3 of 3"]),
        (b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", "proxy", False, ["answered 429", "attempt 3 of 3"]),
        (
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM abc\r\nContent-Length: 0\r\n\r\n",
            *("proxy_credentials", True, ["answered 407", "it takes Negotiate, NTLM alone"]),
        ),
        (b"", "disconnected", False, ["closed the connection before there was a tunnel", "attempt 3 of 3"]),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "not_http", False, ["is not HTTP", "is it an HTTP proxy?"]),
        (OPEN, "reset", False, [f"no connection to {HOST}:", "through the proxy 127.0.0.1:", "attempt 3 of 3"]),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(
    company: Company, answer: bytes, cause: str, permanent: bool, words: list[str]
) -> None:
    company.proxy.answer, company.proxy.credentials = answer, None
    async with company.client(proxy=company.proxy.url()) as client:
        with pytest.raises(TransportError) as caught:
            await place(client)
    error = caught.value
    assert (error.cause, error.permanent, error.outcome_unknown) == (cause, permanent, False)
    assert error.proxy == f"127.0.0.1:{company.proxy.port}"
    assert len(company.proxy.heads) == (1 if permanent else 3)
    for part in (*words, f"127.0.0.1:{company.proxy.port}"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ("", "put them into HTTPS_PROXY, as http://USER:PASSWORD@127.0.0.1:"),
        ("user:an0ther", "the user name or the password in HTTPS_PROXY is wrong"),
    ],
)
async def test_a_proxy_that_wants_other_credentials(
    company: Company, monkeypatch: pytest.MonkeyPatch, credentials: str, words: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url(credentials))
    async with company.client() as client:
        with pytest.raises(TransportError, match=words) as caught:
            await place(client)
    error = caught.value
    assert (error.cause, error.permanent, error.outcome_unknown) == ("proxy_credentials", True, False)
    assert (error.host, error.port, len(company.proxy.heads)) == ("127.0.0.1", company.proxy.port, 1)
    assert "an0ther" not in str(error)


async def test_a_proxy_of_the_environment_that_forbids_the_host(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.proxy.answer, company.proxy.credentials = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", None
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url())
    async with company.client() as client:
        with pytest.raises(TransportError, match=f"or list {HOST} in NO_PROXY"):
            await place(client)


async def test_a_proxy_that_is_not_there(company: Company) -> None:
    for proxy, cause, words in (
        ("http://127.0.0.1:9", "refused", "no connection to the proxy 127.0.0.1:9: it was refused"),
        (
            "http://no.such.proxy.invalid:1",
            "no_such_host",
            "no connection to the proxy no.such.proxy.invalid:1: its name could not be resolved",
        ),
    ):
        async with company.client(proxy=proxy) as client:
            with pytest.raises(TransportError, match=words) as caught:
                await place(client)
            assert (caught.value.cause, caught.value.outcome_unknown) == (cause, False)
            assert (caught.value.host, caught.value.proxy) == (proxy[7:].split(":")[0], proxy[7:])


async def test_a_tunnel_whose_other_end_is_silent(company: Company) -> None:
    company.sandbox.inject(Stall(), times=None)
    async with company.client(proxy=company.proxy.url(f"user:{ESCAPED}"), timeout=0.5) as client:
        with pytest.raises(RequestTimeoutError, match=rf"no answer within 0\.5 s from {HOST}:") as caught:
            await place(client)
    # This one was sent.
    assert (caught.value.outcome_unknown, len(company.sandbox.requests)) == (True, 1)


async def test_a_tunnel_that_breaks_after_the_request(company: Company) -> None:
    company.sandbox.inject(ResetAfter(), times=None)
    async with company.client(proxy=company.proxy.url(f"user:{ESCAPED}")) as client:
        with pytest.raises(TransportError, match=f"the connection to {HOST}:.* through the proxy 127.0.0.1:") as caught:
            await place(client)
        assert (caught.value.outcome_unknown, len(company.sandbox.originated)) == (True, 1)
        with pytest.raises(TransportError, match="attempt 3 of 3"):
            await client.me()
    # One request, and three.
    assert len(company.sandbox.requests) == 4


async def test_a_certificate_that_only_the_company_vouches_for(company: Company) -> None:
    async with company.client(proxy=company.proxy.url(f"user:{ESCAPED}"), ssl=None) as client:
        with pytest.raises(TransportError, match="certificate is not trusted") as caught:
            await place(client)
    error = caught.value
    assert (error.cause, error.permanent, error.host) == ("certificate", True, HOST)
    assert "name its file in SSL_CERT_FILE, or pass ssl=" in str(error)
    assert len(company.proxy.heads) == 1


# --- plain http -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def open_proxy() -> AsyncIterator[Proxy]:
    """A proxy that answers every request by itself, and so needs no API behind it."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ME), ME)
    async with Proxy(0, answer=answer, credentials=f"user:{PASSWORD}") as proxy:
        yield proxy


@pytest.mark.parametrize("variable", [None, "HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("allowed", [True, False])
async def test_plain_http_goes_through_a_proxy_if_the_proxy_is_here_or_the_user_allows_it(
    open_proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str | None, allowed: bool
) -> None:
    url = open_proxy.url(f"user:{ESCAPED}")
    if variable is not None:
        monkeypatch.setenv(variable, url)
    host = "api.corp.test" if allowed else "127.0.0.1:9"
    options: dict[str, Any] = {"base_url": f"http://{host}", "allow_plain_http": allowed}
    async with AsyncClient("unl_test_1", proxy=url if variable is None else None, **options) as client:
        assert (await client.me()).customer_id == "1042"
    assert open_proxy.heads[0].startswith(f"GET http://{host}/me HTTP/1.1\r\n".encode())


def test_plain_http_through_a_proxy_elsewhere_must_be_allowed() -> None:
    with pytest.raises(ValueError, match=r"^proxy: plain http would show the token to the proxy proxy\.invalid:3128"):
        AsyncClient("unl_test_1", base_url="http://127.0.0.1:9", proxy="http://proxy.invalid:3128")


# --- a session that was handed in -----------------------------------------------------------------------------------------


@pytest.fixture
def no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A netrc file that has something to say for every host, and fails the test that reads it."""
    (tmp_path / "netrc").write_text("default login me password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def read(*_: object) -> None:
        raise AssertionError("a netrc file was read")

    monkeypatch.setattr("netrc.netrc.__init__", read)


@pytest.mark.usefixtures("no_netrc")
async def test_a_session_that_trusts_the_environment_reaches_this_machine_straight(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    async with aiohttp.ClientSession(trust_env=True) as session:
        client = company.client(base_url=company.sandbox.url, session=session, ssl=None)
        await client.me()
        await place(client)
    assert [request.headers["Authorization"] for request in company.sandbox.requests] == [
        f"Bearer {company.sandbox.token}"
    ] * 2


@pytest.mark.usefixtures("no_netrc")
@pytest.mark.parametrize("options", [{"trust_env": True}, {}])
async def test_the_arguments_hold_for_a_session_too(company: Company, options: dict[str, Any]) -> None:
    async with aiohttp.ClientSession(**options) as session:
        client = company.client(session=session, proxy=company.proxy.url(f"user:{ESCAPED}"))
        await client.me()
    assert len(company.proxy.heads) == 1
    assert company.sandbox.token.encode() not in company.proxy.seen


@pytest.mark.usefixtures("no_netrc")
async def test_a_session_that_trusts_the_environment_uses_its_proxy(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url(f"user:{ESCAPED}"))
    async with aiohttp.ClientSession(trust_env=True) as session:
        await company.client(session=session).me()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TransportError, match="could not be resolved"):
            await company.client(session=session).me()
    assert len(company.proxy.heads) == 1


@pytest.mark.parametrize("options", [{"trust_env": True}, {}])
async def test_the_proxy_of_a_session_gets_tunnels(company: Company, options: dict[str, Any]) -> None:
    company.proxy.credentials = None
    async with aiohttp.ClientSession(proxy=company.proxy.url(), **options) as session:
        await company.client(session=session).me()
        assert len(company.proxy.heads) == 1
        company.proxy.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(TransportError, match="the proxy of the session refused to connect to") as caught:
            await place(company.client(session=session))
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("options", [{"trust_env": True}, {}])
async def test_the_proxy_of_a_session_gets_plain_http_only_if_it_is_here(
    sandbox: Sandbox, open_proxy: Proxy, options: dict[str, Any]
) -> None:
    open_proxy.credentials = None
    for proxy, heads in ((open_proxy.url(), 1), ("http://proxy.invalid:3128", 1)):
        async with aiohttp.ClientSession(proxy=proxy, **options) as session:
            await AsyncClient(sandbox.token, base_url=sandbox.url, session=session).me()
        assert len(open_proxy.heads) == heads
    assert len(sandbox.requests) == 1


# --- secrets --------------------------------------------------------------------------------------------------------------


def shown(error: BaseException) -> str:
    """All that tools show of an error and the variables of its frames, but for those of the test."""
    own = error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
    console = Console(file=io.StringIO(), width=200)
    console.print(Traceback.from_exception(type(own), own, own.__traceback__, show_locals=True))
    assert isinstance(console.file, io.StringIO)
    lines = traceback.TracebackException.from_exception(own, capture_locals=True).format()
    return "\n".join([console.file.getvalue(), *lines, repr(vars(own)), str(own), repr(own)])


def refused_argument(company: Company) -> AsyncClient:
    return company.client(proxy=company.proxy.url(f"user:{ESCAPED}"), timeout=-1)


def not_a_url(company: Company) -> AsyncClient:
    return company.client(proxy=f"{company.proxy.url('user:#' + ESCAPED)}/x")


@pytest.mark.parametrize("make", [refused_argument, not_a_url])
def test_a_constructor_that_fails_does_not_show_the_password(
    company: Company, make: Callable[[Company], AsyncClient]
) -> None:
    with pytest.raises(ValueError, match=r"timeout|proxy") as caught:
        make(company)
    # The frame of `make` holds the argument, rightly.
    error = caught.value
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_next is not None
    assert "s3cr3t" not in shown(error.with_traceback(error.__traceback__.tb_next.tb_next))


@pytest.mark.slow
async def test_a_failure_does_not_show_the_password(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    coded = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url(f"user:{ESCAPED}"))
    for answer in (b"", b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"):
        company.proxy.answer = answer
        async with company.client() as client:
            with pytest.raises(TransportError) as caught:
                await client.me()
            text = f"{shown(caught.value)} {client!r} {vars(client)!r} {client._caller.pool._network!r} {caplog.text}"
        for secret in ("s3cr3t", coded, company.sandbox.token):
            assert secret not in text


def test_the_settings_of_tls_are_checked() -> None:
    with pytest.raises(TypeError, match=r"ssl must be an ssl\.SSLContext, not bool: ssl\.create_default_context"):
        AsyncClient("unl_test_token", ssl=False)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ValueError, match="ssl must be made for a client"):
        AsyncClient("unl_test_token", ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
