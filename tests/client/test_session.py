"""A session that is handed in is used, overridden where it would break a promise, and never closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from unlimcall_async import (
    APIError,
    AsyncClient,
    ClientClosedError,
    RateLimits,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from unlimcall_async.sandbox import Redirect, ResetBefore, Sandbox

Use = Callable[..., AsyncClient]


@pytest.fixture
async def use(sandbox: Sandbox) -> AsyncIterator[Use]:
    sessions: list[aiohttp.ClientSession] = []

    def make(**settings: Any) -> AsyncClient:
        session = aiohttp.ClientSession(**settings)
        sessions.append(session)
        limits, retry = RateLimits.unlimited(), RetryPolicy(delays=(0, 0, 0))
        return AsyncClient(sandbox.token, base_url=sandbox.url, session=session, rate_limits=limits, retry=retry)

    yield make
    for session in sessions:
        assert not session.closed
        await session.close()


async def test_it_is_used_and_left_open(use: Use) -> None:
    async with use() as client:
        await client.me()


async def test_its_headers_do_not_replace_ours(sandbox: Sandbox, use: Use) -> None:
    client = use(headers={"Authorization": "Bearer other", "Accept": "text/html", "User-Agent": "x", "X-Mine": "1"})
    await client.me()
    sent = sandbox.requests[0].headers
    assert sent["Authorization"] == f"Bearer {sandbox.token}"
    assert sent["Accept"] == "application/vnd.unlimcall.v1+json"
    assert sent["User-Agent"].startswith("unlimcall-async/")
    assert sent["X-Mine"] == "1"


@pytest.mark.parametrize("own", [{}, {"accept-encoding": "identity"}])
async def test_it_asks_for_no_compression_that_cannot_be_undone(
    sandbox: Sandbox, use: Use, own: dict[str, str]
) -> None:
    # As a browser asks: with br, and with what no library here decompresses.
    client = use(headers={"accept-encoding": "br;q=1.0, compress"})
    await client.me(headers=own)
    asked = [value for name, value in sandbox.requests[0].headers.items() if name.lower() == "accept-encoding"]
    assert asked == [own.get("accept-encoding", aiohttp.ClientRequest.DEFAULT_HEADERS[aiohttp.hdrs.ACCEPT_ENCODING])]


async def test_its_raise_for_status_does_not_replace_our_errors(sandbox: Sandbox, use: Use) -> None:
    sandbox.account.suspended = True
    with pytest.raises(APIError, match="suspended"):
        await use(raise_for_status=True).me()


async def test_it_follows_no_redirect(sandbox: Sandbox, use: Use) -> None:
    sandbox.inject(Redirect(f"{sandbox.url}/agents"))
    with pytest.raises(ResponseError):
        await use().me()
    assert len(sandbox.requests) == 1


async def test_its_credentials_do_not_replace_the_token(sandbox: Sandbox, use: Use) -> None:
    with pytest.deprecated_call():
        client = use(auth=aiohttp.BasicAuth("me", "pass"))
    await client.me()
    assert sandbox.requests[0].headers["Authorization"] == f"Bearer {sandbox.token}"


async def test_those_of_a_netrc_do_not_either(
    sandbox: Sandbox, use: Use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pass\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await use(trust_env=True).me()
    assert sandbox.requests[0].headers["Authorization"] == f"Bearer {sandbox.token}"


async def test_its_middlewares_can_not_send_a_call_twice(sandbox: Sandbox, use: Use) -> None:
    async def twice(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        await handler(request)
        return await handler(request)

    await use(middlewares=[twice]).calls.create(ai_agent_id="27", to_number="+14155551234")
    assert len(sandbox.originated) == len(sandbox.requests) == 1


async def test_its_own_hidden_retry_is_off(sandbox: Sandbox, use: Use) -> None:
    sandbox.inject(ResetBefore(), times=None)
    with pytest.raises(TransportError):
        await use().me()
    assert len(sandbox.requests) == 4


async def test_a_call_over_it_that_found_no_server_was_not_placed(sandbox: Sandbox, use: Use) -> None:
    await sandbox.stop()
    with pytest.raises(TransportError) as caught:
        await use().calls.create(ai_agent_id="27", to_number="+14155551234")
    assert not caught.value.outcome_unknown


async def test_its_time_limit_does_not_replace_ours(sandbox: Sandbox, use: Use) -> None:
    sandbox.settings.latency = 0.2
    await use(timeout=aiohttp.ClientTimeout(total=0.01, sock_read=0.01)).me()


async def test_it_need_not_decompress(sandbox: Sandbox, use: Use) -> None:
    await use(auto_decompress=False).me()
    assert sandbox.requests[0].headers["Accept-Encoding"] == "identity"


async def test_one_that_is_closed_says_so(sandbox: Sandbox) -> None:
    session = aiohttp.ClientSession()
    await session.close()
    client = AsyncClient(sandbox.token, base_url=sandbox.url, session=session)
    for _ in range(100):  # which takes no token: none of these waits
        with pytest.raises(ClientClosedError, match="the session that was handed in is closed") as caught:
            await client.me()
        assert caught.value.permanent


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match=r"session must be an aiohttp\.ClientSession, not object"):
        AsyncClient("unl_test_token", session=object())  # type: ignore[arg-type] # wrong on purpose
