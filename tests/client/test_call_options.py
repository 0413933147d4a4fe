"""`timeout` and `headers` of single calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unlimcall_async import AsyncClient, RequestTimeoutError
from unlimcall_async.sandbox import Sandbox, Stall

NOW = datetime(2026, 5, 24, tzinfo=UTC)

# Each method that makes one call, with options.
CALLS: dict[str, Callable[..., Awaitable[object]]] = {
    "me": lambda api, **options: api.me(**options),
    "balance": lambda api, **options: api.balance(**options),
    "agents": lambda api, **options: api.agents(**options),
    "cdrs.list": lambda api, **options: api.cdrs.list(NOW - timedelta(days=1), NOW, **options),
    "calls.create": lambda api, **options: api.calls.create(ai_agent_id="27", to_number="+14155551234", **options),
    "hooks.create": lambda api, **options: api.hooks.create(
        event="call.ended", target_url="https://example.com/", **options
    ),
    "hooks.delete": lambda api, **options: api.hooks.delete("8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31", **options),
    "request": lambda api, **options: api.request("GET", "/me", **options),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
both = pytest.mark.parametrize("raw", [False, True], ids=["", "raw"])


@both
@every_call
async def test_the_headers_are_sent_and_the_time_limit_holds_for_this_call_alone(
    sandbox: Sandbox, client: AsyncClient, call: Callable[..., Awaitable[object]], raw: bool
) -> None:
    sandbox.inject(Stall(), times=4)
    with pytest.raises(RequestTimeoutError, match=r"0\.05 s"):
        await call(client.raw if raw else client, timeout=0.05, headers={"X-Trace": "t-1"})
    assert {request.headers.get("X-Trace") for request in sandbox.requests} == {"t-1"}
    sandbox.clear_faults()
    await client.me()
    assert "X-Trace" not in sandbox.requests[-1].headers


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"timeout": 0}, ValueError, "timeout must be a finite number of seconds above 0"),
        ({"timeout": float("inf")}, ValueError, "timeout must be a finite"),
        ({"timeout": float("nan")}, ValueError, "timeout must be a finite"),
        ({"timeout": "30"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds, not bool"),
        ({"headers": ["X"]}, TypeError, "headers must be a mapping"),
        ({"headers": {"X": 1}}, TypeError, "headers must map str to str"),
        ({"headers": {"X": "a\r\nY: b"}}, ValueError, "headers have a character"),
        *[
            ({"headers": {name: "x"}}, ValueError, f"headers must not hold {name}: the client sets it")
            for name in ("Authorization", "accept", "USER-AGENT", "Content-Type", "Host")
        ],
    ],
    ids=str,
)
@every_call
async def test_an_option_is_checked_before_anything_is_sent(
    sandbox: Sandbox,
    client: AsyncClient,
    call: Callable[..., Awaitable[object]],
    options: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind, match=message):
        await call(client, **options)
    assert sandbox.requests == []
