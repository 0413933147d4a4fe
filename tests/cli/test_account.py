"""`unlimcall me`, `balance` and `agents`."""

from __future__ import annotations

import json

import pytest

from unlimcall_async.sandbox import Sandbox, SandboxAgent

from .support import run, run_process


async def test_me_is_shown() -> None:
    async with Sandbox() as sandbox:
        status, out, err = await run(sandbox, "me")
    assert (status, err) == (0, "")
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["customer_id", "1042"],
        ["company_name", "Acme Calling Co."],
        ["primary_contact_email", "ops@acme.example"],
    ]


async def test_a_balance_keeps_its_digits_in_json() -> None:
    async with Sandbox(balance="42.78310") as sandbox:
        _, out, _ = await run(sandbox, "balance", "--json")
    fields = json.loads(out)
    assert fields.pop("balance") == "42.78310"
    assert fields == {
        "currency": "USD",
        "account_type": "prepaid",
        "credit_limit": None,
        "blocked": False,
        "stale": False,
    }


async def test_agents_come_one_a_line_in_json() -> None:
    async with Sandbox() as sandbox:
        _, out, _ = await run(sandbox, "agents", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["27", "28"]


async def test_agents_are_a_table_and_none_are_nothing() -> None:
    agents = [
        SandboxAgent(id="7", sip_username="u1", label="東京"),
        SandboxAgent(id="12", sip_username="u2", label="x"),
    ]
    async with Sandbox(agents=agents) as sandbox:
        _, out, _ = await run(sandbox, "agents")
    head, *rows = out.splitlines()
    assert head.split() == ["id", "sip_username", "label", "created_at"]
    assert [row.split()[:3] for row in rows] == [["7", "u1", "東京"], ["12", "u2", "x"]]
    async with Sandbox(agents=[]) as sandbox:
        assert await run(sandbox, "agents") == (0, "", "")


async def test_a_name_cannot_move_the_cursor() -> None:
    agent = SandboxAgent(id="7", sip_username="u", label="\x1b[2J\r\nZürich")
    async with Sandbox(agents=[agent]) as sandbox:
        _, out, _ = await run(sandbox, "agents")
        _, exact, _ = await run(sandbox, "agents", "--json")
    assert "\ufffd[2J\ufffd\ufffdZürich" in out
    assert json.loads(exact)["label"] == agent.label


@pytest.mark.slow
async def test_names_are_utf_8_in_any_locale() -> None:
    async with Sandbox(company_name="Zürich ☎") as sandbox:
        status, out, _ = await run_process(sandbox, "me", PYTHONIOENCODING="ascii")
    assert (status, "Zürich ☎" in out) == (0, True)
