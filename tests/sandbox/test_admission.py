"""What every request passes before an endpoint sees it."""

import asyncio
import io

import pytest
from yarl import URL

from unlimcall_async.sandbox import SCOPES, Sandbox

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


async def test_a_token_can_be_chosen(visitor: Visitor, sandbox: Sandbox) -> None:
    assert sandbox.add_token(["read:balance"], "unl_test_mine") == "unl_test_mine"
    assert (await visitor.ask("GET", "/balance", token="unl_test_mine")).status == 200
    assert Sandbox(token="unl_test_all").token == "unl_test_all"


def test_tokens_are_well_formed_and_different() -> None:
    sandbox = Sandbox()
    tokens = {sandbox.token, *(sandbox.add_token(()) for _ in range(10))}

    assert len(tokens) == 11
    assert all(token.startswith("unl_test_") and len(token) == 32 and token.isascii() for token in tokens)


def test_unknown_scopes_and_tokens_are_mistakes_of_the_test() -> None:
    sandbox = Sandbox()
    with pytest.raises(ValueError, match="no such scope: read:cdr"):
        sandbox.add_token({"read:cdr"})
    with pytest.raises(ValueError, match="nothing to revoke"):
        sandbox.revoke_token("unl_test_nobody")


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


async def test_every_request_is_recorded_as_it_came(visitor: Visitor, sandbox: Sandbox) -> None:
    start = asyncio.get_running_loop().time()
    await visitor.ask("POST", "/calls", data=b'{"x": "\xff', params={"a": "1 +"})
    await visitor.ask("GET", "/numbers", token="unl_test_nobody")

    first, second = sandbox.requests
    assert (first.method, first.path, first.query, first.body) == (
        "POST",
        "/api/v1/calls",
        {"a": "1 +"},
        b'{"x": "\xff',
    )
    assert (first.endpoint, first.status) == ("calls", 400)
    assert first.headers["authorization"] == first.headers["Authorization"] == f"Bearer {sandbox.token}"
    assert (second.method, second.path, second.body) == ("GET", "/api/v1/numbers", b"")
    assert (second.endpoint, second.status) == (None, 404)
    assert start <= first.received_at <= second.received_at <= asyncio.get_running_loop().time()
    assert sandbox.token not in repr(first)


async def test_a_body_of_any_size_reaches_the_record(visitor: Visitor, sandbox: Sandbox) -> None:
    reply = await visitor.ask("POST", "/calls", data=io.BytesIO(b" " * 3_000_000))

    assert reply.error == (400, "invalid_input")
    assert len(sandbox.requests[0].body) == 3_000_000
