"""Every documented error code, provoked by what provokes it, in every shape of body: it arrives as its class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

import unlimcall_async as api
from unlimcall_async import AsyncClient, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Redirect, Sandbox, Status
from unlimcall_async.sandbox.settings import ErrorShape

NOW = datetime(2026, 5, 24, tzinfo=UTC)
NO_HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"

Act = Callable[[AsyncClient], Awaitable[object]]


def call(number: str = "+14155551234", agent: str = "27") -> Act:
    return lambda client: client.calls.create(ai_agent_id=agent, to_number=number)


def window(**params: str) -> Act:
    return lambda client: client.request("GET", "/cdrs", params=params)


def me(client: AsyncClient) -> Awaitable[object]:
    return client.me()


def revoke(sandbox: Sandbox) -> None:
    sandbox.revoke_token(sandbox.token)


def account(**changes: object) -> Callable[[Sandbox], None]:
    def prepare(sandbox: Sandbox) -> None:
        for name, value in changes.items():
            setattr(sandbox.account, name, value)

    return prepare


def as_is(_sandbox: Sandbox) -> None:
    pass


# (what the account is like, what is asked, the class, the status, the code), as the reference lists them
DOCUMENTED: list[tuple[Callable[[Sandbox], None], Act, type[api.APIError], int, str]] = [
    (revoke, me, api.AuthenticationError, 401, "unauthorized"),
    (account(suspended=True), me, api.SuspendedError, 403, "suspended"),
    (revoke, lambda c: c.balance(), api.AuthenticationError, 401, "unauthorized"),
    (account(balance_fails=True), lambda c: c.balance(), api.ServerError, 500, "internal_error"),
    (as_is, window(till="yesterday"), api.InvalidTimestampError, 400, "invalid_timestamp"),
    (as_is, lambda c: c.cdrs.list(NOW, NOW), api.WindowOrderError, 400, "till_must_be_after_from"),
    (as_is, lambda c: c.cdrs.list(NOW, NOW + timedelta(days=32)), api.WindowTooWideError, 400, "window_too_wide"),
    (
        account(provisioned=False),
        lambda c: c.cdrs.list(),
        api.AccountNotProvisionedError,
        409,
        "account_not_provisioned",
    ),
    (revoke, lambda c: c.agents(), api.AuthenticationError, 401, "unauthorized"),
    (as_is, lambda c: c.request("POST", "/calls", json={"aiAgentId": 27}), api.InvalidInputError, 400, "invalid_input"),
    (as_is, call(agent="999"), api.AgentNotFoundError, 404, "ai_agent_not_found"),
    (account(provisioned=False), call(), api.AccountNotProvisionedError, 409, "account_not_provisioned"),
    (account(dialer=False), call(), api.DialerRequiredError, 409, "dialer_required"),
    (account(engine=False), call(), api.EngineNotConfiguredError, 503, "engine_not_configured"),
    (account(originate_error="SIP 503"), call(), api.OriginateFailedError, 502, "originate_failed"),
    (as_is, lambda c: c.request("POST", "/hooks", json={"event": "x"}), api.InvalidInputError, 400, "invalid_input"),
    (as_is, lambda c: c.request("DELETE", "/hooks/7"), api.InvalidInputError, 400, "invalid_input"),
    (as_is, lambda c: c.hooks.delete(NO_HOOK), api.NotFoundError, 404, "not_found"),
]


@pytest.mark.parametrize("shape", get_args(ErrorShape))
@pytest.mark.parametrize(("prepare", "act", "kind", "status", "code"), DOCUMENTED)
async def test_a_documented_code_arrives_as_its_class(
    sandbox: Sandbox,
    client: AsyncClient,
    shape: ErrorShape,
    prepare: Callable[[Sandbox], None],
    act: Act,
    kind: type[api.APIError],
    status: int,
    code: str,
) -> None:
    prepare(sandbox)
    sandbox.settings.error_shape = shape
    with pytest.raises(kind) as caught:
        await act(client)
    error = caught.value
    request = sandbox.requests[-1]
    assert (type(error), error.status) == (kind, status)
    assert error.code == code
    assert (error.method, f"/api/v1{error.path}") == (request.method, request.path)
    assert error.category == ("provider" if status >= 500 else "application")
    assert error.headers["content-length"] == str(len(error.body))
    assert not error.outcome_unknown


async def test_an_agent_without_an_extension_is_a_conflict(sandbox: Sandbox, client: AsyncClient) -> None:
    (unready,) = [agent.id for agent in sandbox.account.agents if not agent.provisioned]
    with pytest.raises(api.AgentNotProvisionedError) as caught:
        await client.calls.create(ai_agent_id=unready, to_number="+14155551234")
    assert (caught.value.status, caught.value.code) == (409, "ai_agent_not_provisioned")


async def test_the_servers_own_words_are_kept(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.account.originate_error = "SIP 486 busy here"
    with pytest.raises(api.OriginateFailedError, match="POST /calls answered 502 originate_failed: SIP 486 busy here"):
        await client.calls.create(ai_agent_id="27", to_number="+14155551234")


@pytest.mark.parametrize(
    ("scope", "act"),
    [
        ("read:balance", lambda c: c.balance()),
        ("read:cdrs", lambda c: c.cdrs.list()),
        ("read:agents", lambda c: c.agents()),
        ("write:calls", call()),
        ("write:hooks", lambda c: c.hooks.create(event="call.ended", target_url="https://example.com/")),
    ],
)
async def test_each_endpoint_needs_its_own_scope_and_no_other(sandbox: Sandbox, scope: str, act: Act) -> None:
    scopes = {"read:balance", "read:cdrs", "read:agents", "write:calls", "write:hooks"}
    narrow, wrong = sandbox.add_token([scope]), sandbox.add_token(scopes - {scope})
    async with AsyncClient(narrow, base_url=sandbox.url) as client:
        await act(client)
        await client.me()
    async with AsyncClient(wrong, base_url=sandbox.url) as client:
        with pytest.raises(api.AuthenticationError):
            await act(client)


@pytest.mark.looptime
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_429_says_how_long_to_wait(form: str) -> None:
    never = RetryPolicy(delays=())
    async with (
        Sandbox(rate_limits={"me": 1}, retry_after=form) as sandbox,  # type: ignore[arg-type] # one of its values
        AsyncClient(
            sandbox.token, base_url=sandbox.url, retry=never, rate_limits=RateLimits(me=RateLimit(9))
        ) as client,
    ):
        await client.me()
        with pytest.raises(api.RateLimitedError) as caught:
            await client.me()
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 61
    assert caught.value.category == "application"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, api.InvalidRequestError),
        (409, api.ConflictError),
        (418, api.APIError),
        (500, api.ServerError),
        (599, api.ServerError),
    ],
)
async def test_an_unknown_code_falls_to_the_group_of_its_status(
    sandbox: Sandbox, client: AsyncClient, status: int, kind: type[api.APIError]
) -> None:
    sandbox.inject(Status(status, code="brand_new"), times=None)
    with pytest.raises(kind) as caught:
        await client.me()
    assert (type(caught.value), caught.value.code) == (kind, "brand_new")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_the_token_stays(sandbox: Sandbox, client: AsyncClient, status: int) -> None:
    async with Sandbox() as elsewhere:
        sandbox.inject(Redirect(f"{elsewhere.url}/me", status))
        with pytest.raises(api.ResponseError) as caught:
            await client.me()
    assert (caught.value.status, elsewhere.requests, len(sandbox.requests)) == (status, [], 1)


async def test_an_unreadable_row_is_named_by_its_place_and_not_shown(sandbox: Sandbox, client: AsyncClient) -> None:
    row = '{"id": "1", "startTime": "2026-05-24T18:14:02Z", "duration": 1, "billsec": 1, "src": %s}'
    body = f'{{"count": 2, "calls": [{row % "null"}, {row % "4155550100"}]}}'
    sandbox.inject(Status(200, body=body))
    with pytest.raises(api.ResponseError) as caught:
        await client.cdrs.list()
    assert caught.value.where == "calls[1].src"
    assert "4155550100" not in f"{caught.value} {caught.value!r}"


async def test_a_base_url_without_its_path_is_named(sandbox: Sandbox) -> None:
    host = sandbox.url.removesuffix("/api/v1")
    async with AsyncClient(sandbox.token, base_url=host) as client:
        for act in (me, lambda client: client.cdrs.list(), call(), lambda client: client.hooks.delete(NO_HOOK)):
            with pytest.raises(api.NotFoundError) as caught:
                await act(client)
            assert f"(the base URL has no /api/v1: {sandbox.url} may be meant)" in str(caught.value)
