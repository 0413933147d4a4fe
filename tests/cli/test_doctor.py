"""`unlimcall doctor`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli.diagnosis import Server
from unlimcall_async.cli.doctor import Findings, facts, lines, look, server_lines, skew, status
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
    assert lines["write:calls"] == "not tested: no harmless request can tell"
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


# --- the clock ------------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 5, 24, 12, tzinfo=UTC)
DATE = "Sun, 24 May 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.0, 0.2, 0.0),
        # The date is cut to the second: it stands for any time up to 12:00:01.
        (0.9, 1.1, 0.0),
        (-0.1, 0.1, 0.0),
        (2.0, 2.5, -1.0),
        (-10.0, -9.5, 9.5),
        # A slow answer may have been dated at any time before it came.
        (-10.0, 5.0, 0.0),
    ],
)
def test_clocks_are_compared_as_far_as_that_goes(before: float, after: float, expected: float) -> None:
    assert skew(DATE, NOON + timedelta(seconds=before), NOON + timedelta(seconds=after)) == expected


@pytest.mark.parametrize("date", [None, "", "soon", "Sun, 24 May 2026 12:00:00 -0000"])
def test_a_server_need_not_tell_its_time(date: str | None) -> None:
    assert skew(date, NOON, NOON) is None


def test_a_server_may_be_at_the_end_of_time() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert skew("Fri, 31 Dec 9999 23:59:59 GMT", NOON, NOON) == (last - NOON).total_seconds()


@pytest.mark.parametrize(
    ("off", "line"),
    [
        (None, "unknown: the server does not tell its time"),
        (0.0, "agrees with the server's, to the second"),
        (3.0, "3.0 s or more behind the server's"),
        (-400.0, "400.0 s or more ahead of the server's; set it, or calls at the end of a range may be missed"),
    ],
)
def test_a_clock_that_is_off_is_told(off: float | None, line: str) -> None:
    assert dict(lines(Findings(skew=off, latencies=[0.1])))["clock"] == line


def test_all_that_can_be_found_has_words() -> None:
    server = Server(5, "not sorted", from_included=False, till_included=True, resolution="ms", count="matches", cap=7)
    assert list(server_lines(server)) == [
        ("order", "not sorted"),
        ("from", "not included in a window"),
        ("till", "included in a window"),
        ("resolution", "times are compared in milliseconds"),
        ("count", "counts all rows that match"),
        ("cap", "answers hold at most 7 rows"),
    ]
