"""What every request passes before an endpoint processes it: path, method, token, scope, rate limit, suspension."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from unlimcall_async.sandbox import SCOPES, Sandbox, Status
from unlimcall_async.sandbox.api import SlidingWindows

from .support import OPERATIONS, Visitor


async def test_the_scope_of_the_endpoint_is_enough(visitor: Visitor, sandbox: Sandbox) -> None:
    for method, path, scope, body in OPERATIONS:
        token = sandbox.add_token({scope} if scope else set())

        reply = await visitor.ask(method, path, token=token, json=body)

        assert reply.status in {200, 404}, path  # 404: there is no such hook to delete


async def test_without_the_scope_of_the_endpoint_a_token_is_unauthorized(visitor: Visitor, sandbox: Sandbox) -> None:
    for method, path, scope, body in OPERATIONS[1:]:  # `/me` takes any valid token
        assert scope is not None
        token = sandbox.add_token(SCOPES - {scope})

        reply = await visitor.ask(method, path, token=token, json=body)

        assert reply.error == (401, "unauthorized"), path
        assert scope in reply.json()["detail"]
    assert not sandbox.originated
    assert not sandbox.hooks


async def test_an_unknown_token_is_unauthorized(visitor: Visitor, sandbox: Sandbox) -> None:
    for method, path, _, body in OPERATIONS:
        reply = await visitor.ask(method, path, token="unl_test_nobody", json=body)

        assert reply.error == (401, "unauthorized"), path
    assert not sandbox.originated


async def test_a_suspended_account_is_refused(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.account.suspended = True
    for method, path, _, body in OPERATIONS:
        reply = await visitor.ask(method, path, json=body)

        assert reply.error == (403, "suspended"), path
    assert not sandbox.originated


async def test_a_suspended_account_still_has_to_show_its_token(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.account.suspended = True

    assert (await visitor.ask("GET", "/me", token="unl_test_nobody")).error == (401, "unauthorized")


async def test_a_header_without_a_valid_bearer_token_is_unauthorized(visitor: Visitor, sandbox: Sandbox) -> None:
    for header in [None, "", "Bearer", "Bearer ", "{token}", "Basic {token}", "Bearer {token}x"]:
        headers = {} if header is None else {"Authorization": header.format(token=sandbox.token)}

        async with visitor.session.get(sandbox.url + "/me", headers=headers) as response:
            assert response.status == 401, header


async def test_the_name_of_the_scheme_has_no_case(visitor: Visitor, sandbox: Sandbox) -> None:
    headers = {"authorization": f"bEARER {sandbox.token}"}

    async with visitor.session.get(sandbox.url + "/me", headers=headers) as response:
        assert response.status == 200


async def test_a_revoked_token_is_invalid_at_once(visitor: Visitor, sandbox: Sandbox) -> None:
    token = sandbox.add_token({"read:balance"})
    assert (await visitor.ask("GET", "/balance", token=token)).status == 200

    sandbox.revoke_token(token)

    assert (await visitor.ask("GET", "/balance", token=token)).error == (401, "unauthorized")
    assert (await visitor.get("/balance")).status == 200


async def test_a_path_that_is_not_documented_is_not_found(visitor: Visitor, sandbox: Sandbox) -> None:
    paths = ["", "/", "/numbers", "/me/", "//me", "/ME", "/hooks/", "/hooks/a/b", "/calls/1", "/x/../me", "/me%2f"]
    for path in [*(f"/api/v1{path}" for path in paths), "/me", "/api/v2/me"]:
        # Marked as encoded, or yarl would tidy it up.
        url = URL(sandbox.url.removesuffix("/api/v1") + path, encoded=True)
        async with visitor.session.get(url, headers={"Authorization": f"Bearer {sandbox.token}"}) as response:
            assert response.status == 404, path
            assert (await response.json())["error"] == "not_found"
        assert (sandbox.requests[-1].path, sandbox.requests[-1].endpoint) == (path, None)


async def test_a_method_that_is_not_documented_is_not_allowed(visitor: Visitor) -> None:
    hook = "/hooks/8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"
    wrong = [("POST", "/me", "GET"), ("PUT", "/cdrs", "GET"), ("GET", "/calls", "POST"), ("GET", "/hooks", "POST")]
    for method, path, allow in [*wrong, ("DELETE", "/hooks", "POST"), ("GET", hook, "DELETE")]:
        reply = await visitor.ask(method, path)

        assert reply.error == (405, "method_not_allowed"), path
        assert reply.headers["Allow"] == allow
    assert (await visitor.ask("HEAD", "/me")).status == 405


KEY = ("token", "cdrs")


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 6))
def test_no_minute_lets_more_through_than_the_limit_and_none_is_refused_without_need(
    pauses: list[int], limit: int
) -> None:
    windows, now, granted = SlidingWindows(), 0, list[int]()
    for pause in pauses:
        now += pause
        recent = [time for time in granted if time > now - 60]

        wait = windows.admit(KEY, limit=limit, span=60.0, now=float(now))

        assert (wait is None) == (len(recent) < limit)
        if wait is None:
            granted.append(now)
        else:
            assert now + wait == granted[-limit] + 60


def test_after_the_wait_there_is_room_and_before_it_there_is_none() -> None:
    windows = SlidingWindows()
    for now in (0.0, 10.0, 20.0):
        assert windows.admit(KEY, limit=3, span=60.0, now=now) is None

    assert windows.admit(KEY, limit=3, span=60.0, now=25.0) == 35.0
    assert windows.admit(KEY, limit=3, span=60.0, now=59.5) == 0.5
    assert windows.admit(KEY, limit=3, span=60.0, now=60.0) is None


def test_a_limit_that_was_lowered_waits_until_enough_have_left() -> None:
    windows = SlidingWindows()
    for now in (0.0, 10.0, 20.0):
        windows.admit(KEY, limit=3, span=60.0, now=now)

    assert windows.admit(KEY, limit=1, span=60.0, now=30.0) == 50.0
    assert windows.admit(KEY, limit=1, span=60.0, now=80.0) is None


async def test_a_request_above_the_limit_is_answered_429(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"cdrs": 2}

    replies = [await visitor.get("/cdrs") for _ in range(4)]

    assert [reply.status for reply in replies] == [200, 200, 429, 429]
    assert replies[2].error == (429, "rate_limited")
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60
    assert (await visitor.get("/me")).status == 200


async def test_the_two_hook_operations_share_a_limit(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"hooks": 1}

    assert (await visitor.ask("DELETE", OPERATIONS[-1][1])).status == 404
    assert (await visitor.ask("POST", "/hooks", json=OPERATIONS[-2][3])).status == 429
    assert not sandbox.hooks


async def test_each_token_has_its_own_count_and_strangers_use_none(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"me": 1, "cdrs": 1}
    other, narrow = sandbox.add_token(SCOPES), sandbox.add_token({"read:balance"})

    assert (await visitor.ask("GET", "/me", token="unl_test_nobody")).status == 401
    assert (await visitor.ask("GET", "/cdrs", token=narrow)).status == 401
    assert (await visitor.ask("GET", "/cdrs", token=narrow)).status == 401
    assert (await visitor.get("/me")).status == 200
    assert (await visitor.get("/me")).status == 429
    assert (await visitor.ask("GET", "/me", token=other)).status == 200


async def test_what_a_fault_answers_is_not_counted(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"me": 1}
    sandbox.inject(Status(503), times=3)

    assert [(await visitor.get("/me")).status for _ in range(5)] == [503, 503, 503, 200, 429]


@pytest.mark.looptime
async def test_a_minute_can_be_shorter_and_the_wait_is_rounded_up_to_whole_seconds(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    sandbox.settings.rate_limits = {"me": 1}
    sandbox.settings.minute = 2.5
    assert (await visitor.get("/me")).status == 200

    refused = await visitor.get("/me")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3")

    await asyncio.sleep(2.4)  # on a clock that the test moves
    assert (await visitor.get("/me")).headers["Retry-After"] == "1"
    await asyncio.sleep(0.1)
    assert (await visitor.get("/me")).status == 200


async def test_the_wait_can_be_told_as_a_date_or_not_at_all(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = {"me": 1}
    sandbox.settings.minute = 3600.0
    await visitor.get("/me")

    sandbox.settings.retry_after = None
    assert "Retry-After" not in (await visitor.get("/me")).headers

    sandbox.settings.retry_after = "date"
    before = datetime.now(UTC)
    text = (await visitor.get("/me")).headers["Retry-After"]
    assert text.endswith(" GMT")
    # A bound that holds however slowly the test runs: the wait is an hour at most, rounded up to a second.
    assert before < parsedate_to_datetime(text) <= datetime.now(UTC) + timedelta(hours=1, seconds=1)
