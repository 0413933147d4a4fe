"""Every endpoint and every field of the reference, over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from unlimcall_async import (
    Agent,
    AsyncClient,
    Balance,
    CallRecord,
    Hook,
    Identity,
    QueuedCall,
    ResponseError,
    __version__,
)
from unlimcall_async.sandbox import Sandbox, SandboxAgent, SandboxCall, Status

MAY = datetime(2026, 5, 24, 18, 14, 2, tzinfo=UTC)


def a_call(start: datetime = MAY, **changes: object) -> SandboxCall:
    row: dict[str, object] = {
        "id": "1747852442.42",
        "start_time": start,
        "duration": 82,
        "billsec": 81,
        "src": "+14155550100",
        "dst": "+442071838750",
        "disposition": "ANSWERED",
        "sip_username": "unl_001",
        "sell_price_cents": 34,
        "currency": "USD",
        "country": "United Kingdom",
        "did": None,
    }
    return SandboxCall(**{**row, **changes})  # type: ignore[arg-type] # a row is made of mixed types


async def test_me_tells_whose_token_it_is(client: AsyncClient) -> None:
    assert await client.me() == Identity("1042", "Acme Calling Co.", "ops@acme.example")


async def test_a_balance_keeps_every_digit() -> None:
    async with (
        Sandbox(balance="42.783100000000000000001", credit_limit="100", account_type="postpaid", stale=True) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url) as client,
    ):
        balance = await client.balance()
    assert balance == Balance(
        Decimal("42.783100000000000000001"), "USD", "postpaid", Decimal(100), blocked=False, stale=True
    )


async def test_agents_are_listed() -> None:
    made = datetime(2026, 4, 30, 9, 14, tzinfo=UTC)
    agent = SandboxAgent(id="27", sip_username="unl_001", label="SDR seat — Berlin", created_at=made)
    async with Sandbox(agents=[agent]) as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        assert await client.agents() == [Agent("27", "unl_001", "SDR seat — Berlin", made)]


async def test_agents_that_are_counted_but_did_not_come_are_an_error(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(200, body='{"count": 1, "agents": []}'))
    with pytest.raises(ResponseError) as caught:
        await client.agents()
    assert (caught.value.status, caught.value.where, caught.value.category) == (200, "count", "provider")


async def test_call_records_come_field_for_field(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls([a_call(extra={"carrier": {"name": "x", "hops": [1, 2]}})])
    page = await client.cdrs.list(MAY, MAY + timedelta(days=1))
    assert page.calls == (
        CallRecord(
            id="1747852442.42",
            start_time=MAY,
            duration=82,
            billsec=81,
            src="+14155550100",
            dst="+442071838750",
            disposition="ANSWERED",
            sip_username="unl_001",
            sell_price_cents=34,
            currency="USD",
            country="United Kingdom",
            did=None,
            extra={"carrier": {"name": "x", "hops": [1, 2]}},
        ),
    )
    assert (page.count, page.complete) == (1, True)


@pytest.mark.parametrize(("rows", "limit", "complete"), [(3, 4, True), (4, 4, False), (9, 4, False)])
@pytest.mark.parametrize("count", ["rows", "matches"])
async def test_a_page_says_whether_it_may_have_been_clipped(
    sandbox: Sandbox, client: AsyncClient, rows: int, limit: int, complete: bool, count: str
) -> None:
    sandbox.settings.count = count  # type: ignore[assignment] # one of its values
    sandbox.add_calls(a_call(MAY + timedelta(seconds=i)) for i in range(rows))
    page = await client.cdrs.list(MAY, MAY + timedelta(days=1), limit=limit)
    assert (len(page.calls), page.complete) == (min(rows, limit), complete)


async def test_a_server_that_clips_below_the_limit_is_seen_by_its_count(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.settings.cap, sandbox.settings.count = 2, "matches"
    sandbox.add_calls(a_call(MAY + timedelta(seconds=i)) for i in range(3))
    assert not (await client.cdrs.list(MAY, MAY + timedelta(days=1), limit=10)).complete


async def test_a_window_is_asked_for_in_utc(sandbox: Sandbox, client: AsyncClient) -> None:
    berlin = timezone(timedelta(hours=2))
    await client.cdrs.list(
        datetime(2026, 5, 24, 2, tzinfo=berlin), datetime(2026, 5, 24, 3, 0, 0, 500_000, berlin), 500
    )
    assert sandbox.requests[0].query == {
        "from": "2026-05-24T00:00:00Z",
        "till": "2026-05-24T01:00:00.500Z",
        "limit": "500",
    }


async def test_a_window_may_be_left_to_the_server(sandbox: Sandbox, client: AsyncClient) -> None:
    await client.cdrs.list()
    assert sandbox.requests[0].query == {"limit": "100"}


async def test_a_call_is_placed_as_asked(sandbox: Sandbox, client: AsyncClient) -> None:
    queued = await client.calls.create(
        ai_agent_id="27", to_number="+14155551234", from_number="+14155550100", metadata={"lead": {"id": 7}}
    )
    (placed,) = sandbox.originated
    assert queued == QueuedCall(placed.call_id, "queued")
    assert (placed.ai_agent_id, placed.to_number, placed.from_number, placed.metadata) == (
        "27",
        "+14155551234",
        "+14155550100",
        {"lead": {"id": 7}},
    )


async def test_what_is_not_given_is_not_sent(sandbox: Sandbox, client: AsyncClient) -> None:
    await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert json.loads(sandbox.requests[0].body) == {"aiAgentId": "27", "toNumber": "+14155551234"}


async def test_a_hook_is_made_and_removed(sandbox: Sandbox, client: AsyncClient) -> None:
    hook = await client.hooks.create(event="call.ended", target_url="https://example.com/hooks/unlimcall")
    assert hook == Hook(hook.id, sandbox.hooks[hook.id].secret, "call.ended", "https://example.com/hooks/unlimcall")
    assert hook.secret not in repr(hook)
    await client.hooks.delete(hook.id)
    assert not sandbox.hooks[hook.id].enabled


async def test_any_other_request_can_be_made(sandbox: Sandbox, client: AsyncClient) -> None:
    raw = await client.request("GET", "/cdrs", params={"limit": 5}, headers={"X-Trace": "abc"})
    assert (raw.status, raw.json(), raw.headers["content-type"].split(";")[0]) == (
        200,
        {"count": 0, "calls": []},
        "application/json",
    )
    assert sandbox.requests[0].headers["X-Trace"] == "abc"
    assert "calls" not in repr(raw)


async def test_a_raw_answer_that_is_not_json_says_so(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(200, body="hello", headers={"Content-Type": "text/plain"}))
    raw = await client.request("GET", "/me")
    assert raw.body == b"hello"
    with pytest.raises(ResponseError, match="expected JSON"):
        raw.json()


async def test_every_request_names_its_token_version_and_sender(sandbox: Sandbox, client: AsyncClient) -> None:
    await client.me()
    await client.balance()
    await client.agents()
    await client.cdrs.list()
    await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    hook = await client.hooks.create(event="dnc.added", target_url="https://example.com/")
    await client.hooks.delete(hook.id)
    assert len(sandbox.requests) == 7
    for request in sandbox.requests:
        assert request.headers["Authorization"] == f"Bearer {sandbox.token}"
        assert request.headers["Accept"] == "application/vnd.unlimcall.v1+json"
        assert request.headers["User-Agent"].split(" ")[0] == f"unlimcall-async/{__version__}"
