"""Bodies of any size and form, and servers that are not to be trusted."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.certificates import untrusted_context
from unlimcall_async import AsyncClient, ResponseError, RetryPolicy, TransportError, UnlimCallError
from unlimcall_async.sandbox import Sandbox, Status

ME = b'{"customerId": "1042", "companyName": "Acme", "primaryContactEmail": "ops@acme.example"}'


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", gzip.compress(ME, mtime=0)), ("deflate", zlib.compress(ME)), ("identity", ME)]
)
async def test_compressed_answers_are_read(sandbox: Sandbox, client: AsyncClient, encoding: str, body: bytes) -> None:
    sandbox.inject(Status(200, body=body, headers={"Content-Encoding": encoding}))
    assert (await client.me()).company_name == "Acme"


@pytest.mark.slow
async def test_a_small_body_that_grows_is_refused_before_it_fills_the_memory(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    size = 200 * 1024 * 1024
    body = gzip.compress(bytes(size), compresslevel=1)
    sandbox.inject(Status(200, body=body, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    with pytest.raises(ResponseError, match="the body has more than 16777216 bytes") as caught:
        await client.me()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.where, len(sandbox.requests)) == ("body", 1)
    assert peak < 32 * 1024 * 1024


@pytest.mark.parametrize(("size", "fits"), [(16 * 1024 * 1024, True), (16 * 1024 * 1024 + 1, False)])
async def test_a_large_body_is_read_up_to_the_bound(
    sandbox: Sandbox, client: AsyncClient, size: int, fits: bool
) -> None:
    sandbox.inject(Status(200, body=ME.ljust(size)))
    if fits:
        await client.me()
    else:
        with pytest.raises(ResponseError, match="the body has more than"):
            await client.me()
    await client.me()


async def test_what_is_not_really_compressed_is_an_error(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(200, body=b"nonsense", headers={"Content-Encoding": "gzip"}), times=None)
    with pytest.raises(TransportError, match="could not be decompressed"):
        await client.me()


async def test_cookies_are_not_kept(sandbox: Sandbox) -> None:
    sandbox.inject(Status(200, body=ME, headers={"Set-Cookie": "session=1; Path=/"}))
    # Under a name, because aiohttp's usual jar keeps no cookies of bare addresses.
    async with AsyncClient(sandbox.token, base_url=sandbox.url.replace("127.0.0.1", "localhost")) as client:
        await client.me()
        await client.me()
    assert "Cookie" not in sandbox.requests[1].headers


@pytest.fixture
async def untrusted() -> AsyncIterator[str]:
    """The URL of a server whose certificate nobody vouches for."""

    async def serve(_request: web.Request) -> web.Response:
        raise AssertionError("a request got through")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=untrusted_context())
    await site.start()
    yield site.name
    await runner.cleanup()


async def test_a_certificate_that_is_not_trusted_is_not_asked_again(untrusted: str) -> None:
    given_up: list[UnlimCallError] = []
    policy = RetryPolicy(delays=(3600,), on_give_up=given_up.append)
    port = untrusted.rpartition(":")[2]
    async with AsyncClient("unl_test_token", base_url=f"https://127.0.0.1:{port}", retry=policy) as client:
        with pytest.raises(TransportError, match="certificate is not trusted") as caught:
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert (caught.value.outcome_unknown, caught.value.permanent, given_up) == (False, True, [])


async def test_plain_http_on_a_tls_port_is_an_error(sandbox: Sandbox) -> None:
    url = sandbox.url.replace("http://", "https://")
    async with AsyncClient(sandbox.token, base_url=url, retry=RetryPolicy(delays=())) as client:
        with pytest.raises(TransportError, match="TLS could not be set up") as caught:
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert not caught.value.outcome_unknown
