from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from unlimcall_async.sandbox import Sandbox, SandboxAgent

from .support import Visitor


async def test_me_is_the_identity_of_the_reference(visitor: Visitor) -> None:
    reply = await visitor.get("/me")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.json() == {
        "customerId": "1042",
        "companyName": "Acme Calling Co.",
        "primaryContactEmail": "ops@acme.example",
    }


async def test_balance_is_the_snapshot_of_the_reference(visitor: Visitor) -> None:
    reply = await visitor.get("/balance")

    assert reply.status == 200
    assert reply.json() == {
        "balance": 42.7831,
        "currency": "USD",
        "accountType": "prepaid",
        "creditLimit": None,
        "blocked": False,
        "stale": False,
    }


async def test_money_is_written_digit_for_digit(visitor: Visitor, sandbox: Sandbox) -> None:
    for digits in ["0", "-3.50", "10.00", "123456789012345678.123456789", "1E+3"]:
        sandbox.account.balance = digits
        sandbox.account.credit_limit = Decimal(digits)

        text = (await visitor.get("/balance")).text

        assert f'"balance":{digits},' in text
        assert f'"creditLimit":{digits},' in text


def test_money_that_is_no_json_number_is_refused() -> None:
    for digits in ["", "1,5", "01", ".5", "NaN", "1_0", "\u0661", '1,"x":2']:
        with pytest.raises(ValueError, match="balance must be written as a JSON number"):
            Sandbox(balance=digits)
        with pytest.raises(ValueError, match="credit_limit must be written as a JSON number"):
            Sandbox().account.credit_limit = digits


def test_account_data_can_be_given_and_changed() -> None:
    sandbox = Sandbox(
        company_name="Ünïcode",
        customer_id="7",
        primary_contact_email="a@b.example",
        currency="EUR",
        account_type="postpaid",
        blocked=True,
        stale=True,
    )
    account = sandbox.account

    assert (account.company_name, account.customer_id, account.primary_contact_email) == ("Ünïcode", "7", "a@b.example")
    assert (account.currency, account.account_type, account.blocked, account.stale) == ("EUR", "postpaid", True, True)


async def test_changes_of_the_account_show_in_the_next_answer(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.account.company_name = "Ünïcode"
    sandbox.account.blocked = sandbox.account.stale = True

    assert '"companyName":"Ünïcode"' in (await visitor.get("/me")).text
    balance = (await visitor.get("/balance")).json()
    assert (balance["blocked"], balance["stale"]) == (True, True)


async def test_a_failing_snapshot_is_an_internal_error(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.account.balance_fails = True

    assert (await visitor.get("/balance")).error == (500, "internal_error")
    assert (await visitor.get("/me")).status == 200


async def test_agents_are_listed_as_in_the_reference(visitor: Visitor) -> None:
    reply = await visitor.get("/agents")

    assert reply.json()["count"] == 2
    assert reply.json()["agents"][0] == {
        "id": "27",
        "sipUsername": "unl_001",
        "label": "SDR seat — Berlin",
        "createdAt": "2026-04-30T09:14:00Z",
    }


async def test_agents_can_be_replaced(visitor: Visitor, sandbox: Sandbox) -> None:
    created = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    sandbox.account.agents = (SandboxAgent(id="5", label="Lima", sip_username="unl_005", created_at=created),)

    reply = await visitor.get("/agents")

    agent = {"id": "5", "sipUsername": "unl_005", "label": "Lima", "createdAt": "2025-12-31T23:00:00Z"}
    assert reply.json() == {"count": 1, "agents": [agent]}


@pytest.mark.parametrize(
    "created_at",
    [datetime(2026, 1, 1), datetime(2026, 1, 1, microsecond=1000, tzinfo=UTC)],  # noqa: DTZ001 # naive on purpose
)
def test_an_agents_creation_time_is_aware_and_on_a_whole_second(created_at: datetime) -> None:
    with pytest.raises(ValueError, match="created_at must be timezone-aware"):
        SandboxAgent(id="5", created_at=created_at)


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


def test_one_scope_is_not_a_list_of_scopes() -> None:
    with pytest.raises(TypeError, match=r"^scopes must be an iterable of str, not str$"):
        Sandbox().add_token("read:cdrs")


@pytest.mark.parametrize(("name", "value"), [("agents", 5), ("agents", ["27"]), ("dialer", "no"), ("token", 5)])
def test_what_an_account_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} must "):
        Sandbox(**{name: value})
