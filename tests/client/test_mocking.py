"""Users can mock this client with aioresponses, and it keeps its promises under a mock."""

from __future__ import annotations

import pytest
from aiohttp import ClientConnectionError, ServerDisconnectedError
from aioresponses import aioresponses
from aioresponses.core import RequestCall
from yarl import URL

from unlimcall_async import AsyncClient, RateLimitedError, RequestTimeoutError, RetryPolicy, ServerError, TransportError

BASE = "https://app.unlimcall.com/api/v1"
ME = {"customerId": "1042", "companyName": "Acme Calling Co.", "primaryContactEmail": "ops@acme.example"}


def sent_by(mocked: aioresponses, method: str, url: URL) -> list[RequestCall]:
    return (mocked.requests or {}).get((method, url), [])


@pytest.fixture
def client() -> AsyncClient:
    return AsyncClient("unl_test_token", retry=RetryPolicy(delays=(0, 0), rate_limited_for=1))


async def test_an_answer(client: AsyncClient) -> None:
    async with client:
        with aioresponses() as mocked:
            mocked.get(f"{BASE}/me", payload=ME)
            assert (await client.me()).company_name == "Acme Calling Co."
        (sent,) = sent_by(mocked, "GET", URL(f"{BASE}/me"))
        assert sent.kwargs["headers"]["Authorization"] == "Bearer unl_test_token"


@pytest.mark.looptime
async def test_an_error_and_then_an_answer(client: AsyncClient) -> None:
    async with client:
        with aioresponses() as mocked:
            mocked.get(f"{BASE}/me", status=503)
            mocked.get(f"{BASE}/me", status=429, headers={"Retry-After": "0"})
            mocked.get(f"{BASE}/me", payload=ME)
            assert (await client.me()).customer_id == "1042"


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (TimeoutError(), RequestTimeoutError),
        (ServerDisconnectedError(), TransportError),
        (ClientConnectionError(), TransportError),
        (ConnectionResetError(), TransportError),
    ],
)
async def test_a_call_in_doubt_is_sent_once(
    client: AsyncClient, exception: Exception, kind: type[TransportError]
) -> None:
    async with client:
        with aioresponses() as mocked:
            mocked.post(f"{BASE}/calls", exception=exception, repeat=True)
            with pytest.raises(kind) as caught:
                await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        assert len(sent_by(mocked, "POST", URL(f"{BASE}/calls"))) == 1
        assert caught.value.outcome_unknown


@pytest.mark.parametrize(("status", "kind", "times"), [(500, ServerError, 1), (429, RateLimitedError, 1)])
async def test_a_call_that_was_refused(client: AsyncClient, status: int, kind: type[Exception], times: int) -> None:
    async with client:
        with aioresponses() as mocked:
            mocked.post(f"{BASE}/calls", status=status, repeat=True)
            view = client.with_options(retry=RetryPolicy(rate_limited_for=0))
            with pytest.raises(kind):
                await view.calls.create(ai_agent_id="27", to_number="+14155551234")
        assert len(sent_by(mocked, "POST", URL(f"{BASE}/calls"))) == times
