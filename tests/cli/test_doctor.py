"""`unlimcall doctor`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli.diagnosis import Findings, Server, facts, lines
from unlimcall_async.cli.doctor import look, status
from unlimcall_async.sandbox import SCOPES, Sandbox

from .support import made, run

RECENT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)


async def findings_of(sandbox: Sandbox, token: str) -> Findings:
    async with AsyncClient(token, base_url=sandbox.url, retry=RetryPolicy(delays=())) as client:
        return await look(client)


async def test_it_shows_what_the_server_is_like() -> None:
    async with Sandbox(order="oldest_first", till_inclusive=True, resolution="s", count="matches") as sandbox:
        sandbox.add_calls(made(20, start=RECENT))
        code, out, err = await run(sandbox, "doctor", "--json")
        assert len(sandbox.requests) <= 12
        assert {request.method for request in sandbox.requests} == {"GET"}
        asked = len(sandbox.requests)
    shown = json.loads(out)
    assert (code, err) == (0, "")
    assert shown.pop("latency_ms") > 0
    assert shown == {
        "customer_id": "1042",
        "company_name": "Acme Calling Co.",
        "clock_skew_s": 0.0,
        "requests": asked,
        "scopes": {"read:balance": True, "read:agents": True, "read:cdrs": True}
        | dict.fromkeys(["read:numbers", "read:invoices", "write:calls", "write:hooks"]),
        "problems": {},
        "server": {
            "rows": 20,
            "order": "oldest first",
            "from_included": True,
            "till_included": True,
            "resolution": "s",
            "count": "matches",
            "cap": None,
        },
    }


async def test_it_shows_it_to_people() -> None:
    async with Sandbox() as sandbox:
        code, out, _ = await run(sandbox, "doctor")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert lines["token"] == "good: Acme Calling Co., customer 1042"
    assert lines["write:calls"] == "not tested: no harmless request can show it"
    assert lines["order"] == "unknown: 0 calls in 31 days do not show it"


async def test_a_scope_that_is_missing_is_no_problem() -> None:
    async with Sandbox() as sandbox:
        findings = await findings_of(sandbox, sandbox.add_token(["read:balance"]))
    held = {scope: findings.scopes[scope] for scope in ("read:balance", "read:agents", "read:cdrs")}
    assert held == {"read:balance": True, "read:agents": False, "read:cdrs": False}
    assert (status(findings), findings.problems, findings.server) == (0, {}, Server())
    assert dict(lines(findings))["read:cdrs"] == "no"


async def test_every_scope_is_accounted_for() -> None:
    async with Sandbox() as sandbox:
        findings = await findings_of(sandbox, sandbox.token)
    assert set(findings.scopes) == set(SCOPES)


@pytest.mark.parametrize(
    ("settings", "scope", "expected"),
    [({"provisioned": False}, "read:cdrs", 3), ({"balance_fails": True}, "read:balance", 4)],
)
async def test_a_problem_does_not_hide_the_rest(settings: dict[str, bool], scope: str, expected: int) -> None:
    async with Sandbox(**settings) as sandbox:  # type: ignore[arg-type] # flags
        findings = await findings_of(sandbox, sandbox.token)
    assert (status(findings), list(findings.problems)) == (expected, [scope])
    assert findings.scopes["read:agents"] is True
    assert dict(lines(findings))[scope].startswith("problem: GET /")
    assert list(facts(findings)["problems"]) == [scope]


async def test_a_token_of_no_use_is_told_at_once() -> None:
    async with Sandbox() as sandbox:
        code, out, err = await run(sandbox, "doctor", UNLIMCALL_TOKEN="unl_test_other")
        assert len(sandbox.requests) == 1
    assert (code, out, err.startswith("Error: GET /me answered 401")) == (3, "", True)
