"""`client.raw`: the methods of the client, with the response beside the value."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import attrs
import pytest

from unlimcall_async import (
    APIError,
    AsyncClient,
    Identity,
    RateLimit,
    RateLimits,
    Raw,
    RawResponse,
    RetryPolicy,
    TransportError,
)
from unlimcall_async.http.raw import RawMethods, raw
from unlimcall_async.sandbox import Sandbox, Stall, Status

NOW = datetime(2026, 5, 24, tzinfo=UTC)
ID = {"X-Request-Id": "r-1"}

# Each method of `client.raw`, as a call on the client or on `client.raw`.
METHODS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "me": lambda api: api.me(),
    "balance": lambda api: api.balance(),
    "agents": lambda api: api.agents(),
    "cdrs.list": lambda api: api.cdrs.list(NOW - timedelta(days=1), NOW, limit=5),
    "calls.create": lambda api: api.calls.create(ai_agent_id="27", to_number="+14155551234"),
    "hooks.create": lambda api: api.hooks.create(event="call.ended", target_url="https://example.com/"),
    "request": lambda api: api.request("GET", "/me"),
}


def methods_of(thing: object) -> set[str]:
    return {name for name, _ in inspect.getmembers(thing, inspect.iscoroutinefunction) if not name.startswith("_")}


@pytest.mark.parametrize("name", METHODS)
async def test_it_gives_the_value_with_the_response(sandbox: Sandbox, client: AsyncClient, name: str) -> None:
    plain, whole = await METHODS[name](client), await METHODS[name](client.raw)
    assert type(whole) is Raw
    assert type(whole.value) is type(plain)
    if name not in {"calls.create", "hooks.create"}:
        assert (whole.value.body if name == "request" else whole.value) == (plain.body if name == "request" else plain)
    assert (whole.status, whole.attempts, whole.request_id) == (sandbox.requests[-1].status, 1, None)
    assert whole.headers["content-TYPE"].startswith("application/json")
    assert 0 < whole.elapsed_s < 10


async def test_a_hook_is_deleted(sandbox: Sandbox, client: AsyncClient) -> None:
    hook = await client.raw.hooks.create(event="call.ended", target_url="https://example.com/")
    whole = await client.raw.hooks.delete(hook.value.id)
    assert (whole.value, whole.status) == (None, 204)
    assert not sandbox.hooks[hook.value.id].enabled


def test_it_has_each_method_that_makes_one_call() -> None:
    client = AsyncClient("unl_test_token")
    assert methods_of(client.raw) == methods_of(client) - {"aclose"}
    for name in ("cdrs", "calls", "hooks"):
        # `verify` makes many calls.
        assert methods_of(getattr(client.raw, name)) == methods_of(getattr(client, name)) - {"verify"}


def test_tools_see_the_signature_the_text_and_the_types() -> None:
    client = AsyncClient("unl_test_token")
    plain, whole = client.me, client.raw.me
    assert inspect.signature(whole).parameters.keys() == inspect.signature(plain).parameters.keys()
    assert inspect.signature(whole).return_annotation == Raw[Identity]
    assert get_type_hints(whole)["return"] == Raw[Identity]
    assert (whole.__doc__, whole.__name__) == (plain.__doc__, "me")
    assert repr(client.raw.cdrs) == "<RawCdrs of https://app.unlimcall.com/api/v1>"


@pytest.mark.looptime
async def test_it_counts_attempts_and_the_time_of_all_of_them(sandbox: Sandbox) -> None:
    sandbox.inject(Status(500), times=2)
    sandbox.inject(Status(200, body='{"count": 0, "agents": []}', headers=ID))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=RetryPolicy(delays=(1, 2), jitter=0)) as client:
        whole = await client.raw.agents()
    assert (whole.value, whole.status, whole.attempts, whole.request_id) == ([], 200, 3, "r-1")
    assert whole.elapsed_s == pytest.approx(3, abs=0.01)


async def test_a_hook_that_an_earlier_attempt_removed_has_the_response_that_said_so(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.inject(Status(500))
    whole = await client.raw.hooks.delete("8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31")
    assert (whole.value, whole.status, whole.attempts) == (None, 404, 2)


async def test_it_raises_what_the_client_raises(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(403, headers=ID))
    with pytest.raises(APIError) as caught:
        await client.raw.balance()
    assert caught.value.request_id == "r-1"
    with pytest.raises(ValueError, match="timeout must be a finite number of seconds above 0"):
        await client.raw.me(timeout=0)
    assert len(sandbox.requests) == 1


async def test_a_view_has_its_own(sandbox: Sandbox, client: AsyncClient) -> None:
    view = client.with_options(rate_limits=RateLimits(me=RateLimit(1)), max_wait=0)
    await view.raw.me()
    with pytest.raises(APIError, match="was not sent"):
        await view.raw.me()
    await client.raw.me()
    # Closing the view ends the calls of its `raw`.
    sandbox.inject(Stall())
    other = client.with_options(timeout=9)
    raw, seen = other.raw, len(sandbox.requests)
    call = asyncio.create_task(raw.balance())
    while len(sandbox.requests) == seen:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    await other.aclose()
    with pytest.raises(TransportError, match="closed"):
        await call
    with pytest.raises(RuntimeError, match="closed"):
        await raw.balance()
    await client.raw.balance()


async def test_calls_at_once_do_not_mix(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(500), endpoint="me")
    raw = client.raw
    me, balance, agents = await asyncio.gather(raw.me(), raw.balance(), raw.agents())
    assert (me.attempts, balance.attempts, agents.attempts) == (2, 1, 1)


async def test_a_subclass_keeps_a_method_of_its_own(client: AsyncClient) -> None:
    """The method of the base class is made at its first use, and takes the place of nothing else."""
    own = 0

    class Methods(RawMethods[AsyncClient]):
        me = raw(AsyncClient.me)

    class Counting(Methods):
        async def me(self) -> Any:  # type: ignore[override] # with less than it may take
            nonlocal own
            own += 1
            return await super().me()

    counting = Counting(client.raw._resource_of, client._caller)
    assert [(await counting.me()).status for _ in range(3)] == [200, 200, 200]
    assert own == 3


def test_it_is_frozen_and_hides_the_headers() -> None:
    whole = Raw(1, 200, {"X-Number": "+14155551234"}, "r-1", 1, 0.5)
    assert repr(whole) == "Raw(value=1, status=200, request_id='r-1', attempts=1, elapsed_s=0.5)"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        whole.value = 2  # type: ignore[misc] # that is the test
    assert pickle.loads(pickle.dumps(whole)) == whole  # noqa: S301 # made right here
    assert isinstance(Raw(RawResponse(200, {}, b""), 200, {}, None, 1, 0.5).value, RawResponse)
