"""The command, run as users run it: as a process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli import commands
from unlimcall_async.sandbox import Html, Sandbox


class NoRetries(AsyncClient):
    def __init__(self) -> None:
        super().__init__(base_url="http://127.0.0.1:9", retry=RetryPolicy(delays=()))


async def run(sandbox: Sandbox | None, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
    own = {} if sandbox is None else {"UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-m", "unlimcall_async", *arguments],
        env={**os.environ, **own, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


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
    assert json.loads(out)["balance"] == "42.78310"


async def test_agents_come_one_a_line_in_json() -> None:
    async with Sandbox() as sandbox:
        _, out, _ = await run(sandbox, "agents", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["27", "28"]


async def test_a_refusal_is_told_in_a_line() -> None:
    async with Sandbox(suspended=True) as sandbox:
        code, out, err = await run(sandbox, "balance")
    assert (code, out) == (3, "")
    assert err.startswith("Error: GET /balance answered 403 suspended")
    assert "Traceback" not in err


async def test_an_answer_that_is_none_is_the_providers_fault() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Html())
        code, _, err = await run(sandbox, "balance")
    assert (code, "expected JSON" in err) == (4, True)


def test_no_server_is_the_networks_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    # In this process, where the client can be told not to try again: that takes seven seconds.
    monkeypatch.setattr(commands, "AsyncClient", NoRetries)
    result = CliRunner().invoke(commands.unlimcall, ["me"], env={"UNLIMCALL_TOKEN": "unl_test_token"})
    assert (result.exit_code, "no connection" in result.output) == (5, True)


async def test_a_missing_token_is_wrong_usage() -> None:
    code, _, err = await run(None, "me", UNLIMCALL_TOKEN="")
    assert (code, "token is missing" in err) == (2, True)


async def test_the_sandbox_has_its_own_help() -> None:
    code, out, _ = await run(None, "sandbox", "--help")
    assert (code, "--rate-limit" in out) == (0, True)


async def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no click', name='click')")
    code, _, err = await run(None, "me", PYTHONPATH=str(tmp_path))
    assert (code, "unlimcall-async[cli]" in err) == (1, True)


async def test_help_is_quick() -> None:
    code = "import sys; from unlimcall_async.cli.commands import unlimcall; sys.exit('aiohttp' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
