"""`POST /calls`."""

import asyncio
import uuid

import pytest

from unlimcall_async.sandbox import Sandbox

from .support import A_CALL, Visitor, fields


async def test_a_call_is_queued_and_recorded(visitor: Visitor, sandbox: Sandbox) -> None:
    body = {"aiAgentId": "27", "toNumber": "+14155551234", "fromNumber": "+4930123456", "metadata": {"deal": [1, None]}}

    reply = await visitor.ask("POST", "/calls", json=body)

    assert reply.status == 200
    (call,) = sandbox.originated
    assert reply.json() == {"callId": call.call_id, "status": "queued"}
    assert uuid.UUID(call.call_id).version == 4
    assert (call.ai_agent_id, call.to_number, call.from_number) == ("27", "+14155551234", "+4930123456")
    assert call.metadata == {"deal": [1, None]}
    assert sandbox.requests[0].received_at <= call.received_at <= asyncio.get_running_loop().time()


async def test_the_optional_fields_may_be_left_out_and_unknown_ones_are_ignored(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    assert (await visitor.call()).status == 200
    assert (await visitor.ask("POST", "/calls", json={**(A_CALL or {}), "new": 1})).status == 200

    first, second = sandbox.originated
    assert first.call_id != second.call_id
    assert (first.from_number, first.metadata) == (None, None)


BODIES_THAT_ARE_NO_OBJECT = [
    b"",
    b"x",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"7",
    b"\xff",
    b"NaN",
    b'{"a": NaN}',
    b"[" * 99999,
]

FIELDS_THAT_FAIL = [
    *fields("aiAgentId", None, 27, "", "x", "2 7", "-1", "27\n", "\u0662"),
    *fields("toNumber", None, 14155551234, "", "14155551234", "+0123456", "+1", "+1 415 555 1234"),
    *fields("toNumber", "+1234567890123456", "+1415555123x", "+14155551234\n", "+\u06611234567"),
    *fields("fromNumber", None, 1, "", "4930123456"),
    *fields("metadata", None, 1, "x", [], True),
]


async def test_a_body_that_is_no_json_object_is_invalid(visitor: Visitor, sandbox: Sandbox) -> None:
    for data in BODIES_THAT_ARE_NO_OBJECT:
        assert (await visitor.ask("POST", "/calls", data=data)).error == (400, "invalid_input"), data
    python_only = b'{"aiAgentId": "27", "toNumber": "+14155551234", "metadata": {"x": NaN}}'
    assert (await visitor.ask("POST", "/calls", data=python_only)).error == (400, "invalid_input")
    assert not sandbox.originated


async def test_a_field_that_fails_validation_is_invalid_and_named(visitor: Visitor, sandbox: Sandbox) -> None:
    for wrong in FIELDS_THAT_FAIL:
        reply = await visitor.ask("POST", "/calls", json={**(A_CALL or {}), **wrong})

        assert reply.error == (400, "invalid_input"), wrong
        assert next(iter(wrong)) in reply.json()["detail"]
    assert not sandbox.originated


@pytest.mark.parametrize("missing", ["aiAgentId", "toNumber"])
async def test_a_required_field_may_not_be_missing(visitor: Visitor, missing: str) -> None:
    body = {name: value for name, value in (A_CALL or {}).items() if name != missing}

    assert (await visitor.ask("POST", "/calls", json=body)).error == (400, "invalid_input")


async def test_the_agent_must_exist_and_be_provisioned(visitor: Visitor, sandbox: Sandbox) -> None:
    for agent, error in [("1", (404, "ai_agent_not_found")), ("28", (409, "ai_agent_not_provisioned"))]:
        reply = await visitor.ask("POST", "/calls", json={"aiAgentId": agent, "toNumber": "+14155551234"})

        assert reply.error == error
    assert not sandbox.originated


async def test_each_state_of_the_account_has_its_error(visitor: Visitor, sandbox: Sandbox) -> None:
    """The states pile up from the lowest in the reference's table to the highest, which is the one that is told."""
    account = sandbox.account

    account.originate_error = "480 Temporarily Unavailable"
    reply = await visitor.call()
    assert reply.json() == {"error": "originate_failed", "detail": "480 Temporarily Unavailable"}
    assert reply.status == 502

    account.engine = False
    assert (await visitor.call()).error == (503, "engine_not_configured")

    account.dialer = False
    assert (await visitor.call()).error == (409, "dialer_required")

    account.provisioned = False
    assert (await visitor.call()).error == (409, "account_not_provisioned")

    account.agents = ()
    assert (await visitor.call()).error == (404, "ai_agent_not_found")

    assert not sandbox.originated


def test_the_states_are_arguments_too() -> None:
    account = Sandbox(
        suspended=True,
        provisioned=False,
        dialer=False,
        engine=False,
        originate_error="busy",
        balance_fails=True,
        agents=[],
    ).account

    assert account.suspended
    assert account.balance_fails
    assert (account.provisioned, account.dialer, account.engine) == (False, False, False)
    assert (account.originate_error, account.agents) == ("busy", ())
